// Requests from Responses clients to Messages servers.

import { afterAll, beforeAll, expect } from "bun:test";
import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { startHouse, type House } from "../fakes/house.ts";
import { objectOf, objectsOf, parseObject, textOf } from "../fakes/json-access.ts";
import { ask, dataOf, typesOf, type Asked } from "./asked.ts";
import { rule } from "./rule.ts";

let house: House;
beforeAll(async () => {
  house = await startHouse({
    config: ({ cloud }) => ({
      providers: { "second-account": { url: cloud, dialects: ["messages"], key: "none", retry: { attempts: 1 } } },
      models: {
        capped: { provider: "anthropic", model: "claude-sonnet-4-5", max_output: 2_000 },
        elsewhere: { provider: "second-account", model: "claude-sonnet-4-5", price: { input: 3, output: 15 } },
      },
    }),
  });
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
});

const said = (role: string, words: string): JsonObject => ({
  type: "message",
  role,
  content: [{ type: role === "assistant" ? "output_text" : "input_text", text: words }],
});
const call = (id: string, name = "look", extra: object = {}): JsonObject => ({
  type: "function_call",
  call_id: id,
  name,
  arguments: `{"id":"${id}"}`,
  ...extra,
});
const output = (id: string, found: Json = `found by ${id}`): JsonObject => ({
  type: "function_call_output",
  call_id: id,
  output: found,
});
const tools = [{ type: "function", name: "look", parameters: { type: "object", properties: {} } }];
const text = (words: string): JsonObject => ({ type: "text", text: words });

/** The vendor takes it, or the test fails. */
async function legal(input: Json, fields: object = {}): Promise<Asked> {
  const asked = await ask(house, "responses", { model: "claude-sonnet-4-5", input, ...fields });
  expect([asked.status, asked.text]).toEqual([200, expect.any(String)]);
  return asked;
}

/** The items of an answer, whole or streamed. */
function itemsOf(asked: Asked): JsonObject[] {
  if (!asked.text.startsWith("event:")) return objectsOf(parseObject(asked.text)["output"]);
  return dataOf(asked.text)
    .filter((event) => event["type"] === "response.output_item.done")
    .map((event) => objectOf(event["item"])!);
}

rule(
  89,
  "Items of one turn fold into one assistant turn, and the results of its calls lead the next user turn",
  async () => {
    const asked = await legal(
      [
        said("user", "go"),
        {
          type: "reasoning",
          id: "rs_1",
          summary: [{ type: "summary_text", text: "hm" }],
          encrypted_content: "Z0FBQQ==",
        },
        said("assistant", "I look."),
        call("c1"),
        call("c2"),
        said("developer", "be quick"),
        output("c2"),
        said("user", "meanwhile"),
        output("c1"),
        call("c3"),
        output("c3"),
        said("user", "and?"),
      ],
      { tools },
    );
    const turns = objectsOf(asked.sent["messages"]);
    expect(turns.map(typesOf)).toEqual([
      ["text"],
      ["text", "tool_use", "tool_use"],
      ["tool_result", "tool_result", "text", "text"],
      ["tool_use"],
      ["tool_result", "text"],
    ]);
    expect(turns.map((turn) => turn["role"])).toEqual(["user", "assistant", "user", "assistant", "user"]);
    // Another vendor's sealed reasoning, and its summary, are nothing to this one.
    expect(asked.requests[0]!.text).not.toMatch(/Z0FBQQ|"hm"/);
  },
);

rule(90, "A missing output limit becomes the model's own", async () => {
  expect((await legal("hi")).sent["max_tokens"]).toBe(64_000);
  expect((await legal("hi", { model: "capped" })).sent["max_tokens"]).toBe(2_000);
  expect((await legal("hi", { max_output_tokens: 77 })).sent["max_tokens"]).toBe(77);
});

/** What the vendor signs: with spaces, escapes and a piece of UTF-16 that a careless reader would change. */
const thoughts: readonly JsonObject[] = [
  { type: "thinking", thinking: 'Let me  see.\n\t"é" \\ 🦊 \u2028', signature: "RXFz+/9==" },
  { type: "redacted_thinking", data: "b3BhcXVl+/==" },
  { type: "thinking", thinking: "", signature: "c2lnbmF0dXJlIG9ubHk=" },
];

