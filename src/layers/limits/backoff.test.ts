import { describe, expect, test } from "bun:test";
import type { Random } from "../../clock.ts";
import { Backoff, backoffDelayMs } from "./backoff.ts";
import { seededRandom } from "./seeded-random.ts";

const almostOne: Random = { next: () => 0.999_999_999 };
const range = { baseMs: 500, maxMs: 8_000 };

function backoffOf(random: Random): Backoff {
  const backoff = new Backoff(random);
  backoff.configure(new Map([["anthropic", range]]));
  return backoff;
}

describe("the delay after failures", () => {
  test("is drawn evenly from nothing up to twice as much each time, and never above the maximum", () => {
    const random = seededRandom(7);
    for (let failures = 1; failures <= 8; failures++) {
      const bound = Math.min(8_000, 500 * 2 ** (failures - 1));
      const draws = Array.from({ length: 2_000 }, () => backoffDelayMs(failures, range, random));
      expect(Math.min(...draws)).toBeWithin(0, bound * 0.02);
      expect(Math.max(...draws)).toBeWithin(bound * 0.98, bound + 1);
      const mean = draws.reduce((sum, ms) => sum + ms, 0) / draws.length;
      expect(mean / bound).toBeWithin(0.46, 0.54);
    }
  });

  test("stays finite after any number of failures", () => {
    expect(backoffDelayMs(1e9, { baseMs: 500, maxMs: 8_000 }, almostOne)).toBeLessThanOrEqual(8_000);
    expect(backoffDelayMs(-3, range, almostOne)).toBeLessThanOrEqual(500);
  });
});

describe("a provider that refused", () => {
  test("is left alone for exactly as long as it asked, at most 300 seconds", () => {
    const backoff = backoffOf(almostOne);
    backoff.refused("anthropic", "anthropic", 2_000, 100);
    expect(backoff.waitMs("anthropic", 100)).toBe(2_000);
    expect(backoff.waitMs("anthropic", 2_100)).toBe(0);
    backoff.refused("anthropic", "anthropic", 1e15, 5_000);
    expect(backoff.waitMs("anthropic", 5_000)).toBe(300_000);
    backoff.refused("openai", "openai", NaN, 0);
    expect(backoff.waitMs("openai", 0)).toBeWithin(0, 501);
  });

  test("is left alone longer each time when it does not say for how long, and says nothing about others", () => {
    const backoff = backoffOf(almostOne);
    let now = 0;
    for (const expected of [500, 1_000, 2_000, 4_000, 8_000, 8_000]) {
      backoff.refused("anthropic", "anthropic", undefined, now);
      const wait = backoff.waitMs("anthropic", now);
      expect(wait).toBeCloseTo(expected, 3);
      now += wait;
    }
    expect(backoff.waitMs("openai", now)).toBe(0);
  });

  test("a wait of 0 does not switch the backoff off", () => {
    const backoff = backoffOf(almostOne);
    backoff.refused("anthropic", "anthropic", 0, 0);
    expect(backoff.waitMs("anthropic", 0)).toBeGreaterThan(0);
  });

  test("a burst of refusals counts as one", () => {
    const backoff = backoffOf(almostOne);
    for (let i = 0; i < 100; i++) backoff.refused("anthropic", "anthropic", undefined, 0);
    expect(backoff.waitMs("anthropic", 0)).toBeWithin(499, 501);
  });

  test("success starts over, but one from before the refusal does not shorten the wait", () => {
    const backoff = backoffOf(almostOne);
    backoff.refused("anthropic", "anthropic", undefined, 0);
    backoff.refused("anthropic", "anthropic", undefined, 600);
    backoff.succeeded("anthropic", 700);
    expect(backoff.waitMs("anthropic", 700)).toBeGreaterThan(800);
    backoff.succeeded("anthropic", 5_000);
    backoff.refused("anthropic", "anthropic", undefined, 6_000);
    expect(backoff.waitMs("anthropic", 6_000)).toBeWithin(499, 501);
  });

  test("ten thousand accounts do not grow the memory without bound, and the latest is still known", () => {
    const backoff = backoffOf(almostOne);
    for (let i = 0; i < 10_000; i++) backoff.refused(`anthropic\n${i}`, "anthropic", 60_000, 0);
    expect(backoff.waitMs("anthropic\n9999", 0)).toBe(60_000);
    expect(backoff.waitMs("anthropic\n0", 0)).toBe(0);
  });
});

describe("an account without credit", () => {
  const minute = 60_000;
  const month = 30 * 86_400_000;

  test("is left alone until the stated time, but for one request every five minutes that finds out", () => {
    const backoff = backoffOf(almostOne);
    backoff.exhausted("anthropic", month, 0);
    expect([backoff.waitMs("anthropic", 0), backoff.untilMs("anthropic", 0)]).toEqual([5 * minute, month]);
    expect(backoff.waitMs("anthropic", 5 * minute)).toBe(0);
    expect(backoff.enter("anthropic", 5 * minute)).toBeTrue();
    expect(backoff.waitMs("anthropic", 5 * minute)).toBe(5 * minute);
    expect(backoff.isExhausted("anthropic", 5 * minute)).toBeTrue();
    expect(backoff.waitMs("anthropic", month)).toBe(0);
    expect([backoff.isExhausted("anthropic", month), backoff.enter("anthropic", month)]).toEqual([false, false]);
  });

  test("is asked by one at a time also where nobody said until when", () => {
    const backoff = backoffOf(almostOne);
    backoff.exhausted("openai", undefined, 0);
    for (const now of [5 * minute, 10 * minute, 60 * minute]) {
      expect(backoff.waitMs("openai", now)).toBe(0);
      expect(backoff.enter("openai", now)).toBeTrue();
      expect([backoff.waitMs("openai", now), backoff.isExhausted("openai", now)]).toEqual([5 * minute, true]);
    }
  });

  test("is good again with the answer of the one who found out, and with no other's", () => {
    const backoff = backoffOf(almostOne);
    backoff.exhausted("anthropic", month, 0);
    backoff.succeeded("anthropic", 10);
    expect(backoff.waitMs("anthropic", 10)).toBeGreaterThan(0);
    backoff.enter("anthropic", 5 * minute);
    backoff.succeeded("anthropic", 5 * minute + 10, true);
    expect(backoff.waitMs("anthropic", 5 * minute + 10)).toBe(0);
  });

  test("is found out about by the next one where the first never asked", () => {
    const backoff = backoffOf(almostOne);
    backoff.exhausted("anthropic", month, 0);
    backoff.enter("anthropic", 5 * minute);
    backoff.foundNothing("anthropic", 5 * minute);
    expect(backoff.waitMs("anthropic", 5 * minute)).toBe(0);
  });

  test("is locked out for no longer than a month, whatever was said", () => {
    const backoff = backoffOf(almostOne);
    backoff.exhausted("anthropic", 1e15, 0);
    expect(backoff.untilMs("anthropic", 0)).toBe(32 * 86_400_000);
  });

  test("is forgiven with all of its models and callers, and nobody else is", () => {
    const backoff = backoffOf(almostOne);
    for (const account of ["anthropic", "anthropic\nwindu", "anthropic2"]) backoff.exhausted(account, month, 0);
    backoff.forgive("anthropic");
    const waits = ["anthropic", "anthropic\nwindu", "anthropic2"].map((account) => backoff.waitMs(account, 0));
    expect(waits).toEqual([0, 0, 5 * minute]);
  });
});
