// The answer is sound, and what the provider says of its length is not.

import type { FakeUsage } from "../../fakes/script.ts";
import type { Fault } from "../fault.ts";
import { untouched, type Fate } from "../oracle.ts";
import { bytesOf, endOfChunks, INPUT_TOKENS, jsonHead, OUTPUT_TOKENS, streamed, wireOf, type Wire } from "../wire.ts";

const true_ = { input: INPUT_TOKENS, output: OUTPUT_TOKENS };
const lies: readonly [string, FakeUsage | "missing"][] = [
  ["usage absent", "missing"],
  ["usage of nothing", { input: 0, output: 0 }],
  ["usage below zero", { input: -5, output: -7 }],
  ["usage of a billion tokens", { input: 1_000_000_000, output: 1_000_000_000 }],
  ["usage beyond all numbers", { input: "1e999", output: "1e999" }],
  ["usage that is text", { input: '"many"', output: '"few"' }],
  ["usage that is null", { input: "null", output: "null" }],
  ["usage in fractions", { input: INPUT_TOKENS - 0.5, output: OUTPUT_TOKENS - 0.5 }],
  ["more reasoning than output", { ...true_, reasoning: 1_000_000_000 }],
];

/** What was generated is billed, whatever is told: never less than that is charged, and never more than was held. */
const generated: Fate = { ...untouched, bill: "generated" };

export function usages(wire: Wire): Fault[] {
  return lies.map(([row, usage]) => {
    const lying = wireOf(wire.dialect, wire.stream, { usage });
    return {
      row,
      fate: generated,
      sent: 1,
      step: () =>
        wire.stream
          ? { raw: streamed(bytesOf(lying.events), endOfChunks) }
          : { raw: [{ write: jsonHead(Buffer.byteLength(lying.json)) + lying.json }] },
    };
  });
}
