import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { systemClock } from "../clock.ts";
import { readConfigText } from "./read-file.ts";
import type { ConfigText } from "./read-file.ts";
import { watchConfig } from "./watch.ts";
import type { WatchOptions } from "./watch.ts";

let folder = "";
let file = "";
let watcher: AsyncDisposable | null = null;
/** Texts that were reported, in order. */
let seen: string[] = [];
let waiting: { text: string; resolve: () => void }[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sanctum-watch-"));
  file = join(folder, "config.yaml");
  seen = [];
  waiting = [];
});
afterEach(async () => {
  await watcher?.[Symbol.asyncDispose]();
  watcher = null;
  rmSync(folder, { recursive: true, force: true });
});

function start(options: Partial<WatchOptions> = {}): void {
  watcher = watchConfig(
    file,
    ({ text }: ConfigText) => {
      seen.push(text);
      for (const waiter of waiting.filter((waiter) => waiter.text === text)) waiter.resolve();
    },
    { clock: systemClock, ...(options.events === false && { pollMs: 100 }), ...options },
  );
}

/** Resolves when that text is reported; the test's time limit is the only clock. */
function reported(text: string): Promise<void> {
  if (seen.at(-1) === text) return Promise.resolve();
  return new Promise((resolve) => waiting.push({ text, resolve }));
}

const saves: Record<string, (text: string) => void> = {
  "in place": (text) => writeFileSync(file, text),
  "by rename": (text) => {
    writeFileSync(`${file}.tmp`, text);
    renameSync(`${file}.tmp`, file);
  },
  "by unlink and create": (text) => {
    unlinkSync(file);
    writeFileSync(file, text);
  },
  "by moving the old one away": (text) => {
    renameSync(file, `${file}~`);
    writeFileSync(file, text);
  },
  "by truncation and piecemeal writes": (text) => {
    const descriptor = openSync(file, "r+");
    ftruncateSync(descriptor, 0);
    for (const character of text) writeSync(descriptor, character);
    closeSync(descriptor);
  },
};

for (const events of [true, false]) {
  describe(events ? "with directory events" : "with the poll alone", () => {
    test.each(Object.keys(saves))("a file saved %s is reported, time after time", async (way) => {
      writeFileSync(file, "a: 0");
      start({ events });
      for (const text of ["a: 1", "a: 2", "a: 33"]) {
        saves[way]!(text);
        await reported(text);
      }
      expect(seen).toEqual(["a: 1", "a: 2", "a: 33"]);
    });

    test("a symbolic link that is swapped is reported, and so is a change behind it", async () => {
      const elsewhere = join(folder, "elsewhere");
      mkdirSync(elsewhere);
      for (const name of ["one", "two"]) writeFileSync(join(elsewhere, name), `name: ${name}`);
      symlinkSync(join(elsewhere, "one"), file);
      start({ events });
      symlinkSync(join(elsewhere, "two"), `${file}.tmp`);
      renameSync(`${file}.tmp`, file);
      await reported("name: two");
      writeFileSync(join(elsewhere, "new"), "name: new");
      renameSync(join(elsewhere, "new"), join(elsewhere, "two"));
      await reported("name: new");
      expect(seen).toEqual(["name: two", "name: new"]);
    });

    test("a folder that is swapped behind two links, as Kubernetes does, is reported", async () => {
      for (const version of ["v1", "v2", "v3"]) {
        mkdirSync(join(folder, version));
        writeFileSync(join(folder, version, "config.yaml"), `version: ${version}`);
      }
      symlinkSync("v1", join(folder, "..data"));
      symlinkSync(join("..data", "config.yaml"), file);
      start({ events });
      for (const version of ["v2", "v3"]) {
        symlinkSync(version, join(folder, "..tmp"));
        renameSync(join(folder, "..tmp"), join(folder, "..data"));
        await reported(`version: ${version}`);
      }
    });

    test("a file in a folder that does not exist yet is reported when it comes", async () => {
      file = join(folder, "later", "config.yaml");
      start({ events });
      mkdirSync(join(folder, "later"));
      writeFileSync(file, "a: 1");
      await reported("a: 1");
    });
  });
}

