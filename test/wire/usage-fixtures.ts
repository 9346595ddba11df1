// Answers whose usage is written by hand, as each vendor words it, whole and streamed.

import type { JsonObject } from "../../src/wire/neutral.ts";

export const TEXT = "It rains in Oslo, as it often does.";

/** An Anthropic message. */
export function messagesAnswer(usage: JsonObject | null, more: JsonObject = {}): string {
  return JSON.stringify({ ...message(usage), ...more });
}

/** The same as events: what `message_start` tells of the usage, and what each `message_delta` does. */
export function messagesStream(start: JsonObject | null, deltas: readonly JsonObject[], text = TEXT): string[] {
  const opening = { ...message(start), content: [], stop_reason: null };
  const usages = deltas.length === 0 ? [null] : deltas;
  return [
    named("message_start", { message: opening }),
    named("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
    named("content_block_delta", { index: 0, delta: { type: "text_delta", text } }),
    named("content_block_stop", { index: 0 }),
    ...usages.map((usage, at) => {
      const stop_reason = at === usages.length - 1 ? "end_turn" : null;
      return named("message_delta", {
        delta: { stop_reason, stop_sequence: null },
        ...(usage === null ? {} : { usage }),
      });
    }),
    named("message_stop", {}),
  ];
}

function message(usage: JsonObject | null): JsonObject {
  return {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "claude-sonnet-4-5",
    content: [{ type: "text", text: TEXT }],
    stop_reason: "end_turn",
    stop_sequence: null,
    ...(usage === null ? {} : { usage }),
  };
}

/** A chat completion; `more` is laid over its top level. */
export function chatAnswer(usage: JsonObject | null, more: JsonObject = {}): string {
  return JSON.stringify({
    ...chatHead,
    object: "chat.completion",
    choices: [{ index: 0, message: { role: "assistant", content: TEXT }, finish_reason: "stop" }],
    ...(usage === null ? {} : { usage }),
    ...more,
  });
}

/** Chunks as they are given, then the end. */
export function chatStream(chunks: readonly JsonObject[]): string[] {
  return [...chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`), "data: [DONE]\n\n"];
}

/** One chunk with one delta; `more` is laid over its top level. */
export function chatChunk(delta: JsonObject, finish: string | null = null, more: JsonObject = {}): JsonObject {
  return {
    ...chatHead,
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta, finish_reason: finish }],
    ...more,
  };
}

const chatHead = { id: "chatcmpl-1", created: 1_790_000_000, model: "gpt-4o-mini" };

/** A response of the Responses API; `items` come before its message. */
export function responsesAnswer(
  usage: JsonObject | null,
  items: readonly JsonObject[] = [],
  more: JsonObject = {},
): string {
  return JSON.stringify({ ...response("completed", usage, items), ...more });
}

export function responsesStream(
  usage: JsonObject | null,
  items: readonly JsonObject[] = [],
  more: JsonObject = {},
): string[] {
  const place = { output_index: items.length, item_id: "msg_1", content_index: 0 };
  return [
    named("response.created", { response: response("in_progress", null, []) }),
    ...items.map((item, output_index) => named("response.output_item.done", { output_index, item })),
    named("response.output_item.added", { output_index: items.length, item: { ...said, content: [] } }),
    named("response.output_text.delta", { ...place, delta: TEXT }),
    named("response.output_item.done", { output_index: items.length, item: said }),
    named("response.completed", { response: { ...response("completed", usage, items), ...more } }),
  ];
}

const said: JsonObject = {
  id: "msg_1",
  type: "message",
  status: "completed",
  role: "assistant",
  content: [{ type: "output_text", text: TEXT, annotations: [] }],
};

function response(status: string, usage: JsonObject | null, items: readonly JsonObject[]): JsonObject {
  return {
    id: "resp_1",
    object: "response",
    created_at: 1_790_000_000,
    status,
    error: null,
    incomplete_details: null,
    model: "gpt-4o-mini",
    output: status === "completed" ? [...items, said] : [],
    usage,
  };
}

function named(type: string, data: JsonObject): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
}
