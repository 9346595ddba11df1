import { describe, expect, test } from "bun:test";
import { GatewayError } from "../../errors.ts";
import type { Agent } from "../../request.ts";
import { AgentLimiter } from "./agent-limiter.ts";
import { BucketShelf } from "./bucket-shelf.ts";
import { ManualClock } from "./manual-clock.ts";

function agent(limits: { requestsPerMinute?: number; maxConcurrent?: number }, name = "windu"): Agent {
  return {
    name,
    auth: "token",
    caps: { daily: 0, hourly: undefined, monthly: undefined },
    requestsPerMinute: limits.requestsPerMinute,
    maxConcurrent: limits.maxConcurrent,
    models: undefined,
    overBudget: "local",
  };
}

function refusal(act: () => unknown): GatewayError {
  try {
    act();
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("an agent's own limits", () => {
  test("requests beyond the rate are refused with the seconds to wait", () => {
    const clock = new ManualClock();
    const limiter = new AgentLimiter(clock);
    const windu = agent({ requestsPerMinute: 6 });
    for (let i = 0; i < 6; i++) limiter.admit(windu)();
    expect(refusal(() => limiter.admit(windu))).toMatchObject({ code: "LIMITS_AGENT_RATE", retryAfterSeconds: 10 });
    clock.advance(9_999);
    expect(refusal(() => limiter.admit(windu)).retryAfterSeconds).toBe(1);
    clock.advance(1);
    limiter.admit(windu);
  });

  test("no client is told to wait for more than 30 seconds", () => {
    const limiter = new AgentLimiter(new ManualClock());
    const windu = agent({ requestsPerMinute: 1 });
    limiter.admit(windu);
    expect(refusal(() => limiter.admit(windu)).retryAfterSeconds).toBe(30);
  });

  test("a limit that a reload brings counts what began without it", () => {
    const limiter = new AgentLimiter(new ManualClock());
    const release = limiter.admit(agent({}));
    const limited = agent({ maxConcurrent: 1 });
    expect(refusal(() => limiter.admit(limited)).code).toBe("LIMITS_AGENT_CONCURRENT");
    release();
    limiter.admit(limited);
  });

  test("requests in flight are counted, and a release counts once", () => {
    const limiter = new AgentLimiter(new ManualClock());
    const windu = agent({ maxConcurrent: 2 });
    const release = limiter.admit(windu);
    limiter.admit(windu);
    expect(refusal(() => limiter.admit(windu)).code).toBe("LIMITS_AGENT_CONCURRENT");
    release();
    release();
    limiter.admit(windu);
    expect(refusal(() => limiter.admit(windu)).code).toBe("LIMITS_AGENT_CONCURRENT");
  });

  test("a refused request costs nothing of the other limit", () => {
    const limiter = new AgentLimiter(new ManualClock());
    const windu = agent({ requestsPerMinute: 2, maxConcurrent: 1 });
    const release = limiter.admit(windu);
    for (let i = 0; i < 50; i++) refusal(() => limiter.admit(windu));
    release();
    limiter.admit(windu)();
    expect(refusal(() => limiter.admit(windu)).code).toBe("LIMITS_AGENT_RATE");
    expect(refusal(() => limiter.admit(windu)).code).toBe("LIMITS_AGENT_RATE");
  });

  test("a reload that changes a limit does not refill it", () => {
    const limiter = new AgentLimiter(new ManualClock());
    for (let i = 0; i < 4; i++) limiter.admit(agent({ requestsPerMinute: 4 }))();
    limiter.admit(agent({ requestsPerMinute: 5 }))();
    expect(refusal(() => limiter.admit(agent({ requestsPerMinute: 5 }))).code).toBe("LIMITS_AGENT_RATE");
  });

  test("F6: restarts do not refill it", () => {
    const clock = new ManualClock();
    const disk = new Map<string, string>();
    const save = (key: string, json: string): unknown => disk.set(key, json);
    let admitted = 0;
    for (let restart = 0; restart < 50; restart++) {
      const shelf = new BucketShelf({ clock, sinceBootMs: () => clock.monotonic(), saved: new Map(disk), save });
      const limiter = new AgentLimiter(clock, shelf);
      try {
        for (;;) {
          limiter.admit(agent({ requestsPerMinute: 10 }))();
          admitted++;
        }
      } catch (error) {
        expect(error).toMatchObject({ code: "LIMITS_AGENT_RATE" });
      }
      clock.advance(1_000);
    }
    expect(admitted).toBeLessThanOrEqual(10 + (10 * 50) / 60);
    expect(admitted).toBeGreaterThanOrEqual(10);
  });

  test("agents do not share limits, and one without any is never refused", () => {
    const limiter = new AgentLimiter(new ManualClock());
    limiter.admit(agent({ maxConcurrent: 1 }));
    limiter.admit(agent({ maxConcurrent: 1 }, "mothma"));
    for (let i = 0; i < 1_000; i++) limiter.admit(agent({}, "jocasta"));
  });

  test("names that are gone are forgotten, but none that still owes", () => {
    const limiter = new AgentLimiter(new ManualClock());
    limiter.admit(agent({ maxConcurrent: 1 }, "busy"));
    limiter.admit(agent({ requestsPerMinute: 1 }, "spent"))();
    for (let i = 0; i < 5_000; i++) limiter.admit(agent({ maxConcurrent: 1 }, `agent-${i}`))();
    expect(refusal(() => limiter.admit(agent({ maxConcurrent: 1 }, "busy"))).code).toBe("LIMITS_AGENT_CONCURRENT");
    expect(refusal(() => limiter.admit(agent({ requestsPerMinute: 1 }, "spent"))).code).toBe("LIMITS_AGENT_RATE");
  });
});
