// The gateway as `sanctum start` runs it, but with its books in memory (memory-ledger.ts).
//   bun memory-main.ts start --config FILE

import { systemClock, systemRandom } from "../src/clock.ts";
import { Daemon } from "../src/daemon/daemon.ts";
import { openMemoryLedger } from "./memory-ledger.ts";

const configFile = process.argv[process.argv.indexOf("--config") + 1] ?? "";
const daemon = await Daemon.start({
  home: process.env["SANCTUM_HOME"] ?? "",
  configFile,
  clock: systemClock,
  random: systemRandom,
  report: (line) => console.error(line),
  openLedger: openMemoryLedger,
});
process.on("SIGTERM", () => void daemon.stop(0).then(() => process.exit(0)));
