import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { fastFamily, limitKinds, readQuotaHeaders, type Readings, type ToldKinds } from "./quota-headers.ts";

const now = Date.parse("2026-11-23T18:00:00Z");
const readings = (headers: Record<string, string>, hint?: number): Readings | null =>
  readQuotaHeaders(new Headers(headers), now, hint);
const read = (headers: Record<string, string>, hint?: number): ToldKinds | undefined => readings(headers, hint)?.kinds;

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
    const kinds = read({
      "x-ratelimit-limit-requests": "60",
      "x-ratelimit-remaining-requests": "59",
      "x-ratelimit-reset-requests": reset,
      "x-ratelimit-limit-tokens": "150000",
      "x-ratelimit-remaining-tokens": "149984",
      "x-ratelimit-reset-tokens": reset,
    });
    expect(kinds?.requests).toMatchObject({ limit: 60, remaining: 59, resetMs: ms });
    expect(kinds?.tokens).toMatchObject({ limit: 150_000, remaining: 149_984, resetMs: ms });
    expect(kinds).not.toHaveProperty("input_tokens");
  });

  test("OpenRouter's reset in epoch milliseconds, epoch seconds and plain seconds are told apart", () => {
    for (const reset of [String(now + 7_000), String(now / 1_000 + 7), "7"]) {
      const headers = { "x-ratelimit-limit": "20", "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset };
      expect(read(headers)?.requests).toMatchObject({ limit: 20, remaining: 0, resetMs: 7_000, perMs: 0 });
    }
  });

  test("the generic form and a list with its policy are read", () => {
    const headers = { "ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "3", "ratelimit-reset": "12" };
    expect(read(headers)?.requests).toMatchObject({ limit: 100, remaining: 3, resetMs: 12_000 });
  });

  test("the family of the last answer is asked first, and another one is found all the same", () => {
    const family = readings(anthropic)?.family;
    expect(readings(anthropic, family)).toEqual(readings(anthropic));
    expect(read({ "ratelimit-remaining": "1" }, family)?.requests?.remaining).toBe(1);
    expect(readings({}, family)).toBeNull();
    expect(read(anthropic, 99)).toEqual(read(anthropic));
  });

  test.each(["NaN", "-1", "", "1e9", "Infinity", "0x5", "many", "9".repeat(400), "5 5"])(
    "a remaining count of %p is ignored",
    (remaining) => {
      expect(
        read({ "ratelimit-limit": "5", "ratelimit-remaining": remaining, "ratelimit-reset": "5" }),
      ).toBeUndefined();
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

  test("what Anthropic and OpenAI fill all the time comes back in even parts, never faster than by the minute", () => {
    const kinds = read({ ...anthropic, "anthropic-ratelimit-requests-remaining": "0" });
    // 50 in one second would be a reset rounded down.
    expect(kinds?.requests?.perMs).toBe(50 / 60_000);
    expect(kinds?.output_tokens?.perMs).toBe(8_000 / 60_000);
    const day = { "x-ratelimit-limit-requests": "200", "x-ratelimit-remaining-requests": "199" };
    expect(read({ ...day, "x-ratelimit-reset-requests": "7m12s" })?.requests?.perMs).toBeCloseTo(200 / 86_400_000, 12);
  });

  test("the tightest of Anthropic's token limits is read beside the others", () => {
    const kinds = read({
      ...anthropic,
      "anthropic-ratelimit-tokens-limit": "9000",
      "anthropic-ratelimit-tokens-remaining": "7",
    });
    expect(kinds).toMatchObject({ tokens: { limit: 9_000, remaining: 7 }, input_tokens: { remaining: 28_000 } });
  });

  test("fast mode's own limits are read only for requests in that mode", () => {
    const headers = { "anthropic-fast-input-tokens-limit": "10", "anthropic-fast-input-tokens-remaining": "0" };
    expect(read(headers)).toBeUndefined();
    expect(read({ ...anthropic, ...headers }, fastFamily)).toMatchObject({ input_tokens: { limit: 10, remaining: 0 } });
    expect(read(anthropic, fastFamily)?.requests?.remaining).toBe(49);
  });

  test("priority capacity that is used up keeps nobody away: the standard one serves", () => {
    expect(
      read({ "anthropic-priority-input-tokens-limit": "10", "anthropic-priority-input-tokens-remaining": "0" }),
    ).toBeUndefined();
  });

  test("a subscription that is rejected has nothing until its reset, and one that is allowed has no count", () => {
    const rejected = {
      "anthropic-ratelimit-unified-status": "rejected",
      "anthropic-ratelimit-unified-reset": String(now / 1_000 + 90),
    };
    expect(read(rejected)?.requests).toMatchObject({ limit: undefined, remaining: 0, resetMs: 90_000 });
    for (const more of [
      { "anthropic-ratelimit-unified-status": "allowed_warning" },
      { "anthropic-ratelimit-unified-overage-status": "allowed" },
    ]) {
      expect(read({ ...rejected, ...more })?.requests?.remaining).toBeGreaterThan(1e9);
    }
  });

  test("windows that are named are read: Mistral's and Cerebras's", () => {
    expect(
      read({
        "x-ratelimit-limit-req-minute": "720",
        "x-ratelimit-remaining-req-minute": "717",
        "x-ratelimit-limit-tokens-minute": "5000000",
        "x-ratelimit-remaining-tokens-minute": "4999911",
      }),
    ).toMatchObject({ requests: { limit: 720, remaining: 717 }, tokens: { limit: 5_000_000, remaining: 4_999_911 } });
    expect(
      read({
        "x-ratelimit-limit-requests-day": "14400",
        "x-ratelimit-remaining-requests-day": "0",
        "x-ratelimit-reset-requests-day": "33011.382867",
      })?.requests,
    ).toMatchObject({ limit: 14_400, remaining: 0, resetMs: 300_000 });
  });

  test("the fields of the newer drafts are read", () => {
    const headers = { ratelimit: '"default";r=0;t=9', "ratelimit-policy": '"default";q=20;w=60' };
    expect(read(headers)?.requests).toEqual({ limit: 20, remaining: 0, resetMs: 9_000, perMs: 0, windowMs: 60_000 });
  });

  test("a moment is one of the server's clock where ours is wrong", () => {
    const date = new Date(now - 40_000).toUTCString();
    const headers = {
      "x-ratelimit-limit": "20",
      "x-ratelimit-remaining": "0",
      "x-ratelimit-reset": String(now - 33_000),
    };
    expect(read({ ...headers, date })?.requests?.resetMs).toBe(7_000);
    expect(read({ ...headers, date: "yesterday" })?.requests?.resetMs).toBe(0);
  });

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
        const kinds = read({
          [`${prefix}-limit`]: limit,
          [`${prefix}-remaining`]: remaining,
          [`${prefix}-reset`]: reset,
        });
        for (const kind of limitKinds) {
          const reading = kinds?.[kind];
          if (reading === undefined) continue;
          expect(Number.isSafeInteger(reading.remaining)).toBeTrue();
          expect(reading.resetMs === undefined || (reading.resetMs >= 0 && reading.resetMs <= 300_000)).toBeTrue();
          expect(reading.perMs >= 0 && reading.perMs <= (reading.limit ?? 0) / 60_000).toBeTrue();
        }
      }
    });
    fc.assert(property, { seed: 4, numRuns: 500 });
  });
});
