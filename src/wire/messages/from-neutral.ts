// The neutral form to a Messages request (wire.md B43 to B69).

import { createHash } from "node:crypto";
import { CONTINUE, USER_BEGINS } from "../filler-turns.ts";
import type { JsonObject, NeutralFormat, NeutralRequest, NeutralTool, Target } from "../neutral.ts";
import {
  MAX_STRICT_TOOLS,
  takesMidSystem,
  takesPrefill,
  takesSampling,
  takesSchemas,
  thinkingFields,
} from "../profiles/claude-models.ts";
import { closedSchema, hasFreeMembers, hasOpenObjects, hasReferences } from "../profiles/closed-schema.ts";
import { serverProfiles } from "../profiles/server-profiles.ts";
import { cacheControl, limitCacheMarks } from "./cache-marks.ts";
import { invalidField } from "./request-fields.ts";
import { toolTurnLacksThinking, turnsFromNeutral } from "./turns-from-neutral.ts";

/** The dialect demands a limit; every Claude model takes this one. Whoever plans the request should give a better one. */
const DEFAULT_MAX_TOKENS = 4_096;
const JSON_ONLY = "Answer with one JSON object and nothing else.";
const SCHEMA_ONLY = "Answer with JSON that fits this JSON Schema and with nothing else:";

/** Throws AttemptError `skipped_policy` where the request holds what Anthropic can't take, REQUEST_INVALID where nobody can. */
export function messagesFromNeutral(request: NeutralRequest, target: Target): JsonObject {
  const turns = turnsFromNeutral(request.messages, {
    midSystem: takesMidSystem(target.model),
    origin: target.origin,
  });
  const maxTokens = target.maxOutputTokens ?? request.maxOutputTokens ?? DEFAULT_MAX_TOKENS;
  const canThink = !toolTurnLacksThinking(turns);
  const { thinking, effort } = thinkingFields(request.reasoning, target.model, maxTokens, canThink);
  const thinks = thinking !== undefined && thinking["type"] !== "disabled";
  const schema = schemaOf(request.format, target.model);
  if (turns[0]?.role === "assistant") turns.unshift({ role: "user", content: [{ type: "text", text: USER_BEGINS }] });
  endWithUser(turns, !thinks && schema === undefined && takesPrefill(target.model));
  const system = systemOf(request, schema !== undefined);
  // Instructions alone are what is to be answered: this dialect takes no conversation without a turn.
  if (turns.length === 0) turns.push({ role: "user", content: system.splice(0, Infinity) });
  if (turns[0]!.content.length === 0) throw invalidField("messages", "there is nothing in it that could be answered");
  const body: JsonObject = {
    model: target.model,
    max_tokens: maxTokens,
    messages: turns.map((turn) => ({ role: turn.role, content: turn.content })),
  };
  if (system.length > 0) body["system"] = system;
  const tools = addTools(request, thinks, takesSchemas(target.model), body);
  const stop = request.stop.filter((text) => text.trim() !== "");
  if (stop.length > 0) body["stop_sequences"] = stop;
  if (!thinks && takesSampling(target.model)) addSampling(request, body);
  if (thinking !== undefined) body["thinking"] = thinking;
  const config = outputConfig(schema, effort);
  if (config !== undefined) body["output_config"] = config;
  if (request.user !== undefined && request.user !== "") body["metadata"] = { user_id: opaque(request.user) };
  if (request.stream) body["stream"] = true;
  const blocks = [tools, system, ...turns.map(({ content }) => content)].flat();
  limitCacheMarks(blocks, serverProfiles[target.profile].cacheMarks);
  return body;
}

/** The same label gives the same one each time, but not the label: it may be somebody's address. */
function opaque(user: string): string {
  return createHash("sha256").update(`user of this gateway\n${user}`).digest("hex").slice(0, 32);
}

