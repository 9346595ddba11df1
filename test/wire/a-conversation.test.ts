// A conversation of a Messages client, as servers of the chat dialect get it.

import { afterAll, beforeAll, expect } from "bun:test";
import { codecs } from "../../src/wire/codecs.ts";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { post } from "../fakes/house.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import { allKinds, homeKinds, KindsHouse } from "./kinds-house.ts";
import { rule } from "./rule.ts";

let kinds: KindsHouse;
beforeAll(async () => {
  kinds = await KindsHouse.start();
});
afterAll(async () => kinds[Symbol.asyncDispose]());

const user = (content: unknown): object => ({ role: "user", content });
const assistant = (content: unknown): object => ({ role: "assistant", content });
const system = (content: unknown, more: object = {}): object => ({ role: "system", content, ...more });
const text = (words: string, more: object = {}): object => ({ type: "text", text: words, ...more });
const mark = { cache_control: { type: "ephemeral", ttl: "1h" } };
const attribution = "x-anthropic-billing-header: cc_version=2.1.330.269; cch=0a1b2; cc_entrypoint=sdk-cli;";

async function send(path: string, body: string): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return fetch(`${kinds.house.gateway.url}${path}`, { method: "POST", headers, body });
}

rule(1, "a path is known by itself, whatever query follows it, and the query goes no further", async () => {
  const body = JSON.stringify({ model: "vllm-1/m", max_tokens: 9, messages: [user("hi")] });
  for (const query of ["?beta=true", "?beta=true&x=/v1/responses", "?", "?beta=%2F..%2Fstats"]) {
    for (const prefix of ["", "/agent/default", "/api"]) {
      expect((await send(`${prefix}/v1/messages${query}`, body)).status).toBe(200);
      expect(kinds.house.local.generations.at(-1)!.target).toBe("/v1/chat/completions");
    }
    expect((await send(`/v1/messages/count_tokens${query}`, body)).status).toBe(200);
  }
  expect((await send("/v1/messagesx?/v1/messages", body)).status).toBe(404);
});

rule(2, "the system prompt becomes one leading message, its blocks in order with a blank line between", async () => {
  for (const kind of allKinds) {
    const whole = await kinds.ask(kind, { system: "Be brief." });
    expect(whole.messages[0]).toEqual({ role: "system", content: "Be brief." });
    const blocks = [text("one\n", mark), text(""), text(" two"), text("three", mark)];
    const pieces = await kinds.ask(kind, { system: blocks, messages: [user("hi"), system("later"), user("ho")] });
    expect(pieces.messages[0]).toEqual({ role: "system", content: "one\n\n\n two\n\nthree" });
    expect(pieces.request.text).not.toContain("cache_control");
    if (kind !== "openai") expect(pieces.messages.filter(({ role }) => role === "system")).toHaveLength(1);
    const none = await kinds.ask(kind, { system: [] });
    expect(none.messages[0]!["role"]).toBe("user");
  }
});

rule(
  3,
  "Claude Code's attribution goes to no other vendor: only from the system prompt, only by its beginning",
  async () => {
    const quoting = text(`They send ${attribution}`);
    const messages = [user(attribution), assistant("so?"), system(attribution), user("go on")];
    for (const kind of allKinds) {
      const { messages: sent } = await kinds.ask(kind, { system: [text(attribution), quoting, text("two")], messages });
      expect(sent[0]).toEqual({ role: "system", content: `They send ${attribution}\n\ntwo` });
      expect(sent[1]!["content"]).toBe(attribution);
      // A gateway in between has joined the blocks: the rest of the prompt stays.
      const joined = await kinds.ask(kind, { system: `${attribution}\n\nYou are an agent.` });
      expect(joined.messages[0]).toEqual({ role: "system", content: "You are an agent." });
    }
    const neutral = codecs.messages.toNeutral({
      model: "claude-x",
      max_tokens: 9,
      system: [{ type: "text", text: attribution }],
      messages: [{ role: "user", content: "hi" }],
    });
    for (const dialect of ["messages", "responses"] as const) {
      const body = codecs[dialect].fromNeutral(neutral, { profile: "vllm", model: "m", maxOutputTokens: 9 });
      expect(JSON.stringify(body)).not.toContain("billing");
    }
  },
);

