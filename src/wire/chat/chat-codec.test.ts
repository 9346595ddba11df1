import { describe, expect, test } from "bun:test";
import { messagesCodec } from "../messages/index.ts";
import type { AnswerContext, Json, JsonObject, NeutralAnswer, NeutralEvent, SseEvent } from "../neutral.ts";
import { SseParser } from "../sse.ts";
import { chatCodec } from "./index.ts";

const request = chatCodec.toNeutral({ model: "m", messages: [{ role: "user", content: "hi" }] });
const context: AnswerContext = { model: "asked", id: "7", createdAt: 12, includeUsage: false, request };

function event(data: string): SseEvent {
  return { event: undefined, data, raw: `data:${data}\r\n\r\n` };
}

function patched(text: string, patch: Parameters<typeof chatCodec.patchRequest>[2]): string {
  return chatCodec.patchRequest(text, JSON.parse(text) as JsonObject, patch);
}

function answerOf(body: Json): NeutralAnswer {
  const answer = chatCodec.answerToNeutral(body);
  if ("fault" in answer) throw new Error(answer.fault.message);
  return answer;
}

const reply = (message: JsonObject, finish_reason = "stop"): JsonObject => ({
  id: "c1",
  model: "qwen",
  choices: [{ index: 0, message: { role: "assistant", ...message }, finish_reason }],
  usage: { prompt_tokens: 10, completion_tokens: 4, prompt_tokens_details: { cached_tokens: 3 } },
});

describe("Chat pass-through", () => {
  test("a request changes in the named fields alone, and in the limit that the client used", () => {
    const text = '{ "model":"a","x":1.0e2,\n"messages":[] , "max_tokens":5}';
    expect(patched(text, {})).toBe(text);
    expect(patched(text, { model: "b", maxOutputTokens: 3 })).toBe(
      '{ "model":"b","x":1.0e2,\n"messages":[] , "max_tokens":3}',
    );
    expect(patched('{"max_completion_tokens":5}', { maxOutputTokens: 3 })).toBe('{"max_completion_tokens":3}');
    expect(patched('{"max_tokens":5,"max_completion_tokens":5}', { maxOutputTokens: 3 })).toBe(
      '{"max_tokens":3,"max_completion_tokens":3}',
    );
    expect(patched('{"model":"a"}', { maxOutputTokens: 3 })).toBe('{"model":"a","max_completion_tokens":3}');
  });

  test("B20: usage is asked for in every stream, whatever the client's other options are", () => {
    const usage = { includeUsage: true };
    expect(patched('{"stream":true}', usage)).toBe('{"stream":true,"stream_options":{"include_usage":true}}');
    expect(patched('{"stream":true,"stream_options":null}', usage)).toBe(
      '{"stream":true,"stream_options":{"include_usage":true}}',
    );
    expect(patched('{"stream":true,"stream_options":{"a":1.0, "include_usage":false}}', usage)).toBe(
      '{"stream":true,"stream_options":{"a":1.0, "include_usage":true}}',
    );
    expect(patched('{"stream":true,"stream_options":{"a":1}}', { ...usage, model: "b" })).toBe(
      '{"stream":true,"stream_options":{"a":1,"include_usage":true},"model":"b"}',
    );
    const asked = '{"stream":true,"stream_options":{"include_usage" : true}}';
    expect(patched(asked, usage)).toBe(asked);
    expect(patched('{"stream":false}', usage)).toBe('{"stream":false}');
  });

  test("chunks change in their model alone", () => {
    const to = { model: "asked", includeUsage: false };
    expect(chatCodec.patchEvent(event('{"id":"c","model":"b", "choices":[{"delta":{}}]}'), to)).toBe(
      'data: {"id":"c","model":"asked", "choices":[{"delta":{}}]}\n\n',
    );
    for (const data of ["[DONE]", "", '{"model":"asked","choices":[]}', '{"error":{"message":"m"}}']) {
      expect(chatCodec.patchEvent(event(data), to)).toBe(event(data).raw);
    }
  });

  test("143: the pure usage chunk is hidden from who did not ask, and only that one", () => {
    const pure = event('{"model":"b","choices": [ ],"usage":{"prompt_tokens":1}}');
    expect(chatCodec.patchEvent(pure, { model: "b", includeUsage: false })).toBeNull();
    expect(chatCodec.patchEvent(pure, { model: "b", includeUsage: true })).toBe(pure.raw);
    const kept = [
      '{"model":"b","choices":[{"delta":{"content":"\\"choices\\":[]"}}],"usage":{"prompt_tokens":1}}',
      '{"model":"b","choices":[],"usage":null}',
      '{"model":"b","choices":[],"prompt_filter_results":[]}',
      '{"model":"b","x":{"choices":[]},"choices":[{}],"usage":{}}',
    ];
    for (const data of kept)
      expect(chatCodec.patchEvent(event(data), { model: "b", includeUsage: false })).toBe(event(data).raw);
  });
});

