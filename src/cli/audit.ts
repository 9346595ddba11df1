// `sanctum audit tail`, `verify` and `query`. They read the files, so they work without a running gateway.

import { closeSync, existsSync, openSync, readSync, statSync, watch } from "node:fs";
import { dirname } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import {
  auditFiles,
  lastLines,
  printable,
  readPruned,
  verifyAudit,
  CHAIN_START,
  type ChainPosition,
  type VerifyResult,
} from "../layers/audit/index.ts";
import { auditQueryCommand } from "./audit-query.ts";
import type { Io } from "./io.ts";
import type { Settings } from "./settings.ts";
import { painted, wantsColour, type Colour } from "./table.ts";

export interface AuditCommandParts {
  readonly settings: () => Promise<Settings>;
  /** Where the running gateway says its chain stands; null: none runs, or its trail is faulty. */
  readonly anchor: () => Promise<ChainPosition | null>;
  /** Ends `tail -f`. */
  readonly signal?: AbortSignal;
}

/** `sanctum audit …` */
export function auditCommand(io: Io, parts: AuditCommandParts): Command {
  const command = new Command("audit").description("read, check and sum up the audit trail");
  command
    .command("tail")
    .description("show the newest requests, one a line")
    .option("-f, --follow", "go on with new ones")
    .option("-n, --lines <count>", "how many", parseCount, 20)
    .option("--agent <name>", "only this agent's")
    .option("--json", "the lines as they are in the file")
    .action((options: TailOptions) => tail(io, parts, options));
  command
    .command("verify")
    .description("check that no line was changed, removed, added or moved; exit code 1 if one was")
    .argument("[files...]", "files in order; without any: the configured trail with its rotated files")
    .option("--json", "print the result as JSON")
    .action((files: string[], options: { json?: boolean }) => verify(io, parts, files, options.json === true));
  return command.addCommand(auditQueryCommand(io, parts.settings));
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 0) throw new InvalidArgumentError("a whole number is needed.");
  return count;
}

async function verify(io: Io, parts: AuditCommandParts, given: readonly string[], json: boolean): Promise<void> {
  let result: VerifyResult;
  try {
    const configured = given.length === 0 ? (await parts.settings()).auditFile : null;
    // Asked before the files are read: what the gateway writes meanwhile only makes the trail longer.
    const anchor = configured === null ? null : await parts.anchor();
    result = await verifyAudit(configured === null ? given : auditFiles(configured), {
      start: configured === null ? CHAIN_START : readPruned(configured),
      ...(anchor === null ? {} : { anchor }),
      onProgress: (lines) => {
        if (io.isTty && !json) io.err(`\r${lines} lines`);
      },
    });
  } catch (error) {
    io.err(`the audit trail cannot be read: ${error instanceof Error ? printable(error.message) : "unknown"}\n`);
    process.exitCode = 1;
    return;
  }
  if (io.isTty && !json) io.err("\r");
  if (!result.ok) process.exitCode = 1;
  io.out(json ? `${JSON.stringify(result, null, 2)}\n` : verdictText(result, wantsColour(io)));
}

function verdictText(result: VerifyResult, colour: boolean): string {
  const { broken } = result;
  if (broken === null) {
    const good = painted("the chain is whole", "green", colour);
    return `${good}: ${result.lines} lines in ${result.files} files, head ${result.last.head}\n`;
  }
  const place = `${printable(broken.file)}:${broken.line}`;
  return `${painted(broken.rule, "red", colour)}: ${place}: ${broken.detail}\n${result.lines} lines before it are sound\n`;
}

interface TailOptions {
  readonly follow?: boolean;
  readonly lines: number;
  readonly agent?: string;
  readonly json?: boolean;
}

/** So much of the end of a file is searched for the newest lines. */
const SEARCH_BYTES = 16 * 1024 * 1024;

async function tail(io: Io, parts: AuditCommandParts, options: TailOptions): Promise<void> {
  const file = (await parts.settings()).auditFile;
  if (!existsSync(dirname(file))) {
    io.err(`there is no audit trail yet at ${printable(file)}\n`);
    process.exitCode = 1;
    return;
  }
  const show = (line: string): void => {
    const entry = readEntry(line);
    if (options.agent !== undefined && entry?.agent !== options.agent) return;
    if (options.json === true) io.out(`${line}\n`);
    else io.out(`${entryText(entry, line, wantsColour(io))}\n`);
  };
  const follower = options.follow === true ? new Follower(file) : null;
  for (const line of newest(file, options)) show(line);
  if (follower !== null) await follower.run(show, parts.signal);
}

