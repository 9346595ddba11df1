// The SSE parser against streams made of awkward pieces, cut at random: the same events as uncut, every byte accounted
// for, and the same messages as an independent parser (eventsource-parser).

import { createParser } from "eventsource-parser";
import type { SseEvent } from "../../src/wire/neutral.ts";
import { SseParser } from "../../src/wire/sse.ts";
import { objectOf, textOf } from "../fakes/json-access.ts";
import { type SeededRandom, createSeededRandom } from "./seeded-random.ts";
import type { FuzzTarget } from "./target.ts";

const fields = "data:|data: |data|event: |event:ping|id: 1|retry: 5|: comment|:|dat|datax: 1| data: 1";
const contents = '{}|{"a":"b"}|[DONE]|x|é|预算|😀|e\u0301|\u2028|message_stop|data: one\ndata: two\n\n';
const pieces: readonly string[] = [
  ...fields.split("|"),
  ...contents.split("|"),
  "\n",
  "\n",
  "\n\n",
  "\r\n",
  "\r\n\r\n",
  "\r",
  "\r\r",
  "\n\r",
  " ",
  "\ufeff",
  "\t",
];

export interface ParsedStream {
  readonly events: SseEvent[];
  /** The `raw` of everything, in order. */
  readonly raw: string;
}

/** Runs the chunks through a fresh parser, its end included. */
export function parseChunks(chunks: Iterable<Uint8Array>): ParsedStream {
  const parser = new SseParser();
  const events: SseEvent[] = [];
  for (const chunk of chunks) events.push(...parser.push(chunk));
  const last = parser.end();
  if (last !== null) events.push(last);
  return { events, raw: events.map((event) => event.raw).join("") };
}

/** The bytes in chunks whose sizes `nextSize` gives. */
export function* cut(bytes: Uint8Array, nextSize: () => number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + Math.max(1, nextSize()));
    yield bytes.subarray(at, end);
    at = end;
  }
}

/** What an independent parser makes of the text: events with data, the unterminated last one left out. */
export function referenceEvents(text: string): { event: string | undefined; data: string }[] {
  const events: { event: string | undefined; data: string }[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => {
      if (data !== "") events.push({ event, data });
    },
  });
  parser.feed(text);
  return events;
}

export const sseStreams: FuzzTarget = {
  name: "sse",
  rounds: 4_000,
  make: (random) => ({ text: compose(random), seed: random.integer(1 << 30) }),
  judge: (input) => {
    const object = objectOf(input);
    return judge(textOf(object?.["text"]), createSeededRandom(Number(object?.["seed"] ?? 0)));
  },
};

/** Throws an Error that names seed and round where a rule does not hold. */
export function fuzzSse(seed: number, iterations: number): void {
  const random = createSeededRandom(seed);
  for (let round = 0; round < iterations; round += 1) {
    const text = compose(random);
    const problem = judge(text, random);
    if (problem !== null) throw new Error(`seed ${seed}, round ${round}: ${problem}: ${JSON.stringify(text)}`);
  }
}

function compose(random: SeededRandom): string {
  let text = "";
  for (let count = 1 + random.integer(24); count > 0; count -= 1) text += random.pick(pieces);
  return text;
}

function judge(text: string, random: SeededRandom): string | null {
  const bytes = new TextEncoder().encode(text);
  const whole = parseChunks([bytes]);
  if (whole.raw !== text) return "the raw parts are not the input";
  const largest = 1 + random.integer(9);
  const parts = parseChunks(cut(bytes, () => random.integer(largest + 1)));
  if (!Bun.deepEquals(parts, whole, true)) return "the cut stream gives other events";
  // The last event counts for the other parser where it is terminated, which a blank line of ours makes sure.
  const closed = `${text}\n\n`;
  const ours = parseChunks([new TextEncoder().encode(closed)]).events;
  const messages = ours.filter(({ data }) => data !== "").map(({ event, data }) => ({ event, data }));
  if (!Bun.deepEquals(messages, referenceEvents(closed), false)) return "the independent parser sees other events";
  return null;
}
