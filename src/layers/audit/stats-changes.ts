// `/stats/stream`: the document again whenever it has changed, for any number of watchers from one timer.

/** What is watched. Its time is no change. */
export interface WatchedDocument {
  readonly now: string;
  readonly uptime_s: number;
}

const EVERY_MS = 250;
const MAX_WATCHERS = 64;

interface Watcher {
  /** The newest text not taken yet: a slow reader skips documents instead of piling them up. */
  pending: string | null;
  wake: (() => void) | null;
}

export class StatsChanges {
  readonly #build: () => WatchedDocument;
  readonly #everyMs: number;
  readonly #watchers = new Set<Watcher>();
  #timer: ReturnType<typeof setInterval> | null = null;
  #seen = "";
  #text = "";

  constructor(build: () => WatchedDocument, everyMs: number = EVERY_MS) {
    this.#build = build;
    this.#everyMs = everyMs;
  }

  /** Watchers at this moment. */
  get watchers(): number {
    return this.#watchers.size;
  }

  /**
   * JSON texts: the current document at once, then one after each change, four a second at most. Ends when `signal`
   * aborts. Null: too many are watching already.
   */
  watch(signal: AbortSignal): AsyncIterable<string> | null {
    if (this.#watchers.size >= MAX_WATCHERS) return null;
    const watcher: Watcher = { pending: null, wake: null };
    this.#watchers.add(watcher);
    this.#timer ??= this.#startTimer();
    this.#look();
    watcher.pending = this.#text;
    const leave = (): void => {
      this.#leave(watcher);
      watcher.wake?.();
    };
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
    return this.#texts(watcher, signal);
  }

  async *#texts(watcher: Watcher, signal: AbortSignal): AsyncGenerator<string, void, undefined> {
    try {
      while (!signal.aborted) {
        const text = watcher.pending;
        watcher.pending = null;
        if (text !== null) {
          yield text;
          continue;
        }
        const { promise, resolve } = Promise.withResolvers<void>();
        watcher.wake = resolve;
        await promise;
      }
    } finally {
      this.#leave(watcher);
    }
  }

  #startTimer(): ReturnType<typeof setInterval> {
    const timer = setInterval(() => this.#tell(), this.#everyMs);
    timer.unref();
    return timer;
  }

  #tell(): void {
    if (!this.#look()) return;
    for (const watcher of this.#watchers) {
      watcher.pending = this.#text;
      watcher.wake?.();
    }
  }

  /** Builds the document; true where more than the time in it has changed. */
  #look(): boolean {
    const document = this.#build();
    const comparable = JSON.stringify({ ...document, now: null, uptime_s: null });
    if (comparable === this.#seen) return false;
    this.#seen = comparable;
    this.#text = JSON.stringify(document);
    return true;
  }

  #leave(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    if (this.#watchers.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}
