import { describe, expect, test } from "bun:test";
import { Breakers, type AttemptVerdict, type Passes } from "./breakers.ts";
import { ManualClock } from "./manual-clock.ts";
import { seededRandom } from "./seeded-random.ts";

function setUp(): {
  clock: ManualClock;
  breakers: Breakers;
  run: (model: string, ...verdicts: AttemptVerdict[]) => void;
} {
  const clock = new ManualClock();
  const breakers = new Breakers(clock);
  breakers.configure([{ name: "cloud", local: false }]);
  const run = (model: string, ...verdicts: AttemptVerdict[]): void => {
    for (const verdict of verdicts) breakers.report(enter(breakers, model), verdict);
  };
  return { clock, breakers, run };
}

function enter(breakers: Breakers, model: string): Passes {
  const passes = breakers.enter("cloud", model);
  if (typeof passes === "number") throw new Error(`${model} has to wait ${passes} ms`);
  return passes;
}

const times = (count: number, verdict: AttemptVerdict): AttemptVerdict[] =>
  Array.from({ length: count }, () => verdict);

describe("a model that fails", () => {
  test("is left alone, and takes no other model of its provider down", () => {
    const { breakers, run } = setUp();
    for (let i = 0; i < 5; i++) {
      run("broken", "failure");
      run("sound", "success");
    }
    expect(breakers.waitMs("cloud", "broken")).toBe(10_000);
    expect(breakers.waitMs("cloud", "sound")).toBe(0);
    expect([...breakers.openModels("cloud")]).toEqual([["broken", "open"]]);
    expect(breakers.state("cloud")).toBe("closed");
  });

  test("takes none down either where nobody else was asked meanwhile; the provider shows as that model is", () => {
    const { breakers, run } = setUp();
    run("broken", ...times(5, "failure"));
    expect(breakers.state("cloud")).toBe("open");
    expect(breakers.waitMs("cloud", "sound")).toBe(0);
    run("sound", "success");
    expect(breakers.state("cloud")).toBe("closed");
  });

  test("is found out about by one probe, whose answer lets the others in before its stream has ended", () => {
    const { clock, breakers, run } = setUp();
    run("broken", ...times(5, "failure"));
    clock.advance(10_000);
    const probe = enter(breakers, "broken");
    expect(breakers.waitMs("cloud", "broken")).toBeGreaterThan(0);
    breakers.answered(probe);
    expect(breakers.waitMs("cloud", "broken")).toBe(0);
    breakers.report(probe, "failure");
    expect(breakers.waitMs("cloud", "broken")).toBe(20_000);
  });
});

describe("a provider that fails", () => {
  test("is left alone by five failures of two models: the second one is not tried five times, too", () => {
    const { breakers, run } = setUp();
    run("one", ...times(4, "failure"));
    expect(breakers.waitMs("cloud", "two")).toBe(0);
    run("two", "failure");
    expect(breakers.state("cloud")).toBe("open");
    expect(["one", "two", "three"].map((model) => breakers.waitMs("cloud", model))).toEqual([10_000, 10_000, 10_000]);
  });

  test("and can't be reached is left alone as a whole, whatever was asked for", () => {
    const { breakers, run } = setUp();
    for (const model of ["a", "b", "c", "d", "e"]) run(model, "down");
    expect(breakers.waitMs("cloud", "f")).toBe(10_000);
    expect([...breakers.openModels("cloud")]).toEqual([]);
  });

  test("is left alone by failures of different kinds at one model", () => {
    const { breakers, run } = setUp();
    run("one", "down", "failure", "down", "failure", "failure");
    expect(breakers.waitMs("cloud", "one")).toBe(10_000);
  });

  test("is back with the probe of any of its models", () => {
    const { clock, breakers, run } = setUp();
    for (const model of ["a", "b", "c", "d", "e"]) run(model, "down");
    clock.advance(10_000);
    const probe = enter(breakers, "f");
    expect(breakers.waitMs("cloud", "g")).toBeGreaterThan(0);
    breakers.report(probe, "success");
    expect(breakers.waitMs("cloud", "g")).toBe(0);
  });

  test("is not back where the probe failed", () => {
    const { clock, breakers, run } = setUp();
    for (const model of ["a", "b", "c", "d", "e"]) run(model, "down");
    clock.advance(10_000);
    run("f", "failure");
    expect(breakers.waitMs("cloud", "g")).toBe(20_000);
  });
});

test("refusals and departures open nothing", () => {
  const { breakers, run } = setUp();
  for (let i = 0; i < 50; i++) run("one", "answered", "neutral");
  expect([breakers.waitMs("cloud", "one"), breakers.state("cloud")]).toEqual([0, "closed"]);
});

test("what is known of providers and models outlives a reload; a provider that is gone and comes back starts anew", () => {
  const { breakers, run } = setUp();
  run("broken", ...times(5, "failure"));
  breakers.configure([
    { name: "cloud", local: false },
    { name: "other", local: true },
  ]);
  expect(breakers.waitMs("cloud", "broken")).toBe(10_000);
  breakers.configure([]);
  breakers.configure([{ name: "cloud", local: false }]);
  expect(breakers.waitMs("cloud", "broken")).toBe(0);
});

test("ten thousand invented models do not grow the memory without bound, and the broken one is not forgotten for them", () => {
  const { breakers, run } = setUp();
  run("broken", ...times(5, "failure"));
  for (let i = 0; i < 10_000; i++) {
    run("sound", "success");
    run(`invented-${i}`, "failure");
  }
  expect(breakers.waitMs("cloud", "broken")).toBe(10_000);
});

test("in any schedule a provider and a model have at most one probe each, and every one of them ends", () => {
  const random = seededRandom(23);
  const { clock, breakers } = setUp();
  const running: Passes[] = [];
  const verdicts: AttemptVerdict[] = ["success", "failure", "down", "answered", "neutral"];
  for (let step = 0; step < 20_000; step++) {
    clock.advance(Math.floor(random.next() * 400));
    const model = `m${Math.floor(random.next() * 3)}`;
    const passes = breakers.enter("cloud", model);
    if (typeof passes !== "number") running.push(passes);
    const probing = running.filter(({ ofProvider }) => ofProvider.probe).map(({ ofProvider }) => ofProvider.epoch);
    // A probe that nobody has heard of for a minute no longer keeps the next one from being made.
    if (clock.monotonic() < 60_000) expect(new Set(probing).size).toBe(probing.length);
    while (running.length > 8 || (running.length > 0 && random.next() < 0.5)) {
      const [ended] = running.splice(Math.floor(random.next() * running.length), 1);
      breakers.report(ended!, verdicts[Math.floor(random.next() * verdicts.length)]!);
    }
  }
  for (const passes of running) breakers.report(passes, "success");
  clock.advance(60_000);
  for (const model of ["m0", "m1", "m2"]) expect(breakers.waitMs("cloud", model)).toBe(0);
});
