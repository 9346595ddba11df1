// Usage of the Responses dialect: nested counters (cached and cache-write tokens are inside `input_tokens`) on the wire,
// disjoint ones inside. What an upstream says about money is checked field by field: a lie is dropped, not repaired.

import type { Json, JsonObject, Usage } from "../neutral.ts";
import { mediaTokens, mergeUsage, noUsage, readCost, readCount, wholeOutput } from "../usage.ts";
import { serverToolOf } from "./hosted-tools.ts";
import { arrayAt, isObject, objectAt, stringAt } from "./json-fields.ts";

/** What a response object says about its cost, as far as it can be believed. Empty where it says nothing. */
export function readUsage(response: JsonObject): Partial<Usage> {
  const usage: Partial<Usage> = {};
  const wire = objectAt(response, "usage");
  if (wire !== undefined) readTokens(wire, usage);
  const tier = stringAt(response, "service_tier");
  if (tier !== undefined) usage.tier = tier;
  const serverTools = countServerTools(arrayAt(response, "output"));
  if (serverTools !== undefined) usage.serverTools = serverTools;
  return usage;
}

/** Null tokens are unknown tokens: without both totals there is no usage to settle by. */
export function completeUsage(usage: Partial<Usage>): Usage | undefined {
  if (usage.input === undefined || usage.output === undefined) return undefined;
  const whole: Usage = { ...noUsage };
  mergeUsage(whole, usage);
  return whole;
}

/** Calls of hosted tools by name; undefined where there is none. */
export function countServerTools(items: readonly Json[]): Record<string, number> | undefined {
  let counts: Record<string, number> | undefined;
  for (const item of items) {
    if (!isObject(item)) continue;
    const tool = serverToolOf(stringAt(item, "type") ?? "");
    if (tool === undefined) continue;
    counts ??= {};
    counts[tool] = (counts[tool] ?? 0) + 1;
  }
  return counts;
}

/** The wire form for a client; null where nothing is known. */
export function usageToWire(usage: Partial<Usage> | undefined): JsonObject | null {
  if (usage?.input === undefined && usage?.output === undefined) return null;
  const cached = usage.cacheRead ?? 0;
  const written = (usage.cacheWrite5m ?? 0) + (usage.cacheWrite1h ?? 0);
  const input = (usage.input ?? 0) + cached + written;
  const output = usage.output ?? 0;
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: cached, cache_write_tokens: written },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: usage.reasoning ?? 0 },
    total_tokens: input + output,
  };
}

function readTokens(wire: JsonObject, usage: Partial<Usage>): void {
  const usd = readCost(wire);
  if (usd !== undefined) usage.reportedUsd = usd;
  const total = readCount(wire["input_tokens"]);
  const details = objectAt(wire, "input_tokens_details") ?? {};
  const cached = readCount(details["cached_tokens"]) ?? 0;
  const written = readCount(details["cache_write_tokens"]) ?? 0;
  const split = objectAt(details, "cache_write_tokens_details") ?? details;
  const longLived = readCount(split["ttl_12h_tokens"]) ?? 0;
  if (total !== undefined) {
    usage.cacheRead = Math.min(cached, total);
    const writes = Math.min(written, total - usage.cacheRead);
    usage.cacheWrite1h = Math.min(longLived, writes);
    usage.cacheWrite5m = writes - usage.cacheWrite1h;
    usage.input = total - usage.cacheRead - writes;
  }
  const output = wholeOutput(readCount(wire["output_tokens"]), total, wire["total_tokens"]);
  if (output === undefined) return;
  usage.output = output;
  const outputDetails = objectAt(wire, "output_tokens_details") ?? {};
  usage.reasoning = Math.min(readCount(outputDetails["reasoning_tokens"]) ?? 0, output);
  const media = mediaTokens(
    { audio: details["audio_tokens"], image: details["image_tokens"] },
    { audio: outputDetails["audio_tokens"], image: outputDetails["image_tokens"] },
  );
  if (media !== undefined) usage.media = media;
}
