// What other dialects would write, on the Chat route: some editors send whole Responses bodies there, or blocks of the
// Messages dialect, and read the answer in Chat form (wire.md B67, B68). A Chat server would refuse it.

import { isAbsent, isObject } from "../messages/request-fields.ts";
import type { Json, JsonObject } from "../neutral.ts";
import { agreedOutputLimit } from "./output-limit.ts";

const foreignParts: ReadonlySet<unknown> = new Set([
  "tool_use",
  "tool_result",
  "thinking",
  "redacted_thinking",
  "image",
  "document",
  "input_text",
  "output_text",
  "input_image",
  "input_file",
]);

/** True where the conversation is in `input`, and there are no `messages`. */
export function isResponsesShaped(body: JsonObject): boolean {
  return isAbsent(body["messages"]) && !isAbsent(body["input"]);
}

/**
 * The same body in that dialect's own words alone: such clients mix in Chat's names. Throws REQUEST_INVALID for limits that
 * differ.
 */
export function responsesBodyOf(body: JsonObject): JsonObject {
  const { max_tokens: _, max_completion_tokens: __, n, reasoning_effort: effort, ...rest } = body;
  // Not more than one answer is what both dialects mean by 1.
  const shaped: JsonObject = isAbsent(n) || n === 1 ? rest : { ...rest, n };
  const limit = agreedOutputLimit(body);
  if (limit !== undefined) shaped["max_output_tokens"] = limit;
  if (!isAbsent(effort) && !isObject(shaped["reasoning"])) shaped["reasoning"] = { effort };
  return shaped;
}

/** True where a tool or a content part is written as in another dialect. */
export function hasForeignShapes(body: JsonObject): boolean {
  const { tools, messages } = body;
  if (Array.isArray(tools) && tools.some(isBareTool)) return true;
  return Array.isArray(messages) && messages.some(holdsForeignPart);
}

/** A tool that declares itself without the wrapper of the Chat dialect. */
function isBareTool(tool: Json): boolean {
  return isObject(tool) && !isObject(tool["function"]) && !isObject(tool["custom"]) && !isAbsent(tool["name"]);
}

function holdsForeignPart(message: Json): boolean {
  const content = isObject(message) ? message["content"] : undefined;
  return Array.isArray(content) && content.some((part) => isObject(part) && foreignParts.has(part["type"]));
}
