// Unpacks many bombs at once and tells the most memory that it took, in megabytes; run by `read-body.test.ts`.

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
const { maxRSS } = process.resourceUsage();
process.stdout.write(JSON.stringify({ refused: refused.every(Boolean), maxMegabytes: maxRSS / 1024 }));
