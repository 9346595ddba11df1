import { describe, expect, test } from "bun:test";
import { GatewayError } from "../../errors.ts";
import type { Json, JsonObject, NeutralPart } from "../neutral.ts";
import { sealThinking } from "./reasoning-envelope.ts";
import { toNeutral } from "./request-to-neutral.ts";
import { codexTools } from "./stream-fixtures.ts";

const neutral = (body: JsonObject) => toNeutral({ model: "m", input: "hi", ...body });
const messagesOf = (...input: JsonObject[]) => neutral({ input }).messages;
const user = (text: string): JsonObject => ({ type: "message", role: "user", content: [{ type: "input_text", text }] });
const said = (text: string): JsonObject => ({
  type: "message",
  id: "msg_1",
  role: "assistant",
  status: "completed",
  content: [{ type: "output_text", text, annotations: [] }],
});
const call = (id: string, name = "f", args = "{}"): JsonObject => ({
  type: "function_call",
  id: `fc_${id}`,
  call_id: id,
  name,
  arguments: args,
  status: "completed",
});
const result = (id: string, output: Json): JsonObject => ({ type: "function_call_output", call_id: id, output });

/** Codex 0.169 as recorded (second turn, after a reasoning item, a call, a custom call), its long texts shortened. */
const codexTurn: JsonObject = {
  model: "gpt-5.5",
  stream: true,
  input: [
    {
      type: "message",
      id: "msg_a",
      role: "developer",
      content: [{ type: "input_text", text: "You are Codex, a coding agent." }],
    },
    {
      type: "message",
      id: "msg_b",
      role: "developer",
      content: [
        { type: "input_text", text: "<skills_instructions>" },
        { type: "input_text", text: "<permissions instructions>" },
      ],
    },
    user("<environment_context>"),
    user("say pong"),
    {
      type: "reasoning",
      id: "rs_1",
      summary: [{ type: "summary_text", text: "**Think** hmm" }],
      content: null,
      encrypted_content: "ENC==",
    },
    call("call_a", "exec_command", '{"cmd":"echo hi"}'),
    {
      type: "custom_tool_call",
      id: "ctc_p",
      status: "completed",
      call_id: "call_p",
      name: "apply_patch",
      input: "*** Begin Patch\n*** End Patch\n",
    },
    result("call_a", "Process exited with code 0"),
    { type: "custom_tool_call_output", id: "ctco_1", call_id: "call_p", output: "Success." },
  ],
  tools: codexTools,
  tool_choice: "auto",
  parallel_tool_calls: true,
  reasoning: { effort: "medium", summary: "auto" },
  store: false,
  include: ["reasoning.encrypted_content"],
  prompt_cache_key: "key",
  text: { verbosity: "low" },
  client_metadata: { "x-codex-installation-id": "secret-installation" },
};

describe("a recorded Codex turn", () => {
  const request = toNeutral(codexTurn);

  test("71: its developer messages are the system prompt, in order", () => {
    expect(request.system.map(({ text }) => text)).toEqual([
      "You are Codex, a coding agent.",
      "<skills_instructions>",
      "<permissions instructions>",
    ]);
  });

  test("72: reasoning and calls fold into one assistant message, the results follow", () => {
    expect(request.messages.map((message) => message.role)).toEqual(["user", "user", "assistant", "tool", "tool"]);
    expect(request.messages[2]?.parts).toEqual([
      { type: "thinking", text: "**Think** hmm", signature: undefined },
      {
        type: "tool_call",
        id: "call_a",
        name: "exec_command",
        input: { cmd: "echo hi" },
        raw: '{"cmd":"echo hi"}',
        form: "function",
        namespace: undefined,
      },
      {
        type: "tool_call",
        id: "call_p",
        name: "apply_patch",
        input: { input: "*** Begin Patch\n*** End Patch\n" },
        raw: JSON.stringify({ input: "*** Begin Patch\n*** End Patch\n" }),
        form: "custom",
        namespace: undefined,
      },
    ]);
  });

  test("75, 76, 77: functions and custom tools stay, namespaces are flattened, hosted tools are left out", () => {
    expect(request.tools.map((tool) => [tool.name, tool.form, tool.namespace, tool.clientName])).toEqual([
      ["exec_command", "function", undefined, undefined],
      ["apply_patch", "custom", undefined, undefined],
      ["multi_agent_v1__spawn_agent", "function", "multi_agent_v1", "spawn_agent"],
      ["multi_agent_v1__close_agent", "function", "multi_agent_v1", "close_agent"],
    ]);
  });

  test("75: a custom tool takes one text, and its model is told the grammar", () => {
    const patch = request.tools[1];
    expect(patch?.schema).toMatchObject({ properties: { input: { type: "string" } }, required: ["input"] });
    expect(patch?.description).toBe(
      'Edits files.\n\nThe input must match this lark grammar:\nstart: "*** Begin Patch"',
    );
  });

  test("86: client_metadata, cache keys and include stay behind", () => {
    expect(JSON.stringify(request)).not.toContain("secret-installation");
    expect(JSON.stringify(request)).not.toContain("prompt_cache_key");
  });

  test("82, 84: no limit is invented, the effort is kept", () => {
    expect(request.maxOutputTokens).toBeUndefined();
    expect(request.reasoning).toEqual({ effort: "medium", budgetTokens: undefined });
    expect(request).toMatchObject({ stream: true, parallelTools: true, toolChoice: { type: "auto" } });
  });
});

