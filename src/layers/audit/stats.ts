// The `/stats` document, put together from what each part tells about itself. Everything with a count is of the current
// budget day; latency is of the last attempts.

import type { Clock } from "../../clock.ts";
import { usdFromNanos, type Nanos } from "../../money.ts";
import { driftOf } from "./drift.ts";
import type { Percentiles } from "./latency-window.ts";
import type { AuditAlarm } from "./seal.ts";
import type { SealStatus } from "./sealer.ts";
import type { AuditHealth } from "./sink.ts";
import { noCounts, type Tally } from "./tally.ts";
import { createZonedTime } from "./zoned-time.ts";

export interface LimitStatus {
  readonly limit: number;
  readonly remaining: number;
  /** ISO 8601; null: not known. */
  readonly resets_at: string | null;
}

interface KindStatuses {
  readonly requests?: LimitStatus;
  /** Both directions together. */
  readonly tokens?: LimitStatus;
  readonly input_tokens?: LimitStatus;
  readonly output_tokens?: LimitStatus;
}

/** The tightest of each kind, and where it comes from. */
export interface LimitStatuses extends KindStatuses {
  readonly configured?: KindStatuses & { readonly concurrent?: LimitStatus };
  /** As the provider told, by the name under which it counts models. */
  readonly models?: Readonly<Record<string, KindStatuses>>;
  /** Where each agent brings a key of its own. */
  readonly agents?: Readonly<Record<string, LimitStatuses>>;
}

/** What limits and keys tell about one provider. */
export interface ProviderStatus {
  readonly state: "closed" | "open" | "half_open";
  readonly key: "ok" | "missing" | "locked" | "rejected" | "none";
  readonly limits: LimitStatuses;
  /** Requests that stand in line for their turn. */
  readonly waiting: number;
  /** ISO 8601. */
  readonly backoffUntil: string | null;
  /** Absent: it is not local. */
  readonly server?: ServerStatus;
  /** Those that are left alone, by the provider's own names. */
  readonly models?: Readonly<Record<string, ModelStatus>>;
}

export interface ModelStatus {
  readonly state: "closed" | "open" | "half_open";
  /** ISO 8601. */
  readonly backoff_until: string | null;
}

/** How a local server was seen last. */
export interface ServerStatus {
  readonly state: "ready" | "loading" | "down" | "unknown";
  /** Wall clock, milliseconds. */
  readonly since: number;
  /** The models in its memory; null: it does not say. */
  readonly loaded: readonly string[] | null;
  /** Requests that it is given at once; null: all that come. */
  readonly concurrent: number | null;
}

/** A name of the configuration whose model its local server does not have. */
export interface MissingModelStatus {
  readonly name: string;
  readonly provider: string;
  readonly model: string;
  /** The model that answers in its place; null: none does. */
  readonly instead: string | null;
  /** In words, with the command that helps. */
  readonly message: string;
}

export interface ConfigStatus {
  readonly generation: number;
  /** Wall clock, milliseconds. */
  readonly loadedAt: number;
  /** The newest file was refused; null: the newest file is the one in force. */
  readonly fault: { readonly since: number; readonly messages: readonly string[] } | null;
}

/** What the books tell about themselves. */
export interface LedgerStatus {
  /** Why nothing is spent at present, and what to do; null: all is well. */
  readonly fault: string | null;
  /** Since the start: settlements above their hold, and holds that nobody ended. Both are faults of the gateway. */
  readonly exceeded: number;
  readonly expired: number;
  /** What was odd since the start, newest last. */
  readonly notes: readonly string[];
}

interface SpentHeld {
  readonly spentNanos: Nanos;
  readonly heldNanos: Nanos;
}

export interface StatsParts {
  readonly version: string;
  readonly clock: Clock;
  readonly tally: Tally;
  /** IANA name. */
  timezone(): string;
  /** The budget day: its name, and its end in milliseconds since the epoch. */
  day(): { readonly key: string; readonly endsAt: number };
  /** The configured agents and their caps. */
  agents(): Iterable<
    readonly [
      name: string,
      caps: { readonly daily: Nanos; readonly hourly?: Nanos | undefined; readonly monthly?: Nanos | undefined },
    ]
  >;
  /** The ledger's figures of the current day. */
  balances(agent: string): { readonly spentNanos: Nanos; readonly heldNanos: Nanos };
  /** The ledger's figures of the present hour and month; asked only for agents with such a cap. */
  windowBalances?(agent: string): { readonly hour: SpentHeld; readonly month: SpentHeld };
  config(): ConfigStatus;
  /** The providers in use. */
  providers(): Iterable<readonly [name: string, status: ProviderStatus]>;
  /** Absent: nobody looks. */
  missingModels?(): readonly MissingModelStatus[];
  audit(): AuditHealth;
  seal(): SealStatus;
  ledger(): LedgerStatus;
  /** Whether new work is turned away; absent: nobody looks. */
  overload?(): OverloadStatus;
}

