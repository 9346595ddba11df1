// `npm run soak [-- --minutes 30] [-- --rate 200] [-- --seed 1] [-- --out FILE]`: see bench/README.md.

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { describeMachine } from "../../bench/machine.ts";
import type { Sample, Slope } from "./process-watch.ts";
import { runSoak, type SoakResult } from "./soak.ts";

const sampleEverySeconds = 5;
const samplesALine = 6;

// The gateway goes with this process only where it ends by itself.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "30" },
    rate: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    out: { type: "string" },
  },
});
const [minutes, perSecond, seed] = [values.minutes, values.rate, values.seed].map(Number) as [number, number, number];
if (!(minutes > 0 && perSecond > 0 && Number.isInteger(seed))) {
  console.error("--minutes and --rate are numbers above 0, --seed is a whole number");
  process.exit(2);
}

let seen = 0;
function tell({ at, megabytes, descriptors, cpuSeconds, open }: Sample, asked: number): void {
  if (seen++ % samplesALine !== 0) return;
  const process = `${megabytes.toFixed(1)} MB, ${descriptors} descriptors, ${cpuSeconds.toFixed(0)} s of CPU`;
  console.log(`${(at / 60).toFixed(1)} min: ${asked} requests, ${open} open; ${process}`);
}

/** The faults that a run has, in words; empty: none. */
function faultsOf(result: SoakResult): string[] {
  const { books, illegal, descriptors, inFlightAfter, heldUsdAfter, reloads } = result;
  const faults = [...illegal, ...books.faults];
  if (inFlightAfter > 0) faults.push(`${inFlightAfter} requests are in flight`);
  if (heldUsdAfter > 0) faults.push(`$${heldUsdAfter} are held`);
  if (reloads.missed > 0) faults.push(`${reloads.missed} reloads were not seen in time`);
  const [before, after] = [descriptors.before, descriptors.after].map((names) => [...names].sort().join("\n"));
  if (before !== after) faults.push(`descriptors before:\n${before}\nafter:\n${after}`);
  return faults;
}

const slopeText = ({ megabytesPerHour, standardError }: Slope): string =>
  `${megabytesPerHour.toFixed(2)} MB/h (standard error ${standardError.toFixed(2)})`;

const startedAt = new Date().toISOString();
const result = await runSoak({
  seconds: minutes * 60,
  perSecond,
  seed,
  warmUpSeconds: minutes * 10,
  reloadEverySeconds: 10,
  sampleEverySeconds,
  onSample: tell,
});
const { samples, slope, slopeWhileFewAreOpen, ends, books, megabytes, gatewaySaid: _, ...rest } = result;
const faults = faultsOf(result);
console.log(JSON.stringify({ ends, ...books, ...rest, descriptors: undefined, illegal: undefined }, null, 2));
console.log(
  `resident memory, a value a minute: ${samples
    .filter((_, at) => at % 12 === 0)
    .map((one) => one.megabytes.toFixed(0))
    .join(" ")} MB`,
);
console.log(`before the load ${megabytes.before.toFixed(1)} MB, after it ${megabytes.after.toFixed(1)} MB`);
console.log(`slope behind the warm-up: ${slopeText(slope)}; while few are open: ${slopeText(slopeWhileFewAreOpen)}`);
console.log(faults.length === 0 ? "all books agree, every answer was legal" : faults.join("\n"));
if (values.out !== undefined) {
  const series = samples.filter((_, at) => at % samplesALine === 0);
  const report = {
    startedAt,
    minutes,
    perSecond,
    seed,
    machine: describeMachine(),
    ...rest,
    ends,
    ...books,
    faults,
    megabytes,
    slope,
    slopeWhileFewAreOpen,
    series: {
      seconds: series.map(({ at }) => Math.round(at)),
      megabytes: series.map((one) => Math.round(one.megabytes * 10) / 10),
      descriptors: series.map((one) => one.descriptors),
      openRequests: series.map((one) => one.open),
      cpuSeconds: series.map((one) => Math.round(one.cpuSeconds)),
    },
  };
  writeFileSync(values.out, `${JSON.stringify(report, null, 2)}\n`);
}
process.exitCode = faults.length === 0 ? 0 : 1;
