import { describe, expect, test } from "bun:test";

import {
  parseDuration,
  parseShareBounds,
  parseSize,
  parseTimeRange,
  parseTokenBounds,
  parseUsd,
  parseWait,
} from "./quantities.ts";

describe("durations", () => {
  test("are read with their unit", () => {
    expect(["500ms", "5s", "1.5m", "1h"].map(parseDuration)).toEqual([500, 5_000, 90_000, 3_600_000]);
  });
  test("need a unit, no sign, and lie above 0 and within a day", () => {
    for (const text of ["5", "-5s", "0s", "0.0001ms", "25h", "5 s", "5sec", "", "1e3s", "∞", "5s\n", "0x5s"]) {
      expect(parseDuration(text)).toBeUndefined();
    }
  });
});

test("a wait may be none, and ends within five minutes", () => {
  expect(["0s", "0ms", "2s", "5m"].map(parseWait)).toEqual([0, 0, 2_000, 300_000]);
  for (const text of ["0", "-1s", "6m", "0.0001ms", "00s", ""]) expect(parseWait(text)).toBeUndefined();
});

describe("sizes", () => {
  test("are decimal with MB and binary with MiB", () => {
    expect([parseSize("100MB"), parseSize("64MiB"), parseSize("5B")]).toEqual([100_000_000, 67_108_864, 5]);
  });
  test("need a unit and a whole number", () => {
    for (const text of ["100", "1.5MB", "-1MB", "100mb", "MB", ""]) expect(parseSize(text)).toBeUndefined();
  });
});

describe("amounts of money", () => {
  test("are numbers or decimal strings", () => {
    expect([parseUsd(2), parseUsd("2.00"), parseUsd(0), parseUsd("0.000000001")]).toEqual([2, 2, 0, 1e-9]);
  });
  test("are never something that compares to nothing or is no amount", () => {
    for (const value of [Number.NaN, Infinity, -Infinity, -0.01, 9_000_001, "NaN", "Infinity", "1e3", "-1"]) {
      expect(parseUsd(value)).toBeUndefined();
    }
    for (const value of ["", " ", "2,00", "$2", "2 USD", "0x10", "1_000", "+1", "2.", ".5", "٢"]) {
      expect(parseUsd(value)).toBeUndefined();
    }
  });
});

describe("bounds", () => {
  test("on tokens are exclusive whole numbers", () => {
    expect(parseTokenBounds("<8000")).toEqual({ below: 8000, above: undefined });
    expect(parseTokenBounds("<= 8000")).toEqual({ below: 8001, above: undefined });
    expect(parseTokenBounds(">=1000 <8000")).toEqual({ below: 8000, above: 999 });
  });
  test("on shares are parts of 1 or per cent", () => {
    expect(parseShareBounds(">80%")).toEqual({ below: undefined, above: 0.8 });
    expect(parseShareBounds(">0.25 <0.5")).toEqual({ below: 0.5, above: 0.25 });
  });
  test("that nothing can meet, or that say one thing twice, are refused", () => {
    for (const text of ["8000", "<", "<8k", ">9 <9", "<5 <6", "=5", "", "<1.5", "><5"]) {
      expect(parseTokenBounds(text)).toBeUndefined();
    }
    for (const text of [">150%", ">2", ">=0.5", "0.5"]) expect(parseShareBounds(text)).toBeUndefined();
  });
});

describe("times of day", () => {
  test("are minutes, and may cross midnight", () => {
    expect(parseTimeRange("22:00-06:00")).toEqual({ from: 1_320, to: 360 });
    expect(parseTimeRange("8:30 - 24:00")).toEqual({ from: 510, to: 0 });
  });
  test("that are no times, empty, or all day are refused", () => {
    for (const text of ["24:00-01:00", "10:60-11:00", "10:00-10:00", "00:00-24:00", "10-11", "10:00", "9:00-25:00"]) {
      expect(parseTimeRange(text)).toBeUndefined();
    }
  });
});
