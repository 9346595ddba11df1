// Any client, any model: each vendor's own SDK against upstreams of every dialect, streamed and in one piece. What the
// program gets is the same whoever answers, and what the upstream gets is legal in its own dialect (the fake refuses what
// the vendor would refuse).

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { dialects, routeOf, startHouse, type House, type TestDialect } from "../fakes/house.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import type { RecordedRequest } from "../fakes/provider.ts";
import type { FakeAnswer } from "../fakes/script.ts";
import { sdkTalks, SYSTEM, type Talk, type Told } from "../fakes/sdk-talks.ts";

setDefaultTimeout(30_000);

interface Scene {
  /** What the upstream answers, request by request. */
  readonly answers: readonly FakeAnswer[];
  readonly tools?: boolean;
  readonly think?: boolean;
  /** What the program does; what it was told is checked against `told`. */
  readonly play: (talk: Talk) => Promise<Told[]>;
  readonly told: readonly Partial<Told>[];
  /** Of the requests that the upstream got, in its own words. */
  readonly sent?: (requests: readonly JsonObject[], upstream: TestDialect, client: TestDialect) => void;
}

const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const usage = { input: 40, cacheRead: 8, output: 12 } as const;
const toldUsage = { input: 48, cached: 8, output: 12 };
const text = 'Grüße aus 東京 🦊: "quoted", \\ and\na new line.';
const calls = [
  { id: "call_oslo", name: "weather", input: { city: "Oslo", deep: { list: [1, "zwei", null], text: 'a "b" \\' } } },
  { id: "call_rome", name: "time_of_day", input: { city: "Rome" } },
];
const results = [
  { id: "call_rome", text: "no such clock", failed: true },
  { id: "call_oslo", text: "rain 🌧", failed: false },
];

const scenes: Readonly<Record<string, Scene>> = {
  "a text and its usage": {
    answers: [{ text, usage }],
    play: async (talk) => [await talk.say("Hello.")],
    told: [{ text, calls: [], ended: "done", usage: toldUsage }],
    sent: ([request], upstream) => expect(systemOf[upstream](request!)).toBe(SYSTEM),
  },
  "two calls at once, their results in another order, one of them a failure": {
    tools: true,
    answers: [
      { text: "I look.", toolCalls: calls, usage },
      { text: "It rains.", usage },
    ],
    play: async (talk) => [await talk.say("How is it?"), await talk.give(results)],
    told: [
      { text: "I look.", calls, ended: "calls", usage: toldUsage },
      { text: "It rains.", calls: [], ended: "done" },
    ],
    sent: ([first, second], upstream, client) => {
      expect(toolsOf[upstream](first!)).toEqual(["weather", "time_of_day"]);
      expect(callsOf[upstream](second!)).toEqual(calls);
      const given = resultsOf[upstream](second!);
      expect(given["call_oslo"]).toEqual({ text: "rain 🌧", failed: false });
      // Only Messages has a word for a failure; programs of the others say it in the text, and so does the gateway.
      expect(given["call_rome"]?.text).toEndWith("no such clock");
      expect(given["call_rome"]?.failed).toBe(client === "messages");
    },
  },
  "a call without text or arguments": {
    tools: true,
    answers: [
      { text: "", toolCalls: [{ id: "call_a", name: "weather", input: {} }], usage },
      { text: "Fine.", usage },
    ],
    play: async (talk) => [await talk.say("How is it?"), await talk.give([{ id: "call_a", text: "", failed: false }])],
    told: [
      { text: "", calls: [{ id: "call_a", name: "weather", input: {} }], ended: "calls" },
      { text: "Fine.", ended: "done" },
    ],
  },
  "thinking before the text, and a second turn with it in the history": {
    think: true,
    answers: [
      { thinking: "Let me think 🤔 about it.", text, usage: { ...usage, reasoning: 5 } },
      { text: "Yes.", usage },
    ],
    play: async (talk) => [await talk.say("Why?"), await talk.say("Sure?")],
    told: [
      { thinking: "Let me think 🤔 about it.", text, ended: "done", usage: toldUsage },
      { thinking: "", text: "Yes.", ended: "done" },
    ],
    sent: (requests, upstream) => {
      for (const request of requests) expect(thinks[upstream](request)).toBe(true);
      // Thinking is no text: where it can't go back as what it is, it stays away.
      expect(visibleOf(requests[1]!)).toContain(text);
      expect(visibleOf(requests[1]!)).not.toContain("Let me think");
    },
  },
  "thinking before calls": {
    think: true,
    tools: true,
    answers: [
      { thinking: "I need both.", text: "", toolCalls: calls, usage },
      { text: "Done.", usage },
    ],
    play: async (talk) => [await talk.say("How is it?"), await talk.give(results)],
    told: [
      { thinking: "I need both.", calls, ended: "calls" },
      { text: "Done.", ended: "done" },
    ],
  },
  "a picture": {
    answers: [{ text: "A dot.", usage }],
    play: async (talk) => [await talk.say("What is it?", PNG)],
    told: [{ text: "A dot.", ended: "done", usage: toldUsage }],
    sent: ([request], upstream) => expect(pictureOf[upstream](request!)).toBe(PNG),
  },
  "an answer that is cut by its limit": {
    answers: [{ text: "Half of", stop: "length", usage }],
    play: async (talk) => [await talk.say("Tell me.")],
    told: [{ text: "Half of", ended: "length", usage: toldUsage }],
  },
  "a refusal": {
    answers: [{ text: "I can't.", stop: "filtered", usage }],
    play: async (talk) => [await talk.say("Tell me.")],
    told: [{ text: "I can't.", ended: "refused", usage: toldUsage }],
  },
};

