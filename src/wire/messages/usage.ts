// Token counts of the Messages dialect: disjoint counters, cumulative in a stream (wire.md L).

import type { Json, JsonObject, Usage } from "../neutral.ts";
import { mergeUsage, noUsage, promptTokens, readCost, readCount } from "../usage.ts";
import { SERVER_TOOL_RESULT_TOKENS } from "./priced-switches.ts";
import { isObject } from "./request-fields.ts";

/** Longer names are no names: they go into the audit line. */
const MAX_WORD = 64;
/** An answer that wandered through more models than this is none. */
const MAX_OTHERS = 16;
/** Each search costs its fee: a request can't allow so many in one answer. */
const MAX_CALLS = 1_000;

/** `usage` of an answer, or of a stream as `UsageFields` keeps it. */
export function readMessagesUsage(usage: JsonObject): Partial<Usage> {
  const found = readCounts(usage);
  const details = usage["output_tokens_details"];
  const reasoning = isObject(details) ? readCount(details["thinking_tokens"]) : undefined;
  if (reasoning !== undefined) found.reasoning = reasoning;
  const serverTools = readServerTools(usage["server_tool_use"]);
  if (serverTools !== undefined) found.serverTools = serverTools;
  const tier = readWord(usage["service_tier"]);
  if (tier !== undefined) found.tier = tier;
  const speed = readWord(usage["speed"]);
  if (speed !== undefined) found.speed = speed;
  const geo = readWord(usage["inference_geo"]);
  if (geo !== undefined) found.geo = geo;
  const credit = readCredit(usage["fallback_credit"]);
  if (credit !== undefined) found.credit = credit;
  const usd = readCost(usage);
  if (usd !== undefined) found.reportedUsd = usd;
  readIterations(usage["iterations"], found);
  return found;
}

/**
 * The wire's usage of one stream. `message_delta` has totals alone: the lifetimes of cache writes, the tier, the speed and
 * the place were told by `message_start`. What is present replaces what was known; null says nothing, and neither does 0.
 *
 * Of the vendor's own tools only the last event tells what they cost: until it comes, for a stream that breaks off before,
 * it is reckoned from what passes.
 */
export class UsageFields {
  readonly #known: JsonObject = {};
  readonly #calls = { web_search: 0, web_fetch: 0 };
  #called = false;
  /** Tokens that the model has read again and anew since `message_start`. */
  #readAgain = 0;
  #brought = 0;

