import { describe, expect, test } from "bun:test";
import type { Json, JsonObject, NeutralEvent, StopReason } from "../neutral.ts";
import { formatEvent, SseParser } from "../sse.ts";
import { messagesCodec } from "./index.ts";

const golden = [
  { type: "message_start", message: { id: "msg_1", model: "claude-x", usage: usageAtStart() } },
  { type: "ping" },
  { type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "", signature: "" } },
  { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "hm", estimated_tokens: 3 } },
  { type: "content_block_delta", index: 0, delta: { type: "signature_delta", signature: "sig" } },
  { type: "content_block_stop", index: 0 },
  { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
  { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "Grüße 🎉" } },
  { type: "content_block_stop", index: 1 },
  { type: "content_block_start", index: 2, content_block: { type: "server_tool_use", id: "s", name: "web_search" } },
  { type: "content_block_delta", index: 2, delta: { type: "input_json_delta", partial_json: '{"query":"q"}' } },
  { type: "content_block_stop", index: 2 },
  { type: "content_block_start", index: 3, content_block: { type: "tool_use", id: "a", name: "f", input: {} } },
  { type: "content_block_delta", index: 3, delta: { type: "input_json_delta", partial_json: "" } },
  { type: "content_block_delta", index: 3, delta: { type: "input_json_delta", partial_json: '{"x":1}' } },
  { type: "content_block_stop", index: 3 },
  {
    type: "message_delta",
    delta: { stop_reason: "tool_use", stop_sequence: null },
    usage: { output_tokens: 20, cache_creation_input_tokens: 30, server_tool_use: { web_search_requests: 1 } },
  },
  { type: "message_stop" },
];

function usageAtStart(): Json {
  return {
    input_tokens: 10,
    output_tokens: 1,
    cache_read_input_tokens: 5,
    cache_creation_input_tokens: 30,
    cache_creation: { ephemeral_5m_input_tokens: 10, ephemeral_1h_input_tokens: 20 },
    service_tier: "priority",
  };
}

function wire(events: readonly { type: string }[]): Uint8Array {
  return new TextEncoder().encode(events.map((event) => formatEvent(event.type, JSON.stringify(event))).join(""));
}

function readAll(bytes: Uint8Array, cut = bytes.length): NeutralEvent[] {
  const parser = new SseParser();
  const reader = messagesCodec.createReader();
  const found: NeutralEvent[] = [];
  for (let at = 0; at < bytes.length; at += cut) {
    for (const event of parser.push(bytes.subarray(at, at + cut))) found.push(...reader.read(event));
  }
  return found.filter((event) => event.type !== "other");
}

function readData(...data: (string | Json)[]): NeutralEvent[] {
  const reader = messagesCodec.createReader();
  return data.flatMap((value) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return reader.read({ event: undefined, data: text, raw: `data: ${text}\n\n` });
  });
}

