// A provider's own account of what was used, as its console or its API exports it. What a file is shows in its columns.
//
// Sources of the columns: OpenAI, API reference "Costs" and "Completions usage", and the dashboard's CSV files of the same
// names; Anthropic, API reference "Cost report" (amounts in cents, as decimal text) and "Messages usage report", and the
// Console's CSV files; OpenRouter, API reference "Get user activity" and the CSV file of its Activity page.
// All of them count in days of UTC.

import { parseCsv } from "./csv.ts";

export interface ExportRow {
  /** In UTC, `2026-11-23`. */
  readonly day: string;
  /** As the provider writes it; null: the row is not of one model. */
  readonly model: string | null;
  /** Micro-dollars, with fractions; null: the export is of tokens alone. */
  readonly micros: number | null;
  /** Prompt tokens, cached ones included; null: not told. */
  readonly input: number | null;
  readonly output: number | null;
  /** The provider's own id of the request, where each has its row. */
  readonly id: string | null;
}

export interface ProviderExport {
  /** For a person: `OpenAI costs (CSV)`. */
  readonly format: string;
  /** Whose it is; null: the file does not tell. */
  readonly provider: string | null;
  readonly rows: readonly ExportRow[];
  /** The last place of the amounts, in micro-dollars, a cent at most: each may be off by half of it. */
  readonly unitMicros: number;
  /** The export says that it goes on in further pages. */
  readonly more: boolean;
}

/** A file that cannot be used; the message says why and what can be. */
export class ExportError extends Error {
  override readonly name = "ExportError";
}

type Fields = Readonly<Record<string, unknown>>;

interface Format {
  readonly name: string;
  readonly provider: string | null;
  /** Members that only this kind of row has. */
  readonly needs: readonly string[];
  /** Null: the row says nothing (a day without use). */
  readonly read: (row: Fields) => ExportRow | null;
  /** The text of the row's amount, from which its last place is taken, and what one of it is worth in micro-dollars. */
  readonly amount?: (row: Fields) => { readonly text: unknown; readonly worth: number };
}

const usd = 1_000_000;
const cents = 10_000;

