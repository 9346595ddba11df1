import { describe, expect, test } from "bun:test";
import type { AnswerContext, Json, JsonObject, SseEvent } from "../neutral.ts";
import { messagesCodec } from "./index.ts";

const request = messagesCodec.toNeutral({ model: "m", max_tokens: 9, messages: [{ role: "user", content: "hi" }] });
const context: AnswerContext = { model: "asked", id: "7", createdAt: 1, includeUsage: false, request };

function event(name: string | undefined, data: string): SseEvent {
  return { event: name, data, raw: `${name === undefined ? "" : `event:${name}\r\n`}data:${data}\r\n\r\n` };
}

function answerOf(body: Json): Exclude<ReturnType<typeof messagesCodec.answerToNeutral>, { fault: unknown }> {
  const answer = messagesCodec.answerToNeutral(body);
  if ("fault" in answer) throw new Error(answer.fault.message);
  return answer;
}

describe("Messages pass-through", () => {
  const text = '{ "model" : "a", "unknown":1.0e2,\n "messages":[{"role":"user","content":"\\u00e4"}], "max_tokens":5 }';
  const body = JSON.parse(text) as JsonObject;

  test("a request changes in model and max_tokens alone", () => {
    expect(messagesCodec.patchRequest(text, body, {})).toBe(text);
    expect(messagesCodec.patchRequest(text, body, { model: 'b"', maxOutputTokens: 3, includeUsage: true })).toBe(
      text.replace('"a"', '"b\\""').replace(":5", ":3"),
    );
    const unlimited = '{"model":"a","messages":[]}';
    expect(messagesCodec.patchRequest(unlimited, {}, { maxOutputTokens: 3 })).toBe(
      '{"model":"a","messages":[],"max_tokens":3}',
    );
  });

  test("of the stream's events message_start changes in its model, the rest goes on byte for byte", () => {
    const start = event("message_start", '{"type":"message_start","message":{"id":"x","model":"b", "n":1.0}}');
    const patched = { model: "asked", includeUsage: false };
    expect(messagesCodec.patchEvent(start, patched)).toBe(
      'event: message_start\ndata: {"type":"message_start","message":{"id":"x","model":"asked", "n":1.0}}\n\n',
    );
    const delta = event("content_block_delta", '{"type":"content_block_delta","message":{"model":"b"}}');
    expect(messagesCodec.patchEvent(delta, patched)).toBe(delta.raw);
    expect(messagesCodec.patchEvent(event(undefined, ""), patched)).toBe(event(undefined, "").raw);
  });

  test("an answer changes in its model alone", () => {
    expect(messagesCodec.patchAnswer('{"id":"x", "model":"b","content":[{"model":"b"}]}', "asked")).toBe(
      '{"id":"x", "model":"asked","content":[{"model":"b"}]}',
    );
    expect(messagesCodec.patchAnswer('{"id":"x"}', "asked")).toBe('{"id":"x"}');
  });
});

