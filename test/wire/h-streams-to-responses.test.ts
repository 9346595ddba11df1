// Streams for Responses clients, from upstreams of every dialect.

import { afterAll, beforeAll, expect } from "bun:test";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { startHouse, type House } from "../fakes/house.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import type { FakeAnswer, Step } from "../fakes/script.ts";
import { functionTool } from "./responses-client.ts";
import { rule } from "./rule.ts";
import { viewOf } from "./stream-text.ts";

/** By the upstream's dialect. */
const models = { messages: "claude-sonnet-4-5", chat: "coder-14b", responses: "gpt-4o-mini" } as const;
const translated = [models.messages, models.chat];

let house: House;
beforeAll(async () => {
  house = await startHouse();
});
afterAll(async () => house[Symbol.asyncDispose]());

const tools: JsonObject[] = [
  functionTool("ls"),
  { type: "namespace", name: "agents", description: "", tools: [functionTool("spawn")] },
];

/** All events of a streamed answer. */
async function streamed(model: string, step: Step, body: JsonObject = {}): Promise<JsonObject[]> {
  house.cloud.respond = step;
  house.local.respond = step;
  const response = await fetch(`${house.gateway.url}/v1/responses`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, input: "Hi", stream: true, store: false, tools, ...body }),
  });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status}: ${text}`);
  for (const block of text.trimEnd().split("\n\n")) {
    const [, event, type] = /^event: (\S+)\ndata: \{"type":"([^"]+)"/.exec(block) ?? [];
    expect(event).toBe(type ?? "no type");
  }
  return [...viewOf("responses", text).data];
}

function typesOf(events: readonly JsonObject[]): string[] {
  return events.map((event) => textOf(event["type"]).replace("response.", ""));
}

/** Events about one item, in order; runs of deltas are one. */
function storyOf(events: readonly JsonObject[], index: number): string[] {
  const types = typesOf(events.filter((event) => event["output_index"] === index));
  return types.filter((type, at) => !type.endsWith(".delta") || types[at - 1] !== type);
}

function doneItems(events: readonly JsonObject[]): JsonObject[] {
  return objectsOf(
    events.filter((event) => event["type"] === "response.output_item.done").map((event) => event["item"]!),
  );
}

function finalOf(events: readonly JsonObject[]): JsonObject {
  return objectOf(events.at(-1)?.["response"]) ?? {};
}

const call = { name: "ls", input: { cmd: 'ls "a b" \\ 🦊' } };
const everything: FakeAnswer = {
  thinking: "First I think about it.",
  text: "Then I say it – in 東京 🦊.",
  toolCalls: [call, { name: "agents__spawn", input: {} }, call],
  usage: { input: 40, output: 25, cacheRead: 8, reasoning: 5 },
};

rule(147, "events count from 0 without a gap, and each names its item by the same index and id", async () => {
  for (const model of Object.values(models)) {
    const events = await streamed(model, { answer: everything });
    expect(events.map((event) => event["sequence_number"])).toEqual(events.map((_, at) => at));
    const ids = new Map<unknown, unknown>();
    let items = 0;
    for (const event of events) {
      if (event["type"] === "response.output_item.added") {
        expect(event["output_index"]).toBe(items++);
        ids.set(event["output_index"], objectOf(event["item"])?.["id"]);
      }
      if (event["output_index"] === undefined) continue;
      expect(ids.get(event["output_index"])).toBe(event["item_id"] ?? objectOf(event["item"])?.["id"]);
      expect([0, undefined]).toContain(event["content_index"] as number | undefined);
    }
    expect(items).toBe(5);
    expect(new Set(ids.values()).size).toBe(5);
  }
});

rule(148, "a message is opened, its part is opened, its text flows, and all is closed in that order", async () => {
  for (const model of translated) {
    const events = await streamed(model, { answer: { text: "One two three, four." } });
    expect(typesOf(events).slice(0, 2)).toEqual(["created", "in_progress"]);
    expect(storyOf(events, 0)).toEqual([
      "output_item.added",
      "content_part.added",
      "output_text.delta",
      "output_text.done",
      "content_part.done",
      "output_item.done",
    ]);
    const deltas = events.filter((event) => event["type"] === "response.output_text.delta");
    expect(deltas.length).toBeGreaterThan(1);
    expect(deltas.map((event) => textOf(event["delta"])).join("")).toBe("One two three, four.");
    expect(events.find((event) => event["type"] === "response.output_text.done")?.["text"]).toBe(
      "One two three, four.",
    );
  }
});

rule(149, "each item is told whole when it is done, before the answer is: clients act on that alone", async () => {
  for (const model of translated) {
    const events = await streamed(model, { answer: everything });
    const types = typesOf(events);
    expect(types.lastIndexOf("output_item.done")).toBe(types.length - 2);
    const items = doneItems(events);
    expect(
      items.map((item) => [item["type"], item["name"] ?? textOf(objectsOf(item["content"])[0]?.["text"])]),
    ).toEqual([
      ["reasoning", ""],
      ["message", everything.text!],
      ["function_call", "ls"],
      ["function_call", "spawn"],
      ["function_call", "ls"],
    ]);
    // The first call is whole before the second begins.
    const begun = events.findIndex((event) => event["output_index"] === 3);
    const done = events.findIndex(
      (event) => event["output_index"] === 2 && event["type"] === "response.output_item.done",
    );
    expect(done).toBeLessThan(begun);
  }
});

rule(
  150,
  "a call begins without arguments, they flow, and its end has them whole with id, name and namespace",
  async () => {
    for (const model of translated) {
      const events = await streamed(model, { answer: { ...everything, thinking: "", text: "" } });
      const first = objectsOf(finalOf(events)["output"]).findIndex((item) => item["type"] === "function_call");
      expect(storyOf(events, first)).toEqual([
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
      ]);
      const of = (type: string, index: number): JsonObject[] =>
        events.filter((event) => event["type"] === `response.${type}` && event["output_index"] === index);
      expect(objectOf(of("output_item.added", first)[0]!["item"])).toMatchObject({ name: "ls", arguments: "" });
      const text = JSON.stringify(call.input);
      expect(
        of("function_call_arguments.delta", first)
          .map((event) => textOf(event["delta"]))
          .join(""),
      ).toBe(text);
      expect(of("function_call_arguments.done", first)).toMatchObject([{ arguments: text, name: "ls" }]);
      const calls = doneItems(events).filter((item) => item["type"] === "function_call");
      expect(calls).toMatchObject([
        { name: "ls", arguments: text, status: "completed" },
        { name: "spawn", namespace: "agents", arguments: "{}" },
        { name: "ls", arguments: text },
      ]);
      expect(calls[0]).not.toHaveProperty("namespace");
      expect(new Set(calls.map((item) => textOf(item["call_id"]))).size).toBe(3);
    }
  },
);

rule(151, "thinking is a reasoning item with a summary that flows and an end that can be sent back", async () => {
  for (const model of translated) {
    const events = await streamed(model, { answer: everything });
    expect(storyOf(events, 0)).toEqual([
      "output_item.added",
      "reasoning_summary_part.added",
      "reasoning_summary_text.delta",
      "reasoning_summary_text.done",
      "reasoning_summary_part.done",
      "output_item.done",
    ]);
    expect(doneItems(events)[0]).toMatchObject({
      type: "reasoning",
      summary: [{ type: "summary_text", text: everything.thinking }],
      encrypted_content: expect.any(String),
    });
  }
});

rule(152, "the last event has the answer's id, its whole output, its state, and its usage or null", async () => {
  for (const model of translated) {
    const events = await streamed(model, { answer: everything });
    expect(events.at(-1)?.["type"]).toBe("response.completed");
    const final = finalOf(events);
    expect(final).toMatchObject({ id: objectOf(events[0]!["response"])?.["id"], status: "completed", model });
    expect(objectsOf(final["output"])).toEqual(doneItems(events));
    expect(final["usage"]).toMatchObject({
      input_tokens: 48,
      input_tokens_details: { cached_tokens: 8 },
      output_tokens: 25,
      total_tokens: 73,
    });
    const unknown = finalOf(await streamed(model, { answer: { text: "Hi.", usage: "missing" } }));
    expect(unknown).toMatchObject({ status: "completed", usage: null });
  }
});

rule(155, "an answer is called incomplete only where its model stopped short, and no limit is made up", async () => {
  const text = "Half of it.";
  for (const model of translated) {
    const events = await streamed(model, { answer: { text, stop: "length" } });
    expect(events.at(-1)?.["type"]).toBe("response.incomplete");
    expect(finalOf(events)).toMatchObject({
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
    });
    expect(doneItems(events)).toMatchObject([{ content: [{ text }] }]);
    const filtered = finalOf(await streamed(model, { answer: { text, stop: "filtered" } }));
    expect(filtered).toMatchObject({ incomplete_details: { reason: "content_filter" } });
  }
  // What Codex sends has no limit, and what a client asks for is lowered by nothing but the window.
  expect((await streamed(models.chat, {})).at(-1)?.["type"]).toBe("response.completed");
  expect(house.local.generations.at(-1)!.json()).not.toHaveProperty("max_tokens");
  await streamed(models.chat, {}, { max_output_tokens: 20_000 });
  expect(house.local.generations.at(-1)!.json()).toMatchObject({ max_tokens: 20_000 });
});

rule(156, "two texts of one answer are two messages, each with its own beginning and end", async () => {
  const block = (index: number, text: string): string[] => [
    messagesEvent("content_block_start", { index, content_block: { type: "text", text: "" } }),
    messagesEvent("content_block_delta", { index, delta: { type: "text_delta", text } }),
    messagesEvent("content_block_stop", { index }),
  ];
  const usage = { input_tokens: 3, output_tokens: 1 };
  const rawBody = [
    messagesEvent("message_start", { message: { id: "msg_1", model: "m", role: "assistant", content: [], usage } }),
    ...block(0, "First."),
    ...block(1, "Second."),
    messagesEvent("message_delta", { delta: { stop_reason: "end_turn", stop_sequence: null }, usage }),
    messagesEvent("message_stop", {}),
  ];
  const events = await streamed(models.messages, { rawBody });
  expect(doneItems(events).map((item) => [item["type"], objectsOf(item["content"])[0]?.["text"]])).toEqual([
    ["message", "First."],
    ["message", "Second."],
  ]);
  expect(storyOf(events, 1)).toEqual(storyOf(events, 0));
  expect(objectsOf(finalOf(events)["output"])).toHaveLength(2);
});

function messagesEvent(type: string, data: JsonObject): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
}

/** What strict clients demand of each kind of item. */
const itemFields: Readonly<Record<string, readonly string[]>> = {
  message: ["id", "role", "status", "content"],
  reasoning: ["id", "summary", "encrypted_content"],
  function_call: ["id", "call_id", "name", "arguments", "status"],
};

rule(157, "every item, part and delta has all the fields that strict clients demand", async () => {
  for (const model of translated) {
    for (const stop of ["end", "length"] as const) {
      const events = await streamed(model, { answer: { ...everything, stop } });
      const items = events.flatMap((event) => objectsOf([event["item"] ?? null]));
      for (const item of [...items, ...objectsOf(finalOf(events)["output"])]) {
        for (const field of itemFields[textOf(item["type"])]!) expect(item).toHaveProperty(field);
        expect(textOf(item["id"])).not.toBe("");
        for (const part of objectsOf(item["content"])) expect(part).toMatchObject({ annotations: [], logprobs: [] });
      }
      for (const event of events) {
        if (/^response\.(?:output_text|content_part|function_call|reasoning)/.test(textOf(event["type"]))) {
          expect(event).toMatchObject({ item_id: expect.any(String), output_index: expect.any(Number) });
        }
        if (event["part"] !== undefined && textOf(objectOf(event["part"])?.["type"]) === "output_text") {
          expect(event["part"]).toMatchObject({ annotations: [] });
        }
      }
      for (const field of ["error", "incomplete_details", "usage", "created_at", "object", "output", "tools"]) {
        expect(finalOf(events)).toHaveProperty(field);
      }
    }
  }
});
