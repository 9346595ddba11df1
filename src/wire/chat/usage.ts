// Token counts of the Chat dialect: cached tokens are inside the prompt's, reasoning inside the completion's (wire.md L).

import { isObject } from "../messages/request-fields.ts";
import type { Json, JsonObject, Usage } from "../neutral.ts";
import { mediaTokens, readCost, readCount, wholeOutput } from "../usage.ts";

/**
 * What an answer or a chunk says about its cost; undefined where it says nothing. llama.cpp tells its `timings` where it
 * leaves the usage out.
 */
export function chatUsageIn(body: JsonObject): Partial<Usage> | undefined {
  const usage = body["usage"];
  if (isObject(usage)) return readChatUsage(usage, body["service_tier"]);
  const timings = body["timings"];
  return isObject(timings) ? readTimings(timings) : undefined;
}

/** `usage` of an answer or a chunk, to disjoint counts; never below 0. Lies are left out field by field. */
export function readChatUsage(usage: JsonObject, tier: Json | undefined): Partial<Usage> {
  const found: Partial<Usage> = {};
  const prompt = readCount(usage["prompt_tokens"]);
  const details = objectIn(usage, "prompt_tokens_details");
  // DeepSeek has a name of its own.
  const cached = readCount(details["cached_tokens"]) ?? readCount(usage["prompt_cache_hit_tokens"]) ?? 0;
  const written = readCount(details["cache_write_tokens"]) ?? 0;
  if (prompt !== undefined) {
    found.cacheRead = Math.min(cached, prompt);
    const writes = Math.min(written, prompt - found.cacheRead);
    // The longer of OpenAI's two lifetimes is the dearer one.
    found.cacheWrite1h = Math.min(longLived(details), writes);
    found.cacheWrite5m = writes - found.cacheWrite1h;
    found.input = prompt - found.cacheRead - writes;
  }
  const completion = readCount(usage["completion_tokens"]);
  const output = wholeOutput(completion, prompt, usage["total_tokens"]);
  if (output !== undefined) found.output = output;
  const outputDetails = objectIn(usage, "completion_tokens_details");
  const reasoning = readCount(outputDetails["reasoning_tokens"]) ?? beyond(completion, output);
  if (reasoning !== undefined) found.reasoning = reasoning;
  const media = mediaTokens(
    { audio: details["audio_tokens"], image: details["image_tokens"] },
    { audio: outputDetails["audio_tokens"], image: outputDetails["image_tokens"] },
  );
  if (media !== undefined) found.media = media;
  const usd = readCost(usage);
  if (usd !== undefined) found.reportedUsd = usd;
  if (typeof tier === "string" && tier.length <= MAX_WORD) found.tier = tier;
  return found;
}

/** Gemini tells its reasoning by the total alone. */
function beyond(completion: number | undefined, output: number | undefined): number | undefined {
  return output === undefined || completion === undefined || output === completion ? undefined : output - completion;
}

/** Longer names are no names of tiers. */
const MAX_WORD = 64;

/** `prompt_n` is what was worked on; `cache_n` was there before (llama.cpp: tools/server/README.md). */
function readTimings(timings: JsonObject): Partial<Usage> | undefined {
  const input = readCount(timings["prompt_n"]);
  const output = readCount(timings["predicted_n"]);
  if (input === undefined || output === undefined) return undefined;
  return { input, cacheRead: readCount(timings["cache_n"]) ?? 0, output };
}

function longLived(details: JsonObject): number {
  const split = objectIn(details, "cache_write_tokens_details");
  return readCount(details["ttl_12h_tokens"]) ?? readCount(split["ttl_12h_tokens"]) ?? 0;
}

const nothing: JsonObject = {};

function objectIn(object: JsonObject, name: string): JsonObject {
  const value = object[name];
  return isObject(value) ? value : nothing;
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
