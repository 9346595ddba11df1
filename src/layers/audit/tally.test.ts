import { describe, expect, test } from "bun:test";
import { LatencyWindow } from "./latency-window.ts";
import { sampleAttempt, sampleFacts } from "./sample-facts.ts";
import { Tally, type PriceDrift } from "./tally.ts";

function newTally(): { tally: Tally; day: { key: string } } {
  const day = { key: "2026-11-23" };
  return { tally: new Tally(() => day.key), day };
}

const localAttempt = sampleAttempt({
  candidate: "coder-14b",
  provider: "ollama",
  local: true,
  nanos: 0,
  price: "free",
});

function close(tally: Tally, facts: Parameters<typeof sampleFacts>[0] = {}): void {
  tally.opened();
  tally.closed(sampleFacts(facts));
}

describe("counting", () => {
  test("adds up an agent's day: cloud, local, fallbacks, refused, errors, tokens", () => {
    const { tally } = newTally();
    close(tally);
    const failed = sampleAttempt({ outcome: "upstream_429", usage: null, nanos: 0 });
    close(tally, { attempts: [failed, localAttempt], served: localAttempt, wouldHaveNanos: 900 });
    close(tally, { outcome: "refused_budget", attempts: [], served: null });
    close(tally, { outcome: "upstream_error", attempts: [failed], served: null });
    close(tally, { outcome: "client_gone" });
    close(tally, { agent: null, outcome: "refused_identity", attempts: [], served: null });
    expect(tally.agents().get("windu")).toEqual({
      requests: 5,
      cloud: 2,
      local: 1,
      fallbacks: 1,
      refused: 1,
      errors: 1,
      inputTokens: 3 * 1200,
      outputTokens: 3 * 340,
    });
    expect([...tally.agents().keys()]).toEqual(["windu"]);
    expect(tally.totals()).toEqual({ requests: 6, cloud: 2, local: 1, savedNanos: 900 });
    expect(tally.inFlight).toBe(0);
  });

  test("counts for a provider what was sent to it, not what was skipped", () => {
    const { tally } = newTally();
    close(tally, {
      attempts: [
        sampleAttempt({ outcome: "skipped_budget" }),
        sampleAttempt({ outcome: "connect_failed" }),
        sampleAttempt({ outcome: "client_gone" }),
        sampleAttempt(),
      ],
    });
    expect(tally.providers().get("anthropic")).toEqual({ requests: 3, errors: 1 });
    expect(tally.models().get("anthropic/claude-sonnet-4-5")).toMatchObject({ requests: 3, spentNanos: 3 * 8_700_000 });
  });

  test("counts prompt tokens with those from and into the cache", () => {
    const { tally } = newTally();
    const usage = { ...sampleAttempt().usage!, input: 1, cacheRead: 10, cacheWrite5m: 100, cacheWrite1h: 1000 };
    const attempt = sampleAttempt({ usage });
    close(tally, { attempts: [attempt], served: attempt });
    expect(tally.agents().get("windu")?.inputTokens).toBe(1111);
  });

  test("keeps 200 names and puts the rest under other, so that invented names cost no memory", () => {
    const { tally } = newTally();
    for (let i = 0; i < 1000; i++) {
      close(tally, { agent: `a${i}`, attempts: [sampleAttempt({ candidate: `m${i}`, provider: `p${i}` })] });
    }
    for (const names of [tally.agents(), tally.models(), tally.providers(), tally.outcomes()]) {
      expect(names.size).toBe(201);
    }
    expect(tally.models().get("other")?.requests).toBe(800);
  });

  test("starts afresh with the day, also when nothing comes in, but keeps what Prometheus counts", () => {
    const { tally, day } = newTally();
    close(tally);
    tally.opened();
    day.key = "2026-11-24";
    expect(tally.agents().size).toBe(0);
    expect(tally.totals().requests).toBe(0);
    expect(tally.inFlight).toBe(1);
    tally.closed(sampleFacts());
    expect(tally.agents().get("windu")?.requests).toBe(1);
    expect(tally.outcomes().get("windu")?.get("ok")).toBe(2);
  });

  test("has a new revision after every change", () => {
    const { tally } = newTally();
    const seen = new Set([tally.revision]);
    tally.opened();
    seen.add(tally.revision);
    tally.closed(sampleFacts());
    seen.add(tally.revision);
    expect(seen.size).toBe(3);
  });
});

