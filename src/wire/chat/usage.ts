// Token counts of the Chat dialect: cached tokens are inside the prompt's, reasoning inside the completion's (wire.md L).

import type { Json, JsonObject, Usage } from "../neutral.ts";
import { isObject } from "../messages/request-fields.ts";
import { readCount } from "../messages/usage.ts";

/** A figure beyond is a lie. */
const MAX_USD = 1_000_000;

/** `usage` of an answer or a chunk, to disjoint counts; never below 0. Lies are left out field by field. */
export function readChatUsage(usage: JsonObject, tier: Json | undefined): Partial<Usage> {
  const found: Partial<Usage> = {};
  const prompt = readCount(usage["prompt_tokens"]);
  const details = isObject(usage["prompt_tokens_details"]) ? usage["prompt_tokens_details"] : {};
  // DeepSeek has a name of its own.
  const cached = readCount(details["cached_tokens"]) ?? readCount(usage["prompt_cache_hit_tokens"]) ?? 0;
  const written = readCount(details["cache_write_tokens"]) ?? 0;
  if (prompt !== undefined) {
    found.cacheRead = Math.min(cached, prompt);
    const writes = Math.min(written, prompt - found.cacheRead);
    // The longer of OpenAI's two lifetimes is the dearer one.
    found.cacheWrite1h = Math.min(readCount(details["ttl_12h_tokens"]) ?? 0, writes);
    found.cacheWrite5m = writes - found.cacheWrite1h;
    found.input = prompt - found.cacheRead - writes;
  }
  const completion = readCount(usage["completion_tokens"]);
  if (completion !== undefined) found.output = completion;
  const outputDetails = usage["completion_tokens_details"];
  const reasoning = isObject(outputDetails) ? readCount(outputDetails["reasoning_tokens"]) : undefined;
  if (reasoning !== undefined) found.reasoning = reasoning;
  const usd = readCost(usage);
  if (usd !== undefined) found.reportedUsd = usd;
  if (typeof tier === "string") found.tier = tier;
  return found;
}

/** OpenRouter's own figure; with the customer's own vendor key that vendor's bill comes on top (wire.md 220). */
function readCost(usage: JsonObject): number | undefined {
  const cost = readUsd(usage["cost"]);
  if (cost === undefined || usage["is_byok"] !== true) return cost;
  const details = usage["cost_details"];
  return cost + ((isObject(details) ? readUsd(details["upstream_inference_cost"]) : undefined) ?? 0);
}

function readUsd(value: Json | undefined): number | undefined {
  return typeof value === "number" && value >= 0 && value <= MAX_USD ? value : undefined;
}

/** As the client sees it. */
export function toChatUsage(usage: Usage): JsonObject {
  const written = usage.cacheWrite5m + usage.cacheWrite1h;
  const prompt = usage.input + usage.cacheRead + written;
  return {
    prompt_tokens: prompt,
    completion_tokens: usage.output,
    total_tokens: prompt + usage.output,
    prompt_tokens_details: { cached_tokens: usage.cacheRead, cache_write_tokens: written },
    completion_tokens_details: { reasoning_tokens: usage.reasoning },
  };
}