const formats: readonly Format[] = [
  {
    name: "OpenRouter activity (CSV)",
    provider: "openrouter",
    needs: ["created_at", "cost_total", "model_permaslug"],
    amount: (row) => ({ text: row["cost_total"], worth: usd }),
    read: (row) => ({
      ...rowOf(row["created_at"], row["model_permaslug"], money(row["cost_total"], usd)),
      input: tokens(row["tokens_prompt"]),
      output: tokens(row["tokens_completion"]),
      id: text(row["generation_id"]),
    }),
  },
  {
    name: "OpenRouter activity (API)",
    provider: "openrouter",
    needs: ["date", "usage", "model_permaslug"],
    amount: (row) => ({ text: row["usage"], worth: usd }),
    read: (row) => ({
      ...rowOf(row["date"], row["model_permaslug"], money(row["usage"], usd)),
      input: tokens(row["prompt_tokens"]),
      output: tokens(row["completion_tokens"]),
    }),
  },
  {
    name: "Anthropic cost (Console CSV)",
    provider: "anthropic",
    needs: ["usage_date_utc", "model", "cost_usd"],
    amount: (row) => ({ text: row["cost_usd"], worth: usd }),
    read: (row) => rowOf(row["usage_date_utc"], row["model"], money(row["cost_usd"], usd)),
  },
  {
    name: "Anthropic usage (Console CSV)",
    provider: "anthropic",
    needs: ["usage_date_utc", "model_version", "usage_output_tokens"],
    read: (row) => ({
      ...rowOf(row["usage_date_utc"], row["model_version"], null),
      input: sum(
        row["usage_input_tokens_no_cache"],
        row["usage_input_tokens_cache_write_5m"],
        row["usage_input_tokens_cache_write_1h"],
        row["usage_input_tokens_cache_read"],
      ),
      output: tokens(row["usage_output_tokens"]),
    }),
  },
  {
    name: "Anthropic cost report (API)",
    provider: "anthropic",
    needs: ["starting_at", "amount", "currency"],
    amount: (row) => ({ text: row["amount"], worth: cents }),
    read: (row) => {
      inDollars(row["currency"]);
      return rowOf(row["starting_at"], row["model"], money(row["amount"], cents));
    },
  },
  {
    name: "Anthropic usage report (API)",
    provider: "anthropic",
    needs: ["starting_at", "uncached_input_tokens", "output_tokens"],
    read: (row) => {
      const written = isFields(row["cache_creation"]) ? row["cache_creation"] : {};
      return {
        ...rowOf(row["starting_at"], row["model"], null),
        input: sum(
          row["uncached_input_tokens"],
          row["cache_read_input_tokens"],
          written["ephemeral_5m_input_tokens"],
          written["ephemeral_1h_input_tokens"],
        ),
        output: tokens(row["output_tokens"]),
      };
    },
  },
  {
    name: "OpenAI costs (CSV)",
    provider: "openai",
    needs: ["start_time", "amount_value", "amount_currency"],
    amount: (row) => ({ text: row["amount_value"], worth: usd }),
    read: (row) => {
      if (blank(row["amount_value"])) return null;
      inDollars(row["amount_currency"]);
      return rowOf(row["start_time"], lineItem(row["line_item"]), money(row["amount_value"], usd));
    },
  },
  {
    name: "OpenAI costs (API)",
    provider: "openai",
    needs: ["start_time", "amount"],
    amount: (row) => ({ text: isFields(row["amount"]) ? row["amount"]["value"] : undefined, worth: usd }),
    read: (row) => {
      const amount = isFields(row["amount"]) ? row["amount"] : {};
      inDollars(amount["currency"]);
      return rowOf(row["start_time"], lineItem(row["line_item"]), money(amount["value"], usd));
    },
  },
  {
    name: "OpenAI completions usage",
    provider: "openai",
    needs: ["start_time", "num_model_requests", "input_tokens", "output_tokens"],
    read: (row) =>
      blank(row["num_model_requests"])
        ? null
        : {
            ...rowOf(row["start_time"], row["model"], null),
            input: tokens(row["input_tokens"]),
            output: tokens(row["output_tokens"]),
          },
  },
  {
    name: "a table of date, model and usd",
    provider: null,
    needs: ["date", "usd"],
    amount: (row) => ({ text: row["usd"], worth: usd }),
    read: (row) => ({
      ...rowOf(row["date"], row["model"], money(row["usd"], usd)),
      input: tokens(row["input_tokens"]),
      output: tokens(row["output_tokens"]),
      id: text(row["id"]),
    }),
  },
];

/** What is understood, for help and errors: `name: its columns`. */
export const understoodExports: readonly string[] = formats.map(({ name, needs }) => `${name}: ${needs.join(", ")}`);

/** Rows of which a column has this value; a column that no row has is an ExportError. */
export interface RowFilter {
  readonly column: string;
  readonly value: string;
}