/** The newest lines of the whole trail, oldest first. */
function newest(file: string, options: TailOptions): string[] {
  let found: string[] = [];
  for (const path of auditFiles(file).toReversed()) {
    if (found.length >= options.lines) break;
    const lines = lastLines(path, Number.MAX_SAFE_INTEGER, SEARCH_BYTES);
    found = [
      ...lines.filter((line) => options.agent === undefined || readEntry(line)?.agent === options.agent),
      ...found,
    ];
  }
  return options.lines === 0 ? [] : found.slice(-options.lines);
}

/** Reads what is appended to a file from its present end on, across rotation. */
class Follower {
  readonly #file: string;
  #inode = 0;
  #offset = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(file: string) {
    this.#file = file;
    const seen = statSync(file, { throwIfNoEntry: false });
    if (seen === undefined) return;
    this.#inode = seen.ino;
    this.#offset = seen.size;
  }

  /** Until `signal` aborts; without one, for ever. A folder that tells no changes is looked at twice a second anyway. */
  async run(show: (line: string) => void, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => this.#read(show);
    const timer = setInterval(look, 500);
    const watcher = watch(dirname(this.#file), look);
    // A folder that is taken away: the timer goes on looking.
    watcher.on("error", () => watcher.close());
    if (signal?.aborted === true) resolve();
    signal?.addEventListener("abort", () => resolve(), { once: true });
    await promise;
    clearInterval(timer);
    watcher.close();
    look();
  }

  #read(show: (line: string) => void): void {
    const seen = statSync(this.#file, { throwIfNoEntry: false });
    if (seen === undefined) return;
    if (seen.ino !== this.#inode || seen.size < this.#offset) {
      this.#finishRotated(show);
      this.#inode = seen.ino;
      this.#offset = 0;
      this.#rest = Buffer.alloc(0);
    }
    this.#readFrom(this.#file, seen.size, show);
  }

  /** The file was moved aside: what came before the move is still in it. */
  #finishRotated(show: (line: string) => void): void {
    for (const path of auditFiles(this.#file)) {
      const seen = statSync(path, { throwIfNoEntry: false });
      if (path !== this.#file && seen?.ino === this.#inode) this.#readFrom(path, seen.size, show);
    }
  }

  #readFrom(path: string, size: number, show: (line: string) => void): void {
    const fd = openSync(path, "r");
    try {
      const chunk = Buffer.alloc(65_536);
      while (this.#offset < size) {
        const read = readSync(fd, chunk, 0, chunk.length, this.#offset);
        if (read === 0) break;
        this.#offset += read;
        this.#take(chunk.subarray(0, read), show);
      }
    } finally {
      closeSync(fd);
    }
  }

  #take(bytes: Buffer, show: (line: string) => void): void {
    const lines = Buffer.concat([this.#rest, bytes]);
    let start = 0;
    for (let end = lines.indexOf(10); end >= 0; end = lines.indexOf(10, start)) {
      show(lines.toString("utf8", start, end));
      start = end + 1;
    }
    this.#rest = Buffer.from(lines.subarray(start));
  }
}

interface ShownEntry {
  readonly ts: string;
  readonly agent: string;
  readonly requested: string;
  readonly served: string;
  readonly outcome: string;
  readonly usd: number;
  readonly ms: number;
}

/** Null: not an audit line. */
function readEntry(line: string): ShownEntry | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null; // Shown as it is.
  }
  if (typeof value !== "object" || value === null) return null;
  const fields: Readonly<Record<string, unknown>> = { ...value };
  const text = (key: string): string => (typeof fields[key] === "string" ? fields[key] : "–");
  const count = (key: string): number => (typeof fields[key] === "number" ? fields[key] : 0);
  return {
    ts: text("ts"),
    agent: text("agent"),
    requested: text("requested_model"),
    served: text("served_by"),
    outcome: text("outcome"),
    usd: count("usd"),
    ms: count("ms"),
  };
}

function entryText(entry: ShownEntry | null, line: string, colour: boolean): string {
  if (entry === null) return painted(`not an audit line: ${printable(line.slice(0, 80))}`, "red", colour);
  const at = new Date(entry.ts);
  const time = Number.isNaN(at.getTime()) ? "–" : localTime(at);
  const model =
    entry.requested === entry.served
      ? printable(entry.served)
      : `${printable(entry.requested)} → ${printable(entry.served)}`;
  const outcome = painted(printable(entry.outcome).padEnd(14), colourOf(entry.outcome), colour);
  const agent = printable(entry.agent).padEnd(10);
  return `${time}  ${agent}  ${outcome}  $${entry.usd.toFixed(6)}  ${String(entry.ms).padStart(6)} ms  ${model}`;
}

function localTime(at: Date): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

function colourOf(outcome: string): Colour {
  if (outcome === "ok") return "green";
  return outcome.startsWith("refused_") || outcome === "client_gone" ? "yellow" : "red";
}
