// Where money is held and not spent, it may come back in a moment: holds are worst cases, and most turn into far less.
// Who lacks it waits for a short time, first come, first served for each agent, instead of being refused for money that
// nobody spends.

/** Few enough that their bodies fit into memory; who comes on top goes on at once. */
const mostWaiting = 64;

export interface RoomLineParts {
  /** Milliseconds that somebody waits at most. */
  readonly patienceMs: number;
  /** Resolves after `ms`, or at once when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface Turn<T> {
  readonly agent: string;
  readonly signal: AbortSignal;
  /** Milliseconds, where it waits for a shorter time than others. */
  readonly patienceMs?: number;
  /** Takes the money in one synchronous step; null: the room does not cover it now. */
  readonly take: () => T | null;
  /** False: it would not be covered if every hold came back either. */
  readonly worthWaiting: () => boolean;
}

interface Waiting {
  readonly turn: Turn<unknown>;
  readonly leave: (taken: unknown) => void;
}

/** Outlives the configuration's generations, as the holds do. */
export class RoomLine {
  readonly #parts: RoomLineParts;
  readonly #lines = new Map<string, Waiting[]>();

  constructor(parts: RoomLineParts) {
    this.#parts = parts;
  }

  /** What `take` gave when its turn came; null: it never came, or it was not worth waiting for. */
  async take<T>(turn: Turn<T>): Promise<T | null> {
    const line = this.#lines.get(turn.agent);
    if (line === undefined) {
      const taken = turn.take();
      if (taken !== null) return taken;
    }
    if (turn.signal.aborted || (line?.length ?? 0) >= mostWaiting || !turn.worthWaiting()) return null;
    return (await this.#stand(turn)) as T | null;
  }

  /** Something of the agent's was given back: whoever stands first may be covered now. */
  moved(agent: string): void {
    const line = this.#lines.get(agent);
    if (line === undefined) return;
    for (let first = line[0]; first !== undefined; first = line[0]) {
      const taken = first.turn.take();
      if (taken === null && first.turn.worthWaiting()) return;
      first.leave(taken);
    }
  }

  /** How many of the agent's requests stand in line. */
  waiting(agent: string): number {
    return this.#lines.get(agent)?.length ?? 0;
  }

  async #stand(turn: Turn<unknown>): Promise<unknown> {
    const { agent } = turn;
    const line = this.#lines.get(agent) ?? [];
    this.#lines.set(agent, line);
    const called = Promise.withResolvers<unknown>();
    const over = new AbortController();
    const waiting: Waiting = {
      turn,
      leave: (taken) => {
        line.splice(line.indexOf(waiting), 1);
        if (line.length === 0) this.#lines.delete(agent);
        called.resolve(taken);
        over.abort();
      },
    };
    line.push(waiting);
    const signal = AbortSignal.any([turn.signal, over.signal]);
    const patienceMs = Math.min(this.#parts.patienceMs, turn.patienceMs ?? Infinity);
    void this.#parts.wait(patienceMs, signal).then(() => {
      if (over.signal.aborted) return;
      waiting.leave(null);
      // It may have stood in the way of smaller ones.
      this.moved(agent);
    });
    return called.promise;
  }
}
