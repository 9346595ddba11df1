// A Chat request on its way to a Messages server: the conversation, by the rules of wire.md B.

import { describe, expect, test } from "bun:test";
import { AttemptError } from "../../errors.ts";
import { chatCodec } from "../chat/index.ts";
import type { Json, JsonObject } from "../neutral.ts";
import { messagesCodec } from "./index.ts";

function translate(changes: JsonObject, model = "claude-sonnet-4-5", maxOutputTokens?: number): JsonObject {
  const body = { model: "x", messages: [{ role: "user", content: "hi" }], ...changes };
  return messagesCodec.fromNeutral(chatCodec.toNeutral(body), { profile: "anthropic", model, maxOutputTokens });
}

function turns(messages: Json[], model?: string): Json {
  return translate({ messages }, model)["messages"]!;
}

const text = (text: string): JsonObject => ({ type: "text", text });
const user = (content: Json): JsonObject => ({ role: "user", content });
const call = (id: string, args = "{}", name = "f"): JsonObject => ({
  id,
  type: "function",
  function: { name, arguments: args },
});
const calls = (...tool_calls: Json[]): JsonObject => ({ role: "assistant", content: null, tool_calls });
const answer = (tool_call_id: string, content: Json = "ok"): JsonObject => ({ role: "tool", tool_call_id, content });
const toolResult = (id: string, words = "ok"): JsonObject => ({
  type: "tool_result",
  tool_use_id: id,
  content: [text(words)],
});

function skips(run: () => unknown): boolean {
  try {
    run();
  } catch (error) {
    return error instanceof AttemptError && error.outcome === "skipped_policy";
  }
  return false;
}

