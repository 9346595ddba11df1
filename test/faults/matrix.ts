// The wall as tables: a row for each fault, a column for each dialect of a client, streamed and not.

import { dialects } from "../fakes/house.ts";
import type { Cell } from "./cells.ts";
import type { KindName } from "./faults.ts";

export interface Told {
  readonly cell: Cell;
  /** What became of it, in a word or two. */
  readonly told: string;
}

export interface Section {
  readonly kind: KindName;
  readonly rows: readonly (readonly string[])[];
}

export const columns: readonly string[] = [
  "Fault",
  ...dialects.flatMap((dialect) => [`${dialect}, streamed`, `${dialect}, whole`]),
  "Cells",
];

/** What is expected of a cell, as the matrix says it. */
export function expectation({ expected: { result, attempts }, fault: { fate }, setting, client }: Cell): string {
  switch (result) {
    case "the answer":
      return setting.behind === "itself" ? "answer at the second try" : "answer";
    case "the local answer":
      return "local";
    case "its own refusal":
      return "as refused";
    case "an error": {
      const credit = client === "messages" ? "402" : "429";
      const status = fate.alone === "limit" ? "429" : fate.alone === "credit" ? credit : "503";
      return (attempts?.length ?? 1) > 1 ? `${status} ×2` : status;
    }
    case "an error event":
      return "error event";
    case "carried on":
      return "carried on";
    default:
      return result satisfies never;
  }
}

/** Each cell of the table names what happens with a local model behind, and after a semicolon without, where it differs. */
export function matrixOf(all: readonly Told[]): Section[] {
  const kinds = [...new Set(all.map(({ cell }) => cell.kind))];
  return kinds.map((kind) => {
    const ofKind = all.filter(({ cell }) => cell.kind === kind);
    const names = [...new Set(ofKind.map(({ cell }) => rowOf(cell)))];
    const rows = names.map((name) =>
      rowFor(
        name,
        ofKind.filter(({ cell }) => rowOf(cell) === name),
      ),
    );
    return { kind, rows };
  });
}

function rowOf({ fault, setting: { behind, takeover, line } }: Cell): string {
  const notes = [
    ...(behind === "itself" ? ["the first time only"] : []),
    ...(line === "open" ? ["the line open"] : []),
    ...(takeover === "text" ? ["takeover"] : []),
  ];
  return notes.length === 0 ? fault.row : `${fault.row} (${notes.join(", ")})`;
}

function rowFor(name: string, cells: readonly Told[]): string[] {
  const told = dialects.flatMap((dialect) =>
    [true, false].map((stream) => {
      const here = cells.filter(({ cell }) => cell.client === dialect && cell.wire.stream === stream);
      const behind = words(here.filter(({ cell }) => cell.setting.behind !== "nobody"));
      const alone = words(here.filter(({ cell }) => cell.setting.behind === "nobody"));
      if (behind === alone || alone === "") return behind === "" ? "–" : behind;
      return behind === "" ? alone : `${behind}; ${alone}`;
    }),
  );
  return [name, ...told, String(cells.length)];
}

function words(cells: readonly Told[]): string {
  return [...new Set(cells.map(({ told }) => told))].sort().join(" / ");
}
