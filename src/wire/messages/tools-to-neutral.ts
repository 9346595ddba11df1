// Tools of a Messages request to neutral tools (wire.md A22, A25, A27, A28).

import type { Json, JsonObject, NeutralTool, NeutralToolChoice } from "../neutral.ts";
import {
  cacheMark,
  invalidField,
  isAbsent,
  isObject,
  readObject,
  readOptionalArray,
  readOptionalText,
  readText,
  wordOf,
} from "./request-fields.ts";
import { fitToolName } from "./tool-names.ts";

/** Claude Code's stand-in for tools that are not loaded yet; it cannot be called. */
const PLACEHOLDER = "DeferredToolPlaceholder";

export interface ToolsFound {
  tools: NeutralTool[];
  /** Vendor-defined tools, which nothing but the vendor can offer. */
  dropped: number;
}

/** Tools with the additions and removals that messages in the conversation make (A6). */
export function toolsToNeutral(body: JsonObject, messages: readonly JsonObject[]): ToolsFound {
  const found = new Map<string, NeutralTool>();
  let dropped = 0;
  const add = (tool: JsonObject, path: string): void => {
    const neutral = toolToNeutral(tool, path);
    if (neutral === undefined) dropped += 1;
    else if (neutral.name !== PLACEHOLDER) found.set(neutral.name, neutral);
  };
  const tools = readOptionalArray(body["tools"], "tools");
  for (let i = 0; i < tools.length; i++) add(readObject(tools[i], `tools.${i}`), `tools.${i}`);
  for (let i = 0; i < messages.length; i++) {
    const message = messages[i]!;
    if (message["role"] !== "system" || !Array.isArray(message["content"])) continue;
    for (const [j, block] of message["content"].entries()) {
      if (isObject(block)) changeTools(block, `messages.${i}.content.${j}`, add, found);
    }
  }
  return { tools: [...found.values()], dropped };
}

function changeTools(
  block: JsonObject,
  path: string,
  add: (tool: JsonObject, path: string) => void,
  found: Map<string, NeutralTool>,
): void {
  const tool = block["tool"];
  // An addition may name a tool that `tools` has already (as deferred): then there is nothing to add.
  if (block["type"] === "tool_addition" && isObject(tool) && !isAbsent(tool["input_schema"])) add(tool, `${path}.tool`);
  if (block["type"] === "tool_removal") {
    const name = isObject(tool) ? (tool["name"] ?? tool["tool_name"]) : (block["tool_name"] ?? block["name"]);
    if (typeof name === "string") found.delete(fitToolName(name));
  }
}

/** Undefined for tools that the vendor defines by a dated type. */
function toolToNeutral(tool: JsonObject, path: string): NeutralTool | undefined {
  const type = tool["type"];
  if (!isAbsent(type) && type !== "custom") return undefined;
  const name = readText(tool["name"], `${path}.name`);
  if (name === "") throw invalidField(`${path}.name`, "expected the name of a tool");
  const fitted = fitToolName(name);
  return {
    name: fitted,
    description: readOptionalText(tool["description"], `${path}.description`),
    schema: isAbsent(tool["input_schema"])
      ? { type: "object", properties: {} }
      : readObject(tool["input_schema"], `${path}.input_schema`),
    strict: undefined,
    form: "function",
    namespace: undefined,
    ...(fitted === name ? undefined : { clientName: name }),
    ...cacheMark(tool),
  };
}

export interface ChoiceFound {
  choice: NeutralToolChoice | undefined;
  parallel: boolean | undefined;
}

/** A choice that names a tool which is not offered any more is none. */
export function toolChoiceToNeutral(value: Json | undefined, tools: readonly NeutralTool[]): ChoiceFound {
  if (isAbsent(value)) return { choice: undefined, parallel: undefined };
  const choice = readObject(value, "tool_choice");
  const parallel = choice["disable_parallel_tool_use"] === true ? false : undefined;
  if (tools.length === 0) return { choice: undefined, parallel: undefined };
  switch (wordOf(choice["type"])) {
    case "auto":
      return { choice: { type: "auto" }, parallel };
    case "any":
      return { choice: { type: "required" }, parallel };
    case "none":
      return { choice: { type: "none" }, parallel };
    case "tool": {
      const name = fitToolName(readText(choice["name"], "tool_choice.name"));
      const offered = tools.some((tool) => tool.name === name);
      return { choice: offered ? { type: "tool", name } : { type: "auto" }, parallel };
    }
    default:
      throw invalidField("tool_choice.type", "expected auto, any, tool or none");
  }
}
