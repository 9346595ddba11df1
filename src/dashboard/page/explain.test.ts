import { describe, expect, test } from "bun:test";
import type { Attempt, Entry } from "./document.ts";
import { attemptTold, isFallback, outcomeTold, priceTold, routeTold } from "./explain.ts";

function attempt(outcome: string | null, candidate = "a/m"): Attempt {
  return { candidate, outcome, status: null, ms: 1 };
}

/** Every outcome that an attempt can have by the contract of the trail. */
const attemptOutcomes = [
  "ok",
  "connect_failed",
  "timeout_connect",
  "timeout_first_byte",
  "timeout_first_content",
  "timeout_idle",
  "cut_stream",
  "error_event",
  "skipped_budget",
  "skipped_limit",
  "skipped_breaker",
  "skipped_key",
  "skipped_context",
  "skipped_policy",
  "taken_over",
  "client_gone",
];
const outcomes = [
  "ok",
  "client_error",
  "client_gone",
  "upstream_error",
  "refused_identity",
  "refused_budget",
  "refused_limit",
  "interrupted",
  "internal_error",
];

describe("what the trail's words mean", () => {
  test("is told for each outcome of the contract in a sentence", () => {
    for (const outcome of attemptOutcomes) {
      const { short, long } = attemptTold(attempt(outcome), false);
      expect([outcome, long.endsWith("."), short.includes("_")]).toEqual([outcome, true, false]);
    }
    for (const outcome of outcomes) expect(outcomeTold(outcome).long).toEndWith(".");
  });

  test("only who answered is good; who was not asked has not failed", () => {
    const tones = attemptOutcomes.map((outcome) => attemptTold(attempt(outcome), false).tone);
    expect(tones.filter((tone) => tone === "good").length).toBe(1);
    for (const outcome of attemptOutcomes.filter((one) => one.startsWith("skipped_"))) {
      expect(attemptTold(attempt(outcome), false).tone).toBe("passed");
    }
  });

  test("has the provider's status in it", () => {
    expect(attemptTold(attempt("upstream_429"), false).short).toBe("rate limit 429");
    expect(attemptTold(attempt("upstream_503"), false).short).toBe("failed 503");
    expect(attemptTold(attempt("upstream_418"), false).short).toBe("refused 418");
  });

  test("no outcome: it is asked now, or the gateway stopped", () => {
    expect(attemptTold(attempt(null), true).tone).toBe("runs");
    expect(attemptTold(attempt(null), false).short).toBe("interrupted");
  });

  test("a word that is not known is shown as it is", () => {
    expect(attemptTold(attempt("skipped_moon_phase"), false).short).toBe("skipped moon phase");
    expect(outcomeTold("refused_weather").short).toBe("refused weather");
    expect([priceTold("auction"), priceTold(null)]).toEqual(["auction", ""]);
  });
});

describe("the plan is explained", () => {
  const entry = (change: Partial<Entry>): Pick<Entry, "route" | "requested_model" | "attempts" | "served_by"> => ({
    route: "default",
    requested_model: "claude-sonnet-4-5",
    attempts: [attempt("upstream_429"), attempt("ok", "coder-14b")],
    served_by: "coder-14b",
    ...change,
  });

  test("by the rule that matched, or that none did", () => {
    expect(routeTold(entry({ route: "small-code" }))).toContain("“small-code”");
    expect(routeTold(entry({}))).toContain("“claude-sonnet-4-5”");
    expect(routeTold(entry({ attempts: [] }))).toContain("before a candidate was chosen");
  });

  test("a fallback is an answer of another than the first", () => {
    expect(isFallback(entry({}))).toBe(true);
    expect(isFallback(entry({ served_by: "a/m" }))).toBe(false);
    expect(isFallback(entry({ served_by: null }))).toBe(false);
  });
});
