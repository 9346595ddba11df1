// Neutral images and documents to blocks of the Messages dialect (wire.md B50 to B52).

import { AttemptError } from "../../errors.ts";
import type { JsonObject, NeutralPart, NeutralSource } from "../neutral.ts";

/** First base64 characters of the formats that Anthropic takes (docs "Vision"): what the client says may be wrong. */
const imageMagic: readonly (readonly [start: string, mediaType: string])[] = [
  ["iVBORw0KGgo", "image/png"],
  ["/9j/", "image/jpeg"],
  ["R0lGOD", "image/gif"],
  ["UklGR", "image/webp"],
];

/** Throws AttemptError `skipped_policy` where the source belongs to another vendor's storage. */
export function imageBlock(part: Extract<NeutralPart, { type: "image" }>): JsonObject {
  const source = part.source;
  if (source.kind === "base64") {
    return { type: "image", source: { type: "base64", media_type: imageType(source), data: source.data } };
  }
  return { type: "image", source: urlSource(source) };
}

/** Throws AttemptError `skipped_policy` for files that Anthropic can't read. */
export function documentBlock(part: Extract<NeutralPart, { type: "document" }>): JsonObject {
  const title = part.name === undefined ? undefined : { title: part.name };
  const source = part.source;
  if (source.kind !== "base64") return { type: "document", source: urlSource(source), ...title };
  if (source.mediaType === "application/pdf" || source.data.startsWith("JVBERi0")) {
    const pdf = { type: "base64", media_type: "application/pdf", data: source.data };
    return { type: "document", source: pdf, ...title };
  }
  if (!source.mediaType.startsWith("text/")) throw unreadable("a file that is neither PDF nor text");
  const text = Buffer.from(source.data, "base64").toString("utf8");
  return { type: "document", source: { type: "text", media_type: "text/plain", data: text }, ...title };
}

function urlSource(source: Extract<NeutralSource, { kind: "url" | "file" }>): JsonObject {
  if (source.kind === "file") throw unreadable("a file id of another vendor");
  return { type: "url", url: source.url };
}

function imageType(source: { mediaType: string; data: string }): string {
  for (const [start, mediaType] of imageMagic) {
    if (source.data.startsWith(start)) return mediaType;
  }
  if (imageMagic.some(([, mediaType]) => mediaType === source.mediaType)) return source.mediaType;
  throw unreadable("an image that is not PNG, JPEG, GIF or WebP");
}

function unreadable(what: string): AttemptError {
  return new AttemptError("skipped_policy", { note: `the request holds ${what}` });
}
