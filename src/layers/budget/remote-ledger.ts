// The ledger of a process whose books another one keeps: what it does to its holds is told to that one, in order. What must
// be decided at once is decided from what lies ahead of each hold; new holds wait for the answer.

import type { Clock } from "../../clock.ts";
import { GatewayError } from "../../errors.ts";
import type { Nanos } from "../../money.ts";
import type { Caps } from "../../request.ts";
import { Balance, type Book, roomIn, unspentIn } from "./books.ts";
import type { Balances, Hold, HoldAsk, HoldEnd, Ledger, LedgerHealth, OpenRequest } from "./ledger.ts";
import type { LedgerReport } from "./ledger-report.ts";
import { type HoldKeeper, OpenHold } from "./open-hold.ts";
import { type WindowKeys, Windows } from "./windows.ts";

/** What is told, as plain data. */
export type LedgerErrand =
  | { readonly do: "hold"; readonly ask: Omit<HoldAsk, "facts"> & { readonly facts: string } }
  | { readonly do: "ahead"; readonly hold: number; readonly nanos: Nanos }
  | { readonly do: "shrink"; readonly hold: number; readonly nanos: Nanos }
  | { readonly do: "end"; readonly hold: number; readonly ended: HoldEnd; readonly nanos: Nanos; readonly why: string }
  | { readonly do: "close"; readonly request: string };

/** The answer to `hold`; null: no cap covers it. */
export interface GrantedHold {
  readonly id: number;
  readonly keys: WindowKeys;
}

/** An agent's balances as the keeper of the books saw them last. */
export interface BalanceView {
  readonly day: Balances;
  readonly hour: Balances;
  readonly month: Balances;
}

export interface RemoteLedgerParts {
  readonly clock: Clock;
  readonly timezone: string;
  /**
   * Resolves with the answer when what was told is on disk. Rejects where nobody keeps the books any more. `ahead` is
   * answered with what was granted, `hold` with a GrantedHold or null.
   */
  readonly tell: (errand: LedgerErrand) => Promise<unknown>;
  /** Who keeps the books after `tell` has rejected with a BooksReturned. */
  readonly returned: () => Pick<Ledger, "hold">;
}

/** The books are in this process: what was asked for is to be asked there. */
export class BooksReturned extends Error {
  override readonly name = "BooksReturned";
}

const none: Balances = { spentNanos: 0, heldNanos: 0 };
const noKeys: WindowKeys = { day: "", hour: "", month: "" };

export class RemoteLedger implements Ledger, HoldKeeper {
  readonly #parts: RemoteLedgerParts;
  readonly #windows: Windows;
  readonly #views = new Map<string, BalanceView>();
  readonly #live = new Set<OpenHold>();
  /** Holds for which more is on its way. */
  readonly #asked = new Set<OpenHold>();

  constructor(parts: RemoteLedgerParts) {
    this.#parts = parts;
    this.#windows = new Windows(parts.timezone);
  }

  /** Holds of this process that have not ended. */
  get live(): ReadonlySet<OpenHold> {
    return this.#live;
  }

  /** Takes over holds that were taken while this process kept the books itself. */
  adopt(holds: Iterable<OpenHold>): void {
    for (const hold of holds) this.#live.add(hold);
  }

  /** What the keeper of the books says of these agents. */
  see(views: Iterable<readonly [agent: string, view: BalanceView]>): void {
    for (const [agent, view] of views) this.#views.set(agent, view);
  }

