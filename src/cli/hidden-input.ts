// Reads a secret from a terminal without showing it, or from a pipe. The bytes are never a string here, so that they can be
// wiped.

import { on } from "node:events";

const ENTER = 0x0a;
const RETURN = 0x0d;
const INTERRUPT = 0x03;
const END_OF_INPUT = 0x04;
const BACKSPACE = 0x08;
const ERASE_LINE = 0x15;
const ESCAPE = 0x1b;
const DELETE = 0x7f;

/** Standard input, as far as it is used. */
export interface KeyInput extends AsyncIterable<Uint8Array> {
  readonly isTTY?: boolean;
  setRawMode?(on: boolean): unknown;
  pause?(): unknown;
}

/**
 * Standard input that several questions can be asked on: the end of one reading does not close it. Where `signal` aborts, a
 * reading rejects with its reason.
 */
export function standardInput(signal?: AbortSignal): KeyInput {
  const { stdin } = process;
  return {
    isTTY: stdin.isTTY,
    setRawMode: (raw) => stdin.setRawMode(raw),
    pause: () => stdin.pause(),
    async *[Symbol.asyncIterator]() {
      stdin.resume();
      const options = { close: ["end"], ...(signal === undefined ? {} : { signal }) };
      for await (const [chunk] of on(stdin, "data", options)) yield chunk as Uint8Array;
    },
  };
}

/**
 * Asks on the terminal; nothing of what is typed or pasted appears. Null: the person gave up (Ctrl-C, Ctrl-D on an empty
 * line). The terminal is set back whatever happens.
 */
export async function readHidden(input: KeyInput, ask: () => void, maxBytes: number): Promise<Uint8Array | null> {
  input.setRawMode?.(true);
  // After raw mode, so that not even a quick hand's first key is echoed.
  ask();
  const line = new HiddenLine(maxBytes);
  try {
    for await (const chunk of input) {
      const ended = line.type(chunk);
      chunk.fill(0);
      if (ended) return line.take();
    }
    return null;
  } finally {
    line.wipe();
    input.setRawMode?.(false);
    input.pause?.();
  }
}

/** Everything up to the end of the pipe, without one closing line break; longer than `maxBytes` comes back as too long. */
export async function readPiped(input: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(maxBytes + 3);
  let length = 0;
  for await (const chunk of input) {
    const part = chunk.subarray(0, bytes.length - length);
    bytes.set(part, length);
    length += part.length;
    chunk.fill(0);
    if (length === bytes.length) break;
  }
  if (length > 0 && bytes[length - 1] === ENTER) length--;
  if (length > 0 && bytes[length - 1] === RETURN) length--;
  const result = bytes.slice(0, length);
  bytes.fill(0);
  return result;
}

/** A line as it is typed, with the usual editing keys. */
class HiddenLine {
  readonly #bytes: Uint8Array;
  #length = 0;
  #gaveUp = false;
  /** Within an escape sequence (arrows, the marks around a pasted text). */
  #escape: "none" | "begun" | "inside" = "none";

  /** One byte more than allowed is kept, so that "too long" can be told. */
  constructor(maxBytes: number) {
    this.#bytes = new Uint8Array(maxBytes + 1);
  }

  /** True: the line has ended. */
  type(chunk: Uint8Array): boolean {
    for (const byte of chunk) {
      if (this.#escape !== "none") this.#skip(byte);
      else if (byte === ENTER || byte === RETURN) return true;
      else if (byte === INTERRUPT || (byte === END_OF_INPUT && this.#length === 0)) return this.#giveUp();
      else if (byte === END_OF_INPUT) return true;
      else this.#edit(byte);
    }
    return false;
  }

  take(): Uint8Array | null {
    return this.#gaveUp ? null : this.#bytes.slice(0, this.#length);
  }

  wipe(): void {
    this.#bytes.fill(0);
    this.#length = 0;
  }

  #edit(byte: number): void {
    if (byte === BACKSPACE || byte === DELETE) this.#length = Math.max(0, this.#length - 1);
    else if (byte === ERASE_LINE) this.#length = 0;
    else if (byte === ESCAPE) this.#escape = "begun";
    else if (this.#length < this.#bytes.length) this.#bytes[this.#length++] = byte;
  }

  /** ESC [ parameters final-byte (ECMA-48, 5.4), or ESC and one byte. */
  #skip(byte: number): void {
    const isFinal = byte >= 0x40 && byte <= 0x7e;
    if (this.#escape === "begun") this.#escape = byte === 0x5b || byte === 0x4f ? "inside" : "none";
    else if (isFinal) this.#escape = "none";
  }

  #giveUp(): true {
    this.#gaveUp = true;
    return true;
  }
}
