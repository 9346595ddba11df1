// What the pipeline must know of a request, and what is refused before anything is spent: state that is kept elsewhere
// (its tokens could not be bounded), second names of the output limit, tools that nobody meters.

import { GatewayError } from "../../errors.ts";
import { inputBoundWith, surveyMedia } from "../media-ceilings.ts";
import type { Json, JsonObject, WireFacts } from "../neutral.ts";
import { isReasoningModel } from "../profiles/openai-models.ts";
import { refuseRouterSwitches } from "../router-switches.ts";
import { readToolCosts } from "./hosted-tools.ts";
import { isObject, objectAt, stringAt } from "./json-fields.ts";

/** Seven digits: above every model's output, below everything that could overflow a price. */
const MAX_OUTPUT_TOKENS = 9_999_999;

/** Characters; the longest name of any catalogue is below a hundred. */
const MAX_MODEL_NAME = 256;

/** Fields that may not be set, and what to do instead. */
const refused: readonly (readonly [field: string, remedy: string])[] = [
  ["previous_response_id", "nothing is stored here, so send the whole conversation in input."],
  ["conversation", "nothing is stored here, so send the whole conversation in input."],
  ["prompt", "stored prompts are not offered here, so send the text in instructions and input."],
  ["max_tokens", "use max_output_tokens."],
  ["max_completion_tokens", "use max_output_tokens."],
  ["n", "the Responses API gives one answer; send one request for each."],
  ["best_of", "the Responses API gives one answer; send one request for each."],
];

/**
 * Throws REQUEST_INVALID naming the field and the remedy. `store` may be absent or true (most SDK users leave it so): the
 * gateway itself stores nothing, so a later `previous_response_id` is refused.
 */
export function facts(body: JsonObject, bodyBytes: number): WireFacts {
  for (const [field, remedy] of refused) {
    if (body[field] !== undefined && body[field] !== null) throw invalid(`${field} is not accepted: ${remedy}`);
  }
  if (body["background"] === true) throw invalid("background is not offered here; leave it out and use stream: true.");
  const model = body["model"];
  if (typeof model !== "string" || model === "" || model.length > MAX_MODEL_NAME)
    throw invalid("model must be the name of a model.");
  refuseRouterSwitches(body, model);
  checkInput(body["input"]);
  const tools = readToolCosts(body);
  const survey = surveyMedia(body);
  return {
    model,
    stream: optionalBoolean(body, "stream") ?? false,
    maxOutputTokens: maxOutputTokens(body["max_output_tokens"]),
    choices: 1,
    hasTools: tools.any,
    hasImages: survey.images > 0,
    ...(survey.documents > 0 ? { documents: survey.documents } : undefined),
    hasThinking: hasThinking(body, model),
    hasJsonFormat: hasJsonFormat(body),
    // The dialect's last event carries the usage, always.
    wantsUsageEvent: true,
    inputTokenBound: inputBoundWith(survey, bodyBytes) * tools.rounds + tools.hiddenTokens,
    ...(tools.serverTools === undefined ? undefined : { serverTools: tools.serverTools }),
    ...(tools.unbounded === undefined ? undefined : { unbounded: tools.unbounded }),
    ...(compacts(body) ? { alternates: [model] } : undefined),
  };
}

/** A compaction on the way reads the prompt and writes a summary beside the answer (docs "Compaction"): as if asked twice. */
function compacts(body: JsonObject): boolean {
  const management = body["context_management"];
  return Array.isArray(management) ? management.length > 0 : isObject(management);
}

function checkInput(input: Json | undefined): void {
  if (typeof input === "string" && input !== "") return;
  if (!Array.isArray(input) || input.length === 0) {
    throw invalid("input must be a text or a list of items, and not empty.");
  }
  for (let i = 0; i < input.length; i++) {
    const item = input[i];
    if (!isObject(item)) throw invalid(`input[${i}] is not an object; send items as objects.`);
    const type = item["type"];
    if (type === "item_reference" || ((type === undefined || type === null) && item["role"] === undefined)) {
      throw invalid(`input[${i}] is an item_reference; nothing is stored here, so send the item itself.`);
    }
  }
}

function maxOutputTokens(value: Json | undefined): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 1 || value > MAX_OUTPUT_TOKENS) {
    throw invalid(`max_output_tokens must be an integer from 1 to ${MAX_OUTPUT_TOKENS}.`);
  }
  return value;
}

function hasThinking(body: JsonObject, model: string): boolean {
  const reasoning = objectAt(body, "reasoning");
  const effort = reasoning === undefined ? undefined : stringAt(reasoning, "effort");
  if (effort === "none") return false;
  return reasoning !== undefined || isReasoningModel(model);
}

function hasJsonFormat(body: JsonObject): boolean {
  const type = objectAt(objectAt(body, "text") ?? {}, "format")?.["type"];
  return type === "json_object" || type === "json_schema";
}

function optionalBoolean(body: JsonObject, field: string): boolean | undefined {
  const value = body[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "boolean") throw invalid(`${field} must be true or false.`);
  return value;
}

function invalid(publicMessage: string): GatewayError {
  return new GatewayError("REQUEST_INVALID", { publicMessage });
}
