// The ledger's file: state/ledger.sqlite. SQLite writes, but never syncs: the caller makes a batch durable by `sync`, an
// fdatasync of the write-ahead log off the event loop, so that no request waits for another one's disk. The order that
// SQLite would keep by itself is kept here: the log is synced before pages go from it to the main file, and the main file
// is synced before the log is written from its beginning again (sqlite.org/wal.html, "Checkpointing").

import { Database, SQLiteError, type Statement } from "bun:sqlite";
import { closeSync, fdatasync, fdatasyncSync, fstatSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { GatewayError } from "../../errors.ts";
import type { Nanos } from "../../money.ts";
import type { HoldEnd, OpenRequest } from "./ledger.ts";
import { readLedgerReport, readLedgerRequests, type LedgerReport, type LedgerRequest } from "./ledger-report.ts";
import { applySchema, NewerLedger, readOpenRequests, stillHeld } from "./ledger-schema.ts";
import type { TrailCharge, TrailMark } from "./trail.ts";
import type { LastWindows, WindowKeys } from "./windows.ts";

/** One row of `holds`. */
export interface HoldRow {
  readonly id: number;
  readonly requestId: string;
  readonly attempt: number;
  readonly agent: string;
  readonly keys: WindowKeys;
  /** All that was put aside for it, before what it gave back. */
  readonly granted: Nanos;
  readonly candidate: string;
  readonly takenAt: number;
  /** On a request's first hold, until its audit line is durable. */
  readonly facts: string | null;
  /** Wall clock, milliseconds. */
  readonly deadline: number;
}

export interface NoteRow {
  /** Wall clock, milliseconds. */
  readonly at: number;
  readonly text: string;
}

/** Part of a hold that was given back while it was open. */
export interface ReleaseRow {
  readonly hold: number;
  readonly nanos: Nanos;
}

/** A hold that is open, as its record stands. */
export interface OpenRow extends WindowKeys {
  readonly id: number;
  readonly request: string;
  readonly attempt: number;
  readonly agent: string;
  readonly candidate: string;
  /** All that was put aside for it, before what it gave back. */
  readonly granted: Nanos;
  readonly nanos: Nanos;
}

export interface EndRow {
  readonly hold: number;
  readonly ended: HoldEnd;
  readonly nanos: Nanos;
  readonly why: string;
}

/** What one transaction writes, in this order. */
export interface LedgerBatch {
  readonly holds: readonly HoldRow[];
  /** Holds whose `granted` grew since they were written. */
  readonly grown: ReadonlySet<HoldRow>;
  readonly releases: readonly ReleaseRow[];
  readonly ends: readonly EndRow[];
  /** First holds of requests whose audit line is durable. */
  readonly closed: readonly number[];
  readonly counters: ReadonlyMap<string, string>;
  readonly notes: readonly NoteRow[];
  /** The windows now in use, where they changed. */
  readonly windows: LastWindows | null;
  /** The last durable line of the audit trail, where requests are closed: what is folded away is never after it. */
  readonly trail: TrailMark | null;
}

// About 6 MB of log; the pages of a batch are counted roughly.
const pagesBeforeCheckpoint = 1_500;
const keptDays = 400;
const keptNotes = 1_000;

export class LedgerStore {
  readonly #db: Database;
  readonly #mainFd: number;
  readonly #logFd: number;
  readonly #statements: ReturnType<typeof prepare>;
  /** The file was empty, or not there at all. */
  readonly isNew: boolean;
  #pages = 0;

  /**
   * Opens the file, creating it where it is missing (0600, its folder 0700), and keeps every other process out until
   * `close` or the end of this process, however it ends. Throws a GatewayError BUDGET_LEDGER whose public message says
   * what to do.
   */
  constructor(file: string) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    let db: Database | undefined;
    try {
      createPrivate(file);
      const opened = connect(file);
      ({ db } = opened);
      this.#db = opened.db;
      this.isNew = opened.isNew;
      this.#statements = prepare(opened.db);
      // Opened after the lock is ours and closed after the connection: closing any descriptor of the main file drops all
      // of the process's locks on it (POSIX, fcntl).
      this.#mainFd = openSync(file, "r+");
      this.#logFd = openSync(`${file}-wal`, "r+");
      const folder = openSync(dirname(file), "r");
      fsyncSync(folder);
      closeSync(folder);
    } catch (cause) {
      db?.close();
      throw openFault(cause);
    }
  }

  /** Writes a batch in one transaction; durable only after `sync`. Throws where nothing of it was written. */
  write(batch: LedgerBatch): void {
    const s = this.#statements;
    this.#transaction(() => {
      for (const h of batch.holds) {
        const { day, hour, month } = h.keys;
        const { id, requestId, attempt, agent, granted, candidate, takenAt, facts, deadline } = h;
        s.hold.run(id, requestId, attempt, agent, day, hour, month, granted, candidate, takenAt, facts, deadline);
      }
      for (const hold of batch.grown) s.grow.run(hold.granted, hold.deadline, hold.id);
      for (const release of batch.releases) s.release.run(release.hold, release.nanos);
      for (const end of batch.ends) s.end.run(end.hold, end.ended, end.nanos, end.why);
      for (const id of batch.closed) s.close.run(id);
      for (const [key, json] of batch.counters) s.counter.run(key, json);
      for (const { at, text } of batch.notes) s.note.run(at, text);
      if (batch.windows !== null) s.meta.run("windows", JSON.stringify(batch.windows));
      if (batch.trail !== null) s.meta.run("trail", JSON.stringify(batch.trail));
    });
    this.#pages += 4 + (batch.holds.length + batch.ends.length) / 10;
  }

  /** Makes everything written so far durable. Rejects where that is not certain, and then never is again. */
  async sync(): Promise<void> {
    // Removed beneath us, the file would take every write and lose it at the end of the process.
    if (fstatSync(this.#logFd).nlink === 0 || fstatSync(this.#mainFd).nlink === 0) {
      throw new Error("the ledger file was removed or replaced");
    }
    await datasync(this.#logFd);
    if (this.#pages >= pagesBeforeCheckpoint) await this.#checkpoint();
  }

  async #checkpoint(): Promise<void> {
    this.#pages = 0;
    try {
      this.#db.run("PRAGMA wal_checkpoint(PASSIVE)");
    } catch (error) {
      // A full disk: the log holds everything and only grows on. When it cannot either, `write` says so.
      if (!(error instanceof SQLiteError)) throw error;
    }
    await datasync(this.#mainFd);
  }

  /**
   * Ends every open hold: at what its request's audit line says, where there is one, else in full, because nobody knows
   * what it cost. Requests in `living` go on in another process: theirs stay. Durable when it returns.
   */
  chargeOpenHolds(
    recordedCosts: (requestIds: ReadonlySet<string>) => ReadonlyMap<string, Nanos>,
    living: ReadonlySet<string> = new Set(),
  ): void {
    const all = this.#db
      .query<{ id: number; request: string; nanos: Nanos }, []>(
        `SELECT id, request, ${stillHeld} AS nanos FROM holds WHERE id NOT IN (SELECT hold FROM ends) ORDER BY id DESC`,
      )
      .all();
    const open = all.filter(({ request }) => !living.has(request));
    const costs = recordedCosts(new Set(open.map((hold) => hold.request)));
    const paid = this.#db.query<{ nanos: Nanos | null }, [string]>(
      "SELECT sum(e.nanos) AS nanos FROM holds JOIN ends e ON e.hold = id WHERE request = ?",
    );
    this.#transaction(() => {
      for (const { id, request, nanos } of open) {
        const cost = costs.get(request);
        // Newest first: it takes what the others have not paid yet.
        const rest = cost === undefined ? nanos : Math.max(0, cost - (paid.get(request)?.nanos ?? 0));
        if (cost === undefined) this.#statements.end.run(id, "crashed", rest, "open at start-up");
        else this.#statements.end.run(id, "settled", rest, "by its audit line");
      }
    });
    fdatasyncSync(this.#logFd);
  }

  /** The holds of these requests that have not ended, as their records stand. */
  openHolds(requests: ReadonlySet<string>): OpenRow[] {
    if (requests.size === 0) return [];
    return this.#db
      .query<OpenRow, []>(
        `SELECT id, request, attempt, agent, day, hour, month, candidate,
           holds.nanos AS granted, ${stillHeld} AS nanos FROM holds
         WHERE id NOT IN (SELECT hold FROM ends)`,
      )
      .all()
      .filter(({ request }) => requests.has(request));
  }

  /** Spent by agent in these windows, by their keys. */
  spentIn(keys: WindowKeys): Map<string, Map<string, Nanos>> {
    const sums = new Map<string, Map<string, Nanos>>();
    const rows = this.#db
      .query<{ agent: string; key: string; nanos: Nanos }, [string, string, string]>(
        `WITH spent (agent, day, hour, month, nanos) AS (
           SELECT agent, day, hour, month, e.nanos FROM holds JOIN ends e ON e.hold = id
           UNION ALL SELECT agent, day, '', month, nanos FROM totals)
         SELECT agent, day AS key, sum(nanos) AS nanos FROM spent WHERE day = ?1 GROUP BY agent, day
         UNION ALL SELECT agent, hour, sum(nanos) FROM spent WHERE hour = ?2 GROUP BY agent, hour
         UNION ALL SELECT agent, month, sum(nanos) FROM spent WHERE month = ?3 GROUP BY agent, month`,
      )
      .all(keys.day, keys.hour, keys.month);
    for (const { agent, key, nanos } of rows) {
      const sum = sums.get(agent) ?? new Map<string, Nanos>();
      sums.set(agent, sum.set(key, nanos));
    }
    return sums;
  }

  /** What the records say is held, by agent. */
  held(): Map<string, Nanos> {
    const rows = this.#db.query<{ agent: string; nanos: Nanos }, []>(
      `SELECT agent, sum(${stillHeld}) AS nanos FROM holds WHERE id NOT IN (SELECT hold FROM ends) GROUP BY agent`,
    );
    return new Map(rows.all().map((row) => [row.agent, row.nanos]));
  }

  /** The last line of the audit trail that was durable when a request was last closed. */
  trailMark(): TrailMark | null {
    const row = this.#db.query<{ value: string }, []>("SELECT value FROM meta WHERE key = 'trail'").get();
    return row === null ? null : (JSON.parse(row.value) as TrailMark);
  }

  /**
   * Charges what the trail says and no record does, by agent and hour, and remembers the trail's end. Durable when it
   * returns. Returns what was charged, by agent.
   */
  restore(
    charges: readonly TrailCharge[],
    end: TrailMark,
    keysAt: (ms: number) => WindowKeys,
    nowMs: number,
  ): Map<string, Nanos> {
    const known = new Set<string>();
    if (charges.length > 0) {
      const rows = this.#db.query<{ request: string }, []>("SELECT DISTINCT request FROM holds").all();
      for (const { request } of rows) known.add(request);
    }
    const missing = charges.filter(({ requestId }) => !known.has(requestId));
    const groups = Map.groupBy(missing, ({ agent, at }) => JSON.stringify([agent, keysAt(at).hour]));
    const restored = new Map<string, Nanos>();
    const s = this.#statements;
    this.#transaction(() => {
      let id = this.lastHoldId();
      for (const group of groups.values()) {
        const { agent, at } = group[0]!;
        const { day, hour, month } = keysAt(at);
        const nanos = group.reduce((sum, charge) => sum + charge.nanos, 0);
        id++;
        s.hold.run(id, `restored-${end.seq}-${id}`, 1, agent, day, hour, month, nanos, "-", nowMs, null, nowMs);
        s.end.run(id, "settled", nanos, "restored from the audit trail");
        restored.set(agent, (restored.get(agent) ?? 0) + nanos);
      }
      s.meta.run("trail", JSON.stringify(end));
    });
    fdatasyncSync(this.#logFd);
    return restored;
  }

  openRequests(): OpenRequest[] {
    return readOpenRequests(this.#db);
  }

  report(sinceDay: string): LedgerReport {
    return readLedgerReport(this.#db, sinceDay);
  }

  reportRequests(agent: string, day: string): readonly LedgerRequest[] {
    return readLedgerRequests(this.#db, agent, day);
  }

  /** First holds of the requests that are open, by request. */
  openFirstHolds(): Map<string, number> {
    const rows = this.#db.query<{ request: string; id: number }, []>(
      "SELECT request, id FROM holds WHERE facts IS NOT NULL",
    );
    return new Map(rows.all().map((row) => [row.request, row.id]));
  }

  lastHoldId(): number {
    // Folding removes a hold together with its end, so an id is not used twice within the life of its rows.
    return this.#db.query<{ id: number | null }, []>("SELECT max(id) AS id FROM holds").get()?.id ?? 0;
  }

  windows(): LastWindows | undefined {
    const row = this.#db.query<{ value: string }, []>("SELECT value FROM meta WHERE key = 'windows'").get();
    return row === null ? undefined : (JSON.parse(row.value) as LastWindows);
  }

  counters(prefix: string): Map<string, string> {
    const rows = this.#db.query<{ key: string; json: string }, [string, number]>(
      "SELECT key, json FROM counters WHERE substr(key, 1, ?2) = ?1",
    );
    return new Map(rows.all(prefix, prefix.length).map((row) => [row.key, row.json]));
  }

  /**
   * Folds up to `limit` ended holds of earlier hours into one total an agent and day, so that a start reads an hour's rows
   * at most, and drops totals older than 400 days. False: nothing is left to fold. A step of its own, so that a full hour
   * does not stall the loop.
   */
  fold(before: WindowKeys, limit: number): boolean {
    const s = this.#statements;
    try {
      const rows = s.foldable.all(before.hour, limit);
      this.#transaction(() => {
        for (const row of rows) {
          s.total.run(row.agent, row.day, row.month, row.nanos);
          s.dropEnd.run(row.id);
          s.dropReleases.run(row.id);
          s.dropHold.run(row.id);
        }
        if (rows.length < limit) {
          s.prune.run(before.day, `-${keptDays} days`);
          s.pruneNotes.run(keptNotes);
        }
      });
      this.#pages += rows.length / 10;
      return rows.length === limit;
    } catch (error) {
      // Tidying can wait for the next day or start; a disk that is full shows at the next write.
      if (!(error instanceof SQLiteError)) throw error;
      return false;
    }
  }

  /** Syncs what is left and lets go of the file. */
  async close(): Promise<void> {
    try {
      await datasync(this.#logFd);
      this.#db.run("PRAGMA wal_checkpoint(PASSIVE)");
      // SQLite removes the log when it closes: before that, all of it must have arrived in the main file.
      await datasync(this.#mainFd);
    } finally {
      this.abandon();
    }
  }

  /** Lets go of the file as it is. */
  abandon(): void {
    // A statement that lives on keeps the connection, and with it the lock, until it is collected.
    for (const statement of Object.values(this.#statements)) statement.finalize();
    this.#db.close();
    closeSync(this.#logFd);
    closeSync(this.#mainFd);
  }

  #transaction(work: () => void): void {
    const s = this.#statements;
    s.begin.run();
    try {
      work();
      s.commit.run();
    } catch (error) {
      // SQLite has rolled back by itself after some faults (a full disk among them).
      if (this.#db.inTransaction) s.rollback.run();
      throw error;
    }
  }
}

// SQLite gives its log the mode of the main file, which therefore is made first.
function createPrivate(file: string): void {
  try {
    closeSync(openSync(file, "wx", 0o600));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

function connect(file: string): { readonly db: Database; readonly isNew: boolean } {
  const db = new Database(file, { readwrite: true, create: false, strict: true });
  try {
    return { db, isNew: configure(db) };
  } catch (error) {
    db.close();
    throw error;
  }
}

/** True: the file was empty. */
function configure(db: Database): boolean {
  // EXCLUSIVE before the first access: the lock is an advisory one of the operating system, so it goes with the process.
  db.run("PRAGMA locking_mode = EXCLUSIVE");
  db.run("PRAGMA journal_mode = WAL");
  db.run("PRAGMA synchronous = OFF");
  db.run("PRAGMA wal_autocheckpoint = 0");
  db.run("PRAGMA trusted_schema = OFF");
  db.run("PRAGMA cache_size = -1024");
  db.run("BEGIN IMMEDIATE");
  const isNew = applySchema(db);
  db.run("COMMIT");
  return isNew;
}

type Row = readonly (string | number | null)[];

function prepare(db: Database) {
  const write = (sql: string): Statement<null, Row[number][]> => db.prepare<null, Row[number][]>(sql);
  return {
    begin: write("BEGIN IMMEDIATE"),
    commit: write("COMMIT"),
    rollback: write("ROLLBACK"),
    hold: write("INSERT INTO holds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
    grow: write("UPDATE holds SET nanos = ?, deadline = ? WHERE id = ?"),
    release: write("INSERT INTO releases VALUES (?, ?)"),
    end: write("INSERT INTO ends VALUES (?, ?, ?, ?)"),
    close: write("UPDATE holds SET facts = NULL WHERE id = ?"),
    counter: write("INSERT INTO counters VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET json = excluded.json"),
    meta: write("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"),
    note: write("INSERT INTO notes (at, text) VALUES (?, ?)"),
    foldable: db.prepare<{ id: number; agent: string; day: string; month: string; nanos: Nanos }, [string, number]>(
      `SELECT id, agent, day, month, e.nanos AS nanos FROM holds JOIN ends e ON e.hold = id
       WHERE hour < ? AND facts IS NULL ORDER BY id LIMIT ?`,
    ),
    total: write(
      "INSERT INTO totals VALUES (?, ?, ?, ?) ON CONFLICT (agent, day) DO UPDATE SET nanos = nanos + excluded.nanos",
    ),
    dropEnd: write("DELETE FROM ends WHERE hold = ?"),
    dropReleases: write("DELETE FROM releases WHERE hold = ?"),
    dropHold: write("DELETE FROM holds WHERE id = ?"),
    prune: write("DELETE FROM totals WHERE day < date(?, ?)"),
    pruneNotes: write("DELETE FROM notes WHERE id <= (SELECT max(id) FROM notes) - ?"),
  };
}

function datasync(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fdatasync(fd, (error) => (error === null ? resolve() : reject(error)));
  });
}

function openFault(cause: unknown): GatewayError {
  return new GatewayError("BUDGET_LEDGER", { publicMessage: whyNotOpened(cause), cause });
}

function whyNotOpened(cause: unknown): string {
  if (cause instanceof NewerLedger) {
    return "The ledger was written by a newer version of the gateway; start that one, or put back the ledger's backup.";
  }
  const code = cause instanceof SQLiteError ? cause.code : undefined;
  if (code === "SQLITE_BUSY") return "The ledger is in use by another running gateway; stop it first.";
  if (code === "SQLITE_NOTADB" || code === "SQLITE_CORRUPT") {
    return (
      "The ledger file is damaged; restore it from a backup, or move it away: then what the audit trail says was spent " +
      "this month is taken over."
    );
  }
  return "The ledger file cannot be opened; check the owner and mode of the state folder and the space on its disk.";
}
