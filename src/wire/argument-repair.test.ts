import { describe, expect, test } from "bun:test";
import { ArgumentRepair } from "./argument-repair.ts";

function repaired(text: string): unknown {
  const result = new ArgumentRepair().repaired(text);
  return result === undefined ? undefined : JSON.parse(result);
}

describe("arguments that are no JSON are mended", () => {
  test.each([
    ["an open string and open brackets", '{"a":[1,{"b":"x', { a: [1, { b: "x" }] }],
    ["a missing bracket after a complete value", '{"path":"a.txt"', { path: "a.txt" }],
    ["a bracket too many", '{"a":1}}', { a: 1 }],
    ["a trailing comma", '{"a":[1,2,],}', { a: [1, 2] }],
    ["single quotes", "{'a': 'it\\'s'}", { a: "it's" }],
    ["Python's literals", "{'a': True, 'b': None, 'c': False}", { a: true, b: null, c: false }],
    ["a code fence", '```json\n{"a": 1,}\n```', { a: 1 }],
    ["line breaks inside a text", '{"a":"one\ntwo"}', { a: "one\ntwo" }],
    ["a whole word at the end", "{'a': True", { a: true }],
    ["keys without quotes", "{a: 1, b: 'x'}", { a: 1, b: "x" }],
    ["a missing comma", '{"a":1 "b":2}', { a: 1, b: 2 }],
    ["quotes inside a text", '{"command":"echo "hi" there"}', { command: 'echo "hi" there' }],
    ["a backslash that is meant as one", '{"pattern":"\\d+\\.ts",}', { pattern: "\\d+\\.ts" }],
  ])("%s", (_, text, meant) => {
    expect(repaired(text)).toEqual(meant);
  });

  test("a long text that only lacks its end, at once", () => {
    const content = "line of a file\\n".repeat(100_000);
    expect(repaired(`{"content":"${content}`)).toEqual({ content: JSON.parse(`"${content}"`) as string });
  });
});

describe("what would have to be guessed is not", () => {
  test.each([
    ["a key without its value", '{"a":1,"b":'],
    ["half a word", '{"force":tru'],
    ["something left out", '{"a":[1,2,...]}'],
    ["words around it", 'I call it with {"a":1}'],
    ["two calls in one", '{"a":1}{"a":2}'],
    ["two calls in two lines", '{"a":1}\n{"a":2}'],
    ["a list", "[1,2"],
    ["a comment, which might be part of a text", '{"a":1 /* or 2 */,}'],
    ["an expression", '{"a": new Date("2026")}'],
    ["nothing but words", "please run the tests"],
    ["nothing but brackets", "{".repeat(500)],
  ])("%s", (_, text) => {
    expect(repaired(text)).toBeUndefined();
  });
});

describe("what a server can make us spend is bounded", () => {
  test("by the length of a text, by its brackets, and by all texts of an answer together", () => {
    const long = `{'a':'${"x".repeat(20_000)}',}`;
    expect(repaired(long)).toBeUndefined();
    expect(repaired(`{'a':${"[".repeat(2_000)}1,`)).toBeUndefined();
    const one = new ArgumentRepair();
    const text = `{'a':'${"x".repeat(10_000)}',}`;
    const results = Array.from({ length: 10 }, () => one.repaired(text));
    expect(results.filter((result) => result !== undefined)).toHaveLength(6);
    expect(results.at(-1)).toBeUndefined();
  });
});
