// Search in the audit trail from its newest line back. Each step reads a bounded part of the files and says where the next
// one goes on, so that a search over years is many small ones and none of them holds the gateway up.

import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { auditFiles, hashLine, parseLineHead, parseTrailEntry, type TrailEntry } from "../layers/audit/index.ts";

export interface TrailQuery {
  readonly agent: string | null;
  /** One of `outcomeGroups`, or an outcome of the trail; null: all. */
  readonly outcome: string | null;
  /** In the id, the models, the route, whatever the case. */
  readonly text: string | null;
  /** Arrival before this moment, milliseconds since the epoch. */
  readonly untilMs: number | null;
  /** Only lines of a smaller number; null: from the newest. */
  readonly before: number | null;
  readonly limit: number;
}

export interface TrailPage {
  /** Lines as they stand in the file, newest first. */
  readonly lines: readonly string[];
  /** Where to go on (`before`); null: the trail was searched to its beginning. */
  readonly next: number | null;
  /** Lines that were looked at. */
  readonly searched: number;
  /** Arrival of the last one that was looked at, milliseconds since the epoch; null: there was none. */
  readonly reachedMs: number | null;
}

/** One line, and whether the chain holds on both of its sides. */
export interface TrailPlace {
  readonly line: string;
  readonly seq: number;
  readonly hash: string;
  /** The line before hashes to this one's `prev`; null: it is not there to be compared (the trail's first, or rotated away). */
  readonly linksBack: boolean | null;
  /** The next line's `prev` is this one's hash; null: there is none yet. */
  readonly linksOn: boolean | null;
}

export const outcomeGroups = ["ok", "fallback", "local", "failed", "refused"] as const;

const CHUNK_BYTES = 256 * 1024;
/** So much of the trail one step looks at: about 20,000 lines. */
const STEP_BYTES = 16 * 1024 * 1024;
const NEWLINE = 10;
/** Where bisecting ends and reading begins. */
const NEAR_BYTES = 64 * 1024;
/** How far apart lines stand in the file that arrived in another order: no request takes longer. */
const LONGEST_REQUEST_MS = 6 * 3_600_000;

/** Searches the trail whose current file is `file`. Rejects only where a file cannot be read. */
export async function searchTrail(file: string, query: TrailQuery, stepBytes = STEP_BYTES): Promise<TrailPage> {
  const fits = matcherOf(query);
  const lines: string[] = [];
  let searched = 0;
  let reached = "";
  let last = query.before;
  let left = stepBytes;
  for (const path of auditFiles(file).toReversed()) {
    await using handle = await openFile(path);
    const end = await startOf(handle, query);
    for await (const line of linesBackwards(handle, end)) {
      const head = parseLineHead(line);
      if (head !== null && query.before !== null && head.seq >= query.before) continue;
      searched++;
      left -= line.length + 1;
      if (head !== null) last = head.seq;
      reached = line;
      if (fits(line)) lines.push(line);
      if (lines.length < query.limit && left > 0) continue;
      return { lines, next: last, searched, reachedMs: arrivalOf(line) };
    }
  }
  return { lines, next: null, searched, reachedMs: arrivalOf(reached) };
}

/** The line of that number; null: the trail does not hold it (any more). */
export async function findInTrail(file: string, seq: number): Promise<TrailPlace | null> {
  const around = new Map<number, string>();
  for (const path of auditFiles(file).toReversed()) {
    await using handle = await openFile(path);
    // A little further than the line after, since that is where reading back begins.
    const end = await offsetAfter(handle, (head) => head.seq > seq + 1);
    for await (const line of linesBackwards(handle, end)) {
      const head = parseLineHead(line);
      if (head === null || head.seq > seq + 1) continue;
      around.set(head.seq, line);
      if (head.seq < seq) break;
    }
    if (around.has(seq) && around.has(seq - 1)) break;
    if (!around.has(seq) && around.size > 0 && Math.min(...around.keys()) < seq) break;
  }
  const line = around.get(seq);
  if (line === undefined) return null;
  const hash = hashLine(line);
  const before = around.get(seq - 1);
  const after = around.get(seq + 1);
  return {
    line,
    seq,
    hash,
    linksBack: before === undefined ? null : hashLine(before) === parseLineHead(line)?.prev,
    linksOn: after === undefined ? null : parseLineHead(after)?.prev === hash,
  };
}

/** A pipe in the place of a file must not block whoever opens it. */
function openFile(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_NONBLOCK);
}

/** Where reading back begins in this file. */
async function startOf(handle: FileHandle, { before, untilMs }: TrailQuery): Promise<number> {
  const { size } = await handle.stat();
  const bounds = [size];
  if (before !== null) bounds.push(await offsetAfter(handle, (head) => head.seq >= before));
  if (untilMs !== null) {
    const beyond = untilMs + LONGEST_REQUEST_MS;
    bounds.push(await offsetAfter(handle, (_, line) => (arrivalOf(line) ?? 0) > beyond));
  }
  return Math.min(...bounds);
}

