import { describe, expect, test } from "bun:test";
import type { TrailEntry } from "../layers/audit/index.ts";
import type { Comparison } from "./difference.ts";
import { parseExport } from "./provider-export.ts";
import { TrailByModel, canonicalModel } from "./reconcile-provider.ts";
import { sampleEntry, sampleTrailAttempt } from "./sample-entry.ts";

function compare(provider: string, content: string, entries: readonly TrailEntry[], tolerance = 0): Comparison[] {
  const trail = new TrailByModel({ provider, report: parseExport(content), aliased: () => null, tolerance });
  for (const entry of entries) trail.add(entry);
  return trail.compare("2026-11-01", "2026-11-30");
}

const head = "generation_id,created_at,cost_total,tokens_prompt,tokens_completion,model_permaslug\n";
const generation = (id: string, usd: string): string =>
  `${id},2026-11-20T12:00:01Z,${usd},1000,200,openai/gpt-4o-mini\n`;
const asked = (id: string, upstreamId: string, micros = 1_000): TrailEntry =>
  sampleEntry({ id, micros, attempts: [sampleTrailAttempt({ upstreamId, micros })] });

describe("an account with an id for each request", () => {
  test("agrees where every request costs the same in both", () => {
    const [day] = compare("openrouter", head + generation("gen-1", "0.001000"), [asked("req_1", "gen-1")]);
    expect(day).toMatchObject({ name: "openai/gpt-4o-mini", agrees: true, difference: 0 });
    expect(day!.tokens).toEqual({ theirs: 1_200, trail: 1_200 });
  });

  test("names who costs otherwise, who is the provider's alone, and who is the trail's alone, the weightiest first", () => {
    const [day] = compare("openrouter", head + generation("gen-1", "0.003000") + generation("gen-2", "0.000500"), [
      asked("req_1", "gen-1"),
      asked("req_3", "gen-3", 2_000),
    ]);
    expect(day).toMatchObject({ agrees: false, theirs: 3_500, trail: 3_000, difference: 500 });
    expect(day!.requests).toEqual([
      { id: "req_3", micros: 2_000, why: "is in no row of the provider's account" },
      { id: "req_1", micros: 1_000, why: "costs $0.003000 in the provider's account (gen-1)" },
      { id: "gen-2", micros: 500, why: "is the provider's, and in no line of the trail" },
    ]);
  });
});

describe("an account by day and model", () => {
  const claude = (changes: Partial<TrailEntry> = {}): TrailEntry => {
    const candidate = "anthropic/claude-haiku-4-5-20251001";
    const attempts = [sampleTrailAttempt({ candidate, upstream: candidate, micros: 133_000 })];
    return sampleEntry({ attempts, servedBy: candidate, micros: 133_000, ...changes });
  };

  test("agrees within the cents that the Console rounds to, under the name it shows", () => {
    const csv = (usd: string): string => `usage_date_utc,model,cost_usd\n2026-11-20,Claude Haiku 4.5,${usd}\n`;
    expect(compare("anthropic", csv("0.13"), [claude()])).toMatchObject([{ name: "claude-haiku-4-5", agrees: true }]);
    expect(compare("anthropic", csv("0.12"), [claude()])).toMatchObject([{ agrees: false }]);
    expect(compare("anthropic", csv("0.12"), [claude()], 0.1)).toMatchObject([{ agrees: true }]);
  });

  test("tells which requests are not certain where it differs", () => {
    const csv = "usage_date_utc,model,cost_usd\n2026-11-20,Claude Haiku 4.5,0.50\n";
    const why = (changes: Partial<TrailEntry>): string | undefined =>
      compare("anthropic", csv, [claude(changes)])[0]!.requests[0]?.why;
    expect(why({})).toBeUndefined();
    expect(why({ usage: { input: 1, output: 1, source: "counted" } })).toBe("was counted here, since no usage came");
    expect(why({ outcome: "interrupted" })).toBe("was charged in full after a crash");
    expect(why({ price: "ceiling" })).toContain("ceiling");
    expect(why({ at: Date.UTC(2026, 10, 20, 23, 59, 59) })).toBe("went on past midnight UTC");
    expect(why({ servedBy: null })).toContain("although it failed");
  });

  test("of tokens alone is compared by tokens", () => {
    const csv = (output: number): string =>
      "usage_date_utc,model_version,usage_input_tokens_no_cache,usage_output_tokens\n" +
      `2026-11-20,claude-haiku-4-5-20251001,1000,${output}\n`;
    const [same] = compare("anthropic", csv(200), [claude()]);
    expect(same).toMatchObject({ agrees: true, theirs: null, tokens: { theirs: 1_200, trail: 1_200 } });
    expect(compare("anthropic", csv(900), [claude()])).toMatchObject([{ agrees: false }]);
  });

  test("leaves out what was skipped, and what went to another provider", () => {
    const csv = "usage_date_utc,model,cost_usd\n2026-11-20,Claude Haiku 4.5,0.00\n";
    const skipped = sampleTrailAttempt({ candidate: "anthropic/claude-opus-5", upstream: "anthropic/claude-opus-5" });
    const attempts = [{ ...skipped, outcome: "skipped_budget" }, sampleTrailAttempt()];
    expect(compare("anthropic", csv, [sampleEntry({ attempts })])).toMatchObject([{ trail: 0, agrees: true }]);
  });
});

test.each([
  ["anthropic", "Claude Haiku 4.5", "claude-haiku-4-5"],
  ["anthropic", "claude-haiku-4-5-20251001", "claude-haiku-4-5"],
  ["openai", "gpt-5.1-2025-11-13", "gpt-5.1"],
  ["openrouter", "openai/gpt-4.1-2025-04-14", "openai/gpt-4.1"],
  ["openai", "a model of tomorrow", "a model of tomorrow"],
])("%s's %s is %s", (provider, written, name) => {
  expect(canonicalModel(provider, written)).toBe(name);
});