  add(usage: JsonObject): Partial<Usage> {
    for (const name of counts) {
      const count = readCount(usage[name]);
      if (count !== undefined && (count > 0 || this.#known[name] === undefined)) this.#known[name] = count;
    }
    for (const name of facts) {
      const value = usage[name];
      if (value !== undefined && value !== null) this.#known[name] = value;
    }
    // Calls that failed are not billed: the upstream's own figure counts, also where it is none.
    if (isObject(usage["server_tool_use"])) this.#calls.web_search = this.#calls.web_fetch = 0;
    this.#readAgain = 0;
    return this.#found();
  }

  /** The model calls a tool of the vendor's. */
  call(tool: PaidTool): Partial<Usage> {
    this.#called = true;
    this.#calls[tool] += 1;
    return this.#found();
  }

  /** What it brought, in bytes: the model reads it, and once more all that came before it. */
  result(bytes: number): Partial<Usage> {
    this.#brought += Math.min(Math.ceil(bytes / BYTES_PER_TOKEN), SERVER_TOOL_RESULT_TOKENS);
    this.#readAgain += promptTokens({ ...noUsage, ...readCounts(this.#known) }) + this.#brought;
    return this.#found();
  }

  #found(): Partial<Usage> {
    const found = readMessagesUsage(this.#known);
    const { web_search, web_fetch } = this.#calls;
    if (web_search + web_fetch > 0) found.serverTools = { web_search, web_fetch };
    else if (this.#called) found.serverTools ??= {};
    if (this.#readAgain > 0) found.input = (found.input ?? 0) + this.#readAgain;
    return found;
  }
}

/** Those that the usage counts. */
export type PaidTool = "web_search" | "web_fetch";

/** As wherever nobody counted: on the dear side. */
const BYTES_PER_TOKEN = 3;

const counts = ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"] as const;
const facts = [
  "cache_creation",
  "output_tokens_details",
  "server_tool_use",
  "service_tier",
  "speed",
  "inference_geo",
  "fallback_credit",
  "iterations",
  "cost",
  "cost_details",
  "is_byok",
] as const;

function readCounts(usage: JsonObject): Partial<Usage> {
  const found: Partial<Usage> = {};
  const input = readCount(usage["input_tokens"]);
  if (input !== undefined) found.input = input;
  const output = readCount(usage["output_tokens"]);
  if (output !== undefined) found.output = output;
  const cacheRead = readCount(usage["cache_read_input_tokens"]);
  if (cacheRead !== undefined) found.cacheRead = cacheRead;
  readCacheWrites(usage, found);
  return found;
}

/** Without a split the writes are five-minute ones. */
function readCacheWrites(usage: JsonObject, found: Partial<Usage>): void {
  const total = readCount(usage["cache_creation_input_tokens"]);
  const split = usage["cache_creation"];
  const hour = isObject(split) ? (readCount(split["ephemeral_1h_input_tokens"]) ?? 0) : 0;
  const minutes = isObject(split) ? (readCount(split["ephemeral_5m_input_tokens"]) ?? 0) : 0;
  if (total === undefined && !isObject(split)) return;
  found.cacheWrite1h = hour;
  found.cacheWrite5m = Math.max(minutes, (total ?? 0) - hour);
  if ((total ?? 0) > hour + minutes) found.lifetimeUnknown = true;
}

function readServerTools(value: Json | undefined): { readonly [tool: string]: number } | undefined {
  if (!isObject(value)) return undefined;
  const search = readCalls(value["web_search_requests"]);
  const fetch = readCalls(value["web_fetch_requests"]);
  if (search === 0 && fetch === 0) return undefined;
  return { web_search: search, web_fetch: fetch };
}

function readCalls(value: Json | undefined): number {
  const calls = readCount(value) ?? 0;
  return calls > MAX_CALLS ? 0 : calls;
}

function readWord(value: Json | undefined): string | undefined {
  return typeof value === "string" && value !== "" && value.length <= MAX_WORD ? value : undefined;
}

function readCredit(value: Json | undefined): string | undefined {
  const status = isObject(value) ? value["status"] : undefined;
  return isObject(status) ? readWord(status["type"]) : undefined;
}

/**
 * Compactions are billed but not in the totals: they are added. An advisor has a model and a bill of its own, outside the
 * totals too. The turn of a fallback model is in the totals, and is taken out, since its price is another.
 */
function readIterations(iterations: Json | undefined, found: Partial<Usage>): void {
  if (!Array.isArray(iterations)) return;
  const others: { model: string; usage: Usage }[] = [];
  const turns: Usage = { ...noUsage };
  const fallbacks: Usage = { ...noUsage };
  const compactions: Usage = { ...noUsage };
  for (const entry of iterations) {
    if (!isObject(entry)) continue;
    const type = entry["type"];
    const counts = wholeOf(entry);
    const model = readWord(entry["model"]);
    if (type === "compaction") add(compactions, counts);
    if (type === "message" || type === "fallback_message") add(turns, counts);
    if (model === undefined || (type !== "fallback_message" && type !== "advisor_message")) continue;
    if (type === "fallback_message") add(fallbacks, counts);
    if (others.length < MAX_OTHERS) others.push({ model, usage: counts });
    else add(others[0]!.usage, counts);
  }
  takeOut(found, turns, fallbacks);
  addTo(found, compactions);
  if (others.length > 0) found.others = others;
}

const counters = ["input", "output", "cacheRead", "cacheWrite5m", "cacheWrite1h"] as const;

function wholeOf(entry: JsonObject): Usage {
  const usage: Usage = { ...noUsage };
  mergeUsage(usage, readCounts(entry));
  return usage;
}

function add(sum: Usage, counts: Usage): void {
  for (const counter of counters) sum[counter] += counts[counter];
}

function addTo(found: Partial<Usage>, counts: Usage): void {
  for (const counter of counters) if (counts[counter] > 0) found[counter] = (found[counter] ?? 0) + counts[counter];
}

/** Totals that are smaller than the turns they should sum up do not hold the fallback's. */
function takeOut(found: Partial<Usage>, turns: Usage, fallbacks: Usage): void {
  for (const counter of counters) {
    const total = found[counter];
    if (total !== undefined && total >= turns[counter]) found[counter] = total - fallbacks[counter];
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
