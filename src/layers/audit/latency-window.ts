// Latency of the last attempts at one provider: a ring of fixed size, percentiles worked out only when somebody looks.

const SIZE = 512;

export interface Percentiles {
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
}

const none: Percentiles = { p50: null, p95: null, p99: null };

export class LatencyWindow {
  readonly #ring = new Float64Array(SIZE);
  #count = 0;
  #next = 0;
  #cached: Percentiles | null = none;

  /** Milliseconds. */
  add(ms: number): void {
    this.#ring[this.#next] = ms;
    this.#next = (this.#next + 1) % SIZE;
    if (this.#count < SIZE) this.#count++;
    this.#cached = null;
  }

  /** Nearest rank, whole milliseconds; null before the first one. */
  percentiles(): Percentiles {
    if (this.#cached !== null) return this.#cached;
    const sorted = this.#ring.slice(0, this.#count).sort();
    const at = (share: number): number => Math.round(sorted[Math.ceil(share * sorted.length) - 1] ?? 0);
    this.#cached = { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
    return this.#cached;
  }
}
