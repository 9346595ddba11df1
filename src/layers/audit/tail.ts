// The end of an audit file: where the chain stands, and mending after a crash in the middle of a write.

import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { LINE_HEAD_BYTES, hashLine, parseLineHead, type ChainPosition } from "./chain.ts";

const NEWLINE = 10;
const CHUNK_BYTES = 65_536;

/** Offset after the last newline before `end`; 0: there is none. */
export function endOfLastLine(fd: number, end: number): number {
  const buffer = Buffer.alloc(Math.min(CHUNK_BYTES, end));
  for (let stop = end; stop > 0;) {
    const start = Math.max(0, stop - CHUNK_BYTES);
    const chunk = readExactly(fd, buffer, start, stop - start);
    const at = chunk.lastIndexOf(NEWLINE);
    if (at >= 0) return start + at + 1;
    stop = start;
  }
  return 0;
}

/**
 * A write was cut short (crash, full disk): keeps the broken bytes in `sideFile` and cuts them off the audit file, so
 * that the next line starts a line. Returns the file's size afterwards.
 */
export function repairTornTail(fd: number, size: number, sideFile: string): number {
  const good = endOfLastLine(fd, size);
  if (good === size) return size;
  const side = openSync(sideFile, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o600);
  try {
    const buffer = Buffer.alloc(Math.min(CHUNK_BYTES, size - good));
    for (let at = good; at < size; at += buffer.length) {
      const chunk = readExactly(fd, buffer, at, Math.min(buffer.length, size - at));
      for (let written = 0; written < chunk.length;) written += writeSync(side, chunk, written);
    }
    fsyncSync(side);
  } finally {
    closeSync(side);
  }
  ftruncateSync(fd, good);
  fsyncSync(fd);
  return good;
}

/**
 * Where the chain stands at the end of the first `size` bytes, which end in a newline; null: no line of ours is in there.
 * Reads the last line only, unless it is not ours: then the lines since the last readable one are counted.
 */
export function lastPosition(fd: number, size: number): ChainPosition | null {
  if (size === 0) return null;
  let stop = size;
  let head: string | null = null;
  for (let after = 0; stop > 0; after++) {
    const start = endOfLastLine(fd, stop - 1);
    const length = stop - 1 - start;
    if (head === null) head = hashLine(readExactly(fd, Buffer.alloc(length), start, length));
    const first = readExactly(fd, Buffer.alloc(LINE_HEAD_BYTES), start, Math.min(length, LINE_HEAD_BYTES));
    const found = parseLineHead(first.toString("latin1"));
    if (found !== null) return { seq: found.seq + after, head };
    stop = start;
  }
  return null;
}

/** The beginning of a file's first line, up to what `parseLineHead` needs; null: the file is empty. */
export function firstLine(path: string): string | null {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const start = readExactly(fd, Buffer.alloc(LINE_HEAD_BYTES), 0, LINE_HEAD_BYTES);
    return start.length === 0 ? null : start.toString("latin1");
  } finally {
    closeSync(fd);
  }
}

/** The last whole lines of a file, oldest first, looking at no more than its last `maxBytes`. */
export function lastLines(path: string, count: number, maxBytes: number): string[] {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { size } = fstatSync(fd);
    const start = Math.max(0, size - maxBytes);
    const text = readExactly(fd, Buffer.alloc(size - start), start, size - start).toString("utf8");
    const lines = text.split("\n");
    lines.pop(); // Empty after the last newline, or not whole yet.
    if (start > 0) lines.shift();
    return lines.slice(-count);
  } finally {
    closeSync(fd);
  }
}

/** Fewer bytes come back only where the file has been shortened meanwhile. */
function readExactly(fd: number, buffer: Buffer, position: number, length: number): Buffer {
  let filled = 0;
  while (filled < length) {
    const read = readSync(fd, buffer, filled, length - filled, position + filled);
    if (read === 0) break;
    filled += read;
  }
  return buffer.subarray(0, filled);
}
