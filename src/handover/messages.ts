// What two processes of one gateway say to each other over the admin socket while one takes over from the other. Both are
// of the same user and, but for an update, of the same version.

import type { ConfigText } from "../config/read-file.ts";
import type { LineErrand } from "../layers/audit/index.ts";
import type { BalanceView, HandedBooks, LedgerErrand } from "../layers/budget/index.ts";

/** Counts up where the words change: two that do not understand each other go on without a hand-over. */
export const handoverVersion = 1;

/** A place where the predecessor listens. */
export interface Place {
  /** As the configuration says it. */
  readonly text: string;
  /** Absent for a Unix socket. */
  readonly host?: string;
  readonly port?: number;
  readonly socketPath?: string;
}

/** First line of the answer to `begin`. The answer stays open: its end is the end of the process that wrote it. */
export interface Greeting {
  readonly version: number;
  readonly pid: number;
  readonly places: readonly Place[];
  /** What the predecessor runs with. */
  readonly source: ConfigText;
  /** What was taken of configured limits, as the ledger keeps it. */
  readonly buckets: readonly (readonly [key: string, json: string])[];
}

/** Requests that go on in one draining process. */
export interface HandedSession {
  readonly id: string;
  readonly pid: number;
  readonly books: HandedBooks;
  readonly inFlight: number;
  /** The last batch of each lane that was done. */
  readonly done: Readonly<Record<Lane, number>>;
}

/** The books, and what is in memory beside them. */
export interface Handed {
  /** The predecessor's own requests first, then those of others that drain still. */
  readonly sessions: readonly HandedSession[];
  /** Tokens that are lent to running commands, by their SHA-256 in hexadecimal. */
  readonly runTokens: readonly { readonly owner: string; readonly digest: string }[];
}

/** Lines wait for their own sync: money does not wait for them. */
export type Lane = "money" | "lines";
export type Errand = LedgerErrand | LineErrand;

export interface Batch {
  /** Counts up in its lane. The same number again is the same batch. */
  readonly number: number;
  readonly errands: readonly Errand[];
  readonly inFlight: number;
  /** Agents whose balances are of interest. */
  readonly agents: readonly string[];
}

export interface BatchAnswer {
  readonly answers: readonly unknown[];
  readonly views: readonly (readonly [agent: string, view: BalanceView])[];
}

/** What the keeper of the books says to those that drain. */
export type Word =
  /** The first one: who it is. */
  | { readonly say: "attached"; readonly pid: number }
  /** Another process keeps the books from now on. */
  | { readonly say: "moved" }
  /** The gateway stops: what runs may finish for so long. */
  | { readonly say: "stopping"; readonly graceMs: number };
