// What is fuzzed: each target makes cases from a random source and judges them. A case is JSON, so that a find can be
// kept in `corpus/` and replayed.

import type { Json } from "../../src/wire/neutral.ts";
import type { SeededRandom } from "./seeded-random.ts";

export interface FuzzTarget {
  /** Also the name of its folder in `corpus/`. */
  readonly name: string;
  /** How many cases `npm test` runs. */
  readonly rounds: number;
  make(random: SeededRandom): Json;
  /** What is wrong with the outcome of a case; null where nothing is. Never throws for a case that `make` can make. */
  judge(input: Json): string | null;
}

/** `judge`, where a throw is a find like any other. */
export function verdict(target: FuzzTarget, input: Json): string | null {
  try {
    return target.judge(input);
  } catch (error) {
    return `threw ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`;
  }
}
