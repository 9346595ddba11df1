// Switches that make every token dearer. A hold reckons with what the request asks for; a settlement with what the answer
// says it was, where it says so. Factors in hundredths, the dearest that the vendor lists for any model.

import type { Nanos } from "../../money.ts";
import type { JsonObject } from "../../wire/neutral.ts";

/** Hundredths: 100 is the listed price. */
export type Factor = number;

interface Tiers {
  /** By the name that request (`service_tier`, `speed`) and answer share. Cheaper tiers are not given as a discount. */
  readonly tiers: Readonly<Record<string, Factor>>;
  /** `inference_geo: "us"`. */
  readonly usOnly: Factor;
}

const listed: Readonly<Record<string, Tiers>> = {
  // Anthropic, docs "Fast mode" (2x to 6x by model) and "Data residency" (1.1x); its priority tier is paid in advance.
  anthropic: { tiers: { fast: 600 }, usOnly: 110 },
  // OpenAI, docs "Priority processing": 1.7x to 2.5x by model.
  openai: { tiers: { priority: 250, fast: 250 }, usOnly: 100 },
};
const plain: Tiers = { tiers: {}, usOnly: 100 };

/** What the request's own switches may multiply its price by. */
export function askedFactor(provider: string, body: JsonObject): Factor {
  const { tiers, usOnly } = tiersOf(provider);
  const tier = Math.max(factorOf(tiers, body["service_tier"]), factorOf(tiers, body["speed"]));
  return body["inference_geo"] === "us" ? Math.ceil((tier * usOnly) / 100) : tier;
}

/** The factor of an answer: by the tier that it names, else by what was asked for. */
export function billedFactor(provider: string, body: JsonObject, tier: string | undefined): Factor {
  const { tiers, usOnly } = tiersOf(provider);
  // `speed` is not told apart from the tier in every answer: what asked for it pays for it.
  if (tier === undefined || factorOf(tiers, body["speed"]) > 100) return askedFactor(provider, body);
  const factor = factorOf(tiers, tier);
  return body["inference_geo"] === "us" ? Math.ceil((factor * usOnly) / 100) : factor;
}

/** Rounded up. */
export function times(nanos: Nanos, factor: Factor): Nanos {
  if (factor === 100) return nanos;
  return Math.min(Math.ceil((nanos * factor) / 100), Number.MAX_SAFE_INTEGER);
}

function tiersOf(provider: string): Tiers {
  return Object.hasOwn(listed, provider) ? listed[provider]! : plain;
}

function factorOf(tiers: Tiers["tiers"], name: unknown): Factor {
  return typeof name === "string" && Object.hasOwn(tiers, name) ? tiers[name]! : 100;
}
