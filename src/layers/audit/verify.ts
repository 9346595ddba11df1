// Checks a trail without the gateway: every line's number and link, over all files in order, in bounded memory.

import { open } from "node:fs/promises";
import { CHAIN_START, LINE_HEAD_BYTES, hashLine, parseLineHead, type ChainPosition } from "./chain.ts";

/**
 * `edited`: a line is not what the next one has sealed, or not a line of a trail. `missing`: numbers are left out, and do
 * not come later. `reordered`: they come later. `inserted`: a number comes twice. `torn`: the last line has no end.
 */
export type BreakRule = "edited" | "missing" | "reordered" | "inserted" | "torn";

export interface AuditBreak {
  readonly file: string;
  /** From 1, in that file. */
  readonly line: number;
  readonly rule: BreakRule;
  /** For a person. */
  readonly detail: string;
}

export interface VerifyResult {
  readonly ok: boolean;
  /** Lines that are sound, from the start on. */
  readonly lines: number;
  /** Lines before the start that are still there; nothing is said about them. */
  readonly skipped: number;
  readonly files: number;
  /** Where the chain stands after the last sound line; compare it with `/stats` to notice a cut-off end. */
  readonly last: ChainPosition;
  readonly broken: AuditBreak | null;
}

/** A line that is known from elsewhere: the trail must reach it and agree with it. */
export interface KnownLine extends ChainPosition {
  /** Who knows it, for a person: `the gateway`, `the checkpoint`. */
  readonly by: string;
}

export interface VerifyOptions {
  /** The trail is whole from after this line on, which older files may still hold. */
  readonly start?: ChainPosition;
  readonly known?: readonly KnownLine[];
  /** Called now and then with the lines and bytes so far. */
  readonly onProgress?: (lines: number, bytes: number) => void;
}

const CHUNK_BYTES = 1 << 20;
/** A line is 4 KiB at most; what is longer is none, and is not gathered in memory. */
const MAX_LINE_BYTES = 1 << 16;
const NEWLINE = 10;
/** How many lines after a gap are looked at to tell `reordered` from `missing`. */
const LOOK_AHEAD_LINES = 10_000;

/** Stops at the first broken line. Rejects only where a file cannot be read. */
export async function verifyAudit(files: readonly string[], options: VerifyOptions = {}): Promise<VerifyResult> {
  const checker = new ChainChecker(options.start ?? CHAIN_START, options.known ?? []);
  let bytes = 0;
  const onBytes = (read: number): void => {
    bytes += read;
    options.onProgress?.(checker.sound, bytes);
  };
  for (const file of files) {
    checker.beginFile(file);
    if (await checkFile(file, checker, onBytes)) break;
  }
  const broken = checker.end();
  const { sound: lines, skipped, position: last } = checker;
  return { ok: broken === null, lines, skipped, files: files.length, last, broken };
}

/** True: a verdict is reached and the rest need not be read. */
async function checkFile(file: string, checker: ChainChecker, onBytes: (read: number) => void): Promise<boolean> {
  const buffer = Buffer.alloc(CHUNK_BYTES + MAX_LINE_BYTES);
  await using handle = await open(file, "r");
  let kept = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, kept, CHUNK_BYTES, null);
    if (bytesRead === 0) break;
    const length = kept + bytesRead;
    let start = 0;
    for (let end = buffer.indexOf(NEWLINE); end >= 0 && end < length; end = buffer.indexOf(NEWLINE, start)) {
      if (checker.line(buffer, start, end)) return true;
      start = end + 1;
    }
    kept = length - start;
    if (kept > MAX_LINE_BYTES) return checker.notALine("this line is longer than any audit line");
    buffer.copyWithin(0, start, length);
    onBytes(bytesRead);
  }
  return kept > 0 && checker.torn();
}

interface Place {
  readonly file: string;
  readonly line: number;
}

/** Fed with lines in order. After a doubt it looks at later lines before it names the rule. */
class ChainChecker {
  sound = 0;
  skipped = 0;
  readonly #start: ChainPosition;
  /** Still to be reached, nearest first. */
  readonly #known: KnownLine[];
  #seq: number;
  #head: string;
  #file = "";
  #line = 0;
  #previous: Place | null = null;
  #verdict: AuditBreak | null = null;
  /** The line `at` does not seal its predecessor: whichever of the two was edited shows in the line after `at`. */
  #unsealed: { readonly at: Place; readonly before: Place | null; readonly hash: string } | null = null;
  /** Lines from `seq` on were expected at `at` but did not come. */
  #gap: { readonly at: Place; readonly seq: number; readonly found: number; looked: number } | null = null;

