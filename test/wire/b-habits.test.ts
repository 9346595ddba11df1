// Requests from Chat clients to Messages servers: what vendors, resellers and editors have added to the dialect.

import { afterAll, beforeAll, expect } from "bun:test";
import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { startHouse, type House } from "../fakes/house.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import { ask, chatMessageOf, typesOf, valuesUnder, type Asked } from "./asked.ts";
import { rule } from "./rule.ts";

let house: House;
beforeAll(async () => {
  house = await startHouse({
    config: ({ cloud }) => ({
      providers: { "lmstudio-desk": { url: cloud, dialects: ["messages"], local: true, key: "none" } },
      models: { "at-home": { provider: "lmstudio-desk", model: "m" } },
    }),
  });
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
});

const text = (words: string): JsonObject => ({ type: "text", text: words });
const user = (content: Json): JsonObject => ({ role: "user", content });
const tool = (name: string): JsonObject => ({ type: "function", function: { name, parameters: { type: "object" } } });

async function legal(body: object): Promise<Asked> {
  const asked = await ask(house, "chat", { model: "claude-sonnet-4-5", ...body });
  expect([asked.status, asked.text]).toEqual([200, expect.any(String)]);
  return asked;
}

rule(64, "Reasoning that its maker signed goes back to it as it was; unsigned reasoning does not", async () => {
  const signed = { type: "reasoning.text", text: "Let me\u2028see.", signature: "c2ln", format: "anthropic-claude-v1" };
  const sealed = { type: "reasoning.encrypted", data: "b3BhcXVl", format: "anthropic-claude-v1", index: 1 };
  const thinking = { type: "thinking", thinking: signed.text, signature: "c2ln" };
  const redacted = { type: "redacted_thinking", data: "b3BhcXVl" };
  const pieces = [
    { type: "reasoning.text", text: "Let me", index: 0 },
    { type: "reasoning.text", text: "\u2028see.", signature: null, index: 0 },
    { type: "reasoning.text", text: "", signature: "c2ln", index: 0 },
    sealed,
  ];
  const kept: readonly JsonObject[] = [
    { reasoning_details: [signed, sealed] },
    { reasoning_details: pieces, reasoning: "Let me see." },
    { thinking_blocks: [thinking, redacted] },
    { content: [thinking, redacted, text("Yes.")] },
  ];
  const dropped: readonly JsonObject[] = [
    { reasoning_details: [{ ...signed, signature: "" }] },
    { reasoning_details: [{ type: "reasoning.encrypted", data: "Z0FB", format: "openai-responses-v1" }] },
    { reasoning_details: [{ type: "reasoning.summary", summary: "Looked." }], reasoning: "Looked." },
    { reasoning_content: "Let me see." },
  ];
  for (const [fields, lead] of [
    ...kept.map((fields) => [fields, [thinking, redacted]] as const),
    ...dropped.map((fields) => [fields, []] as const),
  ]) {
    const asked = await legal({
      messages: [user("go"), { role: "assistant", content: "Yes.", ...fields }, user("on")],
    });
    expect(objectsOf(asked.sent["messages"])[1]!["content"]).toEqual([...lead, text("Yes.")]);
  }
});

rule(
  65,
  "A user's label goes on as an opaque one, always the same; what concerns the vendor's stores does not",
  async () => {
    const stores = {
      store: true,
      metadata: { task: "t-1" },
      prompt_cache_key: "k-1",
      prompt_cache_retention: "24h",
    };
    const label = async (fields: object): Promise<Json | undefined> => {
      const asked = await legal({ messages: [user("hi")], ...stores, ...fields });
      for (const name of Object.keys(stores).filter((one) => one !== "metadata")) {
        expect(asked.sent).not.toHaveProperty(name);
      }
      expect(asked.requests[0]!.text).not.toMatch(/mace@example|t-1|k-1/);
      return asked.sent["metadata"];
    };
    const mine = await label({ user: "mace@example.com" });
    expect(mine).toEqual({ user_id: expect.stringMatching(/^[0-9a-f]{32}$/) as string });
    expect(await label({ safety_identifier: "mace@example.com", user: "ignored" })).toEqual(mine!);
    expect(await label({ user: "mace@example.org" })).not.toEqual(mine!);
    expect(await label({})).toBeUndefined();
    expect(await label({ user: "" })).toBeUndefined();
  },
);