describe("Chat answers", () => {
  test("a call that is told in both forms runs once", () => {
    const fn = { name: "f", arguments: "{}" };
    const both = reply({ tool_calls: [{ id: "t", type: "function", function: fn }], function_call: fn });
    expect(answerOf(both).parts).toMatchObject([{ type: "tool_call", id: "t", name: "f" }]);
    expect(answerOf(reply({ function_call: fn })).parts).toMatchObject([{ type: "tool_call", name: "f" }]);
  });

  test("102 and 105: thinking, text and calls are parts of one answer and of one choice", () => {
    const call = { id: "t", type: "function", function: { name: "f", arguments: '{"z":1}' } };
    const answer = answerOf(reply({ content: "a", reasoning_content: "hm", tool_calls: [call] }));
    expect(answer.parts.map((part) => part.type)).toEqual(["thinking", "text", "tool_call"]);
    expect(answer).toMatchObject({
      id: "c1",
      model: "qwen",
      stop: "tool_calls",
      usage: { input: 7, cacheRead: 3, output: 4 },
    });
    const back = chatCodec.answerFromNeutral(answer, context);
    expect(back).toMatchObject({ id: "chatcmpl-7", object: "chat.completion", created: 12, model: "asked" });
    expect(back["choices"]).toEqual([
      {
        index: 0,
        message: { role: "assistant", content: "a", refusal: null, reasoning_content: "hm", tool_calls: [call] },
        logprobs: null,
        finish_reason: "tool_calls",
      },
    ]);
    expect(back["usage"]).toMatchObject({ prompt_tokens: 10, completion_tokens: 4, total_tokens: 14 });
  });

  test("103 and 119: a Messages client gets an object for input, whatever the server wrote", () => {
    const wire = (args: Json): Json | undefined => {
      const answer = answerOf(
        reply({ content: null, tool_calls: [{ id: "t", function: { name: "f", arguments: args } }] }),
      );
      return (messagesCodec.answerFromNeutral(answer, context)["content"] as JsonObject[])[0];
    };
    expect(wire("{}")).toMatchObject({ type: "tool_use", input: {} });
    expect(wire("")).toMatchObject({ type: "tool_use", input: {} });
    expect(wire({ x: 1 })).toMatchObject({ type: "tool_use", input: { x: 1 } });
    expect(wire('"{\\"x\\":1}"')).toMatchObject({ type: "tool_use", input: { x: 1 } });
    // Where nothing mends it first (`tool-hold.ts`), the model's mistake is wrapped, never run as if it were the input.
    expect(wire('{"x":')).toMatchObject({ type: "tool_use", input: { input: '{"x":' } });
  });

  test("104: missing and repeated ids are replaced", () => {
    const call = { function: { name: "f", arguments: "{}" } };
    const answer = answerOf(reply({ tool_calls: [call, { ...call, id: "x" }, { ...call, id: "x" }] }));
    const content = messagesCodec.answerFromNeutral(answer, context)["content"] as JsonObject[];
    expect(content.map((block) => block["id"] as string)).toEqual(["toolu_7_0", "x", "toolu_7_2"]);
  });

  test("106: a refusal is text to a Messages client", () => {
    const answer = answerOf(reply({ content: null, refusal: "no" }));
    expect(messagesCodec.answerFromNeutral(answer, context)["content"]).toEqual([{ type: "text", text: "no" }]);
    expect(chatCodec.answerFromNeutral(answer, context)).toMatchObject({
      choices: [{ message: { content: null, refusal: "no" } }],
    });
  });

  test("108 and 109: an error or nonsense inside a 200 is a fault", () => {
    const faults: [Json, number][] = [
      [{ error: { message: "m", code: 502 } }, 502],
      [{ error: "busy" }, 502],
      [{ choices: [] }, 502],
      [{ choices: [{ error: { code: 429, message: "m" } }] }, 429],
      [{ choices: [{}] }, 502],
      ["<html>", 502],
      [null, 502],
    ];
    for (const [wrong, status] of faults) expect(chatCodec.answerToNeutral(wrong)).toMatchObject({ fault: { status } });
    const harmless = { ...reply({ content: "a" }), error: null };
    expect(answerOf(harmless).parts).toHaveLength(1);
  });

  test("207: cached and written tokens are taken out of the prompt, never below 0", () => {
    const details = { cached_tokens: 8, cache_write_tokens: 5, ttl_12h_tokens: 1 };
    const { usage } = chatCodec.usageOf({
      usage: { prompt_tokens: 10, completion_tokens: 1, prompt_tokens_details: details },
    });
    expect(usage).toMatchObject({ input: 0, cacheRead: 8, cacheWrite5m: 1, cacheWrite1h: 1 });
  });

  test("B21: lying counts are left out, and usage of lies alone is none", () => {
    for (const lie of [-1, 1.5, 2e9, "5", null]) {
      expect(chatCodec.usageOf({ usage: { prompt_tokens: lie, completion_tokens: lie } }).usage).toBeUndefined();
      expect(chatCodec.usageOf({ usage: { prompt_tokens: 3, completion_tokens: lie } }).usage).toMatchObject({
        input: 3,
        output: 0,
      });
    }
  });
});

