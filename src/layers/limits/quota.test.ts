import { describe, expect, test } from "bun:test";
import type { ProviderLimits } from "../../request.ts";
import { MemoryQuota, type QuotaRefusal, type Ticket } from "./quota.ts";
import { ManualClock } from "./manual-clock.ts";
import { seededRandom } from "./seeded-random.ts";

const none: ProviderLimits = {
  requestsPerMinute: undefined,
  inputTokensPerMinute: undefined,
  outputTokensPerMinute: undefined,
  concurrent: undefined,
};
const small = { inputTokens: 100, outputTokens: 100 };

function setUp(limits: Partial<ProviderLimits> = {}): { clock: ManualClock; quota: MemoryQuota } {
  const clock = new ManualClock();
  const quota = new MemoryQuota(clock);
  quota.configure(new Map([["anthropic", { ...none, ...limits }]]));
  return { clock, quota };
}

function take(quota: MemoryQuota, need = small, account = "anthropic"): Ticket {
  const result = quota.take(account, "anthropic", need);
  if ("refusedBy" in result) throw new Error(`refused by ${result.refusedBy}`);
  return result;
}

function refused(quota: MemoryQuota, need = small, account = "anthropic"): QuotaRefusal {
  const result = quota.take(account, "anthropic", need);
  if ("refusedBy" in result) return result;
  throw new Error("the quota gave a ticket");
}

function tell(quota: MemoryQuota, headers: Record<string, string>, account = "anthropic"): void {
  quota.learn(account, "anthropic", new Headers(headers));
}

describe("configured limits", () => {
  test("requests per minute are counted, and one comes back after its share of a minute", () => {
    const { clock, quota } = setUp({ requestsPerMinute: 2 });
    quota.settle(take(quota), null);
    quota.settle(take(quota), null);
    expect(refused(quota)).toEqual({ refusedBy: "requests", waitMs: 30_000 });
    clock.advance(30_000);
    take(quota);
  });

  test("input is taken by its upper bound and corrected when the usage is known", () => {
    const { quota } = setUp({ inputTokensPerMinute: 1_000 });
    const ticket = take(quota, { inputTokens: 900, outputTokens: 0 });
    expect(refused(quota, { inputTokens: 200, outputTokens: 0 }).refusedBy).toBe("input_tokens");
    quota.settle(ticket, { inputTokens: 200, outputTokens: 5 });
    expect(quota.status("anthropic").input_tokens?.remaining).toBe(800);
  });

  test("a prompt beyond the limit waits for a full bucket instead of for ever, and what it used is paid back", () => {
    const { clock, quota } = setUp({ inputTokensPerMinute: 1_000 });
    const ticket = take(quota, { inputTokens: 5_000, outputTokens: 0 });
    quota.settle(ticket, { inputTokens: 3_000, outputTokens: 0 });
    expect(refused(quota, { inputTokens: 1, outputTokens: 0 }).waitMs).toBe(120_060);
    clock.advance(120_060);
    take(quota, { inputTokens: 1, outputTokens: 0 });
  });

  test("output that was longer than guessed is charged afterwards", () => {
    const { quota } = setUp({ outputTokensPerMinute: 1_000 });
    quota.settle(take(quota), { inputTokens: 0, outputTokens: 2_500 });
    expect(refused(quota)).toEqual({ refusedBy: "output_tokens", waitMs: 96_000 });
  });

  test("without known usage what was taken counts", () => {
    const { quota } = setUp({ inputTokensPerMinute: 1_000 });
    quota.settle(take(quota, { inputTokens: 600, outputTokens: 0 }), null);
    expect(quota.status("anthropic").input_tokens?.remaining).toBe(400);
  });

  test("an attempt that was never sent costs nothing", () => {
    const { quota } = setUp({
      requestsPerMinute: 1,
      inputTokensPerMinute: 100,
      outputTokensPerMinute: 100,
      concurrent: 1,
    });
    for (let i = 0; i < 10; i++) quota.giveBack(take(quota));
    expect(quota.status("anthropic").requests?.remaining).toBe(1);
  });

  test("a refused take takes nothing from any of them", () => {
    const { quota } = setUp({ requestsPerMinute: 10, inputTokensPerMinute: 100 });
    take(quota);
    for (let i = 0; i < 20; i++) refused(quota);
    expect(quota.status("anthropic").requests?.remaining).toBe(9);
  });

  test("a ticket closes once, whatever is called on it afterwards", () => {
    const { quota } = setUp({ concurrent: 1, requestsPerMinute: 100 });
    const first = take(quota);
    quota.settle(first, null);
    const second = take(quota);
    quota.settle(first, null);
    quota.giveBack(first);
    expect(refused(quota).refusedBy).toBe("concurrent");
    expect(quota.status("anthropic").requests?.remaining).toBe(98);
    quota.settle(second, null);
    take(quota);
  });

  test("limits change with the configuration, and what was taken stays taken", () => {
    const { quota } = setUp({ requestsPerMinute: 10, concurrent: 5 });
    const ticket = take(quota);
    take(quota);
    quota.configure(new Map([["anthropic", { ...none, requestsPerMinute: 4, concurrent: 2 }]]));
    expect(quota.status("anthropic").requests).toMatchObject({ limit: 4, remaining: 2 });
    expect(refused(quota).refusedBy).toBe("concurrent");
    quota.settle(ticket, null);
    take(quota);
    quota.configure(new Map());
    for (let i = 0; i < 50; i++) take(quota);
  });

  test("callers with keys of their own have accounts of their own, under the same limits", () => {
    const { quota } = setUp({ requestsPerMinute: 1 });
    take(quota, small, "anthropic\nwindu");
    take(quota, small, "anthropic\nmothma");
    expect(refused(quota, small, "anthropic\nwindu").refusedBy).toBe("requests");
  });

  test("in any schedule of takes, settlements and returns the concurrency is exact", () => {
    const random = seededRandom(11);
    const { clock, quota } = setUp({ concurrent: 7 });
    const open: Ticket[] = [];
    for (let step = 0; step < 5_000; step++) {
      const result = quota.take("anthropic", "anthropic", small);
      expect("refusedBy" in result).toBe(open.length === 7);
      if (!("refusedBy" in result)) open.push(result);
      while (open.length > 0 && random.next() < 0.5) {
        const [ticket] = open.splice(Math.floor(random.next() * open.length), 1);
        if (ticket === undefined) break;
        if (random.next() < 0.5) quota.giveBack(ticket);
        else quota.settle(ticket, random.next() < 0.5 ? null : small);
      }
      clock.advance(1);
    }
  });
});

