import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GENESIS, hashLine } from "./chain.ts";
import { entryLine } from "./entry.ts";
import { sampleFacts } from "./sample-facts.ts";
import { verifyAudit, type VerifyOptions, type VerifyResult } from "./verify.ts";

const folder = mkdtempSync(join(tmpdir(), "sanctum-verify-"));
afterAll(() => rmSync(folder, { recursive: true }));

function chain(count: number): string[] {
  const lines: string[] = [];
  let head = GENESIS;
  for (let seq = 1; seq <= count; seq++) {
    const line = entryLine(seq, head, sampleFacts({ id: `req_${seq}` }));
    head = hashLine(line);
    lines.push(line);
  }
  return lines;
}

async function verdict(lines: readonly string[], options: VerifyOptions = {}): Promise<VerifyResult> {
  return verifyText(lines.map((line) => `${line}\n`).join(""), options);
}

async function verifyText(text: string, options: VerifyOptions = {}): Promise<VerifyResult> {
  const file = join(folder, "audit.jsonl");
  writeFileSync(file, text);
  return verifyAudit([file], options);
}

const COUNT = 20;
const good = chain(COUNT);
/** In the first, a middle and the last line but one; the last line of all has no witness but an anchor. */
const places = [0, 9, COUNT - 2];

describe("a sound trail", () => {
  test("is never flagged, whatever its length and however it is cut into files", async () => {
    for (const cut of [0, 1, 10, 19, 20]) {
      const files = [good.slice(0, cut), good.slice(cut)].map((lines, i) => {
        const file = join(folder, `part-${i}.jsonl`);
        writeFileSync(file, lines.map((line) => `${line}\n`).join(""));
        return file;
      });
      const result = await verifyAudit(files);
      expect(result).toMatchObject({ ok: true, lines: COUNT, broken: null });
      expect(result.last).toEqual({ seq: COUNT, head: hashLine(good[COUNT - 1]!) });
    }
    expect(await verdict([])).toMatchObject({ ok: true, lines: 0 });
  });

  test("is read in bounded pieces: lines that cross them are whole, and progress is told", async () => {
    const many = chain(3_000);
    let told = 0;
    const result = await verdict(many, { onProgress: (lines) => (told = lines) });
    expect(result).toMatchObject({ ok: true, lines: 3_000 });
    expect(told).toBe(3_000);
  });
});

describe("tampering is named with file, line and rule:", () => {
  test("one changed character, wherever it is in the line", async () => {
    for (const at of places) {
      for (const [from, to] of [
        ['"usd":0.0087', '"usd":0.0080'],
        ['"agent":"windu"', '"agent":"winda"'],
        ['"bytes_out":2048}', '"bytes_out":2049}'],
      ] as const) {
        const lines = good.with(at, good[at]!.replace(from, to));
        expect(lines[at]).not.toBe(good[at]!);
        const result = await verdict(lines);
        expect(result.broken).toMatchObject({ line: at + 1, rule: "edited" });
        expect(result.lines).toBe(at);
      }
    }
  });

  test("a changed link", async () => {
    for (const at of places) {
      const lines = good.with(at, good[at]!.replace(/"prev":"sha256:.{4}/, '"prev":"sha256:beef'));
      expect((await verdict(lines)).broken).toMatchObject({ line: at + 1, rule: "edited" });
    }
  });

  test("a line that is none, an empty one, and one without its end", async () => {
    for (const at of places) {
      for (const text of ["hello", "", '{"v":1}', good[at]!.slice(0, -1)]) {
        const { broken } = await verdict(good.with(at, text));
        expect(broken).toMatchObject({ line: at + 1, rule: "edited" });
      }
    }
  });

  test("a last line without its end but with a newline", async () => {
    const { broken } = await verdict(good.with(COUNT - 1, good[COUNT - 1]!.slice(0, -20)));
    expect(broken).toMatchObject({ line: COUNT, rule: "edited" });
  });

  test("deleted lines", async () => {
    for (const at of places) {
      for (const count of [1, 2]) {
        if (at + count >= COUNT) continue;
        const { broken } = await verdict(good.toSpliced(at, count));
        expect(broken).toMatchObject({ line: at + 1, rule: "missing" });
      }
    }
  });

  test("swapped and moved lines", async () => {
    for (const at of places) {
      const swapped = good.with(at, good[at + 1]!).with(at + 1, good[at]!);
      expect((await verdict(swapped)).broken).toMatchObject({ line: at + 1, rule: "reordered" });
      const moved = good.toSpliced(at, 1).concat(good[at]!);
      expect((await verdict(moved)).broken).toMatchObject({ line: at + 1, rule: "reordered" });
    }
  });

  test("inserted lines, copied or forged with the right link", async () => {
    for (const at of places) {
      const copied = good.toSpliced(at + 1, 0, good[at]!);
      expect((await verdict(copied)).broken).toMatchObject({ line: at + 2, rule: "inserted" });
      const forged = entryLine(at + 2, hashLine(good[at]!), sampleFacts({ nanos: 0 }));
      expect((await verdict(good.toSpliced(at + 1, 0, forged))).broken).toMatchObject({
        line: at + 3,
        rule: "inserted",
      });
    }
  });

  test("a torn end, also alone in the file", async () => {
    const text = good.map((line) => `${line}\n`).join("");
    expect((await verifyText(text.slice(0, -1))).broken).toMatchObject({ line: COUNT, rule: "torn" });
    expect((await verifyText(text.slice(0, -300))).broken).toMatchObject({ line: COUNT, rule: "torn" });
    expect((await verifyText('{"v":1')).broken).toMatchObject({ line: 1, rule: "torn" });
  });

  test("an end cut off at a line, or written anew, where the gateway's own position is known", async () => {
    const known = [{ seq: COUNT, head: hashLine(good[COUNT - 1]!), by: "the gateway" }];
    expect((await verdict(good, { known })).ok).toBe(true);
    expect((await verdict(good.slice(0, -3), { known })).broken).toMatchObject({ line: 18, rule: "missing" });
    const anew = entryLine(COUNT, hashLine(good[COUNT - 2]!), sampleFacts({ nanos: 0 }));
    const result = await verdict(good.with(COUNT - 1, anew), { known });
    expect(result.broken).toMatchObject({ line: COUNT, rule: "edited" });
  });

  test("a missing, swapped or foreign file of several", async () => {
    const files = [0, 1, 2].map((part) => {
      const file = join(folder, `file-${part}.jsonl`);
      const lines = good.slice(part * 5, part * 5 + 5);
      writeFileSync(file, lines.map((line) => `${line}\n`).join(""));
      return file;
    });
    expect((await verifyAudit([files[0]!, files[2]!])).broken).toMatchObject({
      file: files[2]!,
      line: 1,
      rule: "missing",
    });
    const swapped = await verifyAudit([files[0]!, files[2]!, files[1]!]);
    expect(swapped.broken).toMatchObject({ file: files[2]!, line: 1, rule: "reordered" });
    expect((await verifyAudit([files[1]!])).broken).toMatchObject({ line: 1, rule: "missing" });
    const whole = readFileSync(files[0]!, "utf8");
    expect((await verifyText(whole + whole)).broken).toMatchObject({ line: 6, rule: "inserted" });
  });

  test("a line without end is refused without gathering it in memory", async () => {
    const result = await verifyText(`${good[0]!}\n${"x".repeat(3_000_000)}`);
    expect(result.broken).toMatchObject({ line: 2, rule: "edited" });
  });
});