test("two saves of equal size within one tick of the file system's clock end with the second", async () => {
  writeFileSync(file, "a: 0");
  start();
  const time = new Date(1_700_000_000_000);
  writeFileSync(file, "a: 1");
  utimesSync(file, time, time);
  await reported("a: 1");
  writeFileSync(file, "a: 2");
  utimesSync(file, time, time);
  await reported("a: 2");
});

test("a file that is empty for a moment is not taken for an empty configuration", async () => {
  writeFileSync(file, "a: 1");
  // A grace that no machine is too slow for: what is shown is that there is one.
  start({ emptyGraceMs: 60_000 });
  for (let round = 2; round < 5; round++) {
    const descriptor = openSync(file, "r+");
    ftruncateSync(descriptor, 0);
    // Long enough for the readings to find it empty twice.
    await Bun.sleep(250);
    writeSync(descriptor, `a: ${round}`, 0);
    closeSync(descriptor);
    await reported(`a: ${round}`);
  }
  expect(seen).not.toContain("");
});

test("a file that stays empty, or away, is taken at its word", async () => {
  writeFileSync(file, "a: 1");
  start();
  writeFileSync(file, "");
  await reported("");
  writeFileSync(file, "a: 2");
  await reported("a: 2");
  unlinkSync(file);
  await reported("");
  expect(seen).toEqual(["", "a: 2", ""]);
});

test("touching without changing reports nothing, and a storm of saves is reported a few times", async () => {
  writeFileSync(file, "a: 0");
  start();
  for (let round = 0; round < 200; round++) writeFileSync(file, "a: 0");
  for (let round = 1; round <= 1_000; round++) writeFileSync(file, `a: ${round}`);
  await reported("a: 1000");
  expect(seen.length).toBeLessThan(20);
  expect(seen).not.toContain("a: 0");
});

test("a change of permissions alone is reported, since it makes or clears a fault", async () => {
  writeFileSync(file, "a: 1");
  chmodSync(file, 0o600);
  const found: number[] = [];
  let next = Promise.withResolvers<void>();
  watcher = watchConfig(
    file,
    ({ faults }) => {
      found.push(faults.length);
      next.resolve();
    },
    { clock: systemClock },
  );
  chmodSync(file, 0o666);
  await next.promise;
  next = Promise.withResolvers<void>();
  chmodSync(file, 0o600);
  await next.promise;
  expect(found).toEqual([1, 0]);
});

test("a save between loading and watching is not lost", async () => {
  writeFileSync(file, "a: 1");
  const loaded = readConfigText(file);
  writeFileSync(file, "a: 2");
  start({ loaded, events: false });
  await reported("a: 2");
});

test("calls follow one another, and none comes after disposal", async () => {
  writeFileSync(file, "a: 0");
  const entered = Promise.withResolvers<void>();
  const leave = Promise.withResolvers<void>();
  let running = 0;
  let most = 0;
  const texts: string[] = [];
  const second = Promise.withResolvers<void>();
  watcher = watchConfig(
    file,
    async ({ text }) => {
      most = Math.max(most, ++running);
      texts.push(text);
      entered.resolve();
      if (texts.length === 1) await leave.promise;
      else second.resolve();
      running--;
    },
    { clock: systemClock },
  );
  writeFileSync(file, "a: 1");
  await entered.promise;
  writeFileSync(file, "a: 2");
  await Bun.sleep(300); // Time in which a second call would begin.
  leave.resolve();
  await second.promise;
  expect([most, texts]).toEqual([1, ["a: 1", "a: 2"]]);
  await watcher[Symbol.asyncDispose]();
  writeFileSync(file, "a: 3");
  await Bun.sleep(300);
  expect(texts).toHaveLength(2);
});
