// The draining process's end of the line to whoever keeps its books: one connection that tells who lives, and a call for
// each batch of errands.

import type { Errands } from "./errands.ts";
import { askSocket, linesOf } from "./line.ts";
import type { Batch, BatchAnswer, Lane, Word } from "./messages.ts";

export interface KeeperLinkParts {
  readonly socketPath: string;
  readonly session: string;
  readonly errands: Errands;
  /** The gateway stops. */
  readonly onStopping: (graceMs: number) => void;
  readonly wait: (ms: number) => Promise<void>;
}

/** So long the next keeper of the books may take to open them. */
const findWithinMs = 20_000;
const againAfterMs = 20;

export class KeeperLink {
  readonly #parts: KeeperLinkParts;
  #over = false;
  /** The first one is gone, and was never heard of. */
  #hopeless = false;
  #response: Response | null = null;
  #keeper: number | null = null;
  readonly #leaving = new AbortController();

  constructor(parts: KeeperLinkParts) {
    this.#parts = parts;
  }

  /** The process that took over is gone. Once another one has been heard of, that says nothing. */
  successorGone(): void {
    this.#hopeless = this.#response === null;
  }

  /** The process that keeps the books, as far as it has said so. */
  get keeper(): number | null {
    return this.#keeper;
  }

  /** `leave` was called. */
  get left(): boolean {
    return this.#over;
  }

  /**
   * Finds who keeps the books, and tells it what there is to tell. False: nobody knows of this process within
   * `withinMs`.
   */
  async attach(withinMs = findWithinMs): Promise<boolean> {
    const { socketPath, session, wait, errands } = this.#parts;
    for (let left = withinMs; left > 0 && !this.#over && !this.#hopeless; left -= againAfterMs) {
      const response = await askSocket(socketPath, `/handover/attach?session=${session}`, {}, this.#leaving.signal);
      if (response?.ok === true && response.body !== null) {
        this.#response = response;
        errands.start((lane, batch) => this.#send(lane, batch));
        return true;
      }
      await response?.body?.cancel();
      await wait(againAfterMs);
    }
    this.#hopeless = false;
    return false;
  }

  /** Resolves when the keeper of the books is gone for good, or `leave` was called. `attach` has succeeded before. */
  async untilLost(): Promise<void> {
    while (!this.#over) {
      let moved = false;
      for await (const line of linesOf(this.#response!.body!)) {
        const word = line as Word;
        if (word.say === "attached") this.#keeper = word.pid;
        if (word.say === "moved") moved = true;
        if (word.say === "stopping") this.#parts.onStopping(word.graceMs);
      }
      if (!moved || !(await this.attach())) return;
    }
  }

  /** All is told. */
  leave(): void {
    this.#over = true;
    this.#leaving.abort();
  }

  async #send(lane: Lane, batch: Batch): Promise<BatchAnswer | null> {
    const { socketPath, session } = this.#parts;
    const response = await askSocket(socketPath, `/handover/errands?session=${session}&lane=${lane}`, batch);
    if (response === null || !response.ok) {
      await response?.body?.cancel();
      return null;
    }
    return (await response.json()) as BatchAnswer;
  }
}
