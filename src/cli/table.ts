// Plain tables for people: columns as wide as their widest cell, colour only where the terminal wants it.

import type { Io } from "./io.ts";

export type Cell = string | { readonly text: string; readonly colour: Colour };
export type Colour = "red" | "green" | "yellow" | "dim" | "bold";

const codes: Readonly<Record<Colour, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 };

/** Colour on a terminal only, and never with NO_COLOR set to anything (https://no-color.org). */
export function wantsColour(io: Io): boolean {
  return io.isTty && (io.env["NO_COLOR"] ?? "") === "" && io.env["TERM"] !== "dumb";
}

export function painted(text: string, colour: Colour, on: boolean): string {
  return on ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text;
}

/** Rows as lines. `right`: indexes of the columns that hold numbers. */
export function tableText(rows: readonly (readonly Cell[])[], right: readonly number[], colour: boolean): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, textOf(cell).length);
    });
  }
  let text = "";
  for (const row of rows) {
    const cells = row.map((cell, i) => padded(cell, widths[i] ?? 0, right.includes(i), colour));
    text += `${cells.join("  ").trimEnd()}\n`;
  }
  return text;
}

function padded(cell: Cell, width: number, right: boolean, colour: boolean): string {
  const text = textOf(cell);
  const space = " ".repeat(Math.max(0, width - text.length));
  const shown = typeof cell === "string" ? text : painted(text, cell.colour, colour);
  return right ? space + shown : shown + space;
}

function textOf(cell: Cell): string {
  return typeof cell === "string" ? cell : cell.text;
}
