// What a draining process has to tell the keeper of the books: in order, each exactly once, kept until it is on disk there.

import { type Batch, type BatchAnswer, type Errand, type Lane } from "./messages.ts";

/** So many go at once: a batch is a few hundred kilobytes at most. */
const mostInBatch = 256;

/** Null: not now. The same batch is offered again a moment later. */
export type Send = (lane: Lane, batch: Batch) => Promise<BatchAnswer | null>;

export interface Untold {
  readonly errand: Errand;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export interface ErrandsParts {
  readonly inFlight: () => number;
  readonly agents: () => readonly string[];
  readonly onViews: (views: BatchAnswer["views"]) => void;
  readonly wait: (ms: number) => Promise<void>;
}

const againAfterMs = 25;
const none = 0;

/** Nobody keeps the books of this process any more: they were closed as after a crash. */
export class NobodyListens extends Error {
  override readonly name = "NobodyListens";
}

class Queue {
  readonly waiting: Untold[] = [];
  /** What was sent and not answered; it keeps its number. */
  sent: Untold[] = [];
  number = 0;
  /** How many of those that `stop` gave were sent. */
  stopped = 0;
  running = false;
}

export class Errands {
  readonly #parts: ErrandsParts;
  readonly #lanes: Record<Lane, Queue> = { money: new Queue(), lines: new Queue() };
  #send: Send | null = null;
  #over = false;
  #idle: (() => void)[] = [];

  constructor(parts: ErrandsParts) {
    this.#parts = parts;
  }

  /** Resolves with the answer, when what was told is on disk. Rejects with a NobodyListens. */
  tell(errand: Errand): Promise<unknown> {
    const lane = errand.do === "line" ? "lines" : "money";
    if (this.#over) return Promise.reject(new NobodyListens());
    return new Promise((resolve, reject) => {
      this.#lanes[lane].waiting.push({ errand, resolve, reject });
      void this.#run(lane);
    });
  }

  /** From now on there is somebody to tell. */
  start(send: Send): void {
    this.#send = send;
    void this.#run("money");
    void this.#run("lines");
  }

  /** Tells nothing, and hears the balances. */
  look(): void {
    const { money } = this.#lanes;
    if (money.waiting.length === 0 && money.sent.length === 0) void this.#run("money", true);
  }

  /** There is nobody any more. What was not answered, in order; the caller ends it. */
  stop(): Untold[] {
    this.#send = null;
    const untold: Untold[] = [];
    for (const queue of Object.values(this.#lanes)) {
      queue.stopped = queue.sent.length;
      untold.push(...queue.sent, ...queue.waiting.splice(0));
      queue.sent = [];
    }
    this.#tellIdle();
    return untold;
  }

  /** What `stop` gave waits again: there is somebody to be told later. */
  restore(untold: readonly Untold[]): void {
    for (const [lane, queue] of Object.entries(this.#lanes)) {
      const own = untold.filter(({ errand }) => (errand.do === "line" ? "lines" : "money") === lane);
      queue.sent = own.slice(0, queue.stopped);
      queue.waiting.unshift(...own.slice(queue.stopped));
    }
  }

  /** Nobody will listen: whatever waits ends, and what is told from now on. */
  giveUp(): void {
    this.#over = true;
    for (const { reject } of this.stop()) reject(new NobodyListens());
  }

  /** Resolves when everything was answered. */
  async told(): Promise<void> {
    while (!this.#over && Object.values(this.#lanes).some(({ waiting, sent }) => waiting.length + sent.length > none)) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
  }

  async #run(lane: Lane, evenEmpty = false): Promise<void> {
    const queue = this.#lanes[lane];
    if (queue.running || this.#send === null) return;
    queue.running = true;
    try {
      while (this.#send !== null && (evenEmpty || queue.waiting.length + queue.sent.length > none)) {
        if (queue.sent.length === 0) {
          queue.sent = queue.waiting.splice(0, mostInBatch);
          queue.number++;
        }
        await this.#offer(lane, queue);
        evenEmpty = false;
      }
    } finally {
      queue.running = false;
      this.#tellIdle();
    }
  }

  async #offer(lane: Lane, queue: Queue): Promise<void> {
    const { sent, number } = queue;
    const { inFlight, agents, onViews, wait } = this.#parts;
    const batch = { number, errands: sent.map(({ errand }) => errand), inFlight: inFlight(), agents: agents() };
    const send = this.#send!;
    const answer = await send(lane, batch).catch(() => null);
    // It was taken back meanwhile, and somebody else ends it.
    if (queue.sent !== sent) return;
    if (answer === null) return this.#send === send ? wait(againAfterMs) : undefined;
    queue.sent = [];
    onViews(answer.views);
    sent.forEach(({ resolve }, i) => resolve(answer.answers[i]));
  }

  #tellIdle(): void {
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
