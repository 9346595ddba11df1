// Money: what may be spent, what was, and the layer that puts it aside before an attempt is sent.
export { boundNanos, costNanos, listedToolFees, outputRate, wouldHaveNanos } from "./cost.ts";
export { fund } from "./fund.ts";
export type { FundParts } from "./fund.ts";
export { doErrand, viewOf } from "./do-errand.ts";
export type {
  Balances,
  HandedBooks,
  HandedHold,
  Hold,
  HoldAsk,
  HoldEnd,
  Ledger,
  LedgerHealth,
  OpenRequest,
} from "./ledger.ts";
export { MovingLedger } from "./moving-ledger.ts";
export type { OpenHold } from "./open-hold.ts";
export { BooksReturned, RemoteLedger } from "./remote-ledger.ts";
export type { BalanceView, GrantedHold, LedgerErrand } from "./remote-ledger.ts";
export { RoomLine } from "./room-line.ts";
export { openLedgerFile } from "./ledger-report.ts";
export type { LedgerDay, LedgerReport, LedgerRequest } from "./ledger-report.ts";
export { listedSurcharges } from "./surcharge.ts";
export { openSqliteLedger, SqliteLedger } from "./sqlite-ledger.ts";
export type { SqliteLedgerOptions } from "./sqlite-ledger.ts";
export type { Trail, TrailCharge, TrailMark, TrailSince } from "./trail.ts";
