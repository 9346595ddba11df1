import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { nanosFromUsd, type Nanos } from "../../money.ts";
import { CHAIN_START, hashLine, parseLineHead, type ChainPosition } from "./chain.ts";
import { auditFiles } from "./segments.ts";

const CHUNK_BYTES = 65_536;
const NEWLINE = 10;

/** What one line says was spent. */
interface LineCharge {
  readonly requestId: string;
  readonly agent: string;
  /** Wall clock at the request's arrival, milliseconds. */
  readonly at: number;
  readonly nanos: Nanos;
}

/** What a trail holds after one of its lines. */
export interface LinesSince {
  /** Its last line. */
  readonly end: ChainPosition;
  /** The marked line is there, unchanged. Without a mark always so. */
  readonly continues: boolean;
  readonly charges: readonly LineCharge[];
}

/**
 * Reads the trail at `path` from its end back to `mark` (null: no such line is known), and not beyond the first line that
 * is older than `fromMs`. Lines that are not ours, and a torn one at the end, are passed over.
 */
export function trailSince(path: string, mark: ChainPosition | null, fromMs: number): LinesSince {
  const charges: LineCharge[] = [];
  let end: ChainPosition | null = null;
  for (const line of linesBackwards(path)) {
    const head = parseLineHead(line);
    if (head === null) continue;
    end ??= { seq: head.seq, head: hashLine(line) };
    if (mark !== null && head.seq <= mark.seq) {
      return { end, continues: head.seq === mark.seq && hashLine(line) === mark.head, charges };
    }
    const charge = chargeOf(line);
    if (charge !== null && charge.at < fromMs) break;
    if (charge !== null && charge.nanos > 0) charges.push(charge);
  }
  // Where the mark was not reached its line is missing, unless the lines before `fromMs` were not looked at.
  return { end: end ?? CHAIN_START, continues: (mark?.seq ?? 0) === 0 || (end?.seq ?? 0) > mark!.seq, charges };
}

function chargeOf(line: string): LineCharge | null {
  try {
    const { id, agent, ts, usd } = JSON.parse(line) as Record<string, unknown>;
    const at = typeof ts === "string" ? Date.parse(ts) : Number.NaN;
    if (typeof id !== "string" || typeof usd !== "number" || !(usd >= 0 && usd < 1_000_000) || Number.isNaN(at))
      return null;
    return { requestId: id, agent: typeof agent === "string" ? agent : "", at, nanos: nanosFromUsd(usd) };
  } catch {
    return null;
  }
}

/** The whole lines of a trail, newest first. */
export function* linesBackwards(path: string): Generator<string> {
  for (const file of auditFiles(path).toReversed()) {
    const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      yield* linesOf(fd);
    } finally {
      closeSync(fd);
    }
  }
}

function* linesOf(fd: number): Generator<string> {
  let stop = fstatSync(fd).size;
  /** The beginning of a line whose end was read before; null: what is after the last newline, which is no whole line. */
  let rest: Buffer | null = null;
  while (stop > 0) {
    const start = Math.max(0, stop - CHUNK_BYTES);
    let chunk = Buffer.alloc(stop - start);
    chunk = chunk.subarray(0, readSync(fd, chunk, 0, chunk.length, start));
    let to = chunk.length;
    for (let at = chunk.lastIndexOf(NEWLINE); at >= 0; at = at === 0 ? -1 : chunk.lastIndexOf(NEWLINE, at - 1)) {
      if (rest !== null) yield Buffer.concat([chunk.subarray(at + 1, to), rest]).toString("latin1");
      rest = Buffer.alloc(0);
      to = at;
    }
    if (rest !== null) rest = Buffer.concat([chunk.subarray(0, to), rest]);
    stop = start;
  }
  if (rest !== null && rest.length > 0) yield rest.toString("latin1");
}