/** Model by the dialect of its upstream: one that has all abilities, at a provider whose habits are known. */
const upstreams = {
  messages: { name: "via-messages", provider: "anthropic", model: "claude-sonnet-4-5" },
  chat: { name: "via-chat", provider: "openrouter", model: "some/model" },
  responses: { name: "via-responses", provider: "openai", model: "gpt-5.5" },
} as const;

let house: House;
beforeAll(async () => {
  const price = { input: 3, output: 15, cache_read: 0.3, cache_write: 3.75 };
  house = await startHouse({
    config: ({ cloud }) => ({
      providers: {
        anthropic: { url: cloud, dialects: ["messages"], key: "none" },
        openrouter: { url: `${cloud}/v1`, dialects: ["chat"], key: "none" },
        openai: { url: `${cloud}/v1`, dialects: ["responses"], key: "none" },
      },
      models: Object.fromEntries(Object.values(upstreams).map(({ name, ...entry }) => [name, { ...entry, price }])),
      fallback: [],
    }),
  });
});
afterAll(async () => house[Symbol.asyncDispose]());

for (const client of dialects) {
  describe(`the SDK of ${client}`, () => {
    for (const upstream of dialects) {
      for (const stream of [false, true]) {
        for (const [name, scene] of Object.entries(scenes)) {
          test(`${name}: from ${upstream}, ${stream ? "streamed" : "whole"}`, async () => {
            const requests = await check(scene, client, upstream, stream);
            scene.sent?.(
              requests.map((request) => request.json()),
              upstream,
              client,
            );
          });
        }
      }
    }
  });
}

async function check(
  scene: Scene,
  client: TestDialect,
  upstream: TestDialect,
  stream: boolean,
): Promise<RecordedRequest[]> {
  const { cloud, gateway } = house;
  const before = cloud.generations.length;
  cloud.script.push(...scene.answers.map((answer) => ({ answer })));
  const model = upstreams[upstream].name;
  const talk = sdkTalks[client]({
    baseUrl: gateway.url,
    model,
    stream,
    tools: scene.tools === true,
    think: scene.think === true,
  });
  const told = await scene.play(talk).finally(() => cloud.script.splice(0));
  expect(told).toMatchObject(scene.told.map((one) => ({ ...one, model })));
  const requests = cloud.generations.slice(before);
  expect(requests.map((request) => request.target.replace(/\?.*/, ""))).toEqual(
    scene.answers.map(() => routeOf[upstream]),
  );
  for (const request of requests) {
    expect(request.faults).toEqual([]);
    expect(request.json()).toMatchObject({ model: upstreams[upstream].model });
    expect(request.json()["stream"] === true).toBe(stream);
  }
  return requests;
}

describe("stop sequences, which Responses has no field for, are honoured there all the same", () => {
  for (const client of ["messages", "chat"] as const) {
    for (const stream of [false, true]) {
      test(`${client}, ${stream ? "streamed" : "whole"}`, async () => {
        const model = upstreams.responses.name;
        const ended = client === "messages" ? "stopped" : "done";
        for (const [said, left] of [
          ["One\nEND two", "One"],
          ["One\nEN and on", "One\nEN and on"],
        ] as const) {
          house.cloud.script.push({ answer: { text: said, usage, pieceLength: 3 } });
          const options = { baseUrl: house.gateway.url, model, stream, tools: false, think: false };
          const told = await sdkTalks[client]({ ...options, stop: ["\nEND", "never"] }).say("Count.");
          // What was cut away was generated, and is paid for.
          expect(told).toMatchObject({ text: left, ended: said === left ? "done" : ended, usage: toldUsage });
        }
      });
    }
  }
});