  /** Of whom it wants to know. */
  agents(): string[] {
    return [...this.#views.keys()];
  }

  async hold(ask: HoldAsk): Promise<Hold | null> {
    if (!this.#views.has(ask.agent)) this.#views.set(ask.agent, { day: none, hour: none, month: none });
    let answer: unknown;
    try {
      answer = await this.#parts.tell({ do: "hold", ask: { ...ask, facts: ask.facts() } });
    } catch (cause) {
      if (cause instanceof BooksReturned) return this.#parts.returned().hold(ask);
      throw new GatewayError("BUDGET_LEDGER", { cause });
    }
    if (answer === null) return null;
    const { id, keys } = answer as GrantedHold;
    const { clock } = this.#parts;
    const moment = { wall: clock.now(), monotonic: clock.monotonic() };
    const hold = new OpenHold(this, id, ask, keys, this.#book(ask.agent), moment, null);
    this.#live.add(hold);
    return hold;
  }

  extend(hold: OpenHold, nanos: Nanos): boolean {
    if (hold.over || !Number.isSafeInteger(nanos) || nanos < 0) return false;
    const covered = nanos <= hold.ahead;
    if (covered) {
      hold.ahead -= nanos;
      hold.nanos += nanos;
    }
    // More is asked for before it is needed: a stream does not wait for an answer.
    if (hold.ahead < 2 * nanos) this.#askAhead(hold, 4 * nanos);
    return covered;
  }

  shrink(hold: OpenHold, nanos: Nanos): boolean {
    if (hold.over || !Number.isSafeInteger(nanos) || nanos <= 0 || nanos > hold.nanos) return false;
    hold.nanos -= nanos;
    this.#tell({ do: "shrink", hold: hold.id, nanos });
    return true;
  }

  end(hold: OpenHold, ended: HoldEnd, nanos: Nanos, why: string): boolean {
    if (hold.over) return false;
    hold.over = true;
    this.#live.delete(hold);
    this.#tell({ do: "end", hold: hold.id, ended, nanos, why });
    return true;
  }

  room(agent: string, caps: Caps): Nanos {
    return roomIn(this.#book(agent), caps);
  }

  unspent(agent: string, caps: Caps): Nanos {
    return unspentIn(this.#book(agent), caps);
  }

  balances(agent: string): Balances {
    return this.#views.get(agent)?.day ?? none;
  }

  windowBalances(agent: string): { readonly hour: Balances; readonly month: Balances } {
    const view = this.#views.get(agent);
    return { hour: view?.hour ?? none, month: view?.month ?? none };
  }

  day(): { readonly key: string; readonly endsAt: number } {
    const { day } = this.#windows.at(this.#parts.clock.now());
    return { key: day, endsAt: this.#windows.dayEndsAt };
  }

  setZone(zone: string): void {
    this.#windows.setZone(zone);
  }

  closeRequest(requestId: string): void {
    this.#tell({ do: "close", request: requestId });
  }

  openRequests(): readonly OpenRequest[] {
    return [];
  }

  /** The counters are kept where the books are. */
  saveCounters(): void {}

  loadCounters(): ReadonlyMap<string, string> {
    return new Map();
  }

  report(): LedgerReport {
    throw new GatewayError("BUDGET_LEDGER");
  }

  reportRequests(): never {
    throw new GatewayError("BUDGET_LEDGER");
  }

  health(): LedgerHealth {
    return { fault: null, exceeded: 0, expired: 0, notes: [] };
  }

  async close(): Promise<void> {}

  #tell(errand: LedgerErrand): void {
    // Where nobody keeps the books any more, they were closed as after a crash: there is nothing left to tell.
    this.#parts.tell(errand).catch(() => undefined);
  }

  #askAhead(hold: OpenHold, nanos: Nanos): void {
    if (this.#asked.has(hold)) return;
    this.#asked.add(hold);
    const granted = this.#parts.tell({ do: "ahead", hold: hold.id, nanos }).catch(() => 0);
    void granted.then((more) => {
      this.#asked.delete(hold);
      if (typeof more === "number" && !hold.over) hold.ahead += more;
    });
  }

  #book(agent: string): Book {
    const view = this.#views.get(agent);
    const balance = ({ spentNanos, heldNanos }: Balances): Balance => {
      const made = new Balance(noKeys.day, spentNanos);
      made.held = heldNanos;
      return made;
    };
    return { day: balance(view?.day ?? none), hour: balance(view?.hour ?? none), month: balance(view?.month ?? none) };
  }
}
