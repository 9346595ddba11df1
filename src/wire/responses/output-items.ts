// The items and the response object that a client gets, always whole: strict clients refuse items without `id`,
// `annotations` or `name`. Streamed and plain answers are built from the same pieces.

import type { AnswerContext, JsonObject, NeutralToolChoice, StopReason } from "../neutral.ts";
import type { ClientCall } from "./tools.ts";

export type ItemStatus = "in_progress" | "completed" | "incomplete";

const plainCallId = /^[A-Za-z0-9_-]{1,64}$/;

/** Ids follow from the response's own id and the item's place, so that equal answers have equal ids. */
export function itemId(prefix: "msg" | "rs" | "fc" | "ctc", context: AnswerContext, index: number): string {
  return `${prefix}_${context.id}_${index}`;
}

export function responseId(context: AnswerContext): string {
  return `resp_${context.id}`;
}

/**
 * The upstream's call id where it is fit to be replayed to any vendor and was not used before in this answer, else one of
 * our own. Local servers leave ids out or repeat them.
 */
export function uniqueCallId(id: string, used: Set<string>, context: AnswerContext, index: number): string {
  const unique = plainCallId.test(id) && !used.has(id) ? id : `call_${context.id}_${index}`;
  used.add(unique);
  return unique;
}

export function textPart(text: string): JsonObject {
  return { type: "output_text", annotations: [], logprobs: [], text };
}

export function messageItem(id: string, status: ItemStatus, content: JsonObject[]): JsonObject {
  return { id, type: "message", status, role: "assistant", content };
}

export function summaryPart(text: string): JsonObject {
  return { type: "summary_text", text };
}

export function reasoningItem(id: string, summary: string, envelope: string | null): JsonObject {
  return {
    id,
    type: "reasoning",
    summary: summary === "" ? [] : [summaryPart(summary)],
    encrypted_content: envelope,
  };
}

/** A function call, or a custom tool call whose `text` is its free input. */
export function callItem(id: string, status: ItemStatus, call: ClientCall, callId: string, text: string): JsonObject {
  const item: JsonObject =
    call.form === "custom"
      ? { id, type: "custom_tool_call", status, call_id: callId, name: call.name, input: text }
      : { id, type: "function_call", status, call_id: callId, name: call.name, arguments: text };
  if (call.namespace !== undefined) item["namespace"] = call.namespace;
  return item;
}

/** How a response ended, in the dialect's words. A refusal of the model counts as filtered. */
export function ending(stop: StopReason | undefined): {
  status: "completed" | "incomplete";
  details: JsonObject | null;
} {
  if (stop === "length") return { status: "incomplete", details: { reason: "max_output_tokens" } };
  if (stop === "filtered") return { status: "incomplete", details: { reason: "content_filter" } };
  return { status: "completed", details: null };
}

/**
 * The response object with all fields that clients require. `tools` and `instructions` are not echoed: an agent's are
 * tens of kilobytes, in every lifecycle event, and no client reads them. `store` is false: nothing is stored.
 */
export function responseObject(
  context: AnswerContext,
  state: {
    readonly status: "in_progress" | "completed" | "incomplete" | "failed";
    readonly output: JsonObject[];
    readonly usage: JsonObject | null;
    readonly error?: JsonObject;
    readonly incompleteDetails?: JsonObject | null;
  },
): JsonObject {
  const { request } = context;
  return {
    id: responseId(context),
    object: "response",
    created_at: context.createdAt,
    status: state.status,
    background: false,
    error: state.error ?? null,
    incomplete_details: state.incompleteDetails ?? null,
    instructions: null,
    max_output_tokens: request.maxOutputTokens ?? null,
    metadata: {},
    model: context.model,
    output: state.output,
    parallel_tool_calls: request.parallelTools ?? true,
    previous_response_id: null,
    reasoning: { effort: effortOf(request.reasoning?.effort), summary: null },
    store: false,
    temperature: request.temperature ?? null,
    text: { format: { type: request.format?.type ?? "text" } },
    tool_choice: choiceToWire(request.toolChoice),
    tools: [],
    top_p: request.topP ?? null,
    truncation: "disabled",
    usage: state.usage,
  };
}

export function choiceToWire(choice: NeutralToolChoice | undefined): JsonObject | string {
  if (choice === undefined) return "auto";
  return choice.type === "tool" ? { type: "function", name: choice.name } : choice.type;
}

function effortOf(effort: string | undefined): string | null {
  return effort === "off" ? "none" : (effort ?? null);
}
