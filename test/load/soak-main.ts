// `npm run soak [-- --minutes 30] [-- --rate 200] [-- --seed 1] [-- --out FILE]`

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { describeMachine } from "../../bench/machine.ts";
import { runSoak } from "./soak.ts";

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
const seconds = Number(values.minutes) * 60;
const result = await runSoak({
  seconds,
  perSecond: Number(values.rate),
  seed: Number(values.seed),
  warmUpSeconds: seconds / 6,
  reloadEverySeconds: 10,
  sampleEverySeconds: 5,
  onSample: ({ at, megabytes, descriptors, cpuSeconds, open }, asked) => {
    if (Math.round(at / 5) % 6 === 0)
      console.log(
        `${(at / 60).toFixed(1)} min: ${asked} asked, ${open} open, ${megabytes.toFixed(1)} MB, ${descriptors} descriptors, ${cpuSeconds.toFixed(0)} s CPU`,
      );
  },
});
const { samples: _samples, descriptors, ...rest } = result;
console.log(JSON.stringify({ ...rest, gatewaySaid: undefined }, null, 1));
console.log(result.gatewaySaid.join("\n"));
console.log([...descriptors.before].sort().join(" "), "\n", [...descriptors.after].sort().join(" "));
if (values.out !== undefined) {
  writeFileSync(values.out, `${JSON.stringify({ machine: describeMachine(), ...result }, null, 1)}\n`);
}
