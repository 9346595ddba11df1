import type { AttemptOutcome } from "../request.ts";

type Timeout = Extract<AttemptOutcome, `timeout_${string}`>;

/** setTimeout with more than 2^31-1 ms fires at once. */
const maxTimerMs = 2_147_483_647;
const never = (): number => Infinity;

/**
 * The clock of the step that one attempt is in, and that of all of it: when one of the two passes, `signal` aborts and `expired`
 * says which one it was. The client's leaving aborts the same signal.
 */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #client: AbortSignal;
  readonly #onClientGone: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #limit: ReturnType<typeof setTimeout> | undefined;
  #expired: Timeout | null = null;

  constructor(client: AbortSignal) {
    this.#client = client;
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
    this.#timer = setTimeout(() => this.expire(which), Math.min(ms, maxTimerMs));
  }

  /**
   * Expires when `idleMs()` reaches `limitMs`. One timer that is set again for what is left, instead of one for each sign
   * of life. `beat` is called each time the timer looks, and says in how many milliseconds it wants to be called again.
   */
  watch(which: Timeout, limitMs: number, idleMs: () => number, beat: () => number = never): void {
    clearTimeout(this.#timer);
    const check = (): void => {
      const leftMs = limitMs - idleMs();
      if (leftMs <= 0) this.expire(which);
      else this.#timer = setTimeout(check, Math.min(Math.max(1, Math.min(leftMs, beat())), maxTimerMs));
    };
    check();
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
