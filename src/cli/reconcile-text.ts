// What `sanctum reconcile` prints.

import { printable, type TrailReading } from "../layers/audit/index.ts";
import type { Comparison } from "../reports/difference.ts";
import type { Drift } from "../reports/price-drift.ts";
import { troubleText } from "./audit-query.ts";
import { painted, tableText, type Cell } from "./table.ts";

export interface ProviderResult {
  readonly file: string;
  readonly provider: string;
  readonly format: string;
  /** The export has further pages. */
  readonly more: boolean;
  readonly since: string;
  readonly until: string;
  /** Rows of days that are not compared: not over, or before the trail begins. */
  readonly leftOut: number;
  readonly comparisons: readonly Comparison[];
}

export interface Reconciliation {
  readonly since: string;
  readonly until: string;
  readonly timezone: string;
  readonly ledger: readonly Comparison[];
  /** Requests without a line yet, left out on both sides. */
  readonly inProgress: number;
  readonly providers: readonly ProviderResult[];
  readonly drifts: readonly Drift[];
  readonly trail: TrailReading;
  /** The first whole day of a trail whose older files were deleted, where that is later than asked for. */
  readonly trailCutAt: string | null;
}

export function reconcileText(result: Reconciliation, all: boolean, colour: boolean): string {
  const { trailCutAt, inProgress } = result;
  let text = title(`Ledger and audit trail, ${result.since} to ${result.until} (${result.timezone})`, colour);
  text += section(result.ledger, { other: "ledger", name: "agent" }, all, colour);
  if (trailCutAt !== null) text += `The trail begins on ${trailCutAt}: its older files were deleted.\n`;
  if (inProgress > 0) {
    text += `${inProgress} ${inProgress === 1 ? "request is" : "requests are"} in progress and left out on both sides.\n`;
  }
  for (const provider of result.providers) {
    text += `\n${title(`${provider.provider} by ${provider.file} (${provider.format}), ${provider.since} to ${provider.until} (UTC)`, colour)}`;
    text += section(provider.comparisons, { other: "provider", name: "model" }, all, colour);
    if (provider.leftOut > 0) {
      text += `${provider.leftOut} rows are of days that are not over, or that the trail does not hold: not compared.\n`;
    }
    if (provider.more) text += "The export says that it has further pages: put them into one file, one a line.\n";
  }
  return text + driftText(result.drifts, colour) + troubleText(result.trail, colour);
}

/** Where a provider's own figures are not what the price list says; empty where none is. */
function driftText(drifts: readonly Drift[], colour: boolean): string {
  if (drifts.length === 0) return "";
  const rows: Cell[][] = [["day", "model", "req", "charged", "listed", "drift"].map(dim)];
  for (const drift of drifts) {
    rows.push([
      drift.day,
      printable(drift.model),
      String(drift.requests),
      dollars(drift.reported),
      dollars(drift.listed),
      { text: percent(drift.share), colour: "yellow" },
    ]);
  }
  return (
    `\n${title("Prices that have drifted: what the provider charged, and what the price list says", colour)}` +
    tableText(rows, [2, 3, 4, 5], colour) +
    "The provider's figure is what was charged; a `price` in the configuration makes the holds fit it.\n"
  );
}

function section(
  comparisons: readonly Comparison[],
  words: { readonly other: string; readonly name: string },
  all: boolean,
  colour: boolean,
): string {
  const differing = comparisons.filter(({ agrees }) => !agrees);
  const shown = all ? comparisons : differing;
  const verdict =
    comparisons.length === 0
      ? "nothing to compare in this time\n"
      : differing.length === 0
        ? `${painted("they agree", "green", colour)}: ${sumText(comparisons, words.other)}\n`
        : `${painted(`${differing.length} of ${comparisons.length} differ`, "red", colour)}: ${sumText(comparisons, words.other)}\n`;
  if (shown.length === 0) return verdict;
  const withTokens = shown.some(({ tokens }) => tokens !== null);
  const tokenHead = withTokens ? [`tokens, ${words.other}`, "tokens, trail"] : [];
  const rows: Cell[][] = [["day", words.name, words.other, "trail", "difference", ...tokenHead].map(dim)];
  for (const comparison of shown) rows.push(rowOf(comparison, withTokens));
  const lines = tableText(rows, [2, 3, 4, 5, 6], colour).trimEnd().split("\n");
  const table = shown.flatMap((comparison, i) => [lines[i + 1]!, ...reasons(comparison, colour)]);
  return `${[lines[0]!, ...table].join("\n")}\n${verdict}`;
}

