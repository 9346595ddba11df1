// Every promise of docs/threat-model.md names tests, and the tests are there.

import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { repositoryFiles, root, textOf } from "./repository-files.ts";

interface Row {
  /** The threat's own, such as `I5`; null in tables without. */
  readonly id: string | null;
  readonly promise: string;
  /** The last cell. */
  readonly heldBy: string;
}

interface Reference {
  readonly promise: string;
  readonly file: string;
  readonly title: string;
}

const page = textOf("docs/threat-model.md");

/** The rows of all tables of promises. Those that go row by row through the list of threats begin with its number. */
function rowsOf(markdown: string): Row[] {
  const tables = markdown.matchAll(/^\| (Row \| )?Promise \|.*\n\|[-|]+\|\n((?:\|.*\n)+)/gm);
  return [...tables].flatMap(([, numbered, body]) =>
    body!
      .trimEnd()
      .split("\n")
      .map((line) => {
        const cells = line.slice(2, -2).split(" | ");
        const [id, promise] = numbered === undefined ? [null, cells[0]!] : [cells[0]!, cells[1]!];
        return { id, promise, heldBy: cells.at(-1)! };
      }),
  );
}

/** `file`: "title", "title" — one such group for each file, a `<br>` between them. */
function referencesOf({ promise, heldBy }: Row): Reference[] {
  return heldBy.split("<br>").flatMap((group) => {
    const match = /^`([^`]+\.test\.ts)`: (".*")$/.exec(group);
    if (match === null) throw new Error(`"${promise}" does not name its tests: ${group}`);
    return match[2]!
      .slice(1, -1)
      .split('", "')
      .map((title) => ({ promise, file: match[1]!, title }));
  });
}

/** Titles of tests and of groups of tests stand in the source as they are, in quotes of one kind or another. */
function hasTitle(source: string, title: string): boolean {
  // At the beginning of a line, where no comment has it; a list of cases may end before the title.
  const call = String.raw`^\s*(?:(?:test|describe)(?:\.each\(.*\))?|\]\))\(\s*`;
  return ['"', "`"].some((quote) => new RegExp(call + quote + RegExp.escape(title) + quote, "m").test(source));
}

const rows = rowsOf(page);
const references = rows.flatMap(referencesOf);

describe("the promises of the threat model", () => {
  test("are in tables that this test can read", () => {
    expect(rows.length).toBeGreaterThan(50);
    expect(references.length).toBeGreaterThan(rows.length);
    expect(rows.filter(({ promise }) => promise.length < 10)).toEqual([]);
  });

  test("go through every threat to identity, each once", () => {
    const ids = rows.flatMap(({ id }) => (id?.startsWith("I") === true ? [id] : []));
    expect(ids).toEqual(Array.from({ length: 13 }, (_, index) => `I${index + 1}`));
  });

  test("go through every threat to keys", () => {
    const ids = rows.flatMap(({ id }) => (id?.startsWith("K") === true ? [id] : []));
    const number = (id: string): number => Number(id.slice(1));
    const all = Array.from({ length: 19 }, (_, index) => `K${index + 1}`);
    expect([...new Set(ids)].toSorted((a, b) => number(a) - number(b))).toEqual(all);
  });

  test("each name a test file that exists", () => {
    expect(references.filter(({ file }) => !existsSync(join(root, file)))).toEqual([]);
  });

  test("each name tests that are in their file", () => {
    expect(references.filter(({ file, title }) => !hasTitle(textOf(file), title))).toEqual([]);
  });

  test("make use of every file in test/security and test/crash", () => {
    const files = repositoryFiles().filter((path) => /^test\/(?:security|crash)\/.*\.test\.ts$/.test(path));
    expect(files.length).toBeGreaterThan(6);
    expect(files.filter((path) => !references.some(({ file }) => file === path))).toEqual([]);
  });
});

test("a title that is only part of one, or in a comment, does not count", () => {
  const source = 'describe("a door", () => {\n  // test("is shut")\n  test("is open at night", run);\n});\n';
  expect(hasTitle(source, "a door")).toBe(true);
  expect(hasTitle(source, "is open at night")).toBe(true);
  expect(hasTitle(source, "is open")).toBe(false);
  expect(hasTitle(source, "is shut")).toBe(false);
});
