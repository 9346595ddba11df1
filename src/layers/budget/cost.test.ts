import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Price } from "../../request.ts";
import type { Usage } from "../../wire/neutral.ts";
import { plainPrice, usageOf } from "./budget-fixture.ts";
import { boundNanos, costNanos, dearest, largestCharge, outputRate, reportedNanos, wouldHaveNanos } from "./cost.ts";

const rate = fc.integer({ min: 0, max: 600_000_000 });
const rates = fc.record({ input: rate, output: rate, cacheRead: rate, cacheWrite5m: rate, cacheWrite1h: rate });
const price: fc.Arbitrary<Price> = fc
  .tuple(rates, fc.option(fc.tuple(fc.integer({ min: 0, max: 300_000 }), fc.integer({ min: 1, max: 4 }))))
  .map(([base, long]) => ({
    ...base,
    long: long === null ? null : { threshold: long[0], ...times(base, long[1]) },
    source: "catalogue",
  }));
const tokens = fc.integer({ min: 0, max: 1_000_000 });

function times(base: Omit<Price, "long" | "source">, factor: number): Omit<Price, "long" | "source"> {
  return {
    input: base.input * factor,
    output: base.output * factor,
    cacheRead: base.cacheRead * factor,
    cacheWrite5m: base.cacheWrite5m * factor,
    cacheWrite1h: base.cacheWrite1h * factor,
  };
}

/** The same in BigInt, written independently. */
function exactNanos(usage: Usage, p: Price): bigint {
  const prompt = usage.input + usage.cacheRead + usage.cacheWrite5m + usage.cacheWrite1h;
  const at = p.long !== null && prompt > p.long.threshold ? p.long : p;
  const picos =
    BigInt(usage.input) * BigInt(at.input) +
    BigInt(usage.cacheRead) * BigInt(at.cacheRead) +
    BigInt(usage.cacheWrite5m) * BigInt(at.cacheWrite5m) +
    BigInt(usage.cacheWrite1h) * BigInt(at.cacheWrite1h) +
    BigInt(usage.output) * BigInt(at.output);
  return (picos + 999n) / 1_000n;
}

const usage = fc
  .record({ input: tokens, cacheRead: tokens, cacheWrite5m: tokens, cacheWrite1h: tokens, output: tokens })
  .map(usageOf);

