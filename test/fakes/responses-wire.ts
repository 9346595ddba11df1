// What OpenAI's Responses API answers (API reference: "Responses", "Streaming").

import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { objectsOf, textOf } from "./json-access.ts";
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

export function renderResponses(answer: FakeAnswer, model: string, serial: number): Rendered {
  const output = itemsOf(answer, serial);
  const cut = answer.stop === "length" || answer.stop === "filtered";
  const status = cut ? "incomplete" : "completed";
  const skeleton: JsonObject = {
    id: `resp_fake${serial}`,
    object: "response",
    created_at: 1_790_000_000,
    status: "in_progress",
    background: false,
    error: null,
    incomplete_details: null,
    instructions: null,
    max_output_tokens: null,
    model: answer.model ?? model,
    output: [],
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    store: false,
    temperature: 1,
    text: { format: { type: "text" } },
    tool_choice: "auto",
    tools: [],
    top_p: 1,
    truncation: "disabled",
    usage: null,
    user: null,
    metadata: {},
  };
  const reason = answer.stop === "filtered" ? "content_filter" : "max_output_tokens";
  const final: JsonObject = {
    ...skeleton,
    status,
    output,
    incomplete_details: cut ? { reason } : null,
    ...(answer.usage === "missing" ? {} : { usage: usageOf(answer) }),
  };
  const numbered = new Sequence();
  numbered.add("response.created", { response: skeleton });
  numbered.add("response.in_progress", { response: skeleton });
  output.forEach((item, index) => addItem(numbered, item, index, answer.pieceLength ?? 8));
  numbered.add(`response.${status}`, { response: final });
  return { json: stringifyWithCounts(final), events: numbered.events };
}

/** As the vendor sends it in the middle of a stream. */
export function responsesErrorEvent(type: string, message: string, sequence: number): string {
  return sseEvent("error", { sequence_number: sequence, code: type, message, param: null });
}

class Sequence {
  readonly events: string[] = [];

  add(type: string, data: JsonObject): void {
    this.events.push(sseEvent(type, { sequence_number: this.events.length, ...data }));
  }
}

function itemsOf(answer: FakeAnswer, serial: number): JsonObject[] {
  const items: JsonObject[] = [];
  if (answer.thinking !== undefined) {
    items.push({
      id: `rs_fake${serial}`,
      type: "reasoning",
      summary: [{ type: "summary_text", text: answer.thinking }],
      encrypted_content: null,
    });
  }
  const text = answer.text ?? (answer.toolCalls === undefined ? DEFAULT_TEXT : "");
  if (text !== "") {
    const part = { type: "output_text", text, annotations: [], logprobs: [] };
    items.push({ id: `msg_fake${serial}`, type: "message", status: "completed", role: "assistant", content: [part] });
  }
  (answer.toolCalls ?? []).forEach((call, index) => {
    items.push({
      id: `fc_fake${serial}_${index}`,
      type: "function_call",
      status: "completed",
      call_id: call.id ?? `call_fake${serial}_${index}`,
      name: call.name,
      arguments: JSON.stringify(call.input),
    });
  });
  return items;
}

function addItem(stream: Sequence, item: JsonObject, output_index: number, length: number): void {
  const place = { output_index, item_id: item["id"] ?? "" };
  switch (textOf(item["type"])) {
    case "function_call":
      stream.add("response.output_item.added", {
        output_index,
        item: { ...item, status: "in_progress", arguments: "" },
      });
      for (const delta of pieces(textOf(item["arguments"]), length)) {
        stream.add("response.function_call_arguments.delta", { ...place, delta });
      }
      stream.add("response.function_call_arguments.done", {
        ...place,
        name: item["name"] ?? "",
        arguments: item["arguments"] ?? "",
      });
      break;
    case "reasoning":
      addSummary(stream, item, output_index, length);
      break;
    default:
      addText(stream, item, output_index, length);
  }
  stream.add("response.output_item.done", { output_index, item });
}

function addSummary(stream: Sequence, item: JsonObject, output_index: number, length: number): void {
  const place = { output_index, item_id: item["id"] ?? "", summary_index: 0 };
  const part = firstOf(item["summary"]);
  const text = textOf(part["text"]);
  stream.add("response.output_item.added", { output_index, item: { ...item, summary: [] } });
  stream.add("response.reasoning_summary_part.added", { ...place, part: { ...part, text: "" } });
  for (const delta of pieces(text, length)) stream.add("response.reasoning_summary_text.delta", { ...place, delta });
  stream.add("response.reasoning_summary_text.done", { ...place, text });
  stream.add("response.reasoning_summary_part.done", { ...place, part });
}

function addText(stream: Sequence, item: JsonObject, output_index: number, length: number): void {
  const place = { output_index, item_id: item["id"] ?? "", content_index: 0 };
  const part = firstOf(item["content"]);
  const text = textOf(part["text"]);
  stream.add("response.output_item.added", { output_index, item: { ...item, status: "in_progress", content: [] } });
  stream.add("response.content_part.added", { ...place, part: { ...part, text: "" } });
  for (const delta of pieces(text, length)) stream.add("response.output_text.delta", { ...place, delta, logprobs: [] });
  stream.add("response.output_text.done", { ...place, text, logprobs: [] });
  stream.add("response.content_part.done", { ...place, part });
}

function firstOf(list: Json | undefined): JsonObject {
  const first = objectsOf(list)[0];
  if (first === undefined) throw new Error("an item without parts");
  return first;
}

function usageOf(answer: FakeAnswer): Json {
  const usage = answer.usage === "missing" || answer.usage === undefined ? {} : answer.usage;
  const cached = count(usage.cacheRead, 0);
  const written = count(usage.cacheWrite, 0);
  const input_tokens = sum(count(usage.input, DEFAULT_INPUT_TOKENS), cached, written);
  const output_tokens = count(usage.output, DEFAULT_OUTPUT_TOKENS);
  return {
    input_tokens,
    input_tokens_details: {
      cached_tokens: cached,
      ...(usage.cacheWrite === undefined ? {} : { cache_write_tokens: written }),
    },
    output_tokens,
    output_tokens_details: { reasoning_tokens: count(usage.reasoning, 0) },
    total_tokens: sum(input_tokens, output_tokens),
  };
}

function sseEvent(type: string, data: JsonObject): string {
  return `event: ${type}\ndata: ${stringifyWithCounts({ type, ...data })}\n\n`;
}
