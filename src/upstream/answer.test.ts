import { describe, expect, test } from "bun:test";
import { AttemptError } from "../errors.ts";
import type { GatewayResponse, Keyed } from "../request.ts";
import { codecs } from "../wire/codecs.ts";
import type { Dialect, JsonObject } from "../wire/neutral.ts";
import { bufferedAnswer } from "./answer.ts";
import { Deadline } from "./deadline.ts";
import { keyedOf, providerAt, StillClock, type Sample } from "./sample-keyed.ts";

interface Came extends Sample {
  readonly text: string | ReadableStream<Uint8Array>;
  readonly upstream?: Dialect;
  readonly headers?: Record<string, string>;
}

const request: Readonly<Record<Dialect, JsonObject>> = {
  messages: { model: "asked-model", max_tokens: 9, messages: [{ role: "user", content: "Hi" }] },
  chat: { model: "asked-model", messages: [{ role: "user", content: "Hi" }] },
  responses: { model: "asked-model", input: "Hi" },
};

async function taken(came: Came): Promise<{ answer: GatewayResponse; keyed: Keyed }> {
  const dialect = came.dialect ?? "chat";
  const upstream = came.upstream ?? dialect;
  const provider = came.provider ?? providerAt("https://api.example", { dialects: [upstream] });
  const keyed = keyedOf({ body: request[dialect], ...came, provider, dialect });
  const body = request[dialect];
  const context =
    upstream === dialect
      ? null
      : { model: "asked-model", id: "01", createdAt: 1, includeUsage: false, request: codecs[dialect].toNeutral(body) };
  const deadline = new Deadline(keyed.signal);
  const response = new Response(came.text, { headers: came.headers ?? {} });
  const codec = { client: codecs[dialect], upstream: codecs[upstream] };
  try {
    return {
      answer: await bufferedAnswer({
        response,
        keyed,
        ...codec,
        context,
        deadline,
        clock: new StillClock(),
        sentAt: 1_000,
      }),
      keyed,
    };
  } finally {
    deadline.close();
  }
}

async function failureOf(came: Came): Promise<AttemptError> {
  try {
    await taken(came);
  } catch (error) {
    if (error instanceof AttemptError) return error;
    throw error;
  }
  throw new Error("it was answered");
}

function chatAnswer(content: string | null, some: object = {}): string {
  const choices = [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }];
  const usage = { prompt_tokens: 11, completion_tokens: 5, total_tokens: 16 };
  return JSON.stringify({
    id: "c1",
    object: "chat.completion",
    created: 1,
    model: "served-model",
    choices,
    usage,
    ...some,
  });
}

const messagesAnswer = JSON.stringify({
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "served-model",
  content: [{ type: "text", text: "Hello" }],
  stop_reason: "end_turn",
  stop_sequence: null,
  usage: { input_tokens: 11, output_tokens: 5 },
});

describe("an answer in the client's own dialect", () => {
  test("goes through with nothing changed but the model, and is counted by its own usage", async () => {
    const text = chatAnswer("Hello", { "x-vendor": { kept: [1.0, 2] } }).replace('"created":1', '"created" : 1');
    const { answer, keyed } = await taken({ text });
    expect(answer.body).toBe(text.replace("served-model", "asked-model"));
    expect(answer.headers).toEqual({ "content-type": "application/json" });
    expect(await answer.finished).toEqual({ outcome: "ok", bytesOut: Buffer.byteLength(answer.body as string) });
    expect(keyed.attempt).toMatchObject({
      outcome: "ok",
      status: 200,
      reportedModel: "served-model",
      usageSource: "upstream",
    });
    expect(keyed.attempt.usage).toMatchObject({ input: 11, output: 5 });
  });

  test("is counted by its bytes where it has no usage, or one that cannot be true", async () => {
    const none = await taken({ text: chatAnswer("Hello", { usage: undefined }) });
    expect([none.keyed.attempt.usageSource, none.keyed.attempt.usage!.output > 0]).toEqual(["counted", true]);
    const lie = { prompt_tokens: 11, completion_tokens: 1, total_tokens: 12 };
    const lied = await taken({ text: chatAnswer("x".repeat(30_000), { usage: lie }) });
    expect(lied.keyed.attempt.usageSource).toBe("counted");
    expect(lied.keyed.attempt.usage!.output).toBeGreaterThan(5_000);
  });

  test("that comes as JSON although a stream was asked for is streamed from here", async () => {
    const { answer } = await taken({ text: chatAnswer("Hello"), facts: { stream: true } });
    expect(answer.headers["content-type"]).toBe("text/event-stream");
    expect(answer.body).toContain('"content":"Hello"');
    expect(answer.body).toEndWith("data: [DONE]\n\n");
    const { answer: other } = await taken({ text: messagesAnswer, dialect: "messages", facts: { stream: true } });
    expect(other.body).toContain("event: message_start");
    expect(other.body).toEndWith('data: {"type":"message_stop"}\n\n');
  });
});

