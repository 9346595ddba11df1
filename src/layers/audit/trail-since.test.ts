import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "bun:test";
import { CHAIN_START, hashLine, type ChainPosition } from "./chain.ts";
import { entryLine } from "./entry.ts";
import { sampleFacts } from "./sample-facts.ts";
import { trailSince } from "./trail-since.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const noon = Date.UTC(2026, 10, 23, 12);

/** A trail of so many lines a second apart, the n-th of which cost n micro-dollars, and where each line stands. */
function trailOf(count: number): { path: string; lines: string[]; marks: ChainPosition[] } {
  const folder = mkdtempSync(join(tmpdir(), "trail-"));
  folders.push(folder);
  const path = join(folder, "audit.jsonl");
  const lines: string[] = [];
  const marks = [CHAIN_START];
  for (let seq = 1; seq <= count; seq++) {
    const facts = sampleFacts({ id: `req_${seq}`, ts: noon + seq * 1_000, nanos: seq * 1_000 });
    const line = entryLine(seq, marks[seq - 1]!.head, facts);
    lines.push(line);
    marks.push({ seq, head: hashLine(line) });
  }
  writeFileSync(path, lines.map((line) => `${line}\n`).join(""));
  return { path, lines, marks };
}

const ids = (charges: readonly { requestId: string }[]): string[] => charges.map(({ requestId }) => requestId);

test("tells the charges of the lines after a mark, and where the trail ends, over many chunks and files", () => {
  const { path, lines, marks } = trailOf(500);
  renameSync(path, path.replace(".jsonl", "-20261123T120200Z.jsonl"));
  const more = entryLine(501, marks[500]!.head, sampleFacts({ id: "req_501", ts: noon + 501_000, nanos: 7_000 }));
  writeFileSync(path, `${more}\n{"v":1,"seq":502,"torn`);
  for (const seq of [0, 1, 250, 499, 500]) {
    const { end, continues, charges } = trailSince(path, marks[seq]!, 0);
    expect({ end, continues }).toEqual({ end: { seq: 501, head: hashLine(more) }, continues: true });
    expect(charges).toHaveLength(501 - seq);
    expect(charges.at(-1)!.requestId).toBe(`req_${seq + 1}`);
  }
  expect(trailSince(path, { seq: 501, head: hashLine(more) }, 0).charges).toEqual([]);
  expect(trailSince(path, marks[499]!, 0).charges[1]).toEqual({
    requestId: "req_500",
    agent: "windu",
    at: noon + 500_000,
    nanos: 500_000,
  });
  expect(lines).toHaveLength(500);
});

test("goes back no further than a moment where no line is known", () => {
  const { path } = trailOf(100);
  expect(ids(trailSince(path, null, noon + 98_000).charges)).toEqual(["req_100", "req_99", "req_98"]);
  expect(trailSince(path, null, Number.POSITIVE_INFINITY)).toMatchObject({
    end: { seq: 100 },
    continues: true,
    charges: [],
  });
});

test("passes over lines that cost nothing, and over what is not ours", () => {
  const { path, marks } = trailOf(2);
  appendFileSync(path, `a line of somebody else\n`);
  appendFileSync(path, `${entryLine(4, marks[2]!.head, sampleFacts({ id: "req_free", nanos: 0 }))}\n`);
  expect(ids(trailSince(path, marks[1]!, 0).charges)).toEqual(["req_2"]);
});

test("says where a trail does not go on from the mark: cut off, changed, begun anew, gone", () => {
  const { path, lines, marks } = trailOf(5);
  const continues = (mark: ChainPosition): boolean => trailSince(path, mark, 0).continues;
  expect(continues(marks[5]!)).toBe(true);
  writeFileSync(path, `${lines.slice(0, 4).join("\n")}\n`);
  expect(continues(marks[5]!)).toBe(false);
  writeFileSync(path, `${lines.with(4, lines[4]!.replace('"usd":0.000005', '"usd":0.000001')).join("\n")}\n`);
  expect(continues(marks[5]!)).toBe(false);
  writeFileSync(path, "");
  expect(continues(marks[5]!)).toBe(false);
  rmSync(path);
  expect(trailSince(path, marks[5]!, 0)).toEqual({ end: CHAIN_START, continues: false, charges: [] });
  expect(trailSince(path, null, 0)).toEqual({ end: CHAIN_START, continues: true, charges: [] });
});
