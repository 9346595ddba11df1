// Unpacks many bombs at once and tells the most memory that it took, in megabytes; run by `read-body.test.ts`.

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { maxBodyBytes, readBody } from "./read-body.ts";

const bomb = gzipSync(Buffer.alloc(maxBodyBytes + 1));
const headers = { "content-encoding": "gzip", "content-length": String(bomb.byteLength) };
const request = (): Request => new Request("http://gateway/", { method: "POST", headers, body: bomb });
const refused = await Promise.all(
  Array.from({ length: 40 }, async () =>
    readBody(request()).then(
      () => false,
      () => true,
    ),
  ),
);
process.stdout.write(JSON.stringify({ refused: refused.every(Boolean), maxMegabytes: maxKilobytes() / 1024 }));

/** Linux counts the memory of the program that started this one among `maxRSS` (getrusage(2) survives `execve`). */
function maxKilobytes(): number {
  if (process.platform !== "linux") return process.resourceUsage().maxRSS;
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))![1]);
}
