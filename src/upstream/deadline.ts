import type { Clock } from "../clock.ts";
import type { AttemptOutcome } from "../request.ts";

type Timeout = Extract<AttemptOutcome, `timeout_${string}`>;

/** setTimeout with more than 2^31-1 ms fires at once. */
const maxTimerMs = 2_147_483_647;
const never = (): number => Infinity;
/** A timer that fires so late did so because nothing ran: the machine slept, or the process was stopped. */
const stalledMs = 250;
/** What has arrived meanwhile is read within this time, before it counts as missing. */
const readingMs = 500;

/**
 * The clock of the step that one attempt is in, and that of all of it: when one of the two passes, `signal` aborts and `expired`
 * says which one it was. The client's leaving aborts the same signal.
 */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #client: AbortSignal;
  readonly #monotonic: () => number;
  readonly #onClientGone: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #limit: ReturnType<typeof setTimeout> | undefined;
  #expired: Timeout | null = null;

  /** `clock`: tells a timer that fires in time from one that fires after a sleep; absent: all fire in time. */
  constructor(client: AbortSignal, clock?: Pick<Clock, "monotonic">) {
    this.#client = client;
    this.#monotonic = clock === undefined ? () => 0 : () => clock.monotonic();
    this.#onClientGone = () => this.#controller.abort();
    if (client.aborted) this.#controller.abort();
    else client.addEventListener("abort", this.#onClientGone, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get expired(): Timeout | null {
    return this.#expired;
  }

  get clientGone(): boolean {
    return this.#client.aborted;
  }

  /** Beside the others, and not to be put off. */
  limit(which: Timeout, ms: number): void {
    clearTimeout(this.#limit);
    this.#limit = setTimeout(() => this.expire(which), Math.min(ms, maxTimerMs));
  }

  arm(which: Timeout, ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = this.#after(ms, (late) => {
      if (late) this.arm(which, readingMs);
      else this.expire(which);
    });
  }

  /**
   * Expires when `idleMs()` reaches `limitMs`. One timer that is set again for what is left, instead of one for each sign
   * of life. `beat` is called each time the timer looks, and says in how many milliseconds it wants to be called again.
   */
  watch(which: Timeout, limitMs: number, idleMs: () => number, beat: () => number = never): void {
    clearTimeout(this.#timer);
    const check = (late: boolean): void => {
      const leftMs = limitMs - idleMs();
      if (leftMs <= 0 && !late) return this.expire(which);
      this.#timer = this.#after(leftMs <= 0 ? readingMs : Math.max(1, Math.min(leftMs, beat())), check);
    };
    check(false);
  }

  #after(ms: number, then: (late: boolean) => void): ReturnType<typeof setTimeout> {
    const dueAt = this.#monotonic() + ms;
    return setTimeout(() => then(this.#monotonic() - dueAt > stalledMs), Math.min(ms, maxTimerMs));
  }

  expire(which: Timeout): void {
    if (this.#controller.signal.aborted) return;
    this.#expired = which;
    this.#controller.abort();
  }

  /** Ends the upstream call, for a reason of our own. */
  abort(): void {
    this.#controller.abort();
  }

  /** Must be called on every way out: a forgotten listener would keep the request in memory as long as its connection. */
  close(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#limit);
    this.#client.removeEventListener("abort", this.#onClientGone);
  }
}
