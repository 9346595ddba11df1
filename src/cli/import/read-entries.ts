// Settings as names with values, whatever their format. A file that is broken is read line by line: who searches for keys has
// no use for a syntax error.

import { parseDocument } from "yaml";
import type { Format } from "./settings-files.ts";

export interface Entry {
  /** Outermost name first; numbers of lists are left out. */
  readonly names: readonly string[];
  readonly value: string;
  /** What stands beside it, by name: of the same map, or of the same file of variables. */
  readonly beside: ReadonlyMap<string, string>;
}

const maxDepth = 40;
const maxEntries = 100_000;

export function readEntries(text: string, format: Format): Entry[] {
  const data = format === "lines" ? undefined : parsed(text, format);
  if (data === undefined) return linesOf(text);
  const entries: Entry[] = [];
  collect(data, [], new Map(), entries, 0);
  return entries;
}

/** Undefined: it is broken. What the parsers say of it would quote it. */
function parsed(text: string, format: Exclude<Format, "lines">): unknown {
  try {
    if (format === "json") return JSON.parse(withoutComments(text)) as unknown;
    if (format === "toml") return Bun.TOML.parse(text);
    const document = parseDocument(text, {
      version: "1.2",
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: "silent",
    });
    return document.errors.length > 0 ? undefined : (document.toJS({ maxAliasCount: 100 }) as unknown);
  } catch {
    return undefined;
  }
}

function collect(
  value: unknown,
  names: readonly string[],
  beside: ReadonlyMap<string, string>,
  entries: Entry[],
  depth: number,
): void {
  if (depth > maxDepth || entries.length >= maxEntries) return;
  if (typeof value === "string") {
    // Compose's and aider's lists: NAME=value.
    const pair = /^([A-Za-z][\w-]{0,80})=(.+)$/s.exec(value);
    entries.push({ names: pair === null ? names : [...names, pair[1]!], value: pair?.[2] ?? value, beside });
  } else if (Array.isArray(value)) {
    for (const item of value) collect(item, names, pairsIn(value), entries, depth + 1);
  } else if (typeof value === "object" && value !== null) {
    const map = Object.entries(value);
    const texts = new Map(map.flatMap(([name, item]) => (typeof item === "string" ? [[name, item] as const] : [])));
    // LiteLLM names the model beside the map that holds its key: what stands around counts where nothing nearer does.
    const around = new Map([...beside, ...texts]);
    for (const [name, item] of map) collect(item, [...names, name], around, entries, depth + 1);
  }
}

function pairsIn(list: readonly unknown[]): Map<string, string> {
  const pairs = list.flatMap((item) => {
    const pair = typeof item === "string" ? /^([A-Za-z][\w-]{0,80})=(.+)$/s.exec(item) : null;
    return pair === null ? [] : [[pair[1]!, pair[2]!] as const];
  });
  return new Map(pairs);
}

/**
 * `NAME=value`, `export NAME="value"`, fish's `set -gx NAME value` and `SETUVAR NAME:value`, `"name": "value"`, also in comments:
 * a key there lies around as well.
 * The value is looked at and not passed over: it may be a command that sets another one.
 */
const assignment =
  /(?<![\w.$-])(?:set(?:env)?[ \t]+(?:-{1,2}[a-z]+[ \t]+)*|SETUVAR[ \t]+(?:--export[ \t]+)?|\$env:)?["']?([A-Za-z_][\w.-]{0,80})["']?(?:[ \t]*[=:][ \t]*|[ \t]+)["']?(?=([^\s"'`;,<>()=]{8,512}))/gm;

function linesOf(text: string): Entry[] {
  const found = [...text.matchAll(assignment)].slice(0, maxEntries).map((match) => [match[1]!, match[2]!] as const);
  const beside = new Map(found);
  return found.map(([name, value]) => ({ names: [name], value, beside }));
}

/** JSON with comments and trailing commas, as editors keep it, to JSON. */
function withoutComments(text: string): string {
  const tokens = /"(?:[^"\\]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\/|,(?=\s*[}\]])/g;
  return text.replace(tokens, (token) => (token.startsWith('"') ? token : ""));
}
