// The strictest client there is: the OpenAI SDK's `responses.stream()` checks order, indexes and identities of all events.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import OpenAI from "openai";
import type { NeutralEvent } from "../neutral.ts";
import { answerFromNeutral } from "./answer.ts";
import { callEvents, codexTools, contextFor, end, start, stopCalls, stopEnd, stopLength } from "./stream-fixtures.ts";
import { createWriter } from "./stream-writer.ts";

let server: ReturnType<typeof Bun.serve>;
let answer: { body: string; type: string };

beforeAll(() => {
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response(answer.body, { headers: { "content-type": answer.type } }),
  });
});

afterAll(() => server.stop(true));

const client = () => new OpenAI({ baseURL: `http://127.0.0.1:${server.port}/v1`, apiKey: "k", maxRetries: 0 });

/** What the SDK makes of these events, with a keep-alive between every two of them. */
async function streamed(events: readonly NeutralEvent[]) {
  const writer = createWriter(contextFor({ tools: codexTools }));
  answer = { body: events.map((event) => writer.write(event) + writer.ping()).join(""), type: "text/event-stream" };
  const stream = client().responses.stream({ model: "m", input: "hi" });
  const seen: string[] = [];
  for await (const event of stream) seen.push(event.type);
  return { seen, response: await stream.finalResponse() };
}

const everything: NeutralEvent[] = [
  start,
  { type: "usage", usage: { input: 10, cacheRead: 5 } },
  { type: "thinking", text: "Let me " },
  { type: "thinking", text: "think." },
  { type: "thinking_signature", signature: "SIG" },
  { type: "block_end" },
  { type: "redacted_thinking", data: "OPAQUE" },
  { type: "text", text: "I will " },
  { type: "text", text: "look." },
  { type: "block_end" },
  ...callEvents(0, "call_a", "exec_command", '{"cmd":"ls"}'),
  ...callEvents(1, "call_b", "multi_agent_v1__spawn_agent", "{}"),
  ...callEvents(2, "call_c", "apply_patch", '{"input":"*** Begin Patch"}'),
  { type: "text", text: "Done." },
  { type: "usage", usage: { output: 7, reasoning: 3 } },
  stopCalls,
  end,
];

describe("the OpenAI SDK's stream helper takes the whole stream", () => {
  test("148, 150, 151, 158: reasoning, text, three kinds of calls and keep-alives", async () => {
    const { response } = await streamed(everything);
    expect(response.status).toBe("completed");
    expect(response.output_text).toBe("I will look.Done.");
    expect(response.output.map((item) => item.type)).toEqual([
      "reasoning",
      "reasoning",
      "message",
      "function_call",
      "function_call",
      "custom_tool_call",
      "message",
    ]);
    expect(response.output[3]).toMatchObject({ name: "exec_command", arguments: '{"cmd":"ls"}', call_id: "call_a" });
    expect(response.output[4]).toMatchObject({ name: "spawn_agent", namespace: "multi_agent_v1" });
    expect(response.output[5]).toMatchObject({ name: "apply_patch", input: "*** Begin Patch" });
    expect(response.usage?.total_tokens).toBe(22);
    expect(response.model).toBe("asked-model");
  });

  test("122: interleaved calls", async () => {
    const [a, b] = [
      callEvents(0, "a", "exec_command", '{"cmd":"a"}'),
      callEvents(1, "b", "exec_command", '{"cmd":"b"}'),
    ];
    const { response } = await streamed([
      start,
      a[0]!,
      b[0]!,
      b[1]!,
      a[1]!,
      a[2]!,
      b[2]!,
      b[3]!,
      a[3]!,
      stopCalls,
      end,
    ]);
    expect(response.output).toMatchObject([{ arguments: '{"cmd":"a"}' }, { arguments: '{"cmd":"b"}' }]);
  });

  test("104: calls that all have the same id", async () => {
    const { response } = await streamed([
      start,
      ...callEvents(0, "x", "exec_command", "{}"),
      ...callEvents(1, "x", "exec_command", "{}"),
      stopCalls,
      end,
    ]);
    expect(new Set(response.output.map((item) => ("call_id" in item ? item.call_id : ""))).size).toBe(2);
  });

  test("101: an answer cut by the output limit, also in the middle of a call", async () => {
    const cut = callEvents(0, "a", "exec_command", '{"cmd":"rm').slice(0, 3);
    const { response, seen } = await streamed([start, { type: "text", text: "x" }, ...cut, stopLength, end]);
    expect(response.status).toBe("incomplete");
    expect(response.incomplete_details?.reason).toBe("max_output_tokens");
    expect(seen.at(-1)).toBe("response.incomplete");
  });

  test("153: a failure with an open message and an open call", async () => {
    const cut = callEvents(0, "a", "exec_command", '{"cmd":"rm').slice(0, 2);
    const fault = { status: 503, code: undefined, message: "upstream is gone" };
    const { response } = await streamed([start, ...cut, { type: "text", text: "x" }, { type: "error", fault }]);
    expect(response.status).toBe("failed");
    expect(response.error).toMatchObject({ code: "server_error", message: "upstream is gone" });
  });

  test("an answer without content", async () => {
    const { response } = await streamed([start, stopEnd, end]);
    expect(response.output).toEqual([]);
  });
});

test("110: the OpenAI SDK reads a plain answer", async () => {
  const body = answerFromNeutral(
    {
      id: "up",
      model: "up-model",
      parts: [{ type: "text", text: "pong" }],
      stop: "end",
      stopSequence: undefined,
      usage: undefined,
    },
    contextFor(),
  );
  answer = { body: JSON.stringify(body), type: "application/json" };
  const response = await client().responses.create({ model: "m", input: "hi" });
  expect(response.output_text).toBe("pong");
  expect(response.id).toBe("resp_01ABC");
});
