import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { clampWait, parseRetryAfter } from "./retry-after.ts";

const now = Date.parse("2026-11-23T18:00:00Z");
const parse = (headers: Record<string, string>): number | undefined => parseRetryAfter(new Headers(headers), now);

describe("retry-after", () => {
  test.each([
    ["2", 2_000],
    ["0", 0],
    ["0.25", 250],
    [" 30 ", 30_000],
    ["301", 300_000],
    ["1000000000000", 300_000],
    ["1e12", 300_000],
    ["1e999", 300_000],
    ["-5", 0],
    ["Mon, 23 Nov 2026 18:00:10 GMT", 10_000],
    ["Monday, 23-Nov-26 18:00:10 GMT", 10_000],
    ["Mon, 23 Nov 2026 17:00:00 GMT", 0],
    ["Fri, 01 Jan 2099 00:00:00 GMT", 300_000],
  ])("%p is read as %p ms", (value, ms) => {
    expect(parse({ "retry-after": value })).toBe(ms);
  });

  test.each(["NaN", "Infinity", "", "soon", "0x10", "1 2", "2, 3", "1".repeat(500), "Mon, 99 Foo 2026", "tomorrow"])(
    "%p says nothing",
    (value) => {
      expect(parse({ "retry-after": value })).toBeUndefined();
    },
  );

  test("retry-after-ms wins, unless it cannot be read", () => {
    expect(parse({ "retry-after-ms": "1500", "retry-after": "9" })).toBe(1_500);
    expect(parse({ "retry-after-ms": "many", "retry-after": "9" })).toBe(9_000);
    expect(parse({ "retry-after-ms": "1e9" })).toBe(300_000);
  });

  test("no header, no wait", () => {
    expect(parse({})).toBeUndefined();
  });

  test("whatever is sent, the wait is undefined or from 0 to 300,000 ms", () => {
    const property = fc.property(fc.string({ maxLength: 80 }).map(printable), fc.double(), (text, number) => {
      for (const value of [text, String(number)]) {
        for (const name of ["retry-after", "retry-after-ms"]) {
          const ms = parse({ [name]: value });
          expect(ms === undefined || (ms >= 0 && ms <= 300_000)).toBeTrue();
        }
      }
      expect(clampWait(number)).toBeWithin(0, 300_001);
    });
    fc.assert(property, { seed: 3, numRuns: 500 });
  });
});

function printable(text: string): string {
  return text.replace(/[^ -~]/g, "?");
}
