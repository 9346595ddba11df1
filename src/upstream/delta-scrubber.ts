// Takes keys out of what a stream spells bit by bit: a client puts the deltas of a block together again, so that a key may
// come to it in pieces of which none shows it.

import type { Scrubber } from "../scrubber.ts";
import { standInFor } from "../scrubber.ts";
import { headWidth } from "../secret-forms.ts";
import type { Json, NeutralEvent, SseEvent } from "../wire/neutral.ts";
import { formatEvent } from "../wire/sse.ts";

/** One event of the upstream and what it means, as it may be shown. */
export interface Scrubbed {
  /** Null: it must not be shown, and cannot be put right. */
  readonly event: SseEvent | null;
  readonly events: readonly NeutralEvent[];
}

type Delta = Extract<NeutralEvent, { type: "text" | "refusal" | "thinking" | "tool_delta" }>;

/** An event that waits because something in it, or before it, may be the beginning of a key. */
interface Waiting {
  readonly event: SseEvent;
  readonly events: NeutralEvent[];
  /** By the text of a delta as it came, what stands there now. */
  readonly changed: Map<string, string>;
  /** So many of its deltas are still in doubt. */
  doubts: number;
}

interface Piece {
  readonly waiting: Waiting;
  /** Which of its events. */
  readonly at: number;
  /** As it came. */
  readonly original: string;
  text: string;
}

/** What is put together from one kind of deltas. */
interface Block {
  /** What was shown of it last, or taken out of it, as far as a key may have begun there. */
  shown: string;
  /** A key has begun in it. */
  begun: boolean;
  /** What was not shown yet, in order. */
  pieces: Piece[];
}

function newBlock(): Block {
  return { shown: "", begun: false, pieces: [] };
}

/** What vendors' keys begin with is public, and shorter than this. More of one is taken out where its rest does not come. */
const tellingChars = 16;
/** While a key may have begun, nothing but keep-alives and counts comes in between; more of them is no honest stream. */
const maxBystanders = 64;
const nothing: readonly Scrubbed[] = [];

export class DeltaScrubber {
  readonly #scrubber: Scrubber;
  readonly #text = newBlock();
  readonly #blocks = new Map<string | number, Block>([["text", this.#text]]);
  #queue: Waiting[] = [];
  /** How many events wait that have no part in what they wait for. */
  #bystanders = 0;

  constructor(scrubber: Scrubber) {
    this.#scrubber = scrubber;
  }

  /** Null: the event may be shown as it is, now. Otherwise what may be shown now, in order, perhaps nothing. */
  push(event: SseEvent, events: readonly NeutralEvent[]): readonly Scrubbed[] | null {
    if (this.#queue.length === 0 && this.#passes(events)) return null;
    const waiting: Waiting = { event, events: [...events], changed: new Map(), doubts: 0 };
    this.#queue.push(waiting);
    this.#bystanders++;
    for (const [at, one] of events.entries()) {
      const text = textOf(one);
      if (text === null) {
        if (endsDoubt(one)) this.#settle(null);
        continue;
      }
      const block = this.#blockOf(one as Delta);
      this.#settle(block);
      block.pieces.push({ waiting, at, original: text, text });
      if (waiting.doubts++ === 0) this.#bystanders--;
      this.#judge(block);
    }
    if (this.#bystanders > maxBystanders) this.#settle(null);
    return this.#released();
  }

  /** The stream ended: what is left may be shown. */
  flush(): readonly Scrubbed[] {
    if (this.#queue.length === 0) return nothing;
    this.#settle(null);
    return this.#released();
  }

  /** The way of almost every event: nothing waits and nothing has to. Changes nothing where it says no. */
  #passes(events: readonly NeutralEvent[]): boolean {
    let block: Block | null = null;
    let added = "";
    for (const one of events) {
      const text = textOf(one);
      if (text === null || text === "") continue;
      // Two deltas in one event are rare, and take the long way.
      if (block !== null) return false;
      block = this.#blockOf(one as Delta);
      added = text;
    }
    if (block === null) return true;
    if (block.begun || this.#scrubber.mayBeginIn(block.shown, added)) return false;
    // Nothing begins in it but perhaps at its very end: it is looked at again together with what follows.
    block.shown = added.length < headWidth ? tailOf(block.shown + added) : added;
    return true;
  }

  #blockOf(delta: Delta): Block {
    if (delta.type === "text") return this.#text;
    const name = delta.type === "tool_delta" ? delta.index : delta.type;
    let block = this.#blocks.get(name);
    if (block === undefined) {
      block = newBlock();
      this.#blocks.set(name, block);
    }
    return block;
  }

  /** Takes out the keys that are complete, and lets go what can no longer be one. */
  #judge(block: Block): void {
    let from = 0;
    for (;;) {
      const whole = wholeOf(block);
      const found = this.#scrubber.find(whole, from);
      if (found === null) break;
      from = replace(block, found.start, found.end, standInFor(whole, found.start, found.end));
    }
    const whole = wholeOf(block);
    const begun = this.#scrubber.findBegun(whole, from);
    this.#letGo(block, begun?.start ?? null, from);
  }

  /** Everything that lies before `start` of the block's whole text; null: all of it. What was replaced ends at `from`. */
  #letGo(block: Block, start: number | null, from: number): void {
    const whole = wholeOf(block);
    let end = block.shown.length;
    let gone = 0;
    for (const piece of block.pieces) {
      if (start !== null && end + piece.text.length > start) break;
      end += piece.text.length;
      gone++;
      piece.waiting.doubts--;
    }
    block.pieces.splice(0, gone);
    const shownFrom = start !== null && start < end ? start : Math.max(Math.min(from, end), end - headWidth + 1);
    block.shown = whole.slice(shownFrom, end);
    block.begun = start !== null;
  }

