import { expect, test } from "bun:test";
import { csvLine } from "./csv-line.ts";
import { parseCsv } from "./csv.ts";

test("reads back as it was written", () => {
  const values = ["plain", 'says "no"', "a,b", "two\nlines", "", "true"];
  const { rows } = parseCsv(csvLine(["a", "b", "c", "d", "e", "f"]) + csvLine(values));
  expect(Object.values(rows[0]!)).toEqual(values);
});

test("writes numbers and truths bare, and nothing for what is not there", () => {
  expect(csvLine([1, 0.0087, -2, true, null, ""])).toBe("1,0.0087,-2,true,,\r\n");
});

test("defuses what a spreadsheet would run", () => {
  for (const text of ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]) expect(csvLine([text])).toContain(`'${text}`);
  expect(csvLine(['=HYPERLINK("http://x")'])).toBe('"\'=HYPERLINK(""http://x"")"\r\n');
});
