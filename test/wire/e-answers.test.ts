// Names, ids, reasons to stop and the parts of an answer, in one piece and streamed.

import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { dialects, type TestDialect } from "../fakes/house.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import type { FakeAnswer, Step } from "../fakes/script.ts";
import {
  AnswersHouse,
  blockStart,
  blocksOf,
  blockStop,
  choiceOf,
  chunk,
  completion,
  done,
  itemsOf,
  message,
  messageEnd,
  messageStart,
} from "./answers-house.ts";
import { rule } from "./rule.ts";

setDefaultTimeout(30_000);
let house: AnswersHouse;
beforeAll(async () => {
  house = await AnswersHouse.start();
});
afterAll(async () => house[Symbol.asyncDispose]());

const other: Readonly<Record<TestDialect, TestDialect>> = { messages: "chat", chat: "messages", responses: "chat" };
const weather = { name: "get_weather", arguments: '{"city":"Oslo"}' };

/** The id that an answer, or the answer of an event, carries. */
function idOf(data: JsonObject): string[] {
  const id = data["id"] ?? objectOf(data["message"])?.["id"] ?? objectOf(data["response"])?.["id"];
  return typeof id === "string" ? [id] : [];
}

rule(97, "every answer has a fresh id in the form of its dialect, a stream one through all of its events", async () => {
  const prefix = { messages: /^msg_\w+$/, chat: /^chatcmpl-\w+$/, responses: /^resp_\w+$/ } as const;
  for (const client of dialects) {
    const seen = new Set<string>();
    // The server gives all of its answers the same id.
    const same: Step =
      other[client] === "chat"
        ? { rawBody: completion({ content: "Hi" }, "stop") }
        : { rawBody: message([{ type: "text", text: "Hi" }], "end_turn") };
    for (const stream of [false, false, true, true]) {
      const told = await house.ask(client, other[client], { ...same, jsonForStream: true }, { stream });
      const ids = stream ? new Set(told.data.flatMap(idOf)) : new Set(idOf(told.answer));
      expect([client, stream, ids.size]).toEqual([client, stream, 1]);
      const [id = ""] = ids;
      expect(id).toMatch(prefix[client]);
      seen.add(id);
    }
    expect(seen.size).toBe(4);
  }
});

rule(98, "the model in an answer is the one that was asked for, whoever answered", async () => {
  const served: FakeAnswer = { text: "Hi", model: "the-true-name-v7" };
  for (const client of dialects) {
    for (const server of dialects) {
      for (const told of await house.both(client, server, { answer: served })) {
        expect(told.body).not.toContain("the-true-name-v7");
        expect(told.body).not.toContain("fake-model");
        const models = told.data.length === 0 ? [told.answer["model"]] : told.data.map(modelIn).filter(Boolean);
        expect(models.length).toBeGreaterThan(0);
        expect([client, server, ...new Set(models)]).toEqual([client, server, told.model]);
      }
    }
  }
});

function modelIn(data: JsonObject): unknown {
  return data["model"] ?? objectOf(data["message"])?.["model"] ?? objectOf(data["response"])?.["model"];
}

rule(
  99,
  "a Messages client gets Anthropic's word for each reason to stop, and tool_use wherever there is a call",
  async () => {
    const call = { tool_calls: [{ id: "a", type: "function", function: weather }] };
    const cases: [JsonObject, string, string][] = [
      [{ content: "Hi" }, "stop", "end_turn"],
      [{ content: "Hi" }, "length", "max_tokens"],
      [{ content: "Hi" }, "content_filter", "refusal"],
      [{ content: "Hi" }, "a_word_of_next_year", "end_turn"],
      [{ content: "Hi" }, "tool_calls", "end_turn"],
      [call, "tool_calls", "tool_use"],
      [call, "stop", "tool_use"],
      [call, "a_word_of_next_year", "tool_use"],
      [{ ...call, content: "Hi" }, "stop", "tool_use"],
      [{ function_call: weather }, "function_call", "tool_use"],
    ];
    for (const [said, finish, stop] of cases) {
      const whole = await house.ask("messages", "chat", { rawBody: completion(said, finish) });
      const delta = said["tool_calls"] === undefined ? said : { ...said, tool_calls: indexed(said["tool_calls"]) };
      const rawBody = [chunk(delta), chunk({}, finish), done];
      const stream = await house.ask("messages", "chat", { rawBody }, { stream: true });
      expect([said, finish, whole.answer["stop_reason"], stream.answer["stop_reason"]]).toEqual([
        said,
        finish,
        stop,
        stop,
      ]);
      expect(stream.fault).toBeNull();
    }
    // A local server of the Messages dialect that forgets to say so itself.
    const block: JsonObject = { type: "tool_use", id: "t0", name: "f", input: {} };
    const rawBody = [messageStart, blockStart(0, block), blockStop(0), ...messageEnd("end_turn")];
    const told = await house.ask("messages", "home-messages", { rawBody }, { stream: true });
    expect(told.answer["stop_reason"]).toBe("tool_use");
  },
);