type Reading<T> = Readonly<Record<TestDialect, (request: JsonObject) => T>>;

function joined(content: unknown): string {
  if (typeof content === "string") return content;
  return objectsOf(content as JsonObject[])
    .map((part) => textOf(part["text"]))
    .join("");
}

const systemOf: Reading<string> = {
  messages: ({ system }) => joined(system),
  chat: ({ messages }) => joined(objectsOf(messages).find((message) => message["role"] === "system")?.["content"]),
  responses: ({ instructions }) => textOf(instructions),
};

const toolsOf: Reading<string[]> = {
  messages: ({ tools }) => objectsOf(tools).map((tool) => textOf(tool["name"])),
  chat: ({ tools }) => objectsOf(tools).map((tool) => textOf(objectOf(tool["function"])?.["name"])),
  responses: ({ tools }) => objectsOf(tools).map((tool) => textOf(tool["name"])),
};

/** The calls in the history. */
const callsOf: Reading<{ id: string; name: string; input: unknown }[]> = {
  messages: ({ messages }) =>
    objectsOf(messages)
      .flatMap(({ content }) => objectsOf(content))
      .filter((block) => block["type"] === "tool_use")
      .map(({ id, name, input }) => ({ id: textOf(id), name: textOf(name), input })),
  chat: ({ messages }) =>
    objectsOf(messages)
      .flatMap(({ tool_calls }) => objectsOf(tool_calls))
      .map((call) => ({ id: textOf(call["id"]), ...called(objectOf(call["function"])!) })),
  responses: ({ input }) =>
    objectsOf(input)
      .filter((item) => item["type"] === "function_call")
      .map((item) => ({ id: textOf(item["call_id"]), ...called(item) })),
};

function called({ name, arguments: json }: JsonObject): { name: string; input: unknown } {
  return { name: textOf(name), input: JSON.parse(textOf(json)) as unknown };
}

type Given = Readonly<Record<string, { text: string; failed: boolean }>>;

const resultsOf: Reading<Given> = {
  messages: ({ messages }) =>
    Object.fromEntries(
      objectsOf(messages)
        .flatMap(({ content }) => objectsOf(content))
        .filter((block) => block["type"] === "tool_result")
        .map((block) => [block["tool_use_id"], { text: joined(block["content"]), failed: block["is_error"] === true }]),
    ) as Given,
  chat: ({ messages }) =>
    Object.fromEntries(
      objectsOf(messages)
        .filter((message) => message["role"] === "tool")
        .map((message) => [textOf(message["tool_call_id"]), marked(textOf(message["content"]))]),
    ),
  responses: ({ input }) =>
    Object.fromEntries(
      objectsOf(input)
        .filter((item) => item["type"] === "function_call_output")
        .map((item) => [textOf(item["call_id"]), marked(textOf(item["output"]))]),
    ),
};

function marked(text: string): { text: string; failed: boolean } {
  return { text, failed: text.startsWith("[tool error]") };
}

const thinks: Reading<boolean> = {
  messages: ({ thinking }) => objectOf(thinking)?.["type"] === "enabled",
  chat: ({ reasoning, reasoning_effort }) => reasoning !== undefined || reasoning_effort !== undefined,
  responses: ({ reasoning }) => textOf(objectOf(reasoning)?.["effort"]) === "low",
};

/** All texts that the model reads as what was said. */
function visibleOf(request: JsonObject): string {
  const turns = [...objectsOf(request["messages"]), ...objectsOf(request["input"])];
  return turns.map((turn) => (turn["type"] === "reasoning" ? "" : joined(turn["content"]))).join("\n");
}

const pictureOf: Reading<string | undefined> = {
  messages: (request) => {
    const source = objectOf(partsOf(request).find((part) => part["type"] === "image")?.["source"]);
    return source?.["media_type"] === "image/png" ? textOf(source["data"]) : undefined;
  },
  chat: (request) =>
    dataOf(objectOf(partsOf(request).find((part) => part["type"] === "image_url")?.["image_url"])?.["url"]),
  responses: (request) => dataOf(partsOf(request).find((part) => part["type"] === "input_image")?.["image_url"]),
};

function partsOf(request: JsonObject): JsonObject[] {
  return [...objectsOf(request["messages"]), ...objectsOf(request["input"])].flatMap((turn) =>
    objectsOf(turn["content"]),
  );
}

function dataOf(url: unknown): string | undefined {
  return typeof url === "string" ? /^data:image\/png;base64,(.*)$/.exec(url)?.[1] : undefined;
}
