import { expect, test } from "bun:test";
import { countLocally } from "./count-locally.ts";
import { keyedOf } from "./sample-keyed.ts";

function counted(content: string): number {
  const body = { model: "m", messages: [{ role: "user", content }] };
  const facts = { inputTokenBound: JSON.stringify(body).length };
  const answer = countLocally(keyedOf({ body, facts }).request);
  expect(answer).toMatchObject({ status: 200, headers: { "content-type": "application/json" } });
  return (JSON.parse(answer.body as string) as { input_tokens: number }).input_tokens;
}

test("a count is on the high side of what a tokeniser would say, but not absurd", () => {
  const words = "word ".repeat(400);
  expect(counted(words)).toBeGreaterThan(400);
  expect(counted(words)).toBeLessThan(1_000);
  expect(counted("")).toBeGreaterThan(0);
});
