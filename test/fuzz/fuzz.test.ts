// Every fuzzer for a moment, always with the same cases, and every find that was ever made. For more: `npm run fuzz`.

import { describe, expect, test } from "bun:test";
import type { Json } from "../../src/wire/neutral.ts";
import { loadFinds } from "./corpus.ts";
import { minimise } from "./minimise.ts";
import { createSeededRandom } from "./seeded-random.ts";
import { verdict, type FuzzTarget } from "./target.ts";
import { fuzzTargets } from "./targets.ts";

const SEED = 20_261_123;

describe.each(fuzzTargets.map((target) => [target.name, target] as const))("%s", (_name, target) => {
  test("holds for cases of a fixed seed", () => {
    const random = createSeededRandom(SEED);
    for (let round = 0; round < target.rounds; round += 1) {
      const input = target.make(random);
      const problem = verdict(target, input);
      if (problem !== null) throw new Error(`round ${round}: ${problem}: ${JSON.stringify(input)}`);
    }
  });

  test("holds for every find that was made", () => {
    for (const [file, { input }] of loadFinds(target.name)) {
      expect({ file, problem: verdict(target, input) }).toEqual({ file, problem: null });
    }
  });
});

describe("the fuzzer itself", () => {
  const target: FuzzTarget = {
    name: "itself",
    rounds: 1,
    make: (random) => ({ list: [random.integer(9), { text: "a needle in hay" }, [1, 2]], other: true }),
    judge: (input) => (JSON.stringify(input).includes("needle") ? "found" : null),
  };

  test("makes the same cases from the same seed", () => {
    for (const one of fuzzTargets) {
      const cases = (): Json[] => {
        const random = createSeededRandom(7);
        return Array.from({ length: 20 }, () => one.make(random));
      };
      expect(cases()).toEqual(cases());
    }
  });

  test("takes away from a find what it does not need", () => {
    const small = minimise(target.make(createSeededRandom(1)), (input) => verdict(target, input) !== null);
    expect(JSON.stringify(small).length).toBeLessThan('{"list":[{"text":"needle"}]}'.length + 1);
    expect(JSON.stringify(small)).toContain("needle");
  });

  test("takes a throw for a find", () => {
    const throwing: FuzzTarget = {
      ...target,
      judge: () => {
        throw new TypeError("oh");
      },
    };
    expect(verdict(throwing, null)).toBe("threw TypeError: oh");
  });

  test("keeps every case as it is, through a file", () => {
    for (const one of fuzzTargets) {
      const random = createSeededRandom(3);
      for (let round = 0; round < 50; round += 1) {
        const input = one.make(random);
        const kept = JSON.parse(JSON.stringify(input)) as Json;
        expect(JSON.stringify(kept)).toBe(JSON.stringify(input));
      }
    }
  });
});
