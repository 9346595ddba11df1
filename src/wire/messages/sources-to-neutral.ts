// Images and documents of the Messages dialect to neutral sources (Anthropic docs "Vision", "PDF support").

import type { JsonObject, NeutralPart, NeutralSource } from "../neutral.ts";
import { invalidField, isObject, readObject, readOptionalText, readText, wordOf } from "./request-fields.ts";

/** An `image` block. */
export function imageToNeutral(block: JsonObject, path: string): NeutralPart {
  return {
    type: "image",
    source: readSource(readObject(block["source"], `${path}.source`), `${path}.source`),
    detail: undefined,
  };
}

/** A `document` block: text and content sources become text with their title, the rest stays a document. */
export function documentToNeutral(block: JsonObject, path: string): NeutralPart[] {
  const source = readObject(block["source"], `${path}.source`);
  const title = readOptionalText(block["title"], `${path}.title`);
  if (source["type"] === "text") {
    const context = readOptionalText(block["context"], `${path}.context`);
    const data = readText(source["data"], `${path}.source.data`);
    return [titled(title, context === undefined ? data : `${context}\n\n${data}`)];
  }
  if (source["type"] === "content") return contentSource(source, title, `${path}.source.content`);
  return [{ type: "document", source: readSource(source, `${path}.source`), name: title }];
}

function contentSource(source: JsonObject, title: string | undefined, path: string): NeutralPart[] {
  const content = source["content"];
  if (typeof content === "string") return [titled(title, content.toWellFormed())];
  if (!Array.isArray(content)) throw invalidField(path, "expected a string or an array of blocks");
  const parts: NeutralPart[] = title === undefined ? [] : [{ type: "text", text: `# ${title}` }];
  for (let i = 0; i < content.length; i++) {
    const block = readObject(content[i], `${path}.${i}`);
    if (block["type"] === "image") parts.push(imageToNeutral(block, `${path}.${i}`));
    else parts.push({ type: "text", text: readText(block["text"], `${path}.${i}.text`) });
  }
  return parts;
}

/** A `search_result` block: its title and source stay readable (wire.md A12). */
export function searchResultToNeutral(block: JsonObject, path: string): NeutralPart {
  const lines: string[] = [];
  const title = readOptionalText(block["title"], `${path}.title`);
  const source = readOptionalText(block["source"], `${path}.source`);
  if (title !== undefined) lines.push(title);
  if (source !== undefined) lines.push(`Source: ${source}`);
  const content = block["content"];
  if (!Array.isArray(content)) throw invalidField(`${path}.content`, "expected an array of text blocks");
  for (let i = 0; i < content.length; i++) {
    const part = readObject(content[i], `${path}.content.${i}`);
    lines.push(readText(part["text"], `${path}.content.${i}.text`));
  }
  return { type: "text", text: lines.join("\n") };
}

function titled(title: string | undefined, text: string): NeutralPart {
  return { type: "text", text: title === undefined ? text : `# ${title}\n\n${text}` };
}

function readSource(source: JsonObject, path: string): NeutralSource {
  switch (wordOf(source["type"])) {
    case "base64":
      return {
        kind: "base64",
        mediaType: readText(source["media_type"], `${path}.media_type`),
        data: readText(source["data"], `${path}.data`),
      };
    case "url":
      return { kind: "url", url: readText(source["url"], `${path}.url`) };
    case "file":
      return { kind: "file", id: readText(source["file_id"], `${path}.file_id`) };
    default:
      throw invalidField(`${path}.type`, "expected base64, url or file");
  }
}

/** The results of a server tool in a history, as text; what is encrypted is dropped (wire.md A24). */
export function serverResultToText(block: JsonObject): string {
  const content = block["content"];
  const results = Array.isArray(content) ? content : isObject(content) ? [content] : [];
  const lines: string[] = [];
  for (const result of results) if (isObject(result)) addLines(result, lines);
  const kind = typeof block["type"] === "string" ? block["type"].replace(/_tool_result$/, "") : "tool";
  return lines.length === 0 ? "" : `[${kind} results]\n${lines.join("\n")}\n\n`;
}

const readable = ["title", "url", "text", "error_code", "stdout", "stderr"] as const;

function addLines(result: JsonObject, lines: string[]): void {
  for (const key of readable) {
    const value = result[key];
    if (typeof value === "string" && value !== "") lines.push(value.toWellFormed());
  }
  // A page that was fetched stands in a document of its own.
  const document = result["content"];
  if (!isObject(document)) return;
  if (typeof document["title"] === "string") lines.push(document["title"].toWellFormed());
  const source = document["source"];
  if (isObject(source) && source["type"] === "text" && typeof source["data"] === "string") {
    lines.push(source["data"].toWellFormed());
  }
}