function rowOf(comparison: Comparison, withTokens: boolean): Cell[] {
  const { day, name, theirs, trail, difference, agrees, tokens } = comparison;
  const told = theirs === null ? "–" : `${difference < 0 ? "-" : "+"}${dollars(Math.abs(difference))}`;
  return [
    day,
    name === "" ? "(all)" : printable(name),
    theirs === null ? "–" : dollars(theirs),
    dollars(trail),
    agrees ? { text: told, colour: "dim" } : { text: told, colour: "red" },
    ...(withTokens
      ? [tokens === null ? "–" : String(tokens.theirs), tokens === null ? "–" : String(tokens.trail)]
      : []),
  ];
}

function reasons({ notes, requests }: Comparison, colour: boolean): string[] {
  const told = requests.map(({ id, micros, why }) => `${printable(id)} ${signed(micros)} ${printable(why)}`);
  return [...notes, ...told].map((text) => painted(`    ${text}`, "dim", colour));
}

function sumText(comparisons: readonly Comparison[], other: string): string {
  const sum = (of: (comparison: Comparison) => number): number => comparisons.reduce((n, each) => n + of(each), 0);
  const trail = `trail ${dollars(sum((each) => each.trail))}`;
  const money = comparisons.every(({ theirs }) => theirs === null)
    ? `${other} tells tokens alone`
    : `${other} ${dollars(sum((each) => each.theirs ?? 0))}`;
  return `${money}, ${trail}, ${comparisons.length} ${comparisons.length === 1 ? "sum" : "sums"} compared`;
}

export function reconcileJson(result: Reconciliation): string {
  const document = {
    agree: [result.ledger, ...result.providers.map(({ comparisons }) => comparisons)].flat().every((c) => c.agrees),
    timezone: result.timezone,
    ledger: {
      since: result.since,
      until: result.until,
      requests_in_progress: result.inProgress,
      days: result.ledger.map((each) => ({ ...comparisonJson(each, "agent", "ledger_usd") })),
    },
    providers: result.providers.map((provider) => ({
      file: provider.file,
      provider: provider.provider,
      format: provider.format,
      since: provider.since,
      until: provider.until,
      rows_left_out: provider.leftOut,
      further_pages: provider.more,
      days: provider.comparisons.map((each) => comparisonJson(each, "model", "provider_usd")),
    })),
    price_drift: result.drifts.map(({ day, model, requests, reported, listed, share }) => ({
      day,
      model,
      requests,
      charged_usd: usd(reported),
      listed_usd: usd(listed),
      drift: Number.isFinite(share) ? Math.round(share * 10_000) / 10_000 : null,
    })),
    trail: {
      files: result.trail.files,
      lines: result.trail.lines,
      unreadable_lines: result.trail.unreadable,
      missing_lines: result.trail.missing,
      whole_since: result.trailCutAt,
    },
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function comparisonJson(each: Comparison, name: "agent" | "model", other: string): Readonly<Record<string, unknown>> {
  return {
    day: each.day,
    [name]: each.name === "" ? null : each.name,
    [other]: each.theirs === null ? null : usd(each.theirs),
    trail_usd: usd(each.trail),
    difference_usd: usd(each.difference),
    allowed_usd: usd(each.allowed),
    agrees: each.agrees,
    tokens: each.tokens,
    notes: each.notes,
    requests: each.requests.map(({ id, micros, why }) => ({ id, usd: usd(micros), why })),
  };
}

function title(text: string, colour: boolean): string {
  return `${painted(printable(text), "bold", colour)}\n`;
}

function dim(text: string): Cell {
  return { text, colour: "dim" };
}

function dollars(micros: number): string {
  return `$${(micros / 1_000_000).toFixed(6)}`;
}

function signed(micros: number): string {
  return `${micros < 0 ? "-" : ""}${dollars(Math.abs(micros))}`;
}

function percent(share: number): string {
  if (!Number.isFinite(share)) return "listed as free";
  return `${share > 0 ? "+" : ""}${(share * 100).toFixed(1)} %`;
}

function usd(micros: number): number {
  return Math.round(micros) / 1_000_000;
}
