import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { readRateLimitFields } from "./rate-limit-fields.ts";

test("a policy's state is read with what its policy declares", () => {
  expect(readRateLimitFields('"default";r=50;t=30', '"default";q=100;w=60')).toEqual({
    limit: 100,
    remaining: 50,
    resetMs: 30_000,
    windowMs: 60_000,
  });
});

test("of several policies the tightest counts, and only those of requests", () => {
  const policies = '"burst";q=100;w=60, "day";q=1000;w=86400, "bytes";q=5000;w=60;qu="content-bytes"';
  const state = '"burst";r=60;t=20, "day";r=100;t=3600, "bytes";r=1;t=5';
  expect(readRateLimitFields(state, policies)).toMatchObject({ limit: 1_000, remaining: 100, resetMs: 3_600_000 });
});

test("without a policy the limit is not known", () => {
  expect(readRateLimitFields("default;r=3;t=7", null)).toEqual({
    limit: undefined,
    remaining: 3,
    resetMs: 7_000,
    windowMs: undefined,
  });
});

test("the dictionary of draft 07 is read", () => {
  expect(readRateLimitFields("limit=100, remaining=3, reset=12", null)).toMatchObject({
    limit: 100,
    remaining: 3,
    resetMs: 12_000,
  });
});

test.each(["", "default", "default;r=-1", "default;r=1e9", "remaining=x", "x".repeat(600), '"a;r=1";r=2x'])(
  "%p says nothing",
  (state) => {
    expect(readRateLimitFields(state, null)).toBeNull();
  },
);

test("whatever is sent, figures are whole numbers from 0 on", () => {
  const text = fc.stringMatching(/^[ "a-z0-9;=,.-]{0,80}$/);
  const property = fc.property(text, text, (state, policy) => {
    const told = readRateLimitFields(state, policy);
    if (told === null) return;
    for (const figure of [told.limit, told.remaining, told.resetMs, told.windowMs]) {
      expect(figure === undefined || (Number.isSafeInteger(figure) && figure >= 0)).toBeTrue();
    }
  });
  fc.assert(property, { seed: 7, numRuns: 500 });
});