describe("Messages answers", () => {
  const body = {
    id: "msg_1",
    model: "claude-x",
    content: [
      { type: "thinking", thinking: "hm", signature: "sig" },
      { type: "redacted_thinking", data: "d" },
      { type: "text", text: "a" },
      { type: "novel", x: 1 },
      { type: "tool_use", id: "t", name: "f", input: { z: 1, a: 2 } },
    ],
    stop_reason: "tool_use",
    stop_sequence: null,
    usage: { input_tokens: 3, output_tokens: 4 },
  };

  test("keep their parts through the neutral form and back", () => {
    const back = messagesCodec.answerFromNeutral(answerOf(body), context);
    expect(back).toMatchObject({
      id: "msg_7",
      type: "message",
      role: "assistant",
      model: "asked",
      stop_reason: "tool_use",
      stop_sequence: null,
      stop_details: null,
      container: null,
    });
    expect(back["content"]).toEqual([
      { type: "thinking", thinking: "hm", signature: "sig" },
      { type: "redacted_thinking", data: "d" },
      { type: "text", text: "a" },
      { type: "tool_use", id: "t", name: "f", input: { z: 1, a: 2 } },
    ]);
    expect(back["usage"]).toMatchObject({ input_tokens: 3, output_tokens: 4, cache_read_input_tokens: 0 });
  });

  test("108 and 109: an error or nonsense inside a 200 is a fault", () => {
    const faults: [Json, number][] = [
      [{ type: "error", error: { type: "overloaded_error", message: "m" } }, 529],
      [{ error: { message: "m", code: 429 } }, 429],
      [{ id: "x" }, 502],
      [[], 502],
      ["text", 502],
      [null, 502],
    ];
    for (const [wrong, status] of faults) {
      expect(messagesCodec.answerToNeutral(wrong)).toMatchObject({ fault: { status } });
    }
  });

  test("usage and model are read without the rest", () => {
    expect(messagesCodec.usageOf(body)).toMatchObject({ model: "claude-x", usage: { input: 3, output: 4 } });
    expect(messagesCodec.usageOf({ usage: { input_tokens: -3 } })).toEqual({ usage: undefined, model: undefined });
  });

  test("206 and 209: the counters are disjoint, and the two lifetimes of the cache are kept apart", () => {
    const usage = {
      input_tokens: 1,
      cache_read_input_tokens: 2,
      cache_creation_input_tokens: 30,
      cache_creation: { ephemeral_5m_input_tokens: 10, ephemeral_1h_input_tokens: 20 },
      output_tokens: 4,
      output_tokens_details: { thinking_tokens: 3 },
      speed: "fast",
      service_tier: "standard",
    };
    expect(messagesCodec.usageOf({ usage }).usage).toEqual({
      input: 1,
      cacheRead: 2,
      cacheWrite5m: 10,
      cacheWrite1h: 20,
      output: 4,
      reasoning: 3,
      serverTools: undefined,
      reportedUsd: undefined,
      tier: "standard",
      speed: "fast",
    });
  });

  test("212: compactions are added to the totals", () => {
    const iterations = [
      { type: "compaction", input_tokens: 100, output_tokens: 50 },
      { type: "message", input_tokens: 7, output_tokens: 7 },
    ];
    const { usage } = messagesCodec.usageOf({ usage: { input_tokens: 1, output_tokens: 2, iterations } });
    expect(usage).toMatchObject({ input: 101, output: 52 });
  });
});

describe("175: errors of any server's habit", () => {
  const habits: [number, string, { status: number; code: string | undefined; message: string }][] = [
    [
      529,
      '{"type":"error","error":{"type":"overloaded_error","message":"busy"}}',
      { status: 529, code: "overloaded_error", message: "busy" },
    ],
    [
      429,
      '{"error":{"message":"m","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}',
      { status: 429, code: "insufficient_quota", message: "m" },
    ],
    [
      400,
      '{"error":{"code":400,"message":"m","type":"exceed_context_size_error"}}',
      { status: 400, code: "exceed_context_size_error", message: "m" },
    ],
    [404, '{"error":"model not found"}', { status: 404, code: undefined, message: "model not found" }],
    [
      400,
      '{"object":"error","message":"m","type":"BadRequestError","code":400}',
      { status: 400, code: "BadRequestError", message: "m" },
    ],
    [
      422,
      '{"detail":[{"loc":["body"],"msg":"field required"}]}',
      { status: 422, code: undefined, message: "field required" },
    ],
    [500, '[{"error":{"code":500,"message":"m"}}]', { status: 500, code: undefined, message: "m" }],
    [500, '"oops"', { status: 500, code: undefined, message: "oops" }],
    [500, "Bad gateway", { status: 500, code: undefined, message: "Bad gateway" }],
  ];
  for (const [status, text, fault] of habits) {
    test(`are read: ${text.slice(0, 40)}`, () => expect(messagesCodec.parseError(status, text)).toEqual(fault));
  }

  test("184: pages and empty bodies get a text of our own", () => {
    for (const text of ["<html><body>secret host</body></html>", "", "  ", "{}", "null", "[]", "5"]) {
      expect(messagesCodec.parseError(503, text)).toEqual({
        status: 503,
        code: undefined,
        message: "The upstream answered with status 503 and no readable error.",
      });
    }
  });

  test("a message that is a dump is cut", () => {
    expect(messagesCodec.parseError(500, JSON.stringify({ error: "x".repeat(100_000) })).message).toHaveLength(2_000);
  });
});
