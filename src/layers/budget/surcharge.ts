// Switches that change the price of every token. A hold reckons with what the request asks for; a settlement with what the
// answer says it was, where it says so. Factors in hundredths, the dearest that the vendor lists for any model.

import type { Nanos } from "../../money.ts";
import type { Candidate } from "../../request.ts";
import type { Dialect, Json, JsonObject, Usage } from "../../wire/neutral.ts";
import { serverKindOf } from "../../wire/profiles/server-kind.ts";

/** Hundredths: 100 is the listed price. */
export type Factor = number;

/** By the name that the answer gives, which is mostly the request's too. `*`: any other name; absent: the listed price. */
type Names = Readonly<Record<string, Factor>>;

interface Switches {
  /** `service_tier`. */
  readonly tiers: Names;
  /** `speed`. */
  readonly speeds: Names;
  /** `inference_geo`. */
  readonly places: Names;
}

const listed: Readonly<Record<string, Switches>> = {
  // Anthropic, docs "Batch processing" (half), "Fast mode" (2x to 6x by model) and "Data residency" (1.1x); its priority
  // tier is paid in advance.
  anthropic: {
    tiers: { auto: 100, standard_only: 100, standard: 100, priority: 100, batch: 50 },
    speeds: { standard: 100, fast: 600, "*": 600 },
    places: { global: 100, not_available: 100, us: 110, "*": 110 },
  },
  // OpenAI, docs "Priority processing" (1.7x to 2.5x by model; `fast` is its other name), "Flex processing" and "Batch"
  // (half); scale is paid in advance.
  openai: {
    tiers: {
      auto: 100,
      default: 100,
      standard: 100,
      scale: 100,
      flex: 50,
      batch: 50,
      priority: 250,
      fast: 250,
      "*": 250,
    },
    speeds: {},
    places: {},
  },
};

/** What a provider's switches multiply prices by, for people: `service_tier priority: 2.5x`. Empty where none is known. */
export function listedSurcharges(provider: string): readonly string[] {
  if (!Object.hasOwn(listed, provider)) return [];
  const { tiers, speeds, places } = listed[provider]!;
  const told = (field: string, names: Names): string[] =>
    Object.entries(names)
      .filter(([name, factor]) => factor !== 100 && name !== "*")
      .map(([name, factor]) => `${field} ${name}: ${factor / 100}x`);
  return [...told("service_tier", tiers), ...told("speed", speeds), ...told("inference_geo", places)];
}

type Asked = Pick<Candidate, "provider" | "dialect">;

/** What the request's own switches may multiply its price by; never a discount, which the answer alone can grant. */
export function askedFactor(candidate: Asked, body: JsonObject): Factor {
  const { tiers, speeds, places } = switchesOf(candidate);
  return product(
    asked(tiers, body["service_tier"]),
    asked(speeds, body["speed"]),
    asked(places, body["inference_geo"]),
  );
}

/** The factor of an answer: by what it says of itself, else by what was asked for. */
export function billedFactor(
  candidate: Asked,
  body: JsonObject,
  answer: Pick<Usage, "tier" | "speed" | "geo">,
): Factor {
  const { tiers, speeds, places } = switchesOf(candidate);
  return product(
    billed(tiers, answer.tier, body["service_tier"]),
    billed(speeds, answer.speed, body["speed"]),
    billed(places, answer.geo, body["inference_geo"]),
  );
}

/** Rounded up. */
export function times(nanos: Nanos, factor: Factor): Nanos {
  if (factor === 100) return nanos;
  return Math.min(Math.ceil((nanos * factor) / 100), Number.MAX_SAFE_INTEGER);
}

/**
 * An account of another name may lead to the vendor of its dialect, and then its switches count; but only the vendor itself
 * is believed in a discount, and what others call their tiers (Groq: `on_demand`) is no surcharge.
 */
const elsewhere: Readonly<Record<Dialect, Switches>> = {
  messages: { tiers: {}, speeds: { fast: 600 }, places: { us: 110 } },
  chat: { tiers: { priority: 250, fast: 250 }, speeds: {}, places: {} },
  responses: { tiers: { priority: 250, fast: 250 }, speeds: {}, places: {} },
};

function switchesOf({ provider, dialect }: Asked): Switches {
  const kind = serverKindOf(provider);
  return Object.hasOwn(listed, kind) ? listed[kind]! : elsewhere[dialect];
}

function billed(names: Names, said: string | undefined, wanted: Json | undefined): Factor {
  return said === undefined ? asked(names, wanted) : factorOf(names, said);
}

function asked(names: Names, wanted: Json | undefined): Factor {
  return Math.max(100, factorOf(names, wanted));
}

function factorOf(names: Names, name: Json | undefined): Factor {
  if (typeof name !== "string") return 100;
  return (Object.hasOwn(names, name) ? names[name] : names["*"]) ?? 100;
}

function product(tier: Factor, speed: Factor, place: Factor): Factor {
  return Math.ceil((tier * speed * place) / 10_000);
}
