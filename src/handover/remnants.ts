// Processes that have handed over to this one, as this one sees them: whose requests they are, and what they tell of them.
// One that ends with requests open has crashed, and its requests are closed as after any crash.

import type { AuditSink, LineErrand } from "../layers/audit/index.ts";
import { fromErrand } from "../layers/audit/index.ts";
import { doErrand, viewOf, type OpenRequest, type SqliteLedger } from "../layers/budget/index.ts";
import type { RequestTally } from "../layers/audit/audit.ts";
import type { Batch, BatchAnswer, Errand, HandedSession, Lane, Word } from "./messages.ts";

export interface RemnantsParts {
  readonly ledger: SqliteLedger;
  readonly sink: AuditSink;
  readonly tally: RequestTally & { setElsewhere(requests: number): void };
  /** Writes the lines of requests that were cut off with their process. */
  readonly recordLost: (requests: readonly OpenRequest[]) => Promise<void>;
  readonly report: (line: string) => void;
  /** One that was announced must come within so many milliseconds. */
  readonly attachWithinMs?: number;
}

interface Session {
  readonly id: string;
  readonly pid: number;
  readonly requests: Set<string>;
  inFlight: number;
  readonly done: Record<Lane, number>;
  /** The last batch of each lane: it may be asked for again. */
  readonly last: Partial<Record<Lane, Promise<BatchAnswer>>>;
  stream: ReadableStreamDefaultController<Uint8Array> | null;
  timer: ReturnType<typeof setTimeout> | undefined;
}

const usualAttachMs = 15_000;

export class Remnants {
  readonly #parts: RemnantsParts;
  readonly #sessions = new Map<string, Session>();
  readonly #working = new Set<Promise<unknown>>();
  /** Nothing is taken: the books are on their way to somebody else. */
  #moving = false;
  #allGone: (() => void)[] = [];

  constructor(parts: RemnantsParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Announces processes whose requests go on. */
  announce(sessions: readonly HandedSession[]): void {
    for (const { id, pid, books, inFlight, done } of sessions) {
      const session: Session = {
        id,
        pid,
        requests: new Set(books.requests),
        inFlight,
        done: { ...done },
        last: {},
        stream: null,
        timer: undefined,
      };
      this.#sessions.set(id, session);
      this.#expect(session);
    }
    this.#count();
  }

  /** The line to one of them; its end is the end of that process. Null: it is not known here. */
  attach(id: string, signal: AbortSignal): ReadableStream<Uint8Array> | null {
    const session = this.#sessions.get(id);
    if (session === undefined || this.#moving) return null;
    clearTimeout(session.timer);
    const gone = (): void => this.#onGone(session);
    signal.addEventListener("abort", gone, { once: true });
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        session.stream = controller;
        controller.enqueue(wordOf({ say: "attached", pid: process.pid }));
      },
      cancel: gone,
    });
  }

  /** Null: not now, or not known here. Rejects while the books stand still. */
  async take(id: string, lane: Lane, batch: Batch): Promise<BatchAnswer | null> {
    const session = this.#sessions.get(id);
    if (session === undefined || this.#moving) return null;
    if (session.inFlight !== batch.inFlight) {
      session.inFlight = batch.inFlight;
      this.#count();
    }
    if (batch.number > session.done[lane]) {
      session.done[lane] = batch.number;
      session.last[lane] = this.#do(session, batch);
    }
    const answer = session.last[lane] ?? Promise.resolve({ answers: [], views: [] });
    const work = answer.then(() => this.#parts.ledger.durable());
    this.#working.add(work);
    try {
      await work;
      return await answer;
    } finally {
      this.#working.delete(work);
    }
  }

  /** Takes nothing more, and what is needed to go on elsewhere. `stay` takes it back. */
  async leave(): Promise<HandedSession[]> {
    this.#moving = true;
    await Promise.allSettled(this.#working);
    return this.known();
  }

  /** Those whose requests are open here, without their holds. */
  known(): HandedSession[] {
    return [...this.#sessions.values()].map(({ id, pid, requests, inFlight, done }) => ({
      id,
      pid,
      inFlight,
      done: { ...done },
      books: { requests: [...requests], holds: [] },
    }));
  }

  /** The books stay here after all. */
  stay(): void {
    this.#moving = false;
    for (const session of this.#sessions.values()) if (session.stream === null) this.#expect(session);
  }

  /** Somebody else keeps the books now. */
  moved(): void {
    this.#say({ say: "moved" });
    for (const session of this.#sessions.values()) {
      clearTimeout(session.timer);
      session.stream?.close();
      session.stream = null;
    }
    this.#sessions.clear();
    this.#tellGone();
  }

  stopping(graceMs: number): void {
    this.#say({ say: "stopping", graceMs });
  }

  /** Resolves when none is left. */
  async gone(): Promise<void> {
    while (this.#sessions.size > 0) await new Promise<void>((resolve) => this.#allGone.push(resolve));
  }

  async #do(session: Session, batch: Batch): Promise<BatchAnswer> {
    const { ledger } = this.#parts;
    const answers = await Promise.all(batch.errands.map((errand) => this.#doOne(session, errand)));
    return { answers, views: batch.agents.map((agent) => [agent, viewOf(ledger, agent)] as const) };
  }

  async #doOne(session: Session, errand: Errand): Promise<unknown> {
    if (errand.do === "line") return this.#write(errand);
    if (errand.do === "hold") session.requests.add(errand.ask.requestId);
    if (errand.do === "close") session.requests.delete(errand.request);
    return doErrand(this.#parts.ledger, errand);
  }

  #write(errand: LineErrand): Promise<boolean> {
    const { sink, tally } = this.#parts;
    const facts = fromErrand(errand);
    tally.opened();
    const durable = sink.append(facts);
    tally.closed(facts);
    return durable;
  }

  #expect(session: Session): void {
    clearTimeout(session.timer);
    session.timer = setTimeout(() => this.#onGone(session), this.#parts.attachWithinMs ?? usualAttachMs);
    session.timer.unref();
  }

  #onGone(session: Session): void {
    if (this.#sessions.get(session.id) !== session) return;
    session.stream = null;
    clearTimeout(session.timer);
    if (this.#moving) return;
    this.#sessions.delete(session.id);
    this.#count();
    void this.#close(session).finally(() => this.#tellGone());
  }

  async #close({ requests, pid }: Session): Promise<void> {
    if (requests.size === 0) return;
    const { ledger, recordLost, report } = this.#parts;
    try {
      const lost = await ledger.chargeLost(requests);
      await recordLost(lost);
      report(`process ${pid} ended with ${lost.length} requests open; their holds are charged`);
    } catch {
      // The ledger stands still: the next start finds them open.
      report(`process ${pid} ended with ${requests.size} requests open; the next start charges them`);
    }
  }

  #say(word: Word): void {
    for (const { stream } of this.#sessions.values()) stream?.enqueue(wordOf(word));
  }

  #count(): void {
    let inFlight = 0;
    for (const session of this.#sessions.values()) inFlight += session.inFlight;
    this.#parts.tally.setElsewhere(inFlight);
  }

  #tellGone(): void {
    if (this.#sessions.size > 0) return;
    for (const resolve of this.#allGone.splice(0)) resolve();
  }
}

function wordOf(value: object): Uint8Array {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}