describe("limits that a provider tells", () => {
  const empty = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "0",
    "anthropic-ratelimit-requests-reset": "2026-11-23T18:00:20Z",
  };

  test("nothing remaining means: not before the reset", () => {
    const { clock, quota } = setUp();
    tell(quota, empty);
    expect(refused(quota)).toEqual({ refusedBy: "requests", waitMs: 20_000 });
    clock.advance(19_999);
    refused(quota);
    clock.advance(1);
    take(quota);
  });

  test("each request takes one of those that remain, until an answer tells more", () => {
    const { quota } = setUp();
    tell(quota, { ...empty, "anthropic-ratelimit-requests-remaining": "3" });
    take(quota);
    take(quota);
    quota.giveBack(take(quota));
    take(quota);
    refused(quota);
    tell(quota, { ...empty, "anthropic-ratelimit-requests-remaining": "1" });
    take(quota);
  });

  test("an exhausted token quota skips the provider too", () => {
    const { quota } = setUp();
    tell(quota, {
      "anthropic-ratelimit-output-tokens-remaining": "0",
      "anthropic-ratelimit-output-tokens-reset": "2026-11-23T18:00:05Z",
    });
    expect(refused(quota)).toEqual({ refusedBy: "output_tokens", waitMs: 5_000 });
  });

  test("a lying reset keeps the provider out for five minutes at most, a missing one for a second", () => {
    const { clock, quota } = setUp();
    tell(quota, { ...empty, "anthropic-ratelimit-requests-reset": "2099-01-01T00:00:00Z" });
    expect(refused(quota).waitMs).toBe(300_000);
    clock.advance(300_000);
    take(quota);
    tell(quota, { "ratelimit-remaining": "0" });
    expect(refused(quota).waitMs).toBe(1_000);
  });

  test("nonsense changes nothing", () => {
    const { quota } = setUp();
    tell(quota, {
      "ratelimit-remaining": "NaN",
      "x-ratelimit-remaining": "-4",
      "x-ratelimit-remaining-requests": "1e99",
    });
    expect(quota.status("anthropic")).toEqual({});
    take(quota);
  });

  test("a jump of the wall clock does not move the reset", () => {
    const { clock, quota } = setUp();
    tell(quota, empty);
    clock.jump(-86_400_000);
    expect(refused(quota).waitMs).toBe(20_000);
    clock.jump(10 * 86_400_000);
    expect(refused(quota).waitMs).toBe(20_000);
  });

  test("the status shows the tighter one, and the limit again after the reset", () => {
    const { clock, quota } = setUp({ requestsPerMinute: 100 });
    tell(quota, { ...empty, "anthropic-ratelimit-requests-remaining": "10" });
    expect(quota.status("anthropic").requests).toEqual({
      limit: 50,
      remaining: 10,
      resets_at: "2026-11-23T18:00:20.000Z",
    });
    clock.advance(20_000);
    expect(quota.status("anthropic").requests).toEqual({ limit: 50, remaining: 50, resets_at: null });
    expect(quota.status("nobody")).toEqual({});
  });
});
