// The report as tables: for the terminal and as Markdown, which is readable as it is.

import type { Aim, Row, Summary } from "./summary.ts";
import type { Machine } from "./machine.ts";
import type { SystemName } from "./systems.ts";

export interface Report {
  /** ISO, with the minute in which the run began. */
  readonly date: string;
  readonly extent: string;
  readonly rounds: number;
  readonly machine: Machine;
  /** Name, version and what it is. */
  readonly systems: readonly { readonly name: SystemName; readonly version: string; readonly about: string }[];
  /** What could not be run, and why. */
  readonly missing: readonly string[];
  /** Shares of the machine's CPU time that went to others while the run took place, 0…1. */
  readonly disturbance: { readonly others: number; readonly stolen: number };
  readonly summary: Summary;
  readonly aims: readonly Aim[];
}

type Column = readonly [title: string, value: (row: Row) => string];

export function markdownOf(report: Report): string {
  const { machine, summary, disturbance } = report;
  const parts = [
    `# Benchmark of ${report.date}`,
    `${report.extent} run, ${report.rounds} round(s): medians over rounds, memory peaks are the highest. ` +
      `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGigabytes} GB, ${machine.kernel}, files on ${machine.filesystem}.`,
    `Other processes took ${percent(disturbance.others)} of the machine's CPU time during the run, the host ${percent(disturbance.stolen)}.` +
      (disturbance.others + disturbance.stolen > 0.05 ? " **Not a quiet machine: do not quote these figures.**" : ""),
    "## Aims",
    table(["aim", "limit", "measured", "verdict"], report.aims.map(aimLine)),
    "## 1 KB requests",
    rowsTable(summary.rows, "1 KB", [...requestColumns(summary.rows), ...latencyColumns]),
    "## Streams of 200 events, as fast as they come",
    rowsTable(summary.rows, "200 events", [
      ["streams/s", (row) => count(row.perSecond)],
      ["CPU µs/stream", (row) => count(row.cpuMicroseconds)],
      ["CPU µs/event", (row) => oneDecimal(row.cpuMicroseconds / 200)],
      ...latencyColumns,
    ]),
    "## Large requests",
    rowsTable(
      summary.rows,
      ["200 KB", "1 MB"],
      [
        ["body", (row) => row.load],
        ["requests/s", (row) => count(row.perSecond)],
        ["CPU µs/request", (row) => count(row.cpuMicroseconds)],
        ...latencyColumns,
      ],
    ),
    "## 1,000 streams at once, 10 events a second each",
    rowsTable(summary.rows, "streams", [
      ["events/s", (row) => count(row.perSecond)],
      ["CPU µs/event", (row) => oneDecimal(row.cpuMicroseconds)],
      ["delay p50 µs", (row) => count(row.p50Microseconds)],
      ["delay p99 µs", (row) => count(row.p99Microseconds)],
      ["added p50 µs", (row) => count(row.addedP50Microseconds)],
      ["added p99 µs", (row) => count(row.addedP99Microseconds)],
    ]),
    "## Resident memory, MB",
    memoryTable(summary),
    "## Systems",
    table(
      ["system", "version", "what"],
      report.systems.map(({ name, version, about }) => [name, version, about]),
    ),
    ...report.missing.map((line) => `- Left out: ${line}`),
    ...failuresOf(summary.rows),
  ];
  return `${parts.join("\n\n")}\n`;
}

const latencyColumns: readonly Column[] = [
  ["p50 µs", (row) => count(row.p50Microseconds)],
  ["p99 µs", (row) => count(row.p99Microseconds)],
  ["added p50 µs", (row) => count(row.addedP50Microseconds)],
  ["added p99 µs", (row) => count(row.addedP99Microseconds)],
];

function requestColumns(rows: readonly Row[]): Column[] {
  const bare = rows.find((row) => row.system === "bare-bun" && row.load === "1 KB")?.cpuMicroseconds ?? NaN;
  return [
    ["requests/s", (row) => count(row.perSecond)],
    ["CPU µs/request", (row) => oneDecimal(row.cpuMicroseconds)],
    ["of bare Bun", (row) => times(row.cpuMicroseconds / bare)],
  ];
}

function rowsTable(
  rows: readonly Row[],
  load: Row["load"] | readonly Row["load"][],
  columns: readonly Column[],
): string {
  const chosen = rows.filter((row) => [load].flat().includes(row.load));
  const titles = ["system", "route", ...columns.map(([title]) => title)];
  return table(
    titles,
    chosen.map((row) => [row.system, row.route, ...columns.map(([, value]) => value(row))]),
  );
}

function memoryTable({ rows, idleMegabytes }: Summary): string {
  const peak = (system: SystemName, load: Row["load"]): number =>
    Math.max(...rows.filter((row) => row.system === system && row.load === load).map((row) => row.peakMegabytes));
  return table(
    ["system", "idle", "1 KB requests", "200 KB", "1 MB", "1,000 streams"],
    [...idleMegabytes].map(([system, idle]) => [
      system,
      oneDecimal(idle),
      ...(["1 KB", "200 KB", "1 MB", "streams"] as const).map((load) => oneDecimal(peak(system, load))),
    ]),
  );
}

function aimLine({ aim, limit, measured, unit, verdict }: Aim): string[] {
  const text = unit === "×" ? times : (value: number): string => finite(value, `${value.toFixed(2)} ${unit}`);
  const by = `missed by ${text(measured - limit)} (${percent(measured / limit - 1)})`;
  return [aim, `≤ ${text(limit)}`, text(measured), verdict === "missed" ? by : verdict];
}

/** A figure with failures behind it must not pass for one without. */
function failuresOf(rows: readonly Row[]): string[] {
  const bad = rows.filter((row) => row.failed > 0);
  if (bad.length === 0) return [];
  const lines = bad.map((row) => [row.system, row.route, row.load, count(row.failed), row.firstFailure ?? ""]);
  return ["## Failed requests", table(["system", "route", "load", "failed", "first failure"], lines)];
}

function table(titles: readonly string[], lines: readonly (readonly string[])[]): string {
  const widths = titles.map((title, at) => Math.max(title.length, ...lines.map((line) => line[at]!.length)));
  const numeric = titles.map((_, at) => lines.every((line) => /^[-\d–≤]/.test(line[at]!)));
  const format = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => (numeric[at] === true ? cell.padStart(widths[at]!) : cell.padEnd(widths[at]!))).join(" | ")} |`;
  const rule = widths.map((width, at) => (numeric[at] === true ? `${"-".repeat(width + 1)}:` : "-".repeat(width + 2)));
  return [format(titles), `|${rule.join("|")}|`, ...lines.map(format)].join("\n");
}

const dash = "–";
const finite = (value: number, text: string): string => (Number.isFinite(value) ? text : dash);
const count = (value: number): string => finite(value, Math.round(value).toLocaleString("en-US"));
const oneDecimal = (value: number): string => finite(value, value.toFixed(1));
const times = (value: number): string => finite(value, `${value.toFixed(2)}×`);
const percent = (share: number): string => finite(share, `${(share * 100).toFixed(1)} %`);