  /**
   * What is in doubt in other blocks than this one stays unfinished for now: much of a key is taken out, a little is shown.
   * What follows of it later is still seen as its rest.
   */
  #settle(except: Block | null): void {
    for (const block of this.#blocks.values()) {
      if (block === except || block.pieces.length === 0) continue;
      const whole = wholeOf(block);
      const begun = this.#scrubber.findBegun(whole, 0);
      if (begun !== null && whole.length - begun.start >= Math.min(tellingChars, begun.formLength / 2)) {
        replace(block, begun.start, whole.length, standInFor(whole, begun.start, whole.length));
      }
      this.#letGo(block, null, 0);
      if (begun === null) continue;
      block.shown = whole.slice(begun.start);
      block.begun = true;
    }
  }

  #released(): readonly Scrubbed[] {
    const until = this.#queue.findIndex(({ doubts }) => doubts > 0);
    const free = this.#queue.splice(0, until < 0 ? this.#queue.length : until);
    if (until < 0) this.#bystanders = 0;
    return free.map(({ event, events, changed }) => ({
      event: changed.size === 0 ? event : rewritten(event, changed),
      // A delta without a character is none.
      events: changed.size === 0 ? events : events.filter((one) => textOf(one) !== ""),
    }));
  }
}

/** What a delta adds to its block; null: it is none. */
function textOf(event: NeutralEvent): string | null {
  switch (event.type) {
    case "text":
    case "refusal":
    case "thinking":
      return event.text;
    case "tool_delta":
      return event.json;
    case "start":
    case "thinking_signature":
    case "redacted_thinking":
    case "tool_start":
    case "tool_end":
    case "block_end":
    case "usage":
    case "stop":
    case "end":
    case "error":
    case "other":
      return null;
    default:
      return event satisfies never;
  }
}

/** After these the block does not go on at once. */
function endsDoubt({ type }: NeutralEvent): boolean {
  return type !== "other" && type !== "usage" && type !== "start";
}

function tailOf(text: string): string {
  return text.length < headWidth ? text : text.slice(1 - headWidth);
}

function wholeOf({ shown, pieces }: Block): string {
  let whole = shown;
  for (const { text } of pieces) whole += text;
  return whole;
}

/**
 * Puts `stead` in the place of [start, end) of the block's whole text, as far as it was not shown yet. Returns where the
 * text behind it begins now.
 */
function replace(block: Block, start: number, end: number, stead: string): number {
  let at = block.shown.length;
  let rest = stead;
  /** In the new text. */
  let behind = at;
  for (const piece of block.pieces) {
    if (at >= end) break;
    const { text } = piece;
    const from = Math.max(start - at, 0);
    const to = Math.min(end - at, text.length);
    if (from < to) {
      piece.text = text.slice(0, from) + rest + text.slice(to);
      behind += from + rest.length;
      rest = "";
      note(piece);
    } else behind += piece.text.length;
    at += text.length;
  }
  return behind;
}

function note({ waiting, at, original, text }: Piece): void {
  const event = waiting.events[at]!;
  waiting.changed.set(original, text);
  if (event.type === "tool_delta") waiting.events[at] = { ...event, json: text };
  else if (event.type === "text" || event.type === "refusal" || event.type === "thinking") {
    waiting.events[at] = { ...event, text };
  }
}

/** The upstream's event with other deltas; null where they are not found in it. */
function rewritten(event: SseEvent, changed: ReadonlyMap<string, string>): SseEvent | null {
  const found = new Set<string>();
  const write = (value: Json, inDelta: boolean, name: string): Json => {
    if (typeof value === "string") {
      const now = inDelta && !names.has(name) ? changed.get(value) : undefined;
      if (now === undefined) return value;
      found.add(value);
      return now;
    }
    if (Array.isArray(value)) return value.map((item) => write(item, inDelta, name));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [key, write(inner, inDelta || carriers.has(key), key)]),
    );
  };
  let data: string;
  try {
    data = JSON.stringify(write(JSON.parse(event.data) as Json, false, ""));
  } catch {
    return null;
  }
  if (found.size < changed.size) return null;
  return { event: event.event, data, raw: formatEvent(event.event, data) };
}

/** Where the dialects have their deltas: Messages and Responses `delta`, Chat `choices[].delta` or `.message`. */
const carriers: ReadonlySet<string> = new Set(["delta", "message"]);
/** Members beside a delta's text that only name things. */
const names: ReadonlySet<string> = new Set(["type", "role", "id", "name", "index"]);
