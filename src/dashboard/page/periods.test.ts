import { describe, expect, test } from "bun:test";
import type { Period, Span } from "./document.ts";
import { filled, labelOf, shownPeriods } from "./periods.ts";

function period(key: string): Period {
  return {
    key,
    requests: 1,
    cloud: 1,
    local: 0,
    refused: 0,
    errors: 0,
    spent_usd: 0.5,
    saved_usd: 0,
    input_tokens: 1,
    output_tokens: 1,
  };
}

/** The keys with a star where something was. */
function shape(span: Span, keys: readonly string[], newest: string): string[] {
  return filled(span, keys.map(period), newest).map(({ key, requests }) => (requests > 0 ? `${key} *` : key));
}

describe("a row of periods has no gaps", () => {
  test("hours", () => {
    const row = shape("hours", ["2026-11-28 07:00+01:00", "2026-11-28 09:00+01:00"], "2026-11-28 09:00+01:00");
    expect(row.length).toBe(shownPeriods.hours);
    expect(row.slice(-4)).toEqual([
      "2026-11-28 06:00+01:00",
      "2026-11-28 07:00+01:00 *",
      "2026-11-28 08:00+01:00",
      "2026-11-28 09:00+01:00 *",
    ]);
    expect(row[0]).toBe("2026-11-27 10:00+01:00");
  });

  test("the hour that comes twice in autumn is two hours", () => {
    const keys = ["2026-10-25 02:00+02:00", "2026-10-25 02:00+01:00", "2026-10-25 03:00+01:00"];
    expect(shape("hours", keys, "2026-10-25 03:00+01:00").slice(-3)).toEqual(keys.map((key) => `${key} *`));
  });

  test("hours of a zone that is no whole hour off", () => {
    const row = shape("hours", ["2026-11-28 08:00+05:45"], "2026-11-28 10:00+05:45");
    expect(row.slice(-3)).toEqual(["2026-11-28 08:00+05:45 *", "2026-11-28 09:00+05:45", "2026-11-28 10:00+05:45"]);
    expect(shape("hours", [], "2026-11-28 10:00-03:30").slice(-2)).toEqual([
      "2026-11-28 09:00-03:30",
      "2026-11-28 10:00-03:30",
    ]);
  });

  test("days, over the end of a month", () => {
    const row = shape("days", ["2026-02-28", "2026-03-02"], "2026-03-02");
    expect(row.slice(-3)).toEqual(["2026-02-28 *", "2026-03-01", "2026-03-02 *"]);
    expect(row.length).toBe(shownPeriods.days);
  });

  test("months, over the end of a year", () => {
    const row = shape("months", ["2025-11", "2026-01"], "2026-01");
    expect(row.slice(-3)).toEqual(["2025-11 *", "2025-12", "2026-01 *"]);
    expect(row.length).toBe(shownPeriods.months);
  });
});

test("each period has a short name", () => {
  expect(labelOf("hours", "2026-11-28 09:00+01:00")).toBe("09:00");
  expect(labelOf("days", "2026-11-08")).toBe("8 Nov");
  expect(labelOf("months", "2026-01")).toBe("Jan 2026");
});