/**
 * An offset such that every line that ends before it may matter, and all that end after it are `beyond`, which is true from
 * some line on. At most `NEAR_BYTES` too far.
 */
async function offsetAfter(
  handle: FileHandle,
  beyond: (head: { readonly seq: number }, line: string) => boolean,
): Promise<number> {
  const { size } = await handle.stat();
  let low = 0;
  let high = size;
  while (high - low > NEAR_BYTES) {
    const middle = Math.floor((low + high) / 2);
    const line = await firstLineFrom(handle, middle);
    const head = line === null ? null : parseLineHead(line);
    // What cannot be read may be anything: look at more rather than at less.
    if (head !== null && beyond(head, line!)) high = middle;
    else low = middle;
  }
  // `high` stands inside of a line that is not beyond, or at one that is.
  return Math.min(size, high + NEAR_BYTES);
}

/** The first line of ours that begins after `offset`. */
async function firstLineFrom(handle: FileHandle, offset: number): Promise<string | null> {
  const buffer = Buffer.alloc(16 * 1024);
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset);
  const pieces = buffer.toString("latin1", 0, bytesRead).split("\n");
  return pieces.slice(1, -1).find((piece) => parseLineHead(piece) !== null) ?? null;
}

/** The whole lines before `end`, newest first; what stands behind the last newline is no whole line. */
async function* linesBackwards(handle: FileHandle, end: number): AsyncGenerator<string> {
  let stop = end;
  /** The beginning of a line whose end was read before. */
  let rest: Buffer | null = null;
  while (stop > 0) {
    const start = Math.max(0, stop - CHUNK_BYTES);
    const buffer = Buffer.alloc(stop - start);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, start);
    const chunk = buffer.subarray(0, bytesRead);
    let to = chunk.length;
    for (let at = chunk.lastIndexOf(NEWLINE); at >= 0; at = at === 0 ? -1 : chunk.lastIndexOf(NEWLINE, at - 1)) {
      if (rest !== null) yield textOf(chunk.subarray(at + 1, to), rest);
      rest = Buffer.alloc(0);
      to = at;
    }
    if (rest !== null) rest = Buffer.concat([chunk.subarray(0, to), rest]);
    // What is longer is no line of ours, and is not gathered in memory.
    if (rest !== null && rest.length > CHUNK_BYTES) rest = Buffer.alloc(0);
    stop = start;
  }
  if (rest !== null && rest.length > 0) yield rest.toString("latin1");
}

function textOf(begin: Buffer, end: Buffer): string {
  return end.length === 0 ? begin.toString("latin1") : Buffer.concat([begin, end]).toString("latin1");
}

/** Whether a line is asked for. Looks at the text first, since parsing costs ten times as much. */
function matcherOf({ agent, outcome, text, untilMs }: TrailQuery): (line: string) => boolean {
  const agentText = agent === null ? null : `"agent":${asciiJson(agent)}`;
  const wanted = text?.toLowerCase() ?? null;
  // A name with an escape in the line would be missed: then every line is parsed.
  const plain = wanted !== null && /^[\w./:@ -]*$/.test(wanted) ? wanted : null;
  return (line) => {
    if (agentText !== null && !line.includes(agentText)) return false;
    if (plain !== null && !line.toLowerCase().includes(plain)) return false;
    const entry = parseTrailEntry(line);
    if (entry === null) return false;
    if (agent !== null && entry.agent !== agent) return false;
    if (outcome !== null && !isOfOutcome(entry, outcome)) return false;
    if (untilMs !== null && entry.at >= untilMs) return false;
    return wanted === null || namesIn(entry).some((name) => name?.toLowerCase().includes(wanted) === true);
  };
}

function isOfOutcome(entry: TrailEntry, outcome: string): boolean {
  switch (outcome) {
    case "fallback":
      return entry.servedBy !== null && entry.attempts[0]?.candidate !== entry.servedBy;
    case "local":
      return entry.local;
    case "refused":
      return entry.outcome.startsWith("refused_");
    case "failed":
      return !entry.outcome.startsWith("refused_") && entry.outcome !== "ok" && entry.outcome !== "client_gone";
    default:
      return entry.outcome === outcome;
  }
}

function namesIn(entry: TrailEntry): (string | null)[] {
  const attempts = entry.attempts.flatMap(({ candidate, upstream, outcome, upstreamId }) => [
    candidate,
    upstream,
    outcome,
    upstreamId,
  ]);
  return [entry.id, entry.requestedModel, entry.servedBy, entry.route, entry.intent, entry.outcome, ...attempts];
}

/** As a line of the trail writes it. */
function asciiJson(text: string): string {
  return JSON.stringify(text).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function arrivalOf(line: string): number | null {
  const match = /"ts":"(\d{4}-\d\d-\d\dT[\d:.]+Z)"/.exec(line);
  return match === null ? null : Date.parse(match[1]!);
}
