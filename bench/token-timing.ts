// Does the time of a look-up tell how much of a token is right? A fixed-against-random test after dudect (Reparaz, Balasch,
// Verbauwhede, 2017): Welch's t of the two classes; above 4.5 they differ. `sh bin/bun bench/token-timing.ts`

import { randomBytes } from "node:crypto";
import { TokenTable, digestOf } from "../src/layers/identity/index.ts";

const samples = 1_000_000;
const warmUp = 200_000;
const variants = 4_096;
/** Shares of the fastest samples that are looked at: the slowest ones are the machine's own business. */
const crops = [1, 0.99, 0.9, 0.5];

const randomToken = (): string => `sk-sanctum-windu-${randomBytes(32).toString("base64url")}`;
const real = randomToken();
const hash = digestOf(real).toString("hex");
const table = new TokenTable([{ name: "windu", tokens: [{ hash, untilMs: undefined }] }]);

/** Both classes as strings of one kind: the engine reads a substring and a joined string in different times. */
const flat = (text: string): string => Buffer.from(text).toString("latin1");
const inputs = Array.from({ length: variants }, () => {
  const near = randomBytes(1)[0]! < 128;
  const other = randomToken();
  return { near, token: flat(near ? real.slice(0, -6) + other.slice(-6) : other) };
});

const times = new Float64Array(samples);
for (let i = -warmUp; i < samples; i++) {
  const { token } = inputs[(i + warmUp) % variants]!;
  const begin = Bun.nanoseconds();
  const owner = table.ownerOf(digestOf(token), 0);
  const end = Bun.nanoseconds();
  if (owner !== null) throw new Error("a wrong token was taken for a right one");
  if (i >= 0) times[i] = end - begin;
}

const sorted = times.toSorted();
for (const crop of crops) {
  const longest = sorted[Math.floor(crop * (samples - 1))]!;
  const near = summary(meansOf(true, longest));
  const random = summary(meansOf(false, longest));
  const t = (near.mean - random.mean) / Math.sqrt(near.variance / near.count + random.variance / random.count);
  const means = `${near.mean.toFixed(1)} ns near, ${random.mean.toFixed(1)} ns random`;
  console.log(`fastest ${crop * 100} %: ${means}, t = ${t.toFixed(2)}${Math.abs(t) > 4.5 ? "  DIFFERENT" : ""}`);
}

/** One mean a token: look-ups of one token share its place in memory, so that they say nothing independently of each other. */
function meansOf(near: boolean, longest: number): number[] {
  return inputs.flatMap((input, variant) => {
    if (input.near !== near) return [];
    let [count, sum] = [0, 0];
    for (let i = (variant - (warmUp % variants) + variants) % variants; i < samples; i += variants) {
      if (times[i]! > longest) continue;
      count++;
      sum += times[i]!;
    }
    return count === 0 ? [] : [sum / count];
  });
}

function summary(values: readonly number[]): { count: number; mean: number; variance: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { count: values.length, mean, variance: squares / (values.length - 1) };
}
