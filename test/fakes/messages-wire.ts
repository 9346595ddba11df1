// What Anthropic's Messages API answers (docs: "Messages", "Streaming messages").

import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { textOf } from "./json-access.ts";
import {
  count,
  DEFAULT_INPUT_TOKENS,
  DEFAULT_OUTPUT_TOKENS,
  DEFAULT_TEXT,
  pieces,
  stringifyWithCounts,
  type FakeAnswer,
  type Rendered,
} from "./script.ts";

const stops = { end: "end_turn", length: "max_tokens", tool_calls: "tool_use", filtered: "refusal" } as const;

export function renderMessages(answer: FakeAnswer, model: string, serial: number): Rendered {
  const blocks = blocksOf(answer, serial);
  const hasTools = (answer.toolCalls?.length ?? 0) > 0;
  const stop = stops[answer.stop ?? (hasTools ? "tool_calls" : "end")];
  const message: JsonObject = {
    id: `msg_fake${serial}`,
    type: "message",
    role: "assistant",
    model: answer.model ?? model,
    content: blocks,
    stop_reason: stop,
    stop_sequence: null,
    ...usageField(answer, "full"),
  };
  const opening = { ...message, content: [], stop_reason: null, ...usageField(answer, "start") };
  const events = [event("message_start", { message: opening })];
  blocks.forEach((block, index) => events.push(...blockEvents(block, index, answer.pieceLength ?? 8)));
  events.push(
    event("message_delta", {
      delta: { stop_reason: stop, stop_sequence: null },
      ...usageField(answer, "end"),
    }),
    event("message_stop", {}),
  );
  return { json: stringifyWithCounts(message), events };
}

export function messagesErrorEvent(type: string, message: string): string {
  return event("error", { error: { type, message } });
}

export function messagesErrorBody(type: string, message: string): Json {
  return { type: "error", error: { type, message }, request_id: "req_fake" };
}

function blocksOf(answer: FakeAnswer, serial: number): JsonObject[] {
  const blocks: JsonObject[] = [];
  if (answer.thinking !== undefined) {
    blocks.push({ type: "thinking", thinking: answer.thinking, signature: "c2lnbmF0dXJl" });
  }
  const text = answer.text ?? (answer.toolCalls === undefined ? DEFAULT_TEXT : "");
  if (text !== "") blocks.push({ type: "text", text });
  (answer.toolCalls ?? []).forEach((call, index) => {
    blocks.push({
      type: "tool_use",
      id: call.id ?? `toolu_fake${serial}_${index}`,
      name: call.name,
      input: call.input,
    });
  });
  return blocks;
}

function blockEvents(block: JsonObject, index: number, length: number): string[] {
  const open = (content_block: JsonObject): string => event("content_block_start", { index, content_block });
  const delta = (delta: JsonObject): string => event("content_block_delta", { index, delta });
  const close = event("content_block_stop", { index });
  switch (textOf(block["type"])) {
    case "thinking":
      return [
        open({ type: "thinking", thinking: "", signature: "" }),
        ...pieces(textOf(block["thinking"]), length).map((thinking) => delta({ type: "thinking_delta", thinking })),
        delta({ type: "signature_delta", signature: block["signature"] ?? "" }),
        close,
      ];
    case "tool_use":
      return [
        open({ ...block, input: {} }),
        ...pieces(JSON.stringify(block["input"]), length).map((partial_json) =>
          delta({ type: "input_json_delta", partial_json }),
        ),
        close,
      ];
    default:
      return [
        open({ type: "text", text: "" }),
        ...pieces(textOf(block["text"]), length).map((text) => delta({ type: "text_delta", text })),
        close,
      ];
  }
}

/** `start` knows the prompt and one token; `end` is cumulative (docs: "Streaming messages", message_delta). */
function usageField(answer: FakeAnswer, part: "full" | "start" | "end"): { usage?: Json } {
  const usage = answer.usage ?? {};
  if (usage === "missing") return {};
  const prompt = {
    input_tokens: count(usage.input, DEFAULT_INPUT_TOKENS),
    cache_read_input_tokens: count(usage.cacheRead, 0),
    cache_creation_input_tokens: count(usage.cacheWrite, 0),
  };
  const output_tokens = part === "start" ? 1 : count(usage.output, DEFAULT_OUTPUT_TOKENS);
  if (part === "end") return { usage: { ...prompt, output_tokens } };
  const cache_creation = {
    ephemeral_5m_input_tokens: count(usage.cacheWrite, 0),
    ephemeral_1h_input_tokens: 0,
  };
  return { usage: { ...prompt, cache_creation, output_tokens, service_tier: "standard" } };
}

function event(type: string, data: JsonObject): string {
  return `event: ${type}\ndata: ${stringifyWithCounts({ type, ...data })}\n\n`;
}
