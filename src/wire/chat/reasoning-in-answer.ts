// What a model thought, as servers of the Chat dialect name it in their answers (wire.md E105).

import { isObject } from "../messages/request-fields.ts";
import type { Json, JsonObject } from "../neutral.ts";

/** Of a message or a delta, as it came; servers that tell it twice tell the same. */
export function reasoningOf(message: JsonObject): string {
  const content = message["reasoning_content"];
  if (typeof content === "string" && content !== "") return content;
  const reasoning = message["reasoning"];
  if (typeof reasoning === "string" && reasoning !== "") return reasoning;
  const details = message["reasoning_details"];
  if (Array.isArray(details)) return textsOf(details);
  return Array.isArray(message["content"]) ? thoughtsIn(message["content"]) : "";
}

/** OpenRouter's form: thoughts, or a summary of them. */
function textsOf(details: readonly Json[]): string {
  let text = "";
  for (const detail of details) {
    if (!isObject(detail)) continue;
    const said = detail["text"] ?? detail["summary"];
    if (typeof said === "string") text += said;
  }
  return text;
}

/** Mistral's form: a part of the content. */
function thoughtsIn(parts: readonly Json[]): string {
  let text = "";
  for (const part of parts) {
    if (!isObject(part) || part["type"] !== "thinking") continue;
    if (Array.isArray(part["thinking"])) text += textsOf(part["thinking"]);
  }
  return text;
}