/** A turn with the thoughts and a call. */
function thoughtful(stream: boolean, model: string): { rawBody: string | string[] } {
  const content = [...thoughts, { type: "tool_use", id: "toolu_1", name: "look", input: { at: "a" } }];
  const usage = { input_tokens: 5, output_tokens: 5 };
  const message = { id: "msg_1", type: "message", role: "assistant", model, content, stop_sequence: null, usage };
  if (!stream) return { rawBody: JSON.stringify({ ...message, stop_reason: "tool_use" }) };
  const event = (type: string, data: object): string =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
  const blocks = content.flatMap((block, index) => {
    const delta = (one: object): string => event("content_block_delta", { index, delta: one });
    const { thinking, signature, input } = block as JsonObject;
    const deltas =
      block.type === "thinking"
        ? [
            ...Array.from(textOf(thinking)).map((one) => delta({ type: "thinking_delta", thinking: one })),
            delta({ type: "signature_delta", signature }),
          ]
        : block.type === "tool_use"
          ? [delta({ type: "input_json_delta", partial_json: JSON.stringify(input) })]
          : [];
    const start =
      block.type === "thinking"
        ? { type: "thinking", thinking: "", signature: "" }
        : block.type === "tool_use"
          ? { ...block, input: {} }
          : block;
    return [
      event("content_block_start", { index, content_block: start }),
      ...deltas,
      event("content_block_stop", { index }),
    ];
  });
  return {
    rawBody: [
      event("message_start", { message: { ...message, content: [], stop_reason: null } }),
      ...blocks,
      event("message_delta", { delta: { stop_reason: "tool_use", stop_sequence: null }, usage }),
      event("message_stop", {}),
    ],
  };
}

rule(
  91,
  "Thinking travels sealed to the client and comes back to the account and model that signed it, byte for byte; foreign and broken seals do not",
  async () => {
    const fields = { tools, reasoning: { effort: "high" }, include: ["reasoning.encrypted_content"] };
    for (const stream of [false, true]) {
      house.cloud.script.push(thoughtful(stream, "claude-sonnet-4-5"));
      const first = await legal([said("user", "go")], { ...fields, stream });
      const items = itemsOf(first);
      expect(items.map((item) => item["type"])).toEqual(["reasoning", "reasoning", "reasoning", "function_call"]);
      // Who answers is not told by the seal.
      const opened = items
        .slice(0, 3)
        .map((item) => Buffer.from(seal(item).replace(/^\w+\./, ""), "base64url").toString());
      expect(opened.map((one) => Object.keys(parseObject(one))[0])).toEqual(["origin", "origin", "origin"]);
      expect(opened.join()).not.toMatch(/anthropic|claude/);

      const replay = (changed: readonly JsonObject[]): JsonObject[] => [
        said("user", "go"),
        ...changed,
        output("toolu_1"),
        said("user", "on"),
      ];
      const back = async (changed: readonly JsonObject[], model?: string): Promise<JsonObject[]> => {
        const asked = await legal(replay(changed), { ...fields, ...(model === undefined ? {} : { model }) });
        return objectsOf(objectsOf(asked.sent["messages"])[1]!["content"]);
      };
      const use = { type: "tool_use", id: "toolu_1", name: "look", input: { at: "a" } };
      expect(await back(items)).toEqual([...thoughts, use]);
      // Clients leave ids and summaries out, or shorten them.
      expect(await back(items.map((item) => ({ ...item, id: "x", summary: [] })))).toEqual([...thoughts, use]);
      for (const model of ["claude-sonnet-4-6", "elsewhere"]) expect(await back(items, model)).toEqual([use]);
      // A block that is lost takes the rest along: they are bound to it.
      const cut = { ...items[0]!, encrypted_content: seal(items[0]!).slice(0, -9) };
      expect(await back([cut, ...items.slice(1)])).toEqual([use]);
      const foreign = { type: "reasoning", summary: [], encrypted_content: "gAAAAABo" };
      expect(await back([foreign, ...items])).toEqual([...thoughts, use]);
    }
  },
);

function seal(item: JsonObject): string {
  return textOf(item["encrypted_content"]);
}

rule(92, "Images in a tool's output stay inside the result", async () => {
  const data = "iVBORw0KGgoAAAANSUhEUgAA";
  const parts = [
    { type: "input_text", text: "as seen" },
    { type: "input_image", image_url: `data:image/png;base64,${data}`, detail: "original" },
    { type: "input_image", image_url: "https://example.com/b.png" },
  ];
  const asked = await legal([said("user", "go"), call("a"), call("b"), output("a", parts), output("b")], { tools });
  const [, , answered] = objectsOf(asked.sent["messages"]);
  const image = (source: JsonObject): JsonObject => ({ type: "image", source });
  expect(answered!["content"]).toEqual([
    {
      type: "tool_result",
      tool_use_id: "a",
      content: [
        text("as seen"),
        image({ type: "base64", media_type: "image/png", data }),
        image({ type: "url", url: "https://example.com/b.png" }),
      ],
    },
    { type: "tool_result", tool_use_id: "b", content: [text("found by b")] },
  ]);
});