describe("70, 71: input", () => {
  test("a string is one user message", () => {
    expect(neutral({ input: "hi" }).messages).toEqual([{ role: "user", parts: [{ type: "text", text: "hi" }] }]);
  });

  test("items without a type but with a role are messages, with string content too", () => {
    expect(messagesOf({ role: "user", content: "a" }, { role: "assistant", content: "b" })).toEqual([
      { role: "user", parts: [{ type: "text", text: "a" }] },
      { role: "assistant", parts: [{ type: "text", text: "b" }] },
    ]);
  });

  test("instructions come before the leading developer and system items", () => {
    const input = [{ role: "system", content: "second" }, { role: "developer", content: "third" }, user("x")];
    expect(neutral({ instructions: "first", input }).system.map(({ text }) => text)).toEqual([
      "first",
      "second",
      "third",
    ]);
  });

  test("a later developer item keeps its place", () => {
    const messages = messagesOf(user("a"), { role: "developer", content: "rule" }, user("b"));
    expect(messages.map((message) => message.role)).toEqual(["user", "system", "user"]);
  });

  test("an unknown role is refused with the item's place", () => {
    expect(() => messagesOf({ type: "message", role: "robot", content: "x" })).toThrow("input[0].role");
  });
});

describe("72: folding", () => {
  test("text and several calls are one message, a result closes it", () => {
    const roles = messagesOf(
      user("a"),
      said("b"),
      call("1"),
      call("2"),
      result("2", "r2"),
      result("1", "r1"),
      said("c"),
    );
    expect(roles.map((message) => [message.role, message.parts.length])).toEqual([
      ["user", 1],
      ["assistant", 3],
      ["tool", 1],
      ["tool", 1],
      ["assistant", 1],
    ]);
  });

  test("73: results are paired by call_id, never by the item's id", () => {
    const messages = messagesOf(call("call_x"), { ...result("call_x", "r"), id: "fco_other" });
    expect(messages[1]).toMatchObject({ role: "tool", callId: "call_x" });
  });

  test("88: ids, status, phase and annotations are ignored", () => {
    expect(messagesOf({ ...said("x"), phase: "commentary" })).toEqual([
      { role: "assistant", parts: [{ type: "text", text: "x" }] },
    ]);
  });
});

describe("74, 87: parts", () => {
  test("a result may be text, or text with images and files", () => {
    const output = [
      { type: "input_text", text: "see" },
      { type: "input_image", image_url: "data:image/jpeg;base64,AAAA", detail: "original" },
      { type: "input_file", filename: "a.pdf", file_data: "data:application/pdf;base64,BBBB" },
    ];
    expect(messagesOf(call("c"), result("c", output))[1]?.parts).toEqual([
      { type: "text", text: "see" },
      { type: "image", source: { kind: "base64", mediaType: "image/jpeg", data: "AAAA" }, detail: "high" },
      { type: "document", source: { kind: "base64", mediaType: "application/pdf", data: "BBBB" }, name: "a.pdf" },
    ]);
  });

  test("images and files by URL or file id", () => {
    const content = [
      { type: "input_image", image_url: "https://example.com/a.png" },
      { type: "input_image", file_id: "file-1" },
      { type: "input_file", file_url: "https://example.com/a.pdf" },
      { type: "input_file", file_data: "CCCC" },
    ];
    const sources = messagesOf({ role: "user", content })[0]?.parts.map((part) =>
      "source" in part ? part.source : part,
    );
    expect(sources).toEqual([
      { kind: "url", url: "https://example.com/a.png" },
      { kind: "file", id: "file-1" },
      { kind: "url", url: "https://example.com/a.pdf" },
      { kind: "base64", mediaType: "application/pdf", data: "CCCC" },
    ]);
  });
});

