import { describe, expect, test } from "bun:test";
import type { JsonObject, NeutralEvent, SseEvent } from "../neutral.ts";
import { SseParser } from "../sse.ts";
import {
  callEvents,
  codexTools,
  contextFor,
  end,
  eventsOf,
  sseEvent,
  start,
  stopCalls,
  stopEnd,
  written,
} from "./stream-fixtures.ts";
import { createReader } from "./stream-reader.ts";

function read(events: readonly SseEvent[]): NeutralEvent[] {
  const reader = createReader();
  return events.flatMap((event) => reader.read(event)).filter((event) => event.type !== "other");
}

const readData = (...data: JsonObject[]) => read(data.map(sseEvent));

/** The JSON arguments of each call, put together. */
function argumentsOf(events: readonly NeutralEvent[]): string[] {
  const texts: string[] = [];
  for (const event of events) {
    if (event.type === "tool_start") texts[event.index] = "";
    if (event.type === "tool_delta") texts[event.index] += event.json;
  }
  return texts;
}

const completed = (response: JsonObject = {}): JsonObject => ({
  type: "response.completed",
  response: { status: "completed", output: [], ...response },
});

test("a whole stream: start, thinking, text, calls, usage, stop, end", () => {
  const events: NeutralEvent[] = [
    start,
    { type: "thinking", text: "hm" },
    { type: "block_end" },
    { type: "text", text: "a" },
    { type: "text", text: "b" },
    { type: "block_end" },
    ...callEvents(0, "call_a", "exec_command", '{"cmd":"ls"}'),
    { type: "usage", usage: { input: 10, cacheRead: 2, output: 5, reasoning: 1 } },
    stopCalls,
    end,
  ];
  const usage = { input: 10, cacheRead: 2, cacheWrite5m: 0, cacheWrite1h: 0, output: 5, reasoning: 1 };
  expect(read(eventsOf(written(events)))).toEqual([
    { type: "start", id: "resp_01ABC", model: "asked-model" },
    ...events.slice(1, -3),
    { type: "usage", usage },
    stopCalls,
    end,
  ]);
});

test("160: the same events at every cut of the bytes from 1 to 17", () => {
  const events: NeutralEvent[] = [
    start,
    { type: "text", text: "h€llo 👍" },
    ...callEvents(0, "c", "f", '{"ä":"ö"}'),
    stopCalls,
    end,
  ];
  const bytes = new TextEncoder().encode(written(events));
  const whole = read(eventsOf(written(events)));
  for (let size = 1; size <= 17; size++) {
    const parser = new SseParser();
    const parsed: SseEvent[] = [];
    for (let at = 0; at < bytes.length; at += size) parsed.push(...parser.push(bytes.slice(at, at + size)));
    expect(read(parsed)).toEqual(whole);
  }
});

test("75: a custom tool's free text arrives as JSON, however it is cut", () => {
  const patch = '*** "Begin"\n\\ ä 👍';
  const sse = written(
    [start, ...callEvents(0, "c", "apply_patch", JSON.stringify({ input: patch }))],
    contextFor({ tools: codexTools }),
  );
  const events = read(eventsOf(sse));
  expect(events[1]).toEqual({ type: "tool_start", index: 0, id: "c", name: "apply_patch", form: "custom" });
  expect(JSON.parse(argumentsOf(events)[0] ?? "")).toEqual({ input: patch });

  const pieces = patch
    .split("")
    .map((delta) => ({ type: "response.custom_tool_call_input.delta", output_index: 0, delta }));
  const item = { type: "custom_tool_call", call_id: "c", name: "p", input: patch };
  const cut = readData(
    { type: "response.output_item.added", output_index: 0, item: { ...item, input: "" } },
    ...pieces,
    { type: "response.output_item.done", output_index: 0, item },
  );
  expect(JSON.parse(argumentsOf(cut)[0] ?? "")).toEqual({ input: patch });
});

