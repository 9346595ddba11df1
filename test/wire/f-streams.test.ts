// The form of a stream to a Messages client, whatever the upstream's own stream looks like.

import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { codecs } from "../../src/wire/codecs.ts";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { objectOf, textOf } from "../fakes/json-access.ts";
import type { FakeAnswer } from "../fakes/script.ts";
import {
  AnswersHouse,
  blockDelta,
  blocksOf,
  blockStart,
  blockStop,
  calls,
  chunk,
  done,
  event,
  messageEnd,
  messageStart,
  type Server,
  type Told,
} from "./answers-house.ts";
import { rule } from "./rule.ts";

setDefaultTimeout(30_000);
let house: AnswersHouse;
beforeAll(async () => {
  house = await AnswersHouse.start();
});
afterAll(async () => house[Symbol.asyncDispose]());

/** What a Messages client gets of a stream, which must be legal and without an error. */
async function streamed(server: Server, rawBody: string | string[]): Promise<Told> {
  const told = await house.ask("messages", server, { rawBody }, { stream: true });
  expect(told.fault).toBeNull();
  expect(told.data.map(({ type }) => type)).not.toContain("error");
  return told;
}

function typesOf(told: Told): string[] {
  return told.data.map(({ type }) => textOf(type));
}

function countOf(told: Told, type: string): number {
  return typesOf(told).filter((one) => one === type).length;
}

const weather = (index: number, city: string): JsonObject => ({
  index,
  id: `call_${city}`,
  type: "function",
  function: { name: "get_weather", arguments: JSON.stringify({ city }) },
});
/** Thinking, text, two calls: from a Chat server. */
const rich = [
  chunk({ role: "assistant", content: "" }),
  chunk({ reasoning_content: "Two towns." }),
  chunk({ content: "Let me " }),
  chunk({ content: "look." }),
  calls(weather(0, "Oslo")),
  calls(weather(1, "Bergen")),
  chunk({}, "tool_calls"),
  done,
];
/** The same of a local server of the Messages dialect. */
const tool = (index: number): string => blockStart(index, { type: "tool_use", id: `t${index}`, name: "f", input: {} });
const json = (index: number, partial_json: string): string =>
  blockDelta(index, { type: "input_json_delta", partial_json });
const text = (index: number, piece: string): string => blockDelta(index, { type: "text_delta", text: piece });
const textStart = (index: number): string => blockStart(index, { type: "text", text: "" });

rule(
  111,
  "a stream is message_start, blocks one after the other, message_delta, message_stop; each event has its name in both places",
  async () => {
    const told = await streamed("chat", rich);
    const order = typesOf(told).map((type) => (type.startsWith("content_block") ? "block" : type));
    expect(order.filter((type, at) => type !== order[at - 1])).toEqual([
      "message_start",
      "block",
      "message_delta",
      "message_stop",
    ]);
    for (const { event, data } of told.events) expect(event).toBe((JSON.parse(data) as { type: string }).type);
    expect(blocksOf(told).map(({ type }) => type)).toEqual(["thinking", "text", "tool_use", "tool_use"]);
  },
);

rule(112, "message_start is complete: an empty content, no reason to stop, and a usage of whole numbers", async () => {
  const answers: FakeAnswer[] = [
    { text: "Hi" },
    { text: "Hi", usage: "missing" },
    { text: "Hi", usage: { input: -1 } },
  ];
  for (const server of ["chat", "responses"] as const) {
    for (const answer of answers) {
      const told = await house.ask("messages", server, { answer }, { stream: true });
      const start = objectOf(told.data[0]?.["message"]) ?? {};
      expect(start).toMatchObject({ type: "message", role: "assistant", content: [], stop_reason: null });
      const { input_tokens, output_tokens } = objectOf(start["usage"]) ?? {};
      expect([Number.isInteger(input_tokens), Number.isInteger(output_tokens)]).toEqual([true, true]);
    }
  }
});

rule(113, "message_start comes exactly once, however often an upstream begins", async () => {
  const again = messageStart.replace("msg_1", "msg_2");
  const rawBody = [messageStart, again, textStart(0), text(0, "a"), again, text(0, "b"), blockStop(0)];
  const told = await streamed("home-messages", [...rawBody, ...messageEnd("end_turn")]);
  expect(countOf(told, "message_start")).toBe(1);
  expect(blocksOf(told)).toEqual([{ type: "text", text: "ab" }]);
  const role = { role: "assistant", content: "" };
  const chat = [
    chunk(role),
    chunk({ ...role, content: "a" }),
    chunk({ ...role, content: "b" }),
    chunk(role, "stop"),
    done,
  ];
  const other = await streamed(
    "chat",
    chat.map((one, n) => one.replace("chatcmpl-1", `chatcmpl-${n}`)),
  );
  expect(countOf(other, "message_start")).toBe(1);
  expect(blocksOf(other)).toEqual([{ type: "text", text: "ab" }]);
});

