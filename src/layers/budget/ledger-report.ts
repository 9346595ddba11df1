// What the books say, for those who check them: read only, by the daemon that holds the file or, where none runs, from the
// file itself.

import { Database, SQLiteError } from "bun:sqlite";
import { existsSync } from "node:fs";
import type { Nanos } from "../../money.ts";

export interface LedgerReport {
  /** What was charged, by agent and day of the budget; without the requests in `open`. */
  readonly days: readonly LedgerDay[];
  /** Requests that have no durable audit line yet: in progress, or left by a crash for the next start to charge. */
  readonly open: readonly string[];
}

export interface LedgerDay {
  readonly agent: string;
  /** `2026-11-23` */
  readonly day: string;
  readonly nanos: Nanos;
}

/** Charges of one request on one day. */
export interface LedgerRequest {
  readonly request: string;
  readonly nanos: Nanos;
}

/** More are not told one by one. */
const MAX_REQUESTS = 20_000;

/** The books from `sinceDay` on, as of one moment. */
export function readLedgerReport(db: Database, sinceDay: string): LedgerReport {
  const read = db.transaction(() => ({
    days: db
      .query<LedgerDay, [string]>(
        `WITH open AS (SELECT request FROM holds WHERE facts IS NOT NULL),
         charges (agent, day, nanos) AS (
           SELECT agent, day, e.nanos FROM holds JOIN ends e ON e.hold = id WHERE request NOT IN open
           UNION ALL SELECT agent, day, nanos FROM totals)
         SELECT agent, day, sum(nanos) AS nanos FROM charges WHERE day >= ? GROUP BY agent, day ORDER BY day, agent`,
      )
      .all(sinceDay),
    open: db
      .query<{ request: string }, []>("SELECT request FROM holds WHERE facts IS NOT NULL")
      .all()
      .map(({ request }) => request),
  }));
  return read();
}

/** The charges that still stand one by one: those of the hour, before they are folded into their day's total. */
export function readLedgerRequests(db: Database, agent: string, day: string): LedgerRequest[] {
  return db
    .query<LedgerRequest, [string, string, number]>(
      `SELECT request, sum(e.nanos) AS nanos FROM holds JOIN ends e ON e.hold = id
       WHERE agent = ? AND day = ? GROUP BY request LIMIT ?`,
    )
    .all(agent, day, MAX_REQUESTS);
}

/** The file as it is, while no daemon holds it. */
export interface LedgerFile extends Disposable {
  report(sinceDay: string): LedgerReport;
  requests(agent: string, day: string): readonly LedgerRequest[];
}

/** Null: there is no ledger yet. Throws an Error that says what to do where the file is in use or damaged. */
export function openLedgerFile(file: string): LedgerFile | null {
  if (!existsSync(file)) return null;
  let db: Database;
  try {
    db = new Database(file, { readonly: true, strict: true });
    db.run("PRAGMA trusted_schema = OFF");
    db.query("SELECT 1 FROM meta LIMIT 1").get();
  } catch (error) {
    throw new Error(faultOf(error), { cause: error });
  }
  return {
    report: (sinceDay) => readLedgerReport(db, sinceDay),
    requests: (agent, day) => readLedgerRequests(db, agent, day),
    [Symbol.dispose]: () => db.close(),
  };
}

function faultOf(error: unknown): string {
  const code = error instanceof SQLiteError ? error.code : undefined;
  if (code === "SQLITE_BUSY" || code === "SQLITE_LOCKED") {
    return "the ledger is held by a gateway that does not answer on its admin socket; stop it, or set SANCTUM_HOME to its folder";
  }
  return "the ledger file cannot be read; check its owner and mode, and whether it is damaged";
}
