// `sanctum audit export`: the trail's requests for a spreadsheet, a notebook or another database.

import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { once } from "node:events";
import { dirname, extname } from "node:path";
import { Command, Option } from "commander";
import { systemClock, type Clock } from "../clock.ts";
import { syncFolder } from "../durable-write.ts";
import { auditFiles, printable, readTrail, type TrailEntry, type TrailReading } from "../layers/audit/index.ts";
import { csvLine } from "../reports/csv-line.ts";
import { createParquetRows } from "../reports/parquet-rows.ts";
import { PeriodError } from "../reports/period.ts";
import { trailColumns, type Cell, type TrailRow } from "../reports/trail-columns.ts";
import { troubleText } from "./audit-query.ts";
import type { Io } from "./io.ts";
import { Progress } from "./progress.ts";
import { exitFailed, exitUsage, Refusal } from "./refusal.ts";
import { aliasedProvider, type Settings } from "./settings.ts";
import { wantsColour } from "./table.ts";
import { addFilterOptions, filterOf, periodOf, type FilterOptions } from "./trail-filters.ts";

const formats = ["csv", "jsonl", "parquet"] as const;
type Format = (typeof formats)[number];

type ExportOptions = FilterOptions & {
  readonly since: string;
  readonly until?: string;
  readonly format?: Format;
  readonly output?: string;
};

const examples = `
Examples:
  sanctum audit export --since 2026-11 --output november.csv
  sanctum audit export --since 2026-01 --output trail.parquet      for DuckDB, pandas, Polars
  sanctum audit export --agent windu --format jsonl | jq .usd      the lines as they are in the trail

A file is put in its place when it is whole. In CSV, texts that a spreadsheet would run as a formula begin with an apostrophe.
`;

export function auditExportCommand(io: Io, settings: () => Promise<Settings>, clock: Clock = systemClock): Command {
  const command = new Command("export")
    .description("write the trail's requests as CSV, JSON lines or Parquet")
    .option("--since <when>", "from when on: 7d, 24h, today, yesterday, 2026-11-23, 2026-11, 2026-11-23T18:00", "7d")
    .option("--until <when>", "up to when; a day or a month is meant as a whole (default: now)")
    .addOption(new Option("--format <format>", "default: by the name of --output, else csv").choices(formats))
    .option("-o, --output <file>", "where to; without it to standard output (not Parquet)");
  return addFilterOptions(command)
    .addHelpText("after", examples)
    .action(async (options: ExportOptions) => {
      try {
        await exportTrail(io, await settings(), clock, options);
      } catch (error) {
        io.err(`sanctum: ${messageOf(error)}\n`);
        process.exitCode =
          error instanceof Refusal ? error.exitCode : error instanceof PeriodError ? exitUsage : exitFailed;
      }
    });
}

/** Takes rows; nothing of it is seen before `finish`. */
interface RowWriter {
  /** `row` reads the line's members, which costs as much as reading the line again. */
  add(line: string, row: () => TrailRow): void;
  /** Lets a slow reader catch up. */
  drained?(): Promise<void>;
  finish(): Promise<void>;
}

async function exportTrail(io: Io, settings: Settings, clock: Clock, options: ExportOptions): Promise<void> {
  const { auditFile, timezone, config } = settings;
  const { output } = options;
  const format = options.format ?? formatOf(output);
  if (format === "parquet" && output === undefined) throw new Refusal(exitUsage, "Parquet needs a file: --output FILE");
  const period = periodOf(options, timezone, clock.now());
  const files = auditFiles(auditFile);
  if (files.length === 0) throw new Refusal(exitFailed, `there is no audit trail yet at ${printable(auditFile)}`);
  const providerOf = aliasedProvider(config);
  const wanted = filterOf(options, providerOf);
  const progress = new Progress(io, clock, files, false);
  let rows = 0;
  let reading: TrailReading;
  const temporary = output === undefined ? null : `${output}.${process.pid}.new`;
  try {
    const writer = temporary === null ? toStandardOutput(io, format) : await toFile(temporary, format);
    const take = (entry: TrailEntry, line: string): void => {
      if (!wanted(entry)) return;
      rows++;
      writer.add(line, () => ({ entry, fields: JSON.parse(line) as Record<string, unknown>, providerOf }));
    };
    const onProgress = (lines: number, bytes: number): void | Promise<void> => {
      progress.show(lines, bytes);
      return writer.drained?.();
    };
    reading = await readTrail(files, { ...period, take, onProgress });
    await writer.finish();
    if (temporary !== null) putInPlace(temporary, output!);
  } finally {
    progress.end();
    if (temporary !== null) rmSync(temporary, { force: true });
  }
  io.err(troubleText(reading, wantsColour(io)));
  if (output !== undefined) io.out(`${rows} requests in ${printable(output)}\n`);
}

function formatOf(output: string | undefined): Format {
  const ending = extname(output ?? "")
    .slice(1)
    .toLowerCase();
  if (ending === "ndjson" || ending === "json") return "jsonl";
  return formats.find((format) => format === ending) ?? "csv";
}

async function toFile(file: string, format: Format): Promise<RowWriter> {
  if (!existsSync(dirname(file))) throw new Refusal(exitFailed, `there is no folder ${printable(dirname(file))}`);
  // The trail is its owner's alone, and so is what is made of it.
  const fd = openSync(file, "w", 0o600);
  if (format === "parquet") {
    closeSync(fd);
    const rows = await createParquetRows(file, trailColumns);
    return { add: (_line, row) => rows.add(cellsOf(row())), finish: () => rows.finish() };
  }
  return textWriter(
    format,
    (text) => {
      const bytes = Buffer.from(text);
      for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
    },
    () => closeSync(fd),
  );
}

function toStandardOutput(io: Io, format: Format): RowWriter {
  const writer = textWriter(
    format,
    (text) => io.out(text),
    () => undefined,
  );
  return {
    ...writer,
    drained: async () => {
      if (process.stdout.writableNeedDrain) await once(process.stdout, "drain");
    },
  };
}

const bufferChars = 65_536;

function textWriter(format: Format, write: (text: string) => void, close: () => void): RowWriter {
  let buffer = format === "csv" ? csvLine(trailColumns.map(({ name }) => name)) : "";
  return {
    add(line, row) {
      buffer += format === "csv" ? csvLine(csvCells(row())) : `${line}\n`;
      if (buffer.length < bufferChars) return;
      write(buffer);
      buffer = "";
    },
    async finish() {
      if (buffer !== "") write(buffer);
      close();
    },
  };
}

function cellsOf(row: TrailRow): Cell[] {
  return trailColumns.map(({ value }) => value(row));
}

function csvCells(row: TrailRow): Cell[] {
  return trailColumns.map(({ type, value }) => {
    const cell = value(row);
    return type === "time" && typeof cell === "number" ? new Date(cell).toISOString() : cell;
  });
}

function putInPlace(temporary: string, output: string): void {
  const fd = openSync(temporary, "r+");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, output);
  syncFolder(dirname(output));
}

function messageOf(error: unknown): string {
  if (error instanceof Refusal || error instanceof PeriodError) return error.message;
  return `the trail cannot be exported: ${error instanceof Error ? printable(error.message) : "unknown"}`;
}
