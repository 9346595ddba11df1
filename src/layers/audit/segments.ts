// The files of one audit trail: the one being written, and the rotated ones beside it.

import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { GENESIS, parseLineHead, type ChainPosition, CHAIN_START } from "./chain.ts";

/** How far into a file the first readable line is looked for. */
const FIRST_LINE_SEARCH_BYTES = 65_536;

/** `…-20261123T180000Z.jsonl` beside `….jsonl`; `-2`, `-3` where the second is taken already. */
export function rotatedName(file: string, nowMs: number, taken: (path: string) => boolean): string {
  const stamp = new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, "");
  const { folder, stem, extension } = partsOf(file);
  let candidate = join(folder, `${stem}-${stamp}${extension}`);
  for (let n = 2; taken(candidate); n++) candidate = join(folder, `${stem}-${stamp}-${n}${extension}`);
  return candidate;
}

/** For a file that somebody put in the trail's place: it does not belong to the trail. */
export function foreignName(file: string, nowMs: number, taken: (path: string) => boolean): string {
  const stamp = new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, "");
  let candidate = `${file}.foreign-${stamp}`;
  for (let n = 2; taken(candidate); n++) candidate = `${file}.foreign-${stamp}-${n}`;
  return candidate;
}

/** The seal of a rotated file lies beside it, and goes with it. */
export function sealName(segment: string): string {
  return `${segment}.seal`;
}

/**
 * The trail's files, oldest first, the one being written last or absent. Files moved aside by another tool under the
 * usual names (`….jsonl.1`) belong to it. Ordered by the number of their first line, which no clock can confuse.
 */
export function auditFiles(file: string): string[] {
  const { folder } = partsOf(file);
  const found: { path: string; firstSeq: number }[] = [];
  for (const name of namesIn(folder)) {
    const path = join(folder, name);
    // A pipe under that name would block whoever opens it.
    if (!belongs(name, file) || statSync(path, { throwIfNoEntry: false })?.isFile() !== true) continue;
    found.push({ path, firstSeq: firstSeqOf(path) });
  }
  found.sort((a, b) => a.firstSeq - b.firstSeq || (a.path < b.path ? -1 : 1));
  return found.map((segment) => segment.path);
}

/** Those that `sanctum` itself has rotated, oldest first. Only these are ever deleted. */
export function rotatedFiles(file: string): string[] {
  const own = ownPattern(file);
  return auditFiles(file).filter((path) => own.test(basename(path)));
}

/**
 * Where the trail begins: line 1, or after the last line of the newest rotated file that was deleted to keep the
 * configured number. Written as `{"seq":1200,"head":"sha256:…"}` to `….jsonl.pruned`.
 */
export function readPruned(file: string): ChainPosition {
  let text: string;
  try {
    text = readFileSync(prunedName(file), "utf8");
  } catch {
    return CHAIN_START; // Not there: nothing was ever deleted.
  }
  const match = /^\{"seq":(\d{1,15}),"head":"(sha256:[0-9a-f]{64})"\}\s*$/.exec(text);
  return match === null ? CHAIN_START : { seq: Number(match[1]), head: match[2] ?? GENESIS };
}

/** Deletes the oldest rotated file after noting where the trail now begins. `last` is that file's last line. */
export function prune(file: string, oldest: string, last: ChainPosition): void {
  const temporary = `${prunedName(file)}.new`;
  const fd = openSync(temporary, "w", 0o600);
  try {
    writeSync(fd, `${JSON.stringify({ seq: last.seq, head: last.head })}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, prunedName(file));
  unlinkSync(oldest);
  rmSync(sealName(oldest), { force: true });
}

function prunedName(file: string): string {
  return `${file}.pruned`;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // No folder, no files.
  }
}

function belongs(name: string, file: string): boolean {
  if (name === basename(file)) return true;
  if (ownPattern(file).test(name) || datedPattern(file).test(name)) return true;
  // logrotate: `….jsonl.1`, and with `dateext` `….jsonl-20261123` or, with `extension`, `…-20261123.jsonl`.
  const suffix = name.startsWith(basename(file)) ? name.slice(basename(file).length) : "";
  return /^\.(?:.*\.)?\d+$/.test(suffix) || /^-\d{8}(?:-\d+)?$/.test(suffix);
}

function ownPattern(file: string): RegExp {
  const { stem, extension } = partsOf(file);
  return new RegExp(`^${RegExp.escape(stem)}-\\d{8}T\\d{6}Z(?:-\\d+)?${RegExp.escape(extension)}$`);
}

function datedPattern(file: string): RegExp {
  const { stem, extension } = partsOf(file);
  return new RegExp(`^${RegExp.escape(stem)}-\\d{8}(?:-\\d+)?${RegExp.escape(extension)}$`);
}

function partsOf(file: string): { folder: string; stem: string; extension: string } {
  const extension = extname(file);
  return { folder: dirname(file), stem: basename(file, extension), extension };
}

/** The number of the first line that can be read, less the unreadable lines before it; -1: none can. */
function firstSeqOf(path: string): number {
  const buffer = Buffer.alloc(FIRST_LINE_SEARCH_BYTES);
  let length: number;
  const fd = openSync(path, "r");
  try {
    length = readSync(fd, buffer, 0, buffer.length, 0);
  } finally {
    closeSync(fd);
  }
  const lines = buffer.toString("latin1", 0, length).split("\n");
  for (let i = 0; i < lines.length; i++) {
    const head = parseLineHead(lines[i]!);
    if (head !== null) return head.seq - i;
  }
  return length === 0 ? Number.MAX_SAFE_INTEGER : -1;
}
