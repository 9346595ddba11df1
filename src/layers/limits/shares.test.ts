import { describe, expect, test } from "bun:test";
import { Shares } from "./shares.ts";

function serve(shares: Shares, agent: string, cost: number, nowMs = 0): number {
  const share = shares.of(agent, nowMs);
  const place = shares.placeOf(share, cost);
  shares.served(share, place, cost, nowMs);
  return place;
}

describe("places", () => {
  test("of a newcomer are before all those of an agent that had many", () => {
    const shares = new Shares();
    for (let i = 0; i < 10; i++) serve(shares, "flood", 0.1);
    const flood = shares.of("flood", 0);
    const waiting = Array.from({ length: 5 }, () => shares.placeOf(flood, 0.1));
    const newcomer = shares.placeOf(shares.of("new", 0), 0.1);
    for (const place of waiting) expect(newcomer).toBeLessThan(place);
  });

  test("of agents that ask alike alternate, and by cost where one asks for more", () => {
    const shares = new Shares();
    const [a, b] = [shares.of("a", 0), shares.of("b", 0)];
    const places = [
      ...Array.from({ length: 4 }, () => ["a", shares.placeOf(a, 0.1)] as const),
      ...Array.from({ length: 2 }, () => ["b", shares.placeOf(b, 0.2)] as const),
    ].toSorted(([, one], [, other]) => one - other);
    expect(places.map(([agent]) => agent).join("")).toBe("abaaba");
  });

  test("do not save up: who was away does not come back with a claim", () => {
    const shares = new Shares();
    serve(shares, "away", 0.1);
    for (let i = 0; i < 100; i++) serve(shares, "busy", 0.1);
    const away = shares.of("away", 0);
    const busy = shares.of("busy", 0);
    const places = Array.from({ length: 4 }, () => shares.placeOf(away, 0.1));
    const next = shares.placeOf(busy, 0.1);
    expect(places[0]).toBeLessThan(next);
    expect(places[3]).toBeGreaterThan(next);
  });

  test("that were left are no debt", () => {
    const shares = new Shares();
    const share = shares.of("a", 0);
    const first = shares.placeOf(share, 0.5);
    shares.leave(share, 0.5);
    expect(shares.placeOf(share, 0.5)).toBe(first);
  });
});

describe("what is kept from an agent", () => {
  const kept = (shares: Shares, agent: string, nowMs = 0): number | null =>
    shares.keptFrom(shares.of(agent, nowMs), nowMs);

  test("is nothing as long as it had no more than an even share", () => {
    const shares = new Shares();
    serve(shares, "a", 0.4);
    serve(shares, "b", 0.1);
    expect([kept(shares, "a"), kept(shares, "b")]).toEqual([null, null]);
  });

  test("is what the others take a minute, where it had more", () => {
    const shares = new Shares();
    serve(shares, "flood", 0.9);
    serve(shares, "b", 0.1);
    serve(shares, "c", 0.2);
    expect(kept(shares, "flood")).toBeCloseTo(0.3, 9);
    expect([kept(shares, "b"), kept(shares, "c")]).toEqual([null, null]);
  });

  test("is 0 where it is alone, and again when the others have not come for ten minutes", () => {
    const shares = new Shares();
    serve(shares, "flood", 0.9);
    expect(kept(shares, "flood")).toBe(0);
    serve(shares, "b", 0.1);
    expect(kept(shares, "flood")).toBeGreaterThan(0);
    serve(shares, "flood", 0.9, 600_001);
    expect(kept(shares, "flood", 600_001)).toBe(0);
  });

  test("fades within minutes", () => {
    const shares = new Shares();
    serve(shares, "flood", 0.9);
    serve(shares, "b", 0.1);
    expect(kept(shares, "flood", 60_000)).toBeNull();
  });
});

test("names that are gone are forgotten, but nobody who waits", () => {
  const shares = new Shares();
  const waiting = shares.of("waiting", 0);
  waiting.waiting = 1;
  serve(shares, "flood", 0.9, 0);
  for (let i = 0; i < 3_000; i++) shares.of(`agent-${i}`, 100_000);
  expect(shares.of("waiting", 200_000)).toBe(waiting);
  expect(shares.keptFrom(shares.of("flood", 200_000), 200_000)).toBeNull();
});
