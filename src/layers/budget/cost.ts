// What usage costs. Sums run in whole pico-dollars, exact in a double up to 9,007 USD, and are rounded up to nano-dollars
// once, at the end. No answer costs more than that; where an upstream says so, the largest charge is booked.

import type { Nanos } from "../../money.ts";
import type { Price } from "../../request.ts";
import type { CacheLifetime } from "../../wire/cache-lifetime.ts";
import type { Usage } from "../../wire/neutral.ts";
import type { Factor } from "./surcharge.ts";

/** No single charge is larger, so that a lying upstream cannot push a balance out of the exact range: 9,000 USD. */
export const largestCharge: Nanos = 9_000_000_000_000;

type Rates = Omit<Price, "long" | "source" | "media">;

// Fees per call, in pico-dollars; reported in usage, not in tokens. Anthropic, docs "Pricing: web search" and OpenAI,
// docs "Pricing: built-in tools": $10 per 1,000 searches, $2.50 per 1,000 file searches, $0.03 a container; a picture is
// taken as the dearest that its list has (high quality, large).
const toolFees: Readonly<Record<string, number>> = {
  web_fetch: 0,
  file_search: 2_500_000_000,
  code_interpreter: 30_000_000_000,
  image_generation: 250_000_000_000,
};
// A tool that is not in the list costs what the usual one does: nothing that a vendor counts is taken as free.
const usualToolFee = 10_000_000_000;

/** USD per call of a provider's own tools, by the tool's name; `*`: any other. */
export function listedToolFees(): Readonly<Record<string, number>> {
  const fees = Object.entries({ ...toolFees, "*": usualToolFee });
  return Object.fromEntries(fees.map(([tool, picos]) => [tool, picos / 1e12]));
}

/** How an answer is billed beside its model's listed price. */
export interface Terms {
  /** On every token, not on the fees for calls. */
  readonly factor: Factor;
  /** The price of another model that worked inside the answer; never free for want of a price. */
  readonly priceOfOther: (model: string) => Price;
}

/** Exact cost of what was used, rounded up to a nano-dollar once; from 0 to `largestCharge`, whatever the counts are. */
export function costNanos(usage: Usage, price: Price, terms?: Terms): Nanos {
  let picos = tokenPicos(usage, price);
  let fees = feesOf(usage.serverTools);
  for (const { model, usage: other } of usage.others ?? []) {
    picos += tokenPicos(other, terms === undefined ? price : terms.priceOfOther(model));
    fees += feesOf(other.serverTools);
  }
  if (terms !== undefined && terms.factor !== 100) picos = (picos * terms.factor) / 100;
  return Math.min(Math.ceil((picos + fees) / 1_000), largestCharge);
}

function tokenPicos(usage: Usage, price: Price): number {
  const input = count(usage.input);
  const read = count(usage.cacheRead);
  const write5m = count(usage.cacheWrite5m);
  const write1h = count(usage.cacheWrite1h);
  // A count of reasoning above the output that should include it is taken as the output.
  const output = Math.max(count(usage.output), count(usage.reasoning));
  const rates = ratesAt(price, input + read + write5m + write1h);
  return (
    input * rates.input +
    read * rates.cacheRead +
    write5m * rates.cacheWrite5m +
    write1h * rates.cacheWrite1h +
    output * rates.output +
    mediaPicos(usage, input, output, rates, price.media)
  );
}

/** What sound and pictures cost beyond the text rates that they were counted at; they are part of input and output. */
function mediaPicos(usage: Usage, input: number, output: number, rates: Rates, listed: Price["media"]): number {
  const { media } = usage;
  if (media === undefined || listed === undefined) return 0;
  const audioInput = Math.min(count(media.audioInput), input);
  const imageInput = Math.min(count(media.imageInput), input - audioInput);
  const audioOutput = Math.min(count(media.audioOutput), output);
  const imageOutput = Math.min(count(media.imageOutput), output - audioOutput);
  return (
    audioInput * beyond(listed.audioInput, rates.input) +
    imageInput * beyond(listed.imageInput, rates.input) +
    audioOutput * beyond(listed.audioOutput, rates.output) +
    imageOutput * beyond(listed.imageOutput, rates.output)
  );
}

function beyond(listed: number | undefined, text: number): number {
  return listed === undefined ? 0 : listed - text;
}

/**
 * No answer to this request can cost more: every prompt token at the dearest of input, cache write, sound and pictures, at
 * long-prompt rates if the bound crosses the threshold, and `outputTokens` for each of `choices` answers. Nano-dollars.
 * `cached`: the longest cache write that can be billed.
 */
