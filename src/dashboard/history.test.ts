import { describe, expect, test } from "bun:test";
import type { AuditFacts, TrailEntry } from "../layers/audit/index.ts";
import { sampleAttempt, sampleFacts } from "../layers/audit/sample-facts.ts";
import { Calendar } from "../reports/period.ts";
import { History } from "./history.ts";

const noon = Date.UTC(2026, 10, 23, 12);
const hourMs = 3_600_000;
const utc = new Calendar("UTC");

function newHistory(): History {
  return new History(() => utc);
}

function at(ts: number, change: Partial<AuditFacts> = {}): AuditFacts {
  return sampleFacts({ ts, ...change });
}

/** As the trail tells it. */
function entry(seq: number, change: Partial<TrailEntry> = {}): TrailEntry {
  return {
    seq,
    id: `req_${seq}`,
    at: noon,
    agent: "windu",
    auth: "token",
    dialect: "messages",
    intent: null,
    route: "default",
    requestedModel: "m",
    attempts: [],
    servedBy: "anthropic/m",
    local: false,
    outcome: "ok",
    usage: { input: 10, output: 5, source: "upstream" },
    price: "catalogue",
    micros: 1_500,
    wouldHaveMicros: null,
    ms: 5,
    ...change,
  };
}

describe("the sums over time", () => {
  test("count each request in its hour, its day and its month", () => {
    const history = newHistory();
    history.closed(at(noon), 1);
    history.closed(at(noon + hourMs), 2);
    history.closed(at(noon + 24 * hourMs), 3);
    history.closed(at(noon + 10 * 24 * hourMs), 4);
    const { hours, days, months } = history.document();
    expect(hours.map(({ key, requests }) => `${key} ${requests}`)).toEqual([
      "2026-11-23 12:00+00:00 1",
      "2026-11-23 13:00+00:00 1",
      "2026-11-24 12:00+00:00 1",
      "2026-12-03 12:00+00:00 1",
    ]);
    expect(days.map(({ key, requests }) => `${key} ${requests}`)).toEqual([
      "2026-11-23 2",
      "2026-11-24 1",
      "2026-12-03 1",
    ]);
    expect(months.map(({ key, requests }) => `${key} ${requests}`)).toEqual(["2026-11 3", "2026-12 1"]);
  });

  test("tell who answered, what was paid and what was saved", () => {
    const history = newHistory();
    const local = sampleAttempt({ local: true, nanos: 0 });
    history.closed(at(noon), 1);
    history.closed(at(noon, { attempts: [local], served: local, nanos: 0, wouldHaveNanos: 8_700_000 }), 2);
    history.closed(at(noon, { attempts: [], served: null, nanos: 0, outcome: "refused_budget" }), 3);
    history.closed(at(noon, { attempts: [], served: null, nanos: 0, outcome: "upstream_error" }), 4);
    expect(history.current(noon).days).toEqual({
      key: "2026-11-23",
      requests: 4,
      cloud: 1,
      local: 1,
      refused: 1,
      errors: 1,
      spent_usd: 0.0087,
      saved_usd: 0.0087,
      input_tokens: 2_400,
      output_tokens: 680,
    });
  });

  test("keep a week of hours, and drop the oldest first", () => {
    const history = newHistory();
    for (let hour = 0; hour < 200; hour++) history.closed(at(noon + hour * hourMs), hour + 1);
    const { hours, days } = history.document();
    expect(hours.length).toBe(168);
    expect(hours.at(-1)!.key).toBe(utc.hour(noon + 199 * hourMs));
    expect(days.length).toBe(9);
    // A request that arrived before all that is kept changes nothing of it.
    history.closed(at(noon - 900 * hourMs), 201);
    expect(history.document().hours).toEqual(hours);
  });

  test("follow the zone when it changes", () => {
    let zone = utc;
    const history = new History(() => zone);
    zone = new Calendar("Asia/Kathmandu");
    history.closed(at(Date.UTC(2026, 10, 23, 18, 30)), 1);
    expect(history.document().hours[0]!.key).toBe("2026-11-24 00:00+05:45");
  });
});

describe("what was before the start", () => {
  test("goes on from what was saved", () => {
    const first = newHistory();
    first.closed(at(noon), 7);
    const second = newHistory();
    expect(second.restore(first.snapshot(noon)!)).toBe(true);
    expect([second.seq, second.savedAt]).toEqual([7, noon]);
    second.closed(at(noon), 8);
    expect(second.current(noon).hours.requests).toBe(2);
  });

  test("is left aside where it is damaged", () => {
    for (const damaged of [
      undefined,
      "",
      "{",
      "[]",
      '{"v":2}',
      '{"v":1,"seq":-1,"at":1}',
      '{"v":1,"seq":"x","at":1}',
    ]) {
      const history = newHistory();
      expect(history.restore(damaged)).toBe(false);
      expect(history.seq).toBe(0);
    }
    const history = newHistory();
    history.restore('{"v":1,"seq":1,"at":1,"hours":{"2026-11-23 12:00+00:00":[1,2]},"days":7}');
    expect(history.document()).toEqual({ reading: false, hours: [], days: [], months: [] });
  });

  test("is read from the trail: the lines that nobody has counted, each once", async () => {
    const history = newHistory();
    history.restore('{"v":1,"seq":2,"at":5}');
    const read = async (take: (one: TrailEntry) => void): Promise<void> => {
      expect(history.document().reading).toBe(true);
      // Meanwhile requests go on.
      history.closed(at(noon), 5);
      for (let seq = 1; seq <= 5; seq++) take(entry(seq));
    };
    await history.catchUp(2, 4, read);
    const { reading, days } = history.document();
    expect([reading, days[0]!.requests, days[0]!.spent_usd, history.seq]).toEqual([false, 3, 0.0117, 5]);
  });

  test("is not saved half", async () => {
    const history = newHistory();
    const { promise, reject } = Promise.withResolvers<void>();
    const caught = history.catchUp(0, 4, async (take) => {
      take(entry(1));
      await promise;
    });
    expect(history.snapshot(noon)).toBeNull();
    reject(new Error("cannot be read"));
    await expect(caught).rejects.toThrow("cannot be read");
    // The next start reads all of it again.
    expect(history.snapshot(noon)).toBeNull();
  });

  test("what local models saved is read from the line too", async () => {
    const history = newHistory();
    const line = entry(1, { local: true, micros: 0, wouldHaveMicros: 8_700 });
    await history.catchUp(0, 1, async (take) => take(line));
    expect(history.current(noon).months).toMatchObject({ local: 1, cloud: 0, saved_usd: 0.0087, spent_usd: 0 });
  });
});