test("an answer in another dialect is translated, with the model that was asked for", async () => {
  const { answer, keyed } = await taken({ text: chatAnswer("Hello"), dialect: "messages", upstream: "chat" });
  expect(JSON.parse(answer.body as string)).toMatchObject({
    type: "message",
    model: "asked-model",
    content: [{ type: "text", text: "Hello" }],
    usage: { input_tokens: 11, output_tokens: 5 },
  });
  expect(keyed.attempt.reportedModel).toBe("served-model");
  const { answer: back } = await taken({ text: messagesAnswer, dialect: "responses", upstream: "messages" });
  expect(JSON.parse(back.body as string)).toMatchObject({
    object: "response",
    model: "asked-model",
    status: "completed",
  });
});

describe("no answer is", () => {
  test("an error inside a 200, in whatever disguise", async () => {
    const texts = [
      '{"error":{"message":"overloaded","code":503}}',
      '{"type":"error","error":{"type":"overloaded_error","message":"no"}}',
      '{"choices":[]}',
      '{"choices":[],"error":{"message":"no"}}',
      "{}",
      '{"detail":"Not Found"}',
    ];
    for (const text of texts) expect([text, (await failureOf({ text })).outcome]).toEqual([text, "error_event"]);
    const failed =
      '{"id":"resp_1","object":"response","status":"failed","output":[],"error":{"code":"server_error","message":"x"}}';
    expect((await failureOf({ text: failed, dialect: "responses" })).outcome).toBe("error_event");
  });

  test("an empty one, which may have been billed", async () => {
    const text = messagesAnswer.replace('[{"type":"text","text":"Hello"}]', "[]");
    expect(await failureOf({ text, dialect: "messages" })).toMatchObject({ outcome: "error_event", billed: "unknown" });
  });

  test("what is not a JSON object", async () => {
    for (const text of ["", "<html>", '{"id":"c1","choices":[', "[]", "null", '"text"']) {
      const { outcome, billed } = await failureOf({ text });
      expect([text, /cut_stream|error_event/.test(outcome), billed]).toEqual([text, true, "unknown"]);
    }
  });

  test("one that is announced as larger than 64 MB, before a byte of it is read", async () => {
    const error = await failureOf({
      text: chatAnswer("x"),
      headers: { "content-length": String(64 * 1024 * 1024 + 1) },
    });
    expect(error).toMatchObject({ outcome: "cut_stream", billed: "unknown", note: "the answer is too large" });
  });

  test("one that grows larger than 64 MB without saying so", async () => {
    let pulled = 0;
    const piece = new Uint8Array(8 * 1024 * 1024).fill(0x20);
    const text = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        pulled++;
        controller.enqueue(piece);
      },
    });
    expect((await failureOf({ text })).note).toBe("the answer is too large");
    expect(pulled).toBeLessThan(13);
  });

  test("one that breaks off, or stalls for longer than `first_content`", async () => {
    const broken = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new Error("reset")) });
    expect(await failureOf({ text: broken })).toMatchObject({ outcome: "cut_stream", billed: "unknown" });
  });
});

describe("what generates nothing", () => {
  test("vectors pass through and are charged by their own usage", async () => {
    const usage = { prompt_tokens: 5, total_tokens: 5 };
    const text = JSON.stringify({ object: "list", data: [{ embedding: [0.5] }], model: "served-model", usage });
    const { answer, keyed } = await taken({ text, operation: "embeddings", facts: { maxOutputTokens: 0 } });
    expect(answer.body).toBe(text.replace("served-model", "asked-model"));
    expect(keyed.attempt).toMatchObject({ usage: { input: 5, output: 0 }, usageSource: "upstream" });
  });

  test("a count of tokens passes through, and counts as no tokens used", async () => {
    const text = '{"input_tokens":1234}';
    const { answer, keyed } = await taken({ text, dialect: "messages", operation: "count_tokens" });
    expect(answer.body).toBe(text);
    expect(keyed.attempt.usage).toBeNull();
  });
});
