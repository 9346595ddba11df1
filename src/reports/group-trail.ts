// Sums of a trail by whatever its lines tell, in memory that does not grow with the trail.

import { noCounts, type AgentCounts, type TrailAttempt, type TrailEntry } from "../layers/audit/index.ts";
import type { Calendar } from "./period.ts";

export const dimensions = [
  "agent",
  "model",
  "provider",
  "served_by",
  "outcome",
  "route",
  "intent",
  "dialect",
  "auth",
  "price",
  "local",
  "day",
  "hour",
] as const;
export type Dimension = (typeof dimensions)[number];

/** What a line has not: no agent was found, nobody served. */
export const NONE = "–";
/** Names come from clients: beyond so many groups the rest is summed under `OTHER`. */
const MAX_GROUPS = 10_000;
export const OTHER = "(other)";

export interface Sums extends AgentCounts {
  micros: number;
  /** What local models saved. */
  savedMicros: number;
}

export interface Group {
  /** One value for each dimension asked for. */
  readonly values: readonly string[];
  readonly sums: Sums;
}

export interface GroupParts {
  readonly by: readonly Dimension[];
  readonly calendar: Calendar;
  /** The provider behind an alias, where the line does not tell it; null: nobody knows. */
  readonly providerOf: (candidate: string) => string | null;
}

const noSums = (): Sums => ({
  ...noCounts(),
  micros: 0,
  savedMicros: 0,
});

export class TrailGroups {
  readonly #parts: GroupParts;
  readonly #groups = new Map<string, Group>();
  readonly total = noSums();

  constructor(parts: GroupParts) {
    this.#parts = parts;
  }

  add(entry: TrailEntry): void {
    count(this.total, entry);
    this.total.micros += entry.micros;
    if (this.#parts.by.length === 0) return;
    const provider = servingProvider(entry, this.#parts.providerOf);
    const own = this.#groupOf(entry, provider).sums;
    count(own, entry);
    own.micros += entry.micros;
    if (!this.#parts.by.includes("provider")) return;
    // A request may have paid several providers: each gets what was paid to it.
    for (const attempt of entry.attempts) {
      const paid = providerOf(attempt, this.#parts.providerOf) ?? NONE;
      if (attempt.micros === 0 || paid === provider) continue;
      own.micros -= attempt.micros;
      this.#groupOf(entry, paid).sums.micros += attempt.micros;
    }
  }

  groups(): Group[] {
    return [...this.#groups.values()];
  }

  #groupOf(entry: TrailEntry, provider: string): Group {
    const values = this.#parts.by.map((dimension) => this.#valueOf(entry, dimension, provider));
    const key = values.join("\u0000");
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const full = this.#groups.size >= MAX_GROUPS;
    if (full && this.#groups.has(OTHER)) return this.#groups.get(OTHER)!;
    const group = { values: full ? values.map(() => OTHER) : values, sums: noSums() };
    this.#groups.set(full ? OTHER : key, group);
    return group;
  }

  #valueOf(entry: TrailEntry, dimension: Dimension, provider: string): string {
    if (dimension === "provider") return provider;
    if (dimension === "day") return this.#parts.calendar.day(entry.at);
    if (dimension === "hour") return this.#parts.calendar.hour(entry.at);
    return plainValue(entry, dimension);
  }
}

/** The value of a dimension that stands in the line as it is. */
export function plainValue(entry: TrailEntry, dimension: Exclude<Dimension, "provider" | "day" | "hour">): string {
  switch (dimension) {
    case "agent":
      return entry.agent ?? NONE;
    case "model":
      return entry.requestedModel ?? NONE;
    case "served_by":
      return entry.servedBy ?? NONE;
    case "outcome":
      return entry.outcome;
    case "route":
      return entry.route ?? NONE;
    case "intent":
      return entry.intent ?? NONE;
    case "dialect":
      return entry.dialect ?? NONE;
    case "auth":
      return entry.auth ?? NONE;
    case "price":
      return entry.price ?? NONE;
    case "local":
      return entry.servedBy === null ? NONE : entry.local ? "local" : "cloud";
  }
}

/** Who answered; `NONE`: nobody did. */
export function servingProvider(entry: TrailEntry, aliased: GroupParts["providerOf"]): string {
  if (entry.servedBy === null) return NONE;
  const served = entry.attempts.find((attempt) => attempt.candidate === entry.servedBy);
  if (served !== undefined) return providerOf(served, aliased) ?? NONE;
  return prefixOf(entry.servedBy) ?? aliased(entry.servedBy) ?? NONE;
}

/** The provider that an attempt was sent to; null: the line does not tell, and neither does the configuration. */
export function providerOf(attempt: TrailAttempt, aliased: GroupParts["providerOf"]): string | null {
  return (attempt.upstream === null ? null : prefixOf(attempt.upstream)) ?? aliased(attempt.candidate);
}

function prefixOf(name: string): string | null {
  const slash = name.indexOf("/");
  return slash < 0 ? null : name.slice(0, slash);
}

// The same rules as the counters of `/stats`.
function count(sums: Sums, entry: TrailEntry): void {
  sums.requests++;
  if (entry.outcome.startsWith("refused_")) sums.refused++;
  else if (entry.outcome !== "ok" && entry.outcome !== "client_gone") sums.errors++;
  if (entry.servedBy !== null) {
    if (entry.local) sums.local++;
    else sums.cloud++;
    if (entry.attempts[0]?.candidate !== entry.servedBy) sums.fallbacks++;
    if (entry.local) sums.savedMicros += entry.wouldHaveMicros ?? 0;
  }
  if (entry.usage !== null) {
    sums.inputTokens += entry.usage.input;
    sums.outputTokens += entry.usage.output;
  }
}
