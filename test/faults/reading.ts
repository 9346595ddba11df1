/**
 * What a client has got of an answer, for whoever waits until a certain part of it is there: a provider whose connection
 * ends takes along what nobody has read by then, so that it has to know.
 */
export class Reading {
  #text = "";
  #over = false;
  readonly #waiters = new Set<() => void>();

  push(text: string): void {
    this.#text += text;
    this.#wake();
  }

  /** Nothing more comes. */
  end(): void {
    this.#over = true;
    this.#wake();
  }

  /** Resolves when `marker` is there, when nothing more comes, or when `signal` aborts. */
  async until(marker: RegExp, signal: AbortSignal): Promise<void> {
    while (!this.#over && !signal.aborted && !marker.test(this.#text)) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiters.add(resolve);
      signal.addEventListener("abort", () => resolve(), { once: true });
      await promise;
    }
  }

  #wake(): void {
    for (const wake of this.#waiters) wake();
    this.#waiters.clear();
  }
}
