// Staying away from a provider that asked for it: exactly as long as it said, or exponentially longer with full jitter
// (AWS Architecture Blog, "Exponential Backoff And Jitter"), so that many gateways do not come back in step.

import type { Random } from "../../clock.ts";
import { clampWait, MAX_WAIT_MS } from "./retry-after.ts";

export interface BackoffRange {
  readonly baseMs: number;
  readonly maxMs: number;
}

const defaultRange: BackoffRange = { baseMs: 500, maxMs: 8_000 };
/** 2^30 base delays are beyond any maximum; a larger exponent would only run towards Infinity. */
const MAX_DOUBLINGS = 30;
/** Accounts of passthrough callers come and go: the least recently refused one is forgotten first. */
const MAX_ACCOUNTS = 1_024;
/** Credit that is used up comes back with the next month, or when somebody pays. */
const MAX_EXHAUSTED_MS = 32 * 86_400_000;

/** Between 0 and min(maxMs, baseMs × 2^(failures−1)) milliseconds, uniformly. `failures` counts from 1. */
export function backoffDelayMs(failures: number, range: BackoffRange, random: Random): number {
  const doublings = Math.min(Math.max(failures - 1, 0), MAX_DOUBLINGS);
  return random.next() * Math.min(range.maxMs, range.baseMs * 2 ** doublings);
}

interface Rest {
  failures: number;
  untilMs: number;
  /** The provider does not have it. */
  gone: boolean;
  /** Credit or quota is used up; null: it is only backing off. */
  exhausted: {
    /** When one request may find out whether that is still so. */
    findOutAtMs: number;
    /** Nobody said until when. */
    readonly openEnd: boolean;
  } | null;
}

/**
 * Until when each provider account, and each model of one, is to be left alone. Times are monotonic milliseconds. Who is
 * left alone longer than five minutes is asked by one request every five minutes: what is said once must not lock it out,
 * and who pays meanwhile is served.
 */
export class Backoff {
  readonly #random: Random;
  readonly #accounts = new Map<string, Rest>();
  #ranges: ReadonlyMap<string, BackoffRange> = new Map();

  constructor(random: Random) {
    this.#random = random;
  }

  /** The range of each provider, by name. What is running keeps its end. */
  configure(ranges: ReadonlyMap<string, BackoffRange>): void {
    this.#ranges = ranges;
  }

  /** Nobody has refused of late. */
  get isEmpty(): boolean {
    return this.#accounts.size === 0;
  }

  /** 0: may be asked now. */
  waitMs(account: string, nowMs: number): number {
    const rest = this.#accounts.get(account);
    return rest === undefined ? 0 : Math.max(0, (rest.exhausted?.findOutAtMs ?? rest.untilMs) - nowMs);
  }

  /** Until when it is left alone, probes apart; undefined: it is not. */
  untilMs(account: string, nowMs: number): number | undefined {
    const untilMs = this.#accounts.get(account)?.untilMs;
    return untilMs !== undefined && untilMs > nowMs ? untilMs : undefined;
  }

  /** Its credit or quota is used up, as far as anybody knows. */
  isExhausted(account: string, nowMs: number): boolean {
    const rest = this.#accounts.get(account);
    return rest !== undefined && rest.exhausted !== null && (rest.exhausted.openEnd || rest.untilMs > nowMs);
  }

  /** It is left alone because its provider does not have it. */
  isGone(account: string): boolean {
    return this.#accounts.get(account)?.gone === true;
  }

  /** Its provider does not have it. */
  gone(account: string, restMs: number, nowMs: number): void {
    this.#keep(account, { failures: 0, untilMs: nowMs + clampWait(restMs), gone: true, exhausted: null });
  }

  /**
   * Somebody who did not have to wait is about to ask. True: it is the one who finds out whether the account is still
   * exhausted; others wait for another five minutes. It tells by `succeeded`, `exhausted`, or `foundNothing`.
   */
  enter(account: string, nowMs: number): boolean {
    const rest = this.#accounts.get(account);
    if (rest === undefined || rest.exhausted === null || !this.isExhausted(account, nowMs)) return false;
    const { exhausted } = rest;
    if (exhausted.openEnd) rest.untilMs = nowMs + MAX_WAIT_MS;
    exhausted.findOutAtMs = Math.min(nowMs + MAX_WAIT_MS, rest.untilMs);
    return true;
  }

  /** The one who was to find out never asked. */
  foundNothing(account: string, nowMs: number): void {
    const exhausted = this.#accounts.get(account)?.exhausted;
    if (exhausted !== undefined && exhausted !== null) exhausted.findOutAtMs = nowMs;
  }

  /** Credit or quota is used up. `regainMs`: for how long, as it was told. */
  exhausted(account: string, regainMs: number | undefined, nowMs: number): void {
    const failures = this.#accounts.get(account)?.failures ?? 0;
    const restMs = Math.min(Math.max(regainMs ?? MAX_WAIT_MS, 0), MAX_EXHAUSTED_MS);
    const findOutAtMs = nowMs + Math.min(restMs, MAX_WAIT_MS);
    const openEnd = regainMs === undefined;
    this.#keep(account, { failures, untilMs: nowMs + restMs, gone: false, exhausted: { findOutAtMs, openEnd } });
  }

  /** Somebody has repaired it: a new key, or a new configuration. */
  forgive(provider: string): void {
    for (const account of this.#accounts.keys()) {
      if (account === provider || account.startsWith(`${provider}\n`)) this.#accounts.delete(account);
    }
  }

  /** Those that begin so and are left alone, without this beginning. */
  *resting(prefix: string, nowMs: number): Generator<readonly [name: string, untilMs: number]> {
    for (const [account, { untilMs }] of this.#accounts) {
      if (account.startsWith(prefix) && untilMs > nowMs) yield [account.slice(prefix.length), untilMs];
    }
  }

  /**
   * The provider refused (429, 503, 529, 402). With `retryAfterMs` above 0: exactly that, at most 300 s. A wait of 0 does
   * not say when, so it is treated like none: else one header would switch the backoff off.
   */
  refused(account: string, provider: string, retryAfterMs: number | undefined, nowMs: number): void {
    const state = this.#accounts.get(account) ?? { failures: 0, untilMs: 0, gone: false, exhausted: null };
    state.gone = false;
    // Refusals that arrive while it is being left alone belong to requests sent before: one burst is one failure.
    if (state.untilMs <= nowMs) state.failures++;
    const asked = retryAfterMs === undefined ? 0 : clampWait(retryAfterMs);
    const delayMs =
      asked > 0 ? asked : backoffDelayMs(state.failures, this.#ranges.get(provider) ?? defaultRange, this.#random);
    state.untilMs = Math.max(state.untilMs, nowMs + delayMs);
    this.#keep(account, state);
  }

  /**
   * An answer came through. One that was sent before the refusal and ends during the wait does not shorten it; the one who
   * was to find out (`enter`) ends it.
   */
  succeeded(account: string, nowMs: number, foundOut = false): void {
    const state = this.#accounts.get(account);
    if (state !== undefined && (foundOut || state.untilMs <= nowMs)) this.#accounts.delete(account);
  }

  #keep(account: string, rest: Rest): void {
    this.#accounts.delete(account);
    this.#accounts.set(account, rest);
    if (this.#accounts.size > MAX_ACCOUNTS) this.#forgetOldest();
  }

  #forgetOldest(): void {
    for (const account of this.#accounts.keys()) {
      this.#accounts.delete(account);
      return;
    }
  }
}
