// Answers that are kept for a while under the key of their client, so that a repeat of the request costs nothing. In memory
// only: after a restart a repeat is a new request.

import type { Clock } from "../../clock.ts";

/** One answer as it can be given again. */
export interface KeptAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
  /** The id of the request that was answered so. */
  readonly requestId: string;
}

/** What became of a request whose repeats wait: its answer, or the error it ended in; null: nothing that others can use. */
export type Ending = { readonly answer: KeptAnswer } | { readonly error: unknown; readonly requestId: string } | null;

export interface Known {
  /** Of the request, so that another one under the same key is told apart. */
  readonly digest: string;
  /** Resolves when the request has ended; never rejects. */
  readonly ending: Promise<Ending>;
}

export interface StoreLimits {
  readonly answers: number;
  readonly bytes: number;
  /** A larger answer is given to those that wait and then forgotten. */
  readonly bytesOfOne: number;
  /** Milliseconds that an answer is kept. */
  readonly ageMs: number;
}

/** Clients repeat within minutes. */
const usual: StoreLimits = { answers: 512, bytes: 16 * 1024 * 1024, bytesOfOne: 1024 * 1024, ageMs: 600_000 };

interface Kept extends Known {
  readonly bytes: number;
  readonly until: number;
}

export class AnswerStore {
  readonly #clock: Clock;
  readonly #limits: StoreLimits;
  /** Bounded by the requests in flight. */
  readonly #running = new Map<string, Known>();
  /** Oldest first. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  constructor(clock: Clock, limits: StoreLimits = usual) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** The request that runs or was answered under this key. */
  get(key: string): Known | undefined {
    this.#forgetOld();
    return this.#running.get(key) ?? this.#kept.get(key);
  }

  /** Notes a request that nobody has made before. The caller must call what it gets, once, when the request has ended. */
  begin(key: string, digest: string): (ending: Ending) => void {
    const { promise, resolve } = Promise.withResolvers<Ending>();
    this.#running.set(key, { digest, ending: promise });
    return (ending) => {
      this.#running.delete(key);
      if (ending !== null && "answer" in ending && ending.answer.status === 200) this.#keep(key, digest, ending.answer);
      resolve(ending);
    };
  }

  #keep(key: string, digest: string, answer: KeptAnswer): void {
    const bytes = sizeOf(key, answer);
    if (bytes > this.#limits.bytesOfOne) return;
    const until = this.#clock.monotonic() + this.#limits.ageMs;
    this.#kept.set(key, { digest, ending: Promise.resolve({ answer }), bytes, until });
    this.#bytes += bytes;
    for (const [oldest, { bytes: freed }] of this.#kept) {
      if (this.#kept.size <= this.#limits.answers && this.#bytes <= this.#limits.bytes) return;
      this.#kept.delete(oldest);
      this.#bytes -= freed;
    }
  }

  #forgetOld(): void {
    const now = this.#clock.monotonic();
    for (const [key, { until, bytes }] of this.#kept) {
      if (until > now) return;
      this.#kept.delete(key);
      this.#bytes -= bytes;
    }
  }
}

/** Two bytes a character at most; the rest is small. */
function sizeOf(key: string, { body }: KeptAnswer): number {
  return 1_024 + 2 * key.length + (typeof body === "string" ? 2 * body.length : body.byteLength);
}
