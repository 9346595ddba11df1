// Who keeps the books of this process: ledger and trail are one pair of files, and one process has them at a time.

import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { systemSinceBootMs, type Clock } from "../clock.ts";
import type { Config } from "../config/types.ts";
import { GatewayError } from "../errors.ts";
import { Errands, type Untold } from "../handover/errands.ts";
import type { HandedSession } from "../handover/messages.ts";
import {
  fromErrand,
  MovingSink,
  recordedCosts,
  RemoteSink,
  trailSince,
  type AuditFacts,
  type FileSink,
  type Sealer,
} from "../layers/audit/index.ts";
import {
  BooksReturned,
  MovingLedger,
  openSqliteLedger,
  RemoteLedger,
  SqliteLedger,
  viewOf,
  type HandedBooks,
  type HandedHold,
  type Ledger,
  type OpenHold,
  type SqliteLedgerOptions,
} from "../layers/budget/index.ts";
import type { VaultStore } from "../layers/vault/index.ts";
import { openTrail, rotationOf } from "./open-trail.ts";
import { wait } from "./wait.ts";

export interface BooksParts {
  readonly home: string;
  readonly clock: Clock;
  readonly report: (line: string) => void;
  readonly openLedger: ((options: SqliteLedgerOptions) => Ledger) | undefined;
  /** Where the seal's key lies if there is no keychain. */
  readonly vault: VaultStore;
  /** Requests that run here. */
  readonly inFlight: () => number;
}

interface Own {
  readonly ledger: Ledger;
  readonly sink: FileSink;
  /** To be opened by who opens the books: it may take its time. */
  readonly sealer: Sealer;
}

/** What is told to whoever keeps the books. */
interface Remote {
  readonly errands: Errands;
  readonly ledger: RemoteLedger;
  readonly sink: RemoteSink;
  /** Requests of this process that are open there. */
  readonly requests: Set<string>;
}

const sealWithinMs = 500;
const nobody = new AbortController().signal;

export class Books {
  readonly ledger: MovingLedger;
  readonly sink: MovingSink;
  readonly #parts: BooksParts;
  #config: Config;
  #own: Own | null = null;
  #remote: Remote;

  /** Nothing is open yet: who takes money waits. */
  constructor(parts: BooksParts, config: Config) {
    this.#parts = parts;
    this.#config = config;
    this.#remote = this.#createRemote();
    this.ledger = new MovingLedger(this.#remote.ledger);
    this.sink = new MovingSink(this.#remote.sink);
  }

  /** Null while another process has them. */
  get own(): Own | null {
    return this.#own;
  }

  /** The books of this process, where they can be handed over. */
  get movable(): { readonly ledger: SqliteLedger; readonly sink: FileSink; readonly sealer: Sealer } | null {
    const own = this.#own;
    return own !== null && own.ledger instanceof SqliteLedger ? { ...own, ledger: own.ledger } : null;
  }

  get errands(): Errands {
    return this.#remote.errands;
  }

  configure(config: Config): void {
    this.#config = config;
    this.#own?.sink.configure(rotationOf(config));
    this.ledger.setZone(config.timezone);
  }

  /** Opens them; what `sessions` have open goes on in other processes. Throws what says what is in the way. */
  open(sessions: readonly HandedSession[] = []): void {
    const requests = sessions.flatMap(({ books }) => books.requests);
    const holds = sessions.flatMap(({ books }) => books.holds);
    this.#adopt(this.#openFiles({ requests, holds }));
  }

  /**
   * Puts them down for another process, and tells what goes on here; from then on that one is told. Throws an Error, and
   * nothing has changed, where they can't be written now.
   */
  async give(others: readonly HandedSession[]): Promise<{ own: HandedSession; others: HandedSession[] }> {
    const books = this.movable;
    if (books === null) throw new Error("another process keeps the books");
    await books.ledger.durable();
    if (!(await books.sink.flush())) throw new Error("the audit file cannot be written now");
    const elsewhere = new Set(others.flatMap((session) => session.books.requests));
    const remote = this.#createRemote();
    const { holds, requests } = books.ledger.handOver(remote.ledger, elsewhere);
    const ownHolds = holds.filter(({ requestId }) => !elsewhere.has(requestId));
    remote.ledger.adopt(ownHolds);
    for (const id of requests) if (!elsewhere.has(id)) remote.requests.add(id);
    for (const { requestId, agent } of ownHolds) {
      remote.requests.add(requestId);
      remote.ledger.see([[agent, viewOf(books.ledger, agent)]]);
    }
    this.#become(remote);
    await books.sink[Symbol.asyncDispose]();
    // The seal is on disk at once; its mark in the keychain is not waited for.
    await Promise.race([books.sealer[Symbol.asyncDispose](), wait(sealWithinMs, nobody)]);
    await books.ledger.close();
    const own: HandedSession = {
      id: randomBytes(16).toString("hex"),
      pid: process.pid,
      inFlight: this.#parts.inFlight(),
      done: { money: 0, lines: 0 },
      books: { requests: [...remote.requests], holds: ownHolds.map(toHanded) },
    };
    return { own, others: others.map((session) => withHolds(session, holds)) };
  }

  /**
   * Takes them up again, when whoever had them is gone: what was not told is done here, each thing once. Returns lines that
   * nobody has counted. `others` drained here before. Throws where somebody else has them.
   */
  takeBack(others: readonly HandedSession[]): readonly AuditFacts[] {
    const { errands, ledger: remote, requests } = this.#remote;
    const untold = errands.stop();
    const live = [...remote.live];
    const ended = untold.flatMap(({ errand }) => (errand.do === "end" ? [errand.hold] : []));
    const gone: HandedHold[] = ended.map((id) => ({ id, requestId: "", caps: noCaps, lifeMs: 0 }));
    let own: Own;
    try {
      own = this.#openFiles({
        requests: [...requests, ...others.flatMap(({ books }) => books.requests)],
        holds: [...live.map(toHanded), ...gone, ...others.flatMap(({ books }) => books.holds)],
      });
    } catch (error) {
      errands.restore(untold);
      throw error;
    }
    const ledger = own.ledger as SqliteLedger;
    for (const hold of live) ledger.rebind(hold);
    const lines = new Set(untold.flatMap(({ errand }) => (errand.do === "line" ? [errand.facts.id] : [])));
    const written = recordedCosts(this.#config.audit.file, lines);
    this.#adopt(own);
    return untold.flatMap((one) => redo(one, ledger, own.sink, written));
  }

  /** Whoever kept the books has closed what runs here as after a crash. */
  giveUp(): void {
    this.#remote.errands.giveUp();
  }

  async close(): Promise<void> {
    await this.#own?.sink[Symbol.asyncDispose]();
    await this.#own?.sealer[Symbol.asyncDispose]();
    await this.#own?.ledger.close();
  }

  #adopt(own: Own): void {
    this.#own = own;
    this.ledger.target = own.ledger;
    this.sink.target = own.sink;
    // Who asked for money while nothing was open asks here.
    for (const { reject } of this.#remote.errands.stop()) reject(new BooksReturned());
  }

  #become(remote: Remote): void {
    this.#remote = remote;
    this.#own = null;
    this.ledger.target = remote.ledger;
    this.sink.target = remote.sink;
  }

