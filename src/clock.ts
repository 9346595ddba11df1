// The only places that read time and randomness; tests and simulators bring their own.

import { uptime } from "node:os";

export interface Clock {
  /** Wall clock, milliseconds since the epoch. May jump. */
  now(): number;
  /** Milliseconds from an arbitrary start; never goes back. For durations and deadlines. */
  monotonic(): number;
}

/** Milliseconds since the machine was started, its sleep included; whole seconds. Setting the clock does not change it. */
export const systemSinceBootMs = (): number => uptime() * 1_000;

export interface Random {
  /** In [0, 1). */
  next(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};

export const systemRandom: Random = { next: () => Math.random() };
