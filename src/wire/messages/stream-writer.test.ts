import { describe, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import type { AnswerContext, Json, JsonObject, NeutralEvent, NeutralRequest, StopReason } from "../neutral.ts";
import { SseParser } from "../sse.ts";
import { messagesCodec } from "./index.ts";

const request: NeutralRequest = messagesCodec.toNeutral({
  model: "claude-x",
  max_tokens: 9,
  messages: [{ role: "user", content: "hi" }],
});
const context: AnswerContext = { model: "claude-x", id: "7", createdAt: 1, includeUsage: false, request };

const start: NeutralEvent = { type: "start", id: "up", model: "qwen" };
const end: NeutralEvent = { type: "end" };
const text = (text: string): NeutralEvent => ({ type: "text", text });
const stop = (reason: StopReason): NeutralEvent => ({ type: "stop", reason, stopSequence: undefined });
const toolStart = (index: number, id = `t${index}`): NeutralEvent => ({
  type: "tool_start",
  index,
  id,
  name: `f${index}`,
  form: "function",
});
const toolDelta = (index: number, json: string): NeutralEvent => ({ type: "tool_delta", index, json });
const toolEnd = (index: number): NeutralEvent => ({ type: "tool_end", index });

function stream(events: readonly NeutralEvent[]): string {
  const writer = messagesCodec.createWriter(context);
  return events.map((event) => writer.write(event)).join("");
}

/** The data of each event; checks that the `event:` line says the same as `type` (rule 111). */
function written(events: readonly NeutralEvent[]): JsonObject[] {
  return new SseParser().push(new TextEncoder().encode(stream(events))).map((event) => {
    const data = JSON.parse(event.data) as JsonObject;
    expect(event.event).toBe(data["type"] as string);
    return data;
  });
}

/** E.g. `start 0 text`, `delta 0 text_delta`, `stop 0`. */
function outline(events: readonly NeutralEvent[]): string[] {
  return written(events).map((data) => {
    const index = data["index"] as number;
    const inner = (data["content_block"] ?? data["delta"]) as { type: string };
    if (data["type"] === "content_block_start") return `start ${index} ${inner.type}`;
    if (data["type"] === "content_block_delta") return `delta ${index} ${inner.type}`;
    if (data["type"] === "content_block_stop") return `stop ${index}`;
    return data["type"] as string;
  });
}

describe("a stream to a Messages client", () => {
  test("111 to 114: one start, blocks one after the other, one delta, one stop", () => {
    const events: NeutralEvent[] = [
      start,
      { type: "thinking", text: "hm" },
      { type: "thinking_signature", signature: "s" },
      text("a"),
      text("b"),
      toolStart(0),
      toolDelta(0, "{}"),
      toolEnd(0),
      stop("tool_calls"),
      end,
    ];
    expect(outline(events)).toEqual([
      "message_start",
      "start 0 thinking",
      "delta 0 thinking_delta",
      "delta 0 signature_delta",
      "stop 0",
      "start 1 text",
      "delta 1 text_delta",
      "delta 1 text_delta",
      "stop 1",
      "start 2 tool_use",
      "delta 2 input_json_delta",
      "stop 2",
      "message_delta",
      "message_stop",
    ]);
  });

  test("112: message_start has what strict clients demand", () => {
    const message = written([start])[0]!["message"] as JsonObject;
    expect(message).toMatchObject({
      id: "msg_7",
      type: "message",
      role: "assistant",
      model: "claude-x",
      content: [],
      stop_reason: null,
      stop_sequence: null,
    });
    expect(message["usage"]).toMatchObject({ input_tokens: 0, output_tokens: 0 });
  });

  test("113: a second start is not written, and content without a start gets one", () => {
    expect(outline([start, start, text("a")]).filter((line) => line === "message_start")).toHaveLength(1);
    expect(outline([text("a")])[0]).toBe("message_start");
  });

  test("119: a tool starts with an empty input and gets it all by deltas", () => {
    const events = written([
      start,
      toolStart(0),
      toolDelta(0, '{"a"'),
      toolDelta(0, ":1}"),
      toolEnd(0),
      stop("end"),
      end,
    ]);
    expect(events[1]!["content_block"]).toEqual({ type: "tool_use", id: "t0", name: "f0", input: {} });
    const json = events.map((event) => ((event["delta"] as JsonObject | undefined)?.["partial_json"] as string) ?? "");
    expect(json.join("")).toBe('{"a":1}');
  });

  test("120: a tool without arguments has no delta", () => {
    expect(outline([start, toolStart(0), toolDelta(0, ""), toolEnd(0)]).slice(1)).toEqual([
      "start 0 tool_use",
      "stop 0",
    ]);
  });

  test("122: interleaved calls become blocks one after the other, none of their arguments lost", () => {
    const events = written([
      start,
      toolStart(0),
      toolStart(1),
      toolDelta(1, '{"b":'),
      toolDelta(0, '{"a":'),
      text("between"),
      toolDelta(1, "2}"),
      toolDelta(0, "1}"),
      toolEnd(1),
      toolEnd(0),
      stop("tool_calls"),
      end,
    ]);
    const inputs: Record<number, string> = {};
    for (const event of events) {
      const json = (event["delta"] as JsonObject | undefined)?.["partial_json"];
      if (typeof json === "string") inputs[event["index"] as number] = (inputs[event["index"] as number] ?? "") + json;
    }
    expect(inputs).toEqual({ 0: '{"a":1}', 1: '{"b":2}' });
    const blocks = events.filter((event) => event["type"] !== "content_block_delta").slice(1, -2);
    expect(blocks.map((event) => event["index"] as number)).toEqual([0, 0, 1, 1, 2, 2]);
  });

  test("117: a block is stopped once, even where the upstream ends it twice", () => {
    const lines = outline([
      start,
      toolStart(0),
      toolEnd(0),
      toolEnd(0),
      text("a"),
      { type: "block_end" },
      { type: "block_end" },
      stop("end"),
      end,
    ]);
    expect(lines.filter((line) => line.startsWith("stop"))).toEqual(["stop 0", "stop 1"]);
  });

  test("125: empty text opens no block", () => {
    expect(outline([start, text(""), toolStart(0)])).toEqual(["message_start", "start 0 tool_use"]);
  });

  test("127: unsigned thinking gets no invented signature", () => {
    expect(stream([start, { type: "thinking", text: "hm" }, text("a"), stop("end"), end])).not.toContain(
      "signature_delta",
    );
  });

  test("a signature without text is a block of its own", () => {
    expect(outline([start, { type: "thinking_signature", signature: "s" }, text("a")]).slice(1, 4)).toEqual([
      "start 0 thinking",
      "delta 0 signature_delta",
      "stop 0",
    ]);
  });

  test("99: every stop reason, and a message with a call ends with tool_use", () => {
    const reasons: [StopReason, string, string][] = [
      ["end", "end_turn", "tool_use"],
      ["length", "max_tokens", "max_tokens"],
      ["tool_calls", "tool_use", "tool_use"],
      ["stop_sequence", "stop_sequence", "tool_use"],
      ["filtered", "refusal", "refusal"],
      ["pause", "pause_turn", "pause_turn"],
    ];
    const reasonOf = (events: NeutralEvent[]): Json | undefined =>
      (written(events).at(-2)!["delta"] as JsonObject)["stop_reason"];
    for (const [reason, plain, withTool] of reasons) {
      expect(reasonOf([start, text("a"), stop(reason), end])).toBe(plain);
      expect(reasonOf([start, toolStart(0), stop(reason), end])).toBe(withTool);
    }
    expect(reasonOf([start, text("a"), end])).toBe("end_turn");
  });

  test("129 and 130: the last delta has the full, cumulative usage, also where it came after the stop", () => {
    const usage = { input: 10, cacheRead: 5, cacheWrite5m: 2, cacheWrite1h: 1, output: 7, reasoning: 3 };
    const events = written([
      start,
      text("a"),
      stop("end"),
      { type: "usage", usage },
      { type: "usage", usage: { output: 0 } },
      end,
    ]);
    expect(events.at(-2)!["usage"]).toEqual({
      input_tokens: 10,
      cache_read_input_tokens: 5,
      cache_creation_input_tokens: 3,
      output_tokens: 7,
      output_tokens_details: { thinking_tokens: 3 },
      server_tool_use: null,
    });
  });

  test("104: missing, repeated and illegal ids are replaced by unique ones made of the answer's id", () => {
    const ids = written([
      start,
      toolStart(0, ""),
      toolStart(1, "x"),
      toolStart(2, "x"),
      toolStart(3, "a b"),
      stop("end"),
      end,
    ])
      .filter((event) => event["type"] === "content_block_start")
      .map((event) => (event["content_block"] as JsonObject)["id"] as string);
    expect(ids).toEqual(["toolu_7_0", "x", "toolu_7_2", "toolu_7_3"]);
  });

  test("131: nothing follows the end or an error", () => {
    const writer = messagesCodec.createWriter(context);
    writer.write(start);
    expect(writer.fail({ status: 529, code: undefined, message: "busy" })).toBe(
      'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n',
    );
    expect(
      writer.write(text("a")) +
        writer.write(end) +
        writer.ping() +
        writer.fail({ status: 500, code: undefined, message: "" }),
    ).toBe("");
  });

  test("132: the keep-alive is a ping event", () => {
    expect(messagesCodec.createWriter(context).ping()).toBe('event: ping\ndata: {"type":"ping"}\n\n');
  });

  test("what waits for an endless call is bounded", () => {
    const writer = messagesCodec.createWriter(context);
    writer.write(start);
    writer.write(toolStart(0));
    writer.write(toolStart(1));
    const piece = toolDelta(1, "x".repeat(1024 * 1024));
    let out = "";
    for (let i = 0; i < 10; i++) out += writer.write(piece);
    expect(out).toContain("event: error");
  });

  test("Anthropic's own SDK reads the stream, however it interleaved", async () => {
    const body = stream([
      start,
      { type: "thinking", text: "hm" },
      text("Hello "),
      text("wörld 🎉"),
      toolStart(0),
      toolStart(1),
      toolDelta(1, '{"b":2}'),
      toolDelta(0, '{"a":1}'),
      stop("tool_calls"),
      { type: "usage", usage: { input: 3, output: 4 } },
      end,
    ]);
    using server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => new Response(body, { headers: { "content-type": "text/event-stream" } }),
    });
    const client = new Anthropic({ baseURL: server.url.href, apiKey: "none", maxRetries: 0 });
    const message = await client.messages
      .stream({ model: "m", max_tokens: 9, messages: [{ role: "user", content: "hi" }] })
      .finalMessage();
    expect(message.content.map((block) => block.type)).toEqual(["thinking", "text", "tool_use", "tool_use"]);
    expect(message.content[1]).toMatchObject({ text: "Hello wörld 🎉" });
    expect(message.content[2]).toMatchObject({ id: "t0", name: "f0", input: { a: 1 } });
    expect(message.content[3]).toMatchObject({ id: "t1", name: "f1", input: { b: 2 } });
    expect(message.stop_reason).toBe("tool_use");
    expect(message.usage).toMatchObject({ input_tokens: 3, output_tokens: 4 });
  });
});
