import { describe, expect, test } from "bun:test";
import type { ProviderLimits } from "../../request.ts";
import { ManualClock } from "./manual-clock.ts";
import { MemoryQuota, type Ask, type QuotaRefusal, type Ticket } from "./quota.ts";
import { seededRandom } from "./seeded-random.ts";

const none: ProviderLimits = {
  requestsPerMinute: undefined,
  inputTokensPerMinute: undefined,
  outputTokensPerMinute: undefined,
  concurrent: undefined,
};
const small = { inputTokens: 100, outputTokens: 100 };
const noPatience = { signal: new AbortController().signal, ms: 0 };

function setUp(limits: Partial<ProviderLimits> = {}): { clock: ManualClock; quota: MemoryQuota } {
  const clock = new ManualClock();
  const quota = new MemoryQuota({ clock, wait: clock.wait });
  quota.configure(new Map([["anthropic", { ...none, ...limits }]]));
  return { clock, quota };
}

function ask(quota: MemoryQuota, some: Partial<Ask>, account: string): Ticket | QuotaRefusal {
  const result = quota.take(account, "anthropic", { agent: "windu", scope: "model", ...small, ...some }, noPatience);
  if (result instanceof Promise) throw new Error("the quota lets somebody without patience wait");
  return result;
}

function take(quota: MemoryQuota, some: Partial<Ask> = {}, account = "anthropic"): Ticket {
  const result = ask(quota, some, account);
  if ("refusedBy" in result) throw new Error(`refused by ${result.refusedBy}`);
  return result;
}

function refused(quota: MemoryQuota, some: Partial<Ask> = {}, account = "anthropic"): QuotaRefusal {
  const result = ask(quota, some, account);
  if ("refusedBy" in result) return result;
  throw new Error("the quota gave a ticket");
}

