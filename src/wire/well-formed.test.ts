import { expect, test } from "bun:test";
import { wellFormedJson } from "./well-formed.ts";

test("halves of pairs are replaced in strings and names, pairs and escaped backslashes stay", () => {
  const value = { "k\ud83d": ["a\udc00b", "🦊", "\\ud83d", "\\\ud83d", "\ud83d\ud83d\udc00", "\\ude00"] };
  const mended: unknown = JSON.parse(wellFormedJson(JSON.stringify(value)));
  expect(mended).toEqual({ "k\ufffd": ["a\ufffdb", "🦊", "\\ud83d", "\\\ufffd", "\ufffd\ud83d\udc00", "\\ude00"] });
});

test("what is well formed stays as it is", () => {
  for (const text of ['{"a":"\\\\ud83d"}', '{"a":"x"}', JSON.stringify("🦊\ud7ff\ue000"), '{"a":"\\uD83E\\udd8a"}']) {
    expect(wellFormedJson(text)).toBe(text);
  }
});
