import { expect, test } from "bun:test";
import { ConfiguredLimits } from "./configured-limits.ts";
import type { Wait } from "./scope.ts";

const none = {
  requestsPerMinute: undefined,
  inputTokensPerMinute: undefined,
  outputTokensPerMinute: undefined,
  concurrent: undefined,
};
const need = { inputTokens: 100, outputTokens: 10 };
const nobody = { requests: 0, input: 0, output: 0 };

function wait(limits: ConfiguredLimits, kept: number | null, ahead = nobody): Wait {
  const longest: Wait = { kind: "output_tokens", ms: 0 };
  limits.waitMs(need, ahead, kept, 0, longest);
  return longest;
}

test("without any nothing is limited, and concurrency alone is a limit", () => {
  const limits = new ConfiguredLimits("p", undefined);
  limits.adopt(undefined, 0);
  expect([limits.limited, limits.concurrent, limits.costOf(need)]).toEqual([false, Infinity, 0]);
  limits.adopt({ ...none, concurrent: 2 }, 0);
  expect([limits.limited, limits.concurrent]).toEqual([true, 2]);
});

test("who stands before counts, also beyond a full bucket", () => {
  const limits = new ConfiguredLimits("p", undefined);
  limits.adopt({ ...none, requestsPerMinute: 60 }, 0);
  expect(wait(limits, null).ms).toBe(0);
  for (let i = 0; i < 60; i++) limits.take(need, 0);
  expect(wait(limits, null)).toEqual({ kind: "requests", ms: 1_000 });
  expect(wait(limits, null, { ...nobody, requests: 9 }).ms).toBe(10_000);
  expect(wait(limits, null, { ...nobody, requests: 119 }).ms).toBe(120_000);
});

test("the last quarter is kept from an agent that has had much while there are others", () => {
  const limits = new ConfiguredLimits("p", undefined);
  limits.adopt({ ...none, requestsPerMinute: 60 }, 0);
  for (let i = 0; i < 45; i++) limits.take(need, 0);
  expect([wait(limits, null).ms, wait(limits, 0).ms, wait(limits, 0.2).ms]).toEqual([0, 0, 1_000]);
});

test("a request costs the largest part of a limit that it takes", () => {
  const limits = new ConfiguredLimits("p", undefined);
  limits.adopt({ ...none, requestsPerMinute: 100, inputTokensPerMinute: 1_000 }, 0);
  expect(limits.costOf(need)).toBe(0.1);
  expect(limits.costOf({ inputTokens: 1, outputTokens: 1 })).toBe(0.01);
});

test("a limit that came after a request was let through gets nothing back from it", () => {
  const limits = new ConfiguredLimits("p", undefined);
  limits.adopt(undefined, 0);
  limits.take(need, 0);
  limits.adopt({ ...none, requestsPerMinute: 10, inputTokensPerMinute: 1_000 }, 0);
  limits.take(need, 0);
  limits.giveBack({ charged: false, chargedInput: 0, chargedOutput: 0 }, 0);
  expect([limits.buckets.requests?.peek(0), limits.buckets.input_tokens?.peek(0)]).toEqual([9, 900]);
});
