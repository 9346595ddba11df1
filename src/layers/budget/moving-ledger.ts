// The ledger as everybody knows it, whoever keeps the books: this process, or the one that has taken over from it.

import type { Nanos } from "../../money.ts";
import type { Caps } from "../../request.ts";
import type { Balances, Hold, HoldAsk, Ledger, LedgerHealth, OpenRequest } from "./ledger.ts";
import type { LedgerReport, LedgerRequest } from "./ledger-report.ts";

export class MovingLedger implements Ledger {
  /** Who keeps the books now. */
  target: Ledger;

  constructor(target: Ledger) {
    this.target = target;
  }

  hold(ask: HoldAsk): Promise<Hold | null> {
    return this.target.hold(ask);
  }

  room(agent: string, caps: Caps): Nanos {
    return this.target.room(agent, caps);
  }

  unspent(agent: string, caps: Caps): Nanos {
    return this.target.unspent(agent, caps);
  }

  balances(agent: string): Balances {
    return this.target.balances(agent);
  }

  windowBalances(agent: string): ReturnType<Ledger["windowBalances"]> {
    return this.target.windowBalances(agent);
  }

  day(): ReturnType<Ledger["day"]> {
    return this.target.day();
  }

  setZone(zone: string): void {
    this.target.setZone(zone);
  }

  closeRequest(requestId: string): void {
    this.target.closeRequest(requestId);
  }

  openRequests(): readonly OpenRequest[] {
    return this.target.openRequests();
  }

  saveCounters(key: string, json: string): void {
    this.target.saveCounters(key, json);
  }

  loadCounters(prefix: string): ReadonlyMap<string, string> {
    return this.target.loadCounters(prefix);
  }

  report(sinceDay: string): LedgerReport {
    return this.target.report(sinceDay);
  }

  reportRequests(agent: string, day: string): readonly LedgerRequest[] {
    return this.target.reportRequests(agent, day);
  }

  health(): LedgerHealth {
    return this.target.health();
  }

  close(): Promise<void> {
    return this.target.close();
  }
}
