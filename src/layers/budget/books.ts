// Balances in memory: one book an agent, with its current day, hour and month. Everything here is synchronous, so that
// checking a cap and taking the money is one step that nothing can come between.

import type { Nanos } from "../../money.ts";
import type { Caps } from "../../request.ts";
import type { WindowKeys } from "./windows.ts";

export class Balance {
  readonly key: string;
  spent: Nanos = 0;
  held: Nanos = 0;

  constructor(key: string, spent: Nanos) {
    this.key = key;
    this.spent = spent;
  }

  room(cap: Nanos): Nanos {
    return cap - this.spent - this.held;
  }
}

/** The three windows that a hold belongs to, for good: also when it ends after midnight. */
export interface Book {
  readonly day: Balance;
  readonly hour: Balance;
  readonly month: Balance;
}

/** A sum went where none may go: the code is wrong, and nothing may be spent until someone has looked. */
export class LedgerBreach extends Error {
  override readonly name = "LedgerBreach";
}

export class Books {
  readonly #books = new Map<string, Book>();
  readonly #spentBefore: (agent: string, window: string) => Nanos;

  /** `spentBefore`: what the records say was spent in a window before this process began. */
  constructor(spentBefore: (agent: string, window: string) => Nanos) {
    this.#spentBefore = spentBefore;
  }

  /** The agent's book for these windows; a window that passed makes room for a fresh one. */
  of(agent: string, keys: WindowKeys): Book {
    const book = this.#books.get(agent);
    if (book !== undefined && book.hour.key === keys.hour && book.day.key === keys.day) return book;
    const next = {
      day: this.#keep(agent, book?.day, keys.day),
      hour: this.#keep(agent, book?.hour, keys.hour),
      month: this.#keep(agent, book?.month, keys.month),
    };
    this.#books.set(agent, next);
    return next;
  }

  /** A book of windows that may be over: those that are not share their balances with the agent's present book. */
  past(agent: string, keys: WindowKeys): Book {
    const now = this.#books.get(agent);
    return {
      day: this.#keep(agent, now?.day, keys.day),
      hour: this.#keep(agent, now?.hour, keys.hour),
      month: this.#keep(agent, now?.month, keys.month),
    };
  }

  /** Each agent's book as it is, which may be of windows that are over. */
  all(): ReadonlyMap<string, Book> {
    return new Map(this.#books);
  }

  #keep(agent: string, current: Balance | undefined, key: string): Balance {
    return current?.key === key ? current : new Balance(key, this.#spentBefore(agent, key));
  }
}

/** What the tightest of the caps leaves; may be negative where a cap was lowered. */
export function roomIn(book: Book, caps: Caps): Nanos {
  let room = book.day.room(caps.daily);
  if (caps.hourly !== undefined) room = Math.min(room, book.hour.room(caps.hourly));
  if (caps.monthly !== undefined) room = Math.min(room, book.month.room(caps.monthly));
  return room;
}

/** What the tightest of the caps leaves beside what was spent. */
export function unspentIn(book: Book, caps: Caps): Nanos {
  let left = caps.daily - book.day.spent;
  if (caps.hourly !== undefined) left = Math.min(left, caps.hourly - book.hour.spent);
  if (caps.monthly !== undefined) left = Math.min(left, caps.monthly - book.month.spent);
  return left;
}

/** Takes `nanos` if every cap covers it. Throws a LedgerBreach where the sums do not bear the decision out. */
export function take(book: Book, caps: Caps, nanos: Nanos): boolean {
  if (!Number.isSafeInteger(nanos) || nanos < 0) throw new LedgerBreach("a hold is not a whole amount");
  if (nanos === 0) return true;
  // Written so that a cap that is not a number refuses.
  if (!(roomIn(book, caps) >= nanos)) return false;
  move(book, nanos, 0);
  if (!(roomIn(book, caps) >= 0)) throw new LedgerBreach("spent and held exceed a cap after an admission");
  return true;
}

/** Turns what was held into what was spent. */
export function give(book: Book, held: Nanos, spent: Nanos): void {
  if (!Number.isSafeInteger(spent) || spent < 0) throw new LedgerBreach("a charge is not a whole amount");
  move(book, -held, spent);
}

function move(book: Book, held: Nanos, spent: Nanos): void {
  add(book.day, held, spent);
  add(book.hour, held, spent);
  add(book.month, held, spent);
}

function add(balance: Balance, held: Nanos, spent: Nanos): void {
  balance.held += held;
  balance.spent += spent;
  if (balance.held < 0 || balance.spent > Number.MAX_SAFE_INTEGER) {
    throw new LedgerBreach("a balance left the range it can have");
  }
}
