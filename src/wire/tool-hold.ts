// Tool calls on their way to a client of another dialect: held back until they are complete, and given out whole. So no
// client ever sees half a call, a server that breaks off inside one has shown nothing of it, and arguments that are no JSON
// can still be mended. What a local model thinks can wait in the same way, so that an answer of thoughts alone is none.

import { ArgumentRepair } from "./argument-repair.ts";
import { parseArguments } from "./chat/tool-arguments.ts";
import type { NeutralAnswer, NeutralEvent, NeutralPart, NeutralRequest, StopReason } from "./neutral.ts";

export interface HoldOptions {
  /** As it was translated: tells tools of free text apart, and which ids the conversation has used. */
  readonly request: NeutralRequest;
  /** The server does not obey a client that allows one call only: all but the first are left out here. */
  readonly singleCall: boolean;
  /** Thinking waits for what comes after it. */
  readonly holdsThinking: boolean;
}

/** Characters that may wait; a larger answer is none that a client could use. */
const MAX_HELD = 64 * 1024 * 1024;
/** What keeping a piece costs beside its characters. */
const PIECE_COST = 16;

type ToolStart = Extract<NeutralEvent, { type: "tool_start" }>;

interface HeldCall {
  readonly start: ToolStart;
  readonly pieces: string[];
  ended: boolean;
}

/** One per translated stream. */
export class ToolHold {
  readonly #options: HoldOptions;
  readonly #calls = new Map<number, HeldCall>();
  readonly #repair = new ArgumentRepair();
  /** Thinking, as long as nothing follows it. */
  #leading: NeutralEvent[] = [];
  /** White space before the first word of a text. */
  #blank = "";
  /** The open text has a word: white space in it is a part of it. */
  #inText = false;
  #held = 0;
  #begun = false;
  #hasText = false;
  #given = 0;
  #usedIds: ReadonlySet<string> | undefined;
  #over = false;

  constructor(options: HoldOptions) {
    this.#options = options;
    this.#begun = !options.holdsThinking;
  }

  /** What may be shown by now. Events that need not wait come back as they are, in the same list. */
  release(events: readonly NeutralEvent[]): readonly NeutralEvent[] {
    if (this.#over) return [];
    if (this.#allPass(events)) return events;
    const out: NeutralEvent[] = [];
    for (const event of events) {
      this.#take(event, out);
      if (this.#held <= MAX_HELD) continue;
      this.#over = true;
      this.#drop();
      out.push({ type: "error", fault: { status: 502, code: undefined, message: "A tool call has no end." } });
      return out;
    }
    return out;
  }

  /** Asked for every event of every stream: a loop costs no closure. */
  #allPass(events: readonly NeutralEvent[]): boolean {
    for (const event of events) if (!this.#passes(event)) return false;
    return true;
  }

  /** Most events of a stream are text, and text waits for nothing once there is some. */
  #passes(event: NeutralEvent): boolean {
    switch (event.type) {
      case "text":
        return this.#inText;
      case "thinking":
      case "thinking_signature":
      case "redacted_thinking":
        return this.#begun && !this.#inText && this.#blank === "";
      case "block_end":
        return this.#begun && !this.#inText;
      case "start":
      case "usage":
      case "other":
        return true;
      case "refusal":
      case "tool_start":
      case "tool_delta":
      case "tool_end":
      case "stop":
      case "end":
      case "error":
      default:
        return false;
    }
  }

  #take(event: NeutralEvent, out: NeutralEvent[]): void {
    switch (event.type) {
      case "text":
        return this.#text(event.text, out);
      case "refusal":
        this.#begin(out);
        out.push(event);
        return;
      case "thinking":
      case "thinking_signature":
      case "redacted_thinking":
      case "block_end":
        return this.#thinking(event, out);
      case "tool_start":
        if (!this.#calls.has(event.index)) this.#calls.set(event.index, { start: event, pieces: [], ended: false });
        this.#held += event.name.length + event.id.length + PIECE_COST;
        return;
      case "tool_delta":
        return this.#piece(event.index, event.json);
      case "tool_end":
        return this.#ended(event.index, out);
      case "stop":
        return this.#stop(event, out);
      case "end":
        // Some servers give no reason to stop.
        this.#settle(undefined, out);
        out.push(event);
        return;
      case "error":
        this.#drop();
        out.push(event);
        return;
      case "start":
      case "usage":
      case "other":
      default:
        out.push(event);
    }
  }

  /** Blank text alone is none: clients ask again for it, and vendors refuse it in a history. */
  #text(text: string, out: NeutralEvent[]): void {
    if (!this.#inText && text.trim() === "") {
      this.#blank += text;
      this.#held += text.length;
      return;
    }
    const whole = this.#blank + text;
    this.#begin(out);
    this.#hasText = true;
    this.#inText = true;
    out.push({ type: "text", text: whole });
  }

  #thinking(
    event: Extract<NeutralEvent, { type: `thinking${string}` | "redacted_thinking" | "block_end" }>,
    out: NeutralEvent[],
  ): void {
    this.#inText = false;
    // A paragraph's end may be a block of its own: it goes with the text that follows.
    if (event.type !== "block_end") this.#blank = "";
    if (this.#begun) {
      out.push(event);
      return;
    }
    this.#leading.push(event);
    this.#held += PIECE_COST + sizeOf(event);
  }

