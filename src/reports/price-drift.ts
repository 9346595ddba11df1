// A provider's own figure against our prices, by day and model. A drift means that the price list is out of date, or that
// something is billed that we do not know of: either way, what is held before a request may be too little.

import { driftOf, hasDrifted, type TrailEntry } from "../layers/audit/index.ts";
import type { Calendar } from "./period.ts";

export interface Drift {
  readonly day: string;
  /** `provider/model` as sent. */
  readonly model: string;
  readonly requests: number;
  /** Micro-dollars, the provider's figures. */
  readonly reported: number;
  /** Micro-dollars, by our prices. */
  readonly listed: number;
  /** Of our figure: 0.05 is 5 % dearer than we thought; Infinity where we thought it free. */
  readonly share: number;
}

export class PriceDrifts {
  readonly #calendar: Calendar;
  readonly #sums = new Map<string, { requests: number; reported: number; listed: number }>();

  constructor(calendar: Calendar) {
    this.#calendar = calendar;
  }

  add(entry: TrailEntry): void {
    for (const { listedMicros, upstream, candidate, micros } of entry.attempts) {
      if (listedMicros === null) continue;
      const key = `${this.#calendar.day(entry.at)} ${upstream ?? candidate}`;
      const sums = this.#sums.get(key) ?? { requests: 0, reported: 0, listed: 0 };
      sums.requests++;
      sums.reported += micros;
      sums.listed += listedMicros;
      this.#sums.set(key, sums);
    }
  }

  /** Those worth telling, in order of the day and then of the model. */
  told(): Drift[] {
    return [...this.#sums]
      .map(([key, sums]) => ({
        day: key.slice(0, 10),
        model: key.slice(11),
        ...sums,
        share: driftOf(sums.reported, sums.listed),
      }))
      .filter(({ reported, listed, requests }) => hasDrifted(reported * 1_000, listed * 1_000, requests))
      .sort((a, b) => (`${a.day} ${a.model}` < `${b.day} ${b.model}` ? -1 : 1));
  }
}
