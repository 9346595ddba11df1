import { expect, test } from "bun:test";
import { AnswerCollector } from "./answer-collector.ts";
import type { NeutralAnswer, NeutralEvent } from "./neutral.ts";

function collected(...events: readonly NeutralEvent[]): NeutralAnswer {
  const collector = new AnswerCollector();
  for (const event of events) collector.add(event);
  return collector.answer();
}

test("parts stand in the order in which they began, however their pieces are mixed", () => {
  const answer = collected(
    { type: "start", id: "id-1", model: "m" },
    { type: "thinking", text: "a" },
    { type: "thinking", text: "b" },
    { type: "thinking_signature", signature: "s1" },
    { type: "thinking", text: "c" },
    { type: "text", text: "" },
    { type: "text", text: "one " },
    { type: "text", text: "text" },
    { type: "tool_start", index: 0, id: "t0", name: "look", form: "function" },
    { type: "tool_start", index: 1, id: "t1", name: "find", form: "function" },
    { type: "tool_delta", index: 1, json: '{"b":' },
    { type: "tool_delta", index: 0, json: '{"a":1}' },
    { type: "tool_delta", index: 1, json: "2}" },
    { type: "text", text: "after" },
    { type: "stop", reason: "tool_calls", stopSequence: undefined },
    { type: "end" },
  );
  const call = { type: "tool_call", form: "function", namespace: undefined } as const;
  expect(answer).toEqual({
    id: "id-1",
    model: "m",
    parts: [
      { type: "thinking", text: "ab", signature: "s1" },
      { type: "thinking", text: "c", signature: undefined },
      { type: "text", text: "one text" },
      { ...call, id: "t0", name: "look", input: { a: 1 }, raw: '{"a":1}' },
      { ...call, id: "t1", name: "find", input: { b: 2 }, raw: '{"b":2}' },
      { type: "text", text: "after" },
    ],
    stop: "tool_calls",
    stopSequence: undefined,
    usage: undefined,
  });
});

test("blocks that the upstream ended stay apart, running counts become one", () => {
  const answer = collected(
    { type: "text", text: "a" },
    { type: "block_end" },
    { type: "text", text: "b" },
    { type: "usage", usage: { input: 5, output: 1 } },
    { type: "usage", usage: { input: 0, output: 7 } },
  );
  expect(answer.parts).toEqual([
    { type: "text", text: "a" },
    { type: "text", text: "b" },
  ]);
  expect(answer.usage).toMatchObject({ input: 5, output: 7 });
});

test("a call whose arguments are no JSON keeps its text", () => {
  const [call] = collected(
    { type: "tool_start", index: 0, id: "t", name: "look", form: "function" },
    { type: "tool_delta", index: 0, json: "{oops" },
  ).parts;
  expect(call).toMatchObject({ raw: "{oops" });
});
