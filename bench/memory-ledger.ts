// The books without their file: what the gateway would cost if a crash might forget what was spent. The same sums, checks
// and windows as the real ledger; nothing is written, and a hold is granted at once. For the benchmark alone.

import type { Clock } from "../src/clock.ts";
import type { Balances, Hold, HoldAsk, Ledger, LedgerHealth } from "../src/layers/budget/index.ts";
import { Books, give, roomIn, take } from "../src/layers/budget/books.ts";
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
    const book = this.#books.of(ask.agent, this.#windows.at(this.#clock.now()));
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
      settle: (nanos: Nanos) => end(nanos),
      void: () => end(0),
    });
  }

  room(agent: string, caps: Caps): Nanos {
    return roomIn(this.#books.of(agent, this.#windows.at(this.#clock.now())), caps);
  }

  balances(agent: string): Balances {
    const { day } = this.#books.of(agent, this.#windows.at(this.#clock.now()));
    return { spentNanos: day.spent, heldNanos: day.held };
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

  health(): LedgerHealth {
    return { fault: null, exceeded: 0, expired: 0, notes: [] };
  }

  async close(): Promise<void> {}
}
