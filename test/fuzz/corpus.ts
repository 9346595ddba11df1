// The finds, one file each: `corpus/<target>/<hash>.json` with the case and what was wrong with it when it was found.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Json } from "../../src/wire/neutral.ts";

export interface Find {
  readonly input: Json;
  /** What was wrong; once mended, the reason for which the case is kept. */
  readonly found: string;
}

const folder = join(import.meta.dir, "corpus");

/** All kept cases of a target by the names of their files. */
export function loadFinds(target: string): Map<string, Find> {
  const path = join(folder, target);
  const finds = new Map<string, Find>();
  if (!existsSync(path)) return finds;
  for (const name of readdirSync(path)
    .filter((file) => file.endsWith(".json"))
    .sort()) {
    finds.set(name, JSON.parse(readFileSync(join(path, name), "utf8")) as Find);
  }
  return finds;
}

/** Returns the path of the file, relative to the repository. */
export function saveFind(target: string, find: Find): string {
  const text = JSON.stringify(find.input);
  const name = `${createHash("sha256").update(text).digest("hex").slice(0, 12)}.json`;
  mkdirSync(join(folder, target), { recursive: true });
  writeFileSync(join(folder, target, name), `${JSON.stringify({ found: find.found, input: find.input }, null, 2)}\n`);
  return `test/fuzz/corpus/${target}/${name}`;
}
