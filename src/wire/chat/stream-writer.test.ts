import { describe, expect, test } from "bun:test";
import OpenAI from "openai";
import type { AnswerContext, JsonObject, NeutralEvent, StopReason } from "../neutral.ts";
import { SseParser } from "../sse.ts";
import { chatCodec } from "./index.ts";

const request = chatCodec.toNeutral({
  model: "gpt-x",
  messages: [{ role: "user", content: "hi" }],
  tools: [
    { type: "custom", custom: { name: "sh" } },
    { type: "function", function: { name: "long.name" } },
  ],
});
const context: AnswerContext = { model: "gpt-x", id: "7", createdAt: 12, includeUsage: false, request };

const start: NeutralEvent = { type: "start", id: "up", model: "claude" };
const end: NeutralEvent = { type: "end" };
const text = (text: string): NeutralEvent => ({ type: "text", text });
const stop = (reason: StopReason): NeutralEvent => ({ type: "stop", reason, stopSequence: undefined });
const toolStart = (index: number, id = `t${index}`, name = `f${index}`): NeutralEvent => ({
  type: "tool_start",
  index,
  id,
  name,
  form: "function",
});
const toolDelta = (index: number, json: string): NeutralEvent => ({ type: "tool_delta", index, json });
const toolEnd = (index: number): NeutralEvent => ({ type: "tool_end", index });

function stream(events: readonly NeutralEvent[], includeUsage = false): string {
  const writer = chatCodec.createWriter({ ...context, includeUsage });
  return events.map((event) => writer.write(event)).join("");
}

function chunks(events: readonly NeutralEvent[], includeUsage = false): JsonObject[] {
  return new SseParser()
    .push(new TextEncoder().encode(stream(events, includeUsage)))
    .filter((event) => event.data !== "[DONE]")
    .map((event) => JSON.parse(event.data) as JsonObject);
}

function choices(events: readonly NeutralEvent[]): JsonObject[] {
  return chunks(events).map((chunk) => (chunk["choices"] as JsonObject[])[0]!);
}

const deltas = (events: readonly NeutralEvent[]): JsonObject[] =>
  choices(events).map((choice) => choice["delta"] as JsonObject);

