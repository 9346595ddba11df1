import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { TokenBucket } from "./token-bucket.ts";

describe("a token bucket", () => {
  test("gives a whole minute's worth at once and then exactly the rate", () => {
    const bucket = new TokenBucket(60, 0);
    for (let i = 0; i < 60; i++) expect(bucket.take(1, 0)).toBe(0);
    expect(bucket.take(1, 0)).toBe(1_000);
    expect(bucket.take(1, 999.9)).toBe(0.1);
    expect(bucket.take(1, 1_000)).toBe(0);
    expect(bucket.take(1, 1_000)).toBe(1_000);
  });

  test("loses nothing to rounding when it is asked a million times between two tokens", () => {
    const bucket = new TokenBucket(7, 0);
    bucket.take(7, 0);
    for (let i = 0; i < 1_000_000; i++) bucket.peek((i * 60_000) / 1_000_000);
    expect(bucket.peek(60_000)).toBe(7);
  });

  test("is not set back when a minute turns, so twice the limit never passes at once", () => {
    const bucket = new TokenBucket(100, 59_999);
    bucket.take(100, 59_999);
    expect(bucket.peek(60_001)).toBe(0);
    expect(bucket.take(100, 60_001)).toBeGreaterThan(59_000);
  });

  test("gives a request that is larger than itself when full, and is empty then", () => {
    const bucket = new TokenBucket(1_000, 0);
    expect(bucket.take(50_000, 0)).toBe(0);
    expect(bucket.peek(0)).toBe(0);
    expect(bucket.take(50_000, 0)).toBe(60_000);
  });

  test("goes into debt by a correction, at most five minutes deep, whatever is reported", () => {
    const bucket = new TokenBucket(1_000, 0);
    bucket.giveBack(-1_500, 0);
    expect(bucket.peek(0)).toBe(-500);
    expect(bucket.take(1, 0)).toBe(30_060);
    for (const lie of [-1e300, -Infinity, NaN, -Number.MAX_SAFE_INTEGER]) bucket.giveBack(lie, 0);
    expect(bucket.peek(0)).toBe(-5_000);
    expect(bucket.peek(6 * 60_000)).toBe(1_000);
  });

  test("never overflows by what is given back", () => {
    const bucket = new TokenBucket(10, 0);
    bucket.giveBack(1e15, 0);
    expect(bucket.peek(0)).toBe(10);
  });

  test("keeps what was taken when its limit changes", () => {
    const bucket = new TokenBucket(10, 0);
    bucket.take(8, 0);
    bucket.resize(20, 0);
    expect(bucket.peek(0)).toBe(12);
    bucket.resize(5, 0);
    expect(bucket.peek(0)).toBe(-3);
  });

  test("ignores a clock that goes back and survives days of silence", () => {
    const bucket = new TokenBucket(1_000_000_000, 1_000);
    bucket.take(1_000_000_000, 1_000);
    expect(bucket.peek(0)).toBe(0);
    expect(bucket.peek(1e12)).toBe(1_000_000_000);
  });

  test("a take succeeds after exactly the wait it was told, and not a tenth of a millisecond before", () => {
    const property = fc.property(
      fc.integer({ min: 1, max: 1_000_000_000 }),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 2_000_000_000 }), fc.integer({ min: 0, max: 2_000_000 })), {
        maxLength: 30,
      }),
      (rate, steps) => {
        const bucket = new TokenBucket(rate, 0);
        let nowTick = 0;
        for (const [n, pauseTicks] of steps) {
          nowTick += pauseTicks;
          const wait = bucket.take(n, nowTick / 10);
          if (wait === 0) continue;
          const waitTicks = Math.round(wait * 10);
          expect(bucket.waitMs(n, (nowTick + waitTicks - 1) / 10)).toBeGreaterThan(0);
          nowTick += waitTicks;
          expect(bucket.take(n, nowTick / 10)).toBe(0);
        }
      },
    );
    fc.assert(property, { seed: 1, numRuns: 300 });
  });

  test("lets no more through in any span of time than the limit plus the rate over that span", () => {
    const property = fc.property(
      fc.integer({ min: 1, max: 5_000 }),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 0, max: 5_000 })), { maxLength: 100 }),
      (rate, steps) => {
        const bucket = new TokenBucket(rate, 0);
        let nowMs = 0;
        const passed: { at: number; sum: number }[] = [{ at: 0, sum: 0 }];
        for (const [n, pause] of steps) {
          nowMs += pause;
          const sum = passed[passed.length - 1]?.sum ?? 0;
          if (bucket.take(n, nowMs) === 0) passed.push({ at: nowMs, sum: sum + Math.min(n, rate) });
        }
        for (const from of passed) {
          for (const to of passed) {
            // `from.sum` already holds what passed at that moment, so the span is open on that side.
            expect((to.sum - from.sum) * 60_000).toBeLessThanOrEqual(rate * 60_000 + rate * Math.abs(to.at - from.at));
          }
        }
      },
    );
    fc.assert(property, { seed: 2, numRuns: 100 });
  });
});
