import { expect, test } from "bun:test";
import type { Dialect } from "../../wire/neutral.ts";
import { pacedFor } from "./budget-fixture.ts";
import { askedFactor, billedFactor, times } from "./surcharge.ts";

function accountAt(provider: string, dialect: Dialect): Parameters<typeof askedFactor>[0] {
  return pacedFor({ provider, candidate: { dialect } }).candidate;
}

test("what is asked for can only make it dearer, what the answer says can make it cheaper", () => {
  const openai = accountAt("openai", "responses");
  expect(askedFactor(openai, { service_tier: "flex" })).toBe(100);
  expect(askedFactor(openai, { service_tier: "priority" })).toBe(250);
  expect(billedFactor(openai, { service_tier: "priority" }, { tier: "flex" })).toBe(50);
  expect(billedFactor(openai, { service_tier: "flex" }, { tier: undefined })).toBe(100);
});

test("tier, speed and place multiply", () => {
  const anthropic = accountAt("anthropic", "messages");
  expect(billedFactor(anthropic, {}, { tier: "batch", speed: "fast", geo: "us" })).toBe(330);
  expect(askedFactor(anthropic, { speed: "fast", inference_geo: "us" })).toBe(660);
});

test("a name that the vendor has not listed is the dearest; one that is no name of its own object counts alike", () => {
  const anthropic = accountAt("anthropic", "messages");
  expect(billedFactor(anthropic, {}, { tier: undefined, speed: "warp" })).toBe(600);
  expect(billedFactor(anthropic, {}, { tier: undefined, speed: "constructor" })).toBe(600);
  expect(billedFactor(anthropic, {}, { tier: undefined, geo: "__proto__" })).toBe(110);
});

test("of others a known surcharge is believed, no discount is, and their own names of tiers cost nothing", () => {
  const other = accountAt("groq", "chat");
  expect(billedFactor(other, {}, { tier: "on_demand" })).toBe(100);
  expect(billedFactor(other, {}, { tier: "batch" })).toBe(100);
  expect(billedFactor(other, {}, { tier: "priority" })).toBe(250);
  expect(askedFactor(accountAt("my-claude", "messages"), { speed: "fast", inference_geo: "us" })).toBe(660);
});

test("sums are rounded up", () => {
  expect([times(1, 110), times(10, 110), times(7, 100)]).toEqual([2, 11, 7]);
});