describe("a Messages stream", () => {
  test("is read whole, and alike wherever its bytes are cut", () => {
    const bytes = wire(golden);
    const whole = readAll(bytes);
    expect(whole).toMatchObject([
      { type: "start", id: "msg_1", model: "claude-x" },
      {
        type: "usage",
        usage: { input: 10, output: 1, cacheRead: 5, cacheWrite5m: 10, cacheWrite1h: 20, tier: "priority" },
      },
      { type: "thinking", text: "hm" },
      { type: "thinking_signature", signature: "sig" },
      { type: "block_end" },
      { type: "text", text: "Grüße 🎉" },
      { type: "block_end" },
      { type: "usage", usage: { input: 10, serverTools: { web_search: 1, web_fetch: 0 } } },
      { type: "block_end" },
      { type: "tool_start", index: 0, id: "a", name: "f", form: "function" },
      { type: "tool_delta", index: 0, json: '{"x":1}' },
      { type: "tool_end", index: 0 },
      {
        type: "usage",
        usage: { output: 20, cacheWrite5m: 10, cacheWrite1h: 20, serverTools: { web_search: 1, web_fetch: 0 } },
      },
      { type: "stop", reason: "tool_calls" },
      { type: "end" },
    ]);
    for (let cut = 1; cut <= 17; cut++) expect(readAll(bytes, cut)).toEqual(whole);
  });

  test("every stop reason has a meaning, and an unknown one is an ordinary end", () => {
    const reasons: [string, StopReason][] = [
      ["end_turn", "end"],
      ["max_tokens", "length"],
      ["model_context_window_exceeded", "length"],
      ["stop_sequence", "stop_sequence"],
      ["tool_use", "tool_calls"],
      ["refusal", "filtered"],
      ["pause_turn", "pause"],
      ["of_next_year", "end"],
      ["constructor", "end"],
    ];
    for (const [stop_reason, reason] of reasons) {
      expect(readData({ type: "message_delta", delta: { stop_reason, stop_sequence: "S" } })).toEqual([
        { type: "stop", reason, stopSequence: "S" },
      ]);
    }
  });

  test("an error event has the status of its type", () => {
    const statuses: [string, number][] = [
      ["overloaded_error", 529],
      ["rate_limit_error", 429],
      ["api_error", 500],
      ["invalid_request_error", 400],
      ["something_new", 502],
    ];
    for (const [type, status] of statuses) {
      expect(readData({ type: "error", error: { type, message: "m" } })).toEqual([
        { type: "error", fault: { status, code: type, message: "m" } },
      ]);
    }
    expect(readData({ error: "plain" })).toMatchObject([{ type: "error", fault: { message: "plain" } }]);
  });

  test("164: what is no JSON ends the attempt with 502, and nothing is read after it", () => {
    for (const data of ["{", "[1]", "5", "null"]) {
      expect(
        readData(data, { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "a" } }),
      ).toMatchObject([{ type: "error", fault: { status: 502 } }, { type: "other" }]);
    }
  });

  test("nonsense inside events is no content and no exception", () => {
    const nonsense: Json[] = [
      { type: "message_start" },
      { type: "content_block_start" },
      { type: "content_block_delta" },
      { type: "content_block_delta", index: 9, delta: { type: "input_json_delta", partial_json: "x" } },
      { type: "content_block_delta", index: {}, delta: { type: "text_delta", text: 5 } },
      { type: "content_block_stop" },
      { type: "message_delta", delta: null, usage: [] },
      { type: ["message_stop"] },
      { type: "novel_event", content: "x" },
    ];
    const kinds = new Set(readData(...nonsense).map((event) => event.type));
    expect([...kinds].toSorted()).toEqual(["block_end", "other", "start"]);
  });

  test("a tool's input that came with its start is not lost", () => {
    const block = { type: "tool_use", id: "a", name: "f", input: { x: 1 } };
    expect(
      readData(
        { type: "content_block_start", index: 0, content_block: block },
        { type: "content_block_stop", index: 0 },
      ),
    ).toEqual([
      { type: "tool_start", index: 0, id: "a", name: "f", form: "function" },
      { type: "tool_delta", index: 0, json: '{"x":1}' },
      { type: "tool_end", index: 0 },
    ]);
  });

  test("nor is it where it is text, in a stream or in one piece", () => {
    for (const input of ['{"x":1}', "{'x': 1}"]) {
      const block = { type: "tool_use", id: "a", name: "f", input };
      expect(
        readData(
          { type: "content_block_start", index: 0, content_block: block },
          { type: "content_block_stop", index: 0 },
        )[1],
      ).toEqual({ type: "tool_delta", index: 0, json: input });
      const answer = messagesCodec.answerToNeutral({ content: [block], stop_reason: "tool_use" });
      expect("parts" in answer && answer.parts).toMatchObject([{ type: "tool_call", raw: input }]);
    }
  });

  test("nor is it where the block is never closed", () => {
    const block = { type: "tool_use", id: "a", name: "f", input: { x: 1 } };
    const start = { type: "content_block_start", index: 0, content_block: block };
    const whole = [
      { type: "tool_delta", index: 0, json: '{"x":1}' },
      { type: "tool_end", index: 0 },
    ];
    const ends = readData(
      start,
      { type: "message_delta", delta: { stop_reason: "tool_use" } },
      { type: "message_stop" },
    );
    expect(ends.slice(1)).toMatchObject([...whole, { type: "stop", reason: "tool_calls" }, { type: "end" }]);
    expect(readData(start, { type: "message_stop" }).slice(1)).toMatchObject([...whole, { type: "end" }]);
  });

  test("inputs that came with their starts are bounded, all of them together", () => {
    const reader = messagesCodec.createReader();
    const content_block = { type: "tool_use", id: "a", name: "f", input: { x: "x".repeat(1024 * 1024) } };
    const read = (event: JsonObject): NeutralEvent[] =>
      reader.read({ event: undefined, data: JSON.stringify(event), raw: "" });
    const types = new Set<string>();
    for (let index = 0; index < 40; index++) {
      for (const event of read({ type: "content_block_start", index, content_block })) types.add(event.type);
      for (const event of read({ type: "content_block_stop", index })) types.add(event.type);
    }
    expect(types).not.toContain("error");
    for (let index = 0; index < 20; index++) {
      for (const event of read({ type: "content_block_start", index, content_block })) types.add(event.type);
    }
    expect(types).toContain("error");
  });

  test("an empty signature, and the mark that ends other streams, say nothing", () => {
    const signature = { type: "content_block_delta", index: 0, delta: { type: "signature_delta", signature: "" } };
    expect(readData(signature, "[DONE]")).toEqual([{ type: "other" }, { type: "other" }]);
  });

  test("a tool's input that comes both ways counts once", () => {
    const block = { type: "tool_use", id: "a", name: "f", input: { x: 1 } };
    const delta = { type: "input_json_delta", partial_json: '{"x":1}' };
    const events = readData(
      { type: "content_block_start", index: 0, content_block: block },
      { type: "content_block_delta", index: 0, delta },
      { type: "content_block_stop", index: 0 },
    );
    expect(events.filter((event) => event.type === "tool_delta")).toHaveLength(1);
  });

  test("a character that was cut in two halves is whole again", () => {
    const delta = (half: string): string =>
      `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"${half}"}}`;
    const events = readData(delta("a\\ud83c"), delta("\\udf89b"), delta("\\udf89"));
    expect(events).toEqual([
      { type: "text", text: "a" },
      { type: "text", text: "🎉b" },
      { type: "text", text: "\ufffd" },
    ]);
  });

  test("lying counts are left out one by one", () => {
    const usage = {
      input_tokens: -1,
      output_tokens: 1.5,
      cache_read_input_tokens: 1e12,
      cache_creation_input_tokens: 7,
    };
    expect(readData({ type: "message_delta", delta: {}, usage })).toEqual([
      { type: "usage", usage: { cacheWrite5m: 7, cacheWrite1h: 0, lifetimeUnknown: true } },
    ]);
  });

  test("open blocks are bounded", () => {
    const reader = messagesCodec.createReader();
    let last: NeutralEvent[] = [];
    for (let index = 0; index < 1_001; index++) {
      const data = JSON.stringify({ type: "content_block_start", index, content_block: { type: "text", text: "" } });
      last = reader.read({ event: undefined, data, raw: "" });
    }
    expect(last).toMatchObject([{ type: "error" }]);
  });
});
