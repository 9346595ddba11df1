// The price table: prices.json (generated) under overlay.ts, found by exact name. No prefix ever matches: a name that is
// not in the table, after the few spellings below, is unknown.

import { picosPerToken } from "../money.ts";
import type { Price } from "../request.ts";
import { overlayPrices } from "./overlay.ts";
import prices from "./prices.json" with { type: "json" };

/**
 * USD per million tokens: input, output, cache read, cache write (5 minutes), cache write (1 hour), context window
 * (0: unknown); then, where long prompts cost more, the threshold in prompt tokens and the same five rates above it.
 */
export type Row = readonly number[];

export interface Listed {
  /** The name in the table. */
  readonly name: string;
  readonly row: Row;
}

/** USD per million tokens of sound in and out, pictures in and out; null where it is not listed. */
type MediaRow = readonly (number | null)[];

interface Vendor {
  readonly models: Readonly<Record<string, Row>>;
  readonly media?: Readonly<Record<string, MediaRow>>;
  readonly aliases: Readonly<Record<string, string>>;
}

const generated: {
  readonly date: string;
  readonly source: string;
  readonly vendors: Readonly<Record<string, Vendor>>;
} = prices;

const longestName = 200;

/** Vendors of which prices are known, first-party ones before resellers. */
export const vendors: readonly string[] = Object.keys(generated.vendors).sort(
  (a, b) => Number(a === "openrouter") - Number(b === "openrouter"),
);

/** Which list the prices come from, and as of when. */
export const pricesAsOf = { source: generated.source, date: generated.date };

// Straight from the parsed JSON: a map of its own for each vendor would cost the daemon megabytes.
function lookUp(vendor: string, name: string): Listed | undefined {
  const over = own(overlayPrices[vendor], name);
  if (over !== undefined) return { name, row: over.row };
  const source = generated.vendors[vendor];
  if (source === undefined) return undefined;
  const row = own(source.models, name);
  if (row !== undefined) return { name, row };
  const target = own(source.aliases, name);
  return target === undefined ? undefined : { name: target, row: source.models[target]! };
}

// Names come from clients: `constructor` and `__proto__` are no models.
function own<T>(record: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}

/** All models of a vendor, without alternative spellings; empty for an unknown vendor. */
export function listed(vendor: string): Readonly<Record<string, Row>> {
  const over = Object.entries(own(overlayPrices, vendor) ?? {}).map(([name, { row }]) => [name, row] as const);
  return { ...own(generated.vendors, vendor)?.models, ...Object.fromEntries(over) };
}

/** Where the price of a listed model comes from, and of which day it is. */
export function sourceOf(vendor: string, name: string): { readonly source: string; readonly date: string } {
  const over = own(overlayPrices[vendor], name);
  return over === undefined ? pricesAsOf : { source: over.source, date: over.date };
}

const ownPrefix: Readonly<Record<string, string>> = { google: "models/" };
// `-20250929` (Anthropic), `@20250929` (Vertex), `-2025-11-13` (OpenAI): a dated snapshot costs what its model costs.
const dated = /(?:[-@]20\d{6}|-20\d\d-\d\d-\d\d)$/u;

/** The entry of a model under the vendor's own spellings of its name; undefined where unknown. */
export function find(vendor: string, model: string): Listed | undefined {
  if (model.length > longestName || !vendors.includes(vendor)) return undefined;
  const exact = lookUp(vendor, model);
  if (exact !== undefined) return exact;
  // A reseller's suffixes (`:online`, `:nitro`) change the price and its prefixes are part of the name.
  // A date after a suffix is none of its names: `x:free-20251130` must not be taken as free.
  if (vendor === "openrouter") return model.includes(":") ? undefined : lookUp(vendor, model.replace(dated, ""));
  let name = model;
  for (const prefix of [`${vendor}/`, ownPrefix[vendor] ?? ""]) {
    if (prefix !== "" && name.startsWith(prefix)) name = name.slice(prefix.length);
  }
  if (vendor === "anthropic") name = name.replace(/(\d)\.(\d)/u, "$1-$2");
  const undated = name.replace(dated, "");
  return lookUp(vendor, name) ?? lookUp(vendor, undated) ?? lookUp(vendor, undated.replace(/-latest$/u, ""));
}

/** What a model's sound and pictures cost, by its name in the table; undefined where that is not listed. */
export function mediaOf(vendor: string, name: string): Price["media"] {
  const row = own(generated.vendors[vendor]?.media, name);
  if (row === undefined) return undefined;
  const [audioInput, audioOutput, imageInput, imageOutput] = row.map((usd) =>
    usd === null ? null : picosPerToken(usd),
  );
  return {
    ...(audioInput != null && { audioInput }),
    ...(audioOutput != null && { audioOutput }),
    ...(imageInput != null && { imageInput }),
    ...(imageOutput != null && { imageOutput }),
  };
}

/** A row as a price in pico-dollars per token. */
export function priceFrom(row: Row, source: Price["source"]): Price {
  const at = (index: number): number => picosPerToken(row[index] ?? 0);
  const base = { input: at(0), output: at(1), cacheRead: at(2), cacheWrite5m: at(3), cacheWrite1h: at(4) };
  const threshold = row[6];
  if (threshold === undefined) return { ...base, long: null, source };
  const long = { threshold, input: at(7), output: at(8), cacheRead: at(9), cacheWrite5m: at(10), cacheWrite1h: at(11) };
  return { ...base, long, source };
}
