import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AskedMarks } from "./asked-marks.ts";

const hour = 3_600_000;
let folder = "";
let file = "";
let now = 0;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "asked-"));
  file = join(folder, "state/asked.json");
  now = 1_795_000_000_000;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const marks = (): AskedMarks => new AskedMarks(file, () => now);

test("a provider that was asked for is due an hour later, in this process and in the next one", async () => {
  const first = marks();
  expect(first.isDue("anthropic")).toBe(true);
  await first.mark("anthropic");
  for (const [later, due] of [
    [0, false],
    [hour - 1, false],
    [hour, true],
  ] as const) {
    now = 1_795_000_000_000 + later;
    expect([first.isDue("anthropic"), marks().isDue("anthropic"), marks().isDue("openai")]).toEqual([due, due, true]);
  }
});

test("a clock that was set back puts the next question off by an hour, not by years", async () => {
  await marks().mark("anthropic");
  now -= 1_000 * hour;
  const after = marks();
  expect(after.isDue("anthropic")).toBe(false);
  now += hour;
  expect(after.isDue("anthropic")).toBe(true);
});

test("a file that is damaged or can't be written keeps nobody from being asked, and the mark holds in this process", async () => {
  await marks().mark("anthropic");
  for (const text of ["", "7", "[1]", '{"anthropic":"soon"}', '{"anthropic":1e400}']) {
    writeFileSync(file, text);
    expect(marks().isDue("anthropic")).toBe(true);
  }
  rmSync(join(folder, "state"), { recursive: true });
  writeFileSync(join(folder, "state"), "a file in the way");
  const blocked = marks();
  expect(await blocked.mark("anthropic").catch(() => "not written")).toBe("not written");
  expect(blocked.isDue("anthropic")).toBe(false);
});
