import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GENESIS, entryLine, hashLine, type AuditFacts } from "../layers/audit/index.ts";
import { sampleAttempt, sampleFacts } from "../layers/audit/sample-facts.ts";
import { findInTrail, searchTrail, type TrailPage, type TrailQuery } from "./trail-search.ts";

const noon = Date.UTC(2026, 10, 23, 12);
const all: TrailQuery = { agent: null, outcome: null, text: null, untilMs: null, before: null, limit: 50 };
const count = 900;
let folder: string;
let file: string;

const local = sampleAttempt({ candidate: "coder-14b", provider: "ollama", local: true, nanos: 0 });
const limited = sampleAttempt({ outcome: "upstream_429", status: 429, nanos: 0, usage: null });

/** One a second. Every third falls back, every seventh is refused, every hundredth comes from a guest. */
function factsOf(seq: number): AuditFacts {
  const change: Partial<AuditFacts> =
    seq % 7 === 0
      ? { attempts: [], served: null, outcome: "refused_budget", nanos: 0 }
      : seq % 3 === 0
        ? { attempts: [limited, local], served: local, nanos: 0, wouldHaveNanos: 1 }
        : {};
  return sampleFacts({
    ts: noon + seq * 1_000,
    id: `req_${String(seq).padStart(6, "0")}`,
    ...(seq % 100 === 0 ? { agent: 'guest "é"' } : {}),
    ...change,
  });
}

/** In two files, the older one rotated. */
function write(name: string, from: number, to: number, prev: string): string {
  let text = "";
  for (let seq = from; seq <= to; seq++) {
    const line = entryLine(seq, prev, factsOf(seq));
    text += `${line}\n`;
    prev = hashLine(line);
  }
  writeFileSync(join(folder, name), text);
  return prev;
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sanctum-search-"));
  file = join(folder, "trail.jsonl");
  const prev = write("trail-20261123T121000Z.jsonl", 1, 600, GENESIS);
  write("trail.jsonl", 601, count, prev);
  // What a crash left, and what somebody else wrote.
  appendFileSync(file, 'not a line of ours\n{"v":1,"seq":901,"prev":"sha256:');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function seqs(page: TrailPage): number[] {
  return page.lines.map((line) => (JSON.parse(line) as { seq: number }).seq);
}

/** Steps until the beginning. */
async function everything(query: Partial<TrailQuery>, stepBytes?: number): Promise<{ found: number[]; steps: number }> {
  const found: number[] = [];
  let before: number | null = query.before ?? null;
  for (let steps = 1; ; steps++) {
    const page = await searchTrail(file, { ...all, ...query, before }, stepBytes);
    found.push(...seqs(page));
    if (page.next === null) return { found, steps };
    expect(page.next).toBeLessThan(before ?? Infinity);
    before = page.next;
  }
}

const numbers = (fits: (seq: number) => boolean): number[] =>
  Array.from({ length: count }, (_, i) => count - i).filter(fits);

describe("the search goes from the newest line back", () => {
  test("through all files, a page at a time, each line once", async () => {
    expect(seqs(await searchTrail(file, all))).toEqual(numbers((seq) => seq > count - 50));
    expect((await everything({ limit: 37 })).found).toEqual(numbers(() => true));
  });

  test("and no step looks at more than it may, whether it finds something or not", async () => {
    const { found, steps } = await everything({ outcome: "client_gone" }, 50_000);
    expect(found).toEqual([]);
    expect(steps).toBeGreaterThan(5);
    expect((await everything({ limit: 200 }, 10_000)).found).toEqual(numbers(() => true));
  });

  test("and says how far it came", async () => {
    const page = await searchTrail(file, { ...all, limit: 10 });
    expect(page).toMatchObject({ next: 891, searched: 11, reachedMs: noon + 891_000 });
    const last = await searchTrail(file, { ...all, before: 3 });
    expect(last).toMatchObject({ next: null, searched: 2, reachedMs: noon + 1_000 });
  });

  test("in a trail without lines finds nothing, and is done", async () => {
    const page = await searchTrail(join(folder, "absent/trail.jsonl"), all);
    expect(page).toEqual({ lines: [], next: null, searched: 0, reachedMs: null });
  });
});

describe("it finds", () => {
  const cases: readonly (readonly [string, Partial<TrailQuery>, (seq: number) => boolean])[] = [
    ["an agent, also one with odd letters", { agent: 'guest "é"' }, (seq) => seq % 100 === 0],
    ["no agent by a part of its name", { agent: "guest" }, () => false],
    ["refused requests", { outcome: "refused" }, (seq) => seq % 7 === 0],
    ["an outcome by its own name", { outcome: "refused_budget" }, (seq) => seq % 7 === 0],
    ["fallbacks", { outcome: "fallback" }, (seq) => seq % 3 === 0 && seq % 7 !== 0],
    ["what local models answered", { outcome: "local" }, (seq) => seq % 3 === 0 && seq % 7 !== 0],
    ["what was answered", { outcome: "ok" }, (seq) => seq % 7 !== 0],
    ["nothing that failed, where nothing did", { outcome: "failed" }, () => false],
    ["an id", { text: "REQ_000123" }, (seq) => seq === 123],
    ["a model that was tried", { text: "coder-14B" }, (seq) => seq % 3 === 0 && seq % 7 !== 0],
    ["why an attempt failed", { text: "upstream_429" }, (seq) => seq % 3 === 0 && seq % 7 !== 0],
    ["no name of a field", { text: "bytes_in" }, () => false],
    ["no text with letters that no line has", { text: "größe" }, () => false],
    ["what arrived before a moment", { untilMs: noon + 450_000 }, (seq) => seq < 450],
    [
      "several of these at once",
      { untilMs: noon + 450_000, outcome: "refused", text: "req_00010" },
      (seq) => seq === 105,
    ],
  ];
  for (const [what, query, fits] of cases) {
    test(what, async () => {
      expect((await everything({ limit: 200, ...query })).found).toEqual(numbers(fits));
    });
  }
});

describe("one line", () => {
  test("is found by its number, with its links on both sides", async () => {
    for (const seq of [1, 2, 300, 599, 600, 601, 602, 899, 900]) {
      const place = (await findInTrail(file, seq))!;
      expect(JSON.parse(place.line)).toMatchObject({ seq, id: `req_${String(seq).padStart(6, "0")}` });
      expect([seq, place.hash, place.linksBack, place.linksOn]).toEqual([
        seq,
        hashLine(place.line),
        seq === 1 ? null : true,
        seq === 900 ? null : true,
      ]);
    }
  });

  test("that the trail does not hold is none", async () => {
    for (const seq of [0, 901, 5_000]) expect(await findInTrail(file, seq)).toBeNull();
    expect(await findInTrail(join(folder, "absent/trail.jsonl"), 1)).toBeNull();
  });

  test("whose neighbour was changed tells so", async () => {
    const changed = mkdtempSync(join(tmpdir(), "sanctum-search-"));
    const path = join(changed, "trail.jsonl");
    const first = entryLine(1, GENESIS, factsOf(1));
    const second = entryLine(2, hashLine(first), factsOf(2));
    const third = entryLine(3, hashLine(second), factsOf(3));
    writeFileSync(path, `${first.replace('"status":200', '"status":201')}\n${second}\n${third}\n`);
    expect(await findInTrail(path, 2)).toMatchObject({ linksBack: false, linksOn: true });
    expect(await findInTrail(path, 1)).toMatchObject({ linksBack: null, linksOn: false });
    rmSync(changed, { recursive: true });
  });
});
