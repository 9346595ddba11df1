// Counts of the day, fed with every closed request. They survive a restart (the ledger keeps the snapshot) and start
// afresh with each budget day; the counters for `/metrics` run on, as Prometheus expects.

import type { Nanos } from "../../money.ts";
import type { AttemptRecord, Outcome } from "../../request.ts";
import { outputTokens, promptTokens } from "../../wire/usage.ts";
import type { RequestTally } from "./audit.ts";
import { driftOf, hasDrifted } from "./drift.ts";
import { LatencyWindow } from "./latency-window.ts";
import type { AuditFacts } from "./sink.ts";

export interface AgentCounts {
  requests: number;
  /** Served by a provider that is not local. */
  cloud: number;
  local: number;
  /** Served by another candidate than the first. */
  fallbacks: number;
  refused: number;
  /** Neither served, nor refused, nor left by the client. */
  errors: number;
  inputTokens: number;
  outputTokens: number;
}

export interface ProviderCounts {
  /** Attempts that were sent. */
  requests: number;
  errors: number;
}

export interface ModelCounts {
  requests: number;
  spentNanos: Nanos;
  inputTokens: number;
  outputTokens: number;
  /** Of these requests the provider told a figure of its own: how many, and what both figures add up to. */
  reported: number;
  reportedNanos: Nanos;
  listedNanos: Nanos;
}

/** A model whose provider charges something else than the price list says. */
export interface PriceDrift {
  readonly model: string;
  readonly reportedNanos: Nanos;
  readonly listedNanos: Nanos;
  /** Of our figure. */
  readonly share: number;
}

export interface TotalCounts {
  requests: number;
  cloud: number;
  local: number;
  savedNanos: Nanos;
}

/** What the ledger keeps over a restart. */
export interface TallySnapshot {
  readonly v: 1;
  readonly day: string;
  readonly agents: Readonly<Record<string, AgentCounts>>;
  readonly providers: Readonly<Record<string, ProviderCounts>>;
  readonly models: Readonly<Record<string, ModelCounts>>;
  readonly totals: TotalCounts;
}

// Model names come from clients: without a bound each invented one would cost memory for the rest of the day.
const MAX_NAMES = 200;
const OTHER = "other";
const NOBODY = "none";

/** A fresh count. */
export const noCounts = (): AgentCounts => ({
  requests: 0,
  cloud: 0,
  local: 0,
  fallbacks: 0,
  refused: 0,
  errors: 0,
  inputTokens: 0,
  outputTokens: 0,
});
const noProvider = (): ProviderCounts => ({ requests: 0, errors: 0 });
const noModel = (): ModelCounts => ({
  requests: 0,
  spentNanos: 0,
  inputTokens: 0,
  outputTokens: 0,
  reported: 0,
  reportedNanos: 0,
  listedNanos: 0,
});
const noTotals = (): TotalCounts => ({ requests: 0, cloud: 0, local: 0, savedNanos: 0 });

export class Tally implements RequestTally {
  readonly #dayKey: () => string;
  readonly #onDrift: (drift: PriceDrift) => void;
  /** Models whose drift was told today. */
  readonly #drifted = new Set<string>();
  readonly #latencies = new Map<string, LatencyWindow>();
  readonly #outcomes = new Map<string, Map<Outcome, number>>();
  #day: string;
  #agents = new Map<string, AgentCounts>();
  #providers = new Map<string, ProviderCounts>();
  #models = new Map<string, ModelCounts>();
  #totals = noTotals();
  #inFlight = 0;
  /** In flight in processes that have handed over to this one. */
  #elsewhere = 0;
  #revision = 0;

  /**
   * `dayKey` names the current budget day, e.g. `2026-11-23`; asked for at every request, so it must be cheap. `onDrift` is
   * called once a day for a model whose provider charges something else than the price list says.
   */
  constructor(dayKey: () => string, onDrift: (drift: PriceDrift) => void = () => undefined) {
    this.#dayKey = dayKey;
    this.#onDrift = onDrift;
    this.#day = dayKey();
  }

  opened(): void {
    this.#inFlight++;
    this.#revision++;
  }

