/** How long somebody waits: for `ms`, and not after `signal` has aborted. */
export interface Patience {
  readonly signal: AbortSignal;
  readonly ms: number;
}

/** Who stands in a line. */
export interface Standing {
  /** The smaller, the sooner; equal places keep the order in which they came. */
  readonly place: number;
}

/** Sorted by place. A line is bounded by whoever lets others join it: few enough that a step through it costs nothing. */
export class WaitingLine<T extends Standing> {
  readonly #standing: T[] = [];

  get length(): number {
    return this.#standing.length;
  }

  join(one: T): void {
    let at = this.#standing.length;
    while (at > 0 && this.#standing[at - 1]!.place > one.place) at--;
    this.#standing.splice(at, 0, one);
  }

  /** False: it was not in line any more. */
  leave(one: T): boolean {
    const at = this.#standing.indexOf(one);
    if (at === -1) return false;
    this.#standing.splice(at, 1);
    return true;
  }

  /** Those who would be served before somebody at that place. */
  *ahead(place: number): Generator<T> {
    for (const one of this.#standing) {
      if (one.place > place) return;
      yield one;
    }
  }

  /** As it stands now: whoever joins or leaves meanwhile does not change it. */
  inOrder(): readonly T[] {
    return this.#standing.slice();
  }
}