describe("a snapshot", () => {
  test("goes through JSON and is counted on from on the same day", () => {
    const first = newTally().tally;
    close(first);
    const second = newTally().tally;
    expect(second.restore(JSON.parse(JSON.stringify(first.snapshot())))).toBe(true);
    close(second);
    expect(second.agents().get("windu")?.requests).toBe(2);
    expect(second.totals().requests).toBe(2);
    expect(second.snapshot().models).toEqual({
      "anthropic/claude-sonnet-4-5": {
        requests: 2,
        spentNanos: 17_400_000,
        inputTokens: 2400,
        outputTokens: 680,
        reported: 0,
        reportedNanos: 0,
        listedNanos: 0,
      },
    });
  });

  test("of another day or in another shape is left aside", () => {
    const { tally, day } = newTally();
    close(tally);
    const old = tally.snapshot();
    day.key = "2026-11-24";
    for (const odd of [old, null, 7, "x", [], {}, { v: 2, day: day.key }]) expect(tally.restore(odd)).toBe(false);
    const damaged = {
      v: 1,
      day: day.key,
      agents: { windu: { requests: -1, cloud: "x" } },
      totals: { requests: 1e300 },
    };
    expect(tally.restore(damaged)).toBe(true);
    expect(tally.agents().get("windu")).toMatchObject({ requests: 0, cloud: 0, local: 0 });
    expect(tally.totals().requests).toBe(0);
  });

  test("does not take names of the prototype for counts", () => {
    const { tally } = newTally();
    close(tally, { agent: "__proto__" });
    const stored: unknown = JSON.parse(JSON.stringify(tally.snapshot()));
    const again = newTally().tally;
    expect(again.restore(stored)).toBe(true);
    expect(again.agents().get("__proto__")?.requests).toBe(1);
  });
});

describe("latency", () => {
  test("is the nearest rank over the newest 512", () => {
    const window = new LatencyWindow();
    expect(window.percentiles()).toEqual({ p50: null, p95: null, p99: null });
    window.add(7);
    expect(window.percentiles()).toEqual({ p50: 7, p95: 7, p99: 7 });
    for (let i = 0; i < 10_000; i++) window.add(1_000_000);
    for (let i = 1; i <= 512; i++) window.add(i);
    expect(window.percentiles()).toEqual({ p50: 256, p95: 487, p99: 507 });
  });

  test("is of good attempts only", () => {
    const { tally } = newTally();
    close(tally, { attempts: [sampleAttempt({ outcome: "timeout_idle", ms: 60_000 }), sampleAttempt({ ms: 30 })] });
    expect(tally.latency("anthropic")?.percentiles().p99).toBe(30);
  });
});

test("a provider's own figures are compared with the price list, and a drift above 2 % is told once a model and day", () => {
  let today = "2026-11-23";
  const told: PriceDrift[] = [];
  const tally = new Tally(
    () => today,
    (drift) => told.push(drift),
  );
  const close = (candidate: string, nanos: number, listedNanos: number): void => {
    tally.opened();
    tally.closed(sampleFacts({ attempts: [sampleAttempt({ candidate, nanos, listedNanos, price: "reported" })] }));
  };
  close("openrouter/a/good", 10_100_000, 10_000_000);
  expect(told).toEqual([]);
  for (let i = 0; i < 3; i++) close("openrouter/a/dear", 12_000_000, 10_000_000);
  expect(told).toEqual([
    { model: "openrouter/a/dear", reportedNanos: 12_000_000, listedNanos: 10_000_000, share: 0.2 },
  ]);
  // Off by half, and by less than the rounding of a line.
  close("openrouter/a/tiny", 1_500, 1_000);
  expect(told).toHaveLength(1);
  today = "2026-11-24";
  close("openrouter/a/dear", 5_000_000, 10_000_000);
  expect(told.map(({ share }) => share)).toEqual([0.2, -0.5]);
});
