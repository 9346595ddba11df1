// Requests from Chat clients to Messages servers: tools and settings.

import { afterAll, beforeAll, expect } from "bun:test";
import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { startHouse, type House } from "../fakes/house.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import { ask, chatMessageOf, dataOf } from "./asked.ts";
import { rule } from "./rule.ts";

let house: House;
beforeAll(async () => {
  house = await startHouse({
    config: ({ cloud }) => ({
      providers: { "messages-at-home": { url: cloud, dialects: ["messages"], local: true, key: "none" } },
      models: {
        capped: { provider: "anthropic", model: "claude-sonnet-4-5", max_output: 2_000 },
        "capped-at-home": { provider: "messages-at-home", model: "m", max_output: 3_000 },
        "at-home": { provider: "messages-at-home", model: "n" },
      },
    }),
  });
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
});

const question = [{ role: "user", content: "hi" }];

/** What the vendor got for a Chat request with these fields; it was legal. */
async function sent(fields: object, model = "claude-sonnet-4-5"): Promise<JsonObject> {
  const asked = await ask(house, "chat", { model, messages: question, ...fields });
  expect([asked.status, asked.text]).toEqual([200, expect.any(String)]);
  return asked.sent;
}

const tool = (name: string, parameters?: JsonObject, extra: object = {}): JsonObject => ({
  type: "function",
  function: { name, ...(parameters === undefined ? {} : { parameters }), ...extra },
});

rule(
  53,
  "A tool without parameters gets an empty object schema; strictness goes along where model and schema can hold it",
  async () => {
    const empty = { type: "object", properties: {} };
    const bare = await sent({ tools: [tool("f"), tool("g", { properties: {} })] });
    expect(bare["tools"]).toEqual([
      { name: "f", input_schema: empty },
      { name: "g", input_schema: empty },
    ]);
    const strict = { strict: true };
    const tools = [
      tool("plain", { type: "object", properties: { a: { type: "string", minLength: 3 } } }, strict),
      tool("map", { type: "object", additionalProperties: { type: "string" } }, strict),
      tool("tree", { type: "object", properties: { next: { $ref: "#" } } }, strict),
    ];
    const closed = { type: "object", properties: { a: { type: "string" } }, additionalProperties: false };
    const newer = objectsOf((await sent({ tools }))["tools"]);
    expect(newer[0]).toEqual({ name: "plain", input_schema: closed, strict: true });
    for (const one of newer.slice(1)) expect(one).not.toHaveProperty("strict");
    const older = objectsOf((await sent({ tools }, "claude-sonnet-4-20250514"))["tools"]);
    expect(older.map((one) => [one["strict"], one["input_schema"]])).toEqual(
      tools.map((one) => [undefined, objectOf(one["function"])!["parameters"]]) as Json[][],
    );
    const many = Array.from({ length: 30 }, (_, n) => tool(`f${n}`, empty, strict));
    const kept = objectsOf((await sent({ tools: many }))["tools"]).filter((one) => one["strict"] === true);
    expect(kept).toHaveLength(20);
  },
);

rule(54, "The older functions, their call and their result are taken, and answered in kind", async () => {
  const functions = [{ name: "look", description: "Looks.", parameters: { type: "object", properties: {} } }];
  const messages = [
    { role: "user", content: "go" },
    { role: "assistant", content: null, function_call: { name: "look", arguments: '{"at":"a"}' } },
    { role: "function", name: "look", content: "nothing there" },
  ];
  for (const stream of [false, true]) {
    house.cloud.script.push({ answer: { toolCalls: [{ name: "look", input: { at: "b" } }] } });
    const body = { model: "claude-sonnet-4-5", messages, functions, function_call: { name: "look" }, stream };
    const asked = await ask(house, "chat", body);
    expect(asked.sent["tools"]).toMatchObject([{ name: "look", description: "Looks." }]);
    expect(asked.sent["tool_choice"]).toEqual({ type: "tool", name: "look", disable_parallel_tool_use: true });
    const [, called, answered] = objectsOf(asked.sent["messages"]);
    const [use] = objectsOf(called!["content"]);
    expect(use).toMatchObject({ type: "tool_use", name: "look", input: { at: "a" } });
    expect(answered!["content"]).toEqual([
      { type: "tool_result", tool_use_id: use!["id"]!, content: [{ type: "text", text: "nothing there" }] },
    ]);
    const { message, finish } = chatMessageOf(asked.text);
    expect(message["function_call"]).toEqual({ name: "look", arguments: '{"at":"b"}' });
    expect(message).not.toHaveProperty("tool_calls");
    expect(finish).toBe("function_call");
  }
});

