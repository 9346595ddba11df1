// Time that passes only when nothing else is to be done: hours of waiting are over in a moment, in the same order each time.

import type { Clock } from "../../src/clock.ts";

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

const tick = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
/** Promise chains that hang on nothing but each other are through after so many turns of the loop. */
const quietTicks = 2;

export class VirtualTime implements Clock {
  #now: number;
  #order = 0;
  /** Soonest last. */
  readonly #events: Event[] = [];
  #real = 0;

  constructor(iso: string) {
    this.#now = Date.parse(iso);
  }

  /** Whole milliseconds, as the system's clock tells them. */
  now(): number {
    return Math.floor(this.#now);
  }

  monotonic(): number {
    return this.#now;
  }

  /** Resolves after `ms` of this time, or at once when the signal aborts. */
  readonly wait = async (ms: number, signal?: AbortSignal): Promise<void> => {
    if (signal?.aborted === true) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#insert({ at: this.#now + ms, order: ++this.#order, run: resolve });
    signal?.addEventListener("abort", () => resolve(), { once: true });
    await promise;
  };

  /** Work that takes real time (a sync of the disk) and none of this one: it is waited for before time goes on. */
  async real<T>(work: Promise<T>): Promise<T> {
    this.#real++;
    try {
      return await work;
    } finally {
      this.#real--;
    }
  }

  /** Lets time pass until nothing is left that waits for it. */
  async run(): Promise<void> {
    for (;;) {
      await this.#quiet();
      const next = this.#events.pop();
      if (next === undefined) return;
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
  }

  async #quiet(): Promise<void> {
    for (let quiet = 0; quiet < quietTicks; quiet++) {
      await tick();
      if (this.#real > 0) quiet = -1;
    }
  }

  #insert(event: Event): void {
    let at = this.#events.length;
    while (at > 0 && sooner(this.#events[at - 1]!, event)) at--;
    this.#events.splice(at, 0, event);
  }
}

function sooner(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
