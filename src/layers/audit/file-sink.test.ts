import { afterEach, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  fdatasyncSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FileCalls } from "./audit-file.ts";
import { GENESIS, hashLine } from "./chain.ts";
import { FileSink, type FileSinkOptions } from "./file-sink.ts";
import { StandingClock, sampleFacts } from "./sample-facts.ts";
import { auditFiles, readPruned } from "./segments.ts";
import { verifyAudit } from "./verify.ts";

const folders: string[] = [];
const sinks: FileSink[] = [];

afterEach(async () => {
  for (const sink of sinks.splice(0)) await sink[Symbol.asyncDispose]();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newPath(): string {
  const folder = mkdtempSync(join(tmpdir(), "sanctum-audit-"));
  folders.push(folder);
  return join(folder, "logs", "audit.jsonl");
}

function openSink(path: string, options: Partial<FileSinkOptions> = {}): FileSink {
  const sink = new FileSink({
    path,
    clock: new StandingClock(),
    rotate: { sizeBytes: 100_000_000, keep: 30 },
    retryEveryMs: 5,
    // The clock stands still: every write looks whether the file is in its place.
    ensureEveryMs: 0,
    ...options,
  });
  sinks.push(sink);
  return sink;
}

async function write(sink: FileSink, count: number, prefix = "req"): Promise<void> {
  for (let i = 0; i < count; i++) void sink.append(sampleFacts({ id: `${prefix}_${i}` }));
  expect(await sink.flush()).toBe(true);
}

function linesOf(path: string): { seq: number; prev: string; id: string }[] {
  const text = readFileSync(path, "utf8");
  expect(text === "" || text.endsWith("\n")).toBe(true);
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as { seq: number; prev: string; id: string });
}

async function expectWhole(path: string, lines: number): Promise<void> {
  const result = await verifyAudit(auditFiles(path), { start: readPruned(path) });
  expect(result.broken).toBeNull();
  expect(result.lines).toBe(lines);
}

describe("writing", () => {
  test("chains the lines from the first one on", async () => {
    const path = newPath();
    const sink = openSink(path);
    await write(sink, 3);
    const raw = readFileSync(path, "utf8").split("\n");
    expect(linesOf(path).map((line) => line.seq)).toEqual([1, 2, 3]);
    expect(linesOf(path).map((line) => line.prev)).toEqual([GENESIS, hashLine(raw[0]!), hashLine(raw[1]!)]);
    expect(sink.health()).toMatchObject({ entries: 3, head: hashLine(raw[2]!), fault: null, pending: 0, lost: 0 });
  });

  test("makes the folder 0700 and the file 0600, also where the file was open to others", async () => {
    const path = newPath();
    await write(openSink(path), 1);
    expect(statSync(join(path, "..")).mode & 0o777).toBe(0o700);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    chmodSync(path, 0o644);
    openSink(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test("puts the lines of one turn into one write, which is out by the end of the turn", async () => {
    const path = newPath();
    let writes = 0;
    const sink = openSink(path, { calls: countingCalls(() => writes++) });
    for (let i = 0; i < 50; i++) void sink.append(sampleFacts());
    expect(writes).toBe(0);
    await new Promise((resolve) => setImmediate(resolve));
    expect(writes).toBe(1);
    expect(linesOf(path)).toHaveLength(50);
  });

  test("acknowledges a line only after a sync that began after its write", async () => {
    const path = newPath();
    const events: string[] = [];
    const calls: FileCalls = {
      write(fd, bytes, offset, length) {
        events.push("write");
        return writeSync(fd, bytes, offset, length);
      },
      async sync(fd) {
        events.push("sync begins");
        fdatasyncSync(fd);
        await Promise.resolve();
        events.push("sync ends");
      },
    };
    const sink = openSink(path, { calls });
    expect(await sink.append(sampleFacts())).toBe(true);
    events.push("acknowledged");
    expect(events).toEqual(["write", "sync begins", "sync ends", "acknowledged"]);
  });

  test("gathers lines between two syncs", async () => {
    let syncs = 0;
    const calls: FileCalls = {
      write: (fd, bytes, offset, length) => writeSync(fd, bytes, offset, length),
      async sync() {
        syncs++;
      },
    };
    const sink = openSink(newPath(), { calls, syncEveryMs: 600_000 });
    await sink.append(sampleFacts());
    expect(syncs).toBe(1);
    for (let turn = 0; turn < 20; turn++) {
      void sink.append(sampleFacts());
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(syncs).toBe(1);
    await sink.flush();
    expect(syncs).toBe(2);
  });

  test("goes on after a short write where it stopped", async () => {
    const path = newPath();
    const calls: FileCalls = {
      write: (fd, bytes, offset, length) => writeSync(fd, bytes, offset, Math.min(length, 7)),
      sync: async () => undefined,
    };
    await write(openSink(path, { calls }), 3);
    await expectWhole(path, 3);
  });
});

describe("starting", () => {
  test("goes on with the chain that it finds", async () => {
    const path = newPath();
    for (let run = 0; run < 3; run++) {
      const sink = openSink(path);
      await write(sink, 2);
      await sink[Symbol.asyncDispose]();
    }
    await expectWhole(path, 6);
  });

  test("moves a torn line aside and goes on after the last whole one", async () => {
    for (const torn of ['{"v":1,"seq":3,"pr', "\0".repeat(70_000), "}"]) {
      const path = newPath();
      const first = openSink(path);
      await write(first, 2);
      await first[Symbol.asyncDispose]();
      appendFileSync(path, torn);
      const second = openSink(path);
      expect(second.health().notes.join()).toContain("torn");
      await write(second, 1);
      await expectWhole(path, 3);
      const side = readdirSync(join(path, "..")).find((name) => name.includes(".torn-"));
      expect(readFileSync(join(path, "..", side!), "utf8")).toBe(torn);
    }
  });

  test("starts afresh where only a torn first line is there", async () => {
    const path = newPath();
    mkdirSync(join(path, ".."));
    writeFileSync(path, '{"v":1,"seq":1');
    await write(openSink(path), 1);
    await expectWhole(path, 1);
  });

  test("counts on from the last line of ours where a foreign line follows it", async () => {
    const path = newPath();
    const first = openSink(path);
    await write(first, 2);
    await first[Symbol.asyncDispose]();
    appendFileSync(path, "hello\n");
    await write(openSink(path), 1);
    const last = readFileSync(path, "utf8").split("\n")[3]!;
    expect(JSON.parse(last)).toMatchObject({ seq: 4, prev: hashLine("hello") });
  });

  test("goes on with the chain of a rotated file where the current one is gone", async () => {
    for (const name of ["audit.jsonl.1", "audit-20261101T000000Z.jsonl"]) {
      const path = newPath();
      const first = openSink(path);
      await write(first, 2);
      await first[Symbol.asyncDispose]();
      renameSync(path, join(path, "..", name));
      await write(openSink(path), 2);
      await expectWhole(path, 4);
    }
  });

  test("refuses to start on what is not a regular file of its own", () => {
    const path = newPath();
    mkdirSync(join(path, ".."));
    spawnSync("mkfifo", [path]);
    expect(() => openSink(path)).toThrow("regular file");
    unlinkSync(path);
    symlinkSync("/dev/full", path);
    expect(() => openSink(path)).toThrow();
  });

  test("finds the requests that have a line among the newest ones", async () => {
    const path = newPath();
    const sink = openSink(path, { rotate: { sizeBytes: 2_000, keep: 30 } });
    await write(sink, 3, "a");
    await write(sink, 3, "b");
    expect(auditFiles(path).length).toBeGreaterThan(1);
    expect([...(await sink.recorded(new Set(["a_1", "b_2", "c_1"])))].sort()).toEqual(["a_1", "b_2"]);
  });
});

describe("when somebody touches the file", () => {
  test("goes on in a new file after it was deleted, moved or its folder removed", async () => {
    const path = newPath();
    const sink = openSink(path);
    await write(sink, 1);
    unlinkSync(path);
    await write(sink, 1);
    expect(linesOf(path).map((line) => line.seq)).toEqual([2]);
    rmSync(join(path, ".."), { recursive: true });
    await write(sink, 1);
    expect(linesOf(path).map((line) => line.seq)).toEqual([3]);
    renameSync(path, `${path}.1`);
    await write(sink, 1);
    expect(linesOf(path).map((line) => line.seq)).toEqual([4]);
    expect(linesOf(`${path}.1`).map((line) => line.seq)).toEqual([3]);
    expect(sink.health().notes).toHaveLength(3);
  });

  test("keeps the chain across a rotation by another tool, by moving or by copying and cutting", async () => {
    const path = newPath();
    const sink = openSink(path);
    await write(sink, 2);
    renameSync(path, `${path}.2`);
    await write(sink, 2);
    copyFileSync(path, `${path}.1`);
    truncateSync(path, 0);
    await write(sink, 2);
    await expectWhole(path, 6);
  });

  test("does not glue its line to what another program left without a newline", async () => {
    const path = newPath();
    const sink = openSink(path);
    await write(sink, 1);
    appendFileSync(path, "half a line");
    await write(sink, 1);
    const lines = readFileSync(path, "utf8").split("\n");
    expect(lines[1]).toBe("half a line");
    expect(JSON.parse(lines[2]!)).toMatchObject({ seq: 2, prev: hashLine(lines[0]!) });
    expect((await verifyAudit([path])).broken).toMatchObject({ line: 2, rule: "edited" });
  });

  test("is faulty, and does not block, while a pipe or a link stands in the file's place", async () => {
    const path = newPath();
    const sink = openSink(path);
    await write(sink, 1);
    for (const replace of [
      () => spawnSync("mkfifo", [path]),
      () => symlinkSync("/dev/null", path),
      () => symlinkSync(`${path}.1`, path),
      () => mkdirSync(path),
    ]) {
      renameSync(path, `${path}.1`);
      replace();
      const durable = sink.append(sampleFacts());
      expect(await sink.flush()).toBe(false);
      expect(sink.faulty).toBe(true);
      rmSync(path, { recursive: true });
      renameSync(`${path}.1`, path);
      expect(await durable).toBe(true);
      expect(sink.faulty).toBe(false);
    }
    await expectWhole(path, 5);
  });
});

describe("rotation", () => {
  test("moves a full file aside under a name with the time, and the chain runs through", async () => {
    const path = newPath();
    const sink = openSink(path, { rotate: { sizeBytes: 4_000, keep: 30 } });
    for (let i = 0; i < 40; i++) await write(sink, 1);
    const names = readdirSync(join(path, ".."));
    expect(names).toContain("audit-20261123T180000Z.jsonl");
    expect(names).toContain("audit-20261123T180000Z-2.jsonl");
    for (const name of names) expect(statSync(join(path, "..", name)).size).toBeLessThanOrEqual(4_000);
    await expectWhole(path, 40);
  });

  test("deletes the oldest only beyond the number to keep, and the rest verifies from there", async () => {
    const path = newPath();
    const sink = openSink(path, { rotate: { sizeBytes: 2_000, keep: 3 } });
    for (let i = 0; i < 40; i++) await write(sink, 1);
    const files = auditFiles(path);
    expect(files).toHaveLength(4);
    const start = readPruned(path);
    expect(start.seq).toBeGreaterThan(0);
    await expectWhole(path, 40 - start.seq);
    expect((await verifyAudit(files)).broken).toMatchObject({ line: 1, rule: "missing" });
  });

  test("follows the configuration after a reload", async () => {
    const path = newPath();
    const sink = openSink(path);
    await write(sink, 5);
    expect(auditFiles(path)).toHaveLength(1);
    sink.configure({ sizeBytes: 1_000, keep: 2 });
    for (let i = 0; i < 5; i++) await write(sink, 1);
    expect(auditFiles(path)).toHaveLength(3);
  });

  test("goes on with the chain after a restart in the very moment after a rotation", async () => {
    const path = newPath();
    const sink = openSink(path, { rotate: { sizeBytes: 2_000, keep: 2 } });
    for (let i = 0; i < 10; i++) await write(sink, 1);
    await sink[Symbol.asyncDispose]();
    renameSync(path, join(path, "..", "audit-20261123T190000Z.jsonl"));
    writeFileSync(path, "");
    await write(openSink(path), 1);
    expect(linesOf(path)[0]?.seq).toBe(11);
  });
});

describe("when the disk fails", () => {
  test("keeps the lines, says so, and writes them in order when there is space again", async () => {
    const path = newPath();
    let full = false;
    const notes: string[] = [];
    const sink = openSink(path, { calls: failingCalls(() => full), onNote: (text) => notes.push(text) });
    await write(sink, 2);
    full = true;
    const durable = sink.append(sampleFacts({ id: "kept_1" }));
    expect(await sink.flush()).toBe(false);
    expect(sink.health()).toMatchObject({ fault: { message: "write failed: ENOSPC" }, pending: 1, entries: 3 });
    void sink.append(sampleFacts({ id: "kept_2" }));
    expect(linesOf(path)).toHaveLength(2);
    full = false;
    expect(await durable).toBe(true);
    expect(sink.health()).toMatchObject({ fault: null, pending: 0, lost: 0 });
    expect(linesOf(path).map((line) => line.id)).toEqual(["req_0", "req_1", "kept_1", "kept_2"]);
    await expectWhole(path, 4);
    expect(notes).toEqual([
      "the audit file cannot be written: write failed: ENOSPC",
      "the audit file is written again",
    ]);
  });

  test("leaves no part of a line behind when a write stops in the middle", async () => {
    const path = newPath();
    let room = Number.POSITIVE_INFINITY;
    const calls: FileCalls = {
      write(fd, bytes, offset, length) {
        if (room <= 0) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
        const written = writeSync(fd, bytes, offset, Math.min(length, room));
        room -= written;
        return written;
      },
      sync: async () => undefined,
    };
    const sink = openSink(path, { calls });
    await write(sink, 2);
    room = 100;
    for (let i = 0; i < 5; i++) void sink.append(sampleFacts());
    expect(await sink.flush()).toBe(false);
    expect(linesOf(path)).toHaveLength(2);
    room = Number.POSITIVE_INFINITY;
    expect(await sink.flush()).toBe(true);
    await expectWhole(path, 7);
  });

  test("writes no line twice when it fails between two writes of a long queue", async () => {
    const path = newPath();
    let allowed = 1;
    const calls: FileCalls = {
      write(fd, bytes, offset, length) {
        if (allowed-- <= 0) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
        return writeSync(fd, bytes, offset, length);
      },
      sync: async () => undefined,
    };
    const sink = openSink(path, { calls, retryEveryMs: 600_000 });
    for (let i = 0; i < 700; i++) void sink.append(sampleFacts());
    expect(await sink.flush()).toBe(false);
    expect(linesOf(path)).toHaveLength(256);
    allowed = 100;
    expect(await sink.flush()).toBe(true);
    await expectWhole(path, 700);
  });

  test("gives lines up beyond the bound, says how many, and the chain has no hole", async () => {
    const path = newPath();
    let full = true;
    const sink = openSink(path, { calls: failingCalls(() => full), maxPending: 10, retryEveryMs: 60_000 });
    const durable = [sink.append(sampleFacts())];
    await sink.flush();
    for (let i = 0; i < 14; i++) durable.push(sink.append(sampleFacts()));
    expect(sink.health()).toMatchObject({ pending: 10, lost: 5, entries: 10 });
    full = false;
    expect(await sink.flush()).toBe(true);
    expect((await Promise.all(durable)).filter((written) => !written)).toHaveLength(5);
    await expectWhole(path, 10);
  });

  test("does not believe a sync that succeeds after one that failed, but writes the lines again", async () => {
    const path = newPath();
    let broken = false;
    const calls: FileCalls = {
      write: (fd, bytes, offset, length) => writeSync(fd, bytes, offset, length),
      async sync() {
        if (broken) throw Object.assign(new Error("input/output error"), { code: "EIO" });
      },
    };
    const sink = openSink(path, { calls, retryEveryMs: 60_000 });
    await write(sink, 2);
    const good = statSync(path).size;
    broken = true;
    const durable = sink.append(sampleFacts());
    expect(await sink.flush()).toBe(false);
    expect(sink.health().fault?.message).toBe("sync failed: EIO");
    // What the failed sync may have done: the pages are gone, the size is not.
    const size = statSync(path).size;
    truncateSync(path, good);
    truncateSync(path, size);
    broken = false;
    expect(await sink.flush()).toBe(true);
    expect(await durable).toBe(true);
    await expectWhole(path, 3);
  });

  test.if(mountsTmpfs())("writes nothing half on a really full disk, and all of it when there is space", async () => {
    const path = newPath();
    const disk = join(path, "..", "..", "disk");
    mkdirSync(disk);
    expect(spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]).status).toBe(0);
    try {
      const file = join(disk, "audit.jsonl");
      const sink = openSink(file, { retryEveryMs: 60_000 });
      await write(sink, 10);
      const ballast = join(disk, "ballast");
      expect(() => writeFileSync(ballast, new Uint8Array(64 * 1024))).toThrow("ENOSPC");
      for (let i = 0; i < 100; i++) void sink.append(sampleFacts());
      expect(await sink.flush()).toBe(false);
      expect(sink.health().fault?.message).toBe("write failed: ENOSPC");
      linesOf(file);
      unlinkSync(ballast);
      expect(await sink.flush()).toBe(false); // 110 lines do not fit.
      expect(spawnSync("mount", ["-o", "remount,size=1m", disk]).status).toBe(0);
      expect(await sink.flush()).toBe(true);
      await expectWhole(file, 110);
      await sink[Symbol.asyncDispose]();
    } finally {
      // Lazily: where an expectation failed, the sink still has the file open.
      spawnSync("umount", ["-l", disk]);
    }
  });
});

describe("closing", () => {
  test("writes and syncs what is queued; later lines are refused", async () => {
    const path = newPath();
    const sink = openSink(path);
    const durable = sink.append(sampleFacts());
    await sink[Symbol.asyncDispose]();
    expect(await durable).toBe(true);
    expect(await sink.append(sampleFacts())).toBe(false);
    await expectWhole(path, 1);
  });
});

function countingCalls(onWrite: () => void): FileCalls {
  return {
    write(fd, bytes, offset, length) {
      onWrite();
      return writeSync(fd, bytes, offset, length);
    },
    sync: async () => undefined,
  };
}

function failingCalls(full: () => boolean): FileCalls {
  return {
    write(fd, bytes, offset, length) {
      if (full()) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
      return writeSync(fd, bytes, offset, length);
    },
    sync: async () => undefined,
  };
}

function mountsTmpfs(): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  const place = mkdtempSync(join(tmpdir(), "sanctum-mount-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", place]).status === 0;
  if (mounted) spawnSync("umount", [place]);
  rmSync(place, { recursive: true });
  return mounted;
}
