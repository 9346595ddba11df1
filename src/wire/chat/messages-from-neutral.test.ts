// A Messages request on its way to a Chat server: the conversation, by the rules of wire.md A.

import { describe, expect, test } from "bun:test";
import { AttemptError } from "../../errors.ts";
import { messagesCodec } from "../messages/index.ts";
import type { Json, JsonObject, ServerKind } from "../neutral.ts";
import { chatCodec } from "./index.ts";

const png = "iVBORw0KGgoAAAANSUhEUg";

function translate(changes: JsonObject, profile: ServerKind = "llamacpp", model = "qwen"): JsonObject {
  const body = { model: "claude-sonnet-4-5", max_tokens: 100, messages: [{ role: "user", content: "hi" }], ...changes };
  return chatCodec.fromNeutral(messagesCodec.toNeutral(body), { profile, model, maxOutputTokens: undefined });
}

function messagesOf(messages: Json[], profile: ServerKind = "llamacpp", system?: Json): JsonObject[] {
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
    expect(messagesOf([user(text("a")), empty, cleared, user(text("b"))])).toEqual([
      { role: "user", content: "a\n\nb" },
    ]);
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
    expect(skips(() => messagesOf([user({ type: "image", source: { type: "file", file_id: "f" } })], "openai"))).toBe(
      true,
    );
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

  test("arguments are the text of an object also where a Chat client's history holds something else", () => {
    const written: [string, string][] = [
      ['{"a": 1}', '{"a": 1}'],
      ["", "{}"],
      ["null", "{}"],
      ['"{\\"a\\":1}"', '{"a":1}'],
      ["[1]", '{"arguments":"[1]"}'],
    ];
    for (const [args, sent] of written) {
      const tool_calls = [{ id: "a", type: "function", function: { name: "f", arguments: args } }];
      const body = {
        model: "m",
        messages: [
          { role: "user", content: "go" },
          { role: "assistant", tool_calls },
        ],
      };
      const target = { profile: "ollama", model: "m", maxOutputTokens: 9 } as const;
      const { messages } = chatCodec.fromNeutral(chatCodec.toNeutral(body), target);
      expect((messages as JsonObject[])[1]).toMatchObject({ tool_calls: [{ function: { arguments: sent } }] });
    }
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
      user(text("go")),
      assistant(use("a"), use("b")),
      user(result("a", { content: [text("see"), image] }), result("b", { content: "ok" })),
      user(text("next")),
    ]);
    expect(messages.map((message) => message["role"])).toEqual(["user", "assistant", "tool", "tool", "user"]);
    expect(messages[2]!["content"]).toBe("see");
    expect(messages[4]!["content"]).toEqual([
      text("[attached to the result of tool call a]"),
      { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } },
      text("next"),
    ]);
  });

  test("A21: a tool reference becomes text that names the tool", () => {
    const reference = result("a", { content: [{ type: "tool_reference", tool_name: "WebSearch" }] });
    const messages = messagesOf([user(text("go")), assistant(use("a")), user(reference, text("Tool loaded."))]);
    expect(messages[2]!["content"]).toContain("WebSearch");
    expect(messages[3]).toEqual({ role: "user", content: "Tool loaded." });
  });

  test("A23: thinking never becomes visible text, and goes along only where the template knows it", () => {
    const history = [
      user(text("q")),
      assistant(
        { type: "thinking", thinking: "hmm", signature: "s" },
        { type: "redacted_thinking", data: "d" },
        text("a"),
      ),
      user(text("r")),
    ];
    expect(messagesOf(history, "ollama")[1]).toEqual({ role: "assistant", content: "a" });
    expect(messagesOf(history, "llamacpp")[1]).toEqual({ role: "assistant", content: "a", reasoning_content: "hmm" });
  });

  test("the user has the first turn where templates want it, also of a conversation that the assistant begins", () => {
    const history = [assistant(text("How can I help?")), user(text("hi"))];
    const roles = (profile: ServerKind): Json[] =>
      messagesOf(history, profile, "s").map((message) => message["role"] ?? null);
    for (const profile of ["llamacpp", "ollama", "openrouter"] as const) {
      expect(roles(profile)).toEqual(["system", "user", "assistant", "user"]);
    }
    expect(roles("openai")).toEqual(["system", "assistant", "user"]);
    expect(messagesOf(history)[0]!["role"]).toBe("user");
  });

  test("A24: results of server tools become plain text without what is encrypted", () => {
    const search = {
      type: "web_search_tool_result",
      tool_use_id: "s",
      content: [{ type: "web_search_result", title: "T", url: "https://u", encrypted_content: "SECRET" }],
    };
    const call = { type: "server_tool_use", id: "s", name: "web_search", input: { query: "q" } };
    const content = messagesOf([user(text("q")), assistant(call, search, text("done"))])[1]!["content"];
    expect(content).toBe("[web_search results]\nT\nhttps://u\n\ndone");
  });

  test("A38: consecutive turns of one role are merged for local templates", () => {
    const messages = [
      user(text("a")),
      user(text("b")),
      assistant(text("c")),
      assistant(use("x")),
      user(result("x", {})),
    ];
    expect(messagesOf(messages).map((message) => message["role"])).toEqual(["user", "assistant", "tool"]);
    expect(messagesOf(messages)[1]!["tool_calls"]).toHaveLength(1);
  });

  test("A39: a trailing assistant message is continued by the server's own flags", () => {
    const messages = [user(text("a")), assistant(text("Once upon"))];
    expect(translate({ messages }, "vllm")).toMatchObject({
      continue_final_message: true,
      add_generation_prompt: false,
    });
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
