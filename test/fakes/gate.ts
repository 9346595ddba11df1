// A turnstile that the test works by hand: what is paced by it moves when the test says so, never by time.

interface Waiter {
  readonly enter: (passed: boolean) => void;
}

export class Gate {
  #credits = 0;
  readonly #waiters: Waiter[] = [];

  /** Lets `n` more through; those that wait go first, in order. `Infinity` leaves it open. */
  release(n = 1): void {
    this.#credits += n;
    while (this.#credits > 0) {
      const waiter = this.#waiters.shift();
      if (waiter === undefined) return;
      this.#credits--;
      waiter.enter(true);
    }
  }

  get isOpen(): boolean {
    return this.#credits === Infinity;
  }

  /** How many stand before it. */
  get waiting(): number {
    return this.#waiters.length;
  }

  /** True once let through; false when `signal` aborted first (no credit is used then). */
  async pass(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    if (this.#credits > 0) {
      this.#credits--;
      return true;
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const waiter: Waiter = { enter: resolve };
    this.#waiters.push(waiter);
    const leave = (): void => {
      const at = this.#waiters.indexOf(waiter);
      if (at === -1) return;
      this.#waiters.splice(at, 1);
      resolve(false);
    };
    signal.addEventListener("abort", leave, { once: true });
    const passed = await promise;
    signal.removeEventListener("abort", leave);
    return passed;
  }
}
