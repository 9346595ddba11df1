// What the pipeline must know of a Chat request before anything is translated.

import { inputBoundWith, surveyMedia } from "../media-ceilings.ts";
import {
  invalidField,
  isAbsent,
  isObject,
  readMessages,
  readModel,
  readOptionalBoolean,
  readOptionalNumber,
} from "../messages/request-fields.ts";
import type { Json, JsonObject, WireFacts } from "../neutral.ts";
import { isReasoningModel } from "../profiles/openai-models.ts";
import { facts as responsesFacts } from "../responses/facts.ts";
import { hasForeignShapes, isResponsesShaped, responsesBodyOf } from "./foreign-shapes.ts";
import { readOutputLimit } from "./output-limit.ts";
import { refusePricedSwitches, TOOL_PROMPT_TOKENS } from "./priced-switches.ts";

/** Each answer is paid for. */
const MAX_CHOICES = 16;

/** Throws REQUEST_INVALID that names the field. Looks only at what money, routing and limits hang on. */
export function chatFacts(body: JsonObject, bodyBytes: number): WireFacts {
  if (isResponsesShaped(body)) {
    const wantsUsageEvent = asksForUsage(body["stream_options"]);
    return { ...responsesFacts(responsesBodyOf(body), bodyBytes), wantsUsageEvent, foreign: true };
  }
  const model = readModel(body["model"]);
  const stream = readOptionalBoolean(body["stream"], "stream") ?? false;
  const maxOutputTokens = readOutputLimit(body);
  const choices = readChoices(body["n"]);
  readMessages(body["messages"]);
  refusePricedSwitches(body, model);
  const media = surveyMedia(body);
  const hasTools = hasEntries(body["tools"]) || hasEntries(body["functions"]);
  return {
    model,
    stream,
    maxOutputTokens,
    choices,
    hasTools,
    hasImages: media.images > 0,
    ...(media.documents > 0 ? { documents: media.documents } : undefined),
    hasThinking: isReasoningModel(model) || asksForReasoning(body),
    hasJsonFormat: asksForJson(body["response_format"]),
    wantsUsageEvent: asksForUsage(body["stream_options"]),
    inputTokenBound: inputBoundWith(media, bodyBytes) + (hasTools ? TOOL_PROMPT_TOKENS : 0),
    ...(hasForeignShapes(body) ? { foreign: true } : undefined),
  };
}

function readChoices(value: Json | undefined): number {
  const n = readOptionalNumber(value, "n");
  if (n === undefined) return 1;
  if (!Number.isInteger(n) || n < 1 || n > MAX_CHOICES) {
    throw invalidField("n", `expected an integer from 1 to ${MAX_CHOICES}`);
  }
  return n;
}

function hasEntries(value: Json | undefined): boolean {
  return Array.isArray(value) && value.length > 0;
}

function asksForReasoning(body: JsonObject): boolean {
  const effort = body["reasoning_effort"];
  if (!isAbsent(effort)) return effort !== "none";
  const reasoning = body["reasoning"];
  return isObject(reasoning) && reasoning["enabled"] !== false && reasoning["effort"] !== "none";
}

function asksForJson(format: Json | undefined): boolean {
  return isObject(format) && (format["type"] === "json_schema" || format["type"] === "json_object");
}

function asksForUsage(options: Json | undefined): boolean {
  if (isAbsent(options)) return false;
  if (!isObject(options)) throw invalidField("stream_options", "expected an object");
  return readOptionalBoolean(options["include_usage"], "stream_options.include_usage") ?? false;
}
