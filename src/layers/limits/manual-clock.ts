import type { Clock } from "../../clock.ts";

/** For tests: stands still until it is told to go on. */
export class ManualClock implements Clock {
  #wallMs: number;
  #monotonicMs = 5_000;

  constructor(wall = "2026-11-23T18:00:00.000Z") {
    this.#wallMs = Date.parse(wall);
  }

  now(): number {
    return this.#wallMs;
  }

  monotonic(): number {
    return this.#monotonicMs;
  }

  advance(ms: number): void {
    this.#wallMs += ms;
    this.#monotonicMs += ms;
  }

  /** The wall clock alone, as an administrator or NTP would. */
  jump(ms: number): void {
    this.#wallMs += ms;
  }
}
