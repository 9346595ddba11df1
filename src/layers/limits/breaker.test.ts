import { describe, expect, test } from "bun:test";
import { MemoryBreaker, type Pass, type Verdict } from "./breaker.ts";
import { ManualClock } from "./manual-clock.ts";
import { seededRandom } from "./seeded-random.ts";

function setUp(local = false): { clock: ManualClock; breaker: MemoryBreaker } {
  const clock = new ManualClock();
  return { clock, breaker: new MemoryBreaker(clock, local) };
}

function enter(breaker: MemoryBreaker): Pass {
  const pass = breaker.enter();
  if (typeof pass === "number") throw new Error(`the breaker asked to wait ${pass} ms`);
  return pass;
}

function run(breaker: MemoryBreaker, ...verdicts: Verdict[]): void {
  for (const verdict of verdicts) breaker.report(enter(breaker), verdict);
}

const fiveFailures: Verdict[] = ["failure", "failure", "failure", "failure", "failure"];

describe("a breaker", () => {
  test("opens after five failures in a row and not after four", () => {
    const { breaker } = setUp();
    run(breaker, ...fiveFailures.slice(1), "success", ...fiveFailures.slice(1));
    expect(breaker.state).toBe("closed");
    run(breaker, "failure");
    expect(breaker.state).toBe("open");
    expect(breaker.enter()).toBe(10_000);
  });

  test("counts nothing that says nothing about the provider", () => {
    const { breaker } = setUp();
    run(breaker, ...fiveFailures.slice(1));
    for (let i = 0; i < 100; i++) run(breaker, "neutral", "answered");
    expect(breaker.state).toBe("closed");
    run(breaker, "failure");
    expect(breaker.state).toBe("open");
  });

  test("opens when half of at least twenty attempts in thirty seconds failed", () => {
    const { breaker } = setUp();
    for (let i = 0; i < 9; i++) run(breaker, "failure", "success");
    run(breaker, "success");
    expect(breaker.state).toBe("closed");
    run(breaker, "failure");
    expect(breaker.state).toBe("open");
  });

  test("stays closed when less than half failed, or the failures are spread over more than thirty seconds", () => {
    const { clock, breaker } = setUp();
    for (let i = 0; i < 200; i++) run(breaker, "failure", "success", "success");
    expect(breaker.state).toBe("closed");
    for (let i = 0; i < 200; i++) {
      run(breaker, "failure", "success");
      clock.advance(3_400);
    }
    expect(breaker.state).toBe("closed");
  });

  test("lets exactly one request find out when the time is up", () => {
    const { clock, breaker } = setUp();
    run(breaker, ...fiveFailures);
    clock.advance(9_999);
    expect(breaker.enter()).toBe(1);
    clock.advance(1);
    expect(breaker.state).toBe("half_open");
    const probe = enter(breaker);
    expect(breaker.enter()).toBeGreaterThan(0);
    expect(breaker.waitMs()).toBeGreaterThan(0);
    breaker.report(probe, "success");
    expect(breaker.state).toBe("closed");
    expect(breaker.waitMs()).toBe(0);
  });

  test("stays open twice as long after each failed probe, up to a minute, and ten seconds again after a success", () => {
    const { clock, breaker } = setUp();
    run(breaker, ...fiveFailures);
    for (const openMs of [10_000, 20_000, 40_000, 60_000, 60_000]) {
      expect(breaker.waitMs()).toBe(openMs);
      clock.advance(openMs);
      run(breaker, "failure");
    }
    clock.advance(60_000);
    run(breaker, "success", ...fiveFailures);
    expect(breaker.waitMs()).toBe(10_000);
  });

  test("keeps a local server out for two seconds only", () => {
    const { clock, breaker } = setUp(true);
    run(breaker, ...fiveFailures);
    for (const openMs of [2_000, 4_000, 8_000, 10_000, 10_000]) {
      expect(breaker.waitMs()).toBe(openMs);
      clock.advance(openMs);
      run(breaker, "failure");
    }
  });

  test("a probe whose client left makes room for the next probe", () => {
    const { clock, breaker } = setUp();
    run(breaker, ...fiveFailures);
    clock.advance(10_000);
    breaker.report(enter(breaker), "neutral");
    expect(breaker.state).toBe("half_open");
    run(breaker, "success");
    expect(breaker.state).toBe("closed");
  });

  test("a provider that refuses the probe with a 4xx is alive", () => {
    const { clock, breaker } = setUp();
    run(breaker, ...fiveFailures);
    clock.advance(10_000);
    run(breaker, "answered");
    expect(breaker.state).toBe("closed");
  });

  test("others follow once the probe's stream has begun, but one cut opens it again, for longer", () => {
    const { clock, breaker } = setUp();
    run(breaker, ...fiveFailures);
    clock.advance(10_000);
    const probe = enter(breaker);
    breaker.answered(probe);
    const other = enter(breaker);
    breaker.report(probe, "failure");
    expect(breaker.waitMs()).toBe(20_000);
    breaker.report(other, "success");
    expect(breaker.state).toBe("open");
    clock.advance(20_000);
    const second = enter(breaker);
    breaker.answered(second);
    breaker.report(second, "success");
    run(breaker, ...fiveFailures.slice(1));
    expect(breaker.state).toBe("closed");
    run(breaker, "failure");
    expect(breaker.waitMs()).toBe(10_000);
  });

  test("what was sent before it opened changes nothing when it ends later", () => {
    const { clock, breaker } = setUp();
    const old = Array.from({ length: 50 }, () => enter(breaker));
    run(breaker, ...fiveFailures);
    for (const pass of old.slice(0, 25)) breaker.report(pass, "failure");
    expect(breaker.waitMs()).toBe(10_000);
    clock.advance(10_000);
    const probe = enter(breaker);
    for (const pass of old.slice(25, 40)) breaker.report(pass, "success");
    expect(breaker.state).toBe("half_open");
    breaker.report(probe, "success");
    for (const pass of old.slice(40)) breaker.report(pass, "failure");
    expect(breaker.state).toBe("closed");
  });

  test("a probe that never ends does not keep the provider out for good", () => {
    const { clock, breaker } = setUp();
    run(breaker, ...fiveFailures);
    clock.advance(10_000);
    const lost = enter(breaker);
    clock.advance(60_000);
    const second = enter(breaker);
    breaker.report(lost, "failure");
    expect(breaker.state).toBe("half_open");
    breaker.report(second, "success");
    expect(breaker.state).toBe("closed");
  });

  test("in any schedule there is never more than one probe, and an open breaker lets nothing through", () => {
    for (let seed = 1; seed <= 50; seed++) {
      const { clock, breaker } = setUp();
      const random = seededRandom(seed);
      const passes: Pass[] = [];
      for (let step = 0; step < 400; step++) {
        const before = breaker.state;
        const pass = breaker.enter();
        if (typeof pass === "number") expect(pass).toBeGreaterThan(0);
        else {
          expect(before).not.toBe("open");
          expect(pass.probe).toBe(before === "half_open");
          passes.push(pass);
        }
        if (random.next() < 0.6 && passes.length > 0) {
          const [ended] = passes.splice(Math.floor(random.next() * passes.length), 1);
          if (ended !== undefined) breaker.report(ended, random.next() < 0.6 ? "failure" : "success");
        }
        clock.advance(random.next() * 1_500);
      }
    }
  });
});
