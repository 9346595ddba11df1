import { describe, expect, test } from "bun:test";
import { ManualClock } from "./manual-clock.ts";
import { RetryBudget } from "./retry-budget.ts";
import { seededRandom } from "./seeded-random.ts";

describe("second tries", () => {
  test("are a tenth of the first ones at most, in every ten seconds of a minute in which all fail", () => {
    const clock = new ManualClock();
    const random = seededRandom(11);
    const budget = new RetryBudget(clock);
    const events: { at: number; retry: boolean }[] = [];
    for (let ms = 0; ms < 60_000; ms += 5) {
      for (let i = random.next() < 0.5 ? 1 : 0; i > 0; i--) {
        budget.asked("cloud");
        events.push({ at: ms, retry: false });
        if (budget.take("cloud")) events.push({ at: ms, retry: true });
      }
      clock.advance(5);
    }
    const retries = events.filter(({ retry }) => retry).length;
    const firsts = events.length - retries;
    expect(firsts).toBeGreaterThan(5_000);
    expect(retries).toBeWithin(firsts * 0.08, firsts * 0.1 + 1);
    for (let from = 0; from < 50_000; from += 500) {
      const within = events.filter(({ at }) => at >= from && at < from + 9_000);
      const again = within.filter(({ retry }) => retry).length;
      // A window of whole seconds reaches a second further back than the nine that are looked at.
      expect(again).toBeLessThanOrEqual((within.length - again) * 0.1 * 1.3 + 3);
    }
  });

  test("are three in ten seconds for a lone user, whose tries come back as time passes", () => {
    const clock = new ManualClock();
    const budget = new RetryBudget(clock);
    budget.asked("cloud");
    expect([1, 2, 3, 4].map(() => budget.take("cloud"))).toEqual([true, true, true, false]);
    clock.advance(9_000);
    expect(budget.take("cloud")).toBeFalse();
    clock.advance(1_000);
    expect(budget.take("cloud")).toBeTrue();
  });

  test("of one provider are not another's, outlive a reload, and go with their provider", () => {
    const budget = new RetryBudget(new ManualClock());
    for (let i = 0; i < 3; i++) budget.take("cloud");
    budget.configure(["cloud", "other"]);
    expect([budget.take("cloud"), budget.take("other")]).toEqual([false, true]);
    budget.configure(["other"]);
    expect(budget.take("cloud")).toBeTrue();
  });
});