  constructor(start: ChainPosition, known: readonly KnownLine[]) {
    this.#seq = start.seq;
    this.#head = start.head;
    this.#start = start;
    this.#known = known.filter(({ seq }) => seq > start.seq).sort((a, b) => a.seq - b.seq);
  }

  get position(): ChainPosition {
    return { seq: this.#seq, head: this.#head };
  }

  beginFile(file: string): void {
    this.#file = file;
    this.#line = 0;
  }

  /** One line without its newline. True: the verdict is reached. */
  line(buffer: Buffer, start: number, end: number): boolean {
    this.#line++;
    const head = parseLineHead(buffer.toString("latin1", start, Math.min(end, start + LINE_HEAD_BYTES)));
    if (this.sound === 0 && this.#isBeforeStart(head?.seq)) {
      this.skipped++;
      const same = head?.seq !== this.#start.seq || hashLine(buffer.subarray(start, end)) === this.#start.head;
      return !same && this.#break("edited", this.#here(), "the trail was to go on from another line than this");
    }
    if (this.#gap !== null) return this.#lookAhead(head?.seq);
    if (this.#unsealed !== null) return this.#judgeUnsealed(head?.prev);
    if (head === null || buffer[end - 1] !== CLOSING_BRACE) {
      return this.#break("edited", this.#here(), "this is not an audit line");
    }
    const expected = this.#seq + 1;
    if (head.seq < expected) {
      return this.#break("inserted", this.#here(), `line number ${head.seq} comes again, ${expected} was expected`);
    }
    if (head.seq > expected) {
      this.#gap = { at: this.#here(), seq: expected, found: head.seq, looked: 0 };
      return false;
    }
    const hash = hashLine(buffer.subarray(start, end));
    if (head.prev !== this.#head) {
      this.#unsealed = { at: this.#here(), before: this.#previous, hash };
      return false;
    }
    while (this.#known[0]?.seq === expected) {
      const { head: meant, by } = this.#known.shift()!;
      if (hash !== meant) return this.#break("edited", this.#here(), `${by} has another line ${expected}`);
    }
    this.#seq = expected;
    this.#head = hash;
    this.sound++;
    this.#previous = this.#here();
    return false;
  }

  torn(): boolean {
    this.#line++;
    if (this.#settle() !== null) return true;
    return this.#break("torn", this.#here(), "the last line has no end");
  }

  notALine(detail: string): boolean {
    this.#line++;
    if (this.#settle() !== null) return true;
    return this.#break("edited", this.#here(), detail);
  }

  /** The verdict when nothing more comes. */
  end(): AuditBreak | null {
    this.#settle();
    const farthest = this.#known.at(-1);
    if (this.#verdict === null && farthest !== undefined) {
      const at = { file: this.#file, line: this.#line + 1 };
      const range = `lines ${this.#seq + 1} to ${farthest.seq}`;
      this.#break("missing", at, `${range} are missing at the end; ${farthest.by} knows of them`);
    }
    return this.#verdict;
  }

  /** What is no line of ours counts to the old ones only where it stands behind one of them. */
  #isBeforeStart(seq: number | undefined): boolean {
    return seq === undefined ? this.skipped > 0 : seq <= this.#start.seq;
  }

  /** Doubts that no further line can clear. */
  #settle(): AuditBreak | null {
    if (this.#gap !== null) this.#missing(this.#gap);
    if (this.#unsealed !== null) this.#judgeUnsealed(this.#unsealed.hash);
    return this.#verdict;
  }

  #lookAhead(seq: number | undefined): boolean {
    const gap = this.#gap!;
    gap.looked++;
    if (seq === gap.seq) {
      this.#gap = null;
      return this.#break("reordered", gap.at, `line number ${gap.found} comes before ${gap.seq}`);
    }
    return gap.looked >= LOOK_AHEAD_LINES && this.#missing(gap);
  }

  #missing(gap: { at: Place; seq: number; found: number }): boolean {
    this.#gap = null;
    const range = gap.found - 1 === gap.seq ? `${gap.seq} is` : `${gap.seq} to ${gap.found - 1} are`;
    return this.#break("missing", gap.at, `line number ${range} missing before this line`);
  }

  /** `nextPrev`: what the line after says the doubtful line's hash is. */
  #judgeUnsealed(nextPrev: string | undefined): boolean {
    const { at, before, hash } = this.#unsealed!;
    this.#unsealed = null;
    if (nextPrev === hash && before !== null) {
      this.sound--;
      return this.#break("edited", before, "the next line seals other bytes than these");
    }
    return this.#break("edited", at, "this line does not seal the one before");
  }

  #here(): Place {
    return { file: this.#file, line: this.#line };
  }

  #break(rule: BreakRule, at: Place, detail: string): true {
    this.#verdict ??= { ...at, rule, detail };
    return true;
  }
}

const CLOSING_BRACE = 125;
