import { test } from "bun:test";
import { simulateSeeds } from "./ledger-simulation.ts";

test("no schedule of holds, crashes and clock jumps breaks a cap, loses a hold or reopens a day", async () => {
  const failure = await simulateSeeds(1, 200);
  if (failure === null) return;
  const { seed, error } = failure;
  throw new Error(`seed ${seed}; it alone: npm run fuzz -- ledger --seed ${seed} --seeds 1`, { cause: error });
}, 120_000);
