import { describe, expect, test } from "bun:test";
import { SseLimitError } from "../wire/sse.ts";
import { keyedOf } from "./sample-keyed.ts";
import { EndlessStreamError, oversizeNote, StreamBound } from "./stream-bound.ts";

describe("a stream", () => {
  const bound = (maxOutputTokens: number | undefined, choices = 1): StreamBound =>
    new StreamBound(keyedOf({ facts: { maxOutputTokens, choices } }));

  test("may bring an event or two for each token that was asked for, keep-alives for an hour, and no more", () => {
    for (const [tokens, choices] of [
      [100, 1],
      [100, 4],
      [32_000, 1],
    ] as const) {
      const most = 20_000 + 2 * tokens * choices;
      const stream = bound(tokens, choices);
      stream.count(0, most);
      expect(() => stream.count(0, 1)).toThrow(EndlessStreamError);
    }
  });

  test("may bring pictures, and three kilobytes a token, and no more", () => {
    const stream = bound(128_000);
    stream.count(256 * 1024 * 1024 + 128_000 * 3_072, 128_000);
    expect(() => stream.count(128_000 * 1_025, 1)).toThrow(EndlessStreamError);
  });

  test("is bounded also where nobody says how long its answer may be", () => {
    const stream = bound(undefined);
    stream.count(1, 500_000);
    expect(() => stream.count(1, 50_000)).toThrow(EndlessStreamError);
  });
});

test("its size is the reason in the audit line, and nothing else is", () => {
  expect(oversizeNote(new SseLimitError(9))).toBe("an event is too large");
  expect(oversizeNote(new EndlessStreamError())).toBe("it brings more than an answer can be");
  expect(oversizeNote(new RangeError())).toBeNull();
});
