// Tells a clock that was set from time that went by: the wall clock is held against one that nobody can set. Sleep is no
// jump, though the monotonic clock stands still in it (clock_gettime(2), CLOCK_MONOTONIC): the time since boot counts it.

import type { Clock } from "../../clock.ts";

/** NTP corrects by slewing, a little at a time; what is set at once by more than this is told. */
const toleratedMs = 10 * 60_000;

export class ClockWatch {
  readonly #sinceBootMs: () => number;
  /** Wall clock minus monotonic clock, and minus the time since boot, when they were last found to agree. */
  #drift: number;
  #bootDrift: number;

  /** `sinceBootMs`: milliseconds since the machine was started, its sleep included; asked only where a jump is suspected. */
  constructor(clock: Clock, sinceBootMs: () => number) {
    this.#sinceBootMs = sinceBootMs;
    const now = clock.now();
    this.#drift = now - clock.monotonic();
    this.#bootDrift = now - sinceBootMs();
  }

  /** By how many milliseconds the wall clock was set since the last look, forward or back (negative); 0: it was not. */
  look(nowMs: number, monotonicMs: number): number {
    const drift = nowMs - monotonicMs;
    if (Math.abs(drift - this.#drift) < toleratedMs) return 0;
    const bootDrift = nowMs - this.#sinceBootMs();
    const setBy = bootDrift - this.#bootDrift;
    this.#drift = drift;
    this.#bootDrift = bootDrift;
    return Math.abs(setBy) < toleratedMs ? 0 : setBy;
  }
}
