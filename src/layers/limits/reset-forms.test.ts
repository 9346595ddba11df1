import { expect, test } from "bun:test";
import { duration, untilEpoch, untilTimestamp } from "./reset-forms.ts";

const now = Date.parse("2026-11-23T18:00:00Z");

test.each([
  ["1s", 1_000],
  ["6m0s", 360_000],
  ["120ms", 120],
  ["2m59.56s", 179_560],
  ["1h", 3_600_000],
  ["1d2h", 93_600_000],
  ["17", 17_000],
  ["0.5", 500],
])("the duration %p is %p ms", (text, ms) => {
  expect(duration(text)).toBeCloseTo(ms, 6);
});

test("a timestamp of any zone, and a number of whichever unit, are told from now", () => {
  expect(untilTimestamp("2026-11-23T19:00:30+01:00", now)).toBe(30_000);
  expect(untilEpoch(String(now + 7_000), now)).toBe(7_000);
  expect(untilEpoch(String(now / 1_000 + 7), now)).toBe(7_000);
  expect(untilEpoch("7", now)).toBe(7_000);
  expect(untilEpoch("7s", now)).toBe(7_000);
});

test.each(["", "soon", "-1s", "1s ", "NaN", "1e9", "2026-11-23", "2026-99-99T99:99:99Z"])("%p is nothing", (text) => {
  expect([duration(text), untilTimestamp(text, now), untilEpoch(text, now)]).toEqual([undefined, undefined, undefined]);
});
