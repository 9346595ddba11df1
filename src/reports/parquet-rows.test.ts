import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetMetadata, parquetReadObjects } from "hyparquet";
import { createParquetRows } from "./parquet-rows.ts";
import type { Cell, ColumnType, TrailColumn } from "./trail-columns.ts";

const folder = mkdtempSync(join(tmpdir(), "sanctum-parquet-"));
afterAll(() => rmSync(folder, { recursive: true }));

const columns: readonly TrailColumn[] = (["text", "integer", "number", "boolean", "time"] as const).map(
  (type: ColumnType) => ({ name: `a_${type}`, type, value: () => null }),
);

async function roundTrip(rows: readonly (readonly Cell[])[]) {
  const file = join(folder, "rows.parquet");
  const writer = await createParquetRows(file, columns);
  for (const row of rows) writer.add(row);
  await writer.finish();
  const bytes = readFileSync(file);
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  return { metadata: parquetMetadata(buffer), rows: await parquetReadObjects({ file: buffer }) };
}

test("rows read back with their types, and what is not there as null", async () => {
  const at = Date.UTC(2026, 10, 23, 17, 59, 58, 120);
  const { rows, metadata } = await roundTrip([
    ['東京 "x"', 42, 0.0087, true, at],
    [null, null, null, null, null],
    ["", 0, 0, false, 0],
  ]);
  expect(rows).toEqual([
    { a_text: '東京 "x"', a_integer: 42n, a_number: 0.0087, a_boolean: true, a_time: new Date(at) },
    { a_text: null, a_integer: null, a_number: null, a_boolean: null, a_time: null },
    { a_text: "", a_integer: 0n, a_number: 0, a_boolean: false, a_time: new Date(0) },
  ]);
  expect(metadata.num_rows).toBe(3n);
});

test("many rows are written group by group", async () => {
  const { rows, metadata } = await roundTrip(
    Array.from({ length: 45_001 }, (_, i): Cell[] => [`r${i}`, i, i / 8, i % 2 === 0, i]),
  );
  expect(metadata.row_groups.map(({ num_rows }) => num_rows)).toEqual([20_000n, 20_000n, 5_001n]);
  expect(rows[45_000]).toEqual({
    a_text: "r45000",
    a_integer: 45_000n,
    a_number: 5_625,
    a_boolean: true,
    a_time: new Date(45_000),
  });
});

test("no rows are a file, too", async () => {
  const { rows, metadata } = await roundTrip([]);
  expect([rows, metadata.num_rows]).toEqual([[], 0n]);
});