describe("servers that send less than OpenAI", () => {
  test("149: items that come whole, without deltas or added", () => {
    const events = readData(
      { type: "response.output_item.done", output_index: 0, item: { type: "reasoning", summary: [{ text: "hm" }] } },
      {
        type: "response.output_item.done",
        output_index: 1,
        item: { type: "message", content: [{ type: "output_text", text: "a" }] },
      },
      {
        type: "response.output_item.done",
        output_index: 2,
        item: { type: "function_call", call_id: "c", name: "f", arguments: "{}" },
      },
      completed(),
    );
    expect(events).toEqual([
      { type: "thinking", text: "hm" },
      { type: "block_end" },
      { type: "text", text: "a" },
      { type: "block_end" },
      { type: "tool_start", index: 0, id: "c", name: "f", form: "function" },
      { type: "tool_delta", index: 0, json: "{}" },
      { type: "tool_end", index: 0 },
      stopCalls,
      end,
    ]);
  });

  test("nothing but the completed response", () => {
    const output = [
      { type: "message", content: [{ type: "output_text", text: "a" }] },
      { type: "function_call", call_id: "c", name: "f", arguments: '{"x":1}' },
    ];
    const events = readData(completed({ output }));
    expect(events.map((event) => event.type)).toEqual([
      "text",
      "block_end",
      "tool_start",
      "tool_delta",
      "tool_end",
      "stop",
      "end",
    ]);
  });

  test("llama.cpp: no output index, ids of the items instead, and everything is done at the end", () => {
    const done = (item: JsonObject): JsonObject => ({ type: "response.output_item.done", item });
    const added = (item: JsonObject): JsonObject => ({ type: "response.output_item.added", item });
    const call = (id: string, name: string, json: string): JsonObject => ({
      type: "function_call",
      call_id: id,
      name,
      arguments: json,
    });
    const argument = (item_id: string, delta: string): JsonObject => ({
      type: "response.function_call_arguments.delta",
      item_id,
      delta,
    });
    const reasoning = (text: string): JsonObject => ({
      id: "rs_1",
      type: "reasoning",
      summary: [],
      content: [{ text }],
    });
    const message = (text: string): JsonObject => ({ id: "msg_1", type: "message", content: [{ text }] });
    const events = readData(
      added(reasoning("")),
      { type: "response.reasoning_text.delta", item_id: "rs_1", delta: "hm" },
      added(message("")),
      { type: "response.output_text.delta", item_id: "msg_1", delta: "hel" },
      { type: "response.output_text.delta", item_id: "msg_1", delta: "lo" },
      added(call("fc_a", "f", "")),
      argument("fc_a", '{"a":1}'),
      added(call("fc_b", "g", "")),
      argument("fc_b", '{"b":'),
      argument("fc_b", "2}"),
      done(reasoning("hm")),
      done(message("hello")),
      done(call("fc_a", "f", '{"a":1}')),
      done(call("fc_b", "g", '{"b":2}')),
      completed({ output: [reasoning("hm"), message("hello"), call("fc_a", "f", '{"a":1}')] }),
    );
    const shown = events.filter(({ type }) => type === "thinking" || type === "text");
    expect(shown.map((event) => ("text" in event ? event.text : ""))).toEqual(["hm", "hel", "lo"]);
    expect(argumentsOf(events)).toEqual(['{"a":1}', '{"b":2}']);
    expect(events.filter(({ type }) => type === "tool_start")).toEqual([
      { type: "tool_start", index: 0, id: "fc_a", name: "f", form: "function" },
      { type: "tool_start", index: 1, id: "fc_b", name: "g", form: "function" },
    ]);
    expect(events.filter(({ type }) => type === "tool_end")).toHaveLength(2);
  });

  test("what came as deltas is not repeated where neither index nor id connects them with their item", () => {
    const item = (type: string): JsonObject => ({ id: `item_${type}`, type, content: [{ text: "a" }] });
    const events = readData(
      { type: "response.reasoning_text.delta", delta: "hm" },
      { type: "response.output_text.delta", item_id: "another", delta: "a" },
      { type: "response.output_item.done", item: item("reasoning") },
      { type: "response.output_item.done", item: item("message") },
      { type: "response.output_item.done", item: { ...item("message"), content: [{ text: "b" }] } },
      completed(),
    );
    expect(events.filter(({ type }) => type === "text")).toEqual([
      { type: "text", text: "a" },
      { type: "text", text: "b" },
    ]);
    expect(events.filter(({ type }) => type === "thinking")).toHaveLength(1);
  });

  test("arguments that come only with the beginning of a call, or only with their own end", () => {
    const item = { type: "function_call", call_id: "c", name: "f" };
    const added = (json: string): JsonObject => ({
      type: "response.output_item.added",
      output_index: 0,
      item: { ...item, arguments: json },
    });
    const argumentsDone = { type: "response.function_call_arguments.done", output_index: 0, arguments: '{"x":1}' };
    const itemDone = { type: "response.output_item.done", output_index: 0, item: { ...item, arguments: '{"x":1}' } };
    const emptyDone = { ...itemDone, item: { ...item, arguments: "" } };
    for (const events of [
      [added('{"x":1}')],
      [added('{"x":1}'), emptyDone],
      [added('{"x":1}'), argumentsDone, itemDone],
      [added(""), argumentsDone],
      [added(""), argumentsDone, itemDone],
      [added(""), itemDone],
    ]) {
      const found = readData(...events, completed());
      expect(argumentsOf(found)).toEqual(['{"x":1}']);
      expect(found.slice(-3)).toEqual([{ type: "tool_end", index: 0 }, stopCalls, end]);
    }
    const custom = { type: "custom_tool_call", call_id: "c", name: "p", input: "" };
    const found = readData(
      { type: "response.output_item.added", output_index: 0, item: custom },
      { type: "response.custom_tool_call_input.done", output_index: 0, input: 'a "b"' },
      completed(),
    );
    expect(JSON.parse(argumentsOf(found)[0] ?? "")).toEqual({ input: 'a "b"' });
  });

  test("a call that the length cut off has no end", () => {
    const item = { type: "custom_tool_call", call_id: "c", name: "p", input: "" };
    const found = readData(
      { type: "response.output_item.added", output_index: 0, item },
      { type: "response.custom_tool_call_input.delta", output_index: 0, delta: "rm -rf /home" },
      { type: "response.incomplete", response: { incomplete_details: { reason: "max_output_tokens" } } },
    );
    expect(found.map(({ type }) => type)).toEqual(["tool_start", "tool_delta", "stop", "end"]);
    expect(found.at(-2)).toMatchObject({ reason: "length" });
  });

  test("a last event without its output or its state, where all was told before", () => {
    const delta = { type: "response.output_text.delta", output_index: 0, delta: "a" };
    const usage = { input_tokens: 3, output_tokens: 4 };
    expect(readData(delta, { type: "response.completed", response: { id: "r", usage } }).slice(-2)).toEqual([
      stopEnd,
      end,
    ]);
  });

  test("calls, or words, that stand in the completed response alone", () => {
    const message = { type: "message", content: [{ type: "output_text", text: "a" }] };
    const call = { type: "function_call", call_id: "c", name: "f", arguments: '{"x":1}' };
    const text = { type: "response.output_text.delta", output_index: 0, delta: "a" };
    const callDone = { type: "response.output_item.done", output_index: 1, item: call };
    for (const told of [text, callDone]) {
      const events = readData(told, completed({ output: [message, call] }));
      expect(events.filter(({ type }) => type === "text")).toEqual([{ type: "text", text: "a" }]);
      expect(argumentsOf(events)).toEqual(['{"x":1}']);
      expect(events.at(-2)).toEqual(stopCalls);
    }
  });

  test("data-only events, and reasoning_text instead of a summary", () => {
    const data = JSON.stringify({ type: "response.reasoning_text.delta", output_index: 0, delta: "hm" });
    expect(read([{ event: undefined, data, raw: "" }])).toEqual([{ type: "thinking", text: "hm" }]);
  });
});