function indexed(list: Json): JsonObject[] {
  return objectsOf(list).map((call, index) => ({ index, ...call }));
}

rule(
  100,
  "a Chat client gets OpenAI's word for each of Anthropic's reasons, and stop for what it can't know",
  async () => {
    const text: JsonObject = { type: "text", text: "Hi" };
    const tool: JsonObject = { type: "tool_use", id: "toolu_1", name: "f", input: {} };
    const cases: [JsonObject, string, string][] = [
      [text, "end_turn", "stop"],
      [text, "stop_sequence", "stop"],
      [text, "max_tokens", "length"],
      [text, "model_context_window_exceeded", "length"],
      [text, "refusal", "content_filter"],
      // Only turns with the vendor's own tools are paused, and a translated request has none.
      [text, "pause_turn", "stop"],
      [text, "a_word_of_next_year", "stop"],
      [tool, "tool_use", "tool_calls"],
      [tool, "end_turn", "tool_calls"],
    ];
    for (const [block, stop, finish] of cases) {
      const whole = await house.ask("chat", "messages", { rawBody: message([block], stop) });
      const opened: JsonObject = block === text ? { type: "text", text: "Hi" } : block;
      const rawBody = [messageStart, blockStart(0, opened), blockStop(0), ...messageEnd(stop)];
      const stream = await house.ask("chat", "messages", { rawBody }, { stream: true });
      expect([stop, choiceOf(whole).finish, choiceOf(stream).finish]).toEqual([stop, finish, finish]);
      expect(stream.fault).toBeNull();
    }
  },
);

rule(
  101,
  "a Responses client gets a status for each reason to stop, and an error object where the answer failed",
  async () => {
    const cases: [NonNullable<FakeAnswer["stop"]>, string, Json][] = [
      ["end", "completed", null],
      ["length", "incomplete", { reason: "max_output_tokens" }],
      ["filtered", "incomplete", { reason: "content_filter" }],
    ];
    for (const server of ["messages", "chat"] as const) {
      for (const [stop, status, details] of cases) {
        for (const { answer, fault } of await house.both("responses", server, { answer: { text: "Hi", stop } })) {
          expect([server, answer["status"], answer["incomplete_details"]]).toEqual([server, status, details]);
          expect([answer["error"], fault]).toEqual([null, null]);
        }
      }
      const calling = { toolCalls: [{ name: "f", input: {} }] };
      for (const { answer } of await house.both("responses", server, { answer: calling }))
        expect(answer["status"]).toBe("completed");
      const failing: Step = { answer: { text: "Half and whole" }, errorEvent: { afterEvents: 3 } };
      const failed = await house.ask("responses", server, failing, { stream: true, opened: 3, alone: true });
      expect(failed.answer["status"]).toBe("failed");
      const error = objectOf(failed.answer["error"]) ?? {};
      expect([typeof error["code"], typeof error["message"]]).toEqual(["string", "string"]);
    }
  },
);

rule(
  102,
  "several text blocks and calls of Anthropic's are one choice of a Chat answer: one text, all calls",
  async () => {
    const content: JsonObject[] = [
      { type: "text", text: "One " },
      { type: "text", text: "and two." },
      { type: "tool_use", id: "toolu_1", name: "f", input: { a: 1 } },
      { type: "text", text: " And three." },
      { type: "tool_use", id: "toolu_2", name: "g", input: {} },
    ];
    const rawBody = [
      messageStart,
      ...content.flatMap((block, index) => [blockStart(index, block), blockStop(index)]),
      ...messageEnd("tool_use"),
    ];
    const whole = await house.ask("chat", "messages", { rawBody: message(content, "tool_use") });
    const stream = await house.ask("chat", "messages", { rawBody }, { stream: true });
    for (const told of [whole, stream]) {
      expect(objectsOf(told.answer["choices"])).toHaveLength(1);
      const { message, finish } = choiceOf(told);
      expect([message["content"], finish]).toEqual(["One and two. And three.", "tool_calls"]);
      expect(message["tool_calls"]).toEqual([
        { id: "toolu_1", type: "function", function: { name: "f", arguments: '{"a":1}' } },
        { id: "toolu_2", type: "function", function: { name: "g", arguments: "{}" } },
      ]);
    }
  },
);

