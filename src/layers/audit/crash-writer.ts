// A process for the crash test: writes audit lines until it is killed, and says on standard output which ids are written.

import { writeSync } from "node:fs";
import { systemClock } from "../../clock.ts";
import { FileSink } from "./file-sink.ts";
import { sampleFacts } from "./sample-facts.ts";

const path = process.argv[2] ?? "";
const run = process.argv[3] ?? "";
const sink = new FileSink({ path, clock: systemClock, rotate: { sizeBytes: 200_000, keep: 1_000 }, syncEveryMs: 1 });

for (let i = 0; ; i++) {
  const ids = Array.from({ length: 8 }, (_, n) => `${run}_${i}_${n}`);
  for (const id of ids) void sink.append(sampleFacts({ id }));
  // Two turns later the lines of this one must be out of the process.
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  writeSync(1, `${ids.join("\n")}\n`);
}