describe("a stream to a Chat client", () => {
  test("136 and 137: the role comes first, and all chunks are of one answer", () => {
    const found = chunks([start, text("a"), stop("end"), end]);
    for (const chunk of found) {
      expect(chunk).toMatchObject({ id: "chatcmpl-7", object: "chat.completion.chunk", created: 12, model: "gpt-x" });
      expect(chunk["choices"]).toHaveLength(1);
      expect(chunk).not.toHaveProperty("usage");
    }
    expect((found[0]!["choices"] as JsonObject[])[0]).toEqual({
      index: 0,
      delta: { role: "assistant", content: "" },
      logprobs: null,
      finish_reason: null,
    });
    expect(deltas([text("a")])[0]).toMatchObject({ role: "assistant" });
  });

  test("138: the finish reason is set once, on the last chunk", () => {
    const reasons: [StopReason, string, string][] = [
      ["end", "stop", "tool_calls"],
      ["length", "length", "length"],
      ["tool_calls", "tool_calls", "tool_calls"],
      ["stop_sequence", "stop", "tool_calls"],
      ["filtered", "content_filter", "content_filter"],
      ["pause", "stop", "tool_calls"],
    ];
    const finishes = (events: NeutralEvent[]): unknown[] => choices(events).map((choice) => choice["finish_reason"]);
    for (const [reason, plain, withTool] of reasons) {
      expect(finishes([start, text("a"), stop(reason), end])).toEqual([null, null, plain]);
      expect(finishes([start, toolStart(0), stop(reason), end]).at(-1)).toBe(withTool);
    }
    expect(finishes([start, text("a"), end])).toEqual([null, null, "stop"]);
    expect(finishes([start, stop("end"), stop("length"), end])).toEqual([null, "stop"]);
  });

  test("139 and 140: the first delta of a call has all names, later ones its index, which counts calls alone", () => {
    const found = deltas([start, text("a"), toolStart(0), toolDelta(0, '{"x":1}'), toolStart(1), toolDelta(1, "{}")]);
    expect(found.slice(2)).toEqual([
      { tool_calls: [{ index: 0, id: "t0", type: "function", function: { name: "f0", arguments: "" } }] },
      { tool_calls: [{ index: 0, function: { arguments: '{"x":1}' } }] },
      { tool_calls: [{ index: 1, id: "t1", type: "function", function: { name: "f1", arguments: "" } }] },
      { tool_calls: [{ index: 1, function: { arguments: "{}" } }] },
    ]);
  });

  test("141: thinking is reasoning_content, its signature is nothing", () => {
    const events: NeutralEvent[] = [
      start,
      { type: "thinking", text: "hm" },
      { type: "thinking_signature", signature: "s" },
      { type: "redacted_thinking", data: "d" },
    ];
    expect(deltas(events).slice(1)).toEqual([{ reasoning_content: "hm" }]);
  });

  test("106: a refusal keeps its own member", () => {
    expect(deltas([start, { type: "refusal", text: "no" }])[1]).toEqual({ refusal: "no" });
  });

  test("143: the usage chunk comes only where it was asked for, after the finish, with cached tokens inside", () => {
    const usage = { input: 10, cacheRead: 5, cacheWrite5m: 2, cacheWrite1h: 1, output: 7, reasoning: 3 };
    const events: NeutralEvent[] = [start, text("a"), stop("end"), { type: "usage", usage }, end];
    expect(stream(events)).not.toContain("usage");
    const found = chunks(events, true);
    expect(found[0]!["usage"]).toBeNull();
    expect(found.at(-1)).toMatchObject({
      choices: [],
      usage: {
        prompt_tokens: 18,
        completion_tokens: 7,
        total_tokens: 25,
        prompt_tokens_details: { cached_tokens: 5, cache_write_tokens: 3 },
        completion_tokens_details: { reasoning_tokens: 3 },
      },
    });
  });

  test("144: [DONE] is last, and nothing follows it", () => {
    const writer = chatCodec.createWriter(context);
    expect(writer.write(end)).toEndWith("data: [DONE]\n\n");
    expect(writer.write(text("a")) + writer.ping() + writer.fail({ status: 500, code: undefined, message: "" })).toBe(
      "",
    );
  });

  test("145: the keep-alive is a comment", () => {
    expect(chatCodec.createWriter(context).ping()).toBe(": ping\n\n");
  });

  test("146: a failure is an error and no [DONE]", () => {
    const fault = { status: 429, code: "rate_limit_exceeded", message: "slow" };
    expect(
      stream([start, { type: "error", fault }, end])
        .split("\n\n")
        .at(-2),
    ).toBe('data: {"error":{"message":"slow","type":"rate_limit_exceeded","param":null,"code":"rate_limit_exceeded"}}');
  });

  test("55: a custom tool's input comes as the free text that it is", () => {
    const found = deltas([
      start,
      toolStart(0, "t0", "sh"),
      toolDelta(0, '{"input":'),
      toolDelta(0, '"ls"}'),
      toolEnd(0),
      stop("end"),
    ]);
    expect(found.slice(1, 3)).toEqual([
      { tool_calls: [{ index: 0, id: "t0", type: "custom", custom: { name: "sh", input: "" } }] },
      { tool_calls: [{ index: 0, custom: { input: "ls" } }] },
    ]);
  });

  test("A42: the client sees its own tool name", () => {
    const sent = request.tools[1]!.name;
    expect(sent).not.toBe("long.name");
    expect(JSON.stringify(deltas([start, toolStart(0, "t0", sent)])[1])).toContain('"long.name"');
  });

  test("104: missing and repeated ids are replaced", () => {
    const found = deltas([start, toolStart(0, ""), toolStart(1, "x"), toolStart(2, "x")]).slice(1);
    expect(found.map((delta) => (delta["tool_calls"] as JsonObject[])[0]!["id"] as string)).toEqual([
      "call_7_0",
      "x",
      "call_7_2",
    ]);
  });

  test("OpenAI's own SDK reads the stream", async () => {
    const body = stream(
      [
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
      ],
      true,
    );
    using server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => new Response(body, { headers: { "content-type": "text/event-stream" } }),
    });
    const client = new OpenAI({ baseURL: server.url.href, apiKey: "none", maxRetries: 0 });
    const completion = await client.chat.completions
      .stream({ model: "m", messages: [{ role: "user", content: "hi" }], stream_options: { include_usage: true } })
      .finalChatCompletion();
    const choice = completion.choices[0]!;
    expect(choice.message.content).toBe("Hello wörld 🎉");
    expect(choice.message.tool_calls).toMatchObject([
      { id: "t0", function: { name: "f0", arguments: '{"a":1}' } },
      { id: "t1", function: { name: "f1", arguments: '{"b":2}' } },
    ]);
    expect(choice.finish_reason).toBe("tool_calls");
    expect(completion.usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 });
  });
});
