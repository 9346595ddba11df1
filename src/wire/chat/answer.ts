// Answers of the Chat dialect, both ways (wire.md E).

import { isObject } from "../messages/request-fields.ts";
import { ToolIds } from "../messages/tool-ids.ts";
import { clientToolOf } from "../messages/tool-names.ts";
import { faultInside, isErrorBody, nonsense } from "../messages/upstream-error.ts";
import { mergeUsage, noUsage } from "../usage.ts";
import type { AnswerContext, Json, JsonObject, NeutralAnswer, NeutralPart, UpstreamFault, Usage } from "../neutral.ts";
import { fromChatFinish, toChatFinish } from "./finish-reasons.ts";
import { reasoningOf } from "./reasoning-in-answer.ts";
import { argumentsText, parseArguments } from "./tool-arguments.ts";
import { chatUsageIn, toChatUsage } from "./usage.ts";

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
    stopSequence: typeof matched === "string" ? matched.toWellFormed() : undefined,
    usage,
  };
}

function partsOf(message: JsonObject): NeutralPart[] {
  const parts: NeutralPart[] = [];
  const thinking = reasoningOf(message).toWellFormed();
  if (thinking !== "") parts.push({ type: "thinking", text: thinking, signature: signatureOf(message) });
  const text = textOf(message["content"]);
  if (text !== "") parts.push({ type: "text", text });
  const refusal = textOf(message["refusal"]);
  if (refusal !== "") parts.push({ type: "refusal", text: refusal });
  const calls = Array.isArray(message["tool_calls"]) ? message["tool_calls"] : [];
  for (const call of calls) {
    if (isObject(call)) parts.push(callPart(textOf(call["id"]), isObject(call["function"]) ? call["function"] : {}));
  }
  // Where both are there, they are the same call.
  if (calls.length === 0 && isObject(message["function_call"])) parts.push(callPart("", message["function_call"]));
  return parts;
}

/** A string, or the texts of content parts. */
function textOf(value: Json | undefined): string {
  if (typeof value === "string") return value.toWellFormed();
  if (!Array.isArray(value)) return "";
  return value
    .map((part) => (isObject(part) && typeof part["text"] === "string" ? part["text"] : ""))
    .join("")
    .toWellFormed();
}

/** OpenRouter carries Anthropic's signature in its details. */
function signatureOf(message: JsonObject): string | undefined {
  const details = message["reasoning_details"];
  const detail = Array.isArray(details) && details.length === 1 ? details[0] : undefined;
  return isObject(detail) && typeof detail["signature"] === "string" ? detail["signature"] : undefined;
}

/** Arguments that are no JSON stay in `raw`, where they can be mended, and are wrapped in `input` (wire.md 103). */
function callPart(id: string, call: JsonObject): NeutralPart {
  const name = textOf(call["name"]);
  const raw = argumentsText(call["arguments"]).toWellFormed();
  if (name === "") return { type: "text", text: `(${raw})` };
  const input = parseArguments(raw);
  const text = input !== undefined && !raw.trimStart().startsWith("{") ? JSON.stringify(input) : raw;
  return {
    type: "tool_call",
    id,
    name,
    input: input ?? { input: raw },
    raw: text,
    form: "function",
    namespace: undefined,
  };
}

/** Usage and model of an answer that is passed through. */
export function chatUsageOf(body: JsonObject): { usage: Usage | undefined; model: string | undefined } {
  const model = typeof body["model"] === "string" ? body["model"] : undefined;
  const found = chatUsageIn(body);
  if (found === undefined) return { usage: undefined, model };
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
  if (context.request.reasoningDetails === true) addDetails(message, answer.parts, thinking);
  const legacy = context.request.legacyCalls === true;
  if (calls.length > 0 && legacy) message["function_call"] = calls[0]!["function"]!;
  else if (calls.length > 0) message["tool_calls"] = calls;
  const finish_reason = toChatFinish(answer.stop, calls.length > 0, legacy);
  // Without text and calls `null` would read as a failure to some clients.
  if (text === "" && calls.length === 0 && refusal === "") message["content"] = "";
  return {
    id: `chatcmpl-${context.id}`,
    object: "chat.completion",
    created: context.createdAt,
    model: context.model,
    choices: [{ index: 0, message, logprobs: null, finish_reason }],
    usage: toChatUsage(answer.usage ?? noUsage),
  };
}

/** Thinking under OpenRouter's names, with all that its clients send back. */
function addDetails(message: JsonObject, parts: readonly NeutralPart[], thinking: string): void {
  const details: JsonObject[] = [];
  for (const part of parts) {
    const common = { format: "anthropic-claude-v1", index: details.length };
    if (part.type === "thinking") {
      const signature = part.signature === undefined ? {} : { signature: part.signature };
      details.push({ type: "reasoning.text", text: part.text, ...signature, ...common });
    } else if (part.type === "redacted_thinking") {
      details.push({ type: "reasoning.encrypted", data: part.data, ...common });
    }
  }
  if (details.length === 0) return;
  message["reasoning"] = thinking;
  message["reasoning_details"] = details;
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
    else calls.push({ id, type: "function", function: { name, arguments: jsonOf(part) } });
  }
  return calls;
}

/** The arguments as they came, or as JSON where they are none. */
function jsonOf({ input, raw }: Extract<NeutralPart, { type: "tool_call" }>): string {
  return raw.trimStart().startsWith("{") && parseArguments(raw) !== undefined ? raw : JSON.stringify(input);
}

/** The free text of a custom tool, out of the one field it was offered with. */
export function customInput(input: JsonObject | undefined, raw: string): string {
  const text = input?.["input"];
  return typeof text === "string" ? text.toWellFormed() : raw;
}
