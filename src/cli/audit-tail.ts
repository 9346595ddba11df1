// `sanctum audit tail`: the newest requests, one a line, and those that come.

import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { systemClock } from "../clock.ts";
import { linesBackwards, parseTrailEntry, printable } from "../layers/audit/index.ts";
import { PeriodError, parseMoment } from "../reports/period.ts";
import type { AuditCommandParts } from "./audit.ts";
import type { Io } from "./io.ts";
import { aliasedProvider } from "./settings.ts";
import { painted, wantsColour, type Colour } from "./table.ts";
import { TrailFollower } from "./trail-follower.ts";
import { addFilterOptions, filterOf, type FilterOptions } from "./trail-filters.ts";

const examples = `
Examples:
  sanctum audit tail -f                                       what happens, as it happens
  sanctum audit tail -f --outcome 'refused_*,upstream_error'  only what went wrong
  sanctum audit tail --agent windu --min-usd 0.05 -n 50       the dear ones of an agent
  sanctum audit tail --since today --provider anthropic --json
`;

type TailOptions = FilterOptions & {
  readonly follow?: boolean;
  readonly lines?: number;
  readonly since?: string;
  readonly json?: boolean;
};

const usualLines = 20;

export function auditTailCommand(io: Io, parts: AuditCommandParts): Command {
  const command = new Command("tail")
    .description("show the newest requests, one a line")
    .option("-f, --follow", "go on with new ones, also when the file is rotated")
    .option("-n, --lines <count>", `how many (default: ${usualLines}; all where --since is given)`, parseCount)
    .option("--since <when>", "only from then on: 1h, today, 2026-11-23, 2026-11-23T18:00");
  return addFilterOptions(command)
    .option("--json", "the lines as they are in the file")
    .addHelpText("after", examples)
    .action((options: TailOptions) => tail(io, parts, options));
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 0) throw new InvalidArgumentError("a whole number is needed.");
  return count;
}

async function tail(io: Io, parts: AuditCommandParts, options: TailOptions): Promise<void> {
  const { auditFile, timezone, config } = await parts.settings();
  if (!existsSync(dirname(auditFile))) {
    io.err(`sanctum: there is no audit trail yet at ${printable(auditFile)}\n`);
    process.exitCode = 1;
    return;
  }
  let sinceMs = Number.NEGATIVE_INFINITY;
  try {
    if (options.since !== undefined) sinceMs = parseMoment(options.since, "start", timezone, systemClock.now());
  } catch (error) {
    if (!(error instanceof PeriodError)) throw error;
    io.err(`sanctum: ${error.message}\n`);
    process.exitCode = 2;
    return;
  }
  const wanted = wantedLines(options, aliasedProvider(config), sinceMs);
  const colour = wantsColour(io);
  const show = (line: string): void => {
    if (!wanted(line)) return;
    if (options.json === true) io.out(`${line}\n`);
    else io.out(`${entryText(readEntry(line), line, colour)}\n`);
  };
  // From before the old lines are read, so that none comes between.
  const follower = options.follow === true ? new TrailFollower(auditFile) : null;
  const count = options.lines ?? (options.since === undefined ? usualLines : Number.POSITIVE_INFINITY);
  for (const line of newest(auditFile, count, wanted, sinceMs)) show(line);
  if (follower !== null) await follower.run(show, parts.signal);
}

/** What is no line of ours is shown where nothing is asked for in particular. */
function wantedLines(
  options: TailOptions,
  providerOf: (candidate: string) => string | null,
  sinceMs: number,
): (line: string) => boolean {
  const filter = filterOf(options, providerOf);
  const anything = Object.keys(options).every((name) => ["follow", "lines", "json"].includes(name));
  return (line) => {
    const entry = parseTrailEntry(line);
    return entry === null ? anything : entry.at >= sinceMs && filter(entry);
  };
}

/** How far a clock may have been set back before older lines are overlooked. */
const clockSlackMs = 3_600_000;

/** The newest fitting lines of the whole trail, oldest first. */
function newest(file: string, count: number, wanted: (line: string) => boolean, sinceMs: number): string[] {
  const found: string[] = [];
  if (count === 0) return found;
  for (const bytes of linesBackwards(file)) {
    // Ours are ASCII; what somebody else has written is shown as it was meant.
    const line = Buffer.from(bytes, "latin1").toString("utf8");
    if (wanted(line)) found.push(line);
    if (found.length >= count) break;
    // Lines stand in the order of completion: what ended before then had arrived before it, too.
    const entry = sinceMs === Number.NEGATIVE_INFINITY ? null : parseTrailEntry(line);
    if (entry !== null && entry.at + entry.ms + clockSlackMs < sinceMs) break;
  }
  return found.toReversed();
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
