// Whatever a provider does, the client gets one legal answer in its own dialect, the trail says what happened, and the money
// is right.

import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cellsOf, settings, type Cell } from "./cells.ts";
import { complaintsAbout, resultOf, wholeTexts } from "./judge.ts";
import { columns, expectation, matrixOf, type Told } from "./matrix.ts";
import { FaultHouse, LOCAL_TEXT, type Outcome } from "./run.ts";
import { distinctShapes, isOwnError, sdkReadings } from "./sdk-reading.ts";

setDefaultTimeout(600_000);

const outcomes: Outcome[] = [];
const complaints: { readonly cell: Cell; readonly text: string }[] = [];
const books: string[] = [];

function nameOf({ fault, kind, client, wire, setting }: Cell): string {
  const dialects = client === wire.dialect ? client : `${client} by ${wire.dialect}`;
  return `${kind}: ${fault.row}: ${dialects}, ${wire.stream ? "streamed" : "whole"}, ${Object.values(setting).join(" ")}`;
}

beforeAll(async () => {
  await using house = await FaultHouse.start();
  for (const setting of settings) {
    const from = performance.now();
    const cells = cellsOf(setting);
    const report = await house.run(setting, cells);
    outcomes.push(...report.outcomes);
    books.push(...report.faults);
    const seconds = ((performance.now() - from) / 1_000).toFixed(1);
    const { behind, takeover, line } = setting;
    console.log(
      `${behind} behind, takeover ${takeover}, line ${line}: ${cells.length} cells, ${report.gateways} gateways, ${seconds} s`,
    );
  }
  for (const outcome of outcomes) {
    for (const text of complaintsAbout(outcome)) complaints.push({ cell: outcome.cell, text });
  }
  const told: Told[] = outcomes.map(({ cell, seen }) => {
    const result = resultOf(cell, seen);
    return { cell, told: result === cell.expected.result ? expectation(cell) : result };
  });
  for (const { kind, rows } of matrixOf(told)) {
    console.log(`\n${kind}\n${[columns, ...rows].map((row) => row.join(" | ")).join("\n")}`);
  }
});

describe("the wall of faults", () => {
  test("every cell is as it should be", () => {
    // Thousands may fail for one reason.
    expect(complaints.slice(0, 30).map(({ cell, text }) => `${nameOf(cell)}: ${text}`)).toEqual([]);
  });

  test("the books of every gateway are exact afterwards", () => {
    expect(books).toEqual([]);
  });

  test("the vendors' own clients read every kind of answer, and take none that is not whole for one that is", async () => {
    const shapes = distinctShapes(outcomes);
    const wrong: string[] = [];
    for (const outcome of shapes) {
      const { cell } = outcome;
      const whole = ["the answer", "the local answer", "carried on"].includes(cell.expected.result);
      for (const reading of await sdkReadings(outcome)) {
        const text = "text" in reading ? reading.text : null;
        const fits =
          text === null
            ? !whole && "error" in reading && isOwnError(cell.client, reading.error)
            : whole && [...wholeTexts(cell), LOCAL_TEXT].includes(text);
        if (!fits) wrong.push(`${nameOf(cell)}: ${text ?? ("error" in reading ? String(reading.error) : "")}`);
      }
    }
    console.log(`${shapes.length} kinds of answers were read by the vendors' clients`);
    expect(wrong).toEqual([]);
    expect(shapes.length).toBeGreaterThan(50);
  });
});
