// Writes rows to a Parquet file, group by group, so that memory does not grow with the trail. The library is loaded only here.

import type { Cell, ColumnType, TrailColumn } from "./trail-columns.ts";

const ROWS_PER_GROUP = 20_000;

/** Parquet's words for our types; an instant is in milliseconds of UTC. */
const schemaTypes = {
  text: { type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" } },
  integer: { type: "INT64" },
  number: { type: "DOUBLE" },
  boolean: { type: "BOOLEAN" },
  time: {
    type: "INT64",
    converted_type: "TIMESTAMP_MILLIS",
    logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MILLIS" },
  },
} as const satisfies Readonly<Record<ColumnType, object>>;

export interface ParquetRows {
  add(cells: readonly Cell[]): void;
  /** Writes what is left and the file's end. */
  finish(): Promise<void>;
}

/** `file` is created, or emptied. */
export async function createParquetRows(file: string, columns: readonly TrailColumn[]): Promise<ParquetRows> {
  const { ParquetWriter, fileWriter } = await import("hyparquet-writer");
  const writer = new ParquetWriter({
    writer: fileWriter(file),
    schema: [
      { name: "root", num_children: columns.length },
      ...columns.map(({ name, type }) => ({ name, repetition_type: "OPTIONAL" as const, ...schemaTypes[type] })),
    ],
    createdBy: "sanctum-proxy",
  });
  let values: unknown[][] = columns.map(() => []);
  const flush = (): void => {
    if (values[0]!.length === 0) return;
    const columnData = columns.map(({ name }, at) => ({ name, data: values[at]! }));
    void writer.write({ columnData, rowGroupSize: ROWS_PER_GROUP });
    values = columns.map(() => []);
  };
  return {
    add(cells) {
      for (const [at, cell] of cells.entries()) values[at]!.push(toParquet(cell, columns[at]!.type));
      if (values[0]!.length >= ROWS_PER_GROUP) flush();
    },
    async finish() {
      flush();
      await writer.finish();
    },
  };
}

function toParquet(cell: Cell, type: ColumnType): unknown {
  if (typeof cell !== "number") return cell;
  if (type === "integer") return Number.isSafeInteger(cell) ? BigInt(cell) : null;
  return type === "time" ? new Date(cell) : cell;
}