/** An answer with these headers, to a question of its own. */
function tell(quota: MemoryQuota, headers: Record<string, string>, scope = "model"): void {
  const ticket = take(quota, { scope });
  quota.learn(ticket, new Headers(headers));
  quota.settle(ticket, small);
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
    tell(quota, {});
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
      const result = ask(quota, {}, "anthropic");
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
  /** All of it comes back at the reset. */
  const empty = { "x-ratelimit-limit": "50", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "20" };
  const anthropic = (remaining: number): Record<string, string> => ({
    "anthropic-ratelimit-requests-limit": "60",
    "anthropic-ratelimit-requests-remaining": `${remaining}`,
    "anthropic-ratelimit-requests-reset": new Date(
      Date.parse("2026-11-23T18:01:00Z") - remaining * 1_000,
    ).toISOString(),
  });

  test("nothing remaining means: not before the reset, where it is one", () => {
    const { clock, quota } = setUp();
    tell(quota, empty);
    expect(refused(quota)).toEqual({ refusedBy: "requests", waitMs: 20_000 });
    clock.advance(19_999);
    refused(quota);
    clock.advance(1);
    take(quota);
  });

  test("nothing remaining means: as soon as one has come back, where they do so all the time", () => {
    const { clock, quota } = setUp();
    tell(quota, anthropic(0));
    expect(refused(quota)).toEqual({ refusedBy: "requests", waitMs: 1_000 });
    clock.advance(1_000);
    quota.settle(take(quota), null);
    expect(refused(quota).waitMs).toBe(1_000);
  });

  test("each request takes one of those that remain, until an answer tells more", () => {
    const { quota } = setUp();
    tell(quota, { ...empty, "x-ratelimit-remaining": "3" });
    const before = [take(quota), take(quota)];
    quota.giveBack(take(quota));
    const last = take(quota);
    refused(quota);
    for (const ticket of before) quota.settle(ticket, small);
    quota.learn(last, new Headers({ ...empty, "x-ratelimit-remaining": "1" }));
    take(quota);
    refused(quota);
  });

  test("what is in flight and not answered yet is counted against an older answer's figure", () => {
    const { quota } = setUp();
    const first = take(quota);
    for (let i = 0; i < 7; i++) take(quota);
    quota.learn(first, new Headers({ ...empty, "x-ratelimit-remaining": "10" }));
    for (let i = 0; i < 3; i++) take(quota);
    refused(quota);
  });

  test("what was sent a moment before counts as well, until its answer shows that it was known", () => {
    for (const [known, left] of [
      ["11", 10],
      ["9", 9],
    ] as const) {
      const { quota } = setUp();
      const [one, other] = [take(quota), take(quota)];
      quota.learn(other, new Headers({ ...empty, "x-ratelimit-remaining": "10" }));
      expect(quota.status("anthropic").requests?.remaining).toBe(9);
      quota.learn(one, new Headers({ ...empty, "x-ratelimit-remaining": known }));
      expect(quota.status("anthropic").requests?.remaining).toBe(left);
    }
  });

  test("an answer that was overtaken by a later question's changes nothing", () => {
    const { quota } = setUp();
    const [slow, quick] = [take(quota), take(quota)];
    quota.learn(quick, new Headers({ ...empty, "x-ratelimit-remaining": "0" }));
    quota.learn(slow, new Headers({ ...empty, "x-ratelimit-remaining": "30" }));
    refused(quota);
  });

  test("one model's exhaustion does not stop another", () => {
    const { quota } = setUp();
    tell(quota, empty, "claude-opus-4");
    refused(quota, { scope: "claude-opus-4" });
    take(quota, { scope: "claude-sonnet-4" });
    expect(quota.status("anthropic").models).toEqual({
      "claude-opus-4": { requests: { limit: 50, remaining: 0, resets_at: "2026-11-23T18:00:20.000Z" } },
    });
  });

  test("prompts are weighed by what they turned into before, not by their bytes", () => {
    const { quota } = setUp();
    const limit = { "x-ratelimit-limit-tokens": "30000", "x-ratelimit-remaining-tokens": "10000" };
    tell(quota, limit);
    // 28,000 bytes are 8,000 tokens, and a few of output.
    quota.giveBack(take(quota, { inputTokens: 28_000, outputTokens: 100 }));
    expect(refused(quota, { inputTokens: 42_000, outputTokens: 100 }).refusedBy).toBe("tokens");
    // Ten to one: an agent that reads nearly all from its cache.
    for (let i = 0; i < 40; i++) {
      quota.settle(take(quota, { inputTokens: 1_000 }), { inputTokens: 20, outputTokens: 20 });
    }
    tell(quota, limit);
    take(quota, { inputTokens: 42_000, outputTokens: 100 });
  });

  test("output that is being written is reserved, at most half of what there is", () => {
    const { quota } = setUp();
    const told = {
      "anthropic-ratelimit-output-tokens-limit": "8000",
      "anthropic-ratelimit-output-tokens-remaining": "8000",
    };
    tell(quota, told);
    const running = Array.from({ length: 7 }, () => take(quota, { outputTokens: 1_000 }));
    for (const ticket of running.slice(0, 6)) quota.learn(ticket, new Headers());
    quota.learn(running[6]!, new Headers({ ...told, "anthropic-ratelimit-output-tokens-remaining": "4000" }));
    expect(refused(quota, { outputTokens: 1_000 }).refusedBy).toBe("output_tokens");
    for (const ticket of running) quota.settle(ticket, { inputTokens: 10, outputTokens: 100 });
    take(quota, { outputTokens: 1_000 });
  });

  test("a refusal says when to come back, and a later question's answer that it is over", () => {
    const { clock, quota } = setUp();
    tell(quota, {});
    const [one, other] = [take(quota), take(quota)];
    quota.learn(one, new Headers(), 7_000);
    expect(refused(quota)).toEqual({ refusedBy: "requests", waitMs: 7_000 });
    take(quota, { scope: "another" });
    clock.advance(1_000);
    quota.learn(other, new Headers());
    take(quota);
  });

  test("what was told about one key is forgotten when another one is asked", () => {
    const { quota } = setUp();
    const ticket = take(quota);
    quota.learn(ticket, new Headers(empty), 20_000);
    refused(quota);
    quota.forget(ticket);
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
    tell(quota, { ...empty, "x-ratelimit-reset": "4070908800" });
    expect(refused(quota).waitMs).toBe(300_000);
    clock.advance(300_000);
    const next = take(quota);
    quota.learn(next, new Headers({ "ratelimit-remaining": "0" }));
    expect(refused(quota).waitMs).toBe(1_000);
  });

  test("nonsense changes nothing", () => {
    const { quota } = setUp();
    tell(quota, {
      "ratelimit-remaining": "NaN",
      "x-ratelimit-remaining": "-4",
      "x-ratelimit-remaining-requests": "1e99",
      ratelimit: "r=r;r",
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

  test("invented models do not grow the memory without bound, and do not push out what was told", () => {
    const { quota } = setUp();
    tell(quota, empty, "real");
    for (let i = 0; i < 3_000; i++) quota.giveBack(take(quota, { scope: `invented-${i}` }));
    refused(quota, { scope: "real" });
  });
});

describe("the status", () => {
  const told = { "x-ratelimit-limit": "50", "x-ratelimit-remaining": "11", "x-ratelimit-reset": "20" };

  test("shows the tightest of each kind, and where it comes from", () => {
    const { clock, quota } = setUp({ requestsPerMinute: 100, concurrent: 3 });
    const running = take(quota);
    tell(quota, told, "one");
    tell(quota, { ...told, "x-ratelimit-remaining": "30" }, "other");
    const one = { limit: 50, remaining: 11, resets_at: "2026-11-23T18:00:20.000Z" };
    expect(quota.status("anthropic")).toEqual({
      requests: one,
      configured: {
        requests: { limit: 100, remaining: 97, resets_at: "2026-11-23T18:00:01.800Z" },
        concurrent: { limit: 3, remaining: 2, resets_at: null },
      },
      models: { one: { requests: one }, other: { requests: { ...one, remaining: 30 } } },
    });
    quota.settle(running, null);
    clock.advance(20_000);
    expect(quota.status("anthropic").requests).toEqual({ limit: 50, remaining: 50, resets_at: null });
  });

  test("of nobody, and where nothing is limited, is empty", () => {
    const { quota } = setUp();
    take(quota);
    expect([quota.status("nobody"), quota.status("anthropic"), quota.waiting("anthropic")]).toEqual([{}, {}, 0]);
  });

  test("of callers with keys of their own stands by agent", () => {
    const { quota } = setUp();
    const ticket = take(quota, {}, "anthropic\nwindu");
    quota.learn(ticket, new Headers(told));
    take(quota, {}, "anthropic\nmothma");
    const requests = { limit: 50, remaining: 11, resets_at: "2026-11-23T18:00:20.000Z" };
    expect(quota.status("anthropic")).toEqual({
      requests,
      agents: { windu: { requests, models: { model: { requests } } }, mothma: {} },
    });
  });
});
