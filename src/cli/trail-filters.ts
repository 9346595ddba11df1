// Which requests of the trail a command is about: the same options for `tail`, `query` and `export`.

import { InvalidArgumentError, type Command } from "commander";
import type { TrailEntry } from "../layers/audit/index.ts";
import { compileGlob } from "../layers/routing/glob.ts";
import { plainValue, servingProvider, type Dimension } from "../reports/group-trail.ts";
import { PeriodError, parseMoment } from "../reports/period.ts";

/** Which column of a line each filter looks at. */
const filters = {
  agent: "agent",
  model: "model",
  provider: "provider",
  servedBy: "served_by",
  outcome: "outcome",
  route: "route",
  intent: "intent",
  dialect: "dialect",
  auth: "auth",
  price: "price",
} as const satisfies Readonly<Record<string, Dimension>>;
type FilterName = keyof typeof filters;

export type FilterOptions = { readonly [K in FilterName]?: string } & {
  readonly local?: boolean;
  readonly cloud?: boolean;
  readonly minUsd?: number;
};

export function addFilterOptions(command: Command): Command {
  return command
    .option("--agent <names>", "only these agents; all filters take several, with commas, and * for any characters")
    .option("--model <names>", "only requests for these models")
    .option("--provider <names>", "only what these providers answered")
    .option("--served-by <names>", "only what these candidates answered")
    .option("--outcome <names>", "only these outcomes: ok, client_gone, refused_budget, …")
    .option("--route <names>", "only these routes")
    .option("--intent <names>", "only these intents")
    .option("--dialect <names>", "only these dialects: messages, chat, responses")
    .option("--auth <names>", "only these ways of identity: token, anonymous")
    .option("--price <names>", "only these origins of the price: catalogue, config, reported, ceiling, free")
    .option("--local", "only what local models answered")
    .option("--cloud", "only what cloud models answered")
    .option("--min-usd <amount>", "only requests that cost so much or more", parseUsd);
}

export function filterOf(
  options: FilterOptions,
  providerOf: (candidate: string) => string | null,
): (entry: TrailEntry) => boolean {
  const tests: ((entry: TrailEntry) => boolean)[] = [];
  for (const name of Object.keys(filters) as FilterName[]) {
    const given = options[name];
    if (given === undefined) continue;
    const globs = given.split(",").map((part) => compileGlob(part.trim()));
    const dimension = filters[name];
    const valueOf = (entry: TrailEntry): string =>
      dimension === "provider" ? servingProvider(entry, providerOf) : plainValue(entry, dimension);
    tests.push((entry) => {
      const value = valueOf(entry);
      return globs.some((fits) => fits(value));
    });
  }
  if (options.local === true) tests.push((entry) => entry.servedBy !== null && entry.local);
  if (options.cloud === true) tests.push((entry) => entry.servedBy !== null && !entry.local);
  if (options.minUsd !== undefined) {
    const least = Math.round(options.minUsd * 1_000_000);
    tests.push((entry) => entry.micros >= least);
  }
  return (entry: TrailEntry): boolean => tests.every((test) => test(entry));
}

/** What `--since` and `--until` mean; throws a PeriodError. */
export function periodOf(
  options: { readonly since: string; readonly until?: string },
  timezone: string,
  nowMs: number,
): { sinceMs: number; untilMs: number } {
  const untilMs = options.until === undefined ? nowMs + 1 : parseMoment(options.until, "end", timezone, nowMs);
  const sinceMs = parseMoment(options.since, "start", timezone, nowMs);
  if (sinceMs >= untilMs) throw new PeriodError("--since must be before --until");
  return { sinceMs, untilMs };
}

function parseUsd(text: string): number {
  const usd = Number(text);
  if (text.trim() === "" || !(usd >= 0 && usd <= 9_000_000))
    throw new InvalidArgumentError("an amount in USD is needed.");
  return usd;
}
