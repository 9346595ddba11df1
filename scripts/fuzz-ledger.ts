// The seeded simulator of the ledger over many seeds, divided among processes. Run by `npm run fuzz -- ledger`; by itself
// (`fuzz-ledger.ts FIRST COUNT`) it is one of those processes.

import { availableParallelism } from "node:os";
import { simulateSeeds } from "../src/layers/budget/ledger-simulation.ts";

/** True: every invariant held for every seed. Otherwise it has said for which seed one broke, and how to play that again. */
export async function fuzzLedger(first: number, count: number): Promise<boolean> {
  const processes = Math.min(availableParallelism(), count);
  const share = Math.ceil(count / processes);
  console.log(`ledger: seeds ${first} to ${first + count - 1}`);
  const begun = performance.now();
  const codes = await Promise.all(
    Array.from({ length: processes }, async (_, index) => {
      const from = first + index * share;
      const own = Math.min(share, first + count - from);
      const command = [process.execPath, import.meta.path, String(from), String(own)];
      return own <= 0 ? 0 : Bun.spawn(command, { stdio: ["ignore", "inherit", "inherit"] }).exited;
    }),
  );
  const held = codes.every((code) => code === 0);
  if (held) console.log(`ledger: ${count} seeds held in ${Math.round((performance.now() - begun) / 1_000)} s`);
  return held;
}

async function playShare(first: number, count: number): Promise<void> {
  let done = 0;
  const failure = await simulateSeeds(first, count, () => {
    if (++done % 1_000 === 0) console.log(`ledger: ${done} of ${count} seeds from ${first} on`);
  });
  if (failure === null) return;
  const { seed, error } = failure;
  console.log(`ledger, seed ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  console.log(`it alone: npm run fuzz -- ledger --seed ${seed} --seeds 1`);
  process.exitCode = 1;
}

if (import.meta.main) await playShare(Number(process.argv[2]), Number(process.argv[3]));
