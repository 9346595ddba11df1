// Tool calls as servers should not write them, usage that is missing or lies, and failures that look like answers.

import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { dialects, type TestDialect } from "../fakes/house.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import type { FakeUsage } from "../fakes/script.ts";
import {
  AnswersHouse,
  blocksOf,
  calls,
  choiceOf,
  chunk,
  completion,
  done,
  FALLBACK_TEXT,
  itemsOf,
  type Server,
  type Told,
} from "./answers-house.ts";
import { rule } from "./rule.ts";

setDefaultTimeout(30_000);
let house: AnswersHouse;
beforeAll(async () => {
  house = await AnswersHouse.start();
});
afterAll(async () => house[Symbol.asyncDispose]());

interface Called {
  readonly id: string;
  readonly name: string;
  /** An object, or the text that should hold one. */
  readonly input: unknown;
}

function callsOf(client: TestDialect, told: Told): Called[] {
  switch (client) {
    case "messages":
      return blocksOf(told)
        .filter(({ type }) => type === "tool_use")
        .map(({ id, name, input }) => ({ id: textOf(id), name: textOf(name), input }));
    case "chat":
      return objectsOf(choiceOf(told).message["tool_calls"]).map((call) => {
        const fn = objectOf(call["function"]) ?? {};
        return { id: textOf(call["id"]), name: textOf(fn["name"]), input: fn["arguments"] };
      });
    case "responses":
      return itemsOf(told)
        .filter(({ type }) => type === "function_call")
        .map((item) => ({ id: textOf(item["call_id"]), name: textOf(item["name"]), input: item["arguments"] }));
    default:
      return client satisfies never;
  }
}

function textIn(client: TestDialect, told: Told): string {
  if (client === "messages")
    return blocksOf(told)
      .map(({ text }) => textOf(text))
      .join("");
  if (client === "chat") return textOf(choiceOf(told).message["content"]);
  const parts = itemsOf(told).flatMap(({ content }) => objectsOf(content));
  return parts.map(({ text }) => textOf(text)).join("");
}

/** A Chat server's answer of calls, in both ways; `pieces` cut each call's arguments. */
function bodiesOf(list: readonly JsonObject[], finish = "tool_calls"): { whole: string; stream: string[] } {
  const pieces = list.map((call, index) => calls({ index, ...call }));
  return { whole: completion({ tool_calls: [...list] }, finish), stream: [...pieces, chunk({}, finish), done] };
}

async function toldBoth(
  client: TestDialect,
  server: Server,
  list: readonly JsonObject[],
  asking: object = {},
): Promise<Told[]> {
  const { whole, stream } = bodiesOf(list);
  return [
    await house.ask(client, server, { rawBody: whole, jsonForStream: true }, asking),
    await house.ask(client, server, { rawBody: stream }, { ...asking, stream: true }),
  ];
}

rule(
  103,
  "the input of a call is always JSON of an object: what is broken is mended, and where nothing mends it the call is text",
  async () => {
    const mended: [unknown, JsonObject][] = [
      ['{"city":"Oslo"}', { city: "Oslo" }],
      ["", {}],
      ["null", {}],
      [{ city: "Oslo" }, { city: "Oslo" }],
      ['"{\\"city\\":\\"Oslo\\"}"', { city: "Oslo" }],
      ["{'city': 'Oslo', 'now': True,}", { city: "Oslo", now: true }],
      ['```json\n{"city":"Oslo",}\n```', { city: "Oslo" }],
      ['{"city":"Oslo","days":[1,2', { city: "Oslo", days: [1, 2] }],
      ['{"city":"Os', { city: "Os" }],
    ];
    // A Chat server's answers reach a Chat client translated where a route led to a local one.
    const servers: Readonly<Record<TestDialect, Server>> = { messages: "chat", chat: "home", responses: "chat" };
    for (const client of dialects) {
      for (const [written, input] of mended) {
        const list = [{ id: "a", type: "function", function: { name: "f", arguments: written as string } }];
        for (const told of await toldBoth(client, servers[client], list)) {
          const found = callsOf(client, told)[0]?.input;
          const value: unknown = client === "messages" ? found : JSON.parse(found as string);
          expect([client, written, value]).toEqual([client, written, input]);
          expect(told.fault).toBeNull();
        }
      }
      for (const hopeless of ['{"city":', "[1]", "do it", '{"a":1}{"a":2}']) {
        const list = [{ id: "a", type: "function", function: { name: "f", arguments: hopeless } }];
        for (const told of await toldBoth(client, servers[client], list)) {
          expect([client, hopeless, callsOf(client, told)]).toEqual([client, hopeless, []]);
          expect(textIn(client, told)).toBe(`f(${hopeless})`);
          expect(told.fault).toBeNull();
        }
      }
    }
  },
);