describe("75, 76: calls in the history", () => {
  test("a namespaced call takes the name that the tool is offered under", () => {
    const input = [user("x"), { ...call("c", "close_agent"), namespace: "multi_agent_v1" }];
    const part = neutral({ input, tools: codexTools }).messages[1]?.parts[0];
    expect(part).toMatchObject({ name: "multi_agent_v1__close_agent", namespace: "multi_agent_v1" });
  });

  test("93: names that are too long or have other characters are changed the same way every time, and differ", () => {
    const names = ["a".repeat(70) + "1", "a".repeat(70) + "2", "höhe.lesen"];
    const tools = names.map((name) => ({ type: "function", name, parameters: {} }));
    const first = neutral({ tools }).tools.map((tool) => tool.name);
    expect(neutral({ tools }).tools.map((tool) => tool.name)).toEqual(first);
    expect(new Set(first).size).toBe(3);
    for (const name of first) expect(name).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
    expect(neutral({ tools }).tools.map((tool) => tool.clientName)).toEqual(names);
    expect(neutral({ tools: tools.toReversed() }).tools.map((tool) => tool.name)).toEqual(first.toReversed());
    const history = neutral({ tools, input: [user("x"), call("c", names[2])] }).messages[1]?.parts[0];
    expect(history).toMatchObject({ name: first[2] });
  });

  test("76: a flattened name never hides another tool of that name", () => {
    const plain = { type: "function", name: "ns__f", parameters: {} };
    const spaced = { type: "namespace", name: "ns", description: "", tools: [{ type: "function", name: "f" }] };
    expect(neutral({ tools: [plain, spaced] }).tools.map((tool) => tool.name)).toEqual(["ns__f", "ns__f_2"]);
  });

  test("many tools whose names clash get names of their own, in linear time", () => {
    // One full name, cut in many ways.
    const parts = Array.from({ length: 2_000 }, (_, i) => `x${i}`);
    const tools = parts.slice(1).map((_, i) => {
      const name = parts.slice(i + 1).join("__");
      return { type: "namespace", name: parts.slice(0, i + 1).join("__"), tools: [{ type: "function", name }] };
    });
    expect(new Set(neutral({ tools }).tools.map((tool) => tool.name)).size).toBe(tools.length);
  });

  test("47: arguments that are empty or no object become an object", () => {
    const inputs = messagesOf(call("1", "f", ""), call("2", "f", "nonsense"), call("3", "f", "[1]"));
    expect(inputs[0]?.parts.map((part) => (part.type === "tool_call" ? part.input : part))).toEqual([
      {},
      { input: "nonsense" },
      { input: "[1]" },
    ]);
  });
});

describe("78: tools that arrive in the conversation are offered", () => {
  test("additional_tools and what a tool search found", () => {
    const tool = (name: string) => ({ type: "function", name, parameters: { type: "object" } });
    const request = neutral({
      input: [
        { type: "additional_tools", role: "developer", tools: [tool("a")] },
        { role: "developer", content: "still leading" },
        user("x"),
        { type: "tool_search_call", call_id: "c", arguments: {} },
        { type: "tool_search_output", call_id: "c", tools: [tool("b"), tool("a")] },
      ],
    });
    expect(request.tools.map((tool) => tool.name)).toEqual(["a", "b"]);
    expect(request.system.map(({ text }) => text)).toEqual(["still leading"]);
    expect(request.messages).toHaveLength(1);
  });
});

