// Makes src/catalogue/prices.json from @pydantic/genai-prices (MIT), which is too heavy to load in the daemon (about
// 18 MB). Run by hand when that package is updated: `sh bin/bun scripts/catalogue.ts [YYYY-MM-DD]`; the date decides which
// of a model's dated prices holds, and without one it is today.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { findProvider } from "@pydantic/genai-prices";
import type { ConditionalPrice, MatchLogic, ModelInfo, ModelPrice } from "@pydantic/genai-prices";

const vendors = ["anthropic", "openai", "openrouter", "google", "deepseek", "mistral", "x-ai"];
const target = new URL("../src/catalogue/prices.json", import.meta.url);

// Not spoken over the gateway's routes, and priced by units that a text answer does not report. Left out, such a name
// costs its provider's ceiling, which is dearer.
const otherMedia =
  /(?:audio|realtime|transcribe|tts|whisper|voice|voxtral|live|image|video|lyria|ocr|moderation|omni)/u;
const otherUnits = /^(?:audio_hours|output_audio|output_image|output_video|input_document|input_text_messages)/u;
// A fine-tune's price is for its base's family, and the name goes on: exact matching cannot serve it.
const fineTune = /^ft:|\.ft-/u;

/** `[input, output, cache read, cache write 5 min, cache write 1 h, context]`, then the same five above a threshold. */
type Row = number[];
type Rates = [number, number, number, number, number];

/** USD per million tokens at most 6 decimals (whole pico-dollars a token), rounded up: a price is never understated. */
function exact(usd: number): number {
  const scaled = usd * 1e6;
  const nearest = Math.round(scaled);
  return (Math.abs(scaled - nearest) < 1e-3 ? nearest : Math.ceil(scaled)) / 1e6;
}

function rate(prices: ModelPrice, key: string, long: boolean): number | undefined {
  const value = prices[key];
  if (value === undefined || typeof value === "number") return value;
  return long ? Math.max(value.base, ...value.tiers.map((t) => t.price)) : value.base;
}

function ratesOf(prices: ModelPrice, anthropic: boolean, long: boolean): Rates {
  const input = rate(prices, "input_mtok", long) ?? 0;
  const output = Math.max(rate(prices, "output_mtok", long) ?? 0, rate(prices, "output_reasoning_mtok", long) ?? 0);
  // Anthropic, docs "Prompt caching": read 0.1x, write 1.25x (5 minutes) and 2x (1 hour) of input. Others bill what they
  // do not list as plain input.
  const read = rate(prices, "cache_read_mtok", long) ?? (anthropic ? input * 0.1 : input);
  const write = Math.max(rate(prices, "cache_write_mtok", long) ?? (anthropic ? input * 1.25 : input), input);
  const write1h = Math.max(rate(prices, "cache_write_1h_mtok", long) ?? (anthropic ? input * 2 : write), write);
  return [exact(input), exact(output), exact(read), exact(write), exact(write1h)];
}

function thresholdOf(prices: ModelPrice): number | undefined {
  const starts = Object.values(prices).flatMap((v) => (typeof v === "object" ? v.tiers.map((t) => t.start) : []));
  // The lowest start with the dearest tier: never too low where a model has several.
  return starts.length === 0 ? undefined : Math.min(...starts);
}

/** The price in force on `date`; where it depends on the hour of the day, the dearest of each component. */
function inForce(prices: ModelInfo["prices"], date: string): ModelPrice[] {
  if (!Array.isArray(prices)) return [prices];
  const holds = (p: ConditionalPrice): boolean =>
    p.constraint === undefined || (p.constraint.type === "start_date" && p.constraint.start_date <= date);
  const base = prices.filter(holds).at(-1);
  const hourly = prices.filter((p) => p.constraint?.type === "time_of_date");
  return [...(base === undefined ? [] : [base.prices]), ...hourly.map((p) => p.prices)];
}

function dearest(all: Rates[]): Rates {
  return all.reduce((a, b) => a.map((value, i) => Math.max(value, b[i] ?? 0)) as Rates);
}

const mediaKeys = ["input_audio_mtok", "output_audio_mtok", "input_image_mtok", "output_image_mtok"];

/** What sound and pictures cost in and out, null where it is not listed; undefined where none is. The dearest of each. */
function mediaOf(model: ModelInfo, date: string): (number | null)[] | undefined {
  const prices = inForce(model.prices, date);
  const rates = mediaKeys.map((key) => {
    const listed = prices.map((p) => rate(p, key, true)).filter((usd) => usd !== undefined);
    return listed.length === 0 ? null : exact(Math.max(...listed));
  });
  return rates.some((usd) => usd !== null) ? rates : undefined;
}