rule(55, "A custom tool is offered as a function with one text, and is a custom tool again in the answer", async () => {
  const format = { type: "grammar", grammar: { syntax: "lark", definition: 'start: "*** Begin"' } };
  const tools = [{ type: "custom", custom: { name: "patch", description: "Patches.", format } }];
  const input = '*** Begin\n"é" \\ 🦊';
  const messages: JsonObject[] = [{ role: "user", content: "go" }];
  for (const stream of [false, true]) {
    house.cloud.script.push({ answer: { toolCalls: [{ name: "patch", input: { input } }], pieceLength: 3 } });
    const asked = await ask(house, "chat", { model: "claude-sonnet-4-5", messages, tools, stream });
    const [offered] = objectsOf(asked.sent["tools"]);
    expect(offered).toMatchObject({
      name: "patch",
      description: expect.stringMatching(/^Patches\.[^]*\*\*\* Begin/) as string,
      input_schema: { properties: { input: { type: "string" } }, required: ["input"] },
    });
    const { message, finish } = chatMessageOf(asked.text);
    expect(message["tool_calls"]).toEqual([
      { id: expect.any(String), type: "custom", custom: { name: "patch", input } },
    ]);
    expect(finish).toBe("tool_calls");
    // The client sends it back, and the vendor sees the call that it made.
    const [call] = objectsOf(message["tool_calls"]);
    messages.push(
      { role: "assistant", tool_calls: [call!] },
      { role: "tool", tool_call_id: call!["id"]!, content: "ok" },
    );
  }
  const { messages: history } = await sent({ messages, tools });
  const uses = objectsOf(history).flatMap((turn) =>
    objectsOf(turn["content"]).filter((block) => block["type"] === "tool_use"),
  );
  expect(uses.map((use) => use["input"])).toEqual([{ input }, { input }]);
});

rule(
  56,
  "The choice of a tool is mapped; a list of allowed tools shortens the offer; thinking forbids to force one",
  async () => {
    const tools = [tool("f"), tool("g"), tool("a name: that never fits")];
    const choose = async (tool_choice: Json, extra: object = {}): Promise<[Json | undefined, Json[]]> => {
      const body = await sent({ tools, tool_choice, ...extra });
      return [body["tool_choice"], objectsOf(body["tools"]).map((one) => one["name"]!)];
    };
    const all = expect.arrayContaining(["f", "g"]) as Json[];
    expect(await choose("auto")).toEqual([{ type: "auto" }, all]);
    expect(await choose("none")).toEqual([{ type: "none" }, all]);
    expect(await choose("required")).toEqual([{ type: "any" }, all]);
    expect(await choose(tool("g"))).toEqual([{ type: "tool", name: "g" }, all]);
    const [named, names] = await choose({ type: "function", function: { name: "a name: that never fits" } });
    expect(named).toEqual({ type: "tool", name: names[2]! });
    for (const [mode, type] of [
      ["auto", "auto"],
      ["required", "any"],
    ]) {
      const allowed = [{ type: "function", function: { name: "g" } }];
      expect(await choose({ type: "allowed_tools", allowed_tools: { mode: mode!, tools: allowed } })).toEqual([
        { type: type! },
        ["g"],
      ]);
      // As the Responses dialect writes it.
      expect(await choose({ type: "allowed_tools", mode: mode!, tools: [{ type: "function", name: "g" }] })).toEqual([
        { type: type! },
        ["g"],
      ]);
    }
    const thinking = { reasoning_effort: "high", max_tokens: 9_000 };
    for (const forced of ["required", tool("g")]) {
      expect((await choose(forced, thinking))[0]).toEqual({ type: "auto" });
      // Too little room to think: then the choice stands.
      expect((await choose(forced, { ...thinking, max_tokens: 1_000 }))[0]).not.toEqual({ type: "auto" });
    }
  },
);

rule(
  57,
  "Forbidden parallel calls are forbidden to the vendor, with a choice of its own where none was made",
  async () => {
    const tools = [tool("f")];
    const single = { disable_parallel_tool_use: true };
    const choices: readonly [Json | undefined, Json][] = [
      [undefined, { type: "auto", ...single }],
      ["auto", { type: "auto", ...single }],
      ["required", { type: "any", ...single }],
      [tool("f"), { type: "tool", name: "f", ...single }],
      ["none", { type: "none" }],
    ];
    for (const [tool_choice, expected] of choices) {
      const body = await sent({
        tools,
        parallel_tool_calls: false,
        ...(tool_choice === undefined ? {} : { tool_choice }),
      });
      expect(body["tool_choice"]).toEqual(expected);
    }
    expect(await sent({ tools, parallel_tool_calls: true })).not.toHaveProperty("tool_choice");
  },
);