  closed(facts: AuditFacts): void {
    this.#rollOver();
    this.#inFlight--;
    this.#revision++;
    this.#totals.requests++;
    const { served } = facts;
    if (served !== null) {
      if (served.local) this.#totals.local++;
      else this.#totals.cloud++;
      if (served.local && facts.wouldHaveNanos !== null) this.#totals.savedNanos += facts.wouldHaveNanos;
    }
    this.#countOutcome(facts);
    if (facts.agent !== null) countAgent(entry(this.#agents, facts.agent, noCounts), facts);
    for (const attempt of facts.attempts) this.#countAttempt(attempt);
  }

  /** How many requests run in processes that have handed over to this one. */
  setElsewhere(requests: number): void {
    if (requests === this.#elsewhere) return;
    this.#elsewhere = requests;
    this.#revision++;
  }

  /** Grows with every change. */
  get revision(): number {
    return this.#revision;
  }

  /** Requests that are being answered, also by processes that have handed over to this one. */
  get inFlight(): number {
    return this.#inFlight + this.#elsewhere;
  }

  agents(): ReadonlyMap<string, AgentCounts> {
    this.#rollOver();
    return this.#agents;
  }

  providers(): ReadonlyMap<string, ProviderCounts> {
    this.#rollOver();
    return this.#providers;
  }

  models(): ReadonlyMap<string, ModelCounts> {
    this.#rollOver();
    return this.#models;
  }

  totals(): TotalCounts {
    this.#rollOver();
    return this.#totals;
  }

  latency(provider: string): LatencyWindow | undefined {
    return this.#latencies.get(provider);
  }

  /** Since the start of the process, by agent (`none`: no agent was found) and outcome. */
  outcomes(): ReadonlyMap<string, ReadonlyMap<Outcome, number>> {
    return this.#outcomes;
  }

  snapshot(): TallySnapshot {
    this.#rollOver();
    return {
      v: 1,
      day: this.#day,
      agents: Object.fromEntries(this.#agents),
      providers: Object.fromEntries(this.#providers),
      models: Object.fromEntries(this.#models),
      totals: { ...this.#totals },
    };
  }

  /** Goes on counting from a snapshot of the same day. Anything else, or a damaged one, is left aside: returns false. */
  restore(snapshot: unknown): boolean {
    this.#rollOver();
    const stored = recordOf(snapshot);
    if (stored["v"] !== 1 || stored["day"] !== this.#day) return false;
    this.#agents = restored(stored["agents"], noCounts);
    this.#providers = restored(stored["providers"], noProvider);
    this.#models = restored(stored["models"], noModel);
    this.#totals = counts(stored["totals"], noTotals());
    this.#revision++;
    return true;
  }

  #countOutcome(facts: AuditFacts): void {
    const outcomes = entry(this.#outcomes, facts.agent ?? NOBODY, () => new Map<Outcome, number>());
    outcomes.set(facts.outcome, (outcomes.get(facts.outcome) ?? 0) + 1);
  }

  #countAttempt(attempt: AttemptRecord): void {
    const { outcome } = attempt;
    if (outcome?.startsWith("skipped_") === true) return;
    const provider = entry(this.#providers, attempt.provider, noProvider);
    provider.requests++;
    if (outcome !== "ok" && outcome !== "client_gone") provider.errors++;
    if (outcome === "ok" && attempt.ms !== null) {
      entry(this.#latencies, attempt.provider, () => new LatencyWindow()).add(attempt.ms);
    }
    const model = entry(this.#models, attempt.candidate, noModel);
    model.requests++;
    model.spentNanos += attempt.nanos;
    this.#countReported(attempt, model);
    if (attempt.usage === null) return;
    model.inputTokens += promptTokens(attempt.usage);
    model.outputTokens += outputTokens(attempt.usage);
  }

  #countReported({ candidate, nanos, listedNanos }: AttemptRecord, model: ModelCounts): void {
    if (listedNanos === undefined) return;
    model.reported++;
    model.reportedNanos += nanos;
    model.listedNanos += listedNanos;
    if (this.#drifted.has(candidate) || this.#drifted.size >= MAX_NAMES) return;
    if (!hasDrifted(model.reportedNanos, model.listedNanos, model.reported)) return;
    this.#drifted.add(candidate);
    const { reportedNanos, listedNanos: listed } = model;
    this.#onDrift({ model: candidate, reportedNanos, listedNanos: listed, share: driftOf(reportedNanos, listed) });
  }

  #rollOver(): void {
    const day = this.#dayKey();
    if (day === this.#day) return;
    this.#day = day;
    this.#agents = new Map();
    this.#providers = new Map();
    this.#models = new Map();
    this.#drifted.clear();
    this.#totals = noTotals();
    this.#revision++;
  }
}

function countAgent(agent: AgentCounts, facts: AuditFacts): void {
  const { served } = facts;
  agent.requests++;
  if (facts.outcome.startsWith("refused_")) agent.refused++;
  else if (facts.outcome !== "ok" && facts.outcome !== "client_gone") agent.errors++;
  for (const attempt of facts.attempts) {
    if (attempt.usage === null) continue;
    agent.inputTokens += promptTokens(attempt.usage);
    agent.outputTokens += outputTokens(attempt.usage);
  }
  if (served === null) return;
  if (served.local) agent.local++;
  else agent.cloud++;
  if (facts.attempts[0]?.candidate !== served.candidate) agent.fallbacks++;
}

function entry<T>(map: Map<string, T>, name: string, create: () => T): T {
  const known = map.get(name);
  if (known !== undefined) return known;
  const key = map.size < MAX_NAMES ? name : OTHER;
  const existing = map.get(key);
  if (existing !== undefined) return existing;
  const created = create();
  map.set(key, created);
  return created;
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function restored<T extends { [K in keyof T]: number }>(value: unknown, create: () => T): Map<string, T> {
  const map = new Map<string, T>();
  for (const [name, stored] of Object.entries(recordOf(value))) {
    if (map.size <= MAX_NAMES) map.set(name, counts(stored, create()));
  }
  return map;
}

/** Fills in the members of `fresh` that the stored value has as sound counts. */
function counts<T extends { [K in keyof T]: number }>(stored: unknown, fresh: T): T {
  const found = recordOf(stored);
  const filled: Partial<Record<keyof T, number>> = {};
  for (const key in fresh) {
    const value = found[key];
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) filled[key] = value;
  }
  return { ...fresh, ...filled };
}
