// A link inside the repository leads somewhere.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { markdownFiles, prose, root, textOf } from "./repository-files.ts";

interface Link {
  readonly file: string;
  readonly target: string;
}

/** Links between files of the repository; those to the web are left out. */
function links(): Link[] {
  return markdownFiles().flatMap((file) =>
    [...prose(textOf(file)).matchAll(/\]\(([^)\s]+)\)/g)]
      .map((match) => ({ file, target: match[1]! }))
      .filter(({ target }) => !/^[a-z]+:/.test(target)),
  );
}

/** As the hosts of repositories name them: lower case, blanks to `-`, other signs dropped. */
function anchorsOf(file: string): Set<string> {
  const markdown = textOf(file).replaceAll(/^```[^\n]*\n.*?^```$/gms, "");
  const titles = [...markdown.matchAll(/^#+ (.+)$/gm)].map((match) => match[1]!);
  return new Set(
    titles.map((title) =>
      title
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

test("there are links to follow", () => {
  expect(links().length).toBeGreaterThan(20);
});

test("every relative link leads to a file or a folder of the repository", () => {
  const broken = links().filter(({ file, target }) => {
    const path = target.split("#")[0]!;
    return path !== "" && !existsSync(join(root, dirname(file), path));
  });
  expect(broken).toEqual([]);
});

test("every link to a heading finds it", () => {
  const broken = links().filter(({ file, target }) => {
    const [path, anchor] = target.split("#") as [string, string | undefined];
    if (anchor === undefined) return false;
    const there = path === "" ? file : normalize(join(dirname(file), path));
    return !anchorsOf(there).has(anchor);
  });
  expect(broken).toEqual([]);
});

test("files that the documents name in code spans exist", () => {
  const named = markdownFiles().flatMap((file) =>
    [...textOf(file).matchAll(/`((?:src|test|docs|scripts|bench|bin)\/[A-Za-z0-9_./-]+)`/g)].map((match) => ({
      file,
      path: match[1]!,
    })),
  );
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter(({ path }) => !existsSync(join(root, path)))).toEqual([]);
});
