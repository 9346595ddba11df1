// Server-sent events (WHATWG HTML, section 9.2): a byte-safe parser whose memory is bounded by one event, and the writer.

import type { SseEvent } from "./neutral.ts";

export interface SseLimits {
  /** Of one event, with its line ends. Counted in UTF-16 units of the decoded text, which are never more than its bytes. */
  readonly maxEventBytes?: number;
}

/** An event is larger than the limit. The parser takes nothing more. */
export class SseLimitError extends RangeError {
  override readonly name = "SseLimitError";
  readonly maxEventBytes: number;

  constructor(maxEventBytes: number) {
    super(`a server-sent event is larger than ${maxEventBytes} bytes`);
    this.maxEventBytes = maxEventBytes;
  }
}

/** What stood behind the last event when the stream ended. */
export interface LastSseEvent extends SseEvent {
  /** False where the closing blank line is missing: by the standard such an event counts as cut. */
  readonly terminated: boolean;
}

/** A picture of 10 MB inside one event is legal; every stream may take this much memory, so not more than that needs. */
const DEFAULT_MAX_EVENT_BYTES = 16 * 1024 * 1024;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;
const BOM = "\ufeff";

/**
 * Cuts a byte stream into events, the same ones wherever the bytes are cut. For valid UTF-8 the `raw` of all events, and
 * of what `end` returns, make up the input to the byte; invalid bytes become U+FFFD. So that nothing is lost, a block of
 * comments alone and a surplus blank line are events too, with empty `data`. `id` and `retry` are ignored.
 *
 * A CR that ends a chunk may be half of a CRLF: where it would end an event, the event waits for the next byte or `end`.
 */
export class SseParser {
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #maxEventBytes: number;
  /** The text of the current event from earlier chunks, which is never looked at again before the event is complete. */
  readonly #pending = new PieceBuffer();
  /** The current line has characters. */
  #inLine = false;
  /** The text so far ends in a CR. */
  #afterCr = false;
  #first = true;
  #fault: SseLimitError | null = null;

  constructor(limits: SseLimits = {}) {
    this.#maxEventBytes = limits.maxEventBytes ?? DEFAULT_MAX_EVENT_BYTES;
  }

