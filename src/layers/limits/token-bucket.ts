// A continuous token bucket in integers: no timers, no windows, nothing lost to rounding however often it is asked.
// (A counter that is set back every minute lets twice the limit through around the turn of the minute.)

const TICKS_PER_MS = 10;
const TICKS_PER_MINUTE = 60_000 * TICKS_PER_MS;
/** With it even the deepest debt stays within the exact integers of a double. */
const MAX_PER_MINUTE = 1_000_000_000;
/** How many full buckets a correction may put it in debt: what a wrong report of usage can cost is bounded. */
const MAX_DEBT_BUCKETS = 5;

/**
 * Holds at most `perMinute` tokens and gains `perMinute` a minute. All times are monotonic milliseconds; a time before
 * the last one seen counts as that one.
 */
export class TokenBucket {
  #perMinute: number;
  /** In units of 1/600,000 token: a tick of 0.1 ms adds exactly `#perMinute` of them. */
  #units: number;
  #seenTick: number;

  /** Starts full. `perMinute` is clamped to whole numbers from 1 to 1,000,000,000. */
  constructor(perMinute: number, nowMs: number) {
    this.#perMinute = wholeRate(perMinute);
    this.#units = this.#perMinute * TICKS_PER_MINUTE;
    this.#seenTick = ticksOf(nowMs);
  }

  get limit(): number {
    return this.#perMinute;
  }

  /**
   * Takes `n` whole tokens and returns 0, or takes nothing and returns the milliseconds until they will be there. More
   * than the bucket can hold is given for a full bucket: it would never fit otherwise.
   */
  take(n: number, nowMs: number): number {
    this.#refill(nowMs);
    const wanted = this.clamp(n) * TICKS_PER_MINUTE;
    if (wanted > this.#units) return this.#msUntil(wanted);
    this.#units -= wanted;
    return 0;
  }

  /** What `take` would return, without taking. */
  waitMs(n: number, nowMs: number): number {
    this.#refill(nowMs);
    const wanted = this.clamp(n) * TICKS_PER_MINUTE;
    return wanted > this.#units ? this.#msUntil(wanted) : 0;
  }

  /** Whole tokens there are; negative in debt. */
  peek(nowMs: number): number {
    this.#refill(nowMs);
    return Math.floor(this.#units / TICKS_PER_MINUTE);
  }

  /** Puts `n` tokens back; a negative `n` takes them, into debt where need be. The bucket never overflows. */
  giveBack(n: number, nowMs: number): void {
    if (!Number.isFinite(n)) return;
    this.#refill(nowMs);
    const full = this.#perMinute * TICKS_PER_MINUTE;
    // Beyond these bounds the result is clamped anyway, and inside them the product is exact.
    const bound = this.#perMinute * (MAX_DEBT_BUCKETS + 1);
    const units = this.#units + Math.trunc(Math.min(Math.max(n, -bound), bound)) * TICKS_PER_MINUTE;
    this.#units = Math.min(Math.max(units, -MAX_DEBT_BUCKETS * full), full);
  }

  /** Changes the limit and keeps what was taken: raising it adds room at once, lowering it takes room away. */
  resize(perMinute: number, nowMs: number): void {
    this.#refill(nowMs);
    const rate = wholeRate(perMinute);
    const taken = this.#perMinute * TICKS_PER_MINUTE - this.#units;
    this.#perMinute = rate;
    const full = rate * TICKS_PER_MINUTE;
    this.#units = Math.max(full - taken, -MAX_DEBT_BUCKETS * full);
  }

  /** How many tokens a request for `n` really takes. */
  clamp(n: number): number {
    return Math.min(Math.max(Math.ceil(n), 0), this.#perMinute);
  }

  #refill(nowMs: number): void {
    const nowTick = ticksOf(nowMs);
    const elapsedTicks = nowTick - this.#seenTick;
    if (!(elapsedTicks > 0)) return;
    this.#seenTick = nowTick;
    const full = this.#perMinute * TICKS_PER_MINUTE;
    // Capping the time first keeps the product an exact integer after days of silence.
    const gained = Math.min(elapsedTicks, TICKS_PER_MINUTE * (MAX_DEBT_BUCKETS + 1)) * this.#perMinute;
    this.#units = Math.min(full, this.#units + gained);
  }

  #msUntil(wantedUnits: number): number {
    return Math.ceil((wantedUnits - this.#units) / this.#perMinute) / TICKS_PER_MS;
  }
}

/** To the nearest tick: what a double carries beyond it is noise. */
function ticksOf(ms: number): number {
  return Math.round(ms * TICKS_PER_MS);
}

function wholeRate(perMinute: number): number {
  if (Number.isNaN(perMinute)) return 1;
  return Math.min(Math.max(Math.floor(perMinute), 1), MAX_PER_MINUTE);
}
