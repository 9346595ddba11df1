import { describe, expect, test } from "bun:test";
import type { Reading } from "./quota-headers.ts";
import { ToldQuota } from "./told-quota.ts";

const steady: Reading = { limit: 60, remaining: 0, resetMs: 60_000, perMs: 60 / 60_000, windowMs: undefined };
const windows: Reading = { limit: 60, remaining: 0, resetMs: 30_000, perMs: 0, windowMs: 60_000 };

function told(reading: Reading, sentSince = 0): ToldQuota {
  const quota = new ToldQuota();
  quota.tell(reading, sentSince, 0, 1, 0);
  return quota;
}

const wait = (quota: ToldQuota, nowMs: number, need = 1, ahead = 0, kept: number | null = null): number =>
  quota.waitMs(need, ahead, 0, kept, nowMs);

describe("what is filled all the time", () => {
  test("comes back in even parts, up to the limit", () => {
    const quota = told(steady);
    expect(wait(quota, 0)).toBeCloseTo(1_000, 6);
    expect(wait(quota, 400)).toBeCloseTo(600, 6);
    expect(wait(quota, 1_000)).toBe(0);
    expect(quota.status(290_000)).toEqual({ limit: 60, remaining: 60, fullInMs: 0 });
  });

  test("is waited for behind those who stand before", () => {
    expect(wait(told(steady), 0, 1, 4)).toBeCloseTo(5_000, 6);
  });

  test("counts what was sent after the answer's own question", () => {
    const quota = told({ ...steady, remaining: 3 }, 5);
    expect(wait(quota, 0)).toBeCloseTo(3_000, 6);
    expect(quota.status(0)).toMatchObject({ remaining: 0 });
  });

  test("gives more than the limit for a full bucket", () => {
    const quota = told({ ...steady, remaining: 60 });
    expect(wait(quota, 0, 500)).toBe(0);
    quota.take(500, null, 0);
    expect(quota.status(0)).toMatchObject({ remaining: 0 });
    expect(wait(quota, 0)).toBeCloseTo(1_000, 6);
  });

  test("keeps its last quarter from an agent that has had much while there are others, and never slows the first three", () => {
    const quota = told({ ...steady, remaining: 60 });
    for (let i = 0; i < 45; i++) {
      expect(wait(quota, 0, 1, 0, 0.1)).toBe(0);
      quota.take(1, 0.1, 0);
    }
    expect(wait(quota, 0, 1, 0, 0.1)).toBeCloseTo(1_000, 6);
    expect(wait(quota, 0)).toBe(0);
    expect(wait(quota, 0, 1, 0, 0)).toBe(0);
  });
});

describe("what comes back at the reset alone", () => {
  test("is not there before it, and wholly after it", () => {
    const quota = told(windows);
    expect(wait(quota, 29_999)).toBe(1);
    expect(wait(quota, 30_000)).toBe(0);
    expect(quota.status(30_000)).toEqual({ limit: 60, remaining: 60, fullInMs: 0 });
  });

  test("is counted in the windows that follow too", () => {
    const quota = told({ ...windows, limit: 2, remaining: 0 });
    quota.take(1, null, 30_000);
    quota.take(1, null, 30_000);
    expect(wait(quota, 40_000)).toBe(50_000);
    expect(wait(quota, 40_000, 1, 3)).toBe(110_000);
  });

  test("what was sent across the turn of the window counts in the new one", () => {
    const quota = told({ ...windows, remaining: 10 }, 4);
    quota.take(1, null, 29_000);
    expect(quota.status(30_000)).toMatchObject({ remaining: 55 });
    expect(quota.status(90_000)).toMatchObject({ remaining: 60 });
  });

  test("is spread over the rest of the window for an agent that has had much; others take what they need", () => {
    const quota = told({ ...windows, remaining: 15, resetMs: 30_000 });
    const turns: number[] = [];
    for (let now = 0; now < 30_000; now += 100) {
      if (wait(quota, now, 1, 0, 0) > 0) continue;
      quota.take(1, 0, now);
      turns.push(now);
    }
    expect(turns.length).toBe(15);
    const steps = turns.slice(1).map((turn, index) => turn - turns[index]!);
    expect(Math.min(...steps)).toBeGreaterThanOrEqual(1_800);
    expect(Math.max(...steps)).toBeLessThanOrEqual(2_200);
    expect(wait(told({ ...windows, remaining: 1 }), 0)).toBe(0);
  });

  test("leaves out what the others will take until the reset", () => {
    const quota = told({ ...windows, remaining: 15 });
    // Half a quota a minute: 15 in the 30 s that are left.
    expect(wait(quota, 0, 1, 0, 0.5)).toBeCloseTo(2_000, 6);
    expect(wait(quota, 0)).toBe(0);
  });

  test("a burst within three quarters is not slowed", () => {
    const quota = told({ ...windows, remaining: 60 });
    for (let i = 0; i < 45; i++) {
      expect(wait(quota, 0, 1, 0, 0)).toBe(0);
      quota.take(1, 0, 0);
    }
    expect(wait(quota, 0, 1, 0, 0)).toBeGreaterThan(0);
  });
});

describe("a lying provider", () => {
  test.each([
    ["never", { ...windows, resetMs: 300_000 }],
    ["almost never", { ...steady, perMs: 1e-12 }],
    ["nothing at all", { ...windows, limit: 0, remaining: 0 }],
    ["without a limit", { ...windows, limit: undefined, resetMs: 300_000 }],
  ] as const)("is believed for five minutes, then one request finds out: %s", (_, reading) => {
    const quota = told(reading);
    expect(wait(quota, 0)).toBeLessThanOrEqual(300_000);
    expect(wait(quota, 0)).toBeGreaterThan(0);
    expect(wait(quota, 300_000)).toBe(0);
  });

  test("lets one through after that, not all", () => {
    const quota = told({ ...steady, perMs: 1e-12 });
    quota.take(1, null, 300_000);
    expect(wait(quota, 300_000)).toBe(300_000);
  });

  test("that tells no reset is believed for a second", () => {
    const quota = told({ limit: undefined, remaining: 0, resetMs: undefined, perMs: 0, windowMs: undefined });
    expect(wait(quota, 0)).toBe(1_000);
    expect(wait(quota, 1_000)).toBe(0);
    expect(quota.status(0)).toBeNull();
  });
});

test("what was not sent comes back, within the limit", () => {
  const quota = told({ ...windows, remaining: 59 });
  quota.take(1, null, 0);
  quota.correct(1);
  expect(quota.status(0)).toMatchObject({ remaining: 59 });
  quota.correct(100);
  expect(quota.status(0)).toMatchObject({ remaining: 60 });
});