  /** Something is shown: what waited for it goes first, and white space waits no longer. */
  #begin(out: NeutralEvent[]): void {
    this.#blank = "";
    if (this.#begun) return;
    this.#begun = true;
    for (const event of this.#leading) out.push(event);
    this.#leading = [];
  }

  #piece(index: number, json: string): void {
    const call = this.#calls.get(index);
    if (call === undefined || call.ended) return;
    call.pieces.push(json);
    this.#held += json.length + PIECE_COST;
  }

  /** Broken arguments wait for the reason to stop: those that were cut off by the length must not be mended. */
  #ended(index: number, out: NeutralEvent[]): void {
    const call = this.#calls.get(index);
    if (call === undefined || call.ended) return;
    call.ended = true;
    // Where only the first call counts, its turn comes before that of the others.
    if (this.#options.singleCall && this.#calls.keys().next().value !== index) return;
    const raw = call.pieces.join("");
    // A call of nothing can't be run either: it becomes text with the others.
    const text = call.start.name === "" ? undefined : validText(raw);
    if (text === undefined) call.pieces.splice(0, Infinity, raw);
    else this.#give(index, call, text, out);
  }

  #stop(event: Extract<NeutralEvent, { type: "stop" }>, out: NeutralEvent[]): void {
    this.#settle(event.reason, out);
    // An answer of thoughts alone is an answer only where something else ended it.
    if (event.reason !== "end" && event.reason !== "tool_calls") this.#begin(out);
    const noCall = event.reason === "tool_calls" && this.#given === 0;
    out.push(noCall ? { ...event, reason: "end" } : event);
  }

  /** The answer is over: every call that is left is mended, or shown as text. */
  #settle(reason: StopReason | undefined, out: NeutralEvent[]): void {
    for (const [index, call] of this.#calls) {
      if (this.#options.singleCall && this.#given > 0) break;
      const raw = call.pieces.join("");
      if (call.start.name === "" && raw === "") continue;
      const text = usableText(raw, call.start.name, reason, this.#options.request, this.#repair);
      if (text !== undefined && call.start.name !== "") {
        this.#give(index, call, text, out);
        continue;
      }
      this.#begin(out);
      out.push({ type: "block_end" }, { type: "text", text: asText(call.start.name, raw, this.#hasText) });
      this.#hasText = true;
    }
    this.#calls.clear();
  }

  #give(index: number, call: HeldCall, json: string, out: NeutralEvent[]): void {
    this.#calls.delete(index);
    for (const piece of call.pieces) this.#held -= piece.length;
    if (this.#options.singleCall && this.#given > 0) return;
    this.#given += 1;
    this.#begin(out);
    this.#inText = false;
    this.#usedIds ??= usedIds(this.#options.request);
    const id = this.#usedIds.has(call.start.id) ? "" : call.start.id;
    out.push({ ...call.start, id }, { type: "tool_delta", index, json }, { type: "tool_end", index });
  }

  #drop(): void {
    this.#calls.clear();
    this.#leading = [];
    this.#blank = "";
  }
}

/** The same for an answer in one piece. */
export function holdAnswer(answer: NeutralAnswer, options: HoldOptions): NeutralAnswer {
  const repair = new ArgumentRepair();
  const used = usedIds(options.request);
  const parts: NeutralPart[] = [];
  let given = 0;
  for (const part of withoutBlanks(answer.parts)) {
    if (part.type !== "tool_call") {
      parts.push(part);
      continue;
    }
    if (options.singleCall && given > 0) continue;
    const raw = usableText(part.raw, part.name, answer.stop, options.request, repair);
    const input = raw === undefined ? undefined : parseArguments(raw);
    if (raw === undefined || input === undefined || part.name === "") {
      parts.push({
        type: "text",
        text: asText(
          part.name,
          part.raw,
          parts.some((before) => before.type === "text"),
        ),
      });
      continue;
    }
    given += 1;
    parts.push({ ...part, id: used.has(part.id) ? "" : part.id, input, raw });
  }
  const stop = answer.stop === "tool_calls" && given === 0 ? "end" : answer.stop;
  return { ...answer, parts, stop };
}

/** White space goes with the text behind it, and is left out where none is. */
function withoutBlanks(parts: readonly NeutralPart[]): NeutralPart[] {
  const kept: NeutralPart[] = [];
  let blank = "";
  for (const part of parts) {
    if (part.type !== "text") {
      blank = "";
      kept.push(part);
    } else if (part.text.trim() === "") blank += part.text;
    else {
      kept.push(blank === "" ? part : { ...part, text: blank + part.text });
      blank = "";
    }
  }
  return kept;
}

/** True where an answer says nothing that a client would take for one: no word, no call, at most thoughts. */
export function saysNothing(answer: NeutralAnswer): boolean {
  if (answer.stop !== "end" && answer.stop !== "tool_calls") return false;
  return answer.parts.every((part) => {
    if (part.type === "text" || part.type === "refusal") return part.text.trim() === "";
    return part.type === "thinking" || part.type === "redacted_thinking";
  });
}

/** The arguments as they came where they are an object, so that numbers and the order of keys stay the model's own. */
function validText(raw: string): string | undefined {
  const input = parseArguments(raw);
  if (input === undefined) return undefined;
  return raw.trimStart().startsWith("{") ? raw : JSON.stringify(input);
}

function usableText(
  raw: string,
  name: string,
  reason: StopReason | undefined,
  request: NeutralRequest,
  repair: ArgumentRepair,
): string | undefined {
  const valid = validText(raw);
  // What was cut off would lose its end without a word: half a file, half a command. Without a reason to stop nobody knows.
  if (valid !== undefined || reason === "length" || reason === undefined) return valid;
  const repaired = repair.repaired(raw);
  if (repaired !== undefined) return repaired;
  // Models often hand the bare text to a tool whose whole input is one text.
  const custom = request.tools.some((tool) => tool.name === name && tool.form === "custom");
  return custom ? JSON.stringify({ input: raw }) : undefined;
}

function asText(name: string, raw: string, follows: boolean): string {
  return `${follows ? "\n\n" : ""}${name}(${raw})`;
}

/** Some servers count their calls from 0 in every turn; vendors refuse a conversation in which an id comes twice. */
function usedIds(request: NeutralRequest): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const message of request.messages) {
    if (message.role !== "assistant") continue;
    for (const part of message.parts) if (part.type === "tool_call") ids.add(part.id);
  }
  return ids;
}

function sizeOf(event: NeutralEvent): number {
  if (event.type === "thinking") return event.text.length;
  if (event.type === "thinking_signature") return event.signature.length;
  return event.type === "redacted_thinking" ? event.data.length : 0;
}
