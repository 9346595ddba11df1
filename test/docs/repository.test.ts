// What must not be in the repository: the machine on which it was written, and what an installation could be led astray by.

import { describe, expect, test } from "bun:test";
import { dirname, extname, join } from "node:path";
import { repositoryFiles, textOf } from "./repository-files.ts";

const texts = repositoryFiles().filter((path) => ![".png", ".ico", ".woff2", ".gz"].includes(extname(path)));

/** The lines that match, as `file:line`. */
function found(pattern: RegExp): string[] {
  return texts.flatMap((path) =>
    textOf(path)
      .split("\n")
      .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.slice(0, 120)}`] : [])),
  );
}

describe("no file names", () => {
  test("a folder of the machine on which it was written", () => {
    // Home folders of made-up people stand in tests of texts and paths.
    const homes = "home|Users";
    const pattern = new RegExp(
      `(?<![A-Za-z0-9_.)/-])/(?:(?:work|root|workspace|tmp/briefs)(?![A-Za-z0-9_-])|(?:${homes})/(?!x/|me/)[A-Za-z])`,
    );
    const self = /test\/docs\/repository\.test\.ts/;
    expect(found(pattern).filter((line) => !self.test(line))).toEqual([]);
  });

  test("a package registry or a mirror of one", () => {
    const pattern =
      /\/\/[A-Za-z0-9.-]*(?:regist[r]y|artifact[o]ry|nex[u]s|npmj[s]|npmmirr[o]r|verdacc[i]o)[A-Za-z0-9.-]*/i;
    expect(found(pattern)).toEqual([]);
  });
});

interface LockFile {
  readonly packages: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

describe.each(repositoryFiles().filter((path) => path.endsWith("package-lock.json")))("%s", (path) => {
  const { packages } = JSON.parse(textOf(path)) as LockFile;
  const installed = Object.entries(packages).filter(([name]) => name !== "");

  test("holds the hash of every package", () => {
    expect(installed.length).toBeGreaterThan(10);
    expect(installed.filter(([, entry]) => typeof entry["integrity"] !== "string").map(([name]) => name)).toEqual([]);
  });

  test("leaves it to each machine where packages come from", () => {
    expect(installed.filter(([, entry]) => "resolved" in entry).map(([name]) => name)).toEqual([]);
  });

  test("is installed without running anything of a package", () => {
    expect(textOf(join(dirname(path), ".npmrc"))).toContain("ignore-scripts=true");
  });
});

test("nothing that the gateway itself needs has an install script", () => {
  const { packages } = JSON.parse(textOf("package-lock.json")) as LockFile;
  expect(
    Object.entries(packages).flatMap(([name, entry]) => (entry["hasInstallScript"] === true ? [name] : [])),
  ).toEqual([]);
});

test("the packages that run with the gateway are few, pinned, and each known here", () => {
  const { dependencies } = JSON.parse(textOf("package.json")) as { dependencies: Record<string, string> };
  expect(Object.keys(dependencies)).toEqual([
    "@cfworker/json-schema",
    "age-encryption",
    "commander",
    "hyparquet-writer",
    "jsonrepair",
    "valibot",
    "yaml",
  ]);
  for (const version of Object.values(dependencies)) expect(version).toMatch(/^\d+\.\d+\.\d+$/);
});
