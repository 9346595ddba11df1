import { describe, expect, test } from "bun:test";
import { type Scenario, simulateFairness } from "./budget-fairness.ts";

const crowd = { workers: 64, capUsd: 5 } as const;

describe("sixty-four workers on one cap of five dollars", () => {
  const kinds: readonly (readonly [Scenario["kind"], readonly (readonly [seed: number, cached: number])[]])[] = [
    ["streamed", [[1, 0]]],
    ["thinking", [[2, 0.9]]],
    ["whole", [[3, 0]]],
  ];
  for (const [kind, draws] of kinds) {
    test(`spend at least 97 % of it and nothing beyond, where the vendor counts prompts: ${kind}`, async () => {
      for (const [seed, cached] of draws) {
        const scenario = { name: "", kind, tells: true, patienceMs: 5_000, cached, ...crowd };
        const { capUsed, overspentNanos, served } = await simulateFairness(scenario, seed);
        expect([seed, overspentNanos]).toEqual([seed, 0]);
        expect(capUsed).toBeGreaterThanOrEqual(0.97);
        expect(served).toBeGreaterThanOrEqual(50);
      }
    }, 60_000);
  }

  test("spend nothing beyond it where bytes alone bound a prompt, and most of it", async () => {
    const scenario = { name: "", kind: "streamed", tells: false, patienceMs: 5_000, cached: 0, ...crowd } as const;
    const { capUsed, overspentNanos } = await simulateFairness(scenario, 1);
    expect(overspentNanos).toBe(0);
    expect(capUsed).toBeGreaterThanOrEqual(0.9);
  }, 60_000);

  test("are sent away less often for money that is only held where they wait for it", async () => {
    const scenario = { name: "", kind: "thinking", tells: true, cached: 0, ...crowd } as const;
    const at = async (patienceMs: number): Promise<number> =>
      (await simulateFairness({ ...scenario, patienceMs }, 1)).sentHome;
    expect(await at(5_000)).toBeLessThan((await at(0)) * 0.75);
  }, 60_000);
});
