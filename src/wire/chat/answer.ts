// Answers of the Chat dialect, both ways (wire.md E).

import { isObject } from "../messages/request-fields.ts";
import { ToolIds } from "../messages/tool-ids.ts";
import { clientToolOf } from "../messages/tool-names.ts";
import { faultInside, isErrorBody, nonsense } from "../messages/upstream-error.ts";
import { mergeUsage, noUsage } from "../messages/usage.ts";
import type { AnswerContext, Json, JsonObject, NeutralAnswer, NeutralPart, UpstreamFault, Usage } from "../neutral.ts";
import { fromChatFinish, toChatFinish } from "./finish-reasons.ts";
import { argumentsText, parseArguments } from "./tool-arguments.ts";
import { readChatUsage, toChatUsage } from "./usage.ts";

/** A body that is no answer is a fault, so that it can be tried elsewhere (wire.md 108, 109). */
export function chatAnswerToNeutral(body: Json): NeutralAnswer | { fault: UpstreamFault } {
  if (!isObject(body)) return { fault: nonsense("an answer that is no JSON object") };
  if (isErrorBody(body)) return { fault: faultInside(body) };
  const choice = Array.isArray(body["choices"]) ? body["choices"][0] : undefined;
  if (!isObject(choice)) return { fault: nonsense("an answer without choices") };
  if (isErrorBody(choice)) return { fault: faultInside(choice) };
  if (!isObject(choice["message"])) return { fault: nonsense("an answer without a message") };
  const parts = partsOf(choice["message"]);
  const matched = choice["stop_reason"];
  const stop = fromChatFinish(
    choice["finish_reason"],
    parts.some((part) => part.type === "tool_call"),
  );
  const { usage, model } = chatUsageOf(body);
  return {
    id: typeof body["id"] === "string" ? body["id"] : undefined,
    model,
    parts,
    // vLLM tells the matched sequence beside the reason.
    stop: stop === "end" && typeof matched === "string" ? "stop_sequence" : stop,
    stopSequence: typeof matched === "string" ? matched : undefined,
    usage,
  };
}

function partsOf(message: JsonObject): NeutralPart[] {
  const parts: NeutralPart[] = [];
  const thinking = textOf(message["reasoning_content"]) || textOf(message["reasoning"]);
  if (thinking !== "") parts.push({ type: "thinking", text: thinking, signature: signatureOf(message) });
  const text = textOf(message["content"]);
  if (text !== "") parts.push({ type: "text", text });
  const refusal = textOf(message["refusal"]);
  if (refusal !== "") parts.push({ type: "refusal", text: refusal });
  const calls = Array.isArray(message["tool_calls"]) ? message["tool_calls"] : [];
  for (const call of calls) {
    if (isObject(call)) parts.push(callPart(textOf(call["id"]), isObject(call["function"]) ? call["function"] : {}));
  }
  if (isObject(message["function_call"])) parts.push(callPart("", message["function_call"]));
  return parts;
}

/** A string, or the texts of content parts. */
function textOf(value: Json | undefined): string {
  if (typeof value === "string") return value.toWellFormed();
  if (!Array.isArray(value)) return "";
  return value.map((part) => (isObject(part) && typeof part["text"] === "string" ? part["text"] : "")).join("");
}

/** OpenRouter carries Anthropic's signature in its details. */
function signatureOf(message: JsonObject): string | undefined {
  const details = message["reasoning_details"];
  const detail = Array.isArray(details) && details.length === 1 ? details[0] : undefined;
  return isObject(detail) && typeof detail["signature"] === "string" ? detail["signature"] : undefined;
}

/** A call whose arguments are no JSON can't be run: the client gets to see it as text (wire.md 103). */
function callPart(id: string, call: JsonObject): NeutralPart {
  const name = textOf(call["name"]);
  const raw = argumentsText(call["arguments"]).toWellFormed();
  const input = parseArguments(raw);
  if (input === undefined || name === "") return { type: "text", text: `${name}(${raw})` };
  const text = raw.trim() === "" || raw.startsWith('"') ? JSON.stringify(input) : raw;
  return { type: "tool_call", id, name, input, raw: text, form: "function", namespace: undefined };
}

/** Usage and model of an answer that is passed through. */
export function chatUsageOf(body: JsonObject): { usage: Usage | undefined; model: string | undefined } {
  const model = typeof body["model"] === "string" ? body["model"] : undefined;
  if (!isObject(body["usage"])) return { usage: undefined, model };
  const found = readChatUsage(body["usage"], body["service_tier"]);
  const nothing = found.input === undefined && found.output === undefined && found.reportedUsd === undefined;
  if (nothing) return { usage: undefined, model };
  const usage: Usage = { ...noUsage };
  mergeUsage(usage, found);
  return { usage, model };
}

/** The completion that the client sees, with every member that its SDK types demand. */
export function chatAnswerFromNeutral(answer: NeutralAnswer, context: AnswerContext): JsonObject {
  const calls = callsOf(answer.parts, context);
  const text = textsOf(answer.parts, "text");
  const thinking = textsOf(answer.parts, "thinking");
  const refusal = textsOf(answer.parts, "refusal");
  const message: JsonObject = { role: "assistant", content: text === "" ? null : text };
  message["refusal"] = refusal === "" ? null : refusal;
  if (thinking !== "") message["reasoning_content"] = thinking;
  if (calls.length > 0) message["tool_calls"] = calls;
  // Without text and calls `null` would read as a failure to some clients.
  if (text === "" && calls.length === 0 && refusal === "") message["content"] = "";
  return {
    id: `chatcmpl-${context.id}`,
    object: "chat.completion",
    created: context.createdAt,
    model: context.model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: toChatFinish(answer.stop, calls.length > 0) }],
    usage: toChatUsage(answer.usage ?? noUsage),
  };
}

function textsOf(parts: readonly NeutralPart[], type: "text" | "thinking" | "refusal"): string {
  return parts.map((part) => (part.type === type ? part.text : "")).join("");
}

function callsOf(parts: readonly NeutralPart[], context: AnswerContext): JsonObject[] {
  const ids = new ToolIds(`call_${context.id}`);
  const calls: JsonObject[] = [];
  for (const part of parts) {
    if (part.type !== "tool_call") continue;
    const id = ids.take(part.id, calls.length);
    const { name, form } = clientToolOf(context.request, part.name);
    if (form === "custom")
      calls.push({ id, type: "custom", custom: { name, input: customInput(part.input, part.raw) } });
    else calls.push({ id, type: "function", function: { name, arguments: part.raw } });
  }
  return calls;
}

/** The free text of a custom tool, out of the one field it was offered with. */
export function customInput(input: JsonObject | undefined, raw: string): string {
  const text = input?.["input"];
  return typeof text === "string" ? text : raw;
}
