// Lines of comma-separated values (RFC 4180).

import type { Cell } from "./trail-columns.ts";

const needsQuotes = /[",\r\n]/;
/** What a spreadsheet takes for a formula. Clients choose some of the names in a trail. */
const formula = /^[=+\-@\t\r]/;

/** With its line end. Texts that a spreadsheet would run get an apostrophe in front. */
export function csvLine(cells: readonly Cell[]): string {
  return `${cells.map(csvCell).join(",")}\r\n`;
}

function csvCell(cell: Cell): string {
  if (cell === null) return "";
  if (typeof cell !== "string") return String(cell);
  const harmless = formula.test(cell) ? `'${cell}` : cell;
  return needsQuotes.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
