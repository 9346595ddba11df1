// Cache marks on their way to Anthropic: written by clients of other dialects in OpenRouter's way, on parts, tools and
// tool messages.

import type { JsonObject } from "../neutral.ts";

/** `cache_control` of a block, to be spread into it; nothing where the mark is not one that the vendor knows. */
export function cacheControl(mark: JsonObject | undefined): JsonObject {
  if (mark === undefined || mark["type"] !== "ephemeral") return {};
  const ttl = mark["ttl"];
  const known = ttl === "5m" || ttl === "1h" ? { type: "ephemeral", ttl } : { type: "ephemeral" };
  return { cache_control: known };
}

/** The blocks in the order of the prompt. One mark too many is a 400: the last ones stay, since they cover the most. */
export function limitCacheMarks(blocks: Iterable<JsonObject>, most: number): void {
  const marked: JsonObject[] = [];
  for (const block of blocks) if (block["cache_control"] !== undefined) marked.push(block);
  for (let i = 0; i < marked.length - most; i++) delete marked[i]!["cache_control"];
}