export function boundNanos(
  inputTokens: number,
  outputTokens: number,
  price: Price,
  choices: number,
  cached: CacheLifetime = "long",
): Nanos {
  const prompt = count(inputTokens);
  const rates = ratesAt(price, prompt);
  const picos =
    prompt * inputRate(rates, price.media, cached) +
    count(outputTokens) * count(choices) * outputRateAt(rates, price.media);
  // Beyond the exact range there is no bound that a cap could cover.
  return picos <= Number.MAX_SAFE_INTEGER ? Math.ceil(picos / 1_000) : Number.MAX_SAFE_INTEGER;
}

/** A price that none of these exceeds in anything. */
export function dearest(prices: readonly [Price, ...Price[]]): Price {
  const [first, ...others] = prices;
  return others.reduce(dearer, first);
}

function dearer(a: Price, b: Price): Price {
  const rates = dearerRates(a, b);
  const media = dearerMedia(a.media, b.media);
  if (a.long === null && b.long === null) return { ...a, ...rates, ...media };
  const threshold = Math.min(a.long?.threshold ?? Infinity, b.long?.threshold ?? Infinity);
  return { ...a, ...rates, ...media, long: { threshold, ...dearerRates(a.long ?? a, b.long ?? b) } };
}

function dearerMedia(a: Price["media"], b: Price["media"]): Pick<Price, "media"> {
  if (a === undefined && b === undefined) return {};
  return {
    media: {
      audioInput: Math.max(a?.audioInput ?? 0, b?.audioInput ?? 0),
      audioOutput: Math.max(a?.audioOutput ?? 0, b?.audioOutput ?? 0),
      imageInput: Math.max(a?.imageInput ?? 0, b?.imageInput ?? 0),
      imageOutput: Math.max(a?.imageOutput ?? 0, b?.imageOutput ?? 0),
    },
  };
}

function dearerRates(a: Rates, b: Rates): Rates {
  return {
    input: Math.max(a.input, b.input),
    output: Math.max(a.output, b.output),
    cacheRead: Math.max(a.cacheRead, b.cacheRead),
    cacheWrite5m: Math.max(a.cacheWrite5m, b.cacheWrite5m),
    cacheWrite1h: Math.max(a.cacheWrite1h, b.cacheWrite1h),
  };
}

/** What so many calls of a provider's own tools cost at most, beside their tokens. Nano-dollars. */
export function toolFeeNanos(calls: Usage["serverTools"]): Nanos {
  return Math.min(Math.ceil(feesOf(calls) / 1_000), largestCharge);
}

/** Pico-dollars per output token, of whatever kind, for a prompt of at most this many tokens. */
export function outputRate(inputTokens: number, price: Price): number {
  return outputRateAt(ratesAt(price, count(inputTokens)), price.media);
}

/** A provider's own figure as nano-dollars, rounded up; null where it is not an amount. */
export function reportedNanos(usd: number | undefined): Nanos | null {
  if (usd === undefined || !Number.isFinite(usd) || usd < 0) return null;
  // 0.000123 USD is not exact in binary: to the nearest thousandth of a nano-dollar first.
  return Math.min(Math.ceil(Math.round(usd * 1e12) / 1_000), largestCharge);
}

/** What this usage would have cost at the model that was asked for; null where that has no price. */
export function wouldHaveNanos(usage: Usage | null, price: Price | null): Nanos | null {
  return usage === null || price === null ? null : costNanos(usage, price);
}

function ratesAt(price: Price, promptTokens: number): Rates {
  return price.long !== null && promptTokens > price.long.threshold ? price.long : price;
}

function inputRate(rates: Rates, media: Price["media"], cached: CacheLifetime): number {
  const { input, cacheRead, cacheWrite5m, cacheWrite1h } = rates;
  const write = cached === "none" ? 0 : cached === "5m" ? cacheWrite5m : Math.max(cacheWrite5m, cacheWrite1h);
  const text = Math.max(input, cacheRead, write);
  return media === undefined ? text : Math.max(text, media.audioInput ?? 0, media.imageInput ?? 0);
}

function outputRateAt(rates: Rates, media: Price["media"]): number {
  return media === undefined ? rates.output : Math.max(rates.output, media.audioOutput ?? 0, media.imageOutput ?? 0);
}

function feesOf(tools: Usage["serverTools"]): number {
  if (tools === undefined) return 0;
  let picos = 0;
  for (const [tool, calls] of Object.entries(tools)) {
    picos += count(calls) * (Object.hasOwn(toolFees, tool) ? toolFees[tool]! : usualToolFee);
  }
  return picos;
}

/** Usage is what an upstream wrote: a count is a whole number from 0, fractions count up, nonsense is none. */
function count(tokens: number): number {
  if (!(tokens > 0)) return 0;
  return tokens < Number.MAX_SAFE_INTEGER ? Math.ceil(tokens) : Number.MAX_SAFE_INTEGER;
}