describe("the cost of usage", () => {
  test("is exact to the nano-dollar, rounded up, for every price and usage", () => {
    fc.assert(
      fc.property(usage, price, (u, p) => {
        const exact = exactNanos(u, p);
        expect(BigInt(costNanos(u, p))).toBe(exact > BigInt(largestCharge) ? BigInt(largestCharge) : exact);
      }),
      { numRuns: 2_000 },
    );
  });

  test("is a whole amount from 0 to the largest charge whatever an upstream reports", () => {
    const lies = fc.oneof(
      fc.double(),
      fc.constantFrom(Number.NaN, Infinity, -Infinity, -1, 1e308, 0.5, Number.MAX_SAFE_INTEGER, -0),
    );
    const lying = fc.record({
      input: lies,
      cacheRead: lies,
      cacheWrite5m: lies,
      cacheWrite1h: lies,
      output: lies,
      reasoning: lies,
    });
    fc.assert(
      fc.property(lying, fc.dictionary(fc.string(), lies), price, (counts, serverTools, p) => {
        const nanos = costNanos(usageOf({ ...counts, serverTools }), p);
        expect(Number.isSafeInteger(nanos) && nanos >= 0 && nanos <= largestCharge).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test("counts a fraction of a token as a whole one, and nonsense as none", () => {
    expect(costNanos(usageOf({ output: 0.1 }), plainPrice)).toBe(10_000);
    expect(costNanos(usageOf({ output: Number.NaN, input: -5 }), plainPrice)).toBe(0);
  });

  test("takes the rates for long prompts above the threshold, not at it, and for the whole request", () => {
    const long = { ...plainPrice, threshold: 200_000, input: 2_000_000, output: 20_000_000 };
    const tiered: Price = { ...plainPrice, long };
    expect(costNanos(usageOf({ input: 100_000, cacheRead: 100_000, output: 10 }), tiered)).toBe(200_100_000);
    expect(costNanos(usageOf({ input: 200_001, output: 10 }), tiered)).toBe(400_002_000 + 200_000);
  });

  test("never leaves out reasoning that is reported above the output", () => {
    expect(costNanos(usageOf({ output: 5, reasoning: 100 }), plainPrice)).toBe(1_000_000);
  });

  test("adds the fee of each server tool call, and no tool is free by being unknown", () => {
    expect(costNanos(usageOf({ serverTools: { web_search: 50 } }), plainPrice)).toBe(500_000_000);
    expect(costNanos(usageOf({ serverTools: { new_tool: 1 } }), plainPrice)).toBe(10_000_000);
    expect(costNanos(usageOf({ serverTools: { constructor: 1 } }), plainPrice)).toBe(10_000_000);
    expect(costNanos(usageOf({ serverTools: { web_fetch: 9 } }), plainPrice)).toBe(0);
  });
});

describe("the bound of a request", () => {
  test("is never below the cost of any usage within it", () => {
    fc.assert(
      fc.property(usage, price, fc.integer({ min: 1, max: 16 }), tokens, (u, p, choices, slack) => {
        const prompt = u.input + u.cacheRead + u.cacheWrite5m + u.cacheWrite1h + slack;
        const bound = boundNanos(prompt, Math.ceil(u.output / choices), p, choices);
        expect(bound).toBeGreaterThanOrEqual(costNanos(u, p));
      }),
      { numRuns: 2_000 },
    );
  });

  test("takes the dearest way in which a prompt can be billed", () => {
    expect(boundNanos(1_000, 0, { ...plainPrice, cacheWrite1h: 2_000_000 }, 1)).toBe(2_000_000);
    const media = { audioInput: 3_000_000, imageInput: 4_000_000, audioOutput: 50_000_000 };
    const heard = { ...plainPrice, media };
    expect(boundNanos(1_000, 10, heard, 1)).toBe(4_000_000 + 500_000);
    expect(outputRate(1, heard)).toBe(50_000_000);
    const counted = { audioInput: 1_000, audioOutput: 10, imageInput: 0, imageOutput: 0 };
    const sound = { ...usageOf({ input: 1_000, output: 10 }), media: counted };
    expect(costNanos(sound, heard)).toBeLessThanOrEqual(boundNanos(1_000, 10, heard, 1));
    expect(costNanos(sound, plainPrice)).toBeLessThanOrEqual(costNanos(sound, heard));
    // Of two prices the dearer rate of each kind.
    expect(boundNanos(1_000, 10, dearest([plainPrice, heard]), 1)).toBe(4_500_000);
  });

  test("counts every choice", () => {
    expect(boundNanos(0, 10, plainPrice, 4)).toBe(400_000);
  });

  test("beyond the exact range is more than any cap", () => {
    expect(boundNanos(Number.POSITIVE_INFINITY, 1, plainPrice, 1)).toBe(Number.MAX_SAFE_INTEGER);
  });

  test("has the output rate of long prompts where its prompt may be long", () => {
    const tiered: Price = { ...plainPrice, long: { ...plainPrice, threshold: 100, output: 20_000_000 } };
    expect(outputRate(100, tiered)).toBe(10_000_000);
    expect(outputRate(101, tiered)).toBe(20_000_000);
  });
});

test("a provider's own figure is rounded up and never negative", () => {
  expect(reportedNanos(0.000_123)).toBe(123_000);
  expect(reportedNanos(0.1)).toBe(100_000_000);
  expect(reportedNanos(1e-12)).toBe(1);
  expect(reportedNanos(0)).toBe(0);
  for (const lie of [undefined, -1, Number.NaN, Infinity, -Infinity]) expect(reportedNanos(lie)).toBeNull();
  expect(reportedNanos(1e300)).toBe(largestCharge);
});

test("what a local answer would have cost needs both a usage and a price", () => {
  expect(wouldHaveNanos(usageOf({ input: 10 }), plainPrice)).toBe(10_000);
  expect(wouldHaveNanos(null, plainPrice)).toBeNull();
  expect(wouldHaveNanos(usageOf({ input: 10 }), null)).toBeNull();
});
