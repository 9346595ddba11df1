// Who may spend what is decided here. A hold puts money aside before an attempt is sent; it ends by exactly one of
// `settle` (the real cost) and `void` (certainly not billed). Asynchronous where a store that replicas share needs it.

import type { Nanos } from "../../money.ts";
import type { Caps } from "../../request.ts";
import type { LedgerReport, LedgerRequest } from "./ledger-report.ts";

export interface HoldAsk {
  readonly requestId: string;
  /** Counts a request's attempts, from 1. */
  readonly attempt: number;
  readonly agent: string;
  readonly caps: Caps;
  /** The worst case; 0 for a free candidate. */
  readonly nanos: Nanos;
  readonly candidate: string;
  /**
   * Milliseconds after which an attempt has certainly ended; absent: a day. A hold that is still open then was forgotten:
   * it is charged in full and told. Each `extend` begins the time anew.
   */
  readonly lifeMs?: number;
  /** JSON text about the request, for its audit line should the process die. Called once a request, on its first hold. */
  readonly facts: () => string;
}

export interface Hold {
  /** Put aside now, nano-dollars. */
  readonly nanos: Nanos;
  /**
   * Puts more aside, at once, under the caps that the hold was taken with. False: no cap's room covers it, or the ledger
   * stands still; then nothing changed. The grant is on disk a moment later (one group commit): whoever draws must do so
   * ahead of what is spent, and at most that one grant is missing from the charge after a power cut.
   */
  extend(nanos: Nanos): boolean;
  /**
   * Gives back what will certainly not be needed, for others to use at once; a record of its own, on disk no later than any
   * hold that it made room for. False: the hold has ended, or is not that large; then nothing changed.
   */
  shrink(nanos: Nanos): boolean;
  /**
   * Ends the hold at its real cost, also above what was held (counted in `exceeded`). Takes effect at once, is on disk
   * shortly after. False: the hold had ended before, and nothing changed.
   */
  settle(nanos: Nanos, why: string): boolean;
  /** Ends the hold at no cost. Otherwise like `settle`. */
  void(why: string): boolean;
}

/** Nano-dollars of today's window. */
export interface Balances {
  readonly spentNanos: Nanos;
  readonly heldNanos: Nanos;
}

/** A request that was open when the process died. */
export interface OpenRequest {
  readonly requestId: string;
  readonly agent: string;
  readonly facts: string;
  /** What all its attempts cost; those that were open are charged in full. */
  readonly chargedNanos: Nanos;
  readonly attempts: readonly {
    readonly attempt: number;
    readonly candidate: string;
    readonly heldNanos: Nanos;
    readonly chargedNanos: Nanos;
    readonly ended: HoldEnd;
  }[];
}

/** How a hold ended; `crashed`: found open at start-up, `expired`: open past its deadline. Both are charged in full. */
export type HoldEnd = "settled" | "voided" | "crashed" | "expired";

export interface LedgerHealth {
  /** Why nothing is spent at present, and what to do; null: all is well. */
  readonly fault: string | null;
  /** Settlements above their hold since the start: a bound was wrong. */
  readonly exceeded: number;
  /** Holds that nobody ended before their deadline, since the start: a fault of the gateway. */
  readonly expired: number;
  /** What was odd since the start (a clock that was set, charges that were restored), newest last, a bounded list. */
  readonly notes: readonly string[];
}

/** A hold that outlives the process, or the opening of the file, that it was taken in: what no record holds. */
export interface HandedHold {
  readonly id: number;
  readonly requestId: string;
  readonly caps: Caps;
  readonly lifeMs: number;
}

/** What a process hands over with the books: requests that go on, and their open holds. */
export interface HandedBooks {
  readonly requests: readonly string[];
  readonly holds: readonly HandedHold[];
}

export interface Ledger {
  /**
   * Checks every cap and takes the money in one atomic step; the promise resolves when the hold is durable (at once
   * for 0). Null: some window's cap does not cover it, and nothing was taken. Rejects with a GatewayError BUDGET_LEDGER
   * while the ledger cannot be written.
   */
  hold(ask: HoldAsk): Promise<Hold | null>;
  /** What the tightest cap leaves now, possibly negative. A view: only `hold` decides. */
  room(agent: string, caps: Caps): Nanos;
  /** What the tightest cap would leave if no hold were open: what is beyond it stays refused, however long one waits. */
  unspent(agent: string, caps: Caps): Nanos;
  balances(agent: string): Balances;
  /** Of the present hour and month. */
  windowBalances(agent: string): { readonly hour: Balances; readonly month: Balances };
  /** Today by the budget's calendar, and when it ends (milliseconds since the epoch). */
  day(): { readonly key: string; readonly endsAt: number };
  /** IANA zone; counts from the next window on. Throws a RangeError for an unknown one. */
  setZone(zone: string): void;
  /** The request's audit line is durable: it needs no other after a crash. Unknown ids are ignored. */
  closeRequest(requestId: string): void;
  /** Requests that were open at the crash; each stays until `closeRequest`. */
  openRequests(): readonly OpenRequest[];
  /** Small texts that survive a restart; written along with the next batch. */
  saveCounters(key: string, json: string): void;
  /** By key. Only what was there at start-up and what was saved since. */
  loadCounters(prefix: string): ReadonlyMap<string, string>;
  /** The books on disk from this day on (`2026-11-23`), as of one moment, a batch behind at most. */
  report(sinceDay: string): LedgerReport;
  /** The charges of an agent's day that still stand one by one. */
  reportRequests(agent: string, day: string): readonly LedgerRequest[];
  health(): LedgerHealth;
  /** Writes what is left and lets go of the file. Holds that are still open are charged in full at the next start. */
  close(): Promise<void>;
}
