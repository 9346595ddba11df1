import { describe, expect, test } from "bun:test";
import type { Timeouts } from "../request.ts";
import { serverKindOf } from "../wire/profiles/server-kind.ts";
import { clocked } from "./clocks.ts";
import { keyedOf, providerAt, type Sample } from "./sample-keyed.ts";

const usual: Timeouts = {
  connectMs: 5_000,
  firstByteMs: 60_000,
  firstContentMs: 120_000,
  idleMs: 60_000,
  totalMs: 3_600_000,
};
const open = { firstByte: true, firstContent: true, idle: true };
const set = { firstByte: false, firstContent: false, idle: false };

function clocksOf(stream: boolean, sample: Sample = {}, elastic: Timeouts["elastic"] | null = open): Timeouts {
  const timeouts = elastic === null ? usual : { ...usual, ...(elastic && { elastic }) };
  const provider = providerAt("https://api.example", { timeouts });
  return clocked(keyedOf({ provider, ...sample }), stream).candidate.provider.timeouts;
}

describe("an answer in one piece", () => {
  test("is waited for as long as it takes to write what was asked for, ten minutes at most", () => {
    for (const [maxOutputTokens, firstByteMs] of [
      [300, 70_000],
      [4_096, 196_534],
      [128_000, 600_000],
      [undefined, 600_000],
    ] as const) {
      const { firstByteMs: byte, firstContentMs: content, idleMs } = clocksOf(false, { facts: { maxOutputTokens } });
      expect([byte, content, idleMs]).toEqual([firstByteMs, Math.min(600_000, firstByteMs + 60_000), 60_000]);
    }
  });

  test("of a model of which the longest answer is known is waited for as long as that takes", () => {
    const { firstByteMs } = clocksOf(false, { facts: { maxOutputTokens: undefined }, candidate: { maxOutput: 300 } });
    expect(firstByteMs).toBe(70_000);
  });
});

test("a model that thinks unseen is waited for longer, in a stream", () => {
  const { firstContentMs, idleMs, firstByteMs } = clocksOf(true, { candidate: { hiddenReasoning: true } });
  expect([firstByteMs, firstContentMs, idleMs]).toEqual([60_000, 300_000, 120_000]);
});

test("what the configuration sets holds as it is", () => {
  for (const stream of [false, true]) {
    const given = clocksOf(stream, { candidate: { hiddenReasoning: true } }, set);
    expect(given).toEqual({ ...usual, elastic: set });
    expect(clocksOf(stream, {}, null)).toEqual(usual);
  }
  const some = clocksOf(false, { facts: { maxOutputTokens: 300 } }, { ...open, firstByte: false });
  expect([some.firstByteMs, some.firstContentMs]).toEqual([60_000, 130_000]);
});

test("everything else of the attempt stays as it is: a stream of words as a whole, and what kind of server it is", () => {
  const keyed = keyedOf({
    provider: providerAt("http://10.0.0.9:8000/v1", { local: true, timeouts: { ...usual, elastic: open } }),
  });
  expect(clocked(keyed, true)).toBe(keyed);
  const timed = clocked(keyed, false);
  expect(serverKindOf(timed.candidate.provider)).toBe("vllm");
  expect(timed.attempt).toBe(keyed.attempt);
  const counting = keyedOf({ operation: "embeddings", provider: keyed.candidate.provider });
  expect(clocked(counting, false)).toBe(counting);
});
