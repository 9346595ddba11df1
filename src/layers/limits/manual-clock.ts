import type { Clock } from "../../clock.ts";

/** For tests: stands still until it is told to go on. */
export class ManualClock implements Clock {
  #wallMs: number;
  #monotonicMs = 5_000;
  readonly #waits = new Set<{ readonly at: number; readonly over: () => void }>();

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
    for (const wait of this.#waits) if (wait.at <= this.#monotonicMs) wait.over();
  }

  /** Resolves when it was told to go on for so long, or at once when the signal aborts. */
  readonly wait = async (ms: number, signal: AbortSignal): Promise<void> => {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const over = (): void => {
      this.#waits.delete(wait);
      signal.removeEventListener("abort", over);
      resolve();
    };
    const wait = { at: this.#monotonicMs + ms, over };
    this.#waits.add(wait);
    signal.addEventListener("abort", over, { once: true });
    await promise;
  };

  /** How many wait for it to go on. */
  get waits(): number {
    return this.#waits.size;
  }

  /** The wall clock alone, as an administrator or NTP would. */
  jump(ms: number): void {
    this.#wallMs += ms;
  }
}
