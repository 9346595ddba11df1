// Thinking in the history of a Chat client (wire.md B64): OpenRouter's `reasoning_details`, blocks of the Messages dialect,
// or plain text that nobody signed.

import { isObject } from "../messages/request-fields.ts";
import type { Json, JsonObject, NeutralPart } from "../neutral.ts";

/** Thinking with a signature may go back to its maker; where there is none, the unsigned text, for templates that take it. */
export function reasoningParts(message: JsonObject): NeutralPart[] {
  const parts = signedDetails(message["reasoning_details"]);
  if (parts.length === 0) addBlocks(message["thinking_blocks"], parts);
  if (parts.length === 0) addBlocks(message["content"], parts);
  if (parts.length > 0) return parts;
  const text = message["reasoning_content"] ?? message["reasoning"];
  if (typeof text !== "string" || text === "") return parts;
  return [{ type: "thinking", text: text.toWellFormed(), signature: undefined }];
}

/** `format` tells whose reasoning it is; what is of another maker is of no use to anybody else. */
function isForeign(detail: JsonObject): boolean {
  const { format } = detail;
  return typeof format === "string" && format !== "unknown" && !format.startsWith("anthropic");
}

/** Clients that collect a stream keep its pieces: texts of one index belong together, and their signature comes last. */
function signedDetails(details: Json | undefined): NeutralPart[] {
  const parts: NeutralPart[] = [];
  if (!Array.isArray(details)) return parts;
  let text = "";
  let index: Json | undefined;
  for (const detail of details) {
    if (!isObject(detail) || isForeign(detail)) continue;
    if (detail["type"] === "reasoning.encrypted") {
      if (typeof detail["data"] === "string") parts.push({ type: "redacted_thinking", data: detail["data"] });
      continue;
    }
    if (detail["index"] !== index) text = "";
    index = detail["index"];
    if (typeof detail["text"] === "string") text += detail["text"];
    const signature = detail["signature"];
    if (typeof signature !== "string" || signature === "") continue;
    parts.push({ type: "thinking", text, signature });
    text = "";
  }
  return parts;
}

/** `thinking` and `redacted_thinking` blocks of the Messages dialect. */
function addBlocks(blocks: Json | undefined, into: NeutralPart[]): void {
  if (!Array.isArray(blocks)) return;
  for (const block of blocks) {
    if (!isObject(block)) continue;
    const { type, thinking, signature, data } = block;
    if (type === "redacted_thinking" && typeof data === "string") into.push({ type, data });
    else if (type === "thinking" && typeof thinking === "string" && typeof signature === "string" && signature !== "") {
      into.push({ type, text: thinking, signature });
    }
  }
}
