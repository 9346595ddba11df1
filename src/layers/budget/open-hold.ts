import type { Nanos } from "../../money.ts";
import type { Caps } from "../../request.ts";
import type { Book } from "./books.ts";
import type { Hold, HoldAsk, HoldEnd } from "./ledger.ts";
import type { HoldRow } from "./ledger-store.ts";
import type { WindowKeys } from "./windows.ts";

const dayMs = 24 * 3_600_000;

/** Who keeps the books of a hold. */
export interface HoldKeeper {
  extend(hold: OpenHold, nanos: Nanos): boolean;
  shrink(hold: OpenHold, nanos: Nanos): boolean;
  end(hold: OpenHold, ended: HoldEnd, nanos: Nanos, why: string): boolean;
}

/** A hold in memory; it is also the row that is written. */
export class OpenHold implements Hold, HoldRow {
  readonly id: number;
  readonly requestId: string;
  readonly attempt: number;
  readonly agent: string;
  readonly keys: WindowKeys;
  readonly candidate: string;
  readonly takenAt: number;
  /** Wall clock, milliseconds: what `expiresAt` was when it was last written. */
  deadline: number;
  /** Monotonic milliseconds after which it counts as forgotten. */
  expiresAt: number;
  readonly lifeMs: number;
  readonly facts: string | null;
  readonly caps: Caps;
  book: Book;
  /** Put aside now. */
  nanos: Nanos;
  granted: Nanos;
  /** It ended, or was never granted. */
  over = false;
  /** Its batch could not be written: it does not exist. */
  refused = false;
  /** Put aside beyond `nanos` for a process that draws from it while another one keeps the books. */
  ahead: Nanos = 0;
  /** Who keeps its books; another one after a hand-over. */
  keeper: HoldKeeper;

  constructor(
    keeper: HoldKeeper,
    id: number,
    ask: HoldAsk,
    keys: WindowKeys,
    book: Book,
    now: { readonly wall: number; readonly monotonic: number },
    facts: string | null,
  ) {
    this.keeper = keeper;
    this.id = id;
    this.requestId = ask.requestId;
    this.attempt = ask.attempt;
    this.agent = ask.agent;
    this.keys = keys;
    this.candidate = ask.candidate;
    this.takenAt = now.wall;
    this.lifeMs = ask.lifeMs ?? dayMs;
    this.deadline = now.wall + this.lifeMs;
    this.expiresAt = now.monotonic + this.lifeMs;
    this.facts = facts;
    this.caps = ask.caps;
    this.book = book;
    this.nanos = ask.nanos;
    this.granted = ask.nanos;
  }

  extend(nanos: Nanos): boolean {
    return this.keeper.extend(this, nanos);
  }

  shrink(nanos: Nanos): boolean {
    return this.keeper.shrink(this, nanos);
  }

  settle(nanos: Nanos, why: string): boolean {
    return this.keeper.end(this, "settled", nanos, why);
  }

  void(why: string): boolean {
    return this.keeper.end(this, "voided", 0, why);
  }
}
