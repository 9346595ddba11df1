// The files under a folder in which keys may lie: bounded, never out of the folder, never waiting for anything.

import { closeSync, constants, fstatSync, openSync, readdirSync, readSync, realpathSync, type Dirent } from "node:fs";
import { join, relative, sep } from "node:path";
import { formatOf, type Format } from "./settings-files.ts";

export interface SettingsFile {
  readonly path: string;
  readonly format: Format;
}

/** Something that was not looked into, and why. */
export interface Unread {
  readonly path: string;
  readonly why: string;
}

export interface Search {
  readonly files: readonly SettingsFile[];
  readonly unread: readonly Unread[];
  /** A bound that was met before everything was seen; null: all was seen. */
  readonly stoppedAt: string | null;
}

export interface Bounds {
  readonly entries: number;
  readonly files: number;
  /** Folders below each other. */
  readonly depth: number;
}

export const usualBounds: Bounds = { entries: 200_000, files: 2_000, depth: 8 };
const maxFileBytes = 4 * 1024 * 1024;
/** A binary file has a NUL early on (as git tells it). */
const binaryWithin = 8_000;

/** What others wrote, or what is made anew: no place where a person puts a key. */
const skippedFolders: ReadonlySet<string> = new Set([
  "node_modules",
  ".git",
  ".hg",
  ".svn",
  ".venv",
  "venv",
  "site-packages",
  "__pycache__",
  ".cache",
  "Caches",
  ".npm",
  ".cargo",
  ".rustup",
  ".Trash",
  "Trash",
  "target",
  "vendor",
]);

/** Breadth first, so that a bound costs what lies deep. `skip`: absolute paths of folders that are not entered. */
export function findFiles(root: string, skip: readonly string[] = [], bounds: Bounds = usualBounds): Search {
  const files: SettingsFile[] = [];
  const unread: Unread[] = [];
  const realRoot = realpathSync(root);
  let folders = [root];
  let entries = 0;
  for (let depth = 0; folders.length > 0; depth++) {
    if (depth > bounds.depth) return { files, unread, stoppedAt: `${bounds.depth} folders below each other` };
    const below: string[] = [];
    for (const folder of folders) {
      for (const entry of entriesOf(folder, unread)) {
        if (++entries > bounds.entries) return { files, unread, stoppedAt: `${bounds.entries} files and folders` };
        const path = join(folder, entry.name);
        if (entry.isDirectory()) {
          if (!skippedFolders.has(entry.name) && !skip.includes(path)) below.push(path);
          continue;
        }
        const format = formatOf(relative(root, path).replaceAll(sep, "/"));
        if (format === null) continue;
        if (entry.isSymbolicLink() && !staysInside(path, realRoot, unread)) continue;
        if (files.length >= bounds.files) return { files, unread, stoppedAt: `${bounds.files} files to read` };
        files.push({ path, format });
      }
    }
    folders = below;
  }
  return { files, unread, stoppedAt: null };
}

function entriesOf(folder: string, unread: Unread[]): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    unread.push({ path: folder, why: reasonOf(error) });
    return [];
  }
}

function staysInside(path: string, realRoot: string, unread: Unread[]): boolean {
  try {
    if (realpathSync(path).startsWith(realRoot.endsWith(sep) ? realRoot : realRoot + sep)) return true;
    unread.push({ path, why: "is a link that leads out of the folder" });
  } catch (error) {
    unread.push({ path, why: reasonOf(error) });
  }
  return false;
}

/** The text of a settings file, or why it was not read. A pipe is not waited for. */
export function readSettings(path: string): { readonly text: string } | Unread {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    return { path, why: reasonOf(error) };
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) return { path, why: "is no regular file" };
    if (stat.size > maxFileBytes) return { path, why: `is larger than ${maxFileBytes / 1024 / 1024} MB` };
    const bytes = Buffer.alloc(maxFileBytes < stat.size ? maxFileBytes : stat.size);
    const length = readSync(descriptor, bytes, 0, bytes.length, 0);
    if (bytes.subarray(0, Math.min(length, binaryWithin)).includes(0)) return { path, why: "is a binary file" };
    const text = bytes.toString("utf8", 0, length);
    bytes.fill(0);
    return { text };
  } catch (error) {
    return { path, why: reasonOf(error) };
  } finally {
    closeSync(descriptor);
  }
}

/** In our own words: the runtime's repeat the path, which may be anything. */
function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "EACCES" || code === "EPERM") return "may not be read by you";
  if (code === "ENOENT") return "is gone, or is a link to nothing";
  if (code === "ELOOP") return "is a link to itself";
  return "can't be read";
}
