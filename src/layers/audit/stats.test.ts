import { describe, expect, test } from "bun:test";
import { metricsText } from "./metrics.ts";
import { StandingClock, sampleAttempt, sampleFacts } from "./sample-facts.ts";
import { StatsChanges } from "./stats-changes.ts";
import { createStatsText } from "./stats-text.ts";
import { createStats, type StatsParts } from "./stats.ts";
import { Tally } from "./tally.ts";
import { createZonedTime } from "./zoned-time.ts";

function newStage(changes: Partial<StatsParts> = {}) {
  const clock = new StandingClock(Date.UTC(2026, 10, 23, 17));
  const tally = new Tally(() => "2026-11-23");
  const parts: StatsParts = {
    version: "1.0.0",
    clock,
    tally,
    timezone: () => "Europe/Vienna",
    day: () => ({ key: "2026-11-23", endsAt: Date.UTC(2026, 10, 23, 23) }),
    agents: () => [["windu", { daily: 2_000_000_000 }]],
    balances: (agent) => (agent === "windu" ? { spentNanos: 312_345_000, heldNanos: 50_000_000 } : none),
    config: () => ({ generation: 4, loadedAt: Date.UTC(2026, 10, 23, 16), fault: null }),
    providers: () => [["anthropic", { state: "closed", key: "ok", limits: {}, waiting: 0, backoffUntil: null }]],
    audit: () => ({ entries: 24, head: "sha256:aa", lastWrittenAt: null, fault: null, pending: 0, lost: 0, notes: [] }),
    seal: () => ({ place: "keychain", seq: 23, fault: null, alarms: [] }),
    ledger: () => ({ fault: null, exceeded: 0, expired: 0, notes: [] }),
    ...changes,
  };
  return { clock, tally, stats: createStats(parts) };
}

const none = { spentNanos: 0, heldNanos: 0 };