rule(4, "toward Anthropic the attribution stays first and alone, and all else byte for byte", async () => {
  const blocks = `[{"type":"text","text":"${attribution}"} , {"text":"You\\u0020are","type":"text",
    "cache_control":{"type":"ephemeral"}}]`;
  for (const stream of ["false", "true"]) {
    const body = `{ "system":${blocks}, "messages":[{"role":"user","content":"hi"}],"stream":${stream} ,"max_tokens":9.0e1,
      "model":"claude-sonnet-4-5"}`;
    const response = await send("/v1/messages?beta=true", body);
    expect(response.status).toBe(200);
    await response.text();
    expect(kinds.house.cloud.generations.at(-1)!.text).toBe(body);
  }
});

rule(
  5,
  "instructions in mid-conversation stay at their place as the user's text, and earlier turns stay as they were",
  async () => {
    const first = [user("a"), system([text("The environment.", mark)], { output_config: { effort: "low" } })];
    const second = [...first, assistant("b"), system("Be kind."), user("c"), assistant("d"), user("e"), system("late")];
    for (const kind of homeKinds) {
      const { messages: before } = await kinds.ask(kind, { system: "base", messages: first });
      const { messages: after } = await kinds.ask(kind, { system: "base", messages: second });
      expect(before).toEqual([
        { role: "system", content: "base" },
        { role: "user", content: "a\n\n<system-reminder>\nThe environment.\n</system-reminder>" },
      ]);
      expect(after.slice(0, before.length)).toEqual(before);
      expect(after[3]!["content"]).toBe("<system-reminder>\nBe kind.\n</system-reminder>\n\nc");
      expect(after.slice(1).filter(({ role }) => role === "system")).toEqual([]);
      expect(textOf(after.at(-1)!["content"])).toContain("late");
    }
    const call = { type: "tool_use", id: "t1", name: "f", input: {} };
    const result = { type: "tool_result", tool_use_id: "t1", content: "done" };
    // Between a call and its result nothing else may stand.
    const between = [user("a"), assistant([call]), system("Hurry."), user([result])];
    for (const kind of allKinds) {
      const { messages } = await kinds.ask(kind, { messages: between });
      expect(messages.map(({ role }) => role)).toEqual([
        "user",
        "assistant",
        "tool",
        kind === "openai" ? "system" : "user",
      ]);
    }
  },
);

rule(
  6,
  "system messages that only set the effort, change tools or have been cleared are no messages; what they set holds",
  async () => {
    const schema = { type: "object", properties: {} };
    const tools = ["Keep", "Drop"].map((name) => ({ name, input_schema: schema }));
    const messages = [
      user("a"),
      system([], { output_config: { effort: "low" } }),
      system("", { output_config: { effort: "high" } }),
      system([
        { type: "tool_addition", tool: { name: "New", input_schema: schema, defer_loading: true } },
        { type: "tool_addition", tool: { type: "tool_reference", tool_name: "Keep" } },
        { type: "tool_removal", tool: { type: "tool_reference", tool_name: "Drop" } },
      ]),
      system("Only for now.", { clear_at: "next_user_message" }),
      assistant("b"),
      user("c"),
      system("Still to be read.", { clear_at: "next_user_message" }),
    ];
    for (const kind of allKinds) {
      const { body, messages: sent, request } = await kinds.ask(kind, { tools, messages }, "gpt-5.1");
      expect(sent.slice(0, 2)).toEqual([
        { role: "user", content: "a" },
        { role: "assistant", content: "b" },
      ]);
      expect(request.text).not.toContain("Only for now.");
      expect(request.text).toContain("Still to be read.");
      expect(objectsOf(body["tools"]).map((tool) => objectOf(tool["function"])?.["name"])).toEqual(["Keep", "New"]);
      if (kind === "openai") expect(body["reasoning_effort"]).toBe("high");
    }
  },
);

rule(7, "a user's text is the same string whether it came as a string or as a block", async () => {
  for (const kind of allKinds) {
    const plain = await kinds.ask(kind, { messages: [user("Grüße 🦊")] });
    const block = await kinds.ask(kind, { messages: [user([text("Grüße 🦊", mark)])] });
    expect(block.request.text).toBe(plain.request.text);
    expect(block.messages).toEqual([{ role: "user", content: "Grüße 🦊" }]);
  }
});

