import { expect, test } from "bun:test";
import type { LedgerDay } from "../layers/budget/index.ts";
import { Calendar } from "./period.ts";
import { PriceDrifts } from "./price-drift.ts";
import { TrailByAgent } from "./reconcile-ledger.ts";
import { sampleEntry, sampleTrailAttempt } from "./sample-entry.ts";

const midnight = Date.UTC(2026, 10, 20, 23);
const calendar = new Calendar("Europe/Berlin");

function trailOf(
  days: readonly LedgerDay[],
  changes: { open?: readonly string[]; trailSeq?: number } = {},
): TrailByAgent {
  return new TrailByAgent(calendar, {
    days,
    open: changes.open ?? [],
    trailSeq: changes.trailSeq ?? null,
    requests: async () => [],
  });
}

const windu = (day: string, nanos: number): LedgerDay => ({ agent: "windu", day, nanos });

test("a request that went on past midnight and was charged on the next day makes no difference", async () => {
  const trail = trailOf([windu("2026-11-20", 1_000_000), windu("2026-11-21", 3_000_000)]);
  trail.add(sampleEntry({ seq: 1, at: midnight - 60_000 }));
  trail.add(sampleEntry({ seq: 2, at: midnight - 500, ms: 2_000, micros: 2_000 }));
  trail.add(sampleEntry({ seq: 3, at: midnight + 60_000 }));
  const days = await trail.compare("2026-11-01", "2026-11-30");
  expect(days.map(({ day, agrees, difference }) => [day, agrees, difference])).toEqual([
    ["2026-11-20", true, -2_000],
    ["2026-11-21", true, 2_000],
  ]);
  expect(days[0]!.notes[0]).toContain("went on past midnight");
});

test("no other difference at midnight is taken for that", async () => {
  const trail = trailOf([windu("2026-11-20", 1_000_000), windu("2026-11-21", 3_000_000)]);
  trail.add(sampleEntry({ seq: 1, at: midnight - 60_000, micros: 3_000 }));
  trail.add(sampleEntry({ seq: 2, at: midnight - 500, ms: 2_000, micros: 500 }));
  const days = await trail.compare("2026-11-01", "2026-11-30");
  expect(days.map(({ agrees }) => agrees)).toEqual([false, false]);
  expect(days[0]!.requests).toMatchObject([{ micros: 500, why: "went on into the next day" }]);
});

test("rounding of the lines is no difference, and a micro-dollar more is one", async () => {
  const compare = async (nanos: number): Promise<boolean[]> => {
    const trail = trailOf([windu("2026-11-20", nanos)]);
    for (let i = 1; i <= 3; i++) trail.add(sampleEntry({ seq: i, id: `req_${i}` }));
    return (await trail.compare("2026-11-01", "2026-11-30")).map(({ agrees }) => agrees);
  };
  expect(await compare(3_001_500)).toEqual([true]);
  expect(await compare(3_002_600)).toEqual([false]);
});

test("what was written after the ledger was asked, and what has no line yet, is left aside", async () => {
  const trail = trailOf([windu("2026-11-20", 1_000_000)], { trailSeq: 2, open: ["req_2"] });
  for (const seq of [1, 2, 3]) trail.add(sampleEntry({ seq, id: `req_${seq}` }));
  expect(await trail.compare("2026-11-01", "2026-11-30")).toMatchObject([{ trail: 1_000, agrees: true }]);
});

test("an agent of which only one side knows differs", async () => {
  const trail = trailOf([windu("2026-11-20", 1_000_000)]);
  trail.add(sampleEntry({ agent: "mothma" }));
  const days = await trail.compare("2026-11-01", "2026-11-30");
  expect(days.map(({ name, difference }) => [name, difference])).toEqual([
    ["mothma", -1_000],
    ["windu", 1_000],
  ]);
});

test("a drift above 2 % is told by day and model, and rounding is none", () => {
  const drifts = new PriceDrifts(calendar);
  const add = (upstream: string, micros: number, listedMicros: number | null): void =>
    drifts.add(sampleEntry({ attempts: [sampleTrailAttempt({ upstream, micros, listedMicros })] }));
  add("openrouter/a/dear", 1_200, 1_000);
  add("openrouter/a/dear", 1_000, 1_000);
  add("openrouter/a/good", 1_010, 1_000);
  add("openrouter/a/tiny", 2, 1);
  add("openrouter/a/gift", 500, 0);
  add("anthropic/b", 500, null);
  expect(drifts.told().map(({ day, model, requests, share }) => [day, model, requests, share])).toEqual([
    ["2026-11-20", "openrouter/a/dear", 2, 0.1],
    ["2026-11-20", "openrouter/a/gift", 1, Number.POSITIVE_INFINITY],
  ]);
});
