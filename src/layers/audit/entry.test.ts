import { describe, expect, test } from "bun:test";
import { GENESIS, hashLine, parseLineHead } from "./chain.ts";
import { MAX_LINE_BYTES, entryLine } from "./entry.ts";
import { sampleAttempt, sampleFacts } from "./sample-facts.ts";

interface Line {
  readonly [key: string]: unknown;
  readonly attempts: readonly Record<string, unknown>[];
  readonly usage: Record<string, unknown> | null;
}

function parse(line: string): Line {
  return JSON.parse(line) as Line;
}

describe("an audit line", () => {
  test("has the fields of the contract in its order", () => {
    const failed = sampleAttempt({ outcome: "upstream_429", status: 429, ttftMs: null, nanos: 0, usage: null });
    const served = sampleAttempt({ candidate: "coder-14b", provider: "ollama", local: true, nanos: 0, price: "free" });
    const line = entryLine(
      24,
      GENESIS,
      sampleFacts({ attempts: [failed, served], served, nanos: 0, wouldHaveNanos: 8_700_000 }),
    );
    const entry = parse(line);
    expect(Object.keys(entry).join(" ")).toBe(
      "v seq prev ts id agent auth peer dialect path stream requested_model intent route attempts served_by local " +
        "outcome status usage usd held_usd would_have_usd price ms bytes_in bytes_out",
    );
    expect(entry).toMatchObject({
      v: 1,
      seq: 24,
      prev: GENESIS,
      ts: "2026-11-23T17:59:58.120Z",
      served_by: "coder-14b",
    });
    expect(entry).toMatchObject({ local: true, usd: 0, held_usd: 0.0102, would_have_usd: 0.0087, price: "free" });
    expect(Object.keys(entry.attempts[0]!).join(" ")).toBe("candidate outcome status ms usd");
    expect(Object.keys(entry.attempts[1]!).join(" ")).toBe("candidate outcome status ms ttft_ms usd upstream");
    expect(Object.keys(entry.usage!).join(" ")).toBe("input output cache_read cache_write reasoning source");
  });

  test("begins with its number and link, which are found again", () => {
    const line = entryLine(7, hashLine("before"), sampleFacts());
    expect(parseLineHead(line.slice(0, 128))).toEqual({ seq: 7, prev: hashLine("before") });
  });

  test("shows money with six decimals at most", () => {
    expect(parse(entryLine(1, GENESIS, sampleFacts({ nanos: 1_234_567_891 })))["usd"]).toBe(1.234568);
  });

  test("is printable ASCII, whatever a client sends as a name, and reads back the same", () => {
    const hostile = 'x\n{"v":1}\u001b[2J\u0085\u009b\u202e\u2028\u2029\ufeff\ud800"\\ \u0000é😀';
    const line = entryLine(1, GENESIS, sampleFacts({ requestedModel: hostile, path: hostile, peer: hostile }));
    expect(line).toMatch(/^[\x20-\x7e]+$/);
    expect(parse(line)["requested_model"]).toBe(hostile);
  });

  test("stays on one page with the longest names and the longest list of attempts", () => {
    for (const filler of ["a", "\u0001", "\u202e", "\ud800", '"']) {
      const name = filler.repeat(10_000);
      const attempts = Array.from({ length: 100 }, () => sampleAttempt({ candidate: name, note: name }));
      const facts = sampleFacts({
        id: name,
        agent: name,
        peer: name,
        path: name,
        requestedModel: name,
        intent: name,
        route: name,
        attempts,
        served: attempts[99]!,
      });
      const line = entryLine(Number.MAX_SAFE_INTEGER, GENESIS, facts);
      expect(line.length).toBeLessThanOrEqual(MAX_LINE_BYTES);
      expect(line).toMatch(/^[\x20-\x7e]+$/);
      expect(parse(line)["attempts_left_out"]).toBeGreaterThan(0);
    }
  });

  test("cuts a name at 256 characters", () => {
    const name = parse(entryLine(1, GENESIS, sampleFacts({ requestedModel: "m".repeat(300) })))["requested_model"];
    expect(name).toBe(`${"m".repeat(255)}…`);
  });

  test("keeps the served attempt where the list is cut, and says how many are left out", () => {
    const attempts = Array.from({ length: 40 }, (_, i) =>
      sampleAttempt({ candidate: `c${i}`, outcome: "connect_failed" }),
    );
    const served = attempts[30]!;
    const entry = parse(entryLine(1, GENESIS, sampleFacts({ attempts, served })));
    expect(entry.attempts).toHaveLength(16);
    expect(entry.attempts[15]!["candidate"]).toBe("c30");
    expect(entry["attempts_left_out"]).toBe(24);
  });

  test("survives figures that are no numbers", () => {
    const entry = parse(entryLine(1, GENESIS, sampleFacts({ bytesOut: Number.NaN, ms: Number.POSITIVE_INFINITY })));
    expect(entry).toMatchObject({ bytes_out: null, ms: null });
  });
});
