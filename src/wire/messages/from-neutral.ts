// The neutral form to a Messages request (wire.md B43 to B69).

import type { Json, JsonObject, NeutralRequest, NeutralTool, Target } from "../neutral.ts";
import { takesPrefill, takesSampling, thinkingFields } from "../profiles/claude-models.ts";
import { toolTurnLacksThinking, turnsFromNeutral } from "./turns-from-neutral.ts";

/** The dialect demands a limit; every Claude model takes this one. Whoever plans the request should give a better one. */
const DEFAULT_MAX_TOKENS = 4_096;
const CONTINUE = "Continue exactly where you stopped.";
const JSON_ONLY = "Answer with one JSON object and nothing else.";

/** Throws AttemptError `skipped_policy` where the request holds what Anthropic can't take. */
export function messagesFromNeutral(request: NeutralRequest, target: Target): JsonObject {
  const turns = turnsFromNeutral(request.messages);
  const maxTokens = target.maxOutputTokens ?? request.maxOutputTokens ?? DEFAULT_MAX_TOKENS;
  const canThink = !toolTurnLacksThinking(turns);
  const { thinking, effort } = thinkingFields(request.reasoning, target.model, maxTokens, canThink);
  const thinks = thinking !== undefined && thinking["type"] !== "disabled";
  endWithUser(turns, target.model, thinks);
  const body: JsonObject = {
    model: target.model,
    max_tokens: maxTokens,
    messages: turns.map((turn) => ({ role: turn.role, content: turn.content })),
  };
  const system = systemOf(request);
  if (system.length > 0) body["system"] = system;
  addTools(request, thinks, body);
  const stop = request.stop.filter((text) => text.trim() !== "");
  if (stop.length > 0) body["stop_sequences"] = stop;
  if (!thinks && takesSampling(target.model)) addSampling(request, body);
  if (thinking !== undefined) body["thinking"] = thinking;
  const config = outputConfig(request, effort);
  if (config !== undefined) body["output_config"] = config;
  if (request.stream) body["stream"] = true;
  return body;
}

function systemOf(request: NeutralRequest): JsonObject[] {
  const instructions = request.system.filter(({ text }) => text.trim() !== "");
  if (request.format?.type === "json_object") instructions.push({ text: JSON_ONLY });
  return instructions.map(({ text, cacheControl }) =>
    cacheControl === undefined ? { type: "text", text } : { type: "text", text, cache_control: cacheControl },
  );
}

/**
 * An answer that the assistant has begun: models that take it as a prefill continue it (without trailing blanks, which
 * are a 400), to all others a user turn must ask for more.
 */
function endWithUser(turns: { role: string; content: JsonObject[] }[], model: string, thinks: boolean): void {
  const last = turns.at(-1);
  if (last?.role !== "assistant") return;
  const block = last.content.at(-1)!;
  if (!thinks && takesPrefill(model) && block["type"] === "text") block["text"] = (block["text"] as string).trimEnd();
  else turns.push({ role: "user", content: [{ type: "text", text: CONTINUE }] });
}

function addTools(request: NeutralRequest, thinks: boolean, body: JsonObject): void {
  if (request.tools.length === 0) return;
  body["tools"] = request.tools.map(toolFromNeutral);
  const parallel: JsonObject = request.parallelTools === false ? { disable_parallel_tool_use: true } : {};
  const choice = request.toolChoice;
  if (choice === undefined) {
    if (request.parallelTools === false) body["tool_choice"] = { type: "auto", ...parallel };
  } else if (choice.type === "none") body["tool_choice"] = { type: "none" };
  // With thinking a forced choice is a 400.
  else if (choice.type === "auto" || thinks) body["tool_choice"] = { type: "auto", ...parallel };
  else if (choice.type === "required") body["tool_choice"] = { type: "any", ...parallel };
  else body["tool_choice"] = { type: "tool", name: choice.name, ...parallel };
}

function toolFromNeutral(tool: NeutralTool): JsonObject {
  const schema = tool.schema["type"] === "object" ? tool.schema : { ...tool.schema, type: "object" };
  const wire: JsonObject = { name: tool.name, input_schema: schema };
  if (tool.description !== undefined && tool.description !== "") wire["description"] = tool.description;
  return wire;
}

/** Temperature runs from 0 to 1 here, and newer models take only one of the two. */
function addSampling(request: NeutralRequest, body: JsonObject): void {
  if (request.temperature !== undefined) body["temperature"] = Math.min(1, Math.max(0, request.temperature));
  else if (request.topP !== undefined) body["top_p"] = request.topP;
  if (request.topK !== undefined) body["top_k"] = request.topK;
}

function outputConfig(request: NeutralRequest, effort: string | undefined): JsonObject | undefined {
  const config: JsonObject = {};
  if (effort !== undefined) config["effort"] = effort;
  if (request.format?.type === "json_schema") {
    config["format"] = { type: "json_schema", schema: closeObjects(request.format.schema) };
  }
  return Object.keys(config).length === 0 ? undefined : config;
}

/** Structured output wants `additionalProperties: false` on every object (Anthropic docs "Structured outputs"). */
function closeObjects(schema: JsonObject): JsonObject {
  const closed: JsonObject = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === "__proto__") continue;
    if (key === "properties" || key === "$defs" || key === "definitions") closed[key] = mapSchemas(value);
    else if (key === "items" || key === "anyOf" || key === "allOf" || key === "oneOf") closed[key] = closeAll(value);
    else closed[key] = value;
  }
  if (closed["type"] === "object") closed["additionalProperties"] = false;
  return closed;
}

function mapSchemas(value: Json): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, schema]) => [name, closeAll(schema)]));
}

function closeAll(value: Json): Json {
  if (Array.isArray(value)) return value.map(closeAll);
  return typeof value === "object" && value !== null ? closeObjects(value) : value;
}
