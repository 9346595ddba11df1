// The audit trail as the ledger sees it. Each knows what the other must know: a ledger that was deleted, or replaced by an
// older copy, lacks what the newest lines say was spent; a trail that was cut off lacks lines that the ledger remembers.

import type { Nanos } from "../../money.ts";

/** A line's number in the chain, and its hash. */
export interface TrailMark {
  readonly seq: number;
  readonly head: string;
}

/** What one line of the trail says was spent. */
export interface TrailCharge {
  readonly requestId: string;
  readonly agent: string;
  /** Wall clock, milliseconds since the epoch. */
  readonly at: number;
  readonly nanos: Nanos;
}

export interface TrailSince {
  /** The trail's last line; number 0 where there is none. */
  readonly end: TrailMark;
  /** The marked line is there, unchanged. */
  readonly continues: boolean;
  /** Charges of the lines after the mark, but of none before the given time. */
  readonly charges: readonly TrailCharge[];
}

export interface Trail {
  /** Reads the trail from its end back to the mark (null: as far as `fromMs`). At start-up only. */
  since(mark: TrailMark | null, fromMs: number): TrailSince;
  /** The last line that is known to be on the disk; null: none is known yet. */
  durable(): TrailMark | null;
}