describe("the /stats document", () => {
  test("names the models that are left alone where there are any, and /metrics counts them", () => {
    const models = { "claude-opus": { state: "open", backoff_until: "2026-11-23T17:00:30.500Z" } } as const;
    const backoffUntil = "2026-11-23T17:00:30.500Z";
    const { stats, tally } = newStage({
      providers: () => [["anthropic", { state: "closed", key: "ok", limits: {}, waiting: 0, backoffUntil, models }]],
    });
    expect(stats().providers["anthropic"]).toMatchObject({ backoff_until: backoffUntil, models });
    const text = metricsText(stats(), tally, 0);
    expect(text).toContain('sanctum_provider_models_down{provider="anthropic"} 1\n');
    expect(text).toContain('sanctum_provider_backoff_seconds{provider="anthropic"} 31\n');
    expect(text).not.toContain("claude-opus");
  });

  test("has the members of the contract in its order", () => {
    const { stats, tally, clock } = newStage();
    tally.opened();
    tally.closed(sampleFacts());
    tally.opened();
    clock.advance(12_345_678);
    const document = stats();
    expect(document).toEqual({
      version: "1.0.0",
      now: "2026-11-23T21:25:45.678+01:00",
      day: "2026-11-23",
      day_ends_at: "2026-11-24T00:00:00.000+01:00",
      uptime_s: 12_345,
      in_flight: 1,
      config: { generation: 4, loaded_at: "2026-11-23T17:00:00.000+01:00", fault: null },
      agents: {
        windu: {
          daily_usd: 2,
          spent_usd: 0.312345,
          held_usd: 0.05,
          remaining_usd: 1.637655,
          over_budget: false,
          requests: 1,
          cloud: 1,
          local: 0,
          fallbacks: 0,
          refused: 0,
          errors: 0,
          input_tokens: 1200,
          output_tokens: 340,
        },
      },
      providers: {
        anthropic: {
          state: "closed",
          requests: 1,
          errors: 0,
          key: "ok",
          latency_ms: { p50: 210, p95: 210, p99: 210 },
          limits: {},
          waiting: 0,
          backoff_until: null,
        },
      },
      models: {
        "anthropic/claude-sonnet-4-5": { requests: 1, spent_usd: 0.0087, input_tokens: 1200, output_tokens: 340 },
      },
      audit: {
        entries: 24,
        head: "sha256:aa",
        last_written_at: null,
        fault: null,
        seal: { key: "keychain", seq: 23, fault: null },
        alarms: [],
      },
      ledger: { fault: null, exceeded: 0, expired: 0, notes: [] },
      overload: { level: "none", reasons: [], shed: 0 },
      totals: { requests: 1, spent_usd: 0.312345, saved_usd: 0, local_share: 0 },
    });
    expect(Object.keys(document).join(" ")).toBe(
      "version now day day_ends_at uptime_s in_flight config agents providers models audit totals ledger overload",
    );
    expect(Object.keys(document.agents["windu"]!).join(" ")).toBe(
      "daily_usd spent_usd held_usd remaining_usd over_budget requests cloud local fallbacks refused errors " +
        "input_tokens output_tokens",
    );
  });

  test("never shows more spent and held than the cap, whatever the last nano-dollars round to", () => {
    for (let odd = 0; odd <= 2_000; odd += 100) {
      const spentNanos = 1_000_000_000 + odd;
      const { stats } = newStage({ balances: () => ({ spentNanos, heldNanos: 2_000_000_000 - spentNanos }) });
      const { spent_usd, held_usd, remaining_usd, over_budget } = stats().agents["windu"]!;
      expect(Math.round((spent_usd + held_usd) * 1e6)).toBe(2_000_000);
      expect([remaining_usd, over_budget]).toEqual([0, true]);
    }
  });

  test("still shows an agent that a reload has taken away but that was active today, with what it spent", () => {
    const { stats, tally } = newStage({ balances: () => ({ spentNanos: 1_000_000_000, heldNanos: 0 }) });
    tally.opened();
    tally.closed(sampleFacts({ agent: "mothma" }));
    expect(stats().agents["mothma"]).toMatchObject({ daily_usd: 0, spent_usd: 1, remaining_usd: 0, requests: 1 });
    expect(stats().totals.spent_usd).toBe(2);
  });

  test("tells faults with since when", () => {
    const since = Date.UTC(2026, 10, 23, 17);
    const fault = { since, messages: ["config.yaml:1:1 agent: unknown key; remove it"] };
    const { stats } = newStage({
      config: () => ({ generation: 4, loadedAt: since, fault }),
      audit: () => ({
        entries: 1,
        head: "sha256:aa",
        lastWrittenAt: since,
        pending: 1,
        lost: 0,
        notes: [],
        fault: { message: "write failed: ENOSPC", since },
      }),
    });
    expect(stats().config.fault).toEqual({ since: "2026-11-23T18:00:00.000+01:00", messages: fault.messages });
    expect(stats().audit.fault).toEqual({ since: "2026-11-23T18:00:00.000+01:00", message: "write failed: ENOSPC" });
  });

  test("shows the share of local answers and what they saved", () => {
    const { stats, tally } = newStage();
    const local = sampleAttempt({ local: true, nanos: 0 });
    for (let i = 0; i < 3; i++) {
      tally.opened();
      tally.closed(sampleFacts(i === 0 ? { served: local, wouldHaveNanos: 200_000_000 } : {}));
    }
    expect(stats().totals).toMatchObject({ saved_usd: 0.2, local_share: 0.3333 });
  });
});

describe("the text of /stats", () => {
  test("is of this moment for whoever reads after each request, and at most 50 ms old for whoever hammers", () => {
    const { stats, tally, clock } = newStage();
    let builds = 0;
    const build = () => {
      builds++;
      return stats();
    };
    const text = createStatsText({ clock, build, revision: () => tally.revision });
    const requests = () => (JSON.parse(text()) as { totals: { requests: number } }).totals.requests;
    for (let i = 1; i <= 10; i++) {
      tally.opened();
      tally.closed(sampleFacts());
      expect(requests()).toBe(i);
    }
    for (let i = 0; i < 10_000; i++) {
      tally.opened();
      tally.closed(sampleFacts());
      text();
    }
    expect(builds).toBeLessThanOrEqual(21);
    clock.advance(50);
    expect(requests()).toBe(10_010);
  });

  test("is not built again while nothing changes", () => {
    const { stats, tally, clock } = newStage();
    const text = createStatsText({ clock, build: stats, revision: () => tally.revision });
    const first = text();
    clock.advance(49);
    expect(text()).toBe(first);
    clock.advance(2);
    expect(text()).not.toBe(first);
  });
});

