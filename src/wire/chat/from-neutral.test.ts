// A Messages request on its way to a Chat server: the rules of wire.md A by number.

import { describe, expect, test } from "bun:test";
import { AttemptError } from "../../errors.ts";
import { messagesCodec } from "../messages/index.ts";
import type { Json, JsonObject, Target } from "../neutral.ts";
import { chatCodec } from "./index.ts";

const png = "iVBORw0KGgoAAAANSUhEUg";

function translate(changes: JsonObject, profile: Target["profile"] = "llamacpp", model = "qwen"): JsonObject {
  const body = { model: "claude-sonnet-4-5", max_tokens: 100, messages: [{ role: "user", content: "hi" }], ...changes };
  return chatCodec.fromNeutral(messagesCodec.toNeutral(body), { profile, model, maxOutputTokens: undefined });
}

function messagesOf(messages: Json[], profile: Target["profile"] = "llamacpp", system?: Json): JsonObject[] {
  const body = translate(system === undefined ? { messages } : { messages, system }, profile);
  return body["messages"] as JsonObject[];
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

describe("Messages to Chat, the conversation", () => {
  test("A2: system becomes one leading message, blocks joined by a blank line, without cache_control", () => {
    const system = [{ type: "text", text: "one", cache_control: { type: "ephemeral" } }, text("two")];
    expect(messagesOf([user(text("hi"))], "llamacpp", system)).toEqual([
      { role: "system", content: "one\n\ntwo" },
      { role: "user", content: "hi" },
    ]);
    expect(messagesOf([user(text("hi"))], "llamacpp", "one")[0]).toEqual({ role: "system", content: "one" });
  });

  test("A3: the attribution block goes, only from the top-level system and only by its beginning", () => {
    const system = [text("x-anthropic-billing-header: cc_version=2; cch=1;"), text("see x-anthropic-billing-header:")];
    expect(messagesOf([user(text("hi"))], "llamacpp", system)[0]!["content"]).toBe("see x-anthropic-billing-header:");
    const kept = messagesOf([user(text("x-anthropic-billing-header: a"))]);
    expect(kept[0]!["content"]).toBe("x-anthropic-billing-header: a");
  });

  test("A5: a system message in the middle is user text at its place, merged with its neighbours", () => {
    const messages = [user(text("a")), { role: "system", content: "be brief" }, assistant(text("b")), user(text("c"))];
    expect(messagesOf(messages)).toEqual([
      { role: "user", content: "a\n\n<system-reminder>\nbe brief\n</system-reminder>" },
      { role: "assistant", content: "b" },
      { role: "user", content: "c" },
    ]);
    expect(messagesOf(messages, "openai")[1]).toEqual({ role: "system", content: "be brief" });
  });

  test("A6: a system message without text yields none, and a cleared one is left out", () => {
    const empty = { role: "system", content: [], output_config: { effort: "high" } };
    const cleared = { role: "system", content: "old", clear_at: "next_user_message" };
    expect(messagesOf([user(text("a")), empty, cleared, user(text("b"))])).toEqual([{ role: "user", content: "a\n\nb" }]);
    expect(messagesOf([user(text("a")), cleared])[0]!["content"]).toContain("old");
  });

  test("A6: messages add and remove tools", () => {
    const schema = { type: "object" };
    const change = {
      role: "system",
      content: [
        { type: "tool_addition", tool: { name: "New", input_schema: schema } },
        { type: "tool_removal", tool: { name: "Old" } },
      ],
    };
    const body = translate({ tools: [{ name: "Old", input_schema: schema }], messages: [user(text("a")), change] });
    expect((body["tools"] as JsonObject[]).map((tool) => (tool["function"] as JsonObject)["name"])).toEqual(["New"]);
    expect(body["messages"]).toEqual([{ role: "user", content: "a" }]);
  });

  test("A7: a string and a one-block array are the same string", () => {
    expect(messagesOf([{ role: "user", content: "hi" }])).toEqual(messagesOf([user(text("hi"))]));
    expect(messagesOf([user(text("hi"))])[0]!["content"]).toBe("hi");
  });

  test("A8: a base64 image becomes a data URL; by URL it goes only where the server fetches it", () => {
    const base64 = { type: "image", source: { type: "base64", media_type: "image/png", data: png } };
    expect(messagesOf([user(text("what?"), base64)])[0]!["content"]).toEqual([
      text("what?"),
      { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } },
    ]);
    const byUrl = user({ type: "image", source: { type: "url", url: "https://x/y.png" } });
    expect(skips(() => messagesOf([byUrl], "ollama"))).toBe(true);
    expect(JSON.stringify(messagesOf([byUrl], "openai"))).toContain("https://x/y.png");
  });

  test("A9: a file of the vendor's storage skips the candidate", () => {
    expect(skips(() => messagesOf([user({ type: "image", source: { type: "file", file_id: "f" } })], "openai"))).toBe(true);
  });

  test("A11: text documents become text with their title; a PDF only goes where it is read", () => {
    const plain = { type: "document", title: "T", source: { type: "text", media_type: "text/plain", data: "body" } };
    expect(messagesOf([user(plain)])[0]!["content"]).toBe("# T\n\nbody");
    const pdf = user({ type: "document", source: { type: "base64", media_type: "application/pdf", data: "JVBERi0" } });
    expect(skips(() => messagesOf([pdf], "llamacpp"))).toBe(true);
    expect(messagesOf([pdf], "openai")[0]!["content"]).toEqual([
      { type: "file", file: { filename: "document.pdf", file_data: "data:application/pdf;base64,JVBERi0" } },
    ]);
  });

  test("A12: search results become text with title and source", () => {
    const block = { type: "search_result", title: "T", source: "https://s", content: [text("found")] };
    expect(messagesOf([user(block)])[0]!["content"]).toBe("T\nSource: https://s\nfound");
  });

  test("A13 and A14: text and calls are one message, arguments keep their key order and are never empty", () => {
    const messages = messagesOf([
      user(text("go")),
      assistant(text("Run."), use("a", { z: 1, b: "x" }), use("b")),
      user(result("a", { content: "1" }), result("b", { content: "2" })),
      assistant(use("c")),
      user(result("c", {})),
    ]);
    expect(messages[1]).toEqual({
      role: "assistant",
      content: "Run.",
      tool_calls: [
        { id: "a", type: "function", function: { name: "Bash", arguments: '{"z":1,"b":"x"}' } },
        { id: "b", type: "function", function: { name: "Bash", arguments: "{}" } },
      ],
    });
    expect(messages[4]!["content"]).toBeNull();
  });

  test("A15, A16 and A17: tool results come before other content of the turn, in their own order, by id", () => {
    const messages = messagesOf([
      user(text("go")),
      assistant(use("a"), use("b")),
      user(text("and then"), result("b", { content: "two" }), result("a", { content: "one" })),
    ]);
    expect(messages.slice(2)).toEqual([
      { role: "tool", tool_call_id: "b", content: "two" },
      { role: "tool", tool_call_id: "a", content: "one" },
      { role: "user", content: "and then" },
    ]);
  });

  test("A18: a failed tool is marked in its text", () => {
    const messages = messagesOf([assistant(use("a")), user(result("a", { content: "no", is_error: true }))]);
    expect(messages.at(-1)!["content"]).toBe("[tool error] no");
  });

  test("A19: content of a result may be missing, a string or blocks", () => {
    const contents: [JsonObject, string][] = [
      [{}, ""],
      [{ content: "s" }, "s"],
      [{ content: [text("a"), text("b")] }, "ab"],
    ];
    for (const [rest, expected] of contents) {
      const messages = messagesOf([assistant(use("a")), user(result("a", rest))]);
      expect(messages.at(-1)).toEqual({ role: "tool", tool_call_id: "a", content: expected });
    }
  });

  test("A20: images inside results follow all of the turn's results and name their call", () => {
    const image = { type: "image", source: { type: "base64", media_type: "image/png", data: png } };
    const messages = messagesOf([
      assistant(use("a"), use("b")),
      user(result("a", { content: [text("see"), image] }), result("b", { content: "ok" })),
      user(text("next")),
    ]);
    expect(messages.map((message) => message["role"])).toEqual(["assistant", "tool", "tool", "user"]);
    expect(messages[1]!["content"]).toBe("see");
    expect(messages[3]!["content"]).toEqual([
      text("[attached to the result of tool call a]"),
      { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } },
      text("next"),
    ]);
  });

  test("A21: a tool reference becomes text that names the tool", () => {
    const reference = result("a", { content: [{ type: "tool_reference", tool_name: "WebSearch" }] });
    const messages = messagesOf([assistant(use("a")), user(reference, text("Tool loaded."))]);
    expect(messages[1]!["content"]).toContain("WebSearch");
    expect(messages[2]).toEqual({ role: "user", content: "Tool loaded." });
  });

  test("A23: thinking never becomes visible text, and goes along only where the template knows it", () => {
    const history = [
      user(text("q")),
      assistant({ type: "thinking", thinking: "hmm", signature: "s" }, { type: "redacted_thinking", data: "d" }, text("a")),
      user(text("r")),
    ];
    expect(messagesOf(history, "ollama")[1]).toEqual({ role: "assistant", content: "a" });
    expect(messagesOf(history, "llamacpp")[1]).toEqual({ role: "assistant", content: "a", reasoning_content: "hmm" });
  });

  test("A24: results of server tools become plain text without what is encrypted", () => {
    const search = {
      type: "web_search_tool_result",
      tool_use_id: "s",
      content: [{ type: "web_search_result", title: "T", url: "https://u", encrypted_content: "SECRET" }],
    };
    const call = { type: "server_tool_use", id: "s", name: "web_search", input: { query: "q" } };
    const content = messagesOf([user(text("q")), assistant(call, search, text("done"))])[1]!["content"];
    expect(content).toBe("[web_search results]\nT\nhttps://udone");
  });

  test("A38: consecutive turns of one role are merged for local templates", () => {
    const messages = [user(text("a")), user(text("b")), assistant(text("c")), assistant(use("x")), user(result("x", {}))];
    expect(messagesOf(messages).map((message) => message["role"])).toEqual(["user", "assistant", "tool"]);
    expect(messagesOf(messages)[1]!["tool_calls"]).toHaveLength(1);
  });

  test("A39: a trailing assistant message is continued by the server's own flags", () => {
    const messages = [user(text("a")), assistant(text("Once upon"))];
    expect(translate({ messages }, "vllm")).toMatchObject({ continue_final_message: true, add_generation_prompt: false });
    expect(translate({ messages }, "ollama")).not.toHaveProperty("continue_final_message");
  });

  test("A40: empty text goes, and a message that becomes empty goes", () => {
    const messages = messagesOf([user(text("a")), assistant(text("")), user(text(""), text("b"))]);
    expect(messages).toEqual([{ role: "user", content: "a\n\nb" }]);
  });

  test("A41: lone surrogates are replaced", () => {
    expect(messagesOf([user(text("a\ud83d"))])[0]!["content"]).toBe("a\ufffd");
  });

  test("many parts and turns take linear time and no stack", () => {
    const many = Array.from({ length: 150_000 }, () => text("x"));
    expect(messagesOf([user(...many)])).toHaveLength(1);
    const turns = Array.from({ length: 50_000 }, () => user(text("x")));
    expect(messagesOf(turns)).toHaveLength(1);
  });
});

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

  test("A25: server tools are never functions; a request of nothing else is told that they are missing", () => {
    const search = { type: "web_search_20250305", name: "web_search", max_uses: 8 };
    const body = translate({ tools: [search], tool_choice: { type: "auto" } });
    expect(body).not.toHaveProperty("tools");
    expect(body).not.toHaveProperty("tool_choice");
    expect(JSON.stringify(body["messages"])).toContain("not available here");
    const mixed = translate({ tools: [search, bash] });
    expect(mixed["tools"]).toHaveLength(1);
    expect(JSON.stringify(mixed["messages"])).not.toContain("not available here");
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
    const choose = (tool_choice: Json, profile: Target["profile"] = "llamacpp"): Json | undefined =>
      translate({ tools: [bash, { ...bash, name: "Read" }], tool_choice }, profile)["tool_choice"];
    expect(choose({ type: "auto" })).toBe("auto");
    expect(choose({ type: "any" })).toBe("required");
    expect(choose({ type: "none" })).toBe("none");
    expect(choose({ type: "tool", name: "Bash" })).toEqual({ type: "function", function: { name: "Bash" } });
    expect(choose({ type: "tool", name: "Bash" }, "lmstudio")).toBe("required");
    expect(choose({ type: "auto" }, "ollama")).toBe("auto");
    expect(skips(() => choose({ type: "any" }, "ollama"))).toBe(true);
    const only = translate({ tools: [bash, { ...bash, name: "Read" }], tool_choice: { type: "tool", name: "Read" } }, "lmstudio");
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
    expect(translate(settings, "llamacpp")).toMatchObject({ stop: settings.stop_sequences, temperature: 0.5, top_k: 40 });
    const openai = translate(settings, "openai", "gpt-4o");
    expect(openai["stop"]).toEqual(["a", "b", "c", "d"]);
    expect(openai).not.toHaveProperty("top_k");
    const reasoning = translate(settings, "openai", "gpt-5.5");
    for (const key of ["stop", "temperature", "top_p"]) expect(reasoning).not.toHaveProperty(key);
  });

  test("A34: thinking and effort become what the server knows", () => {
    const on = { thinking: { type: "adaptive" }, output_config: { effort: "xhigh" } };
    const off = { thinking: { type: "disabled" } };
    expect(translate(on, "openai", "gpt-5.5")["reasoning_effort"]).toBe("high");
    expect(translate(on, "openai", "gpt-4o")).not.toHaveProperty("reasoning_effort");
    expect(translate(on, "openrouter")["reasoning"]).toEqual({ effort: "high" });
    expect(translate(off, "openrouter")["reasoning"]).toEqual({ enabled: false });
    expect(translate(off, "llamacpp")["chat_template_kwargs"]).toEqual({ enable_thinking: false });
    expect(translate({ thinking: { type: "enabled", budget_tokens: 2000 } }, "ollama")["reasoning_effort"]).toBe("low");
    expect(translate({ thinking: { type: "of_next_year" } }, "ollama")).not.toHaveProperty("reasoning_effort");
  });

  test("A6: the effort of the last turn holds", () => {
    const messages = [user(text("a")), { role: "system", content: [], output_config: { effort: "low" } }];
    expect(translate({ messages, output_config: { effort: "high" } }, "ollama")["reasoning_effort"]).toBe("low");
  });

  test("A35: a format becomes response_format", () => {
    const output_config = { format: { type: "json_schema", schema } };
    expect(translate({ output_config })["response_format"]).toEqual({
      type: "json_schema",
      json_schema: { name: "answer", schema },
    });
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
    [{ messages: [user(text("a")), { role: "user", content: 5 }] }, "messages.1.content: expected a string or an array of parts"],
    [{ messages: [user({ type: "text" })] }, "messages.0.content.0.text: expected a string"],
    [{ messages: [user("a")] }, "messages.0.content.0: expected an object"],
    [{ messages: [user(result("a", { content: 5 }))] }, "messages.0.content.0.content: expected a string or an array of parts"],
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
