// A Messages request on its way to a Chat server: tools and settings, by the rules of wire.md A.

import { describe, expect, test } from "bun:test";
import { AttemptError } from "../../errors.ts";
import { messagesCodec } from "../messages/index.ts";
import type { Json, JsonObject, ServerKind } from "../neutral.ts";
import { chatCodec } from "./index.ts";

function translate(changes: JsonObject, profile: ServerKind = "llamacpp", model = "qwen"): JsonObject {
  const body = { model: "claude-sonnet-4-5", max_tokens: 100, messages: [{ role: "user", content: "hi" }], ...changes };
  return chatCodec.fromNeutral(messagesCodec.toNeutral(body), { profile, model, maxOutputTokens: undefined });
}

const user = (...content: Json[]): JsonObject => ({ role: "user", content });
const assistant = (...content: Json[]): JsonObject => ({ role: "assistant", content });
const text = (text: string): JsonObject => ({ type: "text", text });
const use = (id: string, input: JsonObject = {}, name = "Bash"): JsonObject => ({ type: "tool_use", id, name, input });
const result = (id: string, rest: JsonObject): JsonObject => ({ type: "tool_result", tool_use_id: id, ...rest });

function skips(run: () => unknown): boolean {
  try {
    run();
  } catch (error) {
    return error instanceof AttemptError && error.outcome === "skipped_policy";
  }
  return false;
}

