// Content parts of a Chat message to neutral parts. Blocks of the Messages and Responses dialects are accepted too: some
// clients mix them in (wire.md B50, B51, B66, B68).

import {
  cacheMark,
  invalidField,
  isAbsent,
  isObject,
  readObject,
  readText,
  wordOf,
} from "../messages/request-fields.ts";
import { documentToNeutral, imageToNeutral } from "../messages/sources-to-neutral.ts";
import type { Json, JsonObject, NeutralPart, NeutralSource } from "../neutral.ts";

/** `content` of a message: null, a string, or parts. Empty texts are left out. */
export function contentToNeutral(content: Json | undefined, path: string): NeutralPart[] {
  if (isAbsent(content) || content === "") return [];
  if (typeof content === "string") return [{ type: "text", text: content.toWellFormed() }];
  if (!Array.isArray(content)) throw invalidField(path, "expected a string or an array of parts");
  const parts: NeutralPart[] = [];
  for (let i = 0; i < content.length; i++) {
    addPart(readObject(content[i], `${path}.${i}`), `${path}.${i}`, parts);
  }
  return parts;
}

function addPart(part: JsonObject, path: string, into: NeutralPart[]): void {
  switch (wordOf(part["type"])) {
    case "text":
    case "input_text":
    case "output_text": {
      const text = readText(part["text"], `${path}.text`);
      if (text !== "") into.push({ type: "text", text, ...cacheMark(part) });
      return;
    }
    case "refusal":
      into.push({ type: "refusal", text: readText(part["refusal"], `${path}.refusal`) });
      return;
    case "image_url":
    case "input_image":
      into.push({ ...imageUrl(part, path), ...cacheMark(part) });
      return;
    case "image":
      into.push({ ...imageToNeutral(part, path), ...cacheMark(part) });
      return;
    case "document":
      for (const found of documentToNeutral(part, path)) into.push(found);
      markLast(into, part);
      return;
    case "file":
    case "input_file":
      into.push({ ...file(isObject(part["file"]) ? part["file"] : part, path), ...cacheMark(part) });
      return;
    // Read with the message that they are in.
    case "tool_use":
    case "tool_result":
    case "thinking":
    case "redacted_thinking":
      return;
    default:
      throw invalidField(`${path}.type`, "expected text, image_url or file");
  }
}

/**
 * A mark on a message as a whole, or on a block that became several parts, is one on its last part: it covers all that is
 * before it.
 */
export function markLast(parts: NeutralPart[], marked: JsonObject): void {
  const last = parts.at(-1);
  if (last?.type !== "text" && last?.type !== "image" && last?.type !== "document") return;
  if (last.cacheControl === undefined) Object.assign(last, cacheMark(marked));
}

function imageUrl(part: JsonObject, path: string): NeutralPart {
  const value = part["image_url"];
  const url = readText(isObject(value) ? value["url"] : value, `${path}.image_url.url`);
  const detail = isObject(value) ? value["detail"] : part["detail"];
  return { type: "image", source: urlSource(url), detail: typeof detail === "string" ? detail : undefined };
}

function file(part: JsonObject, path: string): NeutralPart {
  const name = typeof part["filename"] === "string" ? part["filename"] : undefined;
  if (typeof part["file_id"] === "string") {
    return { type: "document", source: { kind: "file", id: part["file_id"] }, name };
  }
  return { type: "document", source: urlSource(readText(part["file_data"], `${path}.file.file_data`)), name };
}

const dataUrl = /^data:([^;,]*)[^,]*;base64,/i;

/** A data URL, an address, or bare base64 (which OpenAI's `file_data` allows for PDF). */
function urlSource(url: string): NeutralSource {
  // Only the head is matched: the rest may be megabytes.
  const head = dataUrl.exec(url.slice(0, 256));
  if (head !== null) return { kind: "base64", mediaType: head[1]!.toLowerCase(), data: url.slice(head[0].length) };
  if (/^https?:/i.test(url)) return { kind: "url", url };
  return { kind: "base64", mediaType: "application/pdf", data: url };
}
