// The other end of a RemoteLedger: what a process tells whose books are kept here.

import type { Balances } from "./ledger.ts";
import type { BalanceView, GrantedHold, LedgerErrand } from "./remote-ledger.ts";
import type { SqliteLedger } from "./sqlite-ledger.ts";
import { OpenHold } from "./open-hold.ts";

/** Does one errand; its answer. `ahead` is granted in full, in half, or not at all. Rejects while the ledger stands still. */
export async function doErrand(ledger: SqliteLedger, errand: LedgerErrand): Promise<GrantedHold | number | null> {
  if (errand.do === "hold") {
    const { facts, ...ask } = errand.ask;
    const hold = await ledger.hold({ ...ask, facts: () => facts });
    return hold instanceof OpenHold ? { id: hold.id, keys: hold.keys } : null;
  }
  if (errand.do === "close") {
    ledger.closeRequest(errand.request);
    return null;
  }
  // One that has ended here (its deadline was past) takes nothing more.
  const hold = ledger.liveHold(errand.hold);
  if (hold === undefined) return null;
  if (errand.do === "end") ledger.end(hold, errand.ended, errand.nanos, errand.why);
  else if (errand.do === "shrink") ledger.shrink(hold, errand.nanos);
  else return [errand.nanos, Math.ceil(errand.nanos / 2), Math.ceil(errand.nanos / 4)].find((n) => hold.extend(n)) ?? 0;
  return null;
}

export function viewOf(
  ledger: { balances(agent: string): Balances } & Pick<SqliteLedger, "windowBalances">,
  agent: string,
): BalanceView {
  return { day: ledger.balances(agent), ...ledger.windowBalances(agent) };
}
