import { describe, expect, test } from "bun:test";
import type { Json, JsonObject, NeutralEvent, StopReason } from "../neutral.ts";
import { formatEvent, SseParser } from "../sse.ts";
import { chatCodec } from "./index.ts";

const chunk = (delta: JsonObject, rest: JsonObject = {}): JsonObject => ({
  id: "chatcmpl-1",
  model: "qwen",
  choices: [{ index: 0, delta, finish_reason: null, ...rest }],
});
const finish = (finish_reason: string, rest: JsonObject = {}): JsonObject => chunk({}, { finish_reason, ...rest });
const calls = (...tool_calls: JsonObject[]): JsonObject => chunk({ tool_calls });
const usage = (counts: JsonObject): JsonObject => ({ id: "chatcmpl-1", choices: [], usage: counts });

/** All events without the first `start` and without what is no content. */
function read(...data: (string | Json)[]): NeutralEvent[] {
  const reader = chatCodec.createReader();
  return data
    .flatMap((value) => {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      return reader.read({ event: undefined, data: text, raw: "" });
    })
    .filter((event) => event.type !== "start" && event.type !== "other");
}

describe("a Chat stream", () => {
  const golden = [
    chunk({ role: "assistant", content: "" }),
    chunk({ reasoning_content: "hm" }),
    chunk({ content: "Grüße 🎉" }),
    calls({ index: 0, id: "a", type: "function", function: { name: "f", arguments: "" } }),
    calls({ index: 0, function: { arguments: '{"x":' } }),
    calls({ index: 0, function: { arguments: "1}" } }),
    finish("tool_calls"),
    usage({ prompt_tokens: 10, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 4 } }),
  ];

  test("is read whole, and alike wherever its bytes are cut", () => {
    const text = golden.map((data) => formatEvent(undefined, JSON.stringify(data))).join("");
    const bytes = new TextEncoder().encode(`: OPENROUTER PROCESSING\n\n${text}data: [DONE]\n\n`);
    const readAt = (cut: number): NeutralEvent[] => {
      const parser = new SseParser();
      const reader = chatCodec.createReader();
      const found: NeutralEvent[] = [];
      for (let at = 0; at < bytes.length; at += cut) {
        for (const event of parser.push(bytes.subarray(at, at + cut))) found.push(...reader.read(event));
      }
      return found.filter((event) => event.type !== "other");
    };
    const whole = readAt(bytes.length);
    expect(whole).toMatchObject([
      { type: "start", id: "chatcmpl-1", model: "qwen" },
      { type: "thinking", text: "hm" },
      { type: "text", text: "Grüße 🎉" },
      { type: "tool_start", index: 0, id: "a", name: "f", form: "function" },
      { type: "tool_delta", index: 0, json: '{"x":' },
      { type: "tool_delta", index: 0, json: "1}" },
      { type: "tool_end", index: 0 },
      { type: "stop", reason: "tool_calls" },
      { type: "usage", usage: { input: 6, cacheRead: 4, output: 5 } },
      { type: "end" },
    ]);
    for (let cut = 1; cut <= 17; cut++) expect(readAt(cut)).toEqual(whole);
  });

  test("99: every finish reason has a meaning, and a call decides against stop", () => {
    const reasons: [string, StopReason][] = [
      ["stop", "end"],
      ["length", "length"],
      ["tool_calls", "tool_calls"],
      ["function_call", "tool_calls"],
      ["content_filter", "filtered"],
      ["of_next_year", "end"],
    ];
    for (const [reason, stop] of reasons) expect(read(finish(reason))).toMatchObject([{ type: "stop", reason: stop }]);
    expect(
      read(calls({ index: 0, id: "a", function: { name: "f", arguments: "{}" } }), finish("stop")).at(-1),
    ).toMatchObject({
      reason: "tool_calls",
    });
    expect(read(finish("stop", { stop_reason: "###" }))).toEqual([
      { type: "stop", reason: "stop_sequence", stopSequence: "###" },
    ]);
  });

  test("a second finish reason says nothing", () => {
    expect(read(finish("length"), finish("stop"))).toMatchObject([{ type: "stop", reason: "length" }]);
  });

  test("121: text and calls in one chunk yield both", () => {
    const both = chunk({ content: "a", tool_calls: [{ index: 0, id: "a", function: { name: "f", arguments: "{}" } }] });
    expect(read(both).map((event) => event.type)).toEqual(["text", "tool_start", "tool_delta"]);
  });

  test("122: calls that interleave by index are kept apart", () => {
    const events = read(
      calls({ index: 0, id: "a", function: { name: "f", arguments: '{"a"' } }),
      calls({ index: 1, id: "b", function: { name: "g", arguments: '{"b"' } }),
      calls({ index: 0, function: { arguments: ":1}" } }, { index: 1, function: { arguments: ":2}" } }),
      finish("tool_calls"),
    );
    const json = (index: number): string =>
      events.map((event) => (event.type === "tool_delta" && event.index === index ? event.json : "")).join("");
    expect([json(0), json(1)]).toEqual(['{"a":1}', '{"b":2}']);
    expect(events.filter((event) => event.type === "tool_end")).toHaveLength(2);
  });

  test("123: the name may come after the id and after arguments, the index may be missing", () => {
    expect(
      read(
        calls({ id: "a" }),
        calls({ function: { arguments: '{"x":' } }),
        calls({ function: { name: "f" } }),
        calls({ function: { name: "", arguments: "1}" } }),
        finish("stop"),
      ),
    ).toMatchObject([
      { type: "tool_start", index: 0, id: "a", name: "f" },
      { type: "tool_delta", index: 0, json: '{"x":' },
      { type: "tool_delta", index: 0, json: "1}" },
      { type: "tool_end", index: 0 },
      { type: "stop", reason: "tool_calls" },
    ]);
  });

  test("123: without index and id a second name is a second call; one index for all is told apart by ids", () => {
    const bare = read(
      calls({ function: { name: "f", arguments: "{}" } }),
      calls({ function: { name: "g", arguments: "{}" } }),
      finish("stop"),
    );
    expect(bare.filter((event) => event.type === "tool_start")).toMatchObject([
      { index: 0, id: "", name: "f" },
      { index: 1, id: "", name: "g" },
    ]);
    const sameIndex = read(
      calls({ index: 0, id: "a", function: { name: "f", arguments: "{}" } }),
      calls({ index: 0, id: "b", function: { name: "f", arguments: "{}" } }),
      finish("stop"),
    );
    expect(sameIndex.filter((event) => event.type === "tool_start")).toMatchObject([{ id: "a" }, { id: "b" }]);
  });

  test("123: one index for all and no id: a name behind a whole call is another call, behind a piece of one it is not", () => {
    const fn = (name: string, json: string): JsonObject => ({ index: 0, function: { name, arguments: json } });
    const begun = (...pieces: JsonObject[]): number =>
      read(...pieces, finish("stop")).filter(({ type }) => type === "tool_start").length;
    expect(begun(calls(fn("f", '{"a":1}'), fn("f", '{"a":2}')))).toBe(2);
    expect(begun(calls(fn("f", '{"a":1}')), calls(fn("g", '{"b":2}')), calls(fn("f", "{}")))).toBe(3);
    expect(begun(calls(fn("f", '{"a"')), calls(fn("f", ":1}")), calls(fn("f", "")))).toBe(1);
    expect(begun(calls(fn("f", '{"a":1}')), calls(fn("f", "")))).toBe(1);
    // Some begin with an empty object that means nothing.
    expect(begun(calls(fn("f", "{}")), calls(fn("f", '{"a":1}')))).toBe(1);
  });

  test("arguments that wait for their names are bounded, and what goes beyond leaves no half of a call", () => {
    const json = `{"x":"${"x".repeat(600_000)}`;
    const events = read(
      calls({ index: 0, id: "a", function: { arguments: json } }),
      calls({ index: 1, id: "b", function: { arguments: json } }),
      calls({ index: 0, function: { name: "f", arguments: '"}' } }),
      calls({ index: 1, function: { name: "g", arguments: '"}' } }),
      finish("tool_calls"),
    );
    expect(events.filter(({ type }) => type === "tool_start")).toMatchObject([{ id: "a", name: "f" }]);
    expect(events.filter(({ type }) => type === "tool_end")).toHaveLength(1);
  });

  test("a whole message in place of a delta is read where nothing was said before", () => {
    const message = { role: "assistant", content: "a" };
    const whole = { choices: [{ index: 0, message, finish_reason: "stop" }] };
    expect(read(whole)).toMatchObject([{ type: "text", text: "a" }, { type: "stop" }]);
    expect(read(chunk({ content: "a" }), whole)).toMatchObject([{ type: "text", text: "a" }, { type: "stop" }]);
  });

  test("the model is the one that the first chunk with a name tells", () => {
    const reader = chatCodec.createReader();
    const readRaw = (data: Json): NeutralEvent[] =>
      reader.read({ event: undefined, data: JSON.stringify(data), raw: "" });
    expect(readRaw({ id: "", model: "", choices: [], prompt_filter_results: [] })).toEqual([{ type: "other" }]);
    expect(readRaw(chunk({ content: "a" }))[0]).toEqual({ type: "start", id: "chatcmpl-1", model: "qwen" });
  });

  test("arguments may be an object, and the old function_call is a call", () => {
    const object = read(calls({ index: 0, id: "a", function: { name: "f", arguments: { x: 1 } } }), finish("stop"));
    expect(object[1]).toEqual({ type: "tool_delta", index: 0, json: '{"x":1}' });
    const legacy = read(
      chunk({ function_call: { name: "f", arguments: "{" } }),
      chunk({ function_call: { arguments: "}" } }),
      finish("function_call"),
    );
    expect(legacy.map((event) => event.type)).toEqual(["tool_start", "tool_delta", "tool_delta", "tool_end", "stop"]);
  });

  test("a call without arguments begins at the end at the latest; one without a name is none", () => {
    expect(
      read(calls({ index: 0, function: { name: "f" } }), calls({ index: 1, id: "x" }), finish("stop")),
    ).toMatchObject([{ type: "tool_start", index: 0, name: "f" }, { type: "tool_end", index: 0 }, { type: "stop" }]);
  });

  test("105: reasoning comes under one of several names, once", () => {
    const details = [
      { type: "reasoning.text", text: "a" },
      { type: "reasoning.encrypted", data: "x" },
    ];
    const mistral = [{ type: "thinking", thinking: [{ type: "text", text: "a" }] }];
    const forms: JsonObject[] = [
      { reasoning_content: "a" },
      { reasoning_content: "a", reasoning: "a", reasoning_details: details },
      { reasoning_content: "", reasoning: "a" },
      { reasoning: null, reasoning_details: details },
      { reasoning_details: [{ type: "reasoning.summary", summary: "a" }] },
      { content: mistral },
    ];
    for (const form of forms) {
      expect(read(chunk(form))).toEqual([{ type: "thinking", text: "a" }]);
      const message = { role: "assistant", content: "b", ...form };
      const answer = chatCodec.answerToNeutral({ choices: [{ message, finish_reason: "stop" }] });
      expect("parts" in answer && answer.parts[0]).toMatchObject({ type: "thinking", text: "a" });
    }
    for (const nonsense of [{ reasoning_details: {} }, { reasoning_details: [null, { text: 5 }] }, { content: [5] }]) {
      expect(read(chunk(nonsense as JsonObject))).toEqual([]);
    }
  });

  test("105: reasoning comes under either name, and content may be parts", () => {
    expect(read(chunk({ reasoning: "a" }), chunk({ content: [{ type: "text", text: "b" }] }))).toEqual([
      { type: "thinking", text: "a" },
      { type: "text", text: "b" },
    ]);
  });

  test("222: usage is taken from any chunk, and zeros do not overwrite", () => {
    const events = read(
      { ...chunk({ content: "a" }), usage: { prompt_tokens: 7, completion_tokens: 1 } },
      { ...finish("stop"), usage: { prompt_tokens: 7, completion_tokens: 2 } },
      { ...usage({ prompt_tokens: 0, completion_tokens: 0 }) },
      { choices: [], usage: null },
      "[DONE]",
    );
    expect(events.filter((event) => event.type === "usage")).toMatchObject([
      { usage: { input: 7, output: 1 } },
      { usage: { input: 7, output: 2 } },
    ]);
  });

  test("220: OpenRouter's own figure is taken, with the vendor's bill where the key is the customer's", () => {
    expect(read(usage({ prompt_tokens: 1, cost: 0.5 }))).toMatchObject([{ usage: { reportedUsd: 0.5 } }]);
    const byok = { prompt_tokens: 1, cost: 0.5, is_byok: true, cost_details: { upstream_inference_cost: 2 } };
    expect(read(usage(byok))).toMatchObject([{ usage: { reportedUsd: 2.5 } }]);
    expect(read(usage({ prompt_tokens: 1, cost: -5 }))).not.toMatchObject([{ usage: { reportedUsd: -5 } }]);
  });

  test("163 and 144: the end in any spelling; a stream without a reason that said something is complete", () => {
    expect(read(finish("stop"), " [done] ").at(-1)).toEqual({ type: "end" });
    expect(read(chunk({ content: "a" }), "[DONE]").slice(1)).toMatchObject([
      { type: "stop", reason: "end" },
      { type: "end" },
    ]);
    expect(read("[DONE]", chunk({ content: "late" }))).toEqual([{ type: "end" }]);
  });

  test("164 and 167: what is no JSON, and errors of any shape, end the attempt", () => {
    const faults: [string | Json, number][] = [
      ["{", 502],
      ["[1]", 502],
      [{ error: { message: "m", code: 402 }, choices: [{ delta: { content: "a" } }] }, 402],
      [{ error: { message: "m" } }, 502],
      [{ error: "text" }, 502],
      [{ object: "error", message: "m", type: "BadRequestError", code: 400 }, 400],
      [{ choices: [{ delta: {}, error: { code: 503, message: "m" } }] }, 503],
      [finish("error"), 502],
    ];
    for (const [data, status] of faults) {
      const events = read(data, chunk({ content: "late" }));
      expect(events).toMatchObject([{ type: "error", fault: { status } }]);
    }
  });

  test("168: unknown events and nonsense are no content and no exception", () => {
    const nonsense: Json[] = [
      { type: "ping" },
      { choices: [null, 5, {}, { delta: null }, { delta: { tool_calls: [null, {}, { function: 5 }] } }] },
      { choices: [{ delta: { content: 5, reasoning: {}, tool_calls: {} } }] },
      { usage: [] },
    ];
    expect(read(...nonsense)).toEqual([]);
  });
});
