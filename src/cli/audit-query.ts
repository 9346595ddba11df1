// `sanctum audit query`: sums of the trail, by whatever its lines tell. Reads the files, so it works without a gateway.

import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { systemClock, type Clock } from "../clock.ts";
import { auditFiles, printable, readTrail, type TrailReading } from "../layers/audit/index.ts";
import { TrailGroups, dimensions, type Dimension, type Group, type Sums } from "../reports/group-trail.ts";
import { Calendar, PeriodError } from "../reports/period.ts";
import type { Io } from "./io.ts";
import { Progress } from "./progress.ts";
import { aliasedProvider, type Settings } from "./settings.ts";
import { tableText, wantsColour, type Cell } from "./table.ts";
import { addFilterOptions, filterOf, periodOf, type FilterOptions } from "./trail-filters.ts";

const exitFailed = 1;
const exitUsage = 2;

type QueryOptions = FilterOptions & {
  readonly since: string;
  readonly until?: string;
  readonly by: readonly Dimension[];
  readonly sort?: SortKey;
  readonly limit?: number;
  readonly json?: boolean;
};

const sortKeys = ["cost", "requests", "tokens", "name"] as const;
type SortKey = (typeof sortKeys)[number];

const examples = `
Examples:
  sanctum audit query --since 7d --by agent,model      what each agent spent on which model
  sanctum audit query --since 2026-11 --by day         one line a day of November
  sanctum audit query --since today --outcome 'refused_*' --by agent,outcome
  sanctum audit query --agent windu --cloud --by served_by --json

Times are in the time zone of the configuration. \`model\` is the name that was asked for, \`served_by\` who answered. With
\`provider\`, money is shown where it was paid, and the request where it was answered.
`;

export function auditQueryCommand(io: Io, settings: () => Promise<Settings>, clock: Clock = systemClock): Command {
  const command = new Command("query")
    .description("sum up requests, tokens and money of the trail")
    .option("--since <when>", "from when on: 7d, 24h, today, yesterday, 2026-11-23, 2026-11, 2026-11-23T18:00", "7d")
    .option("--until <when>", "up to when; a day or a month is meant as a whole (default: now)")
    .addOption(
      new Option("--by <columns>", `group by any of ${dimensions.join(", ")}`)
        .argParser(parseDimensions)
        .default(["agent", "model"], "agent,model"),
    );
  return addFilterOptions(command)
    .option(
      "--sort <key>",
      `${sortKeys.join(", ")} (default: cost; name where grouped by day or hour first)`,
      parseSort,
    )
    .option("--limit <count>", "show only the first groups", parseLimit)
    .option("--json", "print JSON")
    .addHelpText("after", examples)
    .action((options: QueryOptions) => query(io, settings, clock, options));
}

async function query(io: Io, settings: () => Promise<Settings>, clock: Clock, options: QueryOptions): Promise<void> {
  const { auditFile, timezone, config } = await settings();
  let period: { sinceMs: number; untilMs: number };
  try {
    period = periodOf(options, timezone, clock.now());
  } catch (error) {
    if (!(error instanceof PeriodError)) throw error;
    io.err(`sanctum: ${error.message}\n`);
    process.exitCode = exitUsage;
    return;
  }
  if (!existsSync(dirname(auditFile)) || auditFiles(auditFile).length === 0) {
    io.err(`sanctum: there is no audit trail yet at ${printable(auditFile)}\n`);
    process.exitCode = exitFailed;
    return;
  }
  const calendar = new Calendar(timezone);
  const providerOf = aliasedProvider(config);
  const groups = new TrailGroups({ by: options.by, calendar, providerOf });
  const wanted = filterOf(options, providerOf);
  const files = auditFiles(auditFile);
  const progress = new Progress(io, clock, files, options.json === true);
  let reading: TrailReading;
  try {
    reading = await readTrail(files, {
      ...period,
      take: (entry) => {
        if (wanted(entry)) groups.add(entry);
      },
      onProgress: progress.show,
    });
  } catch (error) {
    io.err(
      `sanctum: the audit trail cannot be read: ${error instanceof Error ? printable(error.message) : "unknown"}\n`,
    );
    process.exitCode = exitFailed;
    return;
  } finally {
    progress.end();
  }
  const sorted = sortedGroups(groups.groups(), options);
  const shown = options.limit === undefined ? sorted : sorted.slice(0, options.limit);
  const report = { ...period, timezone, by: options.by, shown, all: sorted.length, total: groups.total, reading };
  io.out(options.json === true ? jsonText(report) : reportText(report, wantsColour(io)));
}

interface Report {
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly timezone: string;
  readonly by: readonly Dimension[];
  readonly shown: readonly Group[];
  readonly all: number;
  readonly total: Sums;
  readonly reading: TrailReading;
}