rule(114, "block indexes count from 0 without a gap, and one block is open at a time", async () => {
  // Numbered with gaps, and two blocks grow at once.
  const rawBody = [
    messageStart,
    textStart(2),
    text(2, "a"),
    blockStop(2),
    tool(5),
    tool(9),
    json(9, '{"n":'),
    json(5, '{"m":'),
    json(9, "9}"),
    json(5, "5}"),
    blockStop(9),
    blockStop(5),
    ...messageEnd("tool_use"),
  ];
  const told = await streamed("home-messages", rawBody);
  const indexes = told.data.filter(({ type }) => type === "content_block_start").map(({ index }) => index);
  expect(indexes).toEqual([0, 1, 2]);
  expect(blocksOf(told).map(({ input }) => input)).toEqual([undefined, { n: 9 }, { m: 5 }]);
});

rule(115, "a block starts before its first delta, also where the upstream forgot the start", async () => {
  const thought = blockDelta(1, { type: "thinking_delta", thinking: "hm" });
  const rawBody = [messageStart, text(0, "a"), text(0, "b"), blockStop(0), thought, blockStop(1), textStart(2)];
  const told = await streamed("home-messages", [...rawBody, text(2, "c"), blockStop(2), ...messageEnd("end_turn")]);
  expect(blocksOf(told)).toEqual([
    { type: "text", text: "ab" },
    { type: "thinking", thinking: "hm", signature: "" },
    { type: "text", text: "c" },
  ]);
});

rule(116, "a delta is of its block's own kind, also where the upstream mixes thoughts into a text", async () => {
  const thought = (thinking: string): string => blockDelta(0, { type: "thinking_delta", thinking });
  const rawBody = [messageStart, textStart(0), thought("hm"), text(0, "a"), thought("so"), text(0, "b"), blockStop(0)];
  const told = await streamed("home-messages", [...rawBody, ...messageEnd("end_turn")]);
  const kinds = blocksOf(told).map(({ type }) => type);
  expect(kinds).toEqual(["thinking", "text", "thinking", "text"]);
  const mixed = [chunk({ content: "a", reasoning_content: "hm" }), chunk({ reasoning: "so" }), chunk({ content: "b" })];
  const other = await streamed("chat", [...mixed, chunk({}, "stop"), done]);
  expect(blocksOf(other).map(({ type }) => type)).toEqual(kinds);
});

rule(117, "a block stops exactly once, so that no tool runs twice", async () => {
  const rawBody = [
    messageStart,
    textStart(0),
    text(0, "a"),
    blockStop(0),
    blockStop(0),
    tool(1),
    json(1, "{}"),
    blockStop(1),
    blockStop(1),
    blockStop(7),
    ...messageEnd("tool_use"),
  ];
  const told = await streamed("home-messages", rawBody);
  expect([countOf(told, "content_block_start"), countOf(told, "content_block_stop")]).toEqual([2, 2]);
  expect(blocksOf(told).map(({ type }) => type)).toEqual(["text", "tool_use"]);
});

rule(118, "a block that the upstream never closes is closed before the message ends", async () => {
  const rawBody = [messageStart, textStart(0), text(0, "a"), tool(1), json(1, '{"x":1}'), ...messageEnd("tool_use")];
  const told = await streamed("home-messages", rawBody);
  expect([countOf(told, "content_block_start"), countOf(told, "content_block_stop")]).toEqual([2, 2]);
  expect(blocksOf(told)).toMatchObject([{ text: "a" }, { input: { x: 1 } }]);
  expect(told.answer["stop_reason"]).toBe("tool_use");
});

rule(120, "a tool without arguments is called with an empty object", async () => {
  const bare = (index: number): JsonObject => ({ index, id: `c${index}`, function: { name: "now" } });
  const empty = { index: 1, id: "c1", function: { name: "now", arguments: "" } };
  const told = await streamed("chat", [calls(bare(0)), calls(empty), chunk({}, "tool_calls"), done]);
  expect(blocksOf(told)).toMatchObject([
    { name: "now", input: {} },
    { name: "now", input: {} },
  ]);
  const local = await streamed("home-messages", [messageStart, tool(0), blockStop(0), ...messageEnd("tool_use")]);
  expect(blocksOf(local)).toMatchObject([{ type: "tool_use", input: {} }]);
});

