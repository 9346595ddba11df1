// One quota as its provider tells it, carried on between two answers: what was sent since counts, and what comes back with
// time does.

import type { Reading } from "./quota-headers.ts";
import { MAX_WAIT_MS } from "./retry-after.ts";

/** A count of 0 that does not say until when is believed for this long. */
const UNTOLD_RESET_MS = 1_000;
/** Windows of which only the end was told. */
const USUAL_WINDOW_MS = 60_000;
const MS_PER_MINUTE = 60_000;
/** Who waited as long as it was told must not be sent away for what a double can't hold. */
const ROUNDING = 1e-6;
/** The part of a quota that is kept for those who have had little of it. */
export const KEPT_SHARE = 0.25;
/** The same where nothing comes back before the reset: what is gone is gone for all. */
const KEPT_SHARE_OF_WINDOW = 0.5;

/** All times are monotonic milliseconds. */
export class ToldQuota {
  /** The attempt that told it, by its number: older ones are not listened to. */
  asOf = 0;
  /** What it said was left. */
  wasTold = 0;
  /** How much of what is not left may be left after all: it was sent a moment before, and has no answer yet. */
  doubt = 0;
  #limit: number | undefined;
  /** Negative: more was sent than remained. */
  #level = 0;
  /** What was sent since somebody told: it may count in this window or in the next. */
  #untold = 0;
  #seenMs = 0;
  #perMs = 0;
  #resetsAtMs = 0;
  #windowMs = USUAL_WINDOW_MS;
  /** From then on one request finds out, whatever was told. */
  #believedUntilMs = 0;
  /** When the next one has its turn of those who have had much, where what is left is spread over the window. */
  #turnAtMs = 0;

  /**
   * `sentSince`: what was sent after the attempt that tells this, which it can't know of. `doubt`: what was sent just before
   * it, of which it may not know.
   */
  tell(reading: Reading, sentSince: number, doubt: number, attempt: number, nowMs: number): void {
    this.asOf = attempt;
    this.wasTold = reading.remaining;
    this.#limit = reading.limit;
    this.doubt = doubt;
    this.#level = reading.remaining - sentSince - doubt;
    this.#untold = sentSince + doubt;
    this.#seenMs = nowMs;
    this.#perMs = reading.perMs;
    this.#resetsAtMs = nowMs + (reading.resetMs ?? UNTOLD_RESET_MS);
    this.#windowMs = Math.max(reading.windowMs ?? USUAL_WINDOW_MS, UNTOLD_RESET_MS);
    this.#believedUntilMs = nowMs + MAX_WAIT_MS;
  }

  get limit(): number | undefined {
    return this.#limit;
  }