describe("the stream of /stats", () => {
  test("gives the present state at once and then only what has changed", async () => {
    const { stats, tally, clock } = newStage();
    const changes = new StatsChanges(stats, 1);
    const abort = new AbortController();
    const seen: number[] = [];
    for await (const text of changes.watch(abort.signal)!) {
      const { totals, in_flight } = JSON.parse(text) as { totals: { requests: number }; in_flight: number };
      expect(in_flight).toBe(0);
      seen.push(totals.requests);
      if (seen.length === 4) abort.abort();
      clock.advance(1_000); // Time alone is no change.
      tally.opened();
      tally.closed(sampleFacts());
    }
    expect(seen).toEqual([0, 1, 2, 3]);
    expect(changes.watchers).toBe(0);
  });

  test("takes the passing of time for no change", async () => {
    const { stats, tally, clock } = newStage();
    const looks = Promise.withResolvers<void>();
    let builds = 0;
    const changes = new StatsChanges(() => {
      clock.advance(1_000);
      if (++builds === 5) looks.resolve();
      return stats();
    }, 1);
    const abort = new AbortController();
    const texts = changes.watch(abort.signal)![Symbol.asyncIterator]();
    await texts.next();
    await looks.promise;
    tally.opened();
    const { value } = await texts.next();
    expect((JSON.parse(value as string) as { in_flight: number }).in_flight).toBe(1);
    abort.abort();
    expect((await texts.next()).done).toBe(true);
  });

  test("keeps one document for a slow reader, and nothing when all have left", async () => {
    const { stats, tally } = newStage();
    const changes = new StatsChanges(stats, 1);
    const slow = new AbortController();
    const quick = new AbortController();
    const slowTexts = changes.watch(slow.signal)![Symbol.asyncIterator]();
    let count = 0;
    for await (const text of changes.watch(quick.signal)!) {
      expect(text).toContain('"uptime_s"');
      tally.opened();
      tally.closed(sampleFacts());
      if (++count === 5) quick.abort();
    }
    const first = await slowTexts.next();
    expect((JSON.parse(first.value as string) as { totals: { requests: number } }).totals.requests).toBeGreaterThan(2);
    slow.abort();
    expect((await slowTexts.next()).done).toBe(true);
    expect(changes.watchers).toBe(0);
  });

  test("admits 64 watchers", () => {
    const changes = new StatsChanges(newStage().stats);
    const abort = new AbortController();
    for (let i = 0; i < 64; i++) expect(changes.watch(abort.signal)).not.toBeNull();
    expect(changes.watch(abort.signal)).toBeNull();
    abort.abort();
    expect(changes.watchers).toBe(0);
  });
});

describe("/metrics", () => {
  test("is legal exposition text: each family once with type and help, each sample a number", () => {
    const { stats, tally } = newStage();
    tally.opened();
    tally.closed(sampleFacts({ agent: 'odd"\\\nname' }));
    const text = metricsText(stats(), tally, 2);
    expect(text).toContain("sanctum_holds_exceeded_total 2\n");
    expect(text).toContain('sanctum_requests_total{agent="odd\\"\\\\\\nname",outcome="ok"} 1\n');
    expect(text).toContain('sanctum_spent_usd{agent="windu"} 0.312345\n');
    expect(text).toContain('sanctum_provider_models_down{provider="anthropic"} 0\n');
    expect(text).toContain('sanctum_provider_backoff_seconds{provider="anthropic"} 0\n');
    expect(text).toContain('sanctum_provider_up{provider="anthropic"} 1\n');
    expect(text).toContain('sanctum_provider_latency_seconds{provider="anthropic",quantile="0.5"} 0.21\n');
    expect(text).toContain("sanctum_audit_entries 24\n");
    const families = new Set<string>();
    for (const line of text.trimEnd().split("\n")) {
      expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="([^"\\]|\\.)*",?)+\})? -?[\d.e+-]+)$/);
      const type = /^# TYPE (\w+)/.exec(line)?.[1];
      if (type === undefined) continue;
      expect(families.has(type)).toBe(false);
      families.add(type);
    }
    expect(families.size).toBeGreaterThan(8);
  });
});

describe("a time in its zone", () => {
  test("has the zone's offset of that moment, also where it changes and where it is no whole hour", () => {
    const vienna = createZonedTime("Europe/Vienna");
    expect(vienna(Date.UTC(2026, 2, 29, 0, 59, 59))).toBe("2026-03-29T01:59:59.000+01:00");
    expect(vienna(Date.UTC(2026, 2, 29, 1))).toBe("2026-03-29T03:00:00.000+02:00");
    expect(vienna(Date.UTC(2026, 2, 29, 0))).toBe("2026-03-29T01:00:00.000+01:00");
    expect(createZonedTime("UTC")(0)).toBe("1970-01-01T00:00:00.000+00:00");
    expect(createZonedTime("Asia/Kathmandu")(Date.UTC(2026, 0, 1))).toBe("2026-01-01T05:45:00.000+05:45");
    expect(createZonedTime("America/St_Johns")(Date.UTC(2026, 0, 1))).toBe("2025-12-31T20:30:00.000-03:30");
  });
});
