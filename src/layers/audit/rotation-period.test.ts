import { expect, test } from "bun:test";
import { periodEnd } from "./rotation-period.ts";

const at = (text: string): number => Date.parse(text);

test.each([
  ["day", "Europe/Vienna", "2026-11-23T22:59:59Z", "2026-11-23T23:00:00Z"],
  ["day", "Europe/Vienna", "2026-11-23T23:00:00Z", "2026-11-24T23:00:00Z"],
  // 25 and 23 hours.
  ["day", "Europe/Vienna", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"],
  ["day", "Europe/Vienna", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"],
  ["week", "UTC", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"],
  ["week", "UTC", "2026-11-29T23:59:59Z", "2026-11-30T00:00:00Z"],
  ["month", "UTC", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"],
  ["month", "UTC", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"],
] as const)("the %s of %s that %s lies in ends at %s", (period, zone, moment, end) => {
  expect(new Date(periodEnd(period, zone, at(moment))).toISOString()).toBe(new Date(at(end)).toISOString());
});