rule(
  105,
  "thinking is reasoning_content for a Chat client, and back a thinking block without a signature",
  async () => {
    for (const name of ["reasoning_content", "reasoning"]) {
      const rawBody = completion({ [name]: "Hm. 🤔", content: "Hi" }, "stop");
      const whole = await house.ask("messages", "chat", { rawBody });
      const pieces = [
        chunk({ [name]: "Hm" }),
        chunk({ [name]: ". 🤔" }),
        chunk({ content: "Hi" }),
        chunk({}, "stop"),
        done,
      ];
      const stream = await house.ask("messages", "chat", { rawBody: pieces }, { stream: true });
      for (const told of [whole, stream]) {
        expect(blocksOf(told)).toEqual([
          { type: "thinking", thinking: "Hm. 🤔", signature: "" },
          { type: "text", text: "Hi" },
        ]);
      }
    }
    const answer: FakeAnswer = { thinking: "Hm, let me see.", text: "Hi" };
    for (const told of await house.both("chat", "messages", { answer })) {
      const { message } = choiceOf(told);
      expect([message["reasoning_content"], message["content"]]).toEqual(["Hm, let me see.", "Hi"]);
      expect(message).not.toHaveProperty("reasoning");
    }
    // Whoever asks in OpenRouter's way reads it under OpenRouter's name, too.
    const extra = { reasoning: { effort: "high" } };
    for (const told of await house.both("chat", "messages", { answer }, { extra })) {
      expect(choiceOf(told).message).toMatchObject({
        reasoning_content: answer.thinking!,
        reasoning: answer.thinking!,
      });
    }
  },
);

rule(106, "a refusal is text for Messages and Responses clients, and stays a refusal for Chat clients", async () => {
  const refusal = "I can't help with that.";
  const whole = completion({ refusal }, "stop");
  const pieces = [chunk({ refusal: "I can't help " }), chunk({ refusal: "with that." }), chunk({}, "stop"), done];
  for (const [rawBody, stream] of [
    [whole, false],
    [pieces, true],
  ] as const) {
    expect(blocksOf(await house.ask("messages", "chat", { rawBody }, { stream }))).toEqual([
      { type: "text", text: refusal },
    ]);
    const told = await house.ask("responses", "chat", { rawBody }, { stream });
    const parts = itemsOf(told).flatMap((item) => objectsOf(item["content"]));
    expect(parts).toMatchObject([{ type: "output_text", text: refusal }]);
    expect(told.body).not.toContain('"refusal"');
  }
  const content = [{ type: "refusal", refusal }];
  const item = { id: "msg_1", type: "message", status: "completed", role: "assistant", content };
  const response = { id: "resp_1", object: "response", status: "completed", model: "m", output: [item], usage: null };
  const told = await house.ask("chat", "responses", { rawBody: JSON.stringify(response) });
  expect(choiceOf(told).message).toMatchObject({ refusal, content: null });
  // Anthropic's own refusals come as text with a reason of their own.
  const refused: FakeAnswer = { text: refusal, stop: "filtered" };
  for (const one of await house.both("chat", "messages", { answer: refused })) {
    expect([choiceOf(one).message["content"], choiceOf(one).finish]).toEqual([refusal, "content_filter"]);
  }
});

rule(110, "fields that may be null are there all the same: strict clients refuse an answer without them", async () => {
  const answer: FakeAnswer = { text: "Hi" };
  for (const { answer: told, data } of await house.both("messages", "chat", { answer })) {
    expect(told).toMatchObject({ stop_sequence: null, stop_details: null, container: null });
    const start = objectOf(data.find(({ type }) => type === "message_start")?.["message"]);
    if (start !== null) expect(start).toMatchObject({ stop_reason: null, stop_sequence: null, container: null });
  }
  const whole = await house.ask("chat", "messages", { answer });
  expect(objectsOf(whole.answer["choices"])[0]).toMatchObject({ logprobs: null, message: { refusal: null } });
  const stream = await house.ask("chat", "messages", { answer }, { stream: true });
  const choices = stream.data.flatMap((one) => objectsOf(one["choices"]));
  expect(choices.length).toBeGreaterThan(2);
  for (const choice of choices) expect(choice).toHaveProperty("logprobs", null);
  for (const { answer: told } of await house.both("responses", "messages", { answer })) {
    expect(told).toMatchObject({ error: null, incomplete_details: null });
    expect(objectOf(told["usage"])).not.toBeNull();
    expect(textOf(told["status"])).toBe("completed");
  }
});
