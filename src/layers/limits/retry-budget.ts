// The second tries that a provider may be burdened with: a tenth of its first ones, so that its trouble does not grow by ours
// (Google, "Site Reliability Engineering", ch. 21; Finagle's and Envoy's retry budgets).

import type { Clock } from "../../clock.ts";

/** A tenth, in whole numbers. */
const FIRSTS_PER_RETRY = 10;
/** A lone user gets a second try, too. */
const FLOOR = 3;
const SLOTS = 10;
const SLOT_MS = 1_000;

/** Sliding windows of ten seconds, by provider; outlives configurations. */
export class RetryBudget {
  readonly #clock: Clock;
  readonly #windows = new Map<string, Window>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Providers that are gone are forgotten. */
  configure(names: readonly string[]): void {
    const kept = new Set(names);
    for (const name of this.#windows.keys()) if (!kept.has(name)) this.#windows.delete(name);
  }

  /** A candidate of this provider was asked for the first time in a request. */
  asked(provider: string): void {
    this.#window(provider).add("firsts", this.#slot());
  }

  /** False: the provider has had its share of second tries. True: one of them is taken. */
  take(provider: string): boolean {
    const window = this.#window(provider);
    const slot = this.#slot();
    const most = Math.max(FLOOR, Math.floor(window.sum("firsts", slot) / FIRSTS_PER_RETRY));
    if (window.sum("retries", slot) >= most) return false;
    window.add("retries", slot);
    return true;
  }

  #slot(): number {
    return Math.floor(this.#clock.monotonic() / SLOT_MS);
  }

  #window(provider: string): Window {
    let window = this.#windows.get(provider);
    if (window === undefined) {
      window = new Window();
      this.#windows.set(provider, window);
    }
    return window;
  }
}

/** A ring of seconds; one that has come round since is begun anew. */
class Window {
  readonly #slotOf = new Float64Array(SLOTS).fill(-1);
  readonly #counts = { firsts: new Int32Array(SLOTS), retries: new Int32Array(SLOTS) };

  add(what: "firsts" | "retries", slot: number): void {
    const at = slot % SLOTS;
    if (this.#slotOf[at] !== slot) {
      this.#slotOf[at] = slot;
      this.#counts.firsts[at] = 0;
      this.#counts.retries[at] = 0;
    }
    this.#counts[what][at]!++;
  }

  sum(what: "firsts" | "retries", slot: number): number {
    let sum = 0;
    for (let at = 0; at < SLOTS; at++) if (this.#slotOf[at]! > slot - SLOTS) sum += this.#counts[what][at]!;
    return sum;
  }
}