function systemOf(request: NeutralRequest, bound: boolean): JsonObject[] {
  const blocks: JsonObject[] = [];
  for (const { text, cacheControl: mark } of request.system) {
    if (text.trim() !== "") blocks.push({ type: "text", text, ...cacheControl(mark) });
  }
  if (request.format?.type === "json_object") blocks.push({ type: "text", text: JSON_ONLY });
  else if (request.format !== undefined && !bound) {
    blocks.push({ type: "text", text: `${SCHEMA_ONLY}\n${JSON.stringify(request.format.schema)}` });
  }
  return blocks;
}

/** The schema that binds the answer; undefined where the model, or its kind of schema, leaves only an instruction. */
function schemaOf(format: NeutralFormat | undefined, model: string): JsonObject | undefined {
  if (format?.type !== "json_schema" || !takesSchemas(model) || hasFreeMembers(format.schema)) return undefined;
  // Who asks for strictness knows that objects are closed.
  if (format.strict !== true && hasOpenObjects(format.schema)) return undefined;
  return closedSchema(format.schema);
}

/**
 * An answer that the assistant has begun: models that take it as a prefill continue it (without trailing blanks, which
 * are a 400), to all others a user turn must ask for more.
 */
function endWithUser(turns: { role: string; content: JsonObject[] }[], prefill: boolean): void {
  const last = turns.at(-1);
  if (last?.role !== "assistant") return;
  const block = last.content.at(-1)!;
  if (prefill && block["type"] === "text") block["text"] = (block["text"] as string).trimEnd();
  else turns.push({ role: "user", content: [{ type: "text", text: CONTINUE }] });
}

/** Returns the tools as they are sent. */
function addTools(request: NeutralRequest, thinks: boolean, takesStrict: boolean, body: JsonObject): JsonObject[] {
  if (request.tools.length === 0) return [];
  let strictLeft = takesStrict ? MAX_STRICT_TOOLS : 0;
  const tools = request.tools.map((tool) => {
    const strict = strictLeft > 0 && canBeStrict(tool);
    if (strict) strictLeft -= 1;
    return toolFromNeutral(tool, strict);
  });
  body["tools"] = tools;
  const parallel: JsonObject = request.parallelTools === false ? { disable_parallel_tool_use: true } : {};
  const choice = request.toolChoice;
  if (choice === undefined) {
    if (request.parallelTools === false) body["tool_choice"] = { type: "auto", ...parallel };
  } else if (choice.type === "none") body["tool_choice"] = { type: "none" };
  // With thinking a forced choice is a 400.
  else if (choice.type === "auto" || thinks) body["tool_choice"] = { type: "auto", ...parallel };
  else if (choice.type === "required") body["tool_choice"] = { type: "any", ...parallel };
  else body["tool_choice"] = { type: "tool", name: choice.name, ...parallel };
  return tools;
}

/** A call that works must not become a 400: where the vendor's strictness can't hold the schema, the tool is plain. */
function canBeStrict(tool: NeutralTool): boolean {
  return tool.strict === true && !hasFreeMembers(tool.schema) && !hasReferences(tool.schema);
}

function toolFromNeutral(tool: NeutralTool, strict: boolean): JsonObject {
  const object = tool.schema["type"] === "object" ? tool.schema : { ...tool.schema, type: "object" };
  const wire: JsonObject = { name: tool.name, input_schema: strict ? closedSchema(object) : object };
  if (tool.description !== undefined && tool.description !== "") wire["description"] = tool.description;
  if (strict) wire["strict"] = true;
  return { ...wire, ...cacheControl(tool.cacheControl) };
}

/** Temperature runs from 0 to 1 here, and newer models take only one of the two. */
function addSampling(request: NeutralRequest, body: JsonObject): void {
  if (request.temperature !== undefined) body["temperature"] = Math.min(1, Math.max(0, request.temperature));
  else if (request.topP !== undefined) body["top_p"] = request.topP;
  if (request.topK !== undefined) body["top_k"] = request.topK;
}

function outputConfig(schema: JsonObject | undefined, effort: string | undefined): JsonObject | undefined {
  const config: JsonObject = {};
  if (effort !== undefined) config["effort"] = effort;
  if (schema !== undefined) config["format"] = { type: "json_schema", schema };
  return Object.keys(config).length === 0 ? undefined : config;
}
