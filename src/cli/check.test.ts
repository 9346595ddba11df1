import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { checkCommand } from "./check.ts";
import type { Io } from "./io.ts";

let folder = "";
let file = "";
let out = "";
let err = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sanctum-check-"));
  file = join(folder, "config.yaml");
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  process.exitCode = 0;
});

async function run(...words: string[]): Promise<number> {
  [out, err] = ["", ""];
  process.exitCode = 0;
  const io: Io = {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    isTty: false,
    env: {},
    home: folder,
    configFile: file,
  };
  await checkCommand(io).parseAsync(words, { from: "user" });
  return process.exitCode;
}

test("a right file, and none at all, pass", async () => {
  expect(await run()).toBe(0);
  expect(out).toContain("built-in configuration");
  writeFileSync(file, "timezone: UTC\n");
  expect(await run()).toBe(0);
  expect(out).toBe(`${file}: no faults\n`);
});

test("every fault is a line, and the exit code is 78", async () => {
  writeFileSync(file, "timezon: UTC\nstats: { access: all }\n");
  expect(await run()).toBe(78);
  expect(out.split("\n")).toEqual([
    `${file}:1:1 timezon: is not a known key; did you mean timezone?`,
    `${file}:2:18 stats.access: must be one of: loopback, token; choose one of these`,
    "",
  ]);
  expect(err).toBe("sanctum: 2 faults\n");
});

test("JSON holds the same", async () => {
  writeFileSync(file, "timezon: UTC\n");
  expect(await run("--json")).toBe(78);
  expect(JSON.parse(out)).toMatchObject({
    file,
    exists: true,
    ok: false,
    faults: [{ line: 1, column: 1, keyPath: "timezon" }],
  });
});

test("another file can be named; one that is not there is a failure", async () => {
  const other = join(folder, "other.yaml");
  writeFileSync(other, "a: 1\n");
  expect(await run(other)).toBe(78);
  expect(await run(join(folder, "none.yaml"))).toBe(1);
  expect(err).toContain("there is no file");
});
