// Content parts of input items.

import type { Json, JsonObject, NeutralPart, NeutralSource } from "../neutral.ts";
import { isObject, stringAt } from "./json-fields.ts";

/** `content` or `output` of an item: a string or an array of parts. Unknown parts are left out. */
export function partsToNeutral(content: Json | undefined): NeutralPart[] {
  if (typeof content === "string") return content === "" ? [] : [{ type: "text", text: content.toWellFormed() }];
  if (!Array.isArray(content)) return [];
  const parts: NeutralPart[] = [];
  for (const part of content) {
    const neutral = isObject(part) ? partToNeutral(part) : undefined;
    if (neutral !== undefined) parts.push(neutral);
  }
  return parts;
}

function partToNeutral(part: JsonObject): NeutralPart | undefined {
  switch (stringAt(part, "type") ?? "") {
    case "input_text":
    case "output_text":
    case "text":
    case "summary_text":
    case "reasoning_text": {
      const text = stringAt(part, "text");
      return text === undefined || text === "" ? undefined : { type: "text", text };
    }
    case "refusal":
      return { type: "refusal", text: stringAt(part, "refusal") ?? "" };
    case "input_image":
    case "computer_screenshot":
      return imageToNeutral(part);
    case "input_file":
      return fileToNeutral(part);
    default:
      return undefined;
  }
}

/** An `input_image` or a screenshot: URL, data URL or file id. */
function imageToNeutral(part: JsonObject): NeutralPart | undefined {
  const source = sourceOf(stringAt(part, "image_url"), stringAt(part, "file_id"), "image/png");
  return source === undefined ? undefined : { type: "image", source, detail: detailOf(part) };
}

/** `original` is finer than what any other dialect has a word for. */
function detailOf(part: JsonObject): string | undefined {
  const detail = stringAt(part, "detail");
  return detail === "original" ? "high" : detail;
}

function fileToNeutral(part: JsonObject): NeutralPart | undefined {
  const data = stringAt(part, "file_data");
  const source =
    data !== undefined && !data.startsWith("data:")
      ? ({ kind: "base64", mediaType: "application/pdf", data } as const)
      : sourceOf(data ?? stringAt(part, "file_url"), stringAt(part, "file_id"), "application/pdf");
  return source === undefined ? undefined : { type: "document", source, name: stringAt(part, "filename") };
}

function sourceOf(url: string | undefined, fileId: string | undefined, mediaType: string): NeutralSource | undefined {
  if (url !== undefined && url !== "") return dataUrl(url, mediaType) ?? { kind: "url", url };
  return fileId === undefined || fileId === "" ? undefined : { kind: "file", id: fileId };
}

/** RFC 2397, base64 form only; parameters of the media type are dropped. */
function dataUrl(url: string, fallbackType: string): NeutralSource | undefined {
  if (!url.startsWith("data:")) return undefined;
  const comma = url.indexOf(",");
  const head = url.slice("data:".length, comma);
  if (comma < 0 || !head.endsWith(";base64")) return undefined;
  const mediaType = head.split(";", 1)[0];
  return {
    kind: "base64",
    mediaType: mediaType === undefined || mediaType === "" ? fallbackType : mediaType,
    data: url.slice(comma + 1),
  };
}
