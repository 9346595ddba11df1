import { afterEach, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { hashLine } from "./chain.ts";
import { SampleTrail } from "./sample-trail.ts";
import { startPosition } from "./start-position.ts";

const trail = new SampleTrail();
afterEach(() => trail.remove());

test("goes on after the line that is known to have been written, and tells where the trail has lost it or has another", async () => {
  await trail.grow(6, { rotate: { sizeBytes: 1_000_000, keep: 1 } });
  const lines = readFileSync(trail.path, "utf8").split("\n").slice(0, -1);
  const at = (seq: number) => ({ seq, head: hashLine(lines[seq - 1]!) });
  const positionOf = (kept: readonly string[], sealed: number | null) => {
    writeFileSync(trail.path, kept.map((line) => `${line}\n`).join(""));
    return startPosition(trail.path, at(kept.length), sealed === null ? null : at(sealed));
  };
  for (const sealed of [null, 1, 4, 6]) expect(positionOf(lines, sealed)).toEqual({ position: at(6), alarm: null });
  expect(positionOf(lines.slice(0, 5), 6)).toEqual({
    position: at(6),
    alarm: expect.stringContaining("line 6 is gone"),
  });
  expect(positionOf(lines.slice(0, 3), 6).alarm).toContain("lines 4 to 6 are gone");
  const other = lines.with(3, lines[3]!.replace('"usd":0.0087', '"usd":0.0001'));
  expect(positionOf(other, 4)).toEqual({ position: at(6), alarm: expect.stringContaining("line 4 is another") });
});
