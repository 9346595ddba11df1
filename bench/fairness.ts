// `npm run bench -- fairness [SEEDS]`: the table of the fairness simulation (test/simulation/budget-fairness.ts).

import { type Outcome, type Scenario, simulateFairness } from "../test/simulation/budget-fairness.ts";

const named = process.argv.slice(2).find((argument) => argument !== "fairness");
const seeds = Number(named ?? 30);
if (!Number.isInteger(seeds) || seeds < 1) {
  console.error("usage: npm run bench -- fairness [SEEDS]   a whole number of seeds, 30 where absent");
  process.exit(2);
}

const kinds = ["streamed", "thinking", "whole"] as const;
const crowds = [
  { workers: 64, capUsd: 5 },
  { workers: 6, capUsd: 2 },
];
const scenarios: Scenario[] = [];
for (const { workers, capUsd } of crowds) {
  for (const kind of kinds) {
    for (const cached of workers === 64 ? [0, 0.9] : [0.9]) {
      for (const tells of [false, true]) {
        for (const patienceMs of [0, 2_000, 5_000, 10_000]) {
          const name = [
            `${workers} on $${capUsd}`,
            kind,
            `${cached * 100} % cached`,
            tells ? "vendor tells" : "bytes alone",
            `waits ${patienceMs / 1_000} s`,
          ].join(", ");
          scenarios.push({ name, kind, tells, patienceMs, cached, workers, capUsd });
        }
      }
    }
  }
}

const mean = (outcomes: readonly Outcome[], of: (outcome: Outcome) => number): number =>
  outcomes.reduce((sum, outcome) => sum + of(outcome), 0) / outcomes.length;

console.log(`About 20,000 prompt tokens, median 700 output tokens, max_tokens 32,000, ${seeds} seeds\n`);
console.log(
  "| Requests | Cap used (worst seed) | Overspent, worst | Served | Sent home for held money | Cut short | Seconds |",
);
console.log("|---|---|---|---|---|---|---|");
for (const scenario of scenarios) {
  const outcomes: Outcome[] = [];
  for (let seed = 1; seed <= seeds; seed++) outcomes.push(await simulateFairness(scenario, seed));
  const used = mean(outcomes, (one) => one.capUsed * 100).toFixed(1);
  const worst = (Math.min(...outcomes.map((one) => one.capUsed)) * 100).toFixed(1);
  const over = Math.max(...outcomes.map((one) => one.overspentNanos));
  const [served, home, cut, seconds] = [
    mean(outcomes, (one) => one.served),
    mean(outcomes, (one) => one.sentHome),
    mean(outcomes, (one) => one.cut),
    mean(outcomes, (one) => one.seconds),
  ].map((value) => value.toFixed(0));
  console.log(`| ${scenario.name} | ${used} % (${worst} %) | ${over} | ${served} | ${home} | ${cut} | ${seconds} |`);
}
