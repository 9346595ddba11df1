import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dir, "wrong-orders");
const source = readFileSync(join(folder, "orders.ts"), "utf8").split("\n");

test("a forgotten or swapped layer is refused by the compiler, each order on its own", async () => {
  const tsc = join(import.meta.dir, "../../node_modules/.bin/tsc");
  const run = Bun.spawn(["node", tsc, "--noEmit", "--pretty", "false", "-p", folder], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const output = await new Response(run.stdout).text();
  await run.exited;

  const refused = new Set<number>();
  for (const [, line] of output.matchAll(/^.*orders\.ts\((\d+),\d+\): error TS\d+/gm)) refused.add(Number(line));
  const wrong = source.flatMap((text, index) => (/^ {2}\w+: \(l: L\)/.test(text) ? [index + 1] : []));

  expect(wrong.length).toBeGreaterThanOrEqual(5);
  expect([...refused].sort((a, b) => a - b)).toEqual(wrong);
}, 60_000);