test("what came as deltas is not repeated by its done", () => {
  const message = (text: string) => ({ type: "message", content: [{ type: "output_text", text }] });
  const events = readData(
    { type: "response.output_text.delta", output_index: 0, delta: "a" },
    { type: "response.output_text.delta", output_index: 1, delta: "b" },
    { type: "response.output_item.done", output_index: 0, item: message("a") },
    { type: "response.output_item.done", output_index: 1, item: message("b") },
    completed({ output: [message("a"), message("b")] }),
  );
  expect(events.filter((event) => event.type === "text")).toHaveLength(2);
});

describe("167: failures inside the stream", () => {
  test("response.failed, with what it cost so far", () => {
    const response = {
      status: "failed",
      error: { code: "rate_limit_exceeded", message: "slow" },
      usage: { input_tokens: 5, output_tokens: 0 },
    };
    expect(readData({ type: "response.failed", response })).toMatchObject([
      { type: "usage", usage: { input: 5 } },
      { type: "error", fault: { status: 429, code: "rate_limit_exceeded", message: "slow" } },
    ]);
  });

  test("an error event, nested, flat or without a type", () => {
    const fault = { status: 503, code: "server_is_overloaded", message: "busy" };
    const error = { code: "server_is_overloaded", message: "busy" };
    expect(readData({ type: "error", error })).toEqual([{ type: "error", fault }]);
    expect(readData({ type: "error", ...error })).toEqual([{ type: "error", fault }]);
    expect(readData({ error })).toEqual([{ type: "error", fault }]);
  });

  test("164: what is no JSON object is a failure with status 502, never an exception", () => {
    for (const data of ["{", "null", "[]", '"x"', "<html>"]) {
      expect(read([{ event: "response.completed", data, raw: "" }])).toMatchObject([
        { type: "error", fault: { status: 502 } },
      ]);
    }
  });

  test("a completed event whose response failed or is missing is no clean end", () => {
    expect(readData({ type: "response.completed" })).toMatchObject([{ type: "error" }]);
    expect(readData(completed({ status: "failed", error: { code: "server_error", message: "x" } }))).toMatchObject([
      { type: "error", fault: { status: 500 } },
    ]);
  });

  test("calls and items without end are cut off, so that memory stays bounded", () => {
    const reader = createReader();
    let failed = false;
    for (let i = 0; i < 2_000 && !failed; i++) {
      const item = { type: "function_call", call_id: `c${i}`, name: "f", arguments: "" };
      const events = reader.read(sseEvent({ type: "response.output_item.added", output_index: i, item }));
      failed = events.some((event) => event.type === "error");
    }
    expect(failed).toBe(true);
  });

  test("arguments that calls begin with are bounded, all of them together", () => {
    const reader = createReader();
    const json = `{"x":"${"x".repeat(1024 * 1024)}"}`;
    const begun = Array.from({ length: 20 }, (_, output_index) => {
      const item = { type: "function_call", call_id: `c${output_index}`, name: "f", arguments: json };
      return reader.read(sseEvent({ type: "response.output_item.added", output_index, item }));
    });
    expect(begun.flat().map(({ type }) => type)).toContain("error");
  });
});

