// Token counts of the Messages dialect: disjoint counters, cumulative in a stream (wire.md L).

import type { Json, JsonObject, Usage } from "../neutral.ts";
import { isObject } from "./request-fields.ts";

/** Larger counts are lies: no context window is near it. */
const MAX_TOKENS = 1_000_000_000;

/**
 * A token count as an upstream reports it; undefined for what is none (absent, negative, fractional, absurdly large), so
 * that a lie is treated like a missing field.
 */
export function readCount(value: Json | undefined): number | undefined {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > MAX_TOKENS) return undefined;
  return value;
}

export const noUsage: Usage = {
  input: 0,
  cacheRead: 0,
  cacheWrite5m: 0,
  cacheWrite1h: 0,
  output: 0,
  reasoning: 0,
  serverTools: undefined,
  reportedUsd: undefined,
  tier: undefined,
};

/** Cumulative: what is present replaces what was known, and zeros never replace a count. Changes `known`. */
export function mergeUsage(known: Usage, update: Partial<Usage>): void {
  known.input = newest(update.input, known.input);
  known.cacheRead = newest(update.cacheRead, known.cacheRead);
  known.cacheWrite5m = newest(update.cacheWrite5m, known.cacheWrite5m);
  known.cacheWrite1h = newest(update.cacheWrite1h, known.cacheWrite1h);
  known.output = newest(update.output, known.output);
  known.reasoning = newest(update.reasoning, known.reasoning);
  known.serverTools = update.serverTools ?? known.serverTools;
  known.reportedUsd = update.reportedUsd ?? known.reportedUsd;
  known.tier = update.tier ?? known.tier;
}

function newest(update: number | undefined, known: number): number {
  return update !== undefined && update > 0 ? update : known;
}

/**
 * `usage` of an answer, of `message_start` or of `message_delta`. `known1h` is the one-hour share of the cache writes as
 * `message_start` told it: a `message_delta` has the total alone.
 */
export function readMessagesUsage(usage: JsonObject, known1h = 0): Partial<Usage> {
  const found: Partial<Usage> = {};
  const input = readCount(usage["input_tokens"]);
  if (input !== undefined) found.input = input;
  const output = readCount(usage["output_tokens"]);
  if (output !== undefined) found.output = output;
  const cacheRead = readCount(usage["cache_read_input_tokens"]);
  if (cacheRead !== undefined) found.cacheRead = cacheRead;
  readCacheWrites(usage, known1h, found);
  const details = usage["output_tokens_details"];
  const reasoning = isObject(details) ? readCount(details["thinking_tokens"]) : undefined;
  if (reasoning !== undefined) found.reasoning = reasoning;
  const serverTools = readServerTools(usage["server_tool_use"]);
  if (serverTools !== undefined) found.serverTools = serverTools;
  // The fast mode has its own price, whatever the tier says.
  const tier = usage["speed"] === "fast" ? "fast" : usage["service_tier"];
  if (typeof tier === "string") found.tier = tier;
  addCompactions(usage["iterations"], found);
  return found;
}

/** Without a split the writes are five-minute ones. */
function readCacheWrites(usage: JsonObject, known1h: number, found: Partial<Usage>): void {
  const total = readCount(usage["cache_creation_input_tokens"]);
  const split = usage["cache_creation"];
  if (isObject(split)) {
    const hour = readCount(split["ephemeral_1h_input_tokens"]) ?? 0;
    const minutes = readCount(split["ephemeral_5m_input_tokens"]) ?? 0;
    found.cacheWrite1h = hour;
    found.cacheWrite5m = Math.max(minutes, (total ?? 0) - hour);
  } else if (total !== undefined) {
    found.cacheWrite1h = Math.min(known1h, total);
    found.cacheWrite5m = Math.max(0, total - known1h);
  }
}

function readServerTools(value: Json | undefined): { readonly [tool: string]: number } | undefined {
  if (!isObject(value)) return undefined;
  const search = readCount(value["web_search_requests"]) ?? 0;
  const fetch = readCount(value["web_fetch_requests"]) ?? 0;
  if (search === 0 && fetch === 0) return undefined;
  return { web_search: search, web_fetch: fetch };
}

/** Compactions are billed but not in the totals (wire.md 212). */
function addCompactions(iterations: Json | undefined, found: Partial<Usage>): void {
  if (!Array.isArray(iterations)) return;
  for (const entry of iterations) {
    if (!isObject(entry) || entry["type"] !== "compaction") continue;
    found.input = (found.input ?? 0) + (readCount(entry["input_tokens"]) ?? 0);
    found.output = (found.output ?? 0) + (readCount(entry["output_tokens"]) ?? 0);
    found.cacheRead = (found.cacheRead ?? 0) + (readCount(entry["cache_read_input_tokens"]) ?? 0);
    found.cacheWrite5m = (found.cacheWrite5m ?? 0) + (readCount(entry["cache_creation_input_tokens"]) ?? 0);
  }
}

/** As the client sees it in an answer, with every member that its SDK types demand. */
export function toMessagesUsage(usage: Usage): JsonObject {
  return {
    input_tokens: usage.input,
    cache_creation_input_tokens: usage.cacheWrite5m + usage.cacheWrite1h,
    cache_read_input_tokens: usage.cacheRead,
    cache_creation: {
      ephemeral_5m_input_tokens: usage.cacheWrite5m,
      ephemeral_1h_input_tokens: usage.cacheWrite1h,
    },
    output_tokens: usage.output,
    output_tokens_details: usage.reasoning > 0 ? { thinking_tokens: usage.reasoning } : null,
    server_tool_use: null,
    service_tier: "standard",
    inference_geo: null,
  };
}

/** The smaller form of `message_delta`. */
export function toMessagesDeltaUsage(usage: Usage): JsonObject {
  return {
    input_tokens: usage.input,
    cache_creation_input_tokens: usage.cacheWrite5m + usage.cacheWrite1h,
    cache_read_input_tokens: usage.cacheRead,
    output_tokens: usage.output,
    output_tokens_details: usage.reasoning > 0 ? { thinking_tokens: usage.reasoning } : null,
    server_tool_use: null,
  };
}