rule(
  58,
  "A missing output limit becomes the model's own; the names of the limit must agree, or the request is refused",
  async () => {
    expect((await sent({}))["max_tokens"]).toBe(64_000);
    expect((await sent({}, "capped"))["max_tokens"]).toBe(2_000);
    // Of an unknown model the budget alone says how much it may write.
    expect((await sent({}, "claude-of-which-nobody-knows"))["max_tokens"]).toBe(32_000);
    // What costs nothing has no such bound.
    expect((await sent({}, "capped-at-home"))["max_tokens"]).toBe(3_000);
    expect((await sent({}, "at-home"))["max_tokens"]).toBe(4_096);
    expect((await sent({ max_tokens: 9 }))["max_tokens"]).toBe(9);
    expect((await sent({ max_completion_tokens: 9 }))["max_tokens"]).toBe(9);
    expect((await sent({ max_tokens: 9, max_completion_tokens: 9 }))["max_tokens"]).toBe(9);
    expect((await sent({ max_tokens: null, max_completion_tokens: 9 }))["max_tokens"]).toBe(9);
    // The hold would be made for one of them, and a server of the dialect might believe the other.
    const body = { model: "claude-sonnet-4-5", messages: question, max_tokens: 9_000, max_completion_tokens: 9 };
    const asked = await ask(house, "chat", body);
    expect([asked.status, asked.requests.length]).toEqual([400, 0]);
    expect(asked.text).toContain("max_tokens and max_completion_tokens");
  },
);

rule(59, "Stop words become stop sequences; blank ones are left out", async () => {
  expect((await sent({ stop: "END" }))["stop_sequences"]).toEqual(["END"]);
  expect((await sent({ stop: ["a", "\n\n", " b ", "", "\t"] }))["stop_sequences"]).toEqual(["a", " b "]);
  for (const stop of ["\n", [], null, [" "]]) expect(await sent({ stop })).not.toHaveProperty("stop_sequences");
});

rule(
  60,
  "Translated requests speak the older API version, with sampling only for models that take it, and temperature within 0 and 1",
  async () => {
    const sampling = { temperature: 1.7, top_k: 40 };
    const version = { "anthropic-version": "2026-10-21", "anthropic-beta": "something-2026-01-01" };
    const body = { model: "claude-sonnet-4-5", messages: question, ...sampling };
    const asked = await ask(house, "chat", body, version);
    const [request] = asked.requests;
    expect(request!.header("anthropic-version")).toBe("2023-06-01");
    expect(request!.header("anthropic-beta")).toBeUndefined();
    expect(asked.sent).toMatchObject({ temperature: 1, top_k: 40 });
    expect(await sent({ temperature: -1 })).toMatchObject({ temperature: 0 });
    expect(await sent({ top_p: 0.5 })).toMatchObject({ top_p: 0.5 });
    // These take one of the two.
    expect(await sent({ temperature: 0.3, top_p: 0.5 })).not.toHaveProperty("top_p");
    for (const model of ["claude-opus-4-7", "claude-sonnet-5", "claude-haiku-5-5"]) {
      const newer = await sent({ ...sampling, top_p: 0.5 }, model);
      for (const name of ["temperature", "top_p", "top_k"]) expect(newer).not.toHaveProperty(name);
    }
  },
);

rule(
  61,
  "Settings that the answering server has no word for are left out, and the answer names them in one header; several answers are refused",
  async () => {
    const odd = {
      seed: 7,
      logit_bias: { "1": 5 },
      presence_penalty: 0.5,
      frequency_penalty: 0.5,
      logprobs: true,
      top_logprobs: 2,
    };
    const names = "seed, logit_bias, presence_penalty, frequency_penalty, logprobs, top_logprobs";
    for (const stream of [false, true]) {
      const asked = await ask(house, "chat", { model: "claude-sonnet-4-5", messages: question, stream, ...odd });
      expect([asked.status, asked.headers.get("x-sanctum-ignored")]).toEqual([200, names]);
      for (const name of Object.keys(odd)) expect(asked.sent).not.toHaveProperty(name);
    }
    // Asking for nothing is not worth a word, and nothing that a client wrote gets into the header.
    const idle = { seed: null, logit_bias: {}, presence_penalty: 0, logprobs: false, n: 1, "x\r\ny": 1 };
    const quiet = await ask(house, "chat", { model: "claude-sonnet-4-5", messages: question, ...idle });
    expect([quiet.status, quiet.headers.get("x-sanctum-ignored")]).toEqual([200, null]);
    // A local server that answers instead gets what it takes.
    house.cloud.script.push({ refuse: { status: 500 } });
    const local = await ask(house, "chat", { model: "claude-haiku-4-5", messages: question, ...odd });
    expect(local.status).toBe(200);
    const taken = house.local.generations.at(-1)!.json();
    expect(taken).toMatchObject({ seed: 7, presence_penalty: 0.5 });
    for (const name of ["logit_bias", "logprobs", "top_logprobs"]) expect(taken).not.toHaveProperty(name);
    expect(local.headers.get("x-sanctum-ignored")).toBe("logit_bias, logprobs, top_logprobs");
    const several = await ask(house, "chat", { model: "claude-sonnet-4-5", messages: question, n: 2 });
    expect([several.status, several.requests.length]).toEqual([400, 0]);
    expect(several.text).toContain("n: ");
  },
);

