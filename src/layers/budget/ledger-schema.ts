// Tables of the ledger's file. Records are only added, but for a hold that grows and facts that are no longer needed;
// days that are over are folded into totals. Amounts are nano-dollars.
//
//   holds   17 | req_01J… | 1 | windu | 2026-11-23 | 2026-11-23T13:00Z | 2026-11 | 10200000 | anthropic/… | 1795… | {…} | 1795…
//   releases 17 | 1400000
//   ends    17 | settled | 8712000 | usage
//   totals  windu | 2026-11-22 | 2026-11 | 1840000000
//   notes   3 | 1795… | the clock was set forward by 24 h; …

import type { Database } from "bun:sqlite";
import type { Nanos } from "../../money.ts";
import type { HoldEnd, OpenRequest } from "./ledger.ts";

/** What this code writes; a file of a higher number is not opened. */
const version = 2;

const ends = `CREATE TABLE ends (
  hold INTEGER PRIMARY KEY, ended TEXT NOT NULL CHECK (ended IN ('settled', 'voided', 'crashed', 'expired')),
  nanos INTEGER NOT NULL CHECK (nanos >= 0), why TEXT NOT NULL) STRICT`;
const releases = `CREATE TABLE releases (
  hold INTEGER NOT NULL, nanos INTEGER NOT NULL CHECK (nanos > 0)) STRICT`;
const releasesByHold = "CREATE INDEX releases_hold ON releases (hold)";
const notes = "CREATE TABLE notes (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, text TEXT NOT NULL) STRICT";

const fresh = [
  `CREATE TABLE holds (
     id INTEGER PRIMARY KEY, request TEXT NOT NULL, attempt INTEGER NOT NULL, agent TEXT NOT NULL,
     day TEXT NOT NULL, hour TEXT NOT NULL, month TEXT NOT NULL, nanos INTEGER NOT NULL CHECK (nanos >= 0),
     candidate TEXT NOT NULL, taken_at INTEGER NOT NULL, facts TEXT, deadline INTEGER NOT NULL) STRICT`,
  releases,
  releasesByHold,
  // The key makes a second end of the same hold impossible.
  ends,
  `CREATE TABLE totals (
     agent TEXT NOT NULL, day TEXT NOT NULL, month TEXT NOT NULL, nanos INTEGER NOT NULL CHECK (nanos >= 0),
     PRIMARY KEY (agent, day)) STRICT, WITHOUT ROWID`,
  "CREATE TABLE counters (key TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT, WITHOUT ROWID",
  "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
  notes,
];

// Version 1 had neither deadlines, releases nor notes, and no hold could expire.
const fromVersion1 = [
  "ALTER TABLE holds ADD COLUMN deadline INTEGER NOT NULL DEFAULT 0",
  "ALTER TABLE ends RENAME TO ends_1",
  ends,
  "INSERT INTO ends SELECT * FROM ends_1",
  "DROP TABLE ends_1",
  releases,
  releasesByHold,
  notes,
];

/** The file was written by a newer gateway. */
export class NewerLedger extends Error {
  override readonly name = "NewerLedger";
}

/** Brings the tables up to date, in the caller's transaction. True: the file was empty. Throws a NewerLedger. */
export function applySchema(db: Database): boolean {
  const found = versionOf(db);
  if (found > version) throw new NewerLedger(`the ledger has version ${found}`);
  if (found === version) return false;
  for (const statement of found === 0 ? fresh : fromVersion1) db.run(statement);
  db.run("INSERT OR REPLACE INTO meta VALUES ('schema', ?)", [String(version)]);
  return found === 0;
}

function versionOf(db: Database): number {
  const tables = db.query<{ name: string }, []>("SELECT name FROM sqlite_schema WHERE name = 'meta'").all();
  if (tables.length === 0) return 0;
  const row = db.query<{ value: string }, []>("SELECT value FROM meta WHERE key = 'schema'").get();
  return Number(row?.value ?? 0);
}

/** What a row of `holds` puts aside: all that it was granted, without what it gave back. */
export const stillHeld =
  "(holds.nanos - coalesce((SELECT sum(releases.nanos) FROM releases WHERE releases.hold = holds.id), 0))";

interface AttemptRow {
  readonly request: string;
  readonly agent: string;
  readonly facts: string | null;
  readonly attempt: number;
  readonly candidate: string;
  readonly held: Nanos;
  readonly ended: HoldEnd;
  readonly charged: Nanos;
}

/** Requests whose audit line is missing, with all their attempts. Every hold must have ended. */
export function readOpenRequests(db: Database): OpenRequest[] {
  const rows = db
    .query<AttemptRow, []>(
      `SELECT request, agent, facts, attempt, candidate, ${stillHeld} AS held, ended, e.nanos AS charged
       FROM holds JOIN ends e ON e.hold = id
       WHERE request IN (SELECT request FROM holds WHERE facts IS NOT NULL) ORDER BY id`,
    )
    .all();
  const found = new Map<string, { first: AttemptRow; facts: string; attempts: AttemptRow[] }>();
  for (const row of rows) {
    const open = found.get(row.request) ?? { first: row, facts: "", attempts: [] };
    found.set(row.request, { ...open, facts: row.facts ?? open.facts, attempts: [...open.attempts, row] });
  }
  return [...found].map(([requestId, { first, facts, attempts }]) => ({
    requestId,
    agent: first.agent,
    facts,
    chargedNanos: attempts.reduce((sum, row) => sum + row.charged, 0),
    attempts: attempts.map((row) => ({
      attempt: row.attempt,
      candidate: row.candidate,
      heldNanos: row.held,
      chargedNanos: row.charged,
      ended: row.ended,
    })),
  }));
}
