import { describe, expect, test } from "bun:test";
import { Calendar, PeriodError, parseMoment } from "./period.ts";

const zone = "Europe/Berlin";
// 18:30 in Berlin.
const now = Date.UTC(2026, 10, 23, 17, 30);
const iso = (text: string, edge: "start" | "end" = "start"): string =>
  new Date(parseMoment(text, edge, zone, now)).toISOString();

describe("a time on the command line", () => {
  test.each([
    ["7d", "2026-11-16T17:30:00.000Z", "2026-11-16T17:30:00.000Z"],
    ["24h", "2026-11-22T17:30:00.000Z", "2026-11-22T17:30:00.000Z"],
    ["90m", "2026-11-23T16:00:00.000Z", "2026-11-23T16:00:00.000Z"],
    ["2w", "2026-11-09T17:30:00.000Z", "2026-11-09T17:30:00.000Z"],
    ["now", "2026-11-23T17:30:00.000Z", "2026-11-23T17:30:00.000Z"],
    ["today", "2026-11-22T23:00:00.000Z", "2026-11-23T23:00:00.000Z"],
    ["yesterday", "2026-11-21T23:00:00.000Z", "2026-11-22T23:00:00.000Z"],
    ["2026-11-20", "2026-11-19T23:00:00.000Z", "2026-11-20T23:00:00.000Z"],
    ["2026-10", "2026-09-30T22:00:00.000Z", "2026-10-31T23:00:00.000Z"],
    ["2026-11-20T18:00", "2026-11-20T17:00:00.000Z", "2026-11-20T17:00:00.000Z"],
    ["2026-11-20T18:00:00Z", "2026-11-20T18:00:00.000Z", "2026-11-20T18:00:00.000Z"],
  ])("%s begins at %s and ends before %s", (text, start, end) => {
    expect(iso(text)).toBe(start);
    expect(iso(text, "end")).toBe(end);
  });

  test("of a day on which the clocks change has 25 or 23 hours", () => {
    const hours = (day: string): number =>
      (parseMoment(day, "end", zone, now) - parseMoment(day, "start", zone, now)) / 3_600_000;
    expect([hours("2026-10-25"), hours("2026-03-29"), hours("2026-11-23")]).toEqual([25, 23, 24]);
  });

  test.each(["", "7", "7y", "-7d", "soon", "2026-13", "2026-02-30", "2026-11-23T25:00", "23.11.2026", "2026-11-23Tx"])(
    "%p is refused with what can be written",
    (text) => {
      expect(() => parseMoment(text, "start", zone, now)).toThrow(PeriodError);
      expect(() => parseMoment(text, "start", zone, now)).toThrow("2026-11-23T18:00");
    },
  );
});

test("days and hours are those of the zone, and the hour that comes twice in autumn is two", () => {
  const calendar = new Calendar(zone);
  expect(calendar.day(Date.UTC(2026, 10, 22, 23, 30))).toBe("2026-11-23");
  expect(calendar.hour(Date.UTC(2026, 9, 25, 0, 30))).toBe("2026-10-25 02:00+02:00");
  expect(calendar.hour(Date.UTC(2026, 9, 25, 1, 30))).toBe("2026-10-25 02:00+01:00");
});