export interface OverloadStatus {
  readonly level: "none" | "closing_connections" | "shedding";
  readonly reasons: readonly string[];
  /** Requests turned away since the start. */
  readonly shed: number;
}

export interface AgentStats {
  readonly daily_usd: number;
  readonly spent_usd: number;
  readonly held_usd: number;
  readonly remaining_usd: number;
  readonly over_budget: boolean;
  readonly requests: number;
  readonly cloud: number;
  readonly local: number;
  readonly fallbacks: number;
  readonly refused: number;
  readonly errors: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
  /** The present hour and month; only where they have a cap. */
  readonly hour?: WindowStats;
  readonly month?: WindowStats;
}

export interface WindowStats {
  readonly cap_usd: number;
  readonly spent_usd: number;
  readonly held_usd: number;
  readonly remaining_usd: number;
}

export interface ProviderStats {
  readonly state: ProviderStatus["state"];
  readonly requests: number;
  readonly errors: number;
  readonly key: ProviderStatus["key"];
  readonly latency_ms: Percentiles;
  readonly limits: LimitStatuses;
  readonly waiting: number;
  readonly backoff_until: string | null;
  /** Only where it is local. */
  readonly server?: ServerStats;
  /** Those of its models that are left alone, where any is; the others are as the provider is. */
  readonly models?: Readonly<Record<string, ModelStatus>>;
}

export interface ServerStats {
  readonly state: ServerStatus["state"];
  readonly since: string;
  readonly loaded: readonly string[] | null;
  readonly concurrent: number | null;
}

export interface ModelStats {
  readonly requests: number;
  readonly spent_usd: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
  /**
   * Only where the provider tells its own figures: by which share of ours they differ (0.05: 5 % dearer than the price list
   * says); null: the list has it as free.
   */
  readonly price_drift?: number | null;
}

export interface StatsDocument {
  readonly version: string;
  readonly now: string;
  readonly day: string;
  readonly day_ends_at: string;
  readonly uptime_s: number;
  readonly in_flight: number;
  readonly config: {
    readonly generation: number;
    readonly loaded_at: string;
    readonly fault: { readonly since: string; readonly messages: readonly string[] } | null;
  };
  readonly agents: Readonly<Record<string, AgentStats>>;
  readonly providers: Readonly<Record<string, ProviderStats>>;
  readonly models: Readonly<Record<string, ModelStats>>;
  readonly audit: {
    readonly entries: number;
    readonly head: string;
    readonly last_written_at: string | null;
    readonly fault: { readonly since: string; readonly message: string } | null;
    readonly seal: {
      readonly key: SealStatus["place"];
      readonly seq: number;
      readonly fault: string | null;
    };
    readonly alarms: readonly AuditAlarm[];
  };
  readonly totals: {
    readonly requests: number;
    readonly spent_usd: number;
    readonly saved_usd: number;
    readonly local_share: number;
  };
  readonly ledger: LedgerStatus;
  /** Only where there is one. */
  readonly missing_models?: readonly MissingModelStatus[];
  readonly overload: OverloadStatus;
}

/** Returns a function that builds the document of this moment; `uptime_s` counts from now. */
export function createStats(parts: StatsParts): () => StatsDocument {
  const startedAt = parts.clock.monotonic();
  let timezone = parts.timezone();
  let zoned = createZonedTime(timezone);
  return () => {
    if (parts.timezone() !== timezone) {
      timezone = parts.timezone();
      zoned = createZonedTime(timezone);
    }
    const day = parts.day();
    const health = parts.audit();
    const missing = parts.missingModels?.() ?? [];
    const seal = parts.seal();
    const { agents, spentMicros } = agentStats(parts);
    return {
      version: parts.version,
      now: zoned(parts.clock.now()),
      day: day.key,
      day_ends_at: zoned(day.endsAt),
      uptime_s: Math.floor((parts.clock.monotonic() - startedAt) / 1000),
      in_flight: parts.tally.inFlight,
      config: configStats(parts.config(), zoned),
      agents,
      providers: providerStats(parts, zoned),
      models: modelStats(parts.tally),
      audit: {
        entries: health.entries,
        head: health.head,
        last_written_at: health.lastWrittenAt === null ? null : zoned(health.lastWrittenAt),
        fault: health.fault === null ? null : { since: zoned(health.fault.since), message: health.fault.message },
        seal: { key: seal.place, seq: seal.seq, fault: seal.fault },
        alarms: seal.alarms,
      },
      totals: totalStats(parts.tally, spentMicros),
      ledger: parts.ledger(),
      ...(missing.length > 0 && { missing_models: missing }),
      overload: parts.overload?.() ?? { level: "none", reasons: [], shed: 0 },
    };
  };
}