rule(38, "neighbouring turns of one role are one turn to a chat template", async () => {
  const call = { type: "tool_use", id: "t1", name: "f", input: { a: 1 } };
  const messages = [
    user("a"),
    user([text("b")]),
    assistant("c"),
    assistant([text("d"), call]),
    user([{ type: "tool_result", tool_use_id: "t1", content: "e" }]),
    user("f"),
    user("g"),
  ];
  for (const kind of homeKinds) {
    const { messages: sent } = await kinds.ask(kind, { messages });
    expect(sent.map(({ role, content }) => [role, content])).toEqual([
      ["user", "a\n\nb"],
      ["assistant", "c\n\nd"],
      ["tool", "e"],
      ["user", "f\n\ng"],
    ]);
    expect(objectsOf(sent[1]!["tool_calls"])).toHaveLength(1);
  }
});

rule(39, "a last word of the assistant is to be continued, by the flags of the server that has some", async () => {
  const messages = [user("Tell me."), assistant("Once upon a")];
  const flags = ["continue_final_message", "add_generation_prompt", "chat_template_kwargs"] as const;
  for (const kind of allKinds) {
    for (const thinking of [undefined, { type: "enabled", budget_tokens: 4096 }]) {
      const { body, messages: sent } = await kinds.ask(kind, { messages, thinking });
      expect(sent.at(-1)).toEqual({ role: "assistant", content: "Once upon a" });
      const values = flags.map((flag) => body[flag]);
      if (kind === "vllm" || kind === "llamacpp") expect(values).toEqual([true, false, { enable_thinking: false }]);
      else expect(values).toEqual([undefined, undefined, undefined]);
    }
    const { body } = await kinds.ask(kind, { messages: [...messages, user("Go on.")] });
    expect(body["continue_final_message"]).toBeUndefined();
  }
});

rule(40, "empty texts go, and a message that they were all of goes with them; one with a call stays", async () => {
  const call = { type: "tool_use", id: "t1", name: "f", input: {} };
  const messages = [
    user([text("a"), text("")]),
    assistant(""),
    assistant([text(""), { type: "thinking", thinking: "", signature: "s" }]),
    user([text("")]),
    assistant([text(""), call]),
    user([text(""), { type: "tool_result", tool_use_id: "t1", content: [text("")] }, text("b")]),
  ];
  for (const kind of allKinds) {
    const { messages: sent } = await kinds.ask(kind, { messages, system: [text("")] });
    expect(sent.map(({ role, content }) => [role, content])).toEqual([
      ["user", "a"],
      ["assistant", null],
      ["tool", ""],
      ["user", "b"],
    ]);
  }
});

rule(
  41,
  "half of a character never goes upstream: a body with one is refused by name, one hidden in a call is replaced",
  async () => {
    const broken = '{"model":"vllm-1/m","max_tokens":9,"messages":[{"role":"user","content":"cut \\ud83d"}]}';
    const refused = await send("/v1/messages", broken);
    expect(refused.status).toBe(400);
    expect(await refused.text()).toMatch(/half of a surrogate pair \(surrogate at byte \d+\)/);

    const call = {
      id: "c1",
      type: "function",
      function: { name: "f", arguments: '{"k\\uDC00":["a\\ud83d","\\uD83E\\udd8a"]}' },
    };
    const messages = [
      user("a"),
      { role: "assistant", content: null, tool_calls: [call] },
      { role: "tool", tool_call_id: "c1", content: "done" },
    ];
    const mended: JsonObject = { "k\ufffd": ["a\ufffd", "🦊"] };
    const anthropic = await post(kinds.house.gateway, "chat", { model: "claude-sonnet-4-5", extra: { messages } });
    expect(anthropic.status).toBe(200);
    const turn = objectsOf(kinds.house.cloud.generations.at(-1)!.json()["messages"])[1]!;
    expect(objectsOf(turn["content"])[0]!["input"]).toEqual(mended);
    const neutral = codecs.chat.toNeutral({ model: "m", messages: messages as JsonObject[] });
    const body = codecs.chat.fromNeutral(neutral, { profile: "llamacpp", model: "m", maxOutputTokens: 9 });
    const sent = objectsOf(objectsOf(body["messages"])[1]!["tool_calls"])[0]!;
    expect(JSON.parse(textOf(objectOf(sent["function"])?.["arguments"]))).toEqual(mended);
  },
);