describe("a streamed answer of the one dialect in the other", () => {
  const translate = (bytes: string, from: typeof chatCodec, to: typeof chatCodec): NeutralEvent[] => {
    const reader = from.createReader();
    const writer = to.createWriter({ ...context, includeUsage: true });
    const out = new SseParser()
      .push(new TextEncoder().encode(bytes))
      .flatMap((event) => reader.read(event))
      .map((event) => writer.write(event))
      .join("");
    const back = to.createReader();
    const events = new SseParser().push(new TextEncoder().encode(out)).flatMap((event) => back.read(event));
    return events.filter((event) => event.type !== "other" && event.type !== "block_end");
  };
  const events: NeutralEvent[] = [
    { type: "start", id: "a", model: "b" },
    { type: "thinking", text: "hm" },
    { type: "text", text: "a" },
    { type: "tool_start", index: 0, id: "t", name: "f", form: "function" },
    { type: "tool_delta", index: 0, json: '{"x":1}' },
    { type: "tool_end", index: 0 },
    { type: "stop", reason: "tool_calls", stopSequence: undefined },
    { type: "usage", usage: { input: 3, cacheRead: 2, output: 4, reasoning: 1 } },
    { type: "end" },
  ];
  const content = (found: NeutralEvent[]): NeutralEvent[] =>
    found.filter((event) => !["start", "usage"].includes(event.type)).map((event) => ({ ...event }));
  const lastUsage = (found: NeutralEvent[]): NeutralEvent | undefined =>
    found.findLast((event) => event.type === "usage");

  for (const [from, to] of [
    [chatCodec, messagesCodec],
    [messagesCodec, chatCodec],
  ] as const) {
    test(`says the same: ${from.dialect} to ${to.dialect}`, () => {
      const writer = from.createWriter({ ...context, includeUsage: true });
      const found = translate(events.map((event) => writer.write(event)).join(""), from, to);
      expect(content(found)).toEqual(content(events));
      expect(lastUsage(found)).toMatchObject({ usage: { input: 3, cacheRead: 2, output: 4, reasoning: 1 } });
    });
  }
});
