// `npm run bench -- departures`: a thousand clients hang up at random moments. How soon their calls are broken off.

import { runDepartures } from "../test/load/departures.ts";

const departures = 1_000;
const atOnce = 50;
const aimMs = 100;

const { noticedMs, books, mostConnections, samples, sockets } = await runDepartures({ departures, atOnce, seed: 1 });
const at = (share: number): number => noticedMs[Math.floor((noticedMs.length - 1) * share)] ?? Number.NaN;
const megabytes = samples.map((sample) => sample.megabytes);
console.log(`${departures} departures, ${atOnce} clients at once: ${noticedMs.length} calls were under way`);
console.log(
  `broken off after ${at(0.5).toFixed(1)} ms (p50), ${at(0.99).toFixed(1)} ms (p99), ${at(1).toFixed(1)} ms (at most)`,
);
console.log(
  `connections to the provider: ${mostConnections} at most; sockets before ${sockets.before}, after ${sockets.after}`,
);
console.log(
  `resident memory: ${megabytes[0]?.toFixed(0)} MB before, ${Math.max(...megabytes).toFixed(0)} MB at most, ${megabytes.at(-1)?.toFixed(0)} MB after`,
);
console.log(
  `charged ${books.micros.countedCharged} µ$ for what was broken off, billed ${books.micros.countedBilled} µ$`,
);
for (const fault of books.faults) console.error(fault);
if (books.faults.length > 0 || !(at(0.99) <= aimMs)) process.exitCode = 1;