test("101, 168: incomplete is told from completed, unknown events and [DONE] are skipped", () => {
  const response = { status: "incomplete", output: [], incomplete_details: { reason: "max_output_tokens" } };
  expect(readData({ type: "response.from_the_future" }, { type: "response.incomplete", response })).toEqual([
    { type: "stop", reason: "length", stopSequence: undefined },
    end,
  ]);
  expect(read([{ event: undefined, data: "[DONE]", raw: "" }])).toEqual([]);
});

test("216: paid calls are counted where the last event does not list them", () => {
  const events = readData(
    { type: "response.output_item.done", output_index: 0, item: { type: "web_search_call", id: "ws" } },
    completed({ usage: { input_tokens: 3, output_tokens: 4 }, service_tier: "default" }),
  );
  // At once, for a stream that breaks off after the call.
  expect(events[0]).toEqual({ type: "usage", usage: { serverTools: { web_search: 1 } } });
  expect(events[1]).toMatchObject({
    type: "usage",
    usage: { input: 3, output: 4, tier: "default", serverTools: { web_search: 1 } },
  });
});

test("B21: lying usage in a stream is dropped field by field", () => {
  const events = readData(completed({ usage: { input_tokens: -5, output_tokens: 4 } }));
  expect(events[0]).toEqual({ type: "usage", usage: { output: 4, reasoning: 0 } });
});

test("an answer without calls ends as such", () => {
  expect(readData(completed())).toEqual([stopEnd, end]);
});
