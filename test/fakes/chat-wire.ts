// What OpenAI's Chat Completions API answers, and every local server with it (API reference: "Chat").

import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import {
  count,
  DEFAULT_INPUT_TOKENS,
  DEFAULT_OUTPUT_TOKENS,
  DEFAULT_TEXT,
  pieces,
  stringifyWithCounts,
  sum,
  type FakeAnswer,
  type Rendered,
} from "./script.ts";

const stops = { end: "stop", length: "length", tool_calls: "tool_calls", filtered: "content_filter" } as const;
const created = 1_790_000_000;

/** `includeUsage`: the request's `stream_options.include_usage`; without it a stream tells nothing, as at the vendor's. */
export function renderChat(answer: FakeAnswer, model: string, serial: number, includeUsage: boolean): Rendered {
  const calls = (answer.toolCalls ?? []).map((call, index) => ({
    id: call.id ?? `call_fake${serial}_${index}`,
    type: "function",
    function: { name: call.name, arguments: JSON.stringify(call.input) },
  }));
  const text = answer.text ?? (calls.length > 0 ? null : DEFAULT_TEXT);
  const finish_reason = stops[answer.stop ?? (calls.length > 0 ? "tool_calls" : "end")];
  const head = { id: `chatcmpl-fake${serial}`, created, model: answer.model ?? model };
  const body: JsonObject = {
    ...head,
    object: "chat.completion",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: text,
          refusal: null,
          ...(answer.thinking === undefined ? {} : { reasoning_content: answer.thinking }),
          ...(calls.length > 0 ? { tool_calls: calls } : {}),
        },
        logprobs: null,
        finish_reason,
      },
    ],
    ...(answer.usage === "missing" ? {} : { usage: usageOf(answer) }),
  };
  const chunk = (delta: JsonObject, finish: string | null): string =>
    dataEvent({
      ...head,
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
      ...(includeUsage ? { usage: null } : {}),
    });
  const length = answer.pieceLength ?? 8;
  const events = [
    chunk({ role: "assistant", content: "" }, null),
    ...pieces(answer.thinking ?? "", length).map((part) => chunk({ reasoning_content: part }, null)),
    ...pieces(text ?? "", length).map((content) => chunk({ content }, null)),
    ...calls.flatMap((call, index) => callChunks(call, index, length, chunk)),
    chunk({}, finish_reason),
  ];
  if (includeUsage && answer.usage !== "missing") {
    events.push(dataEvent({ ...head, object: "chat.completion.chunk", choices: [], usage: usageOf(answer) }));
  }
  events.push("data: [DONE]\n\n");
  return { json: stringifyWithCounts(body), events };
}

export function chatErrorEvent(type: string, message: string): string {
  return dataEvent({ error: { message, type, param: null, code: type } });
}

export function openaiErrorBody(type: string, message: string): Json {
  return { error: { message, type, param: null, code: null } };
}

interface Call {
  readonly id: string;
  readonly type: string;
  readonly function: { readonly name: string; readonly arguments: string };
}

function callChunks(
  call: Call,
  index: number,
  length: number,
  chunk: (delta: JsonObject, finish: null) => string,
): string[] {
  const opening = { index, id: call.id, type: call.type, function: { name: call.function.name, arguments: "" } };
  return [
    chunk({ tool_calls: [opening] }, null),
    ...pieces(call.function.arguments, length).map((part) =>
      chunk({ tool_calls: [{ index, function: { arguments: part } }] }, null),
    ),
  ];
}

/** Nested: cached tokens are inside `prompt_tokens`, reasoning inside `completion_tokens`. */
function usageOf(answer: FakeAnswer): Json {
  const usage = answer.usage === "missing" || answer.usage === undefined ? {} : answer.usage;
  const cached = count(usage.cacheRead, 0);
  const written = count(usage.cacheWrite, 0);
  const prompt_tokens = sum(count(usage.input, DEFAULT_INPUT_TOKENS), cached, written);
  const completion_tokens = count(usage.output, DEFAULT_OUTPUT_TOKENS);
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: sum(prompt_tokens, completion_tokens),
    prompt_tokens_details: {
      cached_tokens: cached,
      ...(usage.cacheWrite === undefined ? {} : { cache_write_tokens: written }),
    },
    completion_tokens_details: { reasoning_tokens: count(usage.reasoning, 0) },
    ...(usage.cost === undefined ? {} : { cost: count(usage.cost, 0) }),
  };
}

function dataEvent(data: JsonObject): string {
  return `data: ${stringifyWithCounts(data)}\n\n`;
}
