import type { Clock, Random } from "../../clock.ts";
import type { Provider } from "../../request.ts";
import { Backoff } from "./backoff.ts";
import type { BreakerState } from "./breaker.ts";
import { Breakers } from "./breakers.ts";
import { MemoryQuota, type MemoryQuotaParts } from "./quota.ts";
import type { QuotaStatuses } from "./quota-status.ts";
import { modelsOf } from "./rest-key.ts";
import { RetryBudget } from "./retry-budget.ts";

/** One provider for `/stats`. */
export interface LimitsStatus {
  readonly state: BreakerState;
  /** ISO 8601: until when it, or else the model of it that rests longest, is left alone. */
  readonly backoff_until: string | null;
  readonly limits: QuotaStatuses;
  /** Requests that stand in line. */
  readonly waiting: number;
  /** The models that are left alone, by the provider's own names. */
  readonly models: Readonly<Record<string, ModelLimitsStatus>>;
}

export interface ModelLimitsStatus {
  readonly state: BreakerState;
  readonly backoff_until: string | null;
}

/** What `pace` works with, for all providers. One per process: it outlives configurations. */
export class Limits {
  readonly clock: Clock;
  readonly quota: MemoryQuota;
  readonly backoff: Backoff;
  readonly breakers: Breakers;
  readonly retries: RetryBudget;

  constructor(parts: MemoryQuotaParts & { readonly random: Random }) {
    this.clock = parts.clock;
    this.quota = new MemoryQuota(parts);
    this.backoff = new Backoff(parts.random);
    this.breakers = new Breakers(parts.clock);
    this.retries = new RetryBudget(parts.clock);
  }

  /** Adopts the limits of a new configuration. Buckets, breakers and backoff of providers that remain go on as they were. */
  configure(providers: Iterable<Provider>): void {
    const all = [...providers];
    this.quota.configure(new Map(all.map((p) => [p.name, p.limits])));
    this.backoff.configure(new Map(all.map((p) => [p.name, p.retry])));
    this.breakers.configure(all);
    this.retries.configure(all.map(({ name }) => name));
  }

  /** A provider that was away was seen to be back. */
  returned(provider: string): void {
    this.breakers.forgive(provider);
  }

  status(provider: string): LimitsStatus {
    const now = this.clock.monotonic();
    const wall = this.clock.now();
    const iso = (untilMs: number): string => new Date(wall + untilMs - now).toISOString();
    const resting = [...this.backoff.resting(modelsOf(provider), now)];
    const models: Record<string, { state: BreakerState; backoff_until: string | null }> = {};
    for (const [model, untilMs] of resting) models[model] = { state: "closed", backoff_until: iso(untilMs) };
    for (const [model, state] of this.breakers.openModels(provider)) {
      models[model] = { state, backoff_until: models[model]?.backoff_until ?? null };
    }
    const longest = resting.length === 0 ? undefined : Math.max(...resting.map(([, untilMs]) => untilMs));
    const untilMs = this.backoff.untilMs(provider, now) ?? longest;
    return {
      state: this.breakers.state(provider),
      backoff_until: untilMs === undefined ? null : iso(untilMs),
      limits: this.quota.status(provider),
      waiting: this.quota.waiting(provider),
      models,
    };
  }
}