rule(93, "Tools in namespaces get names that the vendor takes, and are called by their own again", async () => {
  const inner = "a".repeat(70);
  const space = (name: string, ...names: string[]): JsonObject => ({
    type: "namespace",
    name,
    tools: names.map((one) => ({ type: "function", name: one, parameters: { type: "object", properties: {} } })),
  });
  // The second pair flattens to the same name as the first.
  const namespaces = [space("mcp.files", "read", inner), space("mcp", "x__read"), space("mcp__x", "read")];
  const clients: readonly [string, string][] = [
    ["mcp.files", "read"],
    ["mcp.files", inner],
    ["mcp", "x__read"],
    ["mcp__x", "read"],
  ];
  const history = [
    said("user", "go"),
    ...clients.flatMap(([namespace, name], n) => [call(`c${n}`, name, { namespace }), output(`c${n}`)]),
  ];
  const names = objectsOf((await legal(history, { tools: namespaces })).sent["tools"]).map((one) =>
    textOf(one["name"]),
  );
  expect(new Set(names).size).toBe(clients.length);
  for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_-]{1,128}$/);
  for (const stream of [false, true]) {
    house.cloud.script.push({ answer: { toolCalls: names.map((name) => ({ name, input: {} })) } });
    const asked = await legal(history, { tools: namespaces, stream });
    const called = objectsOf(asked.sent["messages"]).flatMap((turn) =>
      objectsOf(turn["content"]).flatMap((block) => (block["type"] === "tool_use" ? [block["name"]] : [])),
    );
    expect(called).toEqual(names);
    expect(itemsOf(asked).map((item) => [item["namespace"], item["name"]])).toEqual(clients.map((pair) => [...pair]));
  }
});

rule(94, "Items that end with the assistant follow the rule for begun answers: a user turn, or a prefill", async () => {
  const begun = [said("user", "Tell a tale."), said("assistant", "Once upon a time ")];
  const last = async (model: string, input: Json = begun): Promise<JsonObject> =>
    objectsOf((await legal(input, { model })).sent["messages"]).at(-1)!;
  expect(await last("claude-sonnet-4-5")).toEqual({ role: "assistant", content: [text("Once upon a time")] });
  for (const model of ["claude-opus-4-6", "claude-sonnet-5-5"]) expect((await last(model))["role"]).toBe("user");
  // Nothing is said yet: there is nothing to carry on either.
  const sealed = { type: "reasoning", summary: [{ type: "summary_text", text: "hm" }], encrypted_content: null };
  expect(await last("claude-sonnet-4-5", [said("user", "go"), sealed])).toEqual({
    role: "user",
    content: [text("go")],
  });
});

rule(95, "The highest efforts stay the highest, and none switches thinking off", async () => {
  const think = async (effort: string, model: string): Promise<[Json | undefined, Json | undefined]> => {
    const { sent } = await legal("hi", { model, reasoning: { effort, summary: "auto" }, max_output_tokens: 64_000 });
    return [sent["thinking"], objectOf(sent["output_config"])?.["effort"]];
  };
  for (const effort of ["xhigh", "max"]) {
    expect(await think(effort, "claude-opus-5-5")).toEqual([{ type: "adaptive" }, effort]);
  }
  expect(await think("minimal", "claude-opus-5-5")).toEqual([{ type: "adaptive" }, "low"]);
  const [budget] = await think("max", "claude-sonnet-4-5");
  expect(objectOf(budget)).toMatchObject({ type: "enabled", budget_tokens: 32_000 });
  for (const model of ["claude-opus-5-5", "claude-sonnet-4-5"]) {
    expect(await think("none", model)).toEqual([{ type: "disabled" }, undefined]);
  }
});

rule(96, "A schema for the answer goes along with tools and with effort", async () => {
  const schema = { type: "object", properties: { a: { type: "string" } }, required: ["a"] };
  const asked = await legal("hi", {
    model: "claude-opus-5-5",
    tools,
    tool_choice: "auto",
    reasoning: { effort: "high" },
    text: { format: { type: "json_schema", name: "n", schema, strict: true }, verbosity: "low" },
  });
  expect(asked.sent["output_config"]).toEqual({
    effort: "high",
    format: { type: "json_schema", schema: { ...schema, additionalProperties: false } },
  });
  expect(asked.sent["tools"]).toMatchObject([{ name: "look" }]);
  expect(asked.sent["tool_choice"]).toEqual({ type: "auto" });
});
