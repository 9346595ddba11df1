// What the documents tell people to write and to type works. A fenced block that says `yaml` and no more is a configuration.

import { describe, expect, test } from "bun:test";
import type { Command } from "commander";
import { createProgram } from "../../src/cli/program.ts";
import { checkConfig } from "../../src/config/check.ts";
import { formatFault } from "../../src/config/fault.ts";
import { blocksOf, markdownFiles, textOf } from "./repository-files.ts";

describe("a configuration in the documents passes the check", () => {
  const blocks = blocksOf("yaml");

  test("and the README and the reference have one", () => {
    const files = new Set(blocks.map(({ file }) => file));
    expect(files).toContain("README.md");
    expect(files).toContain("docs/reference/configuration.md");
  });

  test.each(blocks.map(({ file, line, text }) => [`${file}:${line}`, text]))("%s", (place, text) => {
    const checked = checkConfig(text, place);
    expect("faults" in checked ? checked.faults.map(formatFault) : []).toEqual([]);
  });
});

test("JSON in the documents is JSON", () => {
  const blocks = blocksOf("json");
  expect(blocks.length).toBeGreaterThan(2);
  for (const { file, line, text } of blocks) {
    // A whole document, or the lines of a trail.
    const documents = text.includes("\n}") || text.startsWith("{ ") ? [text] : text.trimEnd().split("\n");
    for (const document of documents) expect(() => [`${file}:${line}`, JSON.parse(document) as unknown]).not.toThrow();
  }
});

describe("what the documents tell people to type exists:", () => {
  const typed = markdownFiles().flatMap((file) => commandsIn(file));
  const program = createProgram({
    out: () => undefined,
    err: () => undefined,
    isTty: false,
    env: {},
    home: "/nowhere",
    configFile: "/nowhere/config.yaml",
  });

  test("there are commands in the README", () => {
    expect(typed.filter(({ file }) => file === "README.md").length).toBeGreaterThan(5);
  });

  test("every `sanctum` command, with its options", () => {
    for (const { file, words } of typed.filter(({ words }) => words[0] === "sanctum")) {
      expect([file, words.join(" "), faultOf(program, words.slice(1))]).toEqual([file, words.join(" "), null]);
    }
  });

  test("every script of npm", () => {
    const { scripts } = JSON.parse(textOf("package.json")) as { scripts: Record<string, string> };
    for (const { file, words } of typed.filter(({ words }) => words[0] === "npm")) {
      const name = words[1] === "run" ? words[2]! : words[1]!;
      expect([file, Object.keys(scripts)]).toEqual([file, expect.arrayContaining([name])]);
    }
  });
});

interface Typed {
  readonly file: string;
  readonly words: readonly string[];
}

/** `sanctum …` and `npm run …` in fenced `sh` blocks and in code spans. */
function commandsIn(file: string): Typed[] {
  const text = textOf(file);
  const lines = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap((match) => match[1]!.split("\n"));
  const spans = [...text.replaceAll(/^```[^\n]*\n.*?^```$/gms, "").matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!);
  return [...lines, ...spans].flatMap((line) => {
    const match = /^(?:npx )?((?:sanctum|npm (?:run|start|test))\b[^#|;]*)/.exec(line.trim());
    return match === null ? [] : [{ file, words: match[1]!.trim().split(/\s+/) }];
  });
}

/** Why the command line would not be understood; null where it would. */
function faultOf(program: Command, words: readonly string[]): string | null {
  let command = program;
  let rest = [...words];
  while (rest[0] !== undefined && command.commands.length > 0 && /^[a-z]/.test(rest[0])) {
    const next = command.commands.find((sub) => sub.name() === rest[0]);
    if (next === undefined) return `no command ${rest[0]}`;
    command = next;
    rest = rest.slice(1);
  }
  const known = [...program.options, ...command.options].flatMap(({ long, short }) => [long, short, "--help"]);
  const unknown = rest.filter((word) => word.startsWith("-") && word !== "--" && !known.includes(word.split("=")[0]!));
  return unknown.length === 0 ? null : `no option ${unknown.join(" ")}`;
}
