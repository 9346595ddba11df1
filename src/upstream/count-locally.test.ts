import { expect, test } from "bun:test";
import type { JsonObject } from "../wire/neutral.ts";
import { countLocally } from "./count-locally.ts";
import { keyedOf } from "./sample-keyed.ts";
import { TokenRatios } from "./token-ratios.ts";

function counted(content: JsonObject[] | string): number {
  const body: JsonObject = { model: "m", messages: [{ role: "user", content }] };
  const request = { ...keyedOf({ body }).request, text: JSON.stringify(body) };
  request.record.bytesIn = JSON.stringify(body).length;
  const answer = countLocally({ ...request, candidates: [keyedOf().candidate] }, new TokenRatios());
  expect(answer).toMatchObject({ status: 200, headers: { "content-type": "application/json" } });
  return (JSON.parse(answer.body as string) as { input_tokens: number }).input_tokens;
}

test("a count is on the high side of what a tokeniser would say, but not absurd", () => {
  const words = "word ".repeat(400);
  expect(counted(words)).toBeGreaterThan(400);
  expect(counted(words)).toBeLessThan(1_000);
  expect(counted("")).toBeGreaterThan(0);
});

test("documents count by their size, not as the window that each could fill", () => {
  const pdf = (size: number): JsonObject => ({
    type: "document",
    source: { type: "base64", media_type: "application/pdf", data: "x".repeat(size) },
  });
  expect(counted([pdf(1_000)])).toBeLessThan(6_000);
  expect(counted([pdf(1_000), pdf(1_000)])).toBeGreaterThanOrEqual(10_000);
  expect(counted([pdf(400_000)])).toBeGreaterThanOrEqual(40_000);
  expect(counted([pdf(20_000_000)])).toBeLessThan(1_100_000);
});

test("numbers and other scripts have more tokens a byte than prose, however long the text is", () => {
  const digits = "3.14159, 2.71828, [0.5]; ";
  for (const times of [40, 40_000]) {
    expect(counted(digits.repeat(times))).toBeGreaterThan((digits.length * times) / 2);
    expect(counted("東京は雨。".repeat(times))).toBeGreaterThanOrEqual(5 * times);
    expect(counted("The rain falls on the town. ".repeat(times))).toBeLessThan(12 * times + 100);
  }
});
