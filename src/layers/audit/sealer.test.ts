import { afterEach, expect, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { MemoryKeeper, SampleTrail } from "./sample-trail.ts";
import { auditFiles, sealName } from "./segments.ts";

// What the seals find of what somebody does to a trail: test/security/audit-tampering.test.ts.

const trails: SampleTrail[] = [];
afterEach(() => {
  for (const trail of trails.splice(0)) trail.remove();
});

function newTrail(keeper?: MemoryKeeper): SampleTrail {
  const trail = new SampleTrail(keeper);
  trails.push(trail);
  return trail;
}

test("keeps the checkpoint for its owner alone, and a seal beside each rotated file", async () => {
  const trail = newTrail();
  await trail.grow(12);
  expect(statSync(trail.checkpoint).mode & 0o777).toBe(0o600);
  expect(statSync(dirname(trail.checkpoint)).mode & 0o777).toBe(0o700);
  const rotated = auditFiles(trail.path).slice(0, -1);
  expect(rotated.length).toBeGreaterThan(1);
  for (const file of rotated) expect(statSync(sealName(file)).mode & 0o777).toBe(0o600);
  expect(readdirSync(dirname(trail.checkpoint))).toEqual(["audit-checkpoint.json"]);
});

test("says once that a key in a file is weaker, and nothing of one in a keychain", async () => {
  const weak = newTrail(new MemoryKeeper("file"));
  await weak.grow(1);
  await weak.grow(1);
  expect(weak.notes).toEqual([expect.stringContaining("where who can write the trail may read it")]);
  expect(weak.keeper.mark).toBeNull();
  const strong = newTrail();
  await strong.grow(1);
  expect(strong.notes).toEqual([]);
  expect(strong.keeper.mark?.seq).toBe(1);
});

test("does not delete old files while it cannot seal that they are gone", async () => {
  const trail = newTrail();
  const rotate = { sizeBytes: 2_000, keep: 1 };
  await trail.grow(1, { rotate });
  trail.keeper.locked = "vault.age is locked";
  await using run = await trail.start({ rotate });
  await run.write(12);
  const held = auditFiles(trail.path).length;
  expect(held).toBeGreaterThan(4);
  trail.keeper.locked = null;
  await run.sealer.retry();
  await run.write(4);
  expect(auditFiles(trail.path).length).toBe(2);
  expect((await trail.verify()).ok).toBe(true);
});

test("a checkpoint that cannot be written is told once, stops no line, and is written when it can be again", async () => {
  const trail = newTrail();
  await using run = await trail.start();
  await run.write(1);
  rmSync(trail.checkpoint);
  // Not by its mode, which root does not mind.
  mkdirSync(`${trail.checkpoint}/in the way`, { recursive: true });
  for (let i = 0; i < 2; i++) {
    await run.write(1);
    expect(run.sealer.accept()).toBe(false);
  }
  expect(run.sealer.status().fault).toContain("the checkpoint cannot be written");
  expect(trail.notes).toHaveLength(1);
  rmSync(trail.checkpoint, { recursive: true });
  expect(run.sealer.accept()).toBe(true);
  expect(run.sealer.status()).toMatchObject({ fault: null, seq: 3 });
});

test("seals nothing that is not on the disk yet", async () => {
  const trail = newTrail();
  let sync = Promise.resolve();
  await using run = await trail.start({
    calls: {
      write: (fd, bytes, offset, length) => writeSync(fd, bytes, offset, length),
      sync: () => sync,
    },
  });
  await run.write(2);
  const gate = Promise.withResolvers<void>();
  sync = gate.promise;
  const written = run.write(1);
  await new Promise((resolve) => setImmediate(resolve));
  expect(run.sink.health().entries).toBe(3);
  run.sealer.accept();
  expect(run.sealer.status().seq).toBe(2);
  gate.resolve();
  await written;
  run.sealer.accept();
  expect(run.sealer.status().seq).toBe(3);
});
