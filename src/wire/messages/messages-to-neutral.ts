// The conversation of a Messages request to neutral messages (wire.md A5 to A24).

import type { Json, JsonObject, NeutralMessage, NeutralPart } from "../neutral.ts";
import { wellFormedJson } from "../well-formed.ts";
import { cacheMark, invalidField, isAbsent, isObject, readObject, readText, wordOf } from "./request-fields.ts";
import { documentToNeutral, imageToNeutral, searchResultToNeutral, serverResultToText } from "./sources-to-neutral.ts";
import { fitToolName } from "./tool-names.ts";

/** `lastUser` is the index of the last user message: what was to be cleared by then is left out. */
export function messageToNeutral(message: JsonObject, index: number, lastUser: number, into: NeutralMessage[]): void {
  const path = `messages.${index}.content`;
  switch (wordOf(message["role"])) {
    case "user":
      addUser(message["content"], path, into);
      return;
    case "assistant":
      addAssistant(message["content"], path, into);
      return;
    case "system":
      if (message["clear_at"] === "next_user_message" && lastUser > index) return;
      addSystem(message["content"], path, into);
      return;
    default:
      throw invalidField(`messages.${index}.role`, "expected user, assistant or system");
  }
}

/** Tool results come before the rest of the turn, whatever the order of the blocks was (A15). */
function addUser(content: Json | undefined, path: string, into: NeutralMessage[]): void {
  const parts: NeutralPart[] = [];
  for (const [block, blockPath] of blocksOf(content, path)) {
    if (block["type"] === "tool_result") into.push(toolResult(block, blockPath));
    else addContent(block, blockPath, parts);
  }
  if (parts.length > 0) into.push({ role: "user", parts });
}

function addAssistant(content: Json | undefined, path: string, into: NeutralMessage[]): void {
  const parts: NeutralPart[] = [];
  for (const [block, blockPath] of blocksOf(content, path)) {
    if (block["type"] === "tool_use") parts.push(toolCall(block, blockPath));
    else addContent(block, blockPath, parts);
  }
  if (parts.length > 0) into.push({ role: "assistant", parts });
}

/** Only its text: effort and tool changes are read elsewhere. Without text there is no message (A6). */
function addSystem(content: Json | undefined, path: string, into: NeutralMessage[]): void {
  const parts: NeutralPart[] = [];
  if (isAbsent(content)) return;
  for (const [block, blockPath] of blocksOf(content, path)) {
    if (block["type"] === "text") addText(readText(block["text"], `${blockPath}.text`), parts);
  }
  if (parts.length > 0) into.push({ role: "system", parts });
}

function* blocksOf(content: Json | undefined, path: string): Generator<[JsonObject, string]> {
  if (typeof content === "string") {
    yield [{ type: "text", text: content }, path];
    return;
  }
  if (!Array.isArray(content)) throw invalidField(path, "expected a string or an array of parts");
  for (let i = 0; i < content.length; i++) {
    const block = readObject(content[i], `${path}.${i}`);
    if (typeof block["type"] !== "string") throw invalidField(`${path}.${i}.type`, "expected a string");
    yield [block, `${path}.${i}`];
  }
}

/** Blocks that stand for a part of the conversation: without them another model would answer a talk that it does not know. */
const vendorOnly = /^(?:compaction|advisor|thread)/;

/** A block that user turns, assistant turns and tool results have in common. Unknown blocks are left out. */
function addContent(block: JsonObject, path: string, parts: NeutralPart[]): void {
  switch (wordOf(block["type"])) {
    case "text":
      addText(readText(block["text"], `${path}.text`), parts, block);
      return;
    case "image":
      parts.push({ ...imageToNeutral(block, path), ...cacheMark(block) });
      return;
    case "document": {
      const found = documentToNeutral(block, path);
      // A mark on a block that became several parts is one on the last of them: it covers all that is before it.
      found.forEach((part, at) => parts.push(at < found.length - 1 ? part : { ...part, ...cacheMark(block) }));
      return;
    }
    case "search_result":
      parts.push(searchResultToNeutral(block, path));
      return;
    case "thinking":
      parts.push({
        type: "thinking",
        text: typeof block["thinking"] === "string" ? block["thinking"].toWellFormed() : "",
        // A local model's own thinking comes back with an empty signature (wire.md 271).
        signature: typeof block["signature"] === "string" && block["signature"] !== "" ? block["signature"] : undefined,
      });
      return;
    case "redacted_thinking":
      parts.push({ type: "redacted_thinking", data: readText(block["data"], `${path}.data`) });
      return;
    case "tool_reference":
      addText(`The tool ${readText(block["tool_name"], `${path}.tool_name`)} is now available.`, parts);
      return;
    default:
      if (vendorOnly.test(wordOf(block["type"]))) {
        throw invalidField(path, "only the model's own vendor can read this block, and the talk rests on it");
      }
      if (wordOf(block["type"]).endsWith("_tool_result")) addText(serverResultToText(block), parts);
  }
}

/** Empty text is refused by vendors and templates alike (A40). */
function addText(text: string, parts: NeutralPart[], marked: JsonObject = {}): void {
  if (text !== "") parts.push({ type: "text", text, ...cacheMark(marked) });
}

function toolCall(block: JsonObject, path: string): NeutralPart {
  const input = isAbsent(block["input"]) ? {} : readObject(block["input"], `${path}.input`);
  return {
    type: "tool_call",
    id: readText(block["id"], `${path}.id`),
    name: fitToolName(readText(block["name"], `${path}.name`)),
    input,
    // The text is read a second time: what is half a character in it must not come out of that.
    raw: wellFormedJson(JSON.stringify(input)),
    form: "function",
    namespace: undefined,
  };
}

/** The content may be missing, a string or blocks (A19). */
function toolResult(block: JsonObject, path: string): NeutralMessage {
  const parts: NeutralPart[] = [];
  const content = block["content"];
  if (!isAbsent(content)) {
    for (const [inner, innerPath] of blocksOf(content, `${path}.content`)) addContent(inner, innerPath, parts);
  }
  return {
    role: "tool",
    callId: readText(block["tool_use_id"], `${path}.tool_use_id`),
    parts,
    isError: block["is_error"] === true,
    ...cacheMark(block),
  };
}

/** Effort set by a message in the conversation: the last one holds (A6). */
export function lastEffort(messages: readonly JsonObject[]): string | undefined {
  for (let i = messages.length - 1; i >= 0; i--) {
    const config = messages[i]!["output_config"];
    if (isObject(config) && typeof config["effort"] === "string") return config["effort"];
  }
  return undefined;
}
