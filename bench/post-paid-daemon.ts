// The gateway with a ledger that only looks whether money is left, and charges afterwards, as most gateways do. For
// comparison in bench/overspend.ts: `sh bin/bun bench/post-paid-daemon.ts HOME CONFIG`. The product has no such setting.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock, systemRandom } from "../src/clock.ts";
import { Daemon } from "../src/daemon/daemon.ts";
import { openSqliteLedger, type HoldAsk, type Ledger } from "../src/layers/budget/index.ts";

interface Keeper extends Ledger {
  extend(hold: unknown, nanos: number): boolean;
  shrink(hold: unknown, nanos: number): boolean;
}

const folder = mkdtempSync(join(tmpdir(), "post-paid-"));
const sample = openSqliteLedger({ file: join(folder, "ledger.sqlite"), timezone: "UTC", clock: systemClock });
const keeper = Object.getPrototypeOf(sample) as Keeper;
await sample.close();
rmSync(folder, { recursive: true, force: true });

// oxlint-disable-next-line typescript/unbound-method -- bound to each ledger below
const original = keeper.hold;
const originalOf = (ledger: Ledger): Ledger["hold"] => original.bind(ledger);
keeper.hold = async function (this: Ledger, ask: HoldAsk) {
  return this.unspent(ask.agent, ask.caps) <= 0 ? null : originalOf(this)({ ...ask, nanos: 0 });
};
// Whoever spent less than the cap may ask for anything.
keeper.room = function (this: Ledger, agent, caps) {
  return this.unspent(agent, caps) <= 0 ? 0 : Number.MAX_SAFE_INTEGER;
};
keeper.extend = () => true;
keeper.shrink = () => false;

const [home, configFile] = process.argv.slice(2);
if (home === undefined || configFile === undefined) throw new Error("usage: post-paid-daemon.ts HOME CONFIG");
const daemon = await Daemon.start({
  home,
  configFile,
  clock: systemClock,
  random: systemRandom,
  report: () => undefined,
});
console.log(`listening on ${daemon.urls[0]}`);