  /**
   * Takes the next bytes; returns the events that they complete. Throws an SseLimitError for an event that is too large;
   * where earlier events came in the same chunk, those are returned and the next call throws.
   */
  push(chunk: Uint8Array): SseEvent[] {
    if (this.#fault !== null) throw this.#fault;
    const text = this.#decoder.decode(chunk, { stream: true });
    const events: SseEvent[] = [];
    if (text !== "") this.#read(text, events);
    if (this.#fault !== null && events.length === 0) throw this.#fault;
    return events;
  }

  /** What is left at the end of the stream; null where it ended behind an event. Throws like `push`. */
  end(): LastSseEvent | null {
    if (this.#fault !== null) throw this.#fault;
    const tail = this.#decoder.decode();
    // Only a cut character is left in the decoder: one replacement character, no line end.
    const terminated = tail === "" && this.#afterCr && !this.#inLine;
    const raw = this.#pending.take(tail);
    return raw === "" ? null : { ...this.#parse(raw), terminated };
  }

  #read(text: string, events: SseEvent[]): void {
    const start = this.#afterCr ? this.#settleCr(text, events) : 0;
    if (this.#fault !== null) return;
    const rest = text.includes("\r", start) ? this.#readAny(text, start, events) : this.#readLf(text, start, events);
    if (this.#fault !== null) return;
    this.#pending.add(rest === 0 ? text : text.slice(rest));
    if (this.#pending.length > this.#maxEventBytes) this.#fail();
  }

  /** The last chunk ended in a CR: now it is known whether that was the whole line end. Returns where to go on. */
  #settleCr(text: string, events: SseEvent[]): number {
    this.#afterCr = false;
    const start = text.charCodeAt(0) === LF ? 1 : 0;
    if (!this.#inLine) this.#emit(text.slice(0, start), events);
    else if (start === 1) this.#pending.add("\n");
    this.#inLine = false;
    return start;
  }

  /** Without any CR, as every known server sends. Returns the start of what is not yet an event. */
  #readLf(text: string, from: number, events: SseEvent[]): number {
    let eventStart = from;
    let lineStart = from;
    for (;;) {
      const lineEnd = text.indexOf("\n", lineStart);
      if (lineEnd < 0) break;
      if (lineEnd === lineStart && !this.#inLine) {
        this.#emit(text.slice(eventStart, lineEnd + 1), events);
        if (this.#fault !== null) return lineEnd + 1;
        eventStart = lineEnd + 1;
      }
      this.#inLine = false;
      lineStart = lineEnd + 1;
    }
    if (lineStart < text.length) this.#inLine = true;
    return eventStart;
  }

  #readAny(text: string, from: number, events: SseEvent[]): number {
    let eventStart = from;
    let at = from;
    while (at < text.length) {
      const code = text.charCodeAt(at);
      at += 1;
      if (code !== LF && code !== CR) {
        this.#inLine = true;
        continue;
      }
      if (code === CR) {
        if (at === text.length) {
          this.#afterCr = true;
          break;
        }
        if (text.charCodeAt(at) === LF) at += 1;
      }
      if (!this.#inLine) {
        this.#emit(text.slice(eventStart, at), events);
        if (this.#fault !== null) return at;
        eventStart = at;
      }
      this.#inLine = false;
    }
    return eventStart;
  }

  #emit(tail: string, events: SseEvent[]): void {
    const raw = this.#pending.take(tail);
    if (raw.length > this.#maxEventBytes) this.#fail();
    else events.push(this.#parse(raw));
  }

  #fail(): void {
    this.#pending.take("");
    this.#fault = new SseLimitError(this.#maxEventBytes);
  }

  #parse(raw: string): SseEvent {
    const from = this.#first && raw.startsWith(BOM) ? 1 : 0;
    this.#first = false;
    return parseEvent(raw, from);
  }
}

/** One event from its text, with or without its closing blank line. */
function parseEvent(raw: string, from: number): SseEvent {
  let event: string | undefined;
  let data: string | undefined;
  const hasCr = raw.includes("\r");
  let at = from;
  while (at < raw.length) {
    const end = lineEnd(raw, at, hasCr);
    // The names are compared in place: a slice for each would be most of the cost.
    if (isField(raw, at, end, "data")) {
      const value = fieldValue(raw, at + 4, end);
      data = data === undefined ? value : `${data}\n${value}`;
    } else if (isField(raw, at, end, "event")) event = fieldValue(raw, at + 5, end);
    at = end + 1;
  }
  // By the standard an empty name is none.
  return { event: event === "" ? undefined : event, data: data ?? "", raw };
}

function lineEnd(raw: string, from: number, hasCr: boolean): number {
  if (hasCr) {
    let at = from;
    while (at < raw.length && raw.charCodeAt(at) !== LF && raw.charCodeAt(at) !== CR) at += 1;
    return at;
  }
  const end = raw.indexOf("\n", from);
  return end < 0 ? raw.length : end;
}

/** The line is the field's name alone, or the name and a colon. */
function isField(raw: string, start: number, end: number, name: string): boolean {
  const colon = start + name.length;
  return raw.startsWith(name, start) && (colon === end || (colon < end && raw.charCodeAt(colon) === COLON));
}

/** `colon` is where the name ends: behind the colon, one space is no part of the value. */
function fieldValue(raw: string, colon: number, end: number): string {
  const start = raw.charCodeAt(colon + 1) === SPACE ? colon + 2 : colon + 1;
  return raw.slice(start, end);
}

/** Pieces that were kept before they are joined: bounds what tiny pieces cost beyond their characters. */
const JOIN_AT = 256;

/** Collects text without looking at what it holds, so that input byte by byte stays linear. */
class PieceBuffer {
  #pieces: string[] = [];
  #joined: string[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(piece: string): void {
    if (piece === "") return;
    this.#length += piece.length;
    this.#pieces.push(piece);
    if (this.#pieces.length < JOIN_AT) return;
    this.#joined.push(this.#pieces.join(""));
    this.#pieces = [];
  }

  /** All that was added, and the last piece; empty afterwards. */
  take(last: string): string {
    if (this.#length === 0) return last;
    const text = this.#joined.join("") + this.#pieces.join("") + last;
    this.#joined = [];
    this.#pieces = [];
    this.#length = 0;
    return text;
  }
}

/**
 * One event as text. `data` may hold line ends: each line gets its own field, and a CR becomes a line end, as nothing
 * else can carry it. Throws a RangeError where the name holds a line end.
 */
export function formatEvent(event: string | undefined, data: string): string {
  if (event !== undefined && /[\r\n]/.test(event)) throw new RangeError("an event name must be one line");
  const name = event === undefined ? "" : `event: ${event}\n`;
  const lines = /[\r\n]/.test(data) ? data.replace(/\r\n|\r|\n/g, "\ndata: ") : data;
  return `${name}data: ${lines}\n\n`;
}

/** A comment, which clients ignore: the keep-alive of the chat dialect. */
export function comment(text: string): string {
  return `: ${text.replace(/\r\n|\r|\n/g, "\n: ")}\n\n`;
}
