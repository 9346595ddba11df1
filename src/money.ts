// Money is an integer number of nano-dollars (1 USD = 1,000,000,000), exact in a double up to 9 million USD.
// Prices are integers of pico-dollars per token ($1 per million tokens = 1,000,000 pico-dollars per token), so that every
// listed price is exact; a cost is summed in pico-dollars and rounded up to nano-dollars once.

/** Nano-dollars: 10^-9 USD. Always an integer. */
export type Nanos = number;
/** Pico-dollars: 10^-12 USD. Always an integer. */
export type Picos = number;

export const NANOS_PER_USD = 1_000_000_000;
const PICOS_PER_NANO = 1_000;

/** USD as a person writes it in the configuration, to nano-dollars; rounded up. Throws a RangeError unless finite and ≥ 0. */
export function nanosFromUsd(usd: number): Nanos {
  if (!Number.isFinite(usd) || usd < 0 || usd > 9_000_000) {
    throw new RangeError("an amount in USD must be a finite number from 0 to 9,000,000");
  }
  // 0.1 USD is not exact in binary: round to the nearest thousandth of a nano-dollar before rounding up.
  return Math.ceil(Math.round(usd * 1e12) / PICOS_PER_NANO);
}

/** For JSON: USD with at most 6 decimal places. Rounded half up. */
export function usdFromNanos(nanos: Nanos): number {
  return Math.round(nanos / 1_000) / 1_000_000;
}

/** USD per million tokens (as vendors list prices) to pico-dollars per token. */
export function picosPerToken(usdPerMillion: number): Picos {
  if (!Number.isFinite(usdPerMillion) || usdPerMillion < 0) throw new RangeError("a price must be a finite number ≥ 0");
  return Math.round(usdPerMillion * 1_000_000);
}
