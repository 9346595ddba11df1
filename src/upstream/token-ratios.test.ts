import { expect, test } from "bun:test";
import { keyedOf } from "./sample-keyed.ts";
import { TokenRatios } from "./token-ratios.ts";

const { candidate } = keyedOf();

function modelNamed(model: string): typeof candidate {
  return { ...candidate, model };
}

test("a model that has told nothing has a token every three bytes", () => {
  expect(new TokenRatios().tokens(candidate, 3_000)).toBe(1_000);
});

test("an estimate lies above what was seen lately, and follows a denser prompt at once, a thinner one slowly", () => {
  const ratios = new TokenRatios();
  ratios.learn(candidate, 10_000, 2_500);
  expect(ratios.tokens(candidate, 10_000)).toBe(2_750);
  ratios.learn(candidate, 10_000, 4_000);
  expect(ratios.tokens(candidate, 10_000)).toBe(4_400);
  ratios.learn(candidate, 10_000, 2_500);
  expect(ratios.tokens(candidate, 10_000)).toBeGreaterThan(4_300);
  for (let i = 0; i < 200; i++) ratios.learn(candidate, 10_000, 2_500);
  expect(ratios.tokens(candidate, 10_000)).toBeLessThan(2_800);
});

test("an upstream that lies cannot push it beyond a token a byte, nor below one in five", () => {
  const ratios = new TokenRatios();
  ratios.learn(modelNamed("high"), 10_000, 1_000_000_000);
  expect(ratios.tokens(modelNamed("high"), 10_000)).toBe(10_000);
  ratios.learn(modelNamed("low"), 1_000_000, 1);
  expect(ratios.tokens(modelNamed("low"), 8_000)).toBeGreaterThanOrEqual(1_600);
  ratios.learn(candidate, 10_000, 0);
  expect(ratios.tokens(candidate, 3_000)).toBe(1_000);
});

test("small prompts, counts of our own, pictures and the vendor's tools teach nothing", () => {
  const ratios = new TokenRatios();
  ratios.learn(candidate, 200, 200);
  const taught = keyedOf({ facts: { inputTokenBound: 10_000 } });
  taught.request.record.bytesIn = 10_000;
  taught.attempt.usage = { ...usage };
  taught.attempt.usageSource = "counted";
  ratios.learnUsage(taught);
  taught.attempt.usageSource = "upstream";
  taught.attempt.usage = { ...usage, serverTools: { web_search: 1 } };
  ratios.learnUsage(taught);
  const pictured = keyedOf({ facts: { inputTokenBound: 18_000 } });
  pictured.request.record.bytesIn = 10_000;
  Object.assign(pictured.attempt, { usage, usageSource: "upstream" });
  ratios.learnUsage(pictured);
  expect(ratios.tokens(candidate, 3_000)).toBe(1_000);
  taught.attempt.usage = { ...usage };
  ratios.learnUsage(taught);
  expect(ratios.tokens(candidate, 3_000)).toBe(1_650);
});

test("the models that were not heard of for longest are forgotten", () => {
  const ratios = new TokenRatios();
  for (let i = 0; i < 300; i++) ratios.learn(modelNamed(`m${i}`), 10_000, 2_000);
  expect(ratios.tokens(modelNamed("m0"), 3_000)).toBe(1_000);
  expect(ratios.tokens(modelNamed("m299"), 3_000)).toBe(660);
});

const usage = {
  input: 3_000,
  cacheRead: 2_000,
  cacheWrite5m: 0,
  cacheWrite1h: 0,
  output: 10,
  reasoning: 0,
  serverTools: undefined,
  reportedUsd: undefined,
  tier: undefined,
};