function reportText(report: Report, colour: boolean): string {
  const { by, shown, all, total, reading } = report;
  const range = `${localTime(report.sinceMs, report.timezone)} to ${localTime(report.untilMs, report.timezone)}`;
  if (total.requests === 0) return `no requests from ${range} (${report.timezone})\n${troubleText(reading, colour)}`;
  const head = [...by, "req", "cloud", "local", "fallb", "refused", "errors", "input", "output", "spent", "saved"];
  const rows: Cell[][] = [head.map((text) => ({ text, colour: "dim" }))];
  for (const { values, sums } of shown) rows.push([...values.map(printable), ...sumCells(sums)]);
  if (by.length > 0) {
    const left = all - shown.length;
    if (left > 0) rows.push([{ text: `… ${left} more`, colour: "dim" }]);
  }
  const label = by.map((_, i): Cell => (i === 0 ? { text: "total", colour: "bold" } : ""));
  rows.push([...label, ...sumCells(total)]);
  const right = head.map((_, i) => i).slice(by.length);
  return `${tableText(rows, right, colour)}${range} (${report.timezone})\n${troubleText(reading, colour)}`;
}

function sumCells(sums: Sums): Cell[] {
  return [
    String(sums.requests),
    String(sums.cloud),
    String(sums.local),
    String(sums.fallbacks),
    sums.refused > 0 ? { text: String(sums.refused), colour: "yellow" } : "0",
    sums.errors > 0 ? { text: String(sums.errors), colour: "red" } : "0",
    String(sums.inputTokens),
    String(sums.outputTokens),
    `$${(sums.micros / 1_000_000).toFixed(6)}`,
    `$${(sums.savedMicros / 1_000_000).toFixed(6)}`,
  ];
}

/** What the figures leave out; empty where that is nothing. */
export function troubleText({ unreadable, firstUnreadable, missing }: TrailReading, colour: boolean): string {
  const told: string[] = [];
  if (unreadable > 0 && firstUnreadable !== null) {
    const place = `${printable(firstUnreadable.file)}:${firstUnreadable.line}`;
    told.push(`${unreadable} ${unreadable === 1 ? "line" : "lines"} could not be read, the first at ${place}`);
  }
  if (missing > 0) told.push(`${missing} ${missing === 1 ? "line is" : "lines are"} missing from the trail`);
  if (told.length === 0) return "";
  const text = `${told.join("; ")}. The sums are without them; \`sanctum audit verify\` tells more.\n`;
  return colour ? `\u001b[33m${text}\u001b[0m` : text;
}

function jsonText(report: Report): string {
  const { reading } = report;
  const document = {
    since: new Date(report.sinceMs).toISOString(),
    until: new Date(report.untilMs).toISOString(),
    timezone: report.timezone,
    by: report.by,
    groups: report.shown.map(({ values, sums }) => ({
      group: Object.fromEntries(report.by.map((dimension, i) => [dimension, values[i]])),
      ...sumsJson(sums),
    })),
    groups_left_out: report.all - report.shown.length,
    total: sumsJson(report.total),
    trail: {
      files: reading.files,
      files_skipped: reading.skippedFiles,
      lines: reading.lines,
      unreadable_lines: reading.unreadable,
      first_unreadable: reading.firstUnreadable,
      missing_lines: reading.missing,
    },
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function sumsJson(sums: Sums): Readonly<Record<string, number>> {
  return {
    requests: sums.requests,
    cloud: sums.cloud,
    local: sums.local,
    fallbacks: sums.fallbacks,
    refused: sums.refused,
    errors: sums.errors,
    input_tokens: sums.inputTokens,
    output_tokens: sums.outputTokens,
    usd: sums.micros / 1_000_000,
    saved_usd: sums.savedMicros / 1_000_000,
  };
}

function sortedGroups(groups: Group[], { sort, by }: QueryOptions): Group[] {
  const key = sort ?? (by[0] === "day" || by[0] === "hour" ? "name" : "cost");
  const names = ({ values }: Group): string => values.join("\u0000");
  const weight = ({ sums }: Group): number => {
    if (key === "requests") return sums.requests;
    return key === "tokens" ? sums.inputTokens + sums.outputTokens : sums.micros;
  };
  return groups.sort((a, b) => {
    const more = key === "name" ? 0 : weight(b) - weight(a) || b.sums.requests - a.sums.requests;
    return more !== 0 ? more : names(a) < names(b) ? -1 : 1;
  });
}

function parseDimensions(text: string): Dimension[] {
  if (text.trim() === "") return [];
  const names = text.split(",").map((part) => part.trim());
  const unknown = names.find((name) => !dimensions.some((known) => known === name));
  if (unknown !== undefined) throw new InvalidArgumentError(`"${unknown}" is none of ${dimensions.join(", ")}.`);
  return [...new Set(names)] as Dimension[];
}

function parseSort(text: string): SortKey {
  const found = sortKeys.find((key) => key === text);
  if (found === undefined) throw new InvalidArgumentError(`it is one of ${sortKeys.join(", ")}.`);
  return found;
}

function parseLimit(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) throw new InvalidArgumentError("a whole number from 1 is needed.");
  return count;
}

function localTime(ms: number, zone: string): string {
  const at = Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(zone);
  return `${at.toPlainDate().toString()} ${at.toPlainTime().toString({ smallestUnit: "minute" })}`;
}
