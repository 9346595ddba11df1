import { expect, test } from "bun:test";
import { join } from "node:path";
import { buildDashboard } from "../../scripts/dashboard.ts";

const file = join(import.meta.dir, "built.json");

test("the page that is served is the one that `npm run dashboard` makes of its source", async () => {
  expect(await Bun.file(file).text()).toBe(await buildDashboard());
});

test("it is small, has its libraries' licences with it, and names no address on the network", async () => {
  const { script, style } = (await Bun.file(file).json()) as { script: string; style: string };
  expect(script.length + style.length).toBeLessThan(200_000);
  for (const name of ["preact ", "@preact/signals ", "@preact/signals-core ", "uplot "])
    expect(script).toContain(`\n${name}`);
  expect(script.match(/Permission is hereby granted/g)?.length).toBe(4);
  const addresses = `${script}${style}`.match(/https?:\/\/[^\s"'`)]+/g) ?? [];
  // Names of XML's namespaces and of licences: nothing is fetched from them.
  expect(addresses.filter((address) => !address.startsWith("http://www.w3.org/"))).toEqual([]);
});
