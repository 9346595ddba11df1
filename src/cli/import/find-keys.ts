// All provider keys in an environment and in files, each once, with every place where it lies.

import { keyForms, type Vendor } from "../../key-forms.ts";
import { readSettings, type SettingsFile, type Unread } from "./find-files.ts";
import { judgeEntry, type Judged } from "./judge-entry.ts";
import { readEntries, type Entry } from "./read-entries.ts";

export interface Place {
  /** Null: the environment. */
  readonly file: string | null;
  /** From 1; null for the environment. */
  readonly line: number | null;
  /** Under which it stands, or an empty text. */
  readonly name: string;
}

export interface FoundKey {
  /** In a process that lives for one command: it is a string like the text that it was read from. */
  readonly key: string;
  vendor: Vendor | null;
  readonly kind: Judged["kind"];
  otherHost: string | null;
  readonly places: Place[];
}

const anyKey = new RegExp(
  `(?<![A-Za-z0-9])(?:${keyForms
    .filter(({ kind }) => kind !== "other")
    .map(({ pattern }) => pattern)
    .join("|")})`,
  "g",
);

export class KeyFinder {
  readonly #found = new Map<string, FoundKey>();

  /** In the order in which they were found. */
  get keys(): FoundKey[] {
    return [...this.#found.values()];
  }

  searchEnvironment(env: Readonly<Record<string, string | undefined>>): void {
    const beside = new Map(Object.entries(env).flatMap(([name, value]) => (value ? [[name, value] as const] : [])));
    for (const [name, value] of beside) {
      const judged = judgeEntry({ names: [name], value, beside });
      if (judged !== null) this.#add(judged, [{ file: null, line: null, name }]);
    }
  }

  /** Null: it was read. */
  searchFile({ path, format }: SettingsFile): Unread | null {
    const read = readSettings(path);
    if ("why" in read) return read;
    const { text } = read;
    const entries = readEntries(text, format);
    const known = new Map<string, Entry>(entries.map((entry) => [entry.value.trim(), entry]));
    // Also what stands where no setting does: in comments, in commands, in the middle of a value.
    for (const [match] of text.matchAll(anyKey)) {
      if (!known.has(match)) known.set(match, { names: nameBefore(text, match), value: match, beside: new Map() });
    }
    for (const entry of known.values()) {
      const judged = judgeEntry(entry);
      if (judged === null) continue;
      const name = entry.names.join(".");
      this.#add(
        judged,
        linesWith(text, judged.key).map((line) => ({ file: path, line, name })),
      );
    }
    return null;
  }

  #add({ key, vendor, kind, otherHost }: Judged, places: readonly Place[]): void {
    const known = this.#found.get(key);
    if (known === undefined) {
      this.#found.set(key, { key, vendor, kind, otherHost, places: [...places] });
      return;
    }
    // One place may tell what another one leaves open.
    known.vendor ??= vendor;
    if (known.vendor !== null) known.otherHost = null;
    for (const place of places) {
      if (!known.places.some(({ file, line }) => file === place.file && line === place.line && file !== null))
        known.places.push(place);
    }
  }
}

/** The lines, from 1, on which it stands whole. */
function linesWith(text: string, key: string): number[] {
  const lines: number[] = [];
  let line = 1;
  let counted = 0;
  for (let at = text.indexOf(key); at >= 0; at = text.indexOf(key, at + key.length)) {
    for (let next = text.indexOf("\n", counted); next >= 0 && next < at; next = text.indexOf("\n", counted)) {
      line++;
      counted = next + 1;
    }
    if (lines.at(-1) !== line) lines.push(line);
  }
  return lines;
}

function nameBefore(text: string, key: string): string[] {
  const at = text.indexOf(key);
  const before = text.slice(text.lastIndexOf("\n", at) + 1, at);
  const name = /([A-Za-z_][\w.-]{0,80})["']?\s*[=:]\s*["']?$/.exec(before)?.[1];
  return name === undefined ? [] : [name];
}
