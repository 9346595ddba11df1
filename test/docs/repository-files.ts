// What the repository holds, for the tests of its texts.

import { readFileSync, readdirSync } from "node:fs";
import { extname, join, relative } from "node:path";

export const root = join(import.meta.dir, "../..");

/** What `.gitignore` leaves out, and git itself. */
const leftOut: ReadonlySet<string> = new Set(["node_modules", "dist", ".git"]);

/** Paths from the root, `/` between folders, sorted. */
export function repositoryFiles(): readonly string[] {
  return filesIn(root)
    .map((path) => relative(root, path).replaceAll("\\", "/"))
    .filter((path) => extname(path) !== ".log")
    .sort();
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (leftOut.has(entry.name)) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesIn(path) : [path];
  });
}

/** A file of the repository as text. */
export function textOf(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

export function markdownFiles(): readonly string[] {
  return repositoryFiles().filter((path) => path.endsWith(".md"));
}

export interface Block {
  readonly file: string;
  /** Of the opening fence, 1 for the first. */
  readonly line: number;
  readonly text: string;
}

/** Fenced blocks of all Markdown files whose opening fence says exactly this. */
export function blocksOf(info: string): readonly Block[] {
  return markdownFiles().flatMap((file) => blocksIn(file, textOf(file), info));
}

function blocksIn(file: string, markdown: string, info: string): Block[] {
  return [...markdown.matchAll(/^```([^\n]*)\n(.*?)^```$/gms)]
    .filter((match) => match[1]!.trim() === info)
    .map((match) => ({ file, line: markdown.slice(0, match.index).split("\n").length, text: match[2]! }));
}

/** The text without its fenced blocks and code spans, in which nothing is a link. */
export function prose(markdown: string): string {
  return markdown.replaceAll(/^```[^\n]*\n.*?^```$/gms, "").replaceAll(/`[^`\n]*`/g, "");
}
