// Whole answers, both ways.

import type {
  AnswerContext,
  Json,
  JsonObject,
  NeutralAnswer,
  NeutralPart,
  StopReason,
  UpstreamFault,
  Usage,
} from "../neutral.ts";
import { errorFault, notAnAnswer, streamFault } from "./faults.ts";
import { partsToNeutral } from "./input-parts.ts";
import { arrayAt, isObject, objectAt, parseJson, stringAt } from "./json-fields.ts";
import {
  callItem,
  ending,
  itemId,
  messageItem,
  reasoningItem,
  responseObject,
  textPart,
  uniqueCallId,
} from "./output-items.ts";
import { sealThinking } from "./reasoning-envelope.ts";
import { argumentsObject, clientCall, customInput, customText } from "./tools.ts";
import { completeUsage, readUsage, usageToWire } from "./usage.ts";

/** An upstream's response object; the fault where it failed, is not finished, or is no response at all. */
export function answerToNeutral(body: Json): NeutralAnswer | { fault: UpstreamFault } {
  if (!isObject(body)) return { fault: notAnAnswer("The upstream's answer is no JSON object.") };
  const error = objectAt(body, "error");
  if (body["status"] === "failed" || error !== undefined) return { fault: streamFault(error ?? {}) };
  if (!Array.isArray(body["output"])) {
    return { fault: errorFault(body, 502) ?? notAnAnswer("The upstream's answer is no response object.") };
  }
  const status = body["status"] ?? "completed";
  if (status !== "completed" && status !== "incomplete") {
    return { fault: notAnAnswer("The upstream's answer is not finished.") };
  }
  const parts: NeutralPart[] = [];
  for (const item of body["output"]) if (isObject(item)) addParts(item, parts);
  return {
    id: stringAt(body, "id"),
    model: stringAt(body, "model"),
    parts,
    stop: stopOf(body, parts),
    stopSequence: undefined,
    usage: completeUsage(readUsage(body)),
  };
}

/** A response object for the client, under the name that it asked for. */
export function answerFromNeutral(answer: NeutralAnswer, context: AnswerContext): JsonObject {
  const { status, details } = ending(answer.stop);
  const output: JsonObject[] = [];
  const callIds = new Set<string>();
  for (const part of answer.parts) {
    const item = outputItem(part, output.length, context, callIds);
    if (item !== undefined) output.push(item);
  }
  const last = output.at(-1);
  if (last !== undefined && last["status"] !== undefined) last["status"] = status;
  const usage = usageToWire(answer.usage);
  return responseObject(context, { status, output, usage, incompleteDetails: details });
}

/** Cost and reported model of an answer that is passed through. */
export function usageOf(body: JsonObject): { usage: Usage | undefined; model: string | undefined } {
  return { usage: completeUsage(readUsage(body)), model: stringAt(body, "model") };
}

function addParts(item: JsonObject, parts: NeutralPart[]): void {
  switch (stringAt(item, "type") ?? "") {
    case "message":
      parts.push(...partsToNeutral(item["content"]));
      return;
    case "reasoning":
      addThinking(item, parts);
      return;
    case "function_call":
    case "custom_tool_call":
      parts.push(callPart(item, item["type"] === "custom_tool_call" ? "custom" : "function"));
      return;
    default:
  }
}

/** The vendor's encrypted reasoning is of no use to anyone else: the summary is what remains. */
function addThinking(item: JsonObject, parts: NeutralPart[]): void {
  const source = arrayAt(item, "summary").length > 0 ? item["summary"] : item["content"];
  const texts = partsToNeutral(source).map((part) => (part.type === "text" ? part.text : ""));
  if (texts.length > 0) parts.push({ type: "thinking", text: texts.join("\n\n"), signature: undefined });
}

function callPart(item: JsonObject, form: "function" | "custom"): NeutralPart {
  const text = stringAt(item, form === "custom" ? "input" : "arguments") ?? "";
  const input = form === "custom" ? customInput(text) : argumentsObject(text, parseJson(text));
  return {
    type: "tool_call",
    id: stringAt(item, "call_id") ?? "",
    name: stringAt(item, "name") ?? "",
    input,
    raw: form === "custom" || text === "" ? JSON.stringify(input) : text,
    form,
    namespace: stringAt(item, "namespace"),
  };
}

function stopOf(body: JsonObject, parts: readonly NeutralPart[]): StopReason {
  if (body["status"] === "incomplete") {
    return objectAt(body, "incomplete_details")?.["reason"] === "content_filter" ? "filtered" : "length";
  }
  return parts.some((part) => part.type === "tool_call") ? "tool_calls" : "end";
}

function outputItem(
  part: NeutralPart,
  index: number,
  context: AnswerContext,
  callIds: Set<string>,
): JsonObject | undefined {
  switch (part.type) {
    case "text":
    case "refusal": // A refusal part is invisible in Codex.
      return messageItem(itemId("msg", context, index), "completed", [textPart(part.text)]);
    case "thinking":
      return reasoningItem(itemId("rs", context, index), part.text, sealThinking(part, context.origin));
    case "redacted_thinking":
      return reasoningItem(itemId("rs", context, index), "", sealThinking(part, context.origin));
    case "tool_call": {
      const call = clientCall(context.request, part.name, part.form);
      const id = itemId(call.form === "custom" ? "ctc" : "fc", context, index);
      const parsed = parseJson(part.raw);
      const text =
        call.form === "custom" ? customText(part.raw, part.input) : functionText(part.raw, parsed, part.input);
      return callItem(id, "completed", call, uniqueCallId(part.id, callIds, context, index), text);
    }
    case "image":
    case "document":
    default:
      return undefined;
  }
}

/** The arguments as they came where they are an object: key order and number spellings are the model's. */
function functionText(raw: string, parsed: Json | undefined, input: JsonObject): string {
  return isObject(parsed) ? raw : JSON.stringify(input);
}
