// The hash chain: each line carries the hash of the line before, so that a change anywhere breaks every later link.

import { hash } from "node:crypto";

/** `prev` of the very first line. */
export const GENESIS = `sha256:${"0".repeat(64)}`;

/** Where a chain stands: the last line's number and hash. The next line is `seq + 1` with `prev` = `head`. */
export interface ChainPosition {
  readonly seq: number;
  readonly head: string;
}

export const CHAIN_START: ChainPosition = { seq: 0, head: GENESIS };

/** The line's bytes without the newline; a string is taken as UTF-8. */
export function hashLine(line: string | Uint8Array): string {
  return `sha256:${hash("sha256", line, "hex")}`;
}

const headPattern = /^\{"v":\d{1,3},"seq":(\d{1,15}),"prev":"(sha256:[0-9a-f]{64})",/;

/** How many bytes of a line `parseLineHead` needs at most. */
export const LINE_HEAD_BYTES = 128;

/** Reads `seq` and `prev` from the first bytes of a line, which stand there in this order; null: not one of our lines. */
export function parseLineHead(start: string): { seq: number; prev: string } | null {
  const match = headPattern.exec(start);
  return match === null ? null : { seq: Number(match[1]), prev: match[2] ?? "" };
}
