import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { limitKinds, readQuotaHeaders, type Readings } from "./quota-headers.ts";

const now = Date.parse("2026-11-23T18:00:00Z");
const read = (headers: Record<string, string>, hint?: number): Readings | null =>
  readQuotaHeaders(new Headers(headers), now, hint);

const anthropic = {
  "anthropic-ratelimit-requests-limit": "50",
  "anthropic-ratelimit-requests-remaining": "49",
  "anthropic-ratelimit-requests-reset": "2026-11-23T18:00:01Z",
  "anthropic-ratelimit-input-tokens-limit": "30000",
  "anthropic-ratelimit-input-tokens-remaining": "28000",
  "anthropic-ratelimit-input-tokens-reset": "2026-11-23T18:00:04.500Z",
  "anthropic-ratelimit-output-tokens-limit": "8000",
  "anthropic-ratelimit-output-tokens-remaining": "0",
  "anthropic-ratelimit-output-tokens-reset": "2026-11-23T19:00:30+01:00",
};

describe("quota headers", () => {
  test("Anthropic's three quotas are read, with RFC 3339 resets in any zone", () => {
    expect(read(anthropic)).toMatchObject({
      requests: { limit: 50, remaining: 49, resetMs: 1_000 },
      input_tokens: { limit: 30_000, remaining: 28_000, resetMs: 4_500 },
      output_tokens: { limit: 8_000, remaining: 0, resetMs: 30_000 },
    });
  });

  test.each([
    ["1s", 1_000],
    ["6m0s", 300_000],
    ["20ms", 20],
    ["2m59.56s", 179_560],
    ["1m0.5s", 60_500],
    ["17", 17_000],
    ["1h", 300_000],
  ])("OpenAI's reset %p is %p ms", (reset, ms) => {
    const readings = read({
      "x-ratelimit-limit-requests": "60",
      "x-ratelimit-remaining-requests": "59",
      "x-ratelimit-reset-requests": reset,
      "x-ratelimit-limit-tokens": "150000",
      "x-ratelimit-remaining-tokens": "149984",
      "x-ratelimit-reset-tokens": reset,
    });
    expect(readings?.requests).toEqual({ limit: 60, remaining: 59, resetMs: ms });
    expect(readings?.input_tokens).toEqual({ limit: 150_000, remaining: 149_984, resetMs: ms });
    expect(readings?.output_tokens).toBeUndefined();
  });

  test("OpenRouter's reset in epoch milliseconds, epoch seconds and plain seconds are told apart", () => {
    for (const reset of [String(now + 7_000), String(now / 1_000 + 7), "7"]) {
      const headers = { "x-ratelimit-limit": "20", "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset };
      expect(read(headers)?.requests).toEqual({ limit: 20, remaining: 0, resetMs: 7_000 });
    }
  });

  test("the generic form and a list with its policy are read", () => {
    const headers = { "ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "3", "ratelimit-reset": "12" };
    expect(read(headers)?.requests).toEqual({ limit: 100, remaining: 3, resetMs: 12_000 });
  });

  test("the family of the last answer is asked first, and another one is found all the same", () => {
    const family = read(anthropic)?.family;
    expect(read(anthropic, family)).toEqual(read(anthropic));
    expect(read({ "ratelimit-remaining": "1" }, family)?.requests?.remaining).toBe(1);
    expect(read({}, family)).toBeNull();
    expect(read(anthropic, 99)).toEqual(read(anthropic));
  });

  test.each(["NaN", "-1", "", "1e9", "Infinity", "0x5", "many", "9".repeat(400), "5 5"])(
    "a remaining count of %p is ignored",
    (remaining) => {
      expect(read({ "ratelimit-limit": "5", "ratelimit-remaining": remaining, "ratelimit-reset": "5" })).toBeNull();
    },
  );

  test.each(["2099-01-01T00:00:00Z", "2026-11-23T17:00:00Z", "2026-99-99T99:99:99Z", "9".repeat(63), "soon", "1 2 3"])(
    "a reset of %p is never beyond 300 seconds and never NaN",
    (reset) => {
      const headers = {
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": reset,
      };
      const ms = read(headers)?.requests?.resetMs;
      expect(ms === undefined || (ms >= 0 && ms <= 300_000)).toBeTrue();
    },
  );

  test("no more remains than the limit", () => {
    expect(read({ "ratelimit-limit": "5", "ratelimit-remaining": "500" })?.requests?.remaining).toBe(5);
  });

  test("whatever an upstream sends, every figure is a whole number and every reset within bounds", () => {
    const value = fc.oneof(
      fc.string({ maxLength: 70 }).map((text) => text.replace(/[^ -~]/g, "1")),
      fc.double().map(String),
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
    );
    const property = fc.property(value, value, value, (limit, remaining, reset) => {
      for (const prefix of ["anthropic-ratelimit-requests", "x-ratelimit", "ratelimit"]) {
        const readings = read({
          [`${prefix}-limit`]: limit,
          [`${prefix}-remaining`]: remaining,
          [`${prefix}-reset`]: reset,
        });
        for (const kind of limitKinds) {
          const reading = readings?.[kind];
          if (reading === undefined) continue;
          expect(Number.isSafeInteger(reading.remaining)).toBeTrue();
          expect(reading.resetMs === undefined || (reading.resetMs >= 0 && reading.resetMs <= 300_000)).toBeTrue();
        }
      }
    });
    fc.assert(property, { seed: 4, numRuns: 500 });
  });
});