/** Reads an export from its text. Throws an ExportError. */
export function parseExport(content: string, only: readonly RowFilter[] = []): ProviderExport {
  const { columns, rows, more } = /^\s*[[{]/.test(content) ? jsonRows(content) : { ...parseCsv(content), more: false };
  const format = formats.find(({ needs }) => needs.every((name) => columns.includes(name)));
  if (format === undefined) throw new ExportError(unknownText(columns));
  for (const { column } of only) {
    if (!columns.includes(column)) {
      throw new ExportError(`there is no column "${column}"; the columns are ${columns.join(", ")}`);
    }
  }
  const wanted = rows.filter((row: Fields) => only.every(({ column, value }) => String(row[column]) === value));
  const read: ExportRow[] = [];
  let unitMicros = cents;
  for (const [i, row] of wanted.entries()) {
    try {
      const found = format.read(row);
      if (found === null) continue;
      read.push(found);
    } catch (error) {
      if (!(error instanceof ExportError)) throw error;
      throw new ExportError(`row ${i + 1}: ${error.message}`);
    }
    const amount = format.amount?.(row);
    if (amount !== undefined) unitMicros = Math.min(unitMicros, amount.worth / 10 ** placesOf(String(amount.text)));
  }
  return { format: format.name, provider: format.provider, rows: read, unitMicros, more };
}

/** The rows of one page, of several in a list, or of one page a line; a bucket's day is put into each of its rows. */
function jsonRows(content: string): { columns: string[]; rows: Fields[]; more: boolean } {
  const rows: Fields[] = [];
  let more = false;
  for (const page of pagesOf(content)) {
    more = page["has_more"] === true;
    const data: unknown = page["data"];
    if (!Array.isArray(data)) throw new ExportError(`there is no list "data" in it, as the providers' APIs have`);
    for (const bucket of data.filter(isFields)) {
      const results: unknown = bucket["results"];
      if (!Array.isArray(results)) rows.push(bucket);
      else rows.push(...results.filter(isFields).map((result) => ({ ...bucket, results: undefined, ...result })));
    }
  }
  const columns = new Set(rows.flatMap((row) => Object.keys(row).filter((key) => row[key] !== undefined)));
  return { columns: [...columns], rows, more };
}

function pagesOf(content: string): Fields[] {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    try {
      value = content
        .split("\n")
        .filter((line) => line.trim() !== "")
        .map((line): unknown => JSON.parse(line));
    } catch {
      throw new ExportError("it is neither CSV nor JSON");
    }
  }
  const pages = (Array.isArray(value) ? value : [value]) as unknown[];
  return pages.filter(isFields);
}

function unknownText(columns: readonly string[]): string {
  const found = columns.length === 0 ? "it has no columns" : `its columns are ${columns.slice(0, 40).join(", ")}`;
  return `this is no export that is understood: ${found}. Understood are:\n  ${understoodExports.join("\n  ")}`;
}

// -------------------------------------------------------------------------------------------------------------- fields

function rowOf(day: unknown, model: unknown, micros: number | null): ExportRow {
  return { day: dayOf(day), model: text(model), micros, input: null, output: null, id: null };
}

/** Decimal places of a figure; one in scientific notation has as many as matter. */
function placesOf(figure: string): number {
  return /e/i.test(figure) ? 12 : (/\.(\d+)/.exec(figure)?.[1]?.length ?? 0);
}

/** A Unix time, a date, or a moment of ISO 8601 (without a zone: UTC) as a day of UTC. */
function dayOf(value: unknown): string {
  const written = String(value).trim();
  if (/^\d{9,11}(?:\.0+)?$/.test(written)) return new Date(Number(written) * 1000).toISOString().slice(0, 10);
  const date = /^(\d{4}-\d\d-\d\d)(?:[T ](.+))?$/.exec(written);
  const zone = date?.[2] === undefined ? null : /(?:Z|[+-]\d\d:?\d\d)$/.exec(date[2]);
  const at = date === null ? Number.NaN : Date.parse(zone === null ? `${date[1]}T00:00Z` : written.replace(" ", "T"));
  if (Number.isNaN(at)) throw new ExportError(`"${written}" is no date such as 2026-11-23`);
  return new Date(at).toISOString().slice(0, 10);
}

function money(value: unknown, worth: number): number {
  const amount = blank(value) ? 0 : Number(value);
  if (!Number.isFinite(amount)) throw new ExportError(`"${String(value)}" is no amount such as 0.0123`);
  return amount * worth;
}

function inDollars(currency: unknown): void {
  if (String(currency).toLowerCase() !== "usd") {
    throw new ExportError(`the amount is in "${String(currency)}"; only USD can be compared`);
  }
}

/** `gpt-5-mini-2025-08-07, input`: the model with what of it was used. */
function lineItem(value: unknown): string | null {
  return text(typeof value === "string" ? value.replace(/,.*$/, "") : value);
}

function tokens(value: unknown): number | null {
  if (blank(value)) return null;
  const count = Number(value);
  return Number.isFinite(count) && count >= 0 ? count : null;
}

function sum(...values: readonly unknown[]): number {
  return values.reduce((total: number, value) => total + (tokens(value) ?? 0), 0);
}

function text(value: unknown): string | null {
  return typeof value === "string" && value.trim() !== "" ? value.trim() : null;
}

function blank(value: unknown): boolean {
  return value === undefined || value === null || value === "";
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
