import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { compileGlob } from "./glob.ts";

test("a star matches any run, a question mark one character", () => {
  expect(compileGlob("claude-*")("claude-sonnet-4-5")).toBe(true);
  expect(compileGlob("*coder*14b*")("qwen2.5-coder:14b-instruct")).toBe(true);
  expect(compileGlob("*coder*14b*")("14b-coder")).toBe(false);
  expect(compileGlob("gpt-?")("gpt-5")).toBe(true);
  expect(compileGlob("gpt-?")("gpt-51")).toBe(false);
  expect(compileGlob("a*a")("a")).toBe(false);
  expect(compileGlob("exact")("exactly")).toBe(false);
});

test("agrees with a regular expression on random globs", () => {
  const letters = fc.constantFrom("a", "b", "*", "?");
  fc.assert(
    fc.property(fc.array(letters, { maxLength: 8 }), fc.array(fc.constantFrom("a", "b"), { maxLength: 10 }), (g, t) => {
      const glob = g.join("");
      const pattern = new RegExp(`^${glob.replaceAll("*", ".*").replaceAll("?", ".")}$`);
      return compileGlob(glob)(t.join("")) === pattern.test(t.join(""));
    }),
    { numRuns: 2_000 },
  );
});
