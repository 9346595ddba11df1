/** The figures of a sample that the reports use; `p50` and `p99` are values that occurred. */
export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Nearest-rank percentiles; NaN where nothing was measured, which no report takes for a good result. */
export function percentilesOf(values: Float64Array): Percentiles {
  const sorted = values.slice().sort();
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** The middle value; the mean of the two middle ones where their number is even; NaN of none. */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return sorted.length === 0 ? NaN : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A sample of bounded size: what does not fit is counted, not kept. */
export class Sample {
  readonly #values: Float64Array;
  #length = 0;
  #dropped = 0;

  constructor(capacity: number) {
    this.#values = new Float64Array(capacity);
  }

  add(value: number): void {
    if (this.#length < this.#values.length) this.#values[this.#length++] = value;
    else this.#dropped++;
  }

  get dropped(): number {
    return this.#dropped;
  }

  percentiles(): Percentiles {
    return percentilesOf(this.#values.subarray(0, this.#length));
  }
}
