// Spends until it is killed: writes `H <request> <nanos>` when a hold is granted (the moment an attempt may be sent), and
// `S <request> <nanos>` once a settlement is on disk, which a later hold of the same agent shows.
import { writeSync } from "node:fs";
import { systemClock } from "../../src/clock.ts";
import { openSqliteLedger } from "../../src/layers/budget/index.ts";

const [file = "", round = "0"] = process.argv.slice(2);
const ledger = openSqliteLedger({ file, timezone: "UTC", clock: systemClock });
const caps = { daily: 9_000_000_000_000_000, hourly: undefined, monthly: undefined };
let count = 0;

async function spend(worker: number): Promise<void> {
  for (;;) {
    const requestId = `${round}-${worker}-${++count}`;
    const nanos = 1_000 + (count % 7);
    const hold = await ledger.hold({
      requestId,
      attempt: 1,
      agent: "windu",
      caps,
      nanos,
      candidate: "a/b",
      facts: () => "{}",
    });
    if (hold === null) throw new Error("refused");
    writeSync(1, `H ${requestId} ${nanos}\n`);
    if (count % 3 === 0) hold.extend(500);
    if (count % 5 === 0) continue;
    const cost = count % 900;
    hold.settle(cost, "usage");
    ledger.closeRequest(requestId);
    await ledger.hold({
      requestId: `${requestId}-after`,
      attempt: 1,
      agent: "other",
      caps,
      nanos: 1,
      candidate: "a/b",
      facts: () => "{}",
    });
    writeSync(1, `S ${requestId} ${cost}\n`);
  }
}

await Promise.all(Array.from({ length: 16 }, (_, worker) => spend(worker)));