describe("Chat to Messages, the conversation", () => {
  test("B43: leading system and developer messages become system blocks, later ones marked user text", () => {
    const body = translate({
      messages: [
        { role: "system", content: "a" },
        { role: "developer", content: [text("b")] },
        user("hi"),
        { role: "assistant", content: "ho" },
        { role: "system", content: "c" },
        user("so?"),
      ],
    });
    expect(body["system"]).toEqual([text("a"), text("b")]);
    expect(body["messages"]).toEqual([
      user([text("hi")]),
      { role: "assistant", content: [text("ho")] },
      user([text("<system-reminder>\nc\n</system-reminder>"), text("so?")]),
    ]);
  });

  test("B44 and B45: the results of a turn are one leading run, text follows, even text from between them", () => {
    expect(
      turns([user("go"), calls(call("a"), call("b")), answer("b", "2"), user("wait"), answer("a", "1"), user("now")]),
    ).toEqual([
      user([text("go")]),
      {
        role: "assistant",
        content: [
          { type: "tool_use", id: "a", name: "f", input: {} },
          { type: "tool_use", id: "b", name: "f", input: {} },
        ],
      },
      user([toolResult("b", "2"), toolResult("a", "1"), text("wait"), text("now")]),
    ]);
  });

  test("B46: a call without a result gets an error for one, a result without a call becomes text", () => {
    const content = (turns([user("go"), calls(call("a")), answer("zz", "lost"), user("now")]) as JsonObject[])[2];
    expect(content).toEqual(
      user([
        {
          type: "tool_result",
          tool_use_id: "a",
          is_error: true,
          content: [text("No result of this call was recorded.")],
        },
        text("[result of an earlier tool call zz]"),
        text("lost"),
        text("now"),
      ]),
    );
  });

  test("B47: arguments become an object, whatever they are", () => {
    const inputs: [string, JsonObject][] = [
      ['{"a":1}', { a: 1 }],
      ["", {}],
      ['"{\\"a\\":1}"', { a: 1 }],
      ["{broken", { arguments: "{broken" }],
      ["[1]", { arguments: "[1]" }],
    ];
    for (const [args, input] of inputs) {
      const messages = turns([user("go"), calls(call("a", args)), answer("a")]) as JsonObject[];
      expect(messages[1]!["content"]).toEqual([{ type: "tool_use", id: "a", name: "f", input }]);
    }
  });

  test("B48: empty content beside calls yields no text block", () => {
    const messages = turns([user("go"), { ...calls(call("a")), content: "" }, answer("a")]) as JsonObject[];
    expect(messages[1]!["content"]).toHaveLength(1);
  });

  test("B49: a trailing assistant message is a prefill for old models, for newer ones a user turn follows", () => {
    const messages = [user("go"), { role: "assistant", content: "Once " }];
    expect((turns(messages, "claude-sonnet-4-5") as JsonObject[]).at(-1)).toEqual({
      role: "assistant",
      content: [text("Once")],
    });
    for (const model of ["claude-opus-4-6", "claude-sonnet-5-5", "claude-fable-5-1"]) {
      expect((turns(messages, model) as JsonObject[]).at(-1)!["role"]).toBe("user");
    }
  });

  test("B50: images keep their bytes and get the type that the bytes have", () => {
    const image = (url: string): JsonObject => user([{ type: "image_url", image_url: { url, detail: "high" } }]);
    expect(turns([image("data:image/jpeg;base64,iVBORw0KGgoAAA")])).toEqual([
      user([{ type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgoAAA" } }]),
    ]);
    expect(turns([image("https://x/y.png")])).toEqual([
      user([{ type: "image", source: { type: "url", url: "https://x/y.png" } }]),
    ]);
    expect(skips(() => turns([image("data:image/tiff;base64,SUkq")]))).toBe(true);
  });

  test("B51: a PDF becomes a document; a file of another vendor skips; audio is refused before", () => {
    const file = { filename: "a.pdf", file_data: "data:application/pdf;base64,JVBERi0x" };
    expect(turns([user([{ type: "file", file }])])).toEqual([
      user([
        {
          type: "document",
          source: { type: "base64", media_type: "application/pdf", data: "JVBERi0x" },
          title: "a.pdf",
        },
      ]),
    ]);
    expect(skips(() => turns([user([{ type: "file", file: { file_id: "f" } }])]))).toBe(true);
    const audio = { messages: [user([{ type: "input_audio", input_audio: { data: "", format: "wav" } }])], model: "m" };
    expect(() => chatCodec.facts(audio, 100)).toThrow("messages.0.content.0.type: audio");
  });

  test("B54: legacy functions, their call and their result are understood", () => {
    const body = translate({
      functions: [{ name: "f", parameters: { type: "object" } }],
      function_call: { name: "f" },
      messages: [
        user("go"),
        { role: "assistant", content: null, function_call: { name: "f", arguments: "{}" } },
        { role: "function", name: "f", content: "ok" },
      ],
    });
    expect(body["tools"]).toEqual([{ name: "f", input_schema: { type: "object" } }]);
    expect(body["tool_choice"]).toEqual({ type: "tool", name: "f", disable_parallel_tool_use: true });
    expect((body["messages"] as JsonObject[])[2]).toEqual(user([toolResult("call_legacy_1")]));
  });

  test("B64 and 271: signed reasoning goes back, unsigned is dropped", () => {
    const signed = {
      role: "assistant",
      content: "a",
      reasoning_details: [
        { type: "reasoning.text", text: "hmm", signature: "sig" },
        { type: "reasoning.encrypted", data: "enc" },
      ],
    };
    const unsigned = { role: "assistant", content: "b", reasoning_content: "hmm" };
    const messages = turns([user("q"), signed, user("r"), unsigned, user("s")]) as JsonObject[];
    expect(messages[1]!["content"]).toEqual([
      { type: "thinking", thinking: "hmm", signature: "sig" },
      { type: "redacted_thinking", data: "enc" },
      text("a"),
    ]);
    expect(messages[3]!["content"]).toEqual([text("b")]);
  });

  test("B68: blocks of the Messages dialect inside a Chat message are understood", () => {
    const messages = [
      user("go"),
      { role: "assistant", content: [text("Run."), { type: "tool_use", id: "a", name: "f", input: { x: 1 } }] },
      user([{ type: "tool_result", tool_use_id: "a", content: "ok" }, text("next")]),
    ];
    expect(turns(messages)).toEqual([
      user([text("go")]),
      { role: "assistant", content: [text("Run."), { type: "tool_use", id: "a", name: "f", input: { x: 1 } }] },
      user([toolResult("a"), text("next")]),
    ]);
  });

  test("B69: names of users are not sent", () => {
    expect(JSON.stringify(turns([{ role: "user", name: "Ann", content: "hi" }]))).not.toContain("Ann");
  });

  test("104: ids that Anthropic refuses become legal ones, alike in call and result", () => {
    const messages = turns([user("go"), calls(call("call:1/ä")), answer("call:1/ä")]) as JsonObject[];
    const id = (messages[1]!["content"] as JsonObject[])[0]!["id"] as string;
    expect(id).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(messages[2]).toEqual(user([toolResult(id)]));
  });

  test("roles alternate", () => {
    const messages = turns([
      user("a"),
      user("b"),
      { role: "assistant", content: "c" },
      { role: "assistant", content: "d" },
      user("e"),
    ]);
    expect((messages as JsonObject[]).map((message) => message["role"])).toEqual(["user", "assistant", "user"]);
  });

  test("a history of many calls takes linear time and no stack", () => {
    const ids = Array.from({ length: 20_000 }, (_, i) => `c${i}`);
    const messages = turns([
      user("go"),
      calls(...ids.map((id) => call(id))),
      ...ids.toReversed().map((id) => answer(id)),
    ]);
    expect(messages).toHaveLength(3);
  });
});
