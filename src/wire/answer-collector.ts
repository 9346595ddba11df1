import { parseArguments } from "./chat/tool-arguments.ts";
import type { NeutralAnswer, NeutralEvent, NeutralPart, StopReason, Usage } from "./neutral.ts";
import { mergeUsage, noUsage } from "./usage.ts";

interface OpenText {
  readonly type: "text" | "thinking" | "refusal";
  readonly pieces: string[];
  signature: string | undefined;
}

interface OpenCall {
  readonly start: Extract<NeutralEvent, { type: "tool_start" }>;
  readonly pieces: string[];
}

/** A streamed answer as one piece: parts in the order in which they began. The caller bounds what it is given. */
export class AnswerCollector {
  readonly #parts: (NeutralPart | OpenText | OpenCall)[] = [];
  readonly #calls = new Map<number, OpenCall>();
  #open: OpenText | null = null;
  #id: string | undefined;
  #model: string | undefined;
  #usage: Usage | null = null;
  #stop: StopReason = "end";
  #stopSequence: string | undefined;

  add(event: NeutralEvent): void {
    switch (event.type) {
      case "text":
      case "thinking":
      case "refusal":
        if (event.text !== "") this.#opened(event.type).pieces.push(event.text);
        return;
      case "thinking_signature": {
        const open = this.#opened("thinking");
        open.signature = (open.signature ?? "") + event.signature;
        return;
      }
      case "tool_start":
        return this.#startCall(event);
      case "tool_delta":
        this.#calls.get(event.index)?.pieces.push(event.json);
        return;
      case "start":
        this.#id ??= event.id;
        this.#model ??= event.model;
        return;
      case "usage":
        this.#usage ??= { ...noUsage };
        return mergeUsage(this.#usage, event.usage);
      case "stop":
        this.#stop = event.reason;
        this.#stopSequence = event.stopSequence;
        return;
      case "redacted_thinking":
        this.#open = null;
        this.#parts.push({ type: "redacted_thinking", data: event.data });
        return;
      case "block_end":
        this.#open = null;
        return;
      case "tool_end":
      case "end":
      case "error":
      case "other":
        return;
      default:
        return event satisfies never;
    }
  }

  answer(): NeutralAnswer {
    return {
      id: this.#id,
      model: this.#model,
      parts: this.#parts.map(whole),
      stop: this.#stop,
      stopSequence: this.#stopSequence,
      usage: this.#usage ?? undefined,
    };
  }

  #opened(type: OpenText["type"]): OpenText {
    // What follows a signature is another block.
    if (this.#open?.type === type && (type !== "thinking" || this.#open.signature === undefined)) return this.#open;
    this.#open = { type, pieces: [], signature: undefined };
    this.#parts.push(this.#open);
    return this.#open;
  }

  #startCall(start: Extract<NeutralEvent, { type: "tool_start" }>): void {
    if (this.#calls.has(start.index)) return;
    this.#open = null;
    const call = { start, pieces: [] };
    this.#calls.set(start.index, call);
    this.#parts.push(call);
  }
}

function whole(part: NeutralPart | OpenText | OpenCall): NeutralPart {
  if ("start" in part) {
    const raw = part.pieces.join("");
    const { id, name, form } = part.start;
    return {
      type: "tool_call",
      id,
      name,
      input: parseArguments(raw) ?? { input: raw },
      raw,
      form,
      namespace: undefined,
    };
  }
  if (!("pieces" in part)) return part;
  const text = part.pieces.join("");
  return part.type === "thinking" ? { type: "thinking", text, signature: part.signature } : { type: part.type, text };
}
