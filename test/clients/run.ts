// `npm run test:clients`: real clients through the real gateway. `npm run test:clients -- NAME…` runs only the cases whose
// name holds one of the words. Last line: `N passed, N failed`.

import { installClients } from "./install.ts";
import { isSealed, runSealed } from "./sealed-run.ts";

const words = process.argv.slice(2);

async function main(): Promise<number> {
  if (!isSealed()) {
    await installClients();
    const code = await runSealed();
    if (code !== null) return code;
    console.log("no network of its own on this system: the clients are held back by proxy variables alone");
  }
  // Only now: the cases read the versions of what is installed.
  const { runAll } = await import("./run-all.ts");
  return runAll(words);
}

process.exitCode = await main();