  /**
   * Until `need` is there after `ahead` have been served; 0: now. `reserved` will be used by what runs. `kept`: the asking
   * agent has had much, and others take this part of the quota in a minute (null: it has not). Then it leaves the last
   * quarter to others until more is there, or, where nothing comes back before the reset, has its turn in even steps until
   * then, with what the others will take left out; there also where it is alone (0), with what is left of the last quarter.
   */
  waitMs(need: number, ahead: number, reserved: number, kept: number | null, nowMs: number): number {
    this.#advance(nowMs);
    if (nowMs >= this.#believedUntilMs) return 0;
    const limit = this.#limit;
    const level = this.#level - ahead - reserved;
    const wanted = this.clamp(need);
    let waitMs: number;
    if (limit === undefined || this.#perMs === 0) {
      waitMs =
        level < wanted
          ? this.#windowsMs(wanted - level, nowMs)
          : kept === null ||
              limit === undefined ||
              level - wanted >= limit * (kept > 0 ? KEPT_SHARE_OF_WINDOW : KEPT_SHARE)
            ? 0
            : this.#turnMs(wanted, ahead, kept, nowMs);
    } else {
      // More than a full bucket would never be there.
      const lacking =
        Math.min(wanted + (kept !== null && kept > 0 ? limit * KEPT_SHARE : 0), Math.max(limit, wanted)) - level;
      waitMs = lacking <= ROUNDING ? 0 : lacking / this.#perMs;
    }
    return Math.min(waitMs, this.#believedUntilMs - nowMs);
  }

  take(need: number, kept: number | null, nowMs: number): void {
    this.#advance(nowMs);
    const taken = this.clamp(need);
    if (nowMs >= this.#believedUntilMs) this.#believedUntilMs = nowMs + MAX_WAIT_MS;
    if (kept !== null) this.#turnAtMs = nowMs + this.#stepMs(taken, kept, nowMs);
    this.#level -= taken;
    this.#untold += taken;
  }

  /** Changes what is left: what was not sent comes back, what was used beyond what was taken goes. */
  correct(by: number): void {
    this.#level = Math.min(this.#level + by, this.#limit ?? Infinity);
    this.#untold = Math.max(0, this.#untold - by);
  }

  /** What was in doubt was known, and is in what was told. */
  clear(doubt: number): void {
    this.doubt = Math.max(0, this.doubt - doubt);
    this.correct(doubt);
  }

  /** No more than the whole, and no less than one request where the whole is nothing. */
  clamp(need: number): number {
    return this.#limit === undefined ? need : Math.min(need, Math.max(this.#limit, 1));
  }

  /** What is left, and in how many milliseconds it is whole again (0: it is); null: not known. */
  status(nowMs: number): { readonly limit: number; readonly remaining: number; readonly fullInMs: number } | null {
    const limit = this.#limit;
    if (limit === undefined) return null;
    this.#advance(nowMs);
    const remaining = Math.min(limit, Math.max(0, Math.floor(this.#level)));
    const untilReset = Math.max(0, this.#resetsAtMs - nowMs);
    const fullInMs = this.#perMs === 0 ? untilReset : Math.max(0, limit - this.#level) / this.#perMs;
    return { limit, remaining, fullInMs: remaining >= limit ? 0 : Math.min(fullInMs, MAX_WAIT_MS) };
  }

  /** What was told once goes on in windows as long as nothing else is told. */
  #advance(nowMs: number): void {
    const elapsedMs = nowMs - this.#seenMs;
    if (!(elapsedMs > 0)) return;
    this.#seenMs = nowMs;
    if (this.#perMs > 0) {
      this.#level = Math.min(this.#limit ?? Infinity, this.#level + elapsedMs * this.#perMs);
      return;
    }
    if (nowMs < this.#resetsAtMs) return;
    this.#level = (this.#limit ?? Infinity) - this.#untold;
    this.#untold = 0;
    this.#resetsAtMs += this.#windowMs * (1 + Math.floor((nowMs - this.#resetsAtMs) / this.#windowMs));
    this.#turnAtMs = 0;
  }

  #windowsMs(lacking: number, nowMs: number): number {
    const more = this.#limit === undefined || this.#limit === 0 ? 0 : Math.ceil(lacking / this.#limit) - 1;
    return this.#resetsAtMs - nowMs + Math.max(0, more) * this.#windowMs;
  }

  /** Until its turn, `ahead` having had theirs. */
  #turnMs(wanted: number, ahead: number, kept: number, nowMs: number): number {
    const turnMs = Math.max(0, this.#turnAtMs - nowMs) + this.#stepMs(ahead, kept, nowMs);
    const room = this.#level - ahead - this.#untilReset(nowMs) * kept;
    if (room >= wanted || kept === 0) return turnMs;
    // The others' part shrinks with the time that is left.
    return Math.max(turnMs, (wanted - room) / ((kept * (this.#limit ?? 0)) / MS_PER_MINUTE));
  }

  /** How much of the time that is left one of so many takes. */
  #stepMs(need: number, kept: number, nowMs: number): number {
    const room = this.#level - this.#untilReset(nowMs) * kept;
    return room <= 0 ? 0 : (Math.max(0, this.#resetsAtMs - nowMs) * need) / room;
  }

  /** What a whole quota a minute would come to until the reset. */
  #untilReset(nowMs: number): number {
    return ((this.#limit ?? 0) * Math.max(0, this.#resetsAtMs - nowMs)) / MS_PER_MINUTE;
  }
}
