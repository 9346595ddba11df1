// The tamper matrix: what somebody may do to a trail, and that `verify` finds it; and what is no tampering, and that it is
// never called so. The attacker can write every file of the home, but not the keychain (docs/decisions/0031).

import { afterEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  existsSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { GENESIS, hashLine, parseLineHead } from "../../src/layers/audit/chain.ts";
import { auditFiles, prune, readPruned, sealName } from "../../src/layers/audit/segments.ts";
import { MemoryKeeper, SampleTrail } from "../../src/layers/audit/sample-trail.ts";

const LINES = 20;
const trails: SampleTrail[] = [];

afterEach(() => {
  for (const trail of trails.splice(0)) trail.remove();
});

function newTrail(keeper?: MemoryKeeper): SampleTrail {
  const trail = new SampleTrail(keeper);
  trails.push(trail);
  return trail;
}

async function written(keeper?: MemoryKeeper): Promise<SampleTrail> {
  const trail = newTrail(keeper);
  await trail.grow(LINES);
  expect(auditFiles(trail.path).length).toBeGreaterThan(3);
  expect(await trail.verify()).toMatchObject({ ok: true, result: { lines: LINES } });
  return trail;
}

interface Line {
  readonly file: string;
  readonly text: string;
}

function linesOf(trail: SampleTrail): Line[] {
  return auditFiles(trail.path).flatMap((file) =>
    readFileSync(file, "utf8")
      .split("\n")
      .slice(0, -1)
      .map((text) => ({ file, text })),
  );
}

function writeLines(trail: SampleTrail, lines: readonly Line[]): void {
  for (const file of auditFiles(trail.path)) {
    const own = lines.filter((line) => line.file === file);
    writeFileSync(file, own.map(({ text }) => `${text}\n`).join(""));
  }
}

/** As somebody would who knows how the chain works: every number and link from `from` on made anew. */
function recomputed(lines: readonly Line[], from: number): Line[] {
  const anew = [...lines];
  let prev = from === 0 ? GENESIS : hashLine(anew[from - 1]!.text);
  let seq = from === 0 ? 0 : parseLineHead(anew[from - 1]!.text)!.seq;
  for (let at = from; at < anew.length; at++) {
    seq++;
    const text = anew[at]!.text.replace(/"seq":\d+,"prev":"sha256:[0-9a-f]+"/, `"seq":${seq},"prev":"${prev}"`);
    anew[at] = { file: anew[at]!.file, text };
    prev = hashLine(text);
  }
  return anew;
}

const cheaper = ({ file, text }: Line): Line => ({ file, text: text.replace('"usd":0.0087', '"usd":0.0001') });
const places = [0, Math.floor(LINES / 2), LINES - 1];

/** By name: what is done to the lines, at one of three places. */
const editings: Readonly<Record<string, (lines: Line[], at: number) => Line[]>> = {
  "an edited line": (lines, at) => lines.with(at, cheaper(lines[at]!)),
  "a deleted line": (lines, at) => lines.toSpliced(at, 1),
  "a line that is written twice": (lines, at) => lines.toSpliced(at, 0, lines[at]!),
  "a line of somebody else": (lines, at) => lines.toSpliced(at, 0, { file: lines[at]!.file, text: '{"hello":1}' }),
  "two lines in the other order": (lines, at) => {
    const [a, b] = at === LINES - 1 ? [at - 1, at] : [at, at + 1];
    const [first, second] = [lines[a]!, lines[b]!];
    return lines.with(a, { ...first, text: second.text }).with(b, { ...second, text: first.text });
  },
  "a line at another place": (lines, at) => {
    const [moved] = lines.splice(at, 1);
    return [{ file: lines[0]!.file, text: moved!.text }, ...lines].toSorted(
      (a, b) => auditOrder(a.file) - auditOrder(b.file),
    );
  },
  "an edited line, and the chain made anew after it": (lines, at) =>
    recomputed(lines.with(at, cheaper(lines[at]!)), at),
  "a deleted line, and the chain made anew after it": (lines, at) => recomputed(lines.toSpliced(at, 1), at),
  "an inserted line, and the chain made anew after it": (lines, at) =>
    recomputed(lines.toSpliced(at, 0, cheaper(lines[at]!)), at),
  "an end that is cut off": (lines, at) => lines.slice(0, at),
  "an end in the middle of a line": (lines, at) =>
    lines.slice(0, at + 1).with(at, { file: lines[at]!.file, text: lines[at]!.text.slice(0, 99) }),
};

let order: readonly string[] = [];
const auditOrder = (file: string): number => order.indexOf(file);

describe("is found by verify, wherever it is:", () => {
  for (const [name, edit] of Object.entries(editings)) {
    test(name, async () => {
      for (const at of places) {
        // A place that moves to where it is already is no change.
        if (name === "a line at another place" && at === 0) continue;
        const trail = await written();
        order = auditFiles(trail.path);
        writeLines(trail, edit(linesOf(trail), at));
        const { ok, result } = await trail.verify();
        expect({ at, ok }).toEqual({ at, ok: false });
        expect(result.broken).not.toBeNull();
        // And by the next start, or the verify after it: the gateway's going on hides nothing.
        await trail.grow(2);
        expect({ at, ok: (await trail.verify()).ok }).toEqual({ at, ok: false });
      }
    });
  }

  test("a file that is gone, be it the first, one in between or the last", async () => {
    for (const which of [0, 1, -1]) {
      const trail = await written();
      unlinkSync(auditFiles(trail.path).at(which)!);
      expect((await trail.verify()).result.broken).toMatchObject({ rule: "missing" });
      await trail.grow(2);
      expect((await trail.verify()).ok).toBe(false);
    }
  });

  test("the oldest file that is gone, with a word of ours that it was too old", async () => {
    const trail = await written();
    const [oldest] = auditFiles(trail.path);
    const last = linesOf(trail).findLast(({ file }) => file === oldest)!.text;
    prune(trail.path, oldest!, { seq: parseLineHead(last)!.seq, head: hashLine(last) });
    expect(readPruned(trail.path).seq).toBeGreaterThan(0);
    expect((await trail.verify()).result.broken).toMatchObject({ rule: "missing", line: 1 });
  });

  test("an older copy of the file", async () => {
    const trail = newTrail();
    await trail.grow(10, { rotate: { sizeBytes: 1_000_000, keep: 9 } });
    copyFileSync(trail.path, join(trail.folder, "old"));
    await trail.grow(10, { rotate: { sizeBytes: 1_000_000, keep: 9 } });
    copyFileSync(join(trail.folder, "old"), trail.path);
    expect((await trail.verify()).result.broken).toMatchObject({ rule: "missing", line: 11 });
    await trail.grow(2);
    expect((await trail.verify()).ok).toBe(false);
    expect(trail.alarms.join()).toContain("lines 11 to 20 are gone");
  });

  test("an older copy of the whole home, by the mark in the keychain", async () => {
    const trail = newTrail();
    await trail.grow(10);
    for (const part of ["logs", "state"])
      cpSync(join(trail.folder, part), join(trail.folder, "old", part), { recursive: true });
    await trail.grow(10);
    for (const part of ["logs", "state"]) {
      rmSync(join(trail.folder, part), { recursive: true });
      cpSync(join(trail.folder, "old", part), join(trail.folder, part), { recursive: true });
    }
    expect((await trail.verify()).result.broken?.detail).toContain("the keychain knows of them");
    await trail.grow(1);
    expect(trail.alarms.join()).toContain("which the keychain holds");
  });

  test("the whole trail of another machine", async () => {
    const [trail, other] = [await written(), await written()];
    for (const part of ["logs", "state"]) {
      rmSync(join(trail.folder, part), { recursive: true });
      cpSync(join(other.folder, part), join(trail.folder, part), { recursive: true });
    }
    expect((await trail.verify()).seals.faults.join()).toContain("not made with this machine's key");
    await trail.grow(1);
    expect(trail.alarms.join()).toContain("not made with this machine's key");
    // On a machine that has no key at all it is no less foreign.
    const bare = newTrail();
    for (const part of ["logs", "state"]) {
      cpSync(join(other.folder, part), join(bare.folder, part), { recursive: true });
    }
    expect((await bare.verify()).ok).toBe(false);
    await bare.grow(1);
    expect((await bare.verify()).ok).toBe(false);
  });

  test("a checkpoint that is gone, damaged, forged, or from before", async () => {
    const older = await written();
    const before = readFileSync(older.checkpoint);
    await older.grow(5);
    writeFileSync(older.checkpoint, before);
    writeLines(older, linesOf(older).slice(0, LINES));
    expect((await older.verify()).result.broken?.detail).toContain("the keychain knows of them");
    const spoilings: ((file: string) => void)[] = [
      (file) => unlinkSync(file),
      (file) => writeFileSync(file, ""),
      (file) => truncateSync(file, 80),
      (file) => writeFileSync(file, readFileSync(file, "utf8").replace(/"seq":\d+/, '"seq":3')),
      (file) => writeFileSync(file, readFileSync(file, "utf8").replace('"alarms":[', '"alarms":[{"at":"","text":"x"}')),
      (file) => writeFileSync(file, readFileSync(file, "utf8").replace(/"mac":"[^"]*"/, '"mac":"hmac-sha256:00"')),
    ];
    for (const spoil of spoilings) {
      const trail = await written();
      spoil(trail.checkpoint);
      expect((await trail.verify()).ok).toBe(false);
      await trail.grow(1);
      expect(trail.alarms.join()).toContain("checkpoint");
      expect((await trail.verify()).ok).toBe(false);
    }
  });

  test("a rotated file's seal that was changed, or belongs to another", async () => {
    const trail = await written();
    const [first, second] = auditFiles(trail.path) as [string, string];
    writeFileSync(sealName(first), readFileSync(sealName(first), "utf8").replace('"first":1', '"first":2'));
    expect((await trail.verify()).seals.faults.join()).toContain("is not this machine's");
    copyFileSync(sealName(second), sealName(first));
    expect((await trail.verify()).ok).toBe(true);
    writeFileSync(sealName(first), "{}");
    expect((await trail.verify()).seals.faults.join()).toContain("is damaged");
  });

  test("a key that was taken away", async () => {
    const trail = await written();
    trail.keeper.key = null;
    expect((await trail.verify()).seals.faults.join()).toContain("the key of its seals is gone");
    await trail.grow(1);
    expect((await trail.verify()).seals.alarms).toHaveLength(1);
  });
});

describe("is no tampering, and never called so:", () => {
  test("starts and stops, with and without lines", async () => {
    const trail = newTrail();
    for (const count of [0, 1, 0, 7, 3]) await trail.grow(count);
    expect(await trail.verify()).toMatchObject({ ok: true, result: { lines: 11 } });
    expect(trail.alarms).toEqual([]);
  });

  test("a rotation by size, by the day, and by other programs in both of their ways", async () => {
    const trail = newTrail();
    await using run = await trail.start({ rotate: { sizeBytes: 6_000, keep: 100, every: "day", timezone: "UTC" } });
    for (let day = 0; day < 4; day++) {
      await run.write(3);
      trail.clock.advance(86_400_000);
    }
    renameSync(trail.path, `${trail.path}.2`);
    await run.write(3);
    copyFileSync(trail.path, `${trail.path}.1`);
    truncateSync(trail.path, 0);
    await run.write(3);
    renameSync(trail.path, `${trail.path}-20261128`);
    await run.write(3);
    expect(await trail.verify()).toMatchObject({ ok: true, result: { lines: 21 } });
    expect(trail.alarms).toEqual([]);
    expect(trail.notes).toHaveLength(3);
  });

  test("files that have changed their names, since their lines have numbers", async () => {
    const trail = await written();
    const [first, second] = auditFiles(trail.path) as [string, string];
    const [a, b] = [readFileSync(first), readFileSync(second)];
    writeFileSync(first, b);
    writeFileSync(second, a);
    expect((await trail.verify()).ok).toBe(true);
  });

  test("the deletion of the oldest files to keep their number", async () => {
    const trail = newTrail();
    await using run = await trail.start({ rotate: { sizeBytes: 2_000, keep: 3 } });
    await run.write(40);
    const { ok, seals, result } = await trail.verify();
    expect(ok).toBe(true);
    expect(seals.start.seq).toBeGreaterThan(20);
    expect(result.lines).toBe(40 - seals.start.seq);
    // Of files that are gone no seal stays.
    const names = readdirSync(dirname(trail.path));
    for (const name of names.filter((one) => one.endsWith(".seal"))) expect(names).toContain(name.slice(0, -5));
  });

  test("a kill between the seal of a deletion and the deletion", async () => {
    const trail = newTrail();
    await trail.grow(40, { rotate: { sizeBytes: 2_000, keep: 100 } });
    await using run = await trail.start();
    const [oldest] = auditFiles(trail.path);
    const last = linesOf(trail).findLast(({ file }) => file === oldest)!.text;
    expect(run.sealer.mayPrune({ seq: parseLineHead(last)!.seq, head: hashLine(last) })).toBe(true);
    expect(existsSync(oldest!)).toBe(true);
    expect(await trail.verify()).toMatchObject({ ok: true, result: { skipped: parseLineHead(last)!.seq } });
  });

  test("a crash with a torn end, at every byte of the last line", async () => {
    const trail = await written();
    const whole = readFileSync(trail.path);
    const checkpoint = readFileSync(trail.checkpoint);
    await using run = await trail.start();
    await run.write(1);
    const more = readFileSync(trail.path);
    // The process is gone before anything is sealed: the checkpoint is the one from before.
    const mark = trail.keeper.mark;
    for (let end = whole.length; end < more.length; end += 37) {
      const crashed = newTrail(trail.keeper);
      cpSync(join(trail.folder, "logs"), join(crashed.folder, "logs"), { recursive: true });
      cpSync(join(trail.folder, "state"), join(crashed.folder, "state"), { recursive: true });
      writeFileSync(crashed.path, more.subarray(0, end));
      writeFileSync(crashed.checkpoint, checkpoint);
      trail.keeper.mark = mark;
      await crashed.grow(1);
      expect(crashed.alarms).toEqual([]);
      expect((await crashed.verify()).ok).toBe(true);
      trail.keeper.mark = mark;
    }
  });

  test("a kill right after the first key was made", async () => {
    const trail = newTrail();
    await trail.start().then(async (run) => run.sink[Symbol.asyncDispose]());
    // As it was before the key was stored: the checkpoint is there, the key is not.
    const first = trail.keeper.key;
    trail.keeper.key = null;
    const text = JSON.parse(readFileSync(trail.checkpoint, "utf8")) as object;
    writeFileSync(trail.checkpoint, JSON.stringify({ ...text, first: true }));
    expect((await trail.verify()).ok).toBe(true);
    await trail.grow(2);
    expect(trail.alarms).toEqual([]);
    expect(trail.keeper.key).not.toBe(first);
    expect((await trail.verify()).ok).toBe(true);
  });

  test("a trail from before there were seals", async () => {
    const trail = await written();
    unlinkSync(trail.checkpoint);
    trail.keeper.key = null;
    trail.keeper.mark = null;
    for (const file of auditFiles(trail.path)) rmSync(sealName(file), { force: true });
    expect(await trail.verify()).toMatchObject({ ok: true, seals: { state: "none" } });
    await trail.grow(2);
    expect(await trail.verify()).toMatchObject({ ok: true, seals: { state: "sealed" }, result: { lines: LINES + 2 } });
  });

  test("two gateways that hand over, the old one sealing last", async () => {
    const trail = newTrail();
    const old = await trail.start();
    await old.write(3);
    await old.sink[Symbol.asyncDispose]();
    await using next = await trail.start();
    await next.write(3);
    await next.sealer[Symbol.asyncDispose]();
    const seq = (await trail.verify()).seals.known.find(({ by }) => by === "the checkpoint")?.seq;
    await old.sealer[Symbol.asyncDispose]();
    const { ok, seals } = await trail.verify();
    expect(ok).toBe(true);
    expect(seals.known.find(({ by }) => by === "the checkpoint")?.seq).toBe(seq);
    expect(trail.alarms).toEqual([]);
  });
});

test("what was told stays told until a person has accepted it, and then the trail is whole from there on", async () => {
  const trail = await written();
  writeLines(trail, linesOf(trail).slice(0, -4));
  await trail.grow(2);
  await using run = await trail.start();
  expect(run.sealer.status().alarms).toHaveLength(1);
  expect((await trail.verify()).ok).toBe(false);
  expect(run.sealer.accept()).toBe(true);
  expect(await trail.verify()).toMatchObject({ ok: true, seals: { alarms: [], start: { seq: LINES + 2 } } });
  await run.write(3);
  expect(await trail.verify()).toMatchObject({ ok: true, result: { lines: 3 } });
  appendFileSync(trail.path, "somebody else\n");
  expect((await trail.verify()).ok).toBe(false);
});

test("a key store that is locked keeps nothing waiting, and the trail is sealed when it opens", async () => {
  const trail = newTrail();
  trail.keeper.locked = "vault.age is locked";
  await using run = await trail.start();
  await run.write(5);
  expect(run.sealer.status()).toMatchObject({ place: null, fault: "vault.age is locked" });
  expect((await trail.verify()).seals).toMatchObject({ state: "unchecked", why: "vault.age is locked" });
  trail.keeper.locked = null;
  await run.sealer.retry();
  expect(run.sealer.status()).toMatchObject({ place: "keychain", seq: 5, fault: null });
  expect((await trail.verify()).ok).toBe(true);
});
