// What all dialects share in reading usage: which figures can be believed, and how running counts become one record. What
// an upstream says about money is checked field by field: a lie is treated like a missing field, never repaired.

import type { Json, JsonObject, MediaTokens, Usage } from "./neutral.ts";

/** Larger counts are lies: no context window is near it. */
const MAX_TOKENS = 1_000_000_000;
/** No single answer costs more. */
const MAX_USD = 1_000_000;

/** A token count as an upstream reports it; undefined for what is none (absent, negative, fractional, absurdly large). */
export function readCount(value: Json | undefined): number | undefined {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > MAX_TOKENS) return undefined;
  return value;
}

/** An amount in USD; undefined for what is none. */
export function readUsd(value: Json | undefined): number | undefined {
  return typeof value === "number" && value >= 0 && value <= MAX_USD ? value : undefined;
}

/**
 * Output tokens with the reasoning that some servers of OpenAI's dialects count in neither prompt nor output but in the total
 * alone: xAI (docs "Consumption and rate limits") and Gemini bill it all the same.
 */
export function wholeOutput(
  output: number | undefined,
  prompt: number | undefined,
  total: Json | undefined,
): number | undefined {
  const sum = readCount(total);
  // Without a prompt to take out of it the total says nothing about the output.
  if (output === undefined || sum === undefined || prompt === undefined || prompt === 0) return output;
  return Math.max(output, sum - prompt);
}

/**
 * OpenRouter's own figure, which stands in the usage of every dialect; with the customer's own vendor key that vendor's bill
 * comes on top (wire.md 220).
 */
export function readCost(usage: JsonObject): number | undefined {
  const cost = readUsd(usage["cost"]);
  const details = usage["cost_details"];
  if (cost === undefined || usage["is_byok"] !== true || !isObject(details)) return cost;
  return cost + (readUsd(details["upstream_inference_cost"]) ?? 0);
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Undefined where nothing was sound or picture. */
export function mediaTokens(
  input: { readonly audio: Json | undefined; readonly image: Json | undefined },
  output: { readonly audio: Json | undefined; readonly image: Json | undefined },
): MediaTokens | undefined {
  const media = {
    audioInput: readCount(input.audio) ?? 0,
    audioOutput: readCount(output.audio) ?? 0,
    imageInput: readCount(input.image) ?? 0,
    imageOutput: readCount(output.image) ?? 0,
  };
  return media.audioInput + media.audioOutput + media.imageInput + media.imageOutput > 0 ? media : undefined;
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
  if (update.reportedUsd !== undefined) known.reportedUsd = newest(update.reportedUsd, known.reportedUsd ?? 0);
  known.tier = update.tier ?? known.tier;
  // Rare, and so not in every record.
  if (update.media !== undefined) known.media = update.media;
  if (update.speed !== undefined) known.speed = update.speed;
  if (update.geo !== undefined) known.geo = update.geo;
  if (update.others !== undefined) known.others = update.others;
  if (update.lifetimeUnknown !== undefined) known.lifetimeUnknown = update.lifetimeUnknown;
  if (update.credit !== undefined) known.credit = update.credit;
}

function newest(update: number | undefined, known: number): number {
  return update !== undefined && update > 0 ? update : known;
}

/** The same with other models' share in the counts. */
export function withOthers(usage: Usage): Usage {
  if (usage.others === undefined) return usage;
  const whole: Usage = { ...usage };
  for (const { usage: other } of usage.others) {
    whole.input += other.input;
    whole.cacheRead += other.cacheRead;
    whole.cacheWrite5m += other.cacheWrite5m;
    whole.cacheWrite1h += other.cacheWrite1h;
    whole.output += other.output;
    whole.reasoning += other.reasoning;
  }
  return whole;
}

/** All tokens of the prompt, other models' share included. */
export function promptTokens(usage: Usage): number {
  const { input, cacheRead, cacheWrite5m, cacheWrite1h } = withOthers(usage);
  return input + cacheRead + cacheWrite5m + cacheWrite1h;
}

/** All tokens that were written, other models' share included. */
export function outputTokens(usage: Usage): number {
  return withOthers(usage).output;
}