describe("79, 91: reasoning items", () => {
  const thinkingOf = (envelope: string | null, summary = "S"): NeutralPart | undefined => {
    const item = {
      type: "reasoning",
      id: "rs",
      encrypted_content: envelope,
      summary: [{ type: "summary_text", text: summary }],
    };
    return messagesOf(user("x"), item, said("y"))[1]?.parts[0];
  };

  test("our own envelope is restored byte for byte, redacted blocks too", () => {
    const signed = { type: "thinking", text: "ä\n\u0000 exact", signature: "EqoB+/=" } as const;
    const redacted = { type: "redacted_thinking", data: "OPAQUE==" } as const;
    expect(thinkingOf(sealThinking(signed), "shortened by the client")).toEqual(signed);
    expect(thinkingOf(sealThinking(redacted))).toEqual(redacted);
  });

  test("a vendor's encrypted content is dropped, its summary stays as unsigned thinking", () => {
    const lookalike = `gAAAAABo.${Buffer.from('{"signature":"x"}').toString("base64url")}`;
    for (const foreign of ["gAAAAABo", lookalike]) {
      expect(thinkingOf(foreign)).toEqual({ type: "thinking", text: "S", signature: undefined });
    }
  });

  test("a broken envelope leaves unsigned thinking that is marked as lost", () => {
    for (const broken of [
      "sanctum1.",
      "sanctum1.!!!",
      "sanctum1.bnVsbA",
      sealThinking({ type: "redacted_thinking", data: "x" }).slice(0, -4),
    ]) {
      expect(thinkingOf(broken)).toEqual({ type: "thinking", text: "S", signature: undefined, lost: true });
    }
  });
});

describe("80, 81: items of this dialect only", () => {
  test("an item_reference is refused, with or without its type", () => {
    for (const item of [{ type: "item_reference", id: "msg_1" }, { id: "msg_1" }]) {
      expect(() => messagesOf(user("x"), item)).toThrow(GatewayError);
    }
  });

  test("a compaction leaves a note, so that the history is not lost in silence", () => {
    const [note] = messagesOf({ type: "compaction", id: "c", encrypted_content: "E" });
    expect(note).toMatchObject({ role: "user", parts: [{ text: expect.stringContaining("compacted") }] });
  });

  test("shell and MCP history becomes text, without ids", () => {
    const messages = messagesOf(
      { type: "local_shell_call", id: "x", call_id: "c", status: "completed", action: { command: ["ls"] } },
      { type: "local_shell_call_output", id: "x", output: "a.txt" },
    );
    expect(messages).toEqual([
      {
        role: "assistant",
        parts: [{ type: "text", text: '[local_shell_call] {"call_id":"c","action":{"command":["ls"]}}' }],
      },
      { role: "user", parts: [{ type: "text", text: '[local_shell_call_output] {"output":"a.txt"}' }] },
    ]);
  });

  test("an unknown item is dropped, also one named like a method of objects", () => {
    expect(messagesOf(user("x"), { type: "from_the_future" }, { type: "constructor" })).toHaveLength(1);
  });
});

describe("83, 85: format and tool choice", () => {
  test("json_schema and json_object", () => {
    const schema = { type: "object", properties: {} };
    expect(neutral({ text: { format: { type: "json_schema", name: "n", schema, strict: true } } }).format).toEqual({
      type: "json_schema",
      name: "n",
      schema,
      strict: true,
    });
    expect(neutral({ text: { format: { type: "json_object" } } }).format).toEqual({ type: "json_object" });
    expect(neutral({ text: { format: { type: "text" } } }).format).toBeUndefined();
  });

  test("named tools, allowed_tools and hosted choices", () => {
    const choose = (tool_choice: Json) => neutral({ tools: codexTools, tool_choice });
    expect(choose({ type: "custom", name: "apply_patch" }).toolChoice).toEqual({ type: "tool", name: "apply_patch" });
    expect(choose({ type: "function", name: "spawn_agent", namespace: "multi_agent_v1" }).toolChoice).toEqual({
      type: "tool",
      name: "multi_agent_v1__spawn_agent",
    });
    expect(choose({ type: "web_search" }).toolChoice).toEqual({ type: "auto" });
    const allowed = choose({
      type: "allowed_tools",
      mode: "required",
      tools: [{ type: "function", name: "exec_command" }],
    });
    expect(allowed.tools.map((tool) => tool.name)).toEqual(["exec_command"]);
    expect(allowed.toolChoice).toEqual({ type: "required" });
  });

  test("84: effort none switches thinking off", () => {
    expect(neutral({ reasoning: { effort: "none" } }).reasoning).toEqual({ effort: "off", budgetTokens: undefined });
  });

  test("a tool without a name is refused, a schema without a type becomes an object's", () => {
    expect(() => neutral({ tools: [{ type: "function" }] })).toThrow(GatewayError);
    expect(neutral({ tools: [{ type: "function", name: "f", parameters: null }] }).tools[0]?.schema).toEqual({
      type: "object",
      properties: {},
    });
  });
});
