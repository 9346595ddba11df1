// A Chat request to the neutral form (wire.md B).

import {
  invalidField,
  isAbsent,
  isObject,
  readMessages,
  readModel,
  readObject,
  readOptionalBoolean,
  readOptionalNumber,
  readText,
  readTokenLimit,
} from "../messages/request-fields.ts";
import type { Json, JsonObject, NeutralFormat, NeutralReasoning, NeutralRequest } from "../neutral.ts";
import { toNeutral as responsesToNeutral } from "../responses/request-to-neutral.ts";
import { conversationToNeutral } from "./messages-to-neutral.ts";
import { isResponsesShaped, responsesBodyOf } from "./foreign-shapes.ts";
import { readOutputLimit } from "./output-limit.ts";
import { samplingToNeutral } from "./sampling-to-neutral.ts";
import { toolsToNeutral } from "./tools-to-neutral.ts";

/**
 * Throws REQUEST_INVALID that names the field. `logprobs`, `logit_bias`, `seed` and penalties have no neutral form: what
 * becomes of them is told to the client. Several answers can't be left out like that, so `n` above 1 is refused.
 */
export function chatToNeutral(body: JsonObject): NeutralRequest {
  if (isResponsesShaped(body)) return responsesToNeutral(responsesBodyOf(body));
  const n = readOptionalNumber(body["n"], "n");
  if (n !== undefined && n !== 1) throw invalidField("n", "this model gives one answer at a time; leave it out");
  const { system, messages } = conversationToNeutral(readMessages(body["messages"]));
  const { tools, choice } = toolsToNeutral(body);
  // One call is all that an answer in the older way can hold.
  const legacyCalls = isAbsent(body["tools"]) && tools.length > 0;
  const single = legacyCalls || readOptionalBoolean(body["parallel_tool_calls"], "parallel_tool_calls") === false;
  return {
    model: readModel(body["model"]),
    system,
    messages,
    tools,
    toolChoice: choice,
    parallelTools: single ? false : undefined,
    maxOutputTokens: readOutputLimit(body),
    stop: readStop(body["stop"]),
    temperature: readOptionalNumber(body["temperature"], "temperature"),
    topP: readOptionalNumber(body["top_p"], "top_p"),
    topK: readOptionalNumber(body["top_k"], "top_k"),
    stream: readOptionalBoolean(body["stream"], "stream") ?? false,
    reasoning: readReasoning(body),
    format: readFormat(body["response_format"]),
    user: readUser(body),
    ...(legacyCalls ? { legacyCalls } : undefined),
    ...(isObject(body["reasoning"]) || body["include_reasoning"] === true ? { reasoningDetails: true } : undefined),
    ...samplingToNeutral(body),
  };
}

function readStop(value: Json | undefined): string[] {
  if (isAbsent(value)) return [];
  if (typeof value === "string") return [value];
  if (!Array.isArray(value)) throw invalidField("stop", "expected a string or an array of strings");
  return value.map((stop, i) => readText(stop, `stop.${i}`));
}

/** OpenAI's `reasoning_effort`, or OpenRouter's `reasoning`. */
function readReasoning(body: JsonObject): NeutralReasoning | undefined {
  const effort = body["reasoning_effort"];
  if (!isAbsent(effort)) return { effort: neutralEffort(effort), budgetTokens: undefined };
  const reasoning = body["reasoning"];
  if (!isObject(reasoning)) return undefined;
  if (reasoning["enabled"] === false) return { effort: "off", budgetTokens: undefined };
  const budget = readTokenLimit(reasoning["max_tokens"], "reasoning.max_tokens", 0);
  return { effort: neutralEffort(reasoning["effort"] ?? null), budgetTokens: budget };
}

function neutralEffort(effort: Json): string | undefined {
  if (effort === "none") return "off";
  return typeof effort === "string" ? effort : undefined;
}

function readFormat(value: Json | undefined): NeutralFormat | undefined {
  if (isAbsent(value)) return undefined;
  const format = readObject(value, "response_format");
  if (format["type"] === "text") return undefined;
  if (format["type"] === "json_object") return { type: "json_object" };
  if (format["type"] !== "json_schema") {
    throw invalidField("response_format.type", "expected text, json_object or json_schema");
  }
  const wrapper = readObject(format["json_schema"], "response_format.json_schema");
  return {
    type: "json_schema",
    name: typeof wrapper["name"] === "string" ? wrapper["name"] : undefined,
    schema: isAbsent(wrapper["schema"]) ? {} : readObject(wrapper["schema"], "response_format.json_schema.schema"),
    strict: readOptionalBoolean(wrapper["strict"], "response_format.json_schema.strict"),
  };
}

function readUser(body: JsonObject): string | undefined {
  const user = body["safety_identifier"] ?? body["user"];
  return typeof user === "string" ? user : undefined;
}