rule(121, "a chunk that carries text and calls at once yields both", async () => {
  const both = chunk({ content: "Let me look.", tool_calls: [weather(0, "Oslo")] });
  const last = chunk({ content: " And here.", tool_calls: [weather(1, "Bergen")] }, "tool_calls");
  const told = await streamed("chat", [both, last, done]);
  const words = blocksOf(told).map(({ text }) => textOf(text));
  expect(words.join("")).toBe("Let me look. And here.");
  const inputs = blocksOf(told).flatMap(({ input }) => (input === undefined ? [] : [input]));
  expect(inputs).toEqual([{ city: "Oslo" }, { city: "Bergen" }]);
});

rule(129, "one message_delta ends the message, with the reason to stop and the whole usage", async () => {
  const early = event("message_delta", { delta: {}, usage: { output_tokens: 3 } });
  const usage = { input_tokens: 11, output_tokens: 7, cache_read_input_tokens: 2 };
  const last = event("message_delta", { delta: { stop_reason: "max_tokens", stop_sequence: null }, usage });
  const rawBody = [messageStart, textStart(0), early, text(0, "a"), blockStop(0), early, last, event("message_stop")];
  const counts = { prompt_tokens: 13, completion_tokens: 7, prompt_tokens_details: { cached_tokens: 2 } };
  const running = chunk({ content: "a" }).replace(
    '"choices"',
    '"usage":{"prompt_tokens":13,"completion_tokens":3},"choices"',
  );
  const chat = [
    running,
    chunk({}, "length"),
    `data: ${JSON.stringify({ id: "c", choices: [], usage: counts })}\n\n`,
    done,
  ];
  for (const told of [await streamed("home-messages", rawBody), await streamed("chat", chat)]) {
    const deltas = told.data.filter(({ type }) => type === "message_delta");
    expect(deltas).toHaveLength(1);
    expect(deltas[0]).toMatchObject({ delta: { stop_reason: "max_tokens", stop_sequence: null }, usage });
  }
});

rule(
  130,
  "what was not known at the start is told at the end: message_delta has the true counts of the prompt",
  async () => {
    const usage = { input: 900, output: 40, cacheRead: 100 };
    const told = await house.ask("messages", "chat", { answer: { text: "Hi", usage } }, { stream: true });
    const start = objectOf(objectOf(told.data[0]?.["message"])?.["usage"]) ?? {};
    expect(start["input_tokens"]).toBe(0);
    const end = objectOf(told.data.find(({ type }) => type === "message_delta")?.["usage"]) ?? {};
    expect(end).toMatchObject({ input_tokens: 900, cache_read_input_tokens: 100, output_tokens: 40 });
    expect(told.answer["usage"]).toMatchObject(end);
  },
);

rule(
  131,
  "message_stop is the last that a client reads, whatever comes behind the end of the upstream's stream",
  async () => {
    const late = [chunk({ content: "late" }), chunk({}, "length"), done, "data: {oops\n\n"];
    const chat = await streamed("chat", [chunk({ content: "a" }), chunk({}, "stop"), done, ...late]);
    const behind = [event("message_stop"), textStart(1), text(1, "late"), done];
    const rawBody = [messageStart, textStart(0), text(0, "a"), blockStop(0), ...messageEnd("end_turn"), ...behind];
    for (const told of [chat, await streamed("home-messages", rawBody), await streamed("messages", rawBody)]) {
      expect(countOf(told, "message_stop")).toBe(1);
      expect(typesOf(told).at(-1)).toBe("message_stop");
      expect(told.body).not.toContain("late");
      expect(told.body).not.toContain("[DONE]");
    }
    // The reason to stop was given, and then the connection closed: the end is written here.
    const cut = await streamed("chat", [chunk({ content: "a" }), chunk({}, "stop")]);
    expect(typesOf(cut).at(-1)).toBe("message_stop");
  },
);

rule(
  132,
  "a ping may stand anywhere behind message_start, as an event of its own: it is how a stream is kept alive",
  async () => {
    const ping = event("ping");
    const rawBody = [
      messageStart,
      ping,
      textStart(0),
      ping,
      text(0, "a"),
      ping,
      blockStop(0),
      ping,
      ...messageEnd("end_turn"),
    ];
    const passed = await streamed("messages", rawBody);
    expect(countOf(passed, "ping")).toBe(4);
    // Of another answer the upstream's pings are none of the client's business.
    const other = await house.ask("chat", "messages", { rawBody }, { stream: true });
    expect(other.body).not.toContain("ping");
    const request = codecs.messages.toNeutral({
      model: "m",
      max_tokens: 1,
      messages: [{ role: "user", content: "Hi" }],
    });
    const writer = codecs.messages.createWriter({ model: "m", id: "1", createdAt: 1, includeUsage: false, request });
    expect(writer.ping()).toBe(event("ping"));
  },
);
