// A Chat request on its way to a Messages server: tools and settings, by the rules of wire.md B.

import { describe, expect, test } from "bun:test";
import { chatCodec } from "../chat/index.ts";
import type { Json, JsonObject } from "../neutral.ts";
import { messagesCodec } from "./index.ts";
import { claudeGeneration } from "../profiles/claude-models.ts";

function translate(changes: JsonObject, model = "claude-sonnet-4-5", maxOutputTokens?: number): JsonObject {
  const body = { model: "x", messages: [{ role: "user", content: "hi" }], ...changes };
  return messagesCodec.fromNeutral(chatCodec.toNeutral(body), { profile: "anthropic", model, maxOutputTokens });
}

const user = (content: Json): JsonObject => ({ role: "user", content });
const call = (id: string, args = "{}", name = "f"): JsonObject => ({
  id,
  type: "function",
  function: { name, arguments: args },
});
const calls = (...tool_calls: Json[]): JsonObject => ({ role: "assistant", content: null, tool_calls });
const answer = (tool_call_id: string, content: Json = "ok"): JsonObject => ({ role: "tool", tool_call_id, content });
const tool = { type: "function", function: { name: "f", parameters: { type: "object", properties: {} } } };

describe("Chat to Messages, tools and settings", () => {
  test("B53: missing parameters become an empty object schema", () => {
    const body = translate({ tools: [{ type: "function", function: { name: "f", strict: true } }] });
    const schema = { type: "object", properties: {} };
    expect(body["tools"]).toEqual([
      { name: "f", input_schema: { ...schema, additionalProperties: false }, strict: true },
    ]);
    const older = translate(
      { tools: [{ type: "function", function: { name: "f", strict: true } }] },
      "claude-3-7-sonnet",
    );
    expect(older["tools"]).toEqual([{ name: "f", input_schema: schema }]);
  });

  test("B55: a custom tool becomes a function with one string field, and is one again in the answer", () => {
    const body = { model: "x", messages: [user("hi")], tools: [{ type: "custom", custom: { name: "sh" } }] };
    const request = chatCodec.toNeutral(body);
    const sent = messagesCodec.fromNeutral(request, { profile: "anthropic", model: "m", maxOutputTokens: 9 });
    expect(sent["tools"]).toEqual([
      { name: "sh", input_schema: { type: "object", properties: { input: { type: "string" } }, required: ["input"] } },
    ]);
    const reply = messagesCodec.answerToNeutral({
      content: [{ type: "tool_use", id: "a", name: "sh", input: { input: "ls" } }],
      stop_reason: "tool_use",
    });
    if ("fault" in reply) throw new Error("no answer");
    const context = { model: "x", id: "1", createdAt: 1, includeUsage: false, request };
    expect(JSON.stringify(chatCodec.answerFromNeutral(reply, context))).toContain(
      '"tool_calls":[{"id":"a","type":"custom","custom":{"name":"sh","input":"ls"}}]',
    );
  });

  test("B56: the choice of a tool is mapped, and a forced one yields to thinking", () => {
    const choose = (tool_choice: Json, rest: JsonObject = {}): Json | undefined =>
      translate({ tools: [tool], tool_choice, ...rest })["tool_choice"];
    expect(choose("auto")).toEqual({ type: "auto" });
    expect(choose("none")).toEqual({ type: "none" });
    expect(choose("required")).toEqual({ type: "any" });
    expect(choose({ type: "function", function: { name: "f" } })).toEqual({ type: "tool", name: "f" });
    expect(choose("required", { reasoning_effort: "high", max_tokens: 20_000 })).toEqual({ type: "auto" });
    const allowed = { type: "allowed_tools", allowed_tools: { mode: "required", tools: [tool] } };
    const other = { type: "function", function: { name: "g" } };
    const body = translate({ tools: [tool, other], tool_choice: allowed });
    expect(body["tools"]).toHaveLength(1);
    expect(body["tool_choice"]).toEqual({ type: "any" });
  });

  test("B57: forbidden parallel calls bring a choice along", () => {
    expect(translate({ tools: [tool], parallel_tool_calls: false })["tool_choice"]).toEqual({
      type: "auto",
      disable_parallel_tool_use: true,
    });
  });

  test("B58: the dialect's limit is always there", () => {
    expect(translate({})["max_tokens"]).toBe(4096);
    expect(translate({ max_completion_tokens: 7 })["max_tokens"]).toBe(7);
    expect(translate({ max_tokens: 7 }, "claude-sonnet-4-5", 5)["max_tokens"]).toBe(5);
  });

  test("B59: stop becomes stop_sequences, blank ones go", () => {
    expect(translate({ stop: "a" })["stop_sequences"]).toEqual(["a"]);
    expect(translate({ stop: ["a", "\n"] })["stop_sequences"]).toEqual(["a"]);
    expect(translate({ stop: ["\n"] })).not.toHaveProperty("stop_sequences");
  });

  test("B60: sampling is clamped for older models and dropped from 4.7 on", () => {
    expect(translate({ temperature: 1.5, top_p: 0.5 })).toMatchObject({ temperature: 1 });
    expect(translate({ temperature: 1.5, top_p: 0.5 })).not.toHaveProperty("top_p");
    for (const model of ["claude-opus-4-7", "claude-sonnet-5"]) {
      expect(translate({ temperature: 0.5 }, model)).not.toHaveProperty("temperature");
    }
  });

  test("B61: several answers are refused, other odds and ends are left out", () => {
    expect(() => translate({ n: 2 })).toThrow("n: ");
    const body = translate({
      n: 1,
      logprobs: true,
      seed: 1,
      logit_bias: {},
      presence_penalty: 1,
      store: true,
    });
    expect(Object.keys(body).toSorted()).toEqual(["max_tokens", "messages", "model"]);
  });

  test("B62: a schema closes its objects, json_object is an instruction", () => {
    const schema = { type: "object", properties: { a: { type: "array", items: { type: "object" } } } };
    const response_format = { type: "json_schema", json_schema: { name: "n", schema, strict: true } };
    expect(translate({ response_format })["output_config"]).toEqual({
      format: {
        type: "json_schema",
        schema: {
          type: "object",
          properties: { a: { type: "array", items: { type: "object", additionalProperties: false } } },
          additionalProperties: false,
        },
      },
    });
    expect(JSON.stringify(translate({ response_format: { type: "json_object" } })["system"])).toContain("JSON");
  });

  test("B63: effort becomes adaptive thinking on newer models and a budget on older ones", () => {
    expect(translate({ reasoning_effort: "xhigh" }, "claude-opus-5-5")).toMatchObject({
      thinking: { type: "adaptive" },
      output_config: { effort: "xhigh" },
    });
    expect(translate({ reasoning_effort: "minimal" }, "claude-opus-4-6")["output_config"]).toEqual({ effort: "low" });
    expect(translate({ reasoning_effort: "none" }, "claude-opus-5-5")["thinking"]).toEqual({ type: "disabled" });
    expect(translate({ reasoning_effort: "high", max_tokens: 60_000 })["thinking"]).toEqual({
      type: "enabled",
      budget_tokens: 24_576,
    });
    expect(translate({ reasoning_effort: "high", max_tokens: 10_000 })["thinking"]).toEqual({
      type: "enabled",
      budget_tokens: 5_000,
    });
    expect(translate({ reasoning_effort: "high", max_tokens: 1_500 })).not.toHaveProperty("thinking");
    expect(translate({ reasoning_effort: "high" }, "some-local")).not.toHaveProperty("thinking");
  });

  test("a budget is not asked for where the tool turn under way began without thinking", () => {
    const messages = [user("go"), calls(call("a")), answer("a")];
    const body = translate({ messages, tools: [tool], reasoning_effort: "high", max_tokens: 60_000 });
    expect(body).not.toHaveProperty("thinking");
  });

  test("generations are read from all ways to write a model's name", () => {
    const names: [string, number | undefined][] = [
      ["claude-opus-4-6", 4.6],
      ["claude-sonnet-4-20250514", 4],
      ["claude-opus-4-1-20250805", 4.1],
      ["claude-3-5-haiku-20241022", 3.5],
      ["anthropic/claude-opus-4.7", 4.7],
      ["claude-sonnet-5", 5],
      ["qwen3", undefined],
    ];
    for (const [name, generation] of names) expect(claudeGeneration(name)).toBe(generation);
  });
});