function configStats(config: ConfigStatus, zoned: (ms: number) => string): StatsDocument["config"] {
  const { fault } = config;
  return {
    generation: config.generation,
    loaded_at: zoned(config.loadedAt),
    fault: fault === null ? null : { since: zoned(fault.since), messages: fault.messages },
  };
}

const idle = noCounts();

/** Configured agents, and those that a reload has taken away but that were active today: their spend counts too. */
function agentStats(parts: StatsParts): { agents: Record<string, AgentStats>; spentMicros: number } {
  const counted = parts.tally.agents();
  const caps = new Map(parts.agents());
  for (const name of counted.keys()) if (!caps.has(name)) caps.set(name, { daily: 0 });
  const agents: [string, AgentStats][] = [];
  let spentMicros = 0;
  for (const [name, { daily, hourly, monthly }] of caps) {
    const day = windowStats(daily, parts.balances(name));
    const windows = hourly === undefined && monthly === undefined ? undefined : parts.windowBalances?.(name);
    const counts = counted.get(name) ?? idle;
    spentMicros += day.spent_usd * 1_000_000;
    agents.push([
      name,
      {
        daily_usd: day.cap_usd,
        spent_usd: day.spent_usd,
        held_usd: day.held_usd,
        remaining_usd: day.remaining_usd,
        over_budget: day.remaining_usd === 0,
        requests: counts.requests,
        cloud: counts.cloud,
        local: counts.local,
        fallbacks: counts.fallbacks,
        refused: counts.refused,
        errors: counts.errors,
        input_tokens: counts.inputTokens,
        output_tokens: counts.outputTokens,
        ...(hourly !== undefined && windows !== undefined && { hour: windowStats(hourly, windows.hour) }),
        ...(monthly !== undefined && windows !== undefined && { month: windowStats(monthly, windows.month) }),
      },
    ]);
  }
  return { agents: Object.fromEntries(agents), spentMicros: Math.round(spentMicros) };
}

/** Rounded so that the shown figures add up, and never to more than the cap that the exact ones keep to. */
function windowStats(cap: Nanos, { spentNanos, heldNanos }: SpentHeld): WindowStats {
  const spent = micros(spentNanos);
  const used = micros(spentNanos + heldNanos);
  return {
    cap_usd: usdFromMicros(micros(cap)),
    spent_usd: usdFromMicros(spent),
    held_usd: usdFromMicros(used - spent),
    remaining_usd: usdFromMicros(Math.max(0, micros(cap) - used)),
  };
}

function providerStats(parts: StatsParts, zoned: (ms: number) => string): Record<string, ProviderStats> {
  const counted = parts.tally.providers();
  const providers: [string, ProviderStats][] = [];
  for (const [name, status] of parts.providers()) {
    const counts = counted.get(name);
    providers.push([
      name,
      {
        state: status.state,
        requests: counts?.requests ?? 0,
        errors: counts?.errors ?? 0,
        key: status.key,
        latency_ms: parts.tally.latency(name)?.percentiles() ?? { p50: null, p95: null, p99: null },
        limits: status.limits,
        waiting: status.waiting,
        backoff_until: status.backoffUntil,
        ...(status.server !== undefined && { server: { ...status.server, since: zoned(status.server.since) } }),
        ...(Object.keys(status.models ?? {}).length > 0 && { models: status.models }),
      },
    ]);
  }
  return Object.fromEntries(providers);
}

function modelStats(tally: Tally): Record<string, ModelStats> {
  const models: [string, ModelStats][] = [];
  for (const [name, counts] of tally.models()) {
    models.push([
      name,
      {
        requests: counts.requests,
        spent_usd: usdFromNanos(counts.spentNanos),
        input_tokens: counts.inputTokens,
        output_tokens: counts.outputTokens,
        ...(counts.reported > 0 && { price_drift: driftStats(counts.reportedNanos, counts.listedNanos) }),
      },
    ]);
  }
  return Object.fromEntries(models);
}

function driftStats(reported: Nanos, listed: Nanos): number | null {
  const share = driftOf(reported, listed);
  return Number.isFinite(share) ? Math.round(share * 10_000) / 10_000 : null;
}

function totalStats(tally: Tally, spentMicros: number): StatsDocument["totals"] {
  const { requests, cloud, local, savedNanos } = tally.totals();
  const served = cloud + local;
  return {
    requests,
    spent_usd: usdFromMicros(spentMicros),
    saved_usd: usdFromNanos(savedNanos),
    local_share: served === 0 ? 0 : Math.round((local / served) * 10_000) / 10_000,
  };
}

function micros(nanos: Nanos): number {
  return Math.round(nanos / 1_000);
}

function usdFromMicros(amount: number): number {
  return amount / 1_000_000;
}