rule(
  62,
  "A schema for the answer is closed and freed of what the vendor refuses; plain JSON is an instruction",
  async () => {
    const inner = { type: "object", properties: { minimum: { type: "integer", minimum: 1 } } };
    const schema = {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      properties: { a: { type: "array", items: inner, maxItems: 5 }, b: { oneOf: [inner, { type: "null" }] } },
      required: ["a"],
    };
    const json = (type: string, json_schema?: JsonObject): object => ({
      response_format: { type, ...(json_schema === undefined ? {} : { json_schema }) },
    });
    const closed = { type: "object", properties: { minimum: { type: "integer" } }, additionalProperties: false };
    const bound = await sent(json("json_schema", { name: "n", schema, strict: true }));
    expect(bound["output_config"]).toEqual({
      format: {
        type: "json_schema",
        schema: {
          type: "object",
          properties: { a: { type: "array", items: closed }, b: { anyOf: [closed, { type: "null" }] } },
          required: ["a"],
          additionalProperties: false,
        },
      },
    });
    expect(bound).not.toHaveProperty("system");
    const plain = await sent(json("json_object"));
    expect(plain).not.toHaveProperty("output_config");
    expect(JSON.stringify(plain["system"])).toContain("JSON");
    // Closing a map of free names would leave it no members, and older models have no such setting.
    const map = { type: "object", additionalProperties: { type: "number" } };
    for (const told of [
      await sent(json("json_schema", { name: "n", schema: map })),
      await sent(json("json_schema", { name: "n", schema: map }), "claude-3-7-sonnet-20250219"),
    ]) {
      expect(told).not.toHaveProperty("output_config");
      expect(JSON.stringify(told["system"])).toContain("additionalProperties");
    }
    expect(await sent(json("text"))).not.toHaveProperty("system");
  },
);

rule(
  63,
  "Effort becomes adaptive thinking where the model has it and a budget where it has not; none switches it off",
  async () => {
    const think = async (effort: string, model: string): Promise<[Json | undefined, Json | undefined]> => {
      const body = await sent({ reasoning_effort: effort, max_tokens: 64_000 }, model);
      return [body["thinking"], objectOf(body["output_config"])?.["effort"]];
    };
    const adaptive = { type: "adaptive" };
    const newest: readonly [string, string][] = [
      ["minimal", "low"],
      ["low", "low"],
      ["medium", "medium"],
      ["high", "high"],
      ["xhigh", "xhigh"],
      ["max", "max"],
    ];
    for (const [effort, said] of newest) {
      expect(await think(effort, "claude-opus-5-5")).toEqual([adaptive, said]);
      expect(await think(effort, "claude-opus-4-6")).toEqual([adaptive, effort === "xhigh" ? "high" : said]);
    }
    const budgets: number[] = [];
    for (const [effort] of newest) {
      const [thinking, said] = await think(effort, "claude-sonnet-4-5");
      expect([objectOf(thinking)?.["type"], said]).toEqual(["enabled", undefined]);
      budgets.push(Number(objectOf(thinking)?.["budget_tokens"]));
    }
    expect(budgets).toEqual(budgets.toSorted((a, b) => a - b));
    expect(new Set(budgets).size).toBeGreaterThan(4);
    expect(budgets.every((budget) => budget >= 1_024 && budget <= 32_000)).toBe(true);
    for (const model of ["claude-opus-5-5", "claude-sonnet-4-5"]) {
      expect(await think("none", model)).toEqual([{ type: "disabled" }, undefined]);
    }
    for (const model of ["claude-3-5-haiku-20241022", "claude-of-which-nobody-knows"]) {
      expect(await think("high", model)).toEqual([undefined, undefined]);
    }
    // And the thinking comes out as reasoning.
    house.cloud.script.push({ answer: { thinking: "Let me see.", text: "Yes." } });
    const stream = { model: "claude-opus-5-5", messages: question, reasoning_effort: "low", stream: true };
    const shown = dataOf((await ask(house, "chat", stream)).text).flatMap((chunk) => objectsOf(chunk["choices"]));
    expect(shown.map((choice) => textOf(objectOf(choice["delta"])?.["reasoning_content"])).join("")).toBe(
      "Let me see.",
    );
  },
);
