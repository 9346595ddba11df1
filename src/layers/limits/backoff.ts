// Staying away from a provider that asked for it: exactly as long as it said, or exponentially longer with full jitter
// (AWS Architecture Blog, "Exponential Backoff And Jitter"), so that many gateways do not come back in step.

import type { Random } from "../../clock.ts";
import { clampWait } from "./retry-after.ts";

export interface BackoffRange {
  readonly baseMs: number;
  readonly maxMs: number;
}

const defaultRange: BackoffRange = { baseMs: 500, maxMs: 8_000 };
/** 2^30 base delays are beyond any maximum; a larger exponent would only run towards Infinity. */
const MAX_DOUBLINGS = 30;
/** Accounts of passthrough callers come and go: the least recently refused one is forgotten first. */
const MAX_ACCOUNTS = 1_024;

/** Between 0 and min(maxMs, baseMs × 2^(failures−1)) milliseconds, uniformly. `failures` counts from 1. */
export function backoffDelayMs(failures: number, range: BackoffRange, random: Random): number {
  const doublings = Math.min(Math.max(failures - 1, 0), MAX_DOUBLINGS);
  return random.next() * Math.min(range.maxMs, range.baseMs * 2 ** doublings);
}

/** Until when each provider account is to be left alone. Times are monotonic milliseconds. */
export class Backoff {
  readonly #random: Random;
  readonly #accounts = new Map<string, { failures: number; untilMs: number }>();
  #ranges: ReadonlyMap<string, BackoffRange> = new Map();

  constructor(random: Random) {
    this.#random = random;
  }

  /** The range of each provider, by name. What is running keeps its end. */
  configure(ranges: ReadonlyMap<string, BackoffRange>): void {
    this.#ranges = ranges;
  }

  /** 0: may be asked now. */
  waitMs(account: string, nowMs: number): number {
    const state = this.#accounts.get(account);
    return state === undefined || state.untilMs <= nowMs ? 0 : state.untilMs - nowMs;
  }

  /**
   * The provider refused (429, 503, 529, 402). With `retryAfterMs` above 0: exactly that, at most 300 s. A wait of 0 does
   * not say when, so it is treated like none: else one header would switch the backoff off.
   */
  refused(account: string, provider: string, retryAfterMs: number | undefined, nowMs: number): void {
    const state = this.#accounts.get(account) ?? { failures: 0, untilMs: 0 };
    // Refusals that arrive while it is being left alone belong to requests sent before: one burst is one failure.
    if (state.untilMs <= nowMs) state.failures++;
    const asked = retryAfterMs === undefined ? 0 : clampWait(retryAfterMs);
    const delayMs =
      asked > 0 ? asked : backoffDelayMs(state.failures, this.#ranges.get(provider) ?? defaultRange, this.#random);
    state.untilMs = Math.max(state.untilMs, nowMs + delayMs);
    this.#accounts.delete(account);
    this.#accounts.set(account, state);
    if (this.#accounts.size > MAX_ACCOUNTS) this.#forgetOldest();
  }

  /** An answer came through. One that was sent before the refusal and ends during the wait does not shorten it. */
  succeeded(account: string, nowMs: number): void {
    const state = this.#accounts.get(account);
    if (state !== undefined && state.untilMs <= nowMs) this.#accounts.delete(account);
  }

  #forgetOldest(): void {
    for (const account of this.#accounts.keys()) {
      this.#accounts.delete(account);
      return;
    }
  }
}
