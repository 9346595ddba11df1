import { describe, expect, test } from "bun:test";
import { percentilesOf } from "./percentiles.ts";
import type { Cell } from "./measure.ts";
import { aimsOf, summarise } from "./summary.ts";

function cell(of: Partial<Cell>): Cell {
  return {
    system: "sanctum",
    round: 0,
    route: "chat",
    load: "1 KB",
    perSecond: 1,
    cpuMicroseconds: 1,
    p50Microseconds: 1,
    p99Microseconds: 1,
    peakMegabytes: 1,
    failed: 0,
    firstFailure: null,
    ...of,
  };
}

const verdictOf = (cells: readonly Cell[], begins: string): string =>
  aimsOf(summarise(cells, [])).find(({ aim }) => aim.startsWith(begins))?.verdict ?? "absent";

describe("the summary", () => {
  test("takes the median of rounds, the highest peak, and all failures", () => {
    const cells = [5, 1, 9].map((value, round) =>
      cell({ round, cpuMicroseconds: value, peakMegabytes: value, failed: value, firstFailure: `${value}` }),
    );
    expect(summarise(cells, []).rows).toMatchObject([
      { cpuMicroseconds: 5, peakMegabytes: 9, failed: 15, firstFailure: "5" },
    ]);
  });

  test("subtracts what direct took in the same round", () => {
    const cells = [0, 1].flatMap((round) => [
      cell({ system: "direct", round, p50Microseconds: 100 * round }),
      cell({ round, p50Microseconds: 100 * round + 7 }),
    ]);
    expect(summarise(cells, []).rows.map((row) => row.addedP50Microseconds)).toEqual([NaN, 7]);
  });
});

describe("the aims", () => {
  const withCpu = (cpuMicroseconds: number): Cell[] => [
    cell({ system: "bare-bun", cpuMicroseconds: 40 }),
    cell({ system: "portkey", cpuMicroseconds: 1_000 }),
    cell({ cpuMicroseconds }),
  ];

  test("hold up to their limit and not beyond", () => {
    expect(verdictOf(withCpu(80), "CPU per 1 KB request, chat, of bare")).toBe("held");
    expect(verdictOf(withCpu(81), "CPU per 1 KB request, chat, of bare")).toBe("missed");
    expect(verdictOf(withCpu(100), "CPU per 1 KB request, chat, of Portkey")).toBe("held");
    expect(verdictOf(withCpu(101), "CPU per 1 KB request, chat, of Portkey")).toBe("missed");
  });

  test("are never held by what was not measured", () => {
    expect(verdictOf([cell({ cpuMicroseconds: 1 })], "CPU per 1 KB request, chat, of bare")).toBe("not measured");
    expect(percentilesOf(new Float64Array(0)).p50).toBeNaN();
    const streams = cell({ load: "streams", peakMegabytes: NaN });
    expect(verdictOf([streams], "resident memory with 1,000 streams, sanctum")).toBe("not measured");
  });

  test("compare the added latency of a large prompt in milliseconds", () => {
    const large = (p50Microseconds: number): Cell[] => [
      cell({ system: "direct", load: "200 KB", p50Microseconds: 500 }),
      cell({ load: "200 KB", p50Microseconds }),
    ];
    expect(verdictOf(large(2_500), "200 KB prompt, chat")).toBe("held");
    expect(verdictOf(large(2_501), "200 KB prompt, chat")).toBe("missed");
  });
});

test("percentiles are values that occurred", () => {
  const values = Float64Array.from({ length: 200 }, (_, i) => 200 - i);
  expect(percentilesOf(values)).toEqual({ count: 200, p50: 100, p99: 198, max: 200 });
});
