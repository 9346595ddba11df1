// Streams of upstreams that are broken or hostile, through the readers to the clients of every dialect.

import { createParser } from "eventsource-parser";
import { codecs } from "../../src/wire/codecs.ts";
import type { AnswerContext, Dialect, Json, JsonObject, NeutralEvent, SseEvent } from "../../src/wire/neutral.ts";
import { lastEvent } from "../../src/wire/last-event.ts";
import { SseParser } from "../../src/wire/sse.ts";
import { ToolHold } from "../../src/wire/tool-hold.ts";
import { dialects } from "../fakes/house.ts";
import { objectOf, textOf } from "../fakes/json-access.ts";
import { goldenStreams } from "./golden-streams.ts";
import { faultOfText, EventJudge } from "./legal-events.ts";
import { faultOfStream, type WireEvent } from "./legal-streams.ts";
import { mutateJson } from "./mutate-json.ts";
import { createSeededRandom, type SeededRandom } from "./seeded-random.ts";
import { cut } from "./sse.ts";
import type { FuzzTarget } from "./target.ts";

/** One stream: events as objects, or text that is written as it is. */
export interface StreamCase extends JsonObject {
  upstream: Dialect;
  client: Dialect;
  events: Json[];
  /** Where the bytes are cut. */
  seed: number;
  holdsThinking: boolean;
  singleCall: boolean;
  usage: boolean;
}

export const upstreamStreams: FuzzTarget = { name: "upstream-stream", rounds: 3_000, make, judge };

const oddPieces: readonly string[] = [
  ": comment\n\n",
  "\n",
  "data: {oops\n\n",
  "data: [DONE]\n\n",
  "data: null\n\n",
  "data: 7\n\n",
  'data: "text"\n\n',
  "data: []\n\n",
  'data: {"error":"Sad"}\n\n',
  '{"error":{"message":"Sad","code":"503"}}\n\n',
  "event: error\ndata: {}\n\n",
  "event: message_stop\ndata: {}\n\n",
  "event: \ndata: {}\n\n",
];

function make(random: SeededRandom): Json {
  const upstream = random.pick(dialects);
  const streams = goldenStreams[upstream];
  let events = [...random.pick(streams)];
  const foreign = goldenStreams[random.integer(8) === 0 ? random.pick(dialects) : upstream];
  for (let times = random.integer(6); times > 0; times -= 1) events = mutateEvents(events, foreign, random);
  return {
    upstream,
    client: random.pick(dialects),
    events,
    seed: random.integer(1 << 30),
    holdsThinking: random.integer(3) === 0,
    singleCall: random.integer(4) === 0,
    usage: random.integer(2) === 0,
  };
}

function mutateEvents(events: Json[], foreign: readonly (readonly Json[])[], random: SeededRandom): Json[] {
  const at = random.integer(events.length + 1);
  const event = events[at];
  switch (random.integer(9)) {
    case 0:
      return events.toSpliced(at, 1 + random.integer(3));
    case 1:
      return event === undefined ? events : events.toSpliced(random.integer(events.length), 0, event);
    case 2:
      return event === undefined ? events : events.toSpliced(at, 1).toSpliced(random.integer(events.length), 0, event);
    case 3:
      return events.toSpliced(at, 0, random.pick(random.pick(foreign)));
    case 4:
      return events.toSpliced(at, 0, random.pick(oddPieces));
    case 5:
      return random.integer(3) === 0 ? events.slice(0, at) : events;
    default:
      if (event === undefined) return events;
      return events.with(at, typeof event === "string" ? event.slice(1) : mutateEvent(event, random));
  }
}

/** Mostly what the event says; its frame seldom, as that makes another event of it. */
function mutateEvent(event: Json, random: SeededRandom): Json {
  const object = objectOf(event);
  if (object === null || random.integer(10) === 0) return mutateJson(event, random, 1);
  return { ...object, data: mutateJson(object["data"] ?? null, random, 1 + random.integer(2)) };
}

/** As an upstream would write it; what is no event is written as JSON text. */
export function streamText(events: readonly Json[]): string {
  return events
    .map((event) => {
      if (typeof event === "string") return event.toWellFormed();
      const object = objectOf(event);
      const name = textOf(object?.["event"])
        .replaceAll(/[\r\n]/g, "")
        .toWellFormed();
      return `${name === "" ? "" : `event: ${name}\n`}data: ${JSON.stringify(object?.["data"] ?? event)}\n\n`;
    })
    .join("");
}

