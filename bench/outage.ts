// `npm run bench -- outage [SECONDS]`: every cloud answers 503 for a minute while requests keep coming. How often the
// clouds are asked, and what an answer of the local model loses by way of the gateway.

import { runOutage, type OutageOptions } from "../test/load/outage.ts";

const seconds = Number(process.argv[3] ?? 60);
const perSecond = 50;
const mostCalls = 1.1;
/** The local model's own p99 and so much more. */
const mostAddedMs = 50;

interface Scenario extends Omit<OutageOptions, "seconds" | "perSecond"> {
  readonly name: string;
}

const scenarios: readonly Scenario[] = [
  { name: "one cloud model, a local one", clouds: 1, hasLocal: true, attempts: 3 },
  { name: "three cloud models, a local one", clouds: 3, hasLocal: true, attempts: 3 },
  { name: "one cloud model alone", clouds: 1, hasLocal: false, attempts: 5 },
  { name: "three cloud models alone", clouds: 3, hasLocal: false, attempts: 5 },
];

const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN;
const ms = (value: number): string => (Number.isNaN(value) ? "–" : value.toFixed(1));

console.log(`${perSecond} requests a second for ${seconds} s, all clouds answer 503\n`);
console.log(
  "| Plan | Offered | Upstream calls | Share | Answered | Refused | Else | p50 ms | p99 ms | Direct p50 ms | Direct p99 ms |",
);
console.log("|---|---|---|---|---|---|---|---|---|---|---|");
for (const { name, ...scenario } of scenarios) {
  const result = await runOutage({ ...scenario, seconds, perSecond });
  const { offered, upstreamCalls, answered, refused, illegal, throughGatewayMs, directMs } = result;
  const times = [at(throughGatewayMs, 0.5), at(throughGatewayMs, 0.99), at(directMs, 0.5), at(directMs, 0.99)];
  const share = upstreamCalls / offered;
  const counts = [offered, upstreamCalls, share.toFixed(3), answered, refused, illegal.length];
  console.log(`| ${name} | ${[...counts, ...times.map(ms)].join(" | ")} |`);
  const isSlow = scenario.hasLocal && !(times[1]! <= times[3]! + mostAddedMs);
  if (share > mostCalls || illegal.length > 0 || isSlow) {
    console.error(`${name}: the aim is missed`);
    for (const line of illegal) console.error(line);
    process.exitCode = 1;
  }
}
