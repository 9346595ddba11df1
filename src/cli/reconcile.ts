// `sanctum reconcile`: the ledger, the audit trail and a provider's own account against each other.

import { readFileSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { createAdminClient, NotRunningError } from "../admin/admin-client.ts";
import { systemClock, type Clock } from "../clock.ts";
import { auditFiles, printable, readPruned, readTrail, type TrailReading } from "../layers/audit/index.ts";
import { openLedgerFile, type LedgerReport, type LedgerRequest } from "../layers/budget/index.ts";
import { Calendar, PeriodError, parseMoment } from "../reports/period.ts";
import { PriceDrifts } from "../reports/price-drift.ts";
import {
  ExportError,
  parseExport,
  understoodExports,
  type ProviderExport,
  type RowFilter,
} from "../reports/provider-export.ts";
import { TrailByAgent, type LedgerSide } from "../reports/reconcile-ledger.ts";
import { TrailByModel, type ProviderSide } from "../reports/reconcile-provider.ts";
import type { Io } from "./io.ts";
import { reconcileJson, reconcileText, type ProviderResult, type Reconciliation } from "./reconcile-text.ts";
import { aliasedProvider, type Settings } from "./settings.ts";
import { wantsColour } from "./table.ts";

const exitDiffers = 1;
const exitUsage = 2;
const maxExportBytes = 256 * 1024 * 1024;
const dayMs = 86_400_000;

export interface ReconcileOptions {
  readonly since: string;
  readonly until?: string;
  readonly provider?: string;
  readonly only?: readonly RowFilter[];
  readonly tolerance: number;
  readonly all?: boolean;
  readonly json?: boolean;
}

const help = `
Exit code 0: the books agree; 1: they differ, or cannot be read; 2: the command line can't be understood.

Examples:
  sanctum reconcile                                    the ledger and the audit trail, 30 days back
  sanctum reconcile openai-costs.csv                   OpenAI's own account as well
  sanctum reconcile costs.csv --only api_key=sanctum   only the rows of the gateway's own key
  sanctum reconcile --since today --json

Days of the ledger are those of the configuration's time zone, days of a provider those of UTC. A day that is not over is
not compared with a provider, whose accounts come late. Exports that are understood, by their columns:
${understoodExports.map((line) => `  ${line}\n`).join("")}`;

export interface ReconcileParts {
  readonly settings: () => Promise<Settings>;
  readonly clock?: Clock;
}

export function reconcileCommand(io: Io, parts: ReconcileParts): Command {
  return new Command("reconcile")
    .description("compare the ledger, the audit trail and a provider's own account; exit code 1 if they differ")
    .argument("[exports...]", "usage or cost files that a provider's console or API has exported, CSV or JSON")
    .option("--since <when>", "first day: 30d, yesterday, 2026-11-01, 2026-11", "30d")
    .option("--until <when>", "last day (default: today)")
    .option(
      "--provider <name>",
      "whose account it is, where the file does not tell or the provider has a name of its own",
    )
    .option("--only <column=value>", "only these rows of the export; may be given again", addFilter)
    .option("--tolerance <percent>", "how much a provider's figure may differ", parsePercent, 2)
    .option("--all", "show also what agrees")
    .option("--json", "print JSON")
    .addHelpText("after", help)
    .action((files: string[], options: ReconcileOptions) => reconcile(io, parts, files, options));
}

/** What stands in the way; the message says what to do. */
class Refusal extends Error {
  override readonly name = "Refusal";
  readonly exitCode: number;
  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

async function reconcile(io: Io, parts: ReconcileParts, files: string[], options: ReconcileOptions): Promise<void> {
  try {
    const result = await compared(io, parts, files, options);
    const all = [result.ledger, ...result.providers.map(({ comparisons }) => comparisons)].flat();
    io.out(
      options.json === true ? reconcileJson(result) : reconcileText(result, options.all === true, wantsColour(io)),
    );
    if (all.some(({ agrees }) => !agrees)) process.exitCode = exitDiffers;
  } catch (error) {
    if (!(error instanceof Refusal) && !(error instanceof PeriodError)) throw error;
    io.err(`sanctum: ${error.message}\n`);
    process.exitCode = error instanceof Refusal ? error.exitCode : exitUsage;
  }
}

async function compared(
  io: Io,
  { settings, clock = systemClock }: ReconcileParts,
  files: readonly string[],
  options: ReconcileOptions,
): Promise<Reconciliation> {
  const { auditFile, timezone, config } = await settings();
  const now = clock.now();
  const calendar = new Calendar(timezone);
  const since = calendar.day(parseMoment(options.since, "start", timezone, now));
  const until = calendar.day(options.until === undefined ? now : parseMoment(options.until, "end", timezone, now) - 1);
  if (since > until) throw new PeriodError("--since must be before --until");
  const sides = files.map((file) => providerSide(file, options, aliasedProvider(config)));

  // Asked first: what the gateway writes after this is left aside.
  await using ledger = await askLedger(io, since);
  const byAgent = new TrailByAgent(calendar, ledger);
  const byModel = sides.map((side) => new TrailByModel(side));
  const drifts = new PriceDrifts(calendar);
  let firstAt = Number.POSITIVE_INFINITY;
  const reading = await readWholeTrail(auditFile, {
    sinceMs: Math.min(parseMoment(since, "start", timezone, now), ...sides.map(firstMoment)) - dayMs,
    take: (entry) => {
      firstAt = Math.min(firstAt, entry.at);
      byAgent.add(entry);
      for (const each of byModel) each.add(entry);
      const day = calendar.day(entry.at);
      if (day >= since && day <= until) drifts.add(entry);
    },
  });
  // Of a trail whose oldest files were deleted, the first day is not whole.
  const cut = readPruned(auditFile).seq > 0 && reading.skippedFiles === 0 && Number.isFinite(firstAt);
  const wholeSince = cut ? dayAfter(calendar.day(firstAt)) : since;
  const wholeSinceUtc = cut ? dayAfter(utcDay(firstAt)) : "";
  const ledgerSince = wholeSince > since ? wholeSince : since;
  return {
    since: ledgerSince,
    until,
    timezone,
    ledger: await byAgent.compare(ledgerSince, until),
    inProgress: ledger.open.length,
    providers: byModel.map((each, i) => providerResult(sides[i]!, each, wholeSinceUtc, now)),
    drifts: drifts.told(),
    trail: reading,
    trailCutAt: cut && wholeSince > since ? wholeSince : null,
  };
}

function providerResult(side: NamedSide, trail: TrailByModel, wholeSince: string, now: number): ProviderResult {
  const days = side.report.rows.map(({ day }) => day).sort();
  const yesterday = utcDay(now - dayMs);
  const [first, last] = [days[0] ?? "", days.at(-1) ?? ""];
  const since = first > wholeSince ? first : wholeSince;
  const until = last < yesterday ? last : yesterday;
  return {
    file: side.file,
    provider: side.provider,
    format: side.report.format,
    more: side.report.more,
    since,
    until,
    leftOut: days.filter((day) => day < since || day > until).length,
    comparisons: trail.compare(since, until),
  };
}

// ---------------------------------------------------------------------------------------------------------- the sides

type OpenLedger = LedgerSide & AsyncDisposable;

/** From the gateway that runs, else from its file. */
async function askLedger(io: Io, since: string): Promise<OpenLedger> {
  const admin = createAdminClient(join(io.home, "run/admin.sock"));
  try {
    const asked = JSON.parse(await admin.get(`/ledger?since=${since}`)) as LedgerReport & { trail_seq: number };
    return {
      days: asked.days,
      open: asked.open,
      trailSeq: asked.trail_seq,
      requests: async (agent, day) =>
        JSON.parse(
          await admin.get(`/ledger/requests?agent=${encodeURIComponent(agent)}&day=${day}`),
        ) as LedgerRequest[],
      [Symbol.asyncDispose]: async () => undefined,
    };
  } catch (error) {
    if (!(error instanceof NotRunningError)) throw new Refusal(exitDiffers, messageOf(error));
  }
  const file = join(io.home, "state/ledger.sqlite");
  let ledger: ReturnType<typeof openLedgerFile>;
  try {
    ledger = openLedgerFile(file);
  } catch (error) {
    throw new Refusal(exitDiffers, messageOf(error));
  }
  if (ledger === null) throw new Refusal(exitDiffers, `there is no ledger yet at ${printable(file)}`);
  const { days, open } = ledger.report(since);
  return {
    days,
    open,
    trailSeq: null,
    requests: async (agent, day) => ledger.requests(agent, day),
    [Symbol.asyncDispose]: async () => ledger[Symbol.dispose](),
  };
}

interface NamedSide extends ProviderSide {
  readonly file: string;
}

function providerSide(
  given: string,
  options: ReconcileOptions,
  aliased: (candidate: string) => string | null,
): NamedSide {
  // npm runs scripts in the package's folder: a relative path is meant from where the person stands.
  const file = resolve(process.env["INIT_CWD"] ?? process.cwd(), given);
  const name = printable(basename(file));
  const report = readExport(file, name, options.only ?? []);
  const provider = options.provider ?? report.provider;
  if (provider === null) {
    throw new Refusal(exitUsage, `${name}: the file does not tell whose account it is; add --provider NAME`);
  }
  if (report.rows.length === 0) throw new Refusal(exitDiffers, `${name}: it has no rows to compare`);
  return { file: name, provider, report, aliased, tolerance: options.tolerance / 100 };
}

function readExport(file: string, name: string, only: readonly RowFilter[]): ProviderExport {
  let content: string;
  try {
    if (statSync(file).size > maxExportBytes) {
      throw new Refusal(exitDiffers, `${name}: larger than 256 MB; export a shorter period`);
    }
    content = readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(exitDiffers, `${name}: it cannot be read: ${messageOf(error)}`);
  }
  try {
    return parseExport(content, only);
  } catch (error) {
    if (!(error instanceof ExportError)) throw error;
    throw new Refusal(exitDiffers, `${name}: ${printable(error.message).replaceAll("\\u000a", "\n")}`);
  }
}

async function readWholeTrail(file: string, options: Parameters<typeof readTrail>[1]): Promise<TrailReading> {
  try {
    return await readTrail(auditFiles(file), options);
  } catch (error) {
    throw new Refusal(exitDiffers, `the audit trail cannot be read: ${messageOf(error)}`);
  }
}

/** Every side has a row. */
function firstMoment({ report }: ProviderSide): number {
  return Date.parse(report.rows.reduce((first, { day }) => (day < first ? day : first), report.rows[0]!.day));
}

function utcDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function dayAfter(day: string): string {
  return Temporal.PlainDate.from(day).add({ days: 1 }).toString();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? printable(error.message) : "unknown";
}

// ------------------------------------------------------------------------------------------------------------- options

function addFilter(text: string, before: readonly RowFilter[] = []): readonly RowFilter[] {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("write column=value, e.g. api_key=sanctum.");
  return [...before, { column: text.slice(0, at), value: text.slice(at + 1) }];
}

function parsePercent(text: string): number {
  const percent = Number(text.replace(/%$/, ""));
  if (text.trim() === "" || !(percent >= 0 && percent <= 100)) {
    throw new InvalidArgumentError("a number from 0 to 100 is needed.");
  }
  return percent;
}
