import { describe, expect, test } from "bun:test";
import { type Scenario, simulateRateLimits } from "./rate-limits.ts";

/** Nobody waits longer: `pace` sends on who would. */
const longestWaitMs = 10_000;

describe("an agent that floods an account", () => {
  const scenarios: readonly Omit<Scenario, "flood" | "minutes">[] = [
    {
      name: "50 requests a minute, filled all the time",
      account: { requestsPerMinute: 50, inputTokensPerMinute: Infinity, refill: "steady" },
      others: 5,
      everyMs: 12_000,
    },
    {
      name: "200,000 prompt tokens a minute, filled all the time",
      account: { requestsPerMinute: 1_000, inputTokensPerMinute: 200_000, refill: "steady" },
      others: 5,
      everyMs: 12_000,
    },
    {
      name: "200 requests in each minute",
      account: { requestsPerMinute: 200, inputTokensPerMinute: Infinity, refill: "windows" },
      others: 5,
      everyMs: 12_000,
    },
  ];
  for (const some of scenarios) {
    test(`slows nobody, meets no 429 and gets all that is left: ${some.name}`, async () => {
      for (const seed of [1, 2]) {
        const outcome = await simulateRateLimits({ ...some, flood: 300, minutes: 10 }, seed);
        const { p50Ms, p99Ms, longestMs, othersAsked, othersRefused, floodLongestMs, asked, tooMany, used } = outcome;
        console.log(
          `${some.name}, seed ${seed}: the others' wait p50 ${p50Ms.toFixed(0)}, p99 ${p99Ms.toFixed(0)}, longest ` +
            `${longestMs.toFixed(0)} ms (${othersRefused} of ${othersAsked} sent on); the flood's longest ` +
            `${floodLongestMs.toFixed(0)} ms; ${tooMany} of ${asked} met a 429; ${(used * 100).toFixed(1)} % used`,
        );
        expect(p99Ms).toBeLessThan(2_000);
        expect(othersRefused).toBe(0);
        expect(Math.max(longestMs, floodLongestMs)).toBeLessThanOrEqual(longestWaitMs + 500);
        expect(tooMany / asked).toBeLessThanOrEqual(0.005);
        expect(used).toBeGreaterThanOrEqual(0.95);
      }
    }, 60_000);
  }
});
