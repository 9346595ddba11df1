// What models cost and can do, by provider and name. Pure look-ups; a provider that is named after a vendor has that
// vendor's list, any other has none.

import type { Price } from "../request.ts";
import { hidesReasoning, outputLimitOf } from "./overlay.ts";
import { find, listed, mediaOf, priceFrom, sourceOf, vendors } from "./table.ts";

export interface Abilities {
  /** Tokens; undefined: unknown. */
  readonly context: number | undefined;
  /** Tokens; undefined: unknown. */
  readonly maxOutput: number | undefined;
  /** Bills output that a reader of the stream cannot count. True for a model of which nothing is known. */
  readonly hiddenReasoning: boolean;
}

/** Null: the model is not in this provider's list. That never means free: see `ceilingOf`. */
export function priceOf(provider: string, model: string): Price | null {
  const entry = find(provider, model);
  if (entry === undefined) return null;
  const media = mediaOf(provider, entry.name);
  const price = priceFrom(entry.row, "catalogue");
  return media === undefined ? price : { ...price, media };
}

const ceilings = new Map<string, Price>();

/**
 * The dearest known rate of each component at this provider, long prompts included, for a model it does not list; for a
 * provider without a list, the dearest of all vendors.
 */
export function ceilingOf(provider: string): Price {
  const key = vendors.includes(provider) ? provider : "";
  const known = ceilings.get(key);
  if (known !== undefined) return known;
  const dearest = [0, 0, 0, 0, 0];
  for (const vendor of key === "" ? vendors : [key]) {
    for (const row of Object.values(listed(vendor))) {
      for (let i = 0; i < 5; i++) dearest[i] = Math.max(dearest[i] ?? 0, row[i] ?? 0, row[i + 7] ?? 0);
    }
  }
  const ceiling = priceFrom(dearest, "ceiling");
  ceilings.set(key, ceiling);
  return ceiling;
}

/** Vendors of which prices are known. */
export function listedVendors(): readonly string[] {
  return vendors;
}

/** Where the price of a model comes from, and of which day it is; null: it is not in this provider's list. */
export function priceSourceOf(
  provider: string,
  model: string,
): { readonly source: string; readonly date: string } | null {
  const entry = find(provider, model);
  return entry === undefined ? null : sourceOf(provider, entry.name);
}

/** The name under which this provider's list has a model; null where it has not. */
export function listedName(provider: string, model: string): string | null {
  return find(provider, model)?.name ?? null;
}

export function abilitiesOf(provider: string, model: string): Abilities {
  const entry = find(provider, model);
  const bare = canonical(entry?.name ?? model);
  const context = entry?.row[5];
  return {
    context: context === 0 ? undefined : context,
    maxOutput: outputLimitOf(bare),
    hiddenReasoning: entry === undefined || hidesReasoning(bare),
  };
}

/** First-party spelling of a reseller's name: `anthropic/claude-sonnet-4.5` is `claude-sonnet-4-5` at Anthropic. */
function canonical(name: string): string {
  const bare = name.slice(name.indexOf("/") + 1);
  return bare.startsWith("claude-") ? bare.replace(/(\d)\.(\d)/u, "$1-$2") : bare;
}

/**
 * Which vendors list a name that was asked for without a provider, the maker before resellers, and how each spells it.
 * Empty where nobody does.
 */
export function bareName(name: string): readonly { readonly provider: string; readonly model: string }[] {
  const found: { provider: string; model: string }[] = [];
  for (const provider of vendors) {
    if (find(provider, name) === undefined || !isMaker(provider, name)) continue;
    found.push({ provider, model: upstreamName(provider, name) });
  }
  return found;
}

// Google's list holds Claude as well (Vertex); asked for by its bare name, Claude is Anthropic's.
function isMaker(provider: string, name: string): boolean {
  if (provider === "openrouter") return true;
  return provider === "anthropic" || !/(?:^|\/)claude-/u.test(name);
}

// Anthropic's own ids have dashes where others write dots; a snapshot's date stays.
function upstreamName(provider: string, name: string): string {
  if (provider === "openrouter") return name;
  const bare = name.startsWith(`${provider}/`) ? name.slice(provider.length + 1) : name;
  return provider === "anthropic" ? bare.replace(/(\d)\.(\d)/u, "$1-$2") : bare;
}

const namings: Readonly<Record<string, RegExp>> = {
  anthropic: /^claude-[a-z0-9@.-]+$/u,
  openai: /^(?:gpt-|chatgpt-|o\d)[A-Za-z0-9.:_-]*$/u,
  openrouter: /^[a-z0-9~][a-z0-9_.-]*\/[A-Za-z0-9][A-Za-z0-9_.:-]*$/u,
};

/** Whether an unlisted name has the form of this provider's names, so that asking there is worth a try. */
export function namingFits(provider: string, model: string): boolean {
  return model.length <= 200 && Object.hasOwn(namings, provider) && namings[provider]!.test(model);
}

/** Names of the models that a provider lists, without alternative spellings, in order. */
export function listModels(provider: string): readonly string[] {
  return Object.keys(listed(provider)).sort();
}
