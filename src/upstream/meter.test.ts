import { describe, expect, test } from "bun:test";
import type { AttemptRecord } from "../request.ts";
import type { NeutralEvent, Usage } from "../wire/neutral.ts";
import { noUsage } from "../wire/usage.ts";
import { countTokens, Meter, recordUsage, unseenTokens } from "./meter.ts";
import { keyedOf } from "./sample-keyed.ts";

const stop: NeutralEvent = { type: "stop", reason: "end", stopSequence: undefined };
const end: NeutralEvent = { type: "end" };
const text = (words: string): NeutralEvent => ({ type: "text", text: words });
const usage = (some: Partial<Usage>): NeutralEvent => ({ type: "usage", usage: some });

/** What stands in the attempt after these events, with a prompt of at most 300 tokens. */
function metered(...events: readonly NeutralEvent[]): AttemptRecord {
  const meter = new Meter();
  for (const event of events) meter.see(event);
  const { attempt } = keyedOf();
  meter.close(attempt, 300);
  return attempt;
}

describe("what the upstream counts", () => {
  test("is taken where it is complete, whether it came before or behind the reason to stop", () => {
    for (const events of [
      [usage({ input: 11, output: 5 }), stop],
      [stop, usage({ input: 11, output: 5 })],
    ]) {
      const { usage: found, usageSource } = metered(text("Hello"), ...events, end);
      expect(found).toMatchObject({ input: 11, output: 5 });
      expect(usageSource).toBe("upstream");
    }
  });

  test("is cumulative: the newest replaces, and what is left out or zero stays", () => {
    const { usage: found } = metered(
      usage({ input: 11, cacheRead: 7, output: 1 }),
      text("Hello"),
      usage({ output: 5, input: 0 }),
      stop,
      usage({ reasoning: 2, output: 0, tier: "flex", reportedUsd: 0.1 }),
      end,
    );
    expect(found).toMatchObject({ input: 11, cacheRead: 7, output: 5, reasoning: 2, tier: "flex", reportedUsd: 0.1 });
  });

  test("is only a running count where the stream was cut: our own count of what was seen fills it up", () => {
    const { usage: found, usageSource } = metered(usage({ input: 11, output: 1 }), text("x".repeat(300)));
    expect(found).toMatchObject({ input: 11, output: 100 });
    expect(usageSource).toBe("counted");
  });

  test("is not believed where it cannot be true", () => {
    const lie = metered(text("x".repeat(4_800)), stop, usage({ input: 11, output: 1 }), end);
    expect([lie.usage?.output, lie.usageSource]).toEqual([1_600, "counted"]);
    const zeros = metered(text("x".repeat(300)), stop, usage({ input: 0, output: 0 }), end);
    expect([zeros.usage, zeros.usageSource]).toMatchObject([{ input: 100, output: 100 }, "counted"]);
    const none = metered(text("x".repeat(300)), stop, end);
    expect([none.usage, none.usageSource]).toMatchObject([{ input: 100, output: 100 }, "counted"]);
  });

  test("is not believed at all where one figure is absurd: an agent's budget would be gone for months", () => {
    for (const lie of [
      { input: 11, output: 900_000_000 },
      { input: 11, output: 5, reasoning: 900_000_000 },
      { input: 900_000_000, output: 5 },
      { input: 11, cacheWrite1h: 900_000_000, output: 5 },
      { input: 11, output: 5, others: [{ model: "m", usage: { ...noUsage, input: 900_000_000 } }] },
    ]) {
      const { usage: found, usageSource } = metered(text("Hello"), stop, usage(lie), end);
      expect([found, usageSource]).toEqual([{ ...noUsage, input: 100, output: 2 }, "counted"]);
    }
    // A vendor's own prompt is no lie.
    const hidden = metered(text("Hello"), stop, usage({ input: 60_000, output: 20_000 }), end);
    expect([hidden.usage?.input, hidden.usageSource]).toEqual([60_000, "upstream"]);
  });

  test("may be more than was seen: reasoning is billed and not shown", () => {
    const { usage: found, usageSource } = metered(text("Hi"), stop, usage({ input: 11, output: 5_000 }), end);
    expect([found?.output, usageSource]).toEqual([5_000, "upstream"]);
  });
});

describe("what was seen", () => {
  test("is every byte of the model's output: text, thinking, refusals, tool names and arguments", () => {
    const meter = new Meter();
    meter.see(text("für"));
    meter.see({ type: "thinking", text: "ab" });
    meter.see({ type: "refusal", text: "no" });
    meter.see({ type: "tool_start", index: 0, id: "1", name: "tool", form: "function" });
    meter.see({ type: "tool_delta", index: 0, json: '{"ü":1}' });
    meter.see({ type: "block_end" });
    meter.see({ type: "other" });
    expect(meter.outputBytes).toBe(4 + 2 + 2 + 4 + 8);
  });

  test("bounds the tokens from above, unless the upstream says that they are more", () => {
    const meter = new Meter();
    meter.see(text("four"));
    expect(meter.outputBound).toBe(4);
    meter.see(usage({ output: 9 }));
    expect(meter.outputBound).toBe(9);
  });

  test("is counted on the dear side, and a single byte is a token", () => {
    expect([0, 1, 3, 4].map(countTokens)).toEqual([0, 1, 1, 2]);
  });
});

test("a whole answer without a usage is counted by its bytes and the bound of its prompt", () => {
  const { attempt } = keyedOf();
  recordUsage(attempt, null, false, 30, 60);
  expect(attempt).toMatchObject({ usage: { input: 20, output: 10 }, usageSource: "counted" });
});

test("what may have been thought unseen is counted by time, and never beyond what is paid for", () => {
  const keyed = keyedOf({ candidate: { hiddenReasoning: true } });
  expect([-5, 0, 1, 200, 60_000].map((ms) => unseenTokens(keyed, ms))).toEqual([0, 0, 1, 60, 100]);
});

test("the model's own name is kept, also where a later event does not repeat it", () => {
  const meter = new Meter();
  meter.see({ type: "start", id: "1", model: "served-model" });
  const { attempt } = keyedOf();
  meter.close(attempt, 1);
  expect(attempt.reportedModel).toBe("served-model");
});