describe("Messages to Chat, tools and settings", () => {
  const schema = { type: "object", properties: { q: { type: "string" } } };
  const bash = { name: "Bash", description: "d", input_schema: schema };

  test("A22: vendor members of tools and the placeholder go", () => {
    const tool = { ...bash, defer_loading: true, strict: true, cache_control: {}, eager_input_streaming: true };
    const placeholder = { name: "DeferredToolPlaceholder", input_schema: schema, defer_loading: true };
    expect(translate({ tools: [tool, placeholder] }, "generic")["tools"]).toEqual([
      { type: "function", function: { name: "Bash", description: "d", parameters: schema } },
    ]);
  });

  test("A25: server tools are never functions; a request of nothing else is known by it", () => {
    const search = { type: "web_search_20250305", name: "web_search", max_uses: 8 };
    const body = translate({ tools: [search], tool_choice: { type: "auto" } });
    expect(body).not.toHaveProperty("tools");
    expect(body).not.toHaveProperty("tool_choice");
    const only = { model: "claude-x", max_tokens: 9, messages: [{ role: "user", content: "hi" }], tools: [search] };
    expect(messagesCodec.toNeutral(only).vendorToolsOnly).toBe(true);
    const mixed = translate({ tools: [search, bash] });
    expect(mixed["tools"]).toHaveLength(1);
    expect(messagesCodec.toNeutral({ ...only, tools: [search, bash] }).vendorToolsOnly).toBeUndefined();
  });

  test("A26: schemas are cleaned for grammars, and only for them", () => {
    const dirty = {
      $schema: "x",
      type: "object",
      properties: {
        pattern: { type: "string", pattern: "^\\d+$", maxLength: 524_288 },
        url: { type: "string", format: "uri" },
        day: { type: "string", format: "date", pattern: "^[0-9-]+$", maxLength: 10 },
      },
      propertyNames: { pattern: "a" },
      enum: [{ $schema: 1 }],
    };
    const parameters = (body: JsonObject): Json | undefined =>
      ((body["tools"] as JsonObject[])[0]!["function"] as JsonObject)["parameters"];
    const tools = [{ name: "W", input_schema: dirty }];
    expect(parameters(translate({ tools }, "llamacpp"))).toEqual({
      type: "object",
      properties: {
        pattern: { type: "string" },
        url: { type: "string" },
        day: { type: "string", format: "date", pattern: "^[0-9-]+$", maxLength: 10 },
      },
      enum: [{ $schema: 1 }],
    });
    expect(parameters(translate({ tools }, "openai", "gpt-4o"))).toEqual(dirty);
  });

  test("A27: the choice of a tool is mapped; a server that ignores it is skipped", () => {
    const choose = (tool_choice: Json, profile: ServerKind = "llamacpp"): Json | undefined =>
      translate({ tools: [bash, { ...bash, name: "Read" }], tool_choice }, profile)["tool_choice"];
    expect(choose({ type: "auto" })).toBe("auto");
    expect(choose({ type: "any" })).toBe("required");
    expect(choose({ type: "none" })).toBe("none");
    expect(choose({ type: "tool", name: "Bash" })).toEqual({ type: "function", function: { name: "Bash" } });
    expect(choose({ type: "tool", name: "Bash" }, "lmstudio")).toBe("required");
    expect(choose({ type: "auto" }, "ollama")).toBe("auto");
    expect(skips(() => choose({ type: "any" }, "ollama"))).toBe(true);
    const only = translate(
      { tools: [bash, { ...bash, name: "Read" }], tool_choice: { type: "tool", name: "Read" } },
      "lmstudio",
    );
    expect(JSON.stringify(only["tools"])).not.toContain("Bash");
  });

  test("A28: parallel calls are forbidden where the client forbids them", () => {
    const tool_choice = { type: "auto", disable_parallel_tool_use: true };
    expect(translate({ tools: [bash], tool_choice })["parallel_tool_calls"]).toBe(false);
  });

  test("A29: exactly one limit, by the name that the model's family takes", () => {
    const openai = translate({}, "openai", "gpt-5.5");
    expect(openai["max_completion_tokens"]).toBe(100);
    expect(openai).not.toHaveProperty("max_tokens");
    const older = translate({}, "openai", "gpt-4o");
    expect(older["max_tokens"]).toBe(100);
    expect(older).not.toHaveProperty("max_completion_tokens");
    expect(translate({}, "llamacpp", "gpt-5-lookalike")["max_tokens"]).toBe(100);
  });

  test("A30: the target's limit wins over the client's", () => {
    const request = messagesCodec.toNeutral({ model: "m", max_tokens: 128_000, messages: [user(text("a"))] });
    const body = chatCodec.fromNeutral(request, { profile: "ollama", model: "q", maxOutputTokens: 4096 });
    expect(body["max_tokens"]).toBe(4096);
  });

  test("A31: a cache warm-up is never sent", () => {
    expect(skips(() => translate({ max_tokens: 0 }))).toBe(true);
  });

  test("A32 and A33: stop sequences and sampling go where they are known", () => {
    const settings = { stop_sequences: ["a", "b", "c", "d", "e"], temperature: 0.5, top_p: 0.9, top_k: 40 };
    expect(translate(settings, "llamacpp")).toMatchObject({
      stop: settings.stop_sequences,
      temperature: 0.5,
      top_k: 40,
    });
    const openai = translate(settings, "openai", "gpt-4o");
    expect(openai["stop"]).toEqual(["a", "b", "c", "d"]);
    expect(openai).not.toHaveProperty("top_k");
    const reasoning = translate(settings, "openai", "gpt-5.5");
    for (const key of ["stop", "temperature", "top_p"]) expect(reasoning).not.toHaveProperty(key);
  });

  test("A34: thinking and effort become what the server knows", () => {
    const on = { thinking: { type: "adaptive" }, output_config: { effort: "xhigh" } };
    const off = { thinking: { type: "disabled" } };
    expect(translate(on, "openai", "gpt-5.5")["reasoning_effort"]).toBe("xhigh");
    expect(translate(on, "openai", "o4-mini")["reasoning_effort"]).toBe("high");
    expect(translate(off, "openai", "gpt-5-mini")["reasoning_effort"]).toBe("minimal");
    expect(translate(off, "openai", "gpt-5.1-codex")["reasoning_effort"]).toBe("low");
    expect(translate(on, "openai", "gpt-4o")).not.toHaveProperty("reasoning_effort");
    expect(translate(on, "openrouter")["reasoning"]).toEqual({ effort: "high" });
    expect(translate(off, "openrouter")["reasoning"]).toEqual({ enabled: false });
    expect(translate(off, "llamacpp")["chat_template_kwargs"]).toEqual({ enable_thinking: false });
    const budget = { thinking: { type: "enabled", budget_tokens: 2000 } };
    expect(translate(budget, "openai", "gpt-5.5")["reasoning_effort"]).toBe("low");
    expect(translate({ thinking: { type: "of_next_year" } }, "ollama")).not.toHaveProperty("reasoning_effort");
  });

  test("A34: an Ollama model that can't think is not asked to, which would be a 400; switching it off never is", () => {
    for (const effort of ["low", "medium", "high", "max"]) {
      const settings = { thinking: { type: "adaptive" }, output_config: { effort } };
      expect(translate(settings, "ollama")).not.toHaveProperty("reasoning_effort");
    }
    expect(translate({ thinking: { type: "disabled" } }, "ollama")["reasoning_effort"]).toBe("none");
  });

  test("A6: the effort of the last turn holds", () => {
    const messages = [user(text("a")), { role: "system", content: [], output_config: { effort: "low" } }];
    const settings = { messages, output_config: { effort: "high" } };
    expect(translate(settings, "openai", "gpt-5.5")["reasoning_effort"]).toBe("low");
  });

  test("A35: a format becomes response_format", () => {
    const output_config = { format: { type: "json_schema", schema } };
    expect(translate({ output_config })["response_format"]).toEqual({
      type: "json_schema",
      json_schema: { name: "answer", schema },
    });
  });

  test("any JSON object is asked for in the words that the server takes", () => {
    const asked = { model: "m", messages: [{ role: "user", content: "hi" }], response_format: { type: "json_object" } };
    const format = (profile: ServerKind): Json | undefined =>
      chatCodec.fromNeutral(chatCodec.toNeutral(asked), { profile, model: "m", maxOutputTokens: 9 })["response_format"];
    expect(format("ollama")).toEqual({ type: "json_object" });
    expect(format("lmstudio")).toEqual({
      type: "json_schema",
      json_schema: { name: "answer", schema: { type: "object" } },
    });
  });

  test("a begun answer is no last turn for newer Claude models, whoever stands before them", () => {
    const messages = [
      { role: "user", content: "Tell a tale." },
      { role: "assistant", content: "Once" },
    ];
    const last = (model: string): JsonObject => {
      const body = translate({ messages }, "openrouter", model);
      return (body["messages"] as JsonObject[]).at(-1)!;
    };
    expect(last("anthropic/claude-opus-4.6")["role"]).toBe("user");
    expect(last("anthropic/claude-3.5-haiku")).toEqual({ role: "assistant", content: "Once" });
  });

  test("A36 and A37: what is the vendor's own stays at home", () => {
    const body = translate({
      metadata: { user_id: '{"device_id":"d"}' },
      context_management: { edits: [] },
      diagnostics: {},
      safeguards: [{ type: "dangerous_tool_use" }],
      service_tier: "auto",
      cache_control: { type: "ephemeral" },
    });
    expect(Object.keys(body).toSorted()).toEqual(["max_tokens", "messages", "model"]);
  });

  test("A42: a name that does not fit is replaced everywhere alike, and restored in answers", () => {
    const name = `mcp.server/${"x".repeat(80)}`;
    const request = messagesCodec.toNeutral({
      model: "m",
      max_tokens: 9,
      messages: [user(text("a")), assistant(use("i", {}, name)), user(result("i", {}))],
      tools: [{ ...bash, name }],
      tool_choice: { type: "tool", name },
    });
    const body = chatCodec.fromNeutral(request, { profile: "openai", model: "gpt-4o", maxOutputTokens: undefined });
    const sent = ((body["tools"] as JsonObject[])[0]!["function"] as JsonObject)["name"] as string;
    expect(sent).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
    expect(body["tool_choice"]).toEqual({ type: "function", function: { name: sent } });
    expect(JSON.stringify(body["messages"])).toContain(sent);
    const answer = chatCodec.answerToNeutral({
      choices: [{ message: { tool_calls: [{ id: "j", function: { name: sent, arguments: "{}" } }] } }],
    });
    if ("fault" in answer) throw new Error("no answer");
    const context = { model: "m", id: "1", createdAt: 1, includeUsage: false, request };
    expect(JSON.stringify(messagesCodec.answerFromNeutral(answer, context))).toContain(JSON.stringify(name));
  });

  test("a stream always asks for its usage", () => {
    expect(translate({ stream: true })).toMatchObject({ stream: true, stream_options: { include_usage: true } });
    expect(translate({}, "openrouter")["usage"]).toEqual({ include: true });
  });
});

describe("Messages to Chat, faulty requests", () => {
  const wrong: [JsonObject, string][] = [
    [
      { messages: [user(text("a")), { role: "user", content: 5 }] },
      "messages.1.content: expected a string or an array of parts",
    ],
    [{ messages: [user({ type: "text" })] }, "messages.0.content.0.text: expected a string"],
    [{ messages: [user("a")] }, "messages.0.content.0: expected an object"],
    [
      { messages: [user(result("a", { content: 5 }))] },
      "messages.0.content.0.content: expected a string or an array of parts",
    ],
    [{ messages: [user({ type: "tool_result" })] }, "messages.0.content.0.tool_use_id: expected a string"],
    [{ system: 5 }, "system: expected a string or an array of text blocks"],
    [{ tools: [{ name: "" }] }, "tools.0.name: expected the name of a tool"],
    [{ stop_sequences: [1] }, "stop_sequences.0: expected a string"],
    [{ temperature: "hot" }, "temperature: expected a number"],
  ];
  for (const [changes, message] of wrong) {
    test(`are told of ${message.split(":")[0]}`, () => {
      expect(() => translate(changes)).toThrow(message);
    });
  }
});
