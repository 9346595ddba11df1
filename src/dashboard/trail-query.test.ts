import { describe, expect, test } from "bun:test";
import { GatewayError } from "../errors.ts";
import { parseSeq, parseTrailQuery } from "./trail-query.ts";

function refused(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof GatewayError) return error.code;
    throw error;
  }
  return "none";
}

describe("what may be asked of the trail", () => {
  test("is all of it where nothing is said, and empty fields say nothing", () => {
    const all = { agent: null, outcome: null, text: null, untilMs: null, before: null, limit: 50 };
    expect(parseTrailQuery(new URLSearchParams())).toEqual(all);
    expect(parseTrailQuery(new URLSearchParams("agent=&outcome=&text=%20&until="))).toEqual(all);
  });

  test("is read as it is meant", () => {
    const query = new URLSearchParams(
      "agent=windu&outcome=fallback&text= coder &until=2026-11-23T12:00:00Z&before=7&limit=9",
    );
    expect(parseTrailQuery(query)).toEqual({
      agent: "windu",
      outcome: "fallback",
      text: "coder",
      untilMs: Date.UTC(2026, 10, 23, 12),
      before: 7,
      limit: 9,
    });
  });

  test("is refused where it cannot be meant", () => {
    for (const query of [
      "limit=0",
      "limit=201",
      "limit=-1",
      "limit=1e2",
      "before=x",
      "before=",
      "until=soon",
      `text=${"x".repeat(257)}`,
    ]) {
      expect([query, refused(() => parseTrailQuery(new URLSearchParams(query)))]).toEqual([query, "REQUEST_INVALID"]);
    }
    for (const seq of [null, "", "-1", "1.5", "1".repeat(16)])
      expect(refused(() => parseSeq(seq))).toBe("REQUEST_INVALID");
  });
});