/** Null where the model is not for text, or has no price at all. */
function rowOf(vendor: string, model: ModelInfo, date: string): Row | null {
  const prices = inForce(model.prices, date);
  const keys = prices.flatMap((p) => Object.keys(p));
  if (otherMedia.test(model.id) || fineTune.test(model.id) || keys.some((k) => otherUnits.test(k))) return null;
  const free = vendor === "openrouter" && model.id.endsWith(":free") && keys.length === 0;
  if (!free && !keys.includes("input_mtok")) return null;
  const anthropic = vendor === "anthropic" || /(?:^|\/)claude-/u.test(model.id);
  const row: Row = [...dearest(prices.map((p) => ratesOf(p, anthropic, false))), model.context_window ?? 0];
  const thresholds = prices.map(thresholdOf).filter((t) => t !== undefined);
  if (thresholds.length > 0) {
    row.push(Math.min(...thresholds), ...dearest(prices.map((p) => ratesOf(p, anthropic, true))));
  }
  return row;
}

/** Whole names in the package's own matching rules; its prefixes and patterns are not taken over. */
function namesIn(match: MatchLogic): string[] {
  if ("or" in match) return match.or.flatMap(namesIn);
  if ("equals" in match) return [match.equals];
  // The beginning of a name is taken where it is a whole name as well, which one that breaks off is not.
  return "starts_with" in match && !/(?:[-@.:/]|-20\d*)$/u.test(match.starts_with) ? [match.starts_with] : [];
}

interface Catalogue {
  readonly models: Record<string, Row>;
  readonly media: Record<string, (number | null)[]>;
  readonly aliases: Record<string, string>;
}

function catalogueOf(vendor: string, date: string): Catalogue {
  const models: Record<string, Row> = {};
  const media: Record<string, (number | null)[]> = {};
  const aliases: Record<string, string> = {};
  const listed = findProvider({ providerId: vendor })?.models ?? [];
  const wanted = vendor === "openrouter" ? listed.filter((m) => m.id.includes("/")) : listed;
  for (const model of wanted) {
    const row = rowOf(vendor, model, date);
    if (row === null) continue;
    models[model.id] = row;
    const rates = mediaOf(model, date);
    if (rates !== undefined) media[model.id] = rates;
  }
  for (const model of wanted) {
    if (models[model.id] === undefined) continue;
    for (const name of namesIn(model.match)) {
      // A name that is itself a model, listed or left out, is never an alias of another.
      if (listed.some((m) => m.id === name) || otherMedia.test(name)) continue;
      if (vendor === "openrouter" && !name.includes("/")) continue;
      aliases[name] ??= model.id;
    }
  }
  return { models: sorted(models), media: sorted(media), aliases: sorted(aliases) };
}

function sorted<T>(record: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** One model a line, so that a price change is one line of a diff. */
function write(date: string): string {
  const manifest = createRequire(import.meta.url).resolve("@pydantic/genai-prices");
  const { version } = JSON.parse(readFileSync(new URL("../package.json", `file://${manifest}`), "utf8")) as {
    version: string;
  };
  const head = [
    `  "source": "@pydantic/genai-prices ${version} (MIT), USD per million tokens; made by scripts/catalogue.ts"`,
    `  "date": "${date}"`,
  ];
  const lines = (record: Record<string, unknown>): string =>
    Object.entries(record)
      .map(([name, value]) => `        ${JSON.stringify(name)}: ${JSON.stringify(value)}`)
      .join(",\n");
  const bodies = vendors.map((vendor) => {
    const { models, media, aliases } = catalogueOf(vendor, date);
    const parts = [`      "models": {\n${lines(models)}\n      }`, `      "aliases": {\n${lines(aliases)}\n      }`];
    if (Object.keys(media).length > 0) parts.splice(1, 0, `      "media": {\n${lines(media)}\n      }`);
    return `    "${vendor}": {\n${parts.join(",\n")}\n    }`;
  });
  return `{\n${head.join(",\n")},\n  "vendors": {\n${bodies.join(",\n")}\n  }\n}\n`;
}

const date = process.argv[2] ?? new Date().toISOString().slice(0, 10);
if (!/^\d{4}-\d{2}-\d{2}$/u.test(date)) throw new Error(`not a date: ${date}`);
writeFileSync(target, write(date));
console.log(`wrote ${target.pathname} as of ${date}`);
