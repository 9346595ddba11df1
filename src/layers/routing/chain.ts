// What all attempts of one request may take together: time, and money that may have been charged for nothing.

import type { Clock } from "../../clock.ts";
import type { AttemptRecord, Candidate, GatewayResponse } from "../../request.ts";

export interface ChainLimits {
  /** Until an answer has begun, milliseconds. */
  readonly deadlineMs: number;
  /** Times the dearest attempt of the request. */
  readonly costFactor: number;
}

/** One attempt's time within that of its request. */
export interface Guard {
  /** Aborts when the client goes away, and at the deadline until the answer has begun. */
  readonly signal: AbortSignal;
  readonly expired: boolean;
  /** The answer has begun: from now on only the client ends it. */
  begun(response: GatewayResponse): void;
  /** It failed. */
  end(): void;
}

export class Chain {
  readonly #clock: Clock;
  readonly #limits: ChainLimits;
  readonly #line: AbortSignal;
  readonly #deadlineAt: number;
  readonly #lastBeginAt: number;

  /** `patienceMs`: how long the client waits; undefined: it does not say. */
  constructor(limits: ChainLimits, clock: Clock, line: AbortSignal, patienceMs: number | undefined) {
    this.#clock = clock;
    this.#limits = limits;
    this.#line = line;
    const now = clock.monotonic();
    this.#deadlineAt = now + limits.deadlineMs;
    this.#lastBeginAt = Math.min(this.#deadlineAt, now + (patienceMs ?? Infinity));
  }

  /** Monotonic: from then on nothing more is asked. */
  get lastBeginAt(): number {
    return this.#lastBeginAt;
  }

  /** Whether an attempt may be begun in `waitMs`: later its answer would find nobody. */
  mayBeginIn(waitMs: number): boolean {
    return this.#clock.monotonic() + waitMs < this.#lastBeginAt;
  }

  /**
   * Whether the next attempt at a model that costs something stays within the bound, if it is as dear as the dearest so far and
   * comes to nothing, too.
   */
  affords(candidate: Candidate, attempts: readonly AttemptRecord[]): boolean {
    if (candidate.price === null) return true;
    let charged = 0;
    let dearest = 0;
    for (const { nanos, heldNanos } of attempts) {
      charged += nanos;
      dearest = Math.max(dearest, heldNanos, nanos);
    }
    return charged <= (this.#limits.costFactor - 1) * dearest;
  }

  /** The first attempt of a request ends by its own clocks before the deadline, as a rule: then there is nothing to guard. */
  guard({ provider: { timeouts } }: Candidate, isFirst: boolean): Guard {
    const leftMs = this.#deadlineAt - this.#clock.monotonic();
    return isFirst && timeouts.firstByteMs + timeouts.firstContentMs <= leftMs
      ? unguarded(this.#line)
      : new TimedGuard(this.#line, leftMs);
  }
}

function unguarded(signal: AbortSignal): Guard {
  return { signal, expired: false, begun: nothing, end: nothing };
}

const nothing = (): void => undefined;
/** setTimeout with more than 2^31-1 ms fires at once. */
const maxTimerMs = 2_147_483_647;

class TimedGuard implements Guard {
  readonly #line: AbortSignal;
  readonly #controller = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #onLine = (): void => this.#controller.abort();
  #expired = false;

  constructor(line: AbortSignal, leftMs: number) {
    this.#line = line;
    if (line.aborted) this.#controller.abort();
    else line.addEventListener("abort", this.#onLine, { once: true });
    this.#timer = setTimeout(() => this.#expire(), Math.min(Math.max(0, leftMs), maxTimerMs));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get expired(): boolean {
    return this.#expired;
  }

  begun({ finished }: GatewayResponse): void {
    clearTimeout(this.#timer);
    const end = (): void => this.end();
    finished.then(end, end);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#line.removeEventListener("abort", this.#onLine);
  }

  #expire(): void {
    if (this.#controller.signal.aborted) return;
    this.#expired = true;
    this.#controller.abort();
  }
}
