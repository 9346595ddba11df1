import { describe, expect, test } from "bun:test";
import {
  ago,
  cap,
  clockOf,
  count,
  counted,
  dayName,
  duration,
  exactUsd,
  percent,
  shortHash,
  span,
  tokens,
  usd,
} from "./format.ts";

describe("money", () => {
  test.each([
    [0, "$0.00"],
    [0.000_049, "<$0.0001"],
    [0.000_05, "$0.0001"],
    [0.0123, "$0.0123"],
    [1.637_655, "$1.6377"],
    [9.999_9, "$9.9999"],
    [12.345_6, "$12.35"],
    [1_234.5, "$1,234.50"],
  ])("%d is %s", (amount, text) => expect(usd(amount)).toBe(text));

  test("a cap is as its owner wrote it, and an exact amount has all its places", () => {
    expect([cap(2), cap(0.5), cap(0.025), cap(1_000)]).toEqual(["$2.00", "$0.50", "$0.025", "$1,000.00"]);
    expect(exactUsd(0.312345)).toBe("$0.312345");
  });
});

describe("counts", () => {
  test.each([
    [0, "0"],
    [9_999, "9,999"],
    [10_000, "10k"],
    [12_345, "12.3k"],
    [999_499, "999k"],
    [999_500, "1M"],
    [4_560_000, "4.56M"],
    [1_234_000_000, "1.23G"],
  ])("%d tokens are %s", (value, text) => expect(tokens(value)).toBe(text));

  test("one is one", () => {
    expect([counted(1, "request"), counted(1_200, "request"), count(1_234_567)]).toEqual([
      "1 request",
      "1,200 requests",
      "1,234,567",
    ]);
  });

  test("a share that is not all is never 100 %, and one that is not nothing never 0 %", () => {
    expect([0, 0.001, 0.005, 0.5, 0.999, 1].map(percent)).toEqual(["0 %", "<1 %", "1 %", "50 %", "99 %", "100 %"]);
  });
});

describe("time", () => {
  test.each([
    [0, "0 ms"],
    [999, "999 ms"],
    [2_140, "2.14 s"],
    [9_996, "10.0 s"],
    [59_940, "59.9 s"],
    [59_960, "1 min 0 s"],
    [80_000, "1 min 20 s"],
    [3_600_000, "1 h"],
  ])("%d ms take %s", (ms, text) => expect(duration(ms)).toBe(text));

  test.each([
    [30_000, "less than a minute"],
    [60_000, "1 min"],
    [15_120_000, "4 h 12 min"],
    [7_200_000, "2 h"],
    [180_000_000, "2 d 2 h"],
    [-5, "less than a minute"],
  ])("%d ms are left: %s", (ms, text) => expect(span(ms)).toBe(text));

  test("how long ago", () => {
    expect([0, 12_000, 200_000, 7_300_000, 200_000_000].map(ago)).toEqual([
      "now",
      "12 s ago",
      "3 min ago",
      "2 h ago",
      "2 d ago",
    ]);
  });

  test("a day's end is told in the gateway's zone", () => {
    expect(clockOf("2026-11-24T00:00:00.000+01:00")).toBe("00:00");
    expect(dayName("2026-11-28")).toBe("Saturday 28 November");
    expect([clockOf("soon"), dayName("someday")]).toEqual(["soon", "someday"]);
  });
});

test("of a hash enough is shown to compare it by eye", () => {
  expect(shortHash(`sha256:${"a".repeat(32)}${"b".repeat(32)}`)).toBe("aaaaaaaaaa…bbbbbb");
  expect(shortHash("")).toBe("");
});
