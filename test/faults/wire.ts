// The answer that a provider gives without any fault, and where in it what begins and ends.

import { renderChat } from "../fakes/chat-wire.ts";
import { headText } from "../fakes/connection.ts";
import type { TestDialect } from "../fakes/house.ts";
import { renderMessages } from "../fakes/messages-wire.ts";
import { chunk } from "../fakes/play.ts";
import type { RawAct } from "../fakes/raw-acts.ts";
import { renderResponses } from "../fakes/responses-wire.ts";
import { pieces, type FakeAnswer, type Rendered } from "../fakes/script.ts";
import type { Reading } from "./reading.ts";

/** Long enough that the first two kilobytes of every stream end inside of it, with characters of one to four bytes. */
export const CLOUD_TEXT =
  "Der Fuchs 🦊 – fährt über 東京 nach Tromsø: snø i sikte, minus elf Grad. Naïve façade, 42 € la nuit; Ελλάδα, Россия, 预算. " +
  "Then it turns north again, past the last lamp, and what it says there is for nobody but you alone.";
export const INPUT_TOKENS = 27;
export const OUTPUT_TOKENS = 66;
/** The provider's own name of its model, the same everywhere, so that every answer has the same bytes. */
export const UPSTREAM_MODEL = "fault-model";

export interface Wire extends Rendered {
  readonly dialect: TestDialect;
  readonly stream: boolean;
  /** Index of the first event with content. */
  readonly first: number;
  /** Of the first event behind the last content. */
  readonly done: number;
  /** Of the event with the reason to stop. */
  readonly stop: number;
  /** Of the terminal event. */
  readonly last: number;
}

/** `answer` is laid over the usual one. */
export function wireOf(dialect: TestDialect, stream: boolean, answer: FakeAnswer = {}): Wire {
  const full: FakeAnswer = { text: CLOUD_TEXT, usage: { input: INPUT_TOKENS, output: OUTPUT_TOKENS }, ...answer };
  const { json, events } = rendered(dialect, full);
  const last = events.length - 1;
  const first = { messages: 2, chat: 1, responses: 4 }[dialect];
  const done = { messages: last - 2, chat: last - 2, responses: last - 3 }[dialect];
  const stop = { messages: last - 1, chat: last - 2, responses: last }[dialect];
  return { dialect, stream, json, events, first, done, stop, last };
}

function rendered(dialect: TestDialect, answer: FakeAnswer): Rendered {
  if (dialect === "messages") return renderMessages(answer, UPSTREAM_MODEL, 7);
  if (dialect === "responses") return renderResponses(answer, UPSTREAM_MODEL, 7);
  return renderChat(answer, UPSTREAM_MODEL, 7, true);
}

export const streamHead = headText(200, {
  "content-type": "text/event-stream; charset=utf-8",
  "transfer-encoding": "chunked",
});

export function jsonHead(length: number | string, headers: Record<string, string> = {}): string {
  return headText(200, { "content-type": "application/json", ...headers, "content-length": String(length) });
}

/** The bytes of the first `count` events. */
export function bytesOf(events: readonly string[], count = events.length): Buffer {
  return Buffer.from(events.slice(0, count).join(""), "utf8");
}

/** A stream of `bytes`, in one write. */
export function streamed(bytes: Uint8Array, ...rest: readonly RawAct[]): RawAct[] {
  return [{ write: Buffer.concat([Buffer.from(streamHead), framed(bytes)]) }, ...rest];
}

/** Waits until the client has got what the first `count` events say: the runtime throws away what comes with an end. */
export function arrival(wire: Wire, count: number, reading: Reading): RawAct[] {
  const marker = markerOf(wire, count);
  return marker === null ? [] : [{ wait: (signal) => reading.until(marker, signal) }];
}

function markerOf(wire: Wire, count: number): RegExp | null {
  if (count <= wire.first) return null;
  if (count > wire.last) return /message_stop|\[DONE\]|response\.completed/;
  // What comes behind the last words comes with them.
  const piece = pieces(CLOUD_TEXT, 8)[Math.min(count, wire.done) - 1 - wire.first] ?? "";
  return new RegExp(RegExp.escape(JSON.stringify(piece)));
}

function framed(bytes: Uint8Array): Uint8Array {
  return bytes.length === 0 ? bytes : chunk(bytes);
}

export const endOfChunks: RawAct = { write: "0\r\n\r\n" };

/** What part of the answer's content the first `count` events hold. */
export function shareOf(wire: Wire, count: number): number {
  const sent = Math.min(Math.max(count - wire.first, 0), wire.done - wire.first);
  return sent / (wire.done - wire.first);
}

/** A text in which a byte comes that no UTF-8 has: decoders put a replacement character there. */
export const BAD_TEXT = `${CLOUD_TEXT}\ufffd`;

export function withBadBytes(text: string): Uint8Array {
  return Buffer.concat(
    text.split("\ufffd").flatMap((piece, n) => [Buffer.from(n === 0 ? [] : [0xff]), Buffer.from(piece)]),
  );
}
