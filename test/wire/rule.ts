// The rules of the wire, numbered. `npm test -- wire` prints one line for each; `npm run generate` makes
// docs/reference/wire.md of them. It reads the calls of `rule` as text: number and sentence must be literals.

import { test } from "bun:test";
import { sectionOf } from "./sections.ts";

/** One rule, shown once in the whole gateway. The sentence says what is promised, without the number. */
export function rule(number: number, sentence: string, run: () => void | Promise<void>): void {
  test(`${sectionOf(number).letter}${number} ${sentence}`, run);
}
