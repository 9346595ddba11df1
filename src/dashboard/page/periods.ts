// A row of periods without gaps: what the gateway does not tell of was nothing.

import type { Period, Span } from "./document.ts";

export const shownPeriods: Readonly<Record<Span, number>> = { hours: 24, days: 30, months: 12 };

/** Oldest first, the last one being that of `newest`. */
export function filled(span: Span, periods: readonly Period[], newest: string): Period[] {
  const known = new Map(periods.map((period) => [orderOf(span, period.key), period]));
  const last = orderOf(span, newest);
  return Array.from({ length: shownPeriods[span] }, (_, i) => {
    const order = last - (shownPeriods[span] - 1 - i);
    return known.get(order) ?? nothing(keyOf(span, order, newest));
  });
}

/** `14:00`, `28 Nov`, `Nov`. */
export function labelOf(span: Span, key: string): string {
  if (span === "hours") return key.slice(11, 16);
  const [, month = "01", day = "01"] = key.split("-");
  const name = monthNames[Number(month) - 1] ?? "";
  return span === "days" ? `${Number(day)} ${name}` : `${name} ${key.slice(0, 4)}`;
}

const monthNames = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Counts hours, days or months; neighbours differ by one. */
function orderOf(span: Span, key: string): number {
  if (span === "hours") return Math.floor(Date.parse(key.replace(" ", "T")) / 3_600_000);
  const [year = 0, month = 1, day = 1] = key.split("-").map(Number);
  return span === "days" ? Math.round(Date.UTC(year, month - 1, day) / 86_400_000) : year * 12 + month - 1;
}

/** Of a period that nobody told of: an hour gets the offset of the newest one. */
function keyOf(span: Span, order: number, newest: string): string {
  if (span === "months") return `${Math.floor(order / 12)}-${String((order % 12) + 1).padStart(2, "0")}`;
  if (span === "days") return new Date(order * 86_400_000).toISOString().slice(0, 10);
  const offset = newest.slice(16);
  const parts = /^([+-])(\d\d):(\d\d)/.exec(offset);
  const minutes = parts === null ? 0 : Number(`${parts[1]}1`) * (Number(parts[2]) * 60 + Number(parts[3]));
  const shift = minutes - Math.floor(minutes / 60) * 60;
  const local = new Date(order * 3_600_000 - shift * 60_000 + (shift > 0 ? 3_600_000 : 0) + minutes * 60_000);
  return `${local.toISOString().slice(0, 13).replace("T", " ")}:00${offset}`;
}

function nothing(key: string): Period {
  return {
    key,
    requests: 0,
    cloud: 0,
    local: 0,
    refused: 0,
    errors: 0,
    spent_usd: 0,
    saved_usd: 0,
    input_tokens: 0,
    output_tokens: 0,
  };
}