function judge(input: Json): string | null {
  const one = input as StreamCase;
  const text = streamText(objectsOrTexts(one.events));
  const bytes = new TextEncoder().encode(text);
  const whole = run([bytes], one);
  if (typeof whole.fault === "string") return whole.fault;
  const random = createSeededRandom(one.seed);
  const parts = run(
    cut(bytes, () => 1 + random.integer(40)),
    one,
  );
  if (parts.out !== whole.out) return "other bytes where the stream is cut otherwise";
  // What one piece of text may become: events around it, and whole items behind their deltas.
  if (whole.out.length > 60 * text.length + 50_000) return "an answer that is far larger than what was sent";
  const fault = faultOfText(whole.out, "the stream") ?? faultOfStream(one.client, eventsOf(whole.out), one.usage);
  if (fault !== null) return `${one.upstream} to ${one.client}: ${fault}`;
  return judgePassing(one.upstream, text);
}

function objectsOrTexts(events: Json): Json[] {
  return Array.isArray(events) ? events : [];
}

/** What a client's own parser makes of it. */
function eventsOf(text: string): WireEvent[] {
  const events: WireEvent[] = [];
  const parser = createParser({ onEvent: ({ event, data }) => void events.push({ event, data }) });
  parser.feed(text);
  return events;
}

/** The way of a translated stream, as the gateway's relay drives it. */
function run(chunks: Iterable<Uint8Array>, one: StreamCase): { out: string; fault: string | null } {
  const context = contextOf(one);
  const reader = codecs[one.upstream].createReader();
  const writer = codecs[one.client].createWriter(context);
  const { holdsThinking, singleCall } = one;
  const hold = new ToolHold({ request: context.request, holdsThinking, singleCall });
  const judge = new EventJudge();
  let out = "";
  let stopped = false;
  let over = false;
  const write = (events: readonly NeutralEvent[]): void => {
    for (const event of hold.release(events))
      out += event.type === "error" ? writer.fail(event.fault) : writer.write(event);
  };
  for (const event of read(chunks, one.upstream)) {
    if (over) break;
    const events = reader.read(event);
    for (const neutral of events) {
      const fault = judge.see(neutral);
      if (fault !== null) return { out, fault: `${one.upstream} reader: ${fault}` };
      stopped ||= neutral.type === "stop";
      over ||= neutral.type === "end" || neutral.type === "error";
    }
    write(events);
  }
  if (!over && stopped) write([{ type: "end" }]);
  else if (!over) write([{ type: "error", fault: { status: 502, code: undefined, message: "Cut." } }]);
  return { out, fault: null };
}

function* read(chunks: Iterable<Uint8Array>, upstream: Dialect): Generator<SseEvent> {
  const parser = new SseParser();
  for (const chunk of chunks) yield* parser.push(chunk);
  const tail = parser.end();
  const last = tail === null ? null : lastEvent(upstream, tail);
  if (last !== null) yield last;
}

/** Same dialect on both sides: only the model may differ from what came. */
function judgePassing(dialect: Dialect, text: string): string | null {
  const context = { model: "asked", includeUsage: true };
  for (const event of read([new TextEncoder().encode(text)], dialect)) {
    const passed = codecs[dialect].patchEvent(event, context);
    if (passed === null) return "an event that is hidden from a client who wants it";
    if (passed === event.raw) continue;
    const [seen] = eventsOf(passed);
    if (dialect === "chat" && seen?.data === "[DONE]") continue;
    const before = JSON.parse(event.data) as Json;
    const after = JSON.parse(seen?.data ?? "null") as Json;
    if (withModel(before) !== withModel(after)) return "an event that says something else when passed on";
  }
  return null;
}

/** As text, with every `model` at the places where a dialect names it made the same. */
function withModel(value: Json): string {
  const object = objectOf(value);
  if (object === null) return JSON.stringify(value);
  const same = (inner: Json | undefined): Json | undefined =>
    objectOf(inner)?.["model"] === undefined ? inner : { ...objectOf(inner), model: "" };
  const rest = { ...object, message: same(object["message"]) ?? null, response: same(object["response"]) ?? null };
  return JSON.stringify(same(rest) ?? null);
}

const tools: JsonObject[] = [
  { type: "function", name: "get_weather", parameters: { type: "object", properties: {} } },
  { type: "custom", name: "apply_patch" },
  { type: "namespace", name: "agents", tools: [{ type: "function", name: "spawn", parameters: {} }] },
];

const request = codecs.responses.toNeutral({ model: "asked", input: "hi", tools });

function contextOf(one: StreamCase): AnswerContext {
  return { model: "asked", id: "01FUZZ", createdAt: 1_790_000_000, includeUsage: one.usage, request };
}