rule(66, "Cache marks on parts, messages and tools are kept, four at the most", async () => {
  const mark = { type: "ephemeral" };
  const cache_control = { type: "ephemeral", ttl: "1h" };
  const image = { type: "image_url", image_url: { url: "https://example.com/a.png" } };
  const call = { id: "a", type: "function", function: { name: "f", arguments: "{}" } };
  const marks = (asked: Asked): Json[] => valuesUnder("cache_control", asked.sent);
  const parts = await legal({
    tools: [{ ...tool("f"), cache_control: mark }],
    messages: [
      { role: "system", content: [{ ...text("rules"), cache_control }] },
      user([text("see"), { ...image, cache_control: mark }]),
      { role: "assistant", tool_calls: [call] },
      { role: "tool", tool_call_id: "a", content: [text("one"), { ...text("two"), cache_control: mark }] },
    ],
  });
  const turns = objectsOf(parts.sent["messages"]);
  expect(objectsOf(parts.sent["tools"])[0]!["cache_control"]).toEqual(mark);
  expect(objectsOf(parts.sent["system"])[0]!["cache_control"]).toEqual(cache_control);
  expect(objectsOf(turns[0]!["content"])[1]).toMatchObject({ type: "image", cache_control: mark });
  // A mark inside a result is not legal: the result itself carries it.
  const result = { type: "tool_result", tool_use_id: "a", content: [text("one"), text("two")], cache_control: mark };
  expect(turns[2]!["content"]).toEqual([result]);

  const many = await legal({
    messages: [
      { role: "system", content: "rules", cache_control: mark },
      ...["1", "2", "3", "4"].map((words) => user([{ ...text(words), cache_control }])),
    ],
  });
  expect(marks(many)).toEqual([cache_control, cache_control, cache_control, cache_control]);
  expect(objectsOf(many.sent["system"])[0]).not.toHaveProperty("cache_control");
  for (const odd of ["ephemeral", { type: "eternal" }, null] as Json[]) {
    expect(marks(await legal({ messages: [user([{ ...text("hi"), cache_control: odd }])] }))).toEqual([]);
  }
  // A server at home that speaks the vendor's dialect has no such cache.
  const home = await legal({ model: "at-home", messages: [user([{ ...text("hi"), cache_control }])] });
  expect(marks(home)).toEqual([]);
});

