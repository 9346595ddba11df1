import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { toldRegainMs, toldWaitMs, waitInText } from "./told-wait.ts";

const now = Date.parse("2026-11-23T18:00:00Z");
const epoch = now / 1_000;
const told = (headers: Record<string, string>, body = "", status = 429): number | undefined =>
  toldWaitMs({ status, headers: new Headers(headers) }, body, now);

describe("the wait that an answer asks for", () => {
  test.each([
    ["retry-after in seconds", { "retry-after": "7" }, "", 7_000],
    ["a fraction of a second", { "retry-after": "0.25" }, "", 250],
    ["an HTTP date", { "retry-after": "Mon, 23 Nov 2026 18:00:10 GMT" }, "", 10_000],
    ["retry-after-ms", { "retry-after-ms": "1500", "retry-after": "9" }, "", 1_500],
    [
      "OpenAI's reset of what is used up",
      {
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "6m0s",
        "x-ratelimit-remaining-requests": "9",
        "x-ratelimit-reset-requests": "1s",
      },
      "",
      300_000,
    ],
    [
      "the last reset of several",
      {
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "2s",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "120ms",
      },
      "",
      2_000,
    ],
    [
      "Anthropic's reset",
      {
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-23T18:00:42Z",
      },
      "",
      42_000,
    ],
    [
      "the reset of an Anthropic subscription",
      { "anthropic-ratelimit-unified-status": "rejected", "anthropic-ratelimit-unified-reset": `${epoch + 90}` },
      "",
      90_000,
    ],
    [
      "OpenRouter's reset in milliseconds since the epoch",
      { "x-ratelimit-remaining": "0", "x-ratelimit-reset": `${now + 12_000}` },
      "",
      12_000,
    ],
    [
      "Google's RetryInfo",
      {},
      '{"error":{"code":429,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay": "34.5s"}]}}',
      34_500,
    ],
    [
      "OpenAI's words",
      {},
      "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000. Please try again in 1.2s. Visit …",
      1_200,
    ],
    ["OpenAI's words in milliseconds", {}, "Please try again in 20ms. Visit …", 20],
    ["Groq's words", {}, "on tokens per day (TPD). Please try again in 1m12.48s.", 72_480],
    ["more than five minutes in words", {}, "Please try again in 7h12m0s.", 300_000],
    ["Azure's words", {}, "Please retry after 26 seconds.", 26_000],
    ["minutes in words", {}, "Try again in 2 minutes and be patient", 120_000],
    ["a ChatGPT plan", {}, '{"error":{"type":"usage_limit_reached","resets_in_seconds":120}}', 120_000],
  ] as const)("is read from %s", (_, headers, body, ms) => {
    expect(told({ ...headers }, body)).toBe(ms);
  });

  test("is that of the header made for it, whatever the words and the quotas say", () => {
    const headers = { "retry-after": "3", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9s" };
    expect(told(headers, "Please try again in 20s")).toBe(3_000);
    expect(told({ ...headers, "retry-after": "soon" }, "Please try again in 20s")).toBe(20_000);
    expect(told({ ...headers, "retry-after": "soon" })).toBe(9_000);
  });

  test("is none where nothing readable says it, or where quotas are left", () => {
    for (const body of [
      "",
      "try again later",
      "retry in a moment",
      "try again in 5 parsecs",
      "retry after 99x",
      "wait 20s",
    ]) {
      expect([body, told({}, body)]).toEqual([body, undefined]);
    }
    expect(told({ "x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "9s" })).toBeUndefined();
    expect(told({ "anthropic-ratelimit-unified-reset": "soon" })).toBeUndefined();
  });

  test("of a provider that is down has nothing to do with its quotas", () => {
    const headers = { "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m" };
    expect([told(headers, "", 503), told({ ...headers, "retry-after": "2" }, "", 503)]).toEqual([undefined, 2_000]);
  });

  test("is from 0 to 300,000 ms whatever is written, and found in linear time", () => {
    const property = fc.property(fc.double(), fc.constantFrom("s", "ms", "m", "h", "d", " seconds"), (amount, unit) => {
      const ms = waitInText(`Please try again in ${amount}${unit}. {"retryDelay":"${amount}s"}`);
      expect(ms === undefined || (ms >= 0 && ms <= 300_000)).toBeTrue();
    });
    fc.assert(property, { seed: 3, numRuns: 300 });
    for (const unit of ["try again in ", "1m", "try again in 1m", '"retryDelay":', " 9 s"])
      waitInText(unit.repeat(100_000));
  });
});

describe("when an exhausted account is good again", () => {
  test.each([
    [
      "Anthropic's words",
      "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
      Date.parse("2026-12-01T00:00:00Z") - now,
    ],
    ["a day alone", "You will regain access on 2026-11-24.", Date.parse("2026-11-24T00:00:00Z") - now],
    ["a minute of the day", "You will regain access on 2026-11-23 at 18:30 UTC", 30 * 60_000],
    ["a ChatGPT plan", `{"error":{"resets_at":${epoch + 7_200}}}`, 7_200_000],
  ])("is read from %s, however far ahead", (_, body, ms) => {
    expect(toldRegainMs(body, now)).toBe(ms);
  });

  test.each([
    "Your credit balance is too low.",
    "You will regain access on 2026-11-01 at 00:00 UTC.",
    "You will regain access on 2026-99-99 at 99:99 UTC.",
    "You will regain access soon.",
    '{"resets_at":12}',
    "",
  ])("is not known from %p", (body) => {
    expect(toldRegainMs(body, now)).toBeUndefined();
  });
});
