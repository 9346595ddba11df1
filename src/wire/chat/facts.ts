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
  readTokenLimit,
} from "../messages/request-fields.ts";
import type { Json, JsonObject, WireFacts } from "../neutral.ts";
import { isReasoningModel } from "../profiles/openai-models.ts";
import { refusePricedSwitches, TOOL_PROMPT_TOKENS } from "./priced-switches.ts";

/** Each answer is paid for. */
const MAX_CHOICES = 16;

/** Throws REQUEST_INVALID that names the field. Looks only at what money, routing and limits hang on. */
export function chatFacts(body: JsonObject, bodyBytes: number): WireFacts {
  const model = readModel(body["model"]);
  const stream = readOptionalBoolean(body["stream"], "stream") ?? false;
  const maxOutputTokens = readOutputLimit(body);
  const choices = readChoices(body["n"]);
  if (isAbsent(body["messages"]) && !isAbsent(body["input"])) {
    throw invalidField("messages", "this body has `input`, which belongs to /v1/responses; send it there");
  }
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
    hasThinking: isReasoningModel(model) || asksForReasoning(body),
    hasJsonFormat: asksForJson(body["response_format"]),
    wantsUsageEvent: asksForUsage(body["stream_options"]),
    inputTokenBound: inputBoundWith(media, bodyBytes) + (hasTools ? TOOL_PROMPT_TOKENS : 0),
  };
}

/** Two different limits: one would be believed here and the other by the upstream (threat model B5). */
export function readOutputLimit(body: JsonObject): number | undefined {
  const older = readTokenLimit(body["max_tokens"], "max_tokens", 1);
  const newer = readTokenLimit(body["max_completion_tokens"], "max_completion_tokens", 1);
  const foreign = readTokenLimit(body["max_output_tokens"], "max_output_tokens", 1);
  const names = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
  const given = [older, newer, foreign].filter((limit) => limit !== undefined);
  if (new Set(given).size > 1) {
    const present = names.filter((name) => !isAbsent(body[name]));
    throw invalidField(present.join(" and "), "they differ; send one of them");
  }
  // `max_output_tokens` alone is unknown to Chat servers: it would limit nothing.
  if (given.length === 1 && foreign !== undefined) {
    throw invalidField("max_output_tokens", "this dialect calls it max_completion_tokens");
  }
  return newer ?? older;
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