rule(
  104,
  "ids of calls are legal everywhere, and unique in the answer and in the conversation, whatever a local server gives",
  async () => {
    const fn = (n: number): JsonObject => ({ name: `f${n}`, arguments: "{}" });
    const list: JsonObject[] = [
      { id: "call_0", type: "function", function: fn(0) },
      { type: "function", function: fn(1) },
      { id: "call:1/ü", type: "function", function: fn(2) },
      { id: "twice", type: "function", function: fn(3) },
      { id: "twice", type: "function", function: fn(4) },
      { id: "x".repeat(200), type: "function", function: fn(5) },
      { id: "fine-1", type: "function", function: fn(6) },
    ];
    const history = [
      { role: "user", content: "Hi" },
      { role: "assistant", tool_calls: [{ id: "call_0", type: "function", function: fn(0) }] },
      { role: "tool", tool_call_id: "call_0", content: "ok" },
    ];
    const earlier: Readonly<Record<TestDialect, object>> = {
      messages: {
        messages: [
          { role: "user", content: "Hi" },
          { role: "assistant", content: [{ type: "tool_use", id: "call_0", name: "f0", input: {} }] },
          { role: "user", content: [{ type: "tool_result", tool_use_id: "call_0", content: "ok" }] },
        ],
      },
      chat: { messages: history },
      responses: {
        input: [
          { type: "function_call", call_id: "call_0", name: "f0", arguments: "{}" },
          { type: "function_call_output", call_id: "call_0", output: "ok" },
        ],
      },
    };
    for (const client of dialects) {
      for (const told of await toldBoth(client, "home", list, { extra: earlier[client] })) {
        const found = callsOf(client, told);
        expect(found.map(({ name }) => name)).toEqual(list.map((_, n) => `f${n}`));
        const ids = found.map(({ id }) => id);
        for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
        expect(new Set(["call_0", ...ids]).size).toBe(list.length + 1);
        // What could be kept is kept: clients and logs know it.
        expect(ids.slice(3)).toContain("twice");
        expect(ids.at(-1)).toBe("fine-1");
      }
    }
  },
);

rule(
  107,
  "an answer always tells its usage in whole numbers, also where the server told none, or a lie; to Responses clients it may be null then",
  async () => {
    const usages: (FakeUsage | "missing")[] = [
      "missing",
      { input: -5, output: "1.5" },
      { input: "1e999", output: "null" },
      { input: '"7"', output: "1e15", cacheRead: -1, reasoning: "0.1" },
    ];
    const names: Readonly<Record<TestDialect, readonly string[]>> = {
      messages: ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"],
      chat: ["prompt_tokens", "completion_tokens", "total_tokens"],
      responses: ["input_tokens", "output_tokens", "total_tokens"],
    };
    const servers: Readonly<Record<TestDialect, Server>> = { messages: "chat", chat: "messages", responses: "chat" };
    for (const client of dialects) {
      for (const usage of usages) {
        const extra = client === "chat" ? { stream_options: { include_usage: true } } : {};
        const step = { answer: { text: "Hi", usage } };
        const whole = await house.ask(client, servers[client], step);
        const stream = await house.ask(client, servers[client], step, { stream: true, extra });
        for (const told of [whole, stream]) {
          const shown = objectOf(told.answer["usage"]);
          for (const name of names[client]) {
            // Responses clients have a word for what nobody knows.
            const count = client === "responses" && told.answer["usage"] === null ? 0 : shown?.[name];
            expect([client, usage, name, Number.isSafeInteger(count) && Number(count) >= 0]).toEqual([
              client,
              usage,
              name,
              true,
            ]);
          }
        }
      }
    }
  },
);

rule(108, "a 200 that holds an error is a failure, and the next candidate answers", async () => {
  const bodies = [
    '{"error":{"message":"Provider returned error","code":502,"metadata":{"provider_name":"x"}}}',
    completion({ content: "" }, "stop", { error: { message: "Insufficient credits", code: 402 } }),
    '{"error":"model is loading"}',
    '{"object":"error","message":"no","type":"InternalServerError","code":500}',
    '{"choices":[{"index":0,"error":{"code":503,"message":"overloaded"}}]}',
    '{"choices":[{"index":0,"message":{"content":"Half"},"error":{"code":502,"message":"gone"},"finish_reason":"error"}]}',
  ];
  for (const client of dialects) {
    for (const rawBody of bodies) {
      for (const stream of [false, true]) {
        const told = await house.ask(client, "chat", { rawBody, jsonForStream: true }, { stream, alone: true });
        expect([client, rawBody, told.status, textIn(client, told)]).toEqual([client, rawBody, 200, FALLBACK_TEXT]);
        expect(await house.outcomes(told.model)).toEqual(["error_event", "ok"]);
      }
    }
  }
});

rule(109, "a 200 that is no answer at all is a failure, and the next candidate answers", async () => {
  const nonsense = [
    "[]",
    "null",
    '"Hello"',
    "42",
    "{}",
    "<html>tunnel</html>",
    "",
    '{"choices":[]}',
    '{"choices":[{}]}',
  ];
  const others = ['{"type":"message","role":"assistant"}', '{"content":"Hello"}', '{"choices":[{"message":"Hello"}]}'];
  for (const rawBody of [...nonsense, ...others]) {
    for (const server of ["chat", "messages"] as const) {
      const client = server === "chat" ? "messages" : "chat";
      for (const stream of [false, true]) {
        const told = await house.ask(client, server, { rawBody, jsonForStream: true }, { stream, alone: true });
        expect([server, rawBody, told.status, textIn(client, told)]).toEqual([server, rawBody, 200, FALLBACK_TEXT]);
      }
    }
  }
});
