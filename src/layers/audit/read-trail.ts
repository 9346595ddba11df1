// Reads a trail for reports: all its files in order, a megabyte at a time, whatever stands in them. A report over a year
// reads the lines anew each time instead of keeping a copy in a database: docs/decisions/0016.

import { open } from "node:fs/promises";
import { lastLines } from "./tail.ts";
import { parseTrailEntry, type TrailEntry } from "./trail-entry.ts";

export interface ReadTrailOptions {
  /** Arrival from this moment on, milliseconds since the epoch. */
  readonly sinceMs?: number;
  /** Arrival before this moment. */
  readonly untilMs?: number;
  /** Each request of the period, in the order of the file. `line` is what it was read from. */
  readonly take: (entry: TrailEntry, line: string) => void;
  /** Called now and then with the lines and bytes so far. What it returns is waited for, so that a slow writer is not overrun. */
  readonly onProgress?: (lines: number, bytes: number) => void | Promise<void>;
}

/** What could not be used, so that a report can say so. */
export interface TrailReading {
  /** Lines that were looked at. */
  readonly lines: number;
  /** Of these, lines that are no requests: damaged, or written by somebody else. Empty lines do not count. */
  readonly unreadable: number;
  readonly firstUnreadable: { readonly file: string; readonly line: number } | null;
  /** Line numbers that are left out between two lines that were read: requests that no report can tell of. */
  readonly missing: number;
  readonly files: number;
  /** Files whose lines are all older than the period. */
  readonly skippedFiles: number;
}

const CHUNK_BYTES = 1 << 20;
/** What is longer is no line of ours, and is not gathered in memory. */
const MAX_LINE_BYTES = 1 << 20;
const NEWLINE = 10;
/** How far a clock may have been set back within one file before older lines are overlooked. */
const CLOCK_SLACK_MS = 3_600_000;
const LAST_LINE_BYTES = 65_536;

/**
 * Calls `take` for every request of the period in these files. Rejects only where a file cannot be read. The last line may
 * still be in the making: without its newline it is unreadable unless it is whole.
 */
export async function readTrail(files: readonly string[], options: ReadTrailOptions): Promise<TrailReading> {
  const reader = new TrailReader(options);
  let skippedFiles = 0;
  let bytes = 0;
  const onBytes = (read: number): void | Promise<void> => options.onProgress?.(reader.lines, (bytes += read));
  for (const [i, file] of files.entries()) {
    // The newest file is written to, so its end says nothing.
    if (i < files.length - 1 && isOlderThan(file, options.sinceMs)) skippedFiles++;
    else await readFile(file, reader, onBytes);
  }
  const { lines, unreadable, firstUnreadable, missing } = reader;
  return { lines, unreadable, firstUnreadable, missing, files: files.length, skippedFiles };
}

/** Lines stand in the order of completion: what arrived last in a file had ended when its last line was written. */
function isOlderThan(file: string, sinceMs: number | undefined): boolean {
  if (sinceMs === undefined) return false;
  const [line] = lastLines(file, 1, LAST_LINE_BYTES);
  const last = line === undefined ? null : parseTrailEntry(line);
  return last !== null && last.at + last.ms + CLOCK_SLACK_MS < sinceMs;
}

class TrailReader {
  readonly #options: ReadTrailOptions;
  #file = "";
  #line = 0;
  #seq = 0;
  lines = 0;
  unreadable = 0;
  missing = 0;
  firstUnreadable: { readonly file: string; readonly line: number } | null = null;

  constructor(options: ReadTrailOptions) {
    this.#options = options;
  }

  beginFile(file: string): void {
    this.#file = file;
    this.#line = 0;
  }

  line(text: string): void {
    this.#line++;
    if (text.trim() === "") return;
    this.lines++;
    const entry = parseTrailEntry(text);
    if (entry === null) {
      this.#refuse();
      return;
    }
    const { sinceMs, untilMs, take } = this.#options;
    if (sinceMs !== undefined && entry.at < sinceMs) {
      this.#seq = entry.seq;
      return;
    }
    if (untilMs !== undefined && entry.at >= untilMs) return;
    if (this.#seq > 0 && entry.seq > this.#seq + 1) this.missing += entry.seq - this.#seq - 1;
    this.#seq = entry.seq;
    take(entry, text);
  }

  tooLong(): void {
    this.#line++;
    this.lines++;
    this.#refuse();
  }

  #refuse(): void {
    this.unreadable++;
    // Its number is accounted for: it is damaged, not missing.
    if (this.#seq > 0) this.#seq++;
    this.firstUnreadable ??= { file: this.#file, line: this.#line };
  }
}

async function readFile(
  file: string,
  reader: TrailReader,
  onBytes: (read: number) => void | Promise<void>,
): Promise<void> {
  reader.beginFile(file);
  const buffer = Buffer.alloc(CHUNK_BYTES + MAX_LINE_BYTES);
  await using handle = await open(file, "r");
  let kept = 0;
  let overlong = false;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, kept, CHUNK_BYTES, null);
    if (bytesRead === 0) break;
    const length = kept + bytesRead;
    let start = 0;
    for (let end = buffer.indexOf(NEWLINE); end >= 0 && end < length; end = buffer.indexOf(NEWLINE, start)) {
      if (overlong) reader.tooLong();
      // Lines are ASCII; what is not is still shown as something.
      else reader.line(buffer.toString("utf8", start, end));
      overlong = false;
      start = end + 1;
    }
    kept = length - start;
    if (kept > MAX_LINE_BYTES) {
      overlong = true;
      kept = 0;
    } else buffer.copyWithin(0, start, length);
    await onBytes(bytesRead);
  }
  if (overlong) reader.tooLong();
  else if (kept > 0) reader.line(buffer.toString("utf8", 0, kept));
}