test("a schema that leaves an object open is an instruction, since closed the object could only be empty", () => {
  const schema = { type: "object", properties: { meta: { type: "object" } } };
  const body = translate({ response_format: { type: "json_schema", json_schema: { name: "n", schema } } });
  expect(body["output_config"]).toBeUndefined();
  expect(JSON.stringify(body["system"])).toContain("meta");
});

test("a conversation that the assistant begins gets a user turn before it", () => {
  const greeting = { role: "assistant", content: "How can I help?" };
  const { messages } = translate({ messages: [{ role: "system", content: "s" }, greeting, user("hi")] });
  expect((messages as JsonObject[]).map((turn) => turn["role"])).toEqual(["user", "assistant", "user"]);
  // Also where there is nothing else, and the answer is to carry it on.
  const begun = translate({ messages: [greeting] })["messages"] as JsonObject[];
  expect(begun.map((turn) => turn["role"])).toEqual(["user", "assistant"]);
});

describe("Chat to Messages, faulty requests", () => {
  const wrong: [JsonObject, string][] = [
    [{ messages: [user("a"), { role: "alien", content: "b" }] }, "messages.1.role: expected system"],
    [{ messages: [user({ a: 1 })] }, "messages.0.content: expected a string or an array of parts"],
    [{ messages: [user([{ type: "hologram" }])] }, "messages.0.content.0.type: expected text, image_url or file"],
    [{ messages: [user([{ type: "text", text: 5 }])] }, "messages.0.content.0.text: expected a string"],
    [{ messages: [{ role: "tool", content: "x" }] }, "messages.0.tool_call_id: expected a string"],
    [{ messages: [calls({ id: "a" })] }, "messages.0.tool_calls.0.function: expected an object"],
    [{ tools: [tool], tool_choice: { type: "function", function: { name: "h" } } }, "tool_choice: names a tool"],
    [{ response_format: { type: "xml" } }, "response_format.type: expected"],
    [{ stop: 5 }, "stop: expected a string or an array of strings"],
  ];
  for (const [changes, message] of wrong) {
    test(`are told of ${message.split(":")[0]}`, () => {
      expect(() => translate(changes)).toThrow(message);
    });
  }
});
