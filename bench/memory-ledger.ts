// The books without their file: what the gateway would cost if a crash might forget what was spent. The same sums, checks
// and windows as the real ledger; nothing is written, and a hold is granted at once. For the benchmark alone.

import type { Clock } from "../src/clock.ts";
import type { Balances, Hold, HoldAsk, Ledger, LedgerHealth, LedgerReport } from "../src/layers/budget/index.ts";
import { type Balance, type Book, Books, give, roomIn, take, unspentIn } from "../src/layers/budget/books.ts";
import { Windows } from "../src/layers/budget/windows.ts";
import type { Nanos } from "../src/money.ts";
import type { Caps } from "../src/request.ts";

export interface MemoryLedgerOptions {
  /** IANA zone. */
  readonly timezone: string;
  readonly clock: Clock;
}

export function openMemoryLedger(options: MemoryLedgerOptions): Ledger {
  return new MemoryLedger(options);
}

class MemoryLedger implements Ledger {
  readonly #clock: Clock;
  readonly #windows: Windows;
  readonly #books = new Books(() => 0);
  readonly #counters = new Map<string, string>();

  constructor({ clock, timezone }: MemoryLedgerOptions) {
    this.#clock = clock;
    this.#windows = new Windows(timezone);
  }

  hold(ask: HoldAsk): Promise<Hold | null> {
    const book = this.#bookOf(ask.agent);
    if (!take(book, ask.caps, ask.nanos)) return Promise.resolve(null);
    let held = ask.nanos;
    let over = false;
    const end = (nanos: Nanos): boolean => {
      if (over) return false;
      over = true;
      give(book, held, nanos);
      return true;
    };
    return Promise.resolve({
      get nanos(): Nanos {
        return held;
      },
      extend(nanos: Nanos): boolean {
        if (over || !take(book, ask.caps, nanos)) return false;
        held += nanos;
        return true;
      },
      shrink(nanos: Nanos): boolean {
        if (over || nanos <= 0 || nanos > held) return false;
        held -= nanos;
        give(book, nanos, 0);
        return true;
      },
      settle: (nanos: Nanos) => end(nanos),
      void: () => end(0),
    });
  }

  room(agent: string, caps: Caps): Nanos {
    return roomIn(this.#bookOf(agent), caps);
  }

  unspent(agent: string, caps: Caps): Nanos {
    return unspentIn(this.#bookOf(agent), caps);
  }

  balances(agent: string): Balances {
    return balancesOf(this.#bookOf(agent).day);
  }

  windowBalances(agent: string): { readonly hour: Balances; readonly month: Balances } {
    const { hour, month } = this.#bookOf(agent);
    return { hour: balancesOf(hour), month: balancesOf(month) };
  }

  day(): { readonly key: string; readonly endsAt: number } {
    const { day } = this.#windows.at(this.#clock.now());
    return { key: day, endsAt: this.#windows.dayEndsAt };
  }

  setZone(zone: string): void {
    this.#windows.setZone(zone);
  }

  closeRequest(): void {}

  openRequests(): readonly [] {
    return [];
  }

  saveCounters(key: string, json: string): void {
    this.#counters.set(key, json);
  }

  loadCounters(prefix: string): ReadonlyMap<string, string> {
    return new Map([...this.#counters].filter(([key]) => key.startsWith(prefix)));
  }

  report(): LedgerReport {
    return { days: [], open: [] };
  }

  reportRequests(): readonly [] {
    return [];
  }

  health(): LedgerHealth {
    return { fault: null, exceeded: 0, expired: 0, notes: [] };
  }

  async close(): Promise<void> {}

  #bookOf(agent: string): Book {
    return this.#books.of(agent, this.#windows.at(this.#clock.now()));
  }
}

function balancesOf({ spent, held }: Balance): Balances {
  return { spentNanos: spent, heldNanos: held };
}
