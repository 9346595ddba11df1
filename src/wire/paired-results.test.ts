import { expect, test } from "bun:test";
import type { NeutralMessage } from "./neutral.ts";
import { pairedResults } from "./paired-results.ts";

function turn(...ids: string[]): NeutralMessage {
  return {
    role: "assistant",
    parts: ids.map((id) => ({
      type: "tool_call",
      id,
      name: "f",
      input: {},
      raw: "{}",
      form: "function",
      namespace: undefined,
    })),
  };
}

function result(callId: string, text: string): NeutralMessage {
  return { role: "tool", callId, parts: [{ type: "text", text }], isError: false };
}

function user(text: string): NeutralMessage {
  return { role: "user", parts: [{ type: "text", text }] };
}

/** `role:text` of each message. */
function shape(messages: readonly NeutralMessage[]): string[] {
  return pairedResults(messages).map((message) => {
    const texts = message.parts.map((part) => ("text" in part ? part.text : part.type));
    return `${message.role}:${texts.join("|")}`;
  });
}

test("a conversation that is in order stays the same list, whatever the order of the results", () => {
  const messages = [
    user("go"),
    turn("a", "b"),
    result("b", "2"),
    result("a", "1"),
    user("on"),
    turn("a"),
    result("a", "3"),
  ];
  expect(pairedResults(messages)).toBe(messages);
});

test("what was said in between goes behind the results, an unanswered call has failed, a lost result becomes text", () => {
  expect(shape([turn("a", "b"), user("wait"), result("b", "2"), result("x", "lost"), turn("c")])).toEqual([
    "assistant:tool_call|tool_call",
    "tool:No result of this call was recorded.",
    "tool:2",
    "user:wait",
    "user:[result of an earlier tool call x]|lost",
    "assistant:tool_call",
    "tool:No result of this call was recorded.",
  ]);
});

test("where ids come again, a result belongs to the last call before it", () => {
  expect(shape([result("a", "0"), turn("a"), user("no"), turn("a"), result("a", "2")])).toEqual([
    "user:[result of an earlier tool call a]|0",
    "assistant:tool_call",
    "tool:No result of this call was recorded.",
    "user:no",
    "assistant:tool_call",
    "tool:2",
  ]);
});

test("a word of the user between a call and its result alone is reason enough", () => {
  expect(shape([turn("a"), user("wait"), result("a", "1")])).toEqual(["assistant:tool_call", "tool:1", "user:wait"]);
});
