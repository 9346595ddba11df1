import type { JsonObject, NeutralFormat, NeutralReasoning, NeutralRequest } from "../neutral.ts";
import { offersHosted } from "./hosted-tools.ts";
import { collectTools, inputToNeutral } from "./input-items.ts";
import { arrayAt, booleanAt, numberAt, objectAt, stringAt } from "./json-fields.ts";
import { ToolBook, toolChoiceToNeutral } from "./tools.ts";

/**
 * A client's request in the neutral form. `store`, `include`, `prompt_cache_key`, `client_metadata`, `service_tier`,
 * `truncation`, `text.verbosity` and the like say nothing to another vendor and stay behind (`client_metadata` holds
 * installation ids and paths). Throws REQUEST_INVALID.
 */
export function toNeutral(body: JsonObject): NeutralRequest {
  const instructions = stringAt(body, "instructions");
  const system = instructions === undefined || instructions === "" ? [] : [{ text: instructions }];
  const book = new ToolBook();
  book.addAll(arrayAt(body, "tools"));
  collectTools(body["input"], book);
  const { messages, unknown } = inputToNeutral(body["input"], system, book);
  const ignored = [...lostFields(body), ...unknown];
  const { choice, tools } = toolChoiceToNeutral(body["tool_choice"], book);
  return {
    model: stringAt(body, "model") ?? "",
    system,
    messages,
    tools,
    toolChoice: tools.length === 0 ? undefined : choice,
    parallelTools: booleanAt(body, "parallel_tool_calls"),
    maxOutputTokens: numberAt(body, "max_output_tokens"),
    stop: [],
    temperature: numberAt(body, "temperature"),
    topP: numberAt(body, "top_p"),
    topK: undefined,
    stream: body["stream"] === true,
    reasoning: reasoningToNeutral(objectAt(body, "reasoning")),
    format: formatToNeutral(objectAt(objectAt(body, "text") ?? {}, "format")),
    user: stringAt(body, "safety_identifier") ?? stringAt(body, "user"),
    ...(ignored.length === 0 ? undefined : { ignored }),
  };
}

/**
 * What the client asked for and gets from no other vendor, where it would look for it in the answer. Fields that only
 * steer the vendor's own house (`store`, `prompt_cache_key`, `client_metadata`) change nothing that is seen.
 */
function lostFields(body: JsonObject): string[] {
  const lost: string[] = [];
  if (body["truncation"] === "auto") lost.push("truncation");
  if ((numberAt(body, "top_logprobs") ?? 0) > 0 || arrayAt(body, "include").includes(LOGPROBS))
    lost.push("top_logprobs");
  if (Object.keys(objectAt(body, "metadata") ?? {}).length > 0) lost.push("metadata");
  const tier = stringAt(body, "service_tier");
  if (tier !== undefined && tier !== "auto" && tier !== "default") lost.push("service_tier");
  if (stringAt(objectAt(body, "text") ?? {}, "verbosity") !== undefined) lost.push("text.verbosity");
  if (offersHosted(body)) lost.push("tools");
  return lost;
}

const LOGPROBS = "message.output_text.logprobs";

/** The dialect's efforts are the neutral ones, but for `none`. */
function reasoningToNeutral(reasoning: JsonObject | undefined): NeutralReasoning | undefined {
  if (reasoning === undefined) return undefined;
  const effort = stringAt(reasoning, "effort");
  return { effort: effort === "none" ? "off" : effort, budgetTokens: undefined };
}

function formatToNeutral(format: JsonObject | undefined): NeutralFormat | undefined {
  if (format === undefined) return undefined;
  if (format["type"] === "json_object") return { type: "json_object" };
  const schema = objectAt(format, "schema");
  if (format["type"] !== "json_schema" || schema === undefined) return undefined;
  return {
    type: "json_schema",
    name: stringAt(format, "name") || undefined,
    schema,
    strict: booleanAt(format, "strict"),
  };
}
