// `npm run fuzz [-- NAME…] [--minutes N] [--seed N] [--seeds N]`: the fuzzers of test/fuzz with random seeds, in turns,
// until the time is over or a case fails; then `ledger`, the ledger's simulator, over its number of seeds. A find of a
// fuzzer is made small and written to test/fuzz/corpus/; a find of the simulator is its seed. The exit code is then 1.

import { parseArgs } from "node:util";
import { saveFind } from "../test/fuzz/corpus.ts";
import { minimise } from "../test/fuzz/minimise.ts";
import { createSeededRandom } from "../test/fuzz/seeded-random.ts";
import { verdict, type FuzzTarget } from "../test/fuzz/target.ts";
import { fuzzTargets } from "../test/fuzz/targets.ts";
import { fuzzLedger } from "./fuzz-ledger.ts";

/** How long one target runs before the next has its turn. */
const turnMs = 2_000;
/** A case that takes this long is a find: some input costs far more than its bytes. */
const slowMs = 2_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: "string", default: "5" },
    seed: { type: "string" },
    seeds: { type: "string", default: "10000" },
  },
});
const minutes = Number(values.minutes);
const firstSeed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const seeds = Number(values.seeds);
const withLedger = positionals.length === 0 || positionals.includes("ledger");
const chosen = fuzzTargets.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
const unknown = positionals.some((name) => name !== "ledger" && !fuzzTargets.some((target) => target.name === name));
if (unknown || !(minutes > 0) || !Number.isInteger(firstSeed) || !(Number.isInteger(seeds) && seeds > 0)) {
  console.error(`usage: npm run fuzz [-- NAME…] [--minutes N] [--seed N] [--seeds N]`);
  console.error(`names: ${fuzzTargets.map(({ name }) => name).join(" ")}, for N minutes; ledger, for N seeds`);
  process.exit(2);
}

/** Finds of one kind have one message but for numbers, so that making a case small does not slip into another find. */
function kindOf(problem: string): string {
  return problem.replaceAll(/\d+/g, "0");
}

/** Runs one turn; the message of a find, or null. */
function turn(target: FuzzTarget, seed: number, count: (rounds: number) => void): string | null {
  const random = createSeededRandom(seed);
  const end = performance.now() + turnMs;
  let rounds = 0;
  while (performance.now() < end) {
    const input = target.make(random);
    const before = performance.now();
    const problem = verdict(target, input);
    const ms = performance.now() - before;
    rounds += 1;
    if (problem === null && ms < slowMs) continue;
    count(rounds);
    const found = problem ?? `took ${Math.round(ms)} ms`;
    console.log(`${target.name}, seed ${seed}, round ${rounds}: ${found}`);
    const fails = (candidate: unknown): boolean =>
      kindOf(verdict(target, candidate as typeof input) ?? "") === kindOf(found);
    const small = problem === null ? input : minimise(input, fails);
    return saveFind(target.name, { found, input: small });
  }
  count(rounds);
  return null;
}

const end = performance.now() + minutes * 60_000;
const rounds = new Map(chosen.map(({ name }) => [name, 0]));
let seed = firstSeed;
let find: string | null = null;
let turns = 0;
if (chosen.length > 0) console.log(`seed ${firstSeed}`);
while (chosen.length > 0 && find === null && performance.now() < end) {
  const target = chosen[turns % chosen.length]!;
  find = turn(target, seed, (more) => rounds.set(target.name, (rounds.get(target.name) ?? 0) + more));
  seed += 1;
  turns += 1;
}
for (const [name, count] of rounds) {
  const perTarget = Math.max(1, Math.ceil(turns / chosen.length)) * (turnMs / 1_000);
  console.log(`${name}: ${count} rounds, about ${Math.round(count / perTarget)} a second`);
}
if (find !== null) {
  console.log(`written to ${find}; it fails in \`npm test\` until it is mended`);
  process.exitCode = 1;
}
if (withLedger && !(await fuzzLedger(firstSeed, seeds))) process.exitCode = 1;