rule(67, "A Responses body on the Chat route is understood, and answered in Chat form, streamed or not", async () => {
  const input = [
    { role: "system", content: "Be brief." },
    { role: "user", content: [{ type: "input_text", text: "go" }] },
    { type: "function_call", call_id: "a", name: "look", arguments: "{}" },
    { type: "function_call_output", call_id: "a", output: "nothing" },
  ];
  const tools = [
    { type: "function", name: "look", parameters: { type: "object", properties: {} } },
    { type: "custom", name: "patch", format: { type: "grammar", syntax: "lark", definition: "start: WORD" } },
  ];
  for (const model of ["claude-sonnet-4-5", "gpt-4o-mini"]) {
    for (const stream of [false, true]) {
      house.cloud.script.push({ answer: { text: "So it is.", toolCalls: [{ name: "patch", input: { input: "x" } }] } });
      const options = { stream, stream_options: { include_usage: true }, max_tokens: 99 };
      const asked = await ask(house, "chat", { model, input, tools, user: "u", reasoning_effort: "none", ...options });
      expect([asked.status, asked.requests[0]?.faults]).toEqual([200, []]);
      expect(objectsOf(asked.sent["tools"])).toHaveLength(2);
      expect(asked.sent["max_tokens"]).toBe(99);
      const { message, finish } = chatMessageOf(asked.text);
      expect([message["content"], finish]).toEqual(["So it is.", "tool_calls"]);
      expect(objectsOf(message["tool_calls"])[0]).toMatchObject({
        type: "custom",
        custom: { name: "patch", input: "x" },
      });
      expect(asked.text).toContain(stream ? '"chat.completion.chunk"' : '"chat.completion"');
      expect(asked.text).toContain('"prompt_tokens":');
      if (stream) expect(asked.text).toEndWith("data: [DONE]\n\n");
    }
  }
  // What is refused is refused in Chat's words, before anybody is asked.
  for (const fields of [{ previous_response_id: "resp_1" }, { input: [] }, { max_tokens: 1, max_output_tokens: 2 }]) {
    const asked = await ask(house, "chat", { model: "gpt-4o-mini", input: "hi", ...fields });
    expect([asked.status, asked.requests.length]).toEqual([400, 0]);
    expect(JSON.parse(asked.text)).toMatchObject({ error: { type: "invalid_request_error" } });
  }
});

rule(68, "Blocks of the Messages dialect inside Chat messages are understood, whoever answers", async () => {
  const source = { type: "base64", media_type: "image/png", data: "iVBORw0KGgoAAAANSUhEUgAA" };
  const use = { type: "tool_use", id: "a", name: "look", input: { at: "b" } };
  const messages = [
    user("go"),
    {
      role: "assistant",
      content: [text("I look."), use, { ...use, id: "b" }],
      // Some write the same call both ways.
      tool_calls: [{ id: "a", type: "function", function: { name: "look", arguments: '{"at":"b"}' } }],
    },
    user([
      text("Here."),
      { type: "tool_result", tool_use_id: "b", content: "nothing", is_error: true },
      { type: "tool_result", tool_use_id: "a", content: [text("found")] },
      { type: "image", source },
    ]),
  ];
  const tools = [{ name: "look", description: "Looks.", input_schema: { type: "object", properties: {} } }];
  const native = objectsOf((await legal({ messages, tools })).sent["messages"]);
  expect(native.map(typesOf)).toEqual([
    ["text"],
    ["text", "tool_use", "tool_use"],
    ["tool_result", "tool_result", "text", "image"],
  ]);
  expect(objectsOf(native[2]!["content"])[0]).toMatchObject({ tool_use_id: "b", is_error: true });

  const other = await legal({ model: "gpt-4o-mini", messages, tools });
  expect(other.requests[0]!.faults).toEqual([]);
  const sent = objectsOf(other.sent["messages"]);
  expect(sent.map((message) => message["role"])).toEqual(["user", "assistant", "tool", "tool", "user"]);
  expect(new Set(objectsOf(sent[1]!["tool_calls"]).map((call) => call["id"]))).toEqual(new Set(["a", "b"]));
  expect(objectOf(objectsOf(other.sent["tools"])[0]!["function"])).toMatchObject({ name: "look" });
  // A message in the dialect's own shape goes on as the client wrote it.
  const own = `{"model":"gpt-4o-mini","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"h\\u0069"}]}]}`;
  expect((await ask(house, "chat", own)).requests[0]!.text).toBe(own);
});

rule(69, "A user's name is not sent", async () => {
  const messages = [
    { role: "system", name: "rules_of_yoda", content: "Be brief." },
    { ...user("hi"), name: "mace_windu" },
    { role: "assistant", name: "jocasta_nu", content: "ho" },
    { ...user([text("and?")]), name: "mace_windu" },
  ];
  const asked = await legal({ messages });
  expect(asked.requests[0]!.text).not.toMatch(/yoda|windu|jocasta/);
  expect(objectsOf(asked.sent["messages"]).map((turn) => textOf(turn["role"]))).toEqual(["user", "assistant", "user"]);
});
