import { describe, expect, test } from "bun:test";
import { Windows } from "./windows.ts";

const hourMs = 3_600_000;
const at = (iso: string): number => Date.parse(iso);

/** Every window key that a year of quarter hours shows, in order of appearance. */
function keysOver(zone: string, from: string, days: number): { days: string[]; hours: Map<string, number> } {
  const windows = new Windows(zone);
  const seen: string[] = [];
  const hours = new Map<string, number>();
  for (let ms = at(from); ms < at(from) + days * 24 * hourMs; ms += 900_000) {
    const { day, hour } = windows.at(ms);
    if (seen.at(-1) !== day) seen.push(day);
    hours.set(hour, (hours.get(hour) ?? 0) + 1);
  }
  return { days: seen, hours };
}

describe("a budget day", () => {
  test.each([
    ["Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", 23],
    ["Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", 25],
    ["Europe/Berlin", "2026-11-23T12:00:00Z", "2026-11-22T23:00:00Z", 24],
    ["Australia/Lord_Howe", "2026-04-05T06:00:00Z", "2026-04-04T13:00:00Z", 24.5],
    ["America/Santiago", "2026-09-06T12:00:00Z", "2026-09-06T04:00:00Z", 23],
    ["Pacific/Kiritimati", "2026-11-23T12:00:00Z", "2026-11-23T10:00:00Z", 24],
    ["Etc/GMT+12", "2026-11-23T13:00:00Z", "2026-11-23T12:00:00Z", 24],
  ])("in %s at %s began at %s and has %d hours", (zone, noon, start, hours) => {
    const windows = new Windows(zone);
    const { day } = windows.at(at(noon));
    expect(new Windows(zone).at(at(start)).day).toBe(day);
    expect(new Windows(zone).at(at(start) - 1).day < day).toBe(true);
    expect(windows.dayEndsAt).toBe(at(start) + hours * hourMs);
    expect(windows.at(windows.dayEndsAt - 1).day).toBe(day);
    expect(windows.at(windows.dayEndsAt).day > day).toBe(true);
  });

  test.each(["Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kolkata", "America/St_Johns", "UTC"])(
    "comes once for each local date in %s",
    (zone) => {
      const { days } = keysOver(zone, "2026-01-01T00:00:00Z", 365);
      expect(days).toEqual([...new Set(days)].sort());
      const dates = new Intl.DateTimeFormat("en-CA", { timeZone: zone, dateStyle: "short" });
      expect(days.at(-1)).toBe(dates.format(at("2026-12-31T23:45:00Z")));
      expect(days.length).toBeGreaterThanOrEqual(365);
    },
  );
});

describe("an hour", () => {
  test("that the clocks repeat is two windows", () => {
    const windows = new Windows("Europe/Berlin");
    const first = windows.at(at("2026-10-25T00:30:00Z")).hour;
    const second = windows.at(at("2026-10-25T01:30:00Z")).hour;
    expect([first, second]).toEqual(["2026-10-25T00:00Z", "2026-10-25T01:00Z"]);
  });

  test("lasts an hour in every zone, also where it starts at half past by UTC", () => {
    for (const zone of ["Europe/Berlin", "Asia/Kolkata", "UTC"]) {
      const { hours } = keysOver(zone, "2026-10-24T00:30:00Z", 3);
      const lengths = [...hours.values()].slice(1, -1);
      expect(new Set(lengths)).toEqual(new Set([4]));
    }
  });
});

describe("a clock that jumps", () => {
  test("back never returns to an earlier window", () => {
    const windows = new Windows("Europe/Berlin");
    const today = windows.at(at("2026-11-23T12:00:00Z"));
    for (const back of ["2026-11-23T10:00:00Z", "2026-11-21T12:00:00Z", "1970-01-01T00:00:00Z"]) {
      expect(windows.at(at(back))).toEqual(today);
    }
    expect(windows.at(at("2026-11-24T12:00:00Z")).day).toBe("2026-11-24");
  });

  test("forward and back keeps the later day until the calendar has passed it", () => {
    const windows = new Windows("UTC");
    windows.at(at("2026-11-23T12:00:00Z"));
    expect(windows.at(at("2026-11-24T12:00:00Z")).day).toBe("2026-11-24");
    expect(windows.at(at("2026-11-23T12:01:00Z")).day).toBe("2026-11-24");
    expect(windows.at(at("2026-11-24T23:59:59Z")).day).toBe("2026-11-24");
    expect(windows.at(at("2026-11-25T00:00:00Z")).day).toBe("2026-11-25");
  });

  test("back over a restart stays in the windows that were used before it", () => {
    const last = new Windows("UTC").at(at("2026-12-01T08:30:00Z"));
    const windows = new Windows("UTC", last);
    expect(windows.at(at("2026-11-29T12:00:00Z"))).toEqual(last);
    expect(windows.at(at("2026-12-01T08:45:00Z"))).toEqual(last);
    expect(windows.dayEndsAt).toBe(at("2026-12-02T00:00:00Z"));
    expect(windows.at(at("2026-12-02T00:00:00Z"))).toEqual({
      day: "2026-12-02",
      hour: "2026-12-02T00:00Z",
      month: "2026-12",
    });
  });
});

test("a new zone counts from the next day on and never returns to an earlier date", () => {
  const windows = new Windows("Pacific/Kiritimati");
  const { day } = windows.at(at("2026-11-23T12:00:00Z"));
  expect(day).toBe("2026-11-24");
  windows.setZone("Etc/GMT+12");
  expect(windows.at(at("2026-11-23T13:00:00Z")).day).toBe("2026-11-24");
  expect(windows.at(at("2026-11-24T13:00:00Z")).day).toBe("2026-11-24");
  expect(windows.at(at("2026-11-25T11:59:00Z")).day).toBe("2026-11-24");
  expect(windows.at(at("2026-11-25T12:00:00Z")).day).toBe("2026-11-25");
});

test("a zone that was changed while the gateway was stopped counts from the next day on, too", () => {
  const before = new Windows("Europe/Berlin");
  expect(before.at(at("2026-11-23T20:00:00Z")).day).toBe("2026-11-23");
  const windows = new Windows("Pacific/Kiritimati", before.last);
  expect(windows.at(at("2026-11-23T20:05:00Z")).day).toBe("2026-11-23");
  expect(windows.at(at("2026-11-23T22:59:59Z")).day).toBe("2026-11-23");
  expect(windows.at(at("2026-11-23T23:00:00Z")).day).toBe("2026-11-24");
});

test("an unknown zone is refused", () => {
  expect(() => new Windows("Mars/Olympus")).toThrow(RangeError);
  expect(() => new Windows("UTC").setZone("Mars/Olympus")).toThrow(RangeError);
});
