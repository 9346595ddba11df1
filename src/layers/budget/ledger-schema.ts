// Tables of the ledger's file. Records are only added, but for a hold that grows and facts that are no longer needed;
// days that are over are folded into totals. Amounts are nano-dollars.
//
//   holds   17 | req_01J… | 1 | windu | 2026-11-23 | 2026-11-23T13:00Z | 2026-11 | 10200000 | anthropic/… | 1795…  | {…}
//   ends    17 | settled | 8712000 | usage
//   totals  windu | 2026-11-22 | 2026-11 | 1840000000

import type { Database } from "bun:sqlite";
import type { Nanos } from "../../money.ts";
import type { HoldEnd, OpenRequest } from "./ledger.ts";

export const schema = [
  `CREATE TABLE IF NOT EXISTS holds (
     id INTEGER PRIMARY KEY, request TEXT NOT NULL, attempt INTEGER NOT NULL, agent TEXT NOT NULL,
     day TEXT NOT NULL, hour TEXT NOT NULL, month TEXT NOT NULL, nanos INTEGER NOT NULL CHECK (nanos >= 0),
     candidate TEXT NOT NULL, taken_at INTEGER NOT NULL, facts TEXT) STRICT`,
  // The key makes a second end of the same hold impossible.
  `CREATE TABLE IF NOT EXISTS ends (
     hold INTEGER PRIMARY KEY, ended TEXT NOT NULL CHECK (ended IN ('settled', 'voided', 'crashed')),
     nanos INTEGER NOT NULL CHECK (nanos >= 0), why TEXT NOT NULL) STRICT`,
  `CREATE TABLE IF NOT EXISTS totals (
     agent TEXT NOT NULL, day TEXT NOT NULL, month TEXT NOT NULL, nanos INTEGER NOT NULL CHECK (nanos >= 0),
     PRIMARY KEY (agent, day)) STRICT, WITHOUT ROWID`,
  "CREATE TABLE IF NOT EXISTS counters (key TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT, WITHOUT ROWID",
  "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
  "INSERT OR IGNORE INTO meta VALUES ('schema', '1')",
];

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
      `SELECT request, agent, facts, attempt, candidate, h.nanos AS held, ended, e.nanos AS charged
       FROM holds h JOIN ends e ON e.hold = id
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
