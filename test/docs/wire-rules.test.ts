// Each rule of the wire is either shown by exactly one test or listed with the reason why not.

import { describe, expect, test } from "bun:test";
import { wireRules } from "../../scripts/reference/wire-page.ts";
import { notHeld } from "../wire/not-held.ts";
import { sections } from "../wire/sections.ts";

const rules = wireRules();
const last = sections.at(-1)!.last;

describe("the rules of the wire", () => {
  test("are complete: each number has a test or a reason, and never both", () => {
    const numbers = [...rules.map(({ number }) => number), ...Object.keys(notHeld).map(Number)].sort((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: last }, (_, index) => index + 1));
  });

  test("stand in files that are named by their section", () => {
    for (const { number, file } of rules) {
      const { letter } = sections.find((section) => number <= section.last)!;
      expect([number, file]).toEqual([
        number,
        expect.stringMatching(new RegExp(`^${letter.toLowerCase()}-`)) as string,
      ]);
    }
  });

  test("are sentences of their own", () => {
    expect(new Set(rules.map(({ sentence }) => sentence)).size).toBe(rules.length);
    for (const { sentence } of rules) expect(sentence.length).toBeGreaterThan(15);
  });
});
