import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HistoryDocument } from "../dashboard/history.ts";
import {
  GENESIS,
  entryLine,
  hashLine,
  type AuditFacts,
  type AuditHealth,
  type StatsDocument,
} from "../layers/audit/index.ts";
import { StandingClock, sampleFacts } from "../layers/audit/sample-facts.ts";
import { DashboardFeed } from "./dashboard-feed.ts";

const noon = Date.UTC(2026, 10, 23, 12);
const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** A house whose trail and ledger outlive each feed. */
function newHouse() {
  const folder = mkdtempSync(join(tmpdir(), "sanctum-feed-"));
  ends.push(() => rmSync(folder, { recursive: true, force: true }));
  const trail = join(folder, "trail.jsonl");
  const counters = new Map<string, string>();
  const clock = new StandingClock(noon);
  const lines: string[] = [];
  let saves = 0;
  const write = (facts: AuditFacts): void => {
    const prev = lines.length === 0 ? GENESIS : hashLine(lines.at(-1)!);
    lines.push(entryLine(lines.length + 1, prev, facts));
    writeFileSync(trail, lines.map((line) => `${line}\n`).join(""));
  };
  const open = (): { feed: DashboardFeed; ask: (id: string) => void; history: () => Promise<HistoryDocument> } => {
    const feed = new DashboardFeed({
      clock,
      tally: { opened: () => undefined, closed: () => undefined },
      ledger: {
        saveCounters: (key, json) => {
          saves++;
          counters.set(key, json);
        },
        loadCounters: (key) => new Map([...counters].filter(([known]) => known === key)),
      },
      sink: { health: () => ({ entries: lines.length }) as AuditHealth },
      trail,
      zone: () => "UTC",
      stats: () => ({ now: "", uptime_s: 0 }) as StatsDocument,
      requireToken: () => undefined,
      report: (line) => {
        throw new Error(line);
      },
    });
    return {
      feed,
      ask: (id) => {
        const facts = sampleFacts({ id, ts: clock.now() });
        write(facts);
        feed.closed(facts);
      },
      history: async () =>
        (await (
          await feed.pages.answer("/dashboard/api/history", new Request("http://x/"), true)
        ).json()) as HistoryDocument,
    };
  };
  return { clock, lines, open, saves: () => saves, counters };
}

async function requestsIn(history: () => Promise<HistoryDocument>): Promise<number> {
  return (await history()).days.reduce((sum, { requests }) => sum + requests, 0);
}

describe("the sums of the dashboard", () => {
  test("go on over an orderly stop without a look at the trail", async () => {
    const { open, lines } = newHouse();
    const first = open();
    for (const id of ["req_1", "req_2"]) first.ask(id);
    first.feed.close();
    // Nobody looks at what is in these lines.
    lines.fill("x");
    const second = open();
    await second.feed.readTrail();
    expect(await requestsIn(second.history)).toBe(2);
  });

  test("find in the trail what a crash has lost of them, and no request twice", async () => {
    const { open, clock } = newHouse();
    const first = open();
    first.ask("req_1");
    clock.advance(60_000);
    first.feed.save();
    first.ask("req_2");
    const second = open();
    second.ask("req_3");
    await second.feed.readTrail();
    expect(await requestsIn(second.history)).toBe(3);
    second.feed.close();
    const third = open();
    await third.feed.readTrail();
    expect(await requestsIn(third.history)).toBe(3);
  });

  test("are read from the trail as a whole where nobody has summed it up before", async () => {
    const { open, counters } = newHouse();
    const first = open();
    for (const id of ["req_1", "req_2", "req_3"]) first.ask(id);
    counters.clear();
    const second = open();
    await second.feed.readTrail();
    expect(await requestsIn(second.history)).toBe(3);
  });

  test("are saved once a minute at most, and only when something has come", () => {
    const { open, clock, saves } = newHouse();
    const { feed, ask } = open();
    clock.advance(60_000);
    feed.save();
    expect(saves()).toBe(0);
    ask("req_1");
    feed.save();
    ask("req_2");
    feed.save();
    expect(saves()).toBe(1);
    clock.advance(60_000);
    feed.save();
    feed.save();
    expect(saves()).toBe(2);
  });

  test("are not saved by a stop in the middle of reading, and read again by the next start", async () => {
    const { open, counters } = newHouse();
    const first = open();
    for (const id of ["req_1", "req_2"]) first.ask(id);
    counters.clear();
    const second = open();
    const reading = second.feed.readTrail();
    second.feed.close();
    await reading;
    // A stop even before that.
    const early = open();
    early.ask("req_3");
    early.feed.close();
    expect(counters.size).toBe(0);
    const third = open();
    await third.feed.readTrail();
    expect(await requestsIn(third.history)).toBe(3);
  });
});

test("what ended before the start stands among the recent requests", async () => {
  const { open } = newHouse();
  const first = open();
  for (const id of ["req_1", "req_2"]) first.ask(id);
  first.feed.close();
  const second = open();
  second.ask("req_3");
  await second.feed.readTrail();
  const events = await second.feed.pages.answer("/dashboard/events", new Request("http://x/"), true);
  const reader = events.body!.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  const { recent } = JSON.parse(new TextDecoder().decode(value).slice("data: ".length)) as { recent: { id: string }[] };
  expect(recent.map(({ id }) => id)).toEqual(["req_3", "req_2", "req_1"]);
});
