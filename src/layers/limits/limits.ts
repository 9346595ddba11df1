import type { Clock, Random } from "../../clock.ts";
import type { Provider } from "../../request.ts";
import { Backoff } from "./backoff.ts";
import { MemoryBreaker, type BreakerState } from "./breaker.ts";
import { MemoryQuota, type MemoryQuotaParts } from "./quota.ts";
import type { QuotaStatuses } from "./quota-status.ts";

/** One provider for `/stats`. */
export interface LimitsStatus {
  readonly state: BreakerState;
  /** ISO 8601. */
  readonly backoff_until: string | null;
  readonly limits: QuotaStatuses;
  /** Requests that stand in line. */
  readonly waiting: number;
}

/** What `pace` works with, for all providers. One per process: it outlives configurations. */
export class Limits {
  readonly clock: Clock;
  readonly quota: MemoryQuota;
  readonly backoff: Backoff;
  readonly breakers: { of(provider: string): MemoryBreaker };
  readonly #breakers = new Map<string, MemoryBreaker>();

  constructor(parts: MemoryQuotaParts & { readonly random: Random }) {
    this.clock = parts.clock;
    this.quota = new MemoryQuota(parts);
    this.backoff = new Backoff(parts.random);
    this.breakers = { of: (provider) => this.#breaker(provider, false) };
  }

  /** Adopts the limits of a new configuration. Buckets, breakers and backoff of providers that remain go on as they were. */
  configure(providers: Iterable<Provider>): void {
    const all = [...providers];
    this.quota.configure(new Map(all.map((p) => [p.name, p.limits])));
    this.backoff.configure(new Map(all.map((p) => [p.name, p.retry])));
    const names = new Set(all.map((p) => p.name));
    for (const name of this.#breakers.keys()) if (!names.has(name)) this.#breakers.delete(name);
    for (const { name, local } of all) this.#breaker(name, local).setLocal(local);
  }

  /** A provider that was away was seen to be back. */
  returned(provider: string): void {
    this.#breakers.get(provider)?.forgive();
  }

  status(provider: string): LimitsStatus {
    const waitMs = this.backoff.waitMs(provider, this.clock.monotonic());
    return {
      state: this.#breakers.get(provider)?.state ?? "closed",
      backoff_until: waitMs > 0 ? new Date(this.clock.now() + waitMs).toISOString() : null,
      limits: this.quota.status(provider),
      waiting: this.quota.waiting(provider),
    };
  }

  #breaker(provider: string, local: boolean): MemoryBreaker {
    const known = this.#breakers.get(provider);
    if (known !== undefined) return known;
    const breaker = new MemoryBreaker(this.clock, local);
    this.#breakers.set(provider, breaker);
    return breaker;
  }
}
