/** How long somebody waits: for `ms`, and not after `signal` has aborted. */
export interface Patience {
  readonly signal: AbortSignal;
  readonly ms: number;
}

/** Who stands in it is called in the order in which they came, and can leave at any time. */
export class WaitingLine<T> {
  readonly #most: number;
  /** Few enough that taking one out of the middle costs nothing. */
  readonly #waiting: { readonly what: T; readonly leave: () => void }[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /**
   * Stands in line until `call` gets to it, or its patience ends: then `left` is called. False: the line is full, or the
   * signal has aborted already, and nothing will be called.
   */
  join(what: T, { signal, ms }: Patience, left: () => void): boolean {
    if (signal.aborted || this.#waiting.length >= this.#most) return false;
    const leave = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
    };
    const giveUp = (): void => {
      const at = this.#waiting.findIndex((one) => one.what === what);
      if (at === -1) return;
      this.#waiting.splice(at, 1);
      leave();
      left();
    };
    const timer = setTimeout(giveUp, ms);
    signal.addEventListener("abort", giveUp, { once: true });
    this.#waiting.push({ what, leave });
    return true;
  }

  /** The first in line leaves it; undefined: nobody waits. */
  call(): T | undefined {
    const first = this.#waiting.shift();
    first?.leave();
    return first?.what;
  }
}
