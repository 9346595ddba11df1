// The form of a stream to a Chat client, whatever the upstream's own stream looks like.

import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { codecs } from "../../src/wire/codecs.ts";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import type { FakeAnswer, Step } from "../fakes/script.ts";
import {
  AnswersHouse,
  blockDelta,
  blockStart,
  blockStop,
  choiceOf,
  chunk,
  done,
  event,
  messageEnd,
  messageStart,
  type Asking,
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

/** What a Chat client gets of a stream. */
async function streamed(server: Server, step: Step, asking: Asking = {}): Promise<Told> {
  return house.ask("chat", server, step, { ...asking, stream: true });
}

function deltasOf(told: Told): JsonObject[] {
  return told.data.flatMap(({ choices }) => objectsOf(choices).map(({ delta }) => objectOf(delta) ?? {}));
}

function finishesOf(told: Told): unknown[] {
  return told.data.flatMap(({ choices }) => objectsOf(choices).map(({ finish_reason }) => finish_reason));
}

const rich: FakeAnswer = {
  thinking: "Two towns, so two calls.",
  text: "Let me look.",
  toolCalls: [
    { name: "get_weather", input: { city: "Oslo" } },
    { name: "get_weather", input: { city: "Bergen", days: [1, 2] } },
  ],
};
const wantsUsage = { extra: { stream_options: { include_usage: true } } };

rule(136, "the first chunk has the role, and all chunks of an answer one id, one date and one model", async () => {
  for (const server of ["messages", "responses", "home"] as const) {
    const told = await streamed(server, { answer: rich }, wantsUsage);
    expect([server, told.fault]).toEqual([server, null]);
    expect(deltasOf(told)[0]).toMatchObject({ role: "assistant" });
    expect(deltasOf(told).filter(({ role }) => role !== undefined)).toHaveLength(1);
    const heads = told.data.map(({ id, created, model, object }) => JSON.stringify([id, created, model, object]));
    expect(new Set(heads).size).toBe(1);
    expect(told.data[0]).toMatchObject({ object: "chat.completion.chunk", model: told.model });
    expect(Number.isInteger(told.data[0]?.["created"])).toBe(true);
  }
});

rule(137, "every chunk has its choices, also the one with the usage", async () => {
  const more = [event("ping"), event("message_progress", { step: 1 })];
  const opened = [blockStart(0, { type: "text", text: "" }), blockDelta(0, { type: "text_delta", text: "Hi" })];
  const odd = [messageStart, ...more, ...opened, ...more, blockStop(0), ...messageEnd("end_turn")];
  for (const step of [{ answer: rich }, { rawBody: odd }]) {
    for (const asking of [{}, wantsUsage]) {
      const told = await streamed("messages", step, asking);
      expect(told.data.length).toBeGreaterThan(2);
      for (const { choices } of told.data) expect(Array.isArray(choices)).toBe(true);
    }
  }
});

rule(
  138,
  "the reason to finish is null until it is given once at the end, and a stream without one has failed",
  async () => {
    for (const server of ["messages", "responses"] as const) {
      const told = await streamed(server, { answer: rich });
      const finishes = finishesOf(told);
      expect(finishes.at(-1)).toBe("tool_calls");
      expect(finishes.slice(0, -1).every((finish) => finish === null)).toBe(true);

      const cut: Step = { answer: { text: "Half and whole" }, cut: { at: { event: 5 }, how: "end" } };
      const half = await streamed(server, cut, { opened: 5, alone: true });
      expect(finishesOf(half).every((finish) => finish === null)).toBe(true);
      expect(objectOf(half.data.at(-1)?.["error"])).not.toBeNull();
      expect(half.body).not.toContain("[DONE]");
    }
  },
);

rule(139, "the first piece of a call has index, id, type and name, the others index and arguments alone", async () => {
  for (const server of ["messages", "responses", "home"] as const) {
    const told = await streamed(server, { answer: rich });
    const pieces = deltasOf(told).flatMap(({ tool_calls }) => objectsOf(tool_calls));
    for (const index of [0, 1]) {
      const [first, ...others] = pieces.filter((piece) => piece["index"] === index);
      expect(first).toMatchObject({ index, type: "function", function: { name: "get_weather" } });
      expect(textOf(first?.["id"])).toMatch(/^[A-Za-z0-9_-]+$/);
      expect(typeof objectOf(first?.["function"])?.["arguments"]).toBe("string");
      expect(others.length).toBeGreaterThan(0);
      for (const piece of others) {
        expect(Object.keys(piece).sort()).toEqual(["function", "index"]);
        expect(Object.keys(objectOf(piece["function"]) ?? {})).toEqual(["arguments"]);
      }
    }
    const calls = objectsOf(choiceOf(told).message["tool_calls"]).map((call) => objectOf(call["function"]));
    expect(calls.map((call) => JSON.parse(textOf(call?.["arguments"])) as unknown)).toEqual(
      rich.toolCalls!.map(({ input }) => input),
    );
  }
});

rule(140, "the index of a call counts calls: thoughts and texts before and between them do not shift it", async () => {
  const tool = (index: number): string[] => [
    blockStart(index, { type: "tool_use", id: `t${index}`, name: `f${index}`, input: {} }),
    blockStop(index),
  ];
  const text = (index: number): string[] => [blockStart(index, { type: "text", text: `${index}.` }), blockStop(index)];
  const thought = [blockStart(0, { type: "thinking", thinking: "hm", signature: "" }), blockStop(0)];
  const blocks = [...thought, ...text(1), ...tool(2), ...text(3), ...tool(4)];
  const told = await streamed("messages", { rawBody: [messageStart, ...blocks, ...messageEnd("tool_use")] });
  const pieces = deltasOf(told).flatMap(({ tool_calls }) => objectsOf(tool_calls));
  const begun = pieces.filter(({ id }) => id !== undefined);
  expect(begun.map(({ index, id }) => [index, id])).toEqual([
    [0, "t2"],
    [1, "t4"],
  ]);
  expect(choiceOf(told).message["content"]).toBe("1.3.");
});

rule(
  141,
  "thinking streams as reasoning_content, and its signature goes to nobody but clients of OpenRouter's form",
  async () => {
    const told = await streamed("messages", { answer: rich });
    expect(choiceOf(told).message["reasoning_content"]).toBe(rich.thinking!);
    for (const word of ["c2lnbmF0dXJl", "signature", "reasoning_details", '"reasoning":']) {
      expect(told.body).not.toContain(word);
    }
    // They keep the pieces and send them back, and so Anthropic gets its own block again.
    const extra = { reasoning: { effort: "high" } };
    const other = await streamed("messages", { answer: rich }, { extra });
    const details = deltasOf(other).flatMap(({ reasoning_details }) => objectsOf(reasoning_details));
    expect(details.map(({ text }) => textOf(text)).join("")).toBe(rich.thinking!);
    expect(details.at(-1)).toMatchObject({ type: "reasoning.text", signature: "c2lnbmF0dXJl" });
    expect(new Set(details.map(({ index }) => index))).toEqual(new Set([0]));
    expect(choiceOf(other).message).toMatchObject({ reasoning: rich.thinking!, reasoning_content: rich.thinking! });
    const messages = [
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Let me look.", reasoning_details: details },
      { role: "user", content: "And?" },
    ];
    await house.ask("chat", "messages", {}, { extra: { ...extra, messages } });
    const turn = objectsOf(house.upstream.generations.at(-1)?.json()["messages"])[1];
    expect(objectsOf(turn?.["content"])[0]).toEqual({
      type: "thinking",
      thinking: rich.thinking!,
      signature: "c2lnbmF0dXJl",
    });
  },
);

rule(142, "empty pieces of an input do no harm", async () => {
  const piece = (partial_json: string): string => blockDelta(0, { type: "input_json_delta", partial_json });
  const tool = blockStart(0, { type: "tool_use", id: "t0", name: "f", input: {} });
  for (const [pieces, input] of [
    [["", '{"x"', "", ":1}", ""], '{"x":1}'],
    [["", ""], "{}"],
    [[], "{}"],
  ] as const) {
    const rawBody = [messageStart, tool, ...pieces.map(piece), blockStop(0), ...messageEnd("tool_use")];
    const told = await streamed("messages", { rawBody });
    expect(told.fault).toBeNull();
    const [call] = objectsOf(choiceOf(told).message["tool_calls"]);
    expect(objectOf(call?.["function"])).toEqual({ name: "f", arguments: input });
  }
});

rule(
  143,
  "the chunk with the usage comes only where it was asked for, while the upstream is always asked for it",
  async () => {
    const usage = { input: 20, output: 7, cacheRead: 5 };
    for (const server of ["messages", "chat", "home"] as const) {
      const without = await streamed(server, { answer: { text: "Hi", usage } });
      expect([server, without.fault]).toEqual([server, null]);
      expect(without.data.every(({ choices }) => objectsOf(choices).length === 1)).toBe(true);
      expect(without.body).not.toContain('"usage":{');
      const asked = house.upstream.generations.at(-1)?.json();
      if (server !== "messages") expect(asked?.["stream_options"]).toEqual({ include_usage: true });

      const told = await streamed(server, { answer: { text: "Hi", usage } }, wantsUsage);
      expect([server, told.fault]).toEqual([server, null]);
      const last = told.data.at(-1);
      expect(last).toMatchObject({ choices: [], usage: { prompt_tokens: 25, completion_tokens: 7, total_tokens: 32 } });
    }
    // Running counts, and zeros first and last: what was counted last is told, once.
    const counted = (prompt: number, completion: number, choices = true): string => {
      const plain = choices ? chunk({ content: "Hi" }) : `data: {"id":"c","choices":[]}\n\n`;
      const counts = `"usage":{"prompt_tokens":${prompt},"completion_tokens":${completion}},`;
      return plain.replace('"choices"', `${counts}"choices"`);
    };
    const rawBody = [
      counted(0, 0),
      counted(20, 1),
      counted(20, 6),
      chunk({}, "stop"),
      counted(20, 7, false),
      counted(0, 0, false),
      done,
    ];
    const told = await streamed("home", { rawBody }, wantsUsage);
    const shown = told.data.filter((one) => objectOf(one["usage"]) !== null);
    expect(shown).toHaveLength(1);
    expect(shown[0]).toMatchObject({ choices: [], usage: { prompt_tokens: 20, completion_tokens: 7 } });
  },
);

rule(144, "[DONE] is the last that a client reads, also where the upstream has another end, or none", async () => {
  const said = [chunk({ content: "Hi" }), chunk({}, "stop")];
  const cases: [Server, string[]][] = [
    ["messages", [messageStart, blockStart(0, { type: "text", text: "Hi" }), blockStop(0), ...messageEnd("end_turn")]],
    ["home", [...said, "data: [done]\n\n"]],
    ["home", said],
    ["home", [...said, done, chunk({ content: "late" })]],
    ["chat", [...said, done, chunk({ content: "late" }), done]],
    ["chat", said],
  ];
  for (const [server, rawBody] of cases) {
    const told = await streamed(server, { rawBody });
    expect([rawBody, told.body.endsWith(done), told.body.split("[DONE]").length]).toEqual([rawBody, true, 2]);
    expect(told.body).not.toContain("late");
    expect(choiceOf(told)).toMatchObject({ message: { content: "Hi" }, finish: "stop" });
  }
});

rule(145, "a Chat stream is kept alive by comments: no client is ever shown a ping", async () => {
  const request = codecs.chat.toNeutral({ model: "m", messages: [{ role: "user", content: "Hi" }] });
  const writer = codecs.chat.createWriter({ model: "m", id: "1", createdAt: 1, includeUsage: false, request });
  writer.write({ type: "text", text: "a" });
  expect(writer.ping()).toMatch(/^:[^\n]*\n\n$/);
  const opened = [
    blockStart(0, { type: "text", text: "" }),
    event("ping"),
    blockDelta(0, { type: "text_delta", text: "Hi" }),
  ];
  const rawBody = [messageStart, event("ping"), ...opened, event("ping"), blockStop(0), ...messageEnd("end_turn")];
  const told = await streamed("messages", { rawBody });
  expect(told.events.every(({ event }) => event === undefined)).toBe(true);
  expect(told.data.map(({ type }) => type)).not.toContain("ping");
  expect(told.fault).toBeNull();
});

rule(146, "a failure in the middle that nothing can mend is one error of OpenAI's form, and the end", async () => {
  const text = "Half and whole, and more to come.";
  const ways: Step[] = [
    { answer: { text }, cut: { at: { event: 5 }, how: "destroy" } },
    { answer: { text }, cut: { at: { event: 5 }, how: "close" } },
    { answer: { text }, cut: { at: { event: 5 }, how: "end" } },
    { answer: { text }, errorEvent: { afterEvents: 5 } },
  ];
  for (const server of ["messages", "responses", "chat"] as const) {
    for (const way of ways) {
      const told = await streamed(server, way, { opened: 5, alone: true });
      expect(textOf(choiceOf(told).message["content"])).toStartWith("Half");
      const errors = told.data.filter(({ error }) => error !== undefined);
      expect([server, way, errors.length]).toEqual([server, way, 1]);
      expect(told.data.at(-1)).toBe(errors[0]!);
      const { message, type } = objectOf(errors[0]?.["error"]) ?? {};
      expect([typeof message, typeof type]).toEqual(["string", "string"]);
      expect(objectOf(errors[0]?.["error"])).toHaveProperty("code");
      expect([told.body.includes("[DONE]"), told.body.includes("[broken")]).toEqual([false, false]);
      expect(finishesOf(told).every((finish) => finish === null)).toBe(true);
    }
  }
});
