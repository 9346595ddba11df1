// Tools and tool choice of a Chat request to the neutral form (wire.md B53 to B57).

import {
  cacheMark,
  invalidField,
  isAbsent,
  isObject,
  readObject,
  readOptionalArray,
  readOptionalBoolean,
  readOptionalText,
  readText,
} from "../messages/request-fields.ts";
import { fitToolName } from "../messages/tool-names.ts";
import type { Json, JsonObject, NeutralTool, NeutralToolChoice } from "../neutral.ts";

/** `tools` and the older `functions`, restricted by `allowed_tools`. */
export function toolsToNeutral(body: JsonObject): { tools: NeutralTool[]; choice: NeutralToolChoice | undefined } {
  const tools: NeutralTool[] = [];
  const wireTools = readOptionalArray(body["tools"], "tools");
  for (let i = 0; i < wireTools.length; i++)
    tools.push(toolToNeutral(readObject(wireTools[i], `tools.${i}`), `tools.${i}`));
  const functions = readOptionalArray(body["functions"], "functions");
  for (let i = 0; i < functions.length; i++) {
    tools.push(functionToNeutral(readObject(functions[i], `functions.${i}`), `functions.${i}`));
  }
  return withChoice(isAbsent(body["tool_choice"]) ? body["function_call"] : body["tool_choice"], tools);
}

/** Some clients send a tool bare, in the shape of the Responses or Messages dialect. */
function toolToNeutral(tool: JsonObject, path: string): NeutralTool {
  const kind = tool["type"] === "custom" && isAbsent(tool["input_schema"]) ? "custom" : "function";
  const inner = tool[kind];
  const [declared, innerPath] = isObject(inner) ? [inner, `${path}.${kind}`] : [tool, path];
  const neutral = kind === "custom" ? customToNeutral(declared, innerPath) : functionToNeutral(declared, innerPath);
  return { ...neutral, ...cacheMark(declared), ...cacheMark(tool) };
}

function functionToNeutral(tool: JsonObject, path: string): NeutralTool {
  const schema = tool["parameters"] ?? tool["input_schema"];
  return {
    ...named(tool, path),
    schema: isAbsent(schema) ? { type: "object", properties: {} } : readObject(schema, `${path}.parameters`),
    strict: readOptionalBoolean(tool["strict"], `${path}.strict`),
    form: "function",
    namespace: undefined,
  };
}

/** Free text becomes one string field. A grammar can't be enforced elsewhere, so the model is told of it. */
function customToNeutral(tool: JsonObject, path: string): NeutralTool {
  const { description, ...names } = named(tool, path);
  const told = [description, grammarOf(tool["format"])].filter((text) => text !== undefined && text !== "");
  return {
    ...names,
    description: told.length === 0 ? undefined : told.join("\n\n"),
    schema: { type: "object", properties: { input: { type: "string" } }, required: ["input"] },
    strict: undefined,
    form: "custom",
    namespace: undefined,
  };
}

/** `format.grammar` in the Chat dialect; bare in the Responses shape. */
function grammarOf(format: Json | undefined): string | undefined {
  if (!isObject(format)) return undefined;
  const grammar = isObject(format["grammar"]) ? format["grammar"] : format;
  const { definition, syntax } = grammar;
  if (typeof definition !== "string") return undefined;
  return `The input must match this ${typeof syntax === "string" ? syntax : "formal"} grammar:\n${definition}`;
}

function named(tool: JsonObject, path: string): { name: string; description: string | undefined; clientName?: string } {
  const name = readText(tool["name"], `${path}.name`);
  if (name === "") throw invalidField(`${path}.name`, "expected the name of a tool");
  const fitted = fitToolName(name);
  const description = readOptionalText(tool["description"], `${path}.description`);
  return { name: fitted, description, ...(fitted === name ? undefined : { clientName: name }) };
}

function withChoice(
  value: Json | undefined,
  tools: NeutralTool[],
): { tools: NeutralTool[]; choice: NeutralToolChoice | undefined } {
  if (isAbsent(value) || tools.length === 0) return { tools, choice: undefined };
  if (value === "auto" || value === "none" || value === "required") return { tools, choice: { type: value } };
  // The Messages dialect's word.
  if (value === "any") return { tools, choice: { type: "required" } };
  const choice = readObject(value, "tool_choice");
  if (choice["type"] === "allowed_tools") return allowedTools(choice, tools);
  const inner = choice["function"] ?? choice["custom"];
  const name = fitToolName(readText((isObject(inner) ? inner : choice)["name"], "tool_choice.function.name"));
  if (!tools.some((tool) => tool.name === name)) throw invalidField("tool_choice", "names a tool that is not in tools");
  return { tools, choice: { type: "tool", name } };
}

function allowedTools(
  choice: JsonObject,
  tools: NeutralTool[],
): { tools: NeutralTool[]; choice: NeutralToolChoice | undefined } {
  // Bare in the Responses shape.
  const inner = choice["allowed_tools"];
  const allowed = isAbsent(inner) ? choice : readObject(inner, "tool_choice.allowed_tools");
  const names = new Set<string>();
  for (const entry of readOptionalArray(allowed["tools"], "tool_choice.allowed_tools.tools")) {
    if (!isObject(entry)) continue;
    const inner = entry["function"] ?? entry["custom"];
    const name = (isObject(inner) ? inner : entry)["name"];
    if (typeof name === "string") names.add(fitToolName(name));
  }
  const kept = tools.filter((tool) => names.has(tool.name));
  return { tools: kept, choice: { type: allowed["mode"] === "required" ? "required" : "auto" } };
}