  #createRemote(): Remote {
    const { clock, inFlight } = this.#parts;
    const requests = new Set<string>();
    const errands: Errands = new Errands({
      inFlight,
      agents: () => ledger.agents(),
      onViews: (views) => ledger.see(views),
      wait: (ms) => wait(ms, nobody),
    });
    const ledger = new RemoteLedger({
      clock,
      timezone: this.#config.timezone,
      tell: async (errand) => {
        if (errand.do === "hold") requests.add(errand.ask.requestId);
        const answer = await errands.tell(errand);
        if (errand.do === "close") requests.delete(errand.request);
        return answer;
      },
      returned: () => this.ledger,
    });
    return { errands, ledger, requests, sink: new RemoteSink((errand) => errands.tell(errand)) };
  }

  #openFiles(handed: HandedBooks): Own {
    const { home, clock, report, openLedger = openSqliteLedger } = this.#parts;
    const { audit, timezone } = this.#config;
    let sink: FileSink | null = null;
    const ledger = openLedger({
      file: join(home, "state/ledger.sqlite"),
      clock,
      timezone,
      sinceBootMs: systemSinceBootMs,
      recordedCosts: (ids) => recordedCosts(audit.file, ids),
      trail: {
        since: (mark, fromMs) => trailSince(audit.file, mark, fromMs),
        durable: () => sink?.durable() ?? null,
      },
      onNote: (note) => report(`ledger: ${note}`),
      onFault: (fault) => report(fault === null ? "ledger: works again" : `ledger: ${fault}`),
      handed,
    });
    try {
      mkdirSync(dirname(audit.file), { recursive: true, mode: 0o700 });
      const trail = openTrail({ home, config: this.#config, clock, vault: this.#parts.vault, report });
      ({ sink } = trail);
      return { ledger, ...trail };
    } catch (error) {
      void ledger.close();
      throw error;
    }
  }
}

const noCaps = { daily: 0, hourly: undefined, monthly: undefined };

function toHanded({ id, requestId, caps, lifeMs }: OpenHold): HandedHold {
  return { id, requestId, caps, lifeMs };
}

function withHolds(session: HandedSession, holds: readonly OpenHold[]): HandedSession {
  const requests = new Set(session.books.requests);
  const own = holds.filter(({ requestId }) => requests.has(requestId)).map(toHanded);
  return { ...session, books: { ...session.books, holds: own } };
}

/** Does what was to be told, on the books themselves. Whether the other one had done it already shows in the files. */
function redo(
  { errand, resolve, reject }: Untold,
  ledger: SqliteLedger,
  sink: FileSink,
  written: ReadonlyMap<string, unknown>,
): AuditFacts[] {
  if (errand.do === "hold") reject(new BooksReturned());
  else if (errand.do === "line") {
    if (written.has(errand.facts.id)) resolve(true);
    else {
      const facts = fromErrand(errand);
      void sink.append(facts).then(resolve);
      return [facts];
    }
  } else {
    const hold = errand.do === "end" ? ledger.liveHold(errand.hold) : undefined;
    if (errand.do === "end" && hold !== undefined) ledger.end(hold, errand.ended, errand.nanos, errand.why);
    if (errand.do === "close") ledger.closeRequest(errand.request);
    // What was given back or put ahead shows in what the file says is held.
    resolve(errand.do === "ahead" ? 0 : null);
  }
  return [];
}

/** The ledger is another running process's. */
export function isTaken(error: unknown): boolean {
  return error instanceof GatewayError && error.code === "BUDGET_LEDGER";
}
