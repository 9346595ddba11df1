import { describe, expect, test } from "bun:test";
import { GatewayError } from "../errors.ts";
import { lateLooks, Overload, type Gauges } from "./overload.ts";

interface World {
  gauges: Gauges;
  inFlight: number;
  now: number;
}

function overloaded(): { world: World; overload: Overload; lines: string[] } {
  const calm: Gauges = { lateMs: 0, memory: 0.1, descriptors: 0.1 };
  const world: World = { gauges: calm, inFlight: 0, now: 0 };
  const lines: string[] = [];
  const overload = new Overload({
    gauges: () => world.gauges,
    inFlight: () => world.inFlight,
    mostInFlight: () => 100,
    monotonic: () => world.now,
    report: (line) => lines.push(line),
  });
  return { world, overload, lines };
}

function admits(overload: Overload): boolean {
  try {
    overload.admit();
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(GatewayError);
    expect(error).toMatchObject({ code: "DOOR_OVERLOADED", retryAfterSeconds: 2 });
    return false;
  }
}

describe("in steps", () => {
  for (const [what, first, second, named] of [
    ["a late event loop", { lateMs: 300 }, { lateMs: 600 }, "late"],
    ["little memory", { memory: 0.8 }, { memory: 0.86 }, "memory"],
    ["few descriptors", { descriptors: 0.8 }, { descriptors: 0.95 }, "descriptors"],
  ] as const) {
    test(`${what} first ends connections, then turns new work away, and says which it is`, () => {
      const { world, overload, lines } = overloaded();
      const look = (): void => {
        for (let times = 0; times < lateLooks; times++) overload.look();
      };
      look();
      expect([overload.closesConnections, admits(overload)]).toEqual([false, true]);
      const { gauges } = world;
      world.gauges = { ...gauges, ...first };
      look();
      expect([overload.closesConnections, admits(overload)]).toEqual([true, true]);
      world.gauges = { ...gauges, ...second };
      look();
      expect([overload.closesConnections, admits(overload)]).toEqual([true, false]);
      expect(overload.state).toMatchObject({ level: "shedding", shed: 1, reasons: [expect.stringContaining(named)] });
      expect(lines.length).toBe(2);
    });
  }

  test("the number of requests counts at once, not at the next look", () => {
    const { world, overload } = overloaded();
    world.inFlight = 99;
    expect(admits(overload)).toBe(true);
    world.inFlight = 100;
    expect(admits(overload)).toBe(false);
    world.inFlight = 99;
    expect(admits(overload)).toBe(true);
  });
});

test("a loop that was late once is no overload", () => {
  const { world, overload } = overloaded();
  const { gauges } = world;
  for (const lateMs of [0, 0, 3_000, 0, 600, 600, 0]) {
    world.gauges = { ...gauges, lateMs };
    overload.look();
    expect(admits(overload)).toBe(true);
  }
});

test("a level is left after two seconds well below it, and a value that goes to and fro is told once", () => {
  const { world, overload, lines } = overloaded();
  const { gauges } = world;
  for (let look = 0; look < 20; look++) {
    world.now += 250;
    world.gauges = { ...gauges, memory: look % 2 === 0 ? 0.86 : 0.84 };
    overload.look();
    expect(overload.state.level).toBe("shedding");
  }
  world.gauges = gauges;
  overload.look();
  world.now += 1_999;
  overload.look();
  expect(admits(overload)).toBe(false);
  world.now += 1;
  overload.look();
  expect([admits(overload), overload.state.level]).toEqual([true, "none"]);
  expect(lines).toEqual([expect.stringContaining("turned away"), "overload is over"]);
});

test("what a system does not tell is no overload", () => {
  const { world, overload } = overloaded();
  world.gauges = { lateMs: 0, memory: null, descriptors: null };
  overload.look();
  expect(overload.state).toEqual({ level: "none", reasons: [], shed: 0 });
});
