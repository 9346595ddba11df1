// What one transaction of the ledger writes, while it gathers.

import type { EndRow, HoldRow, LedgerBatch, NoteRow, ReleaseRow } from "./ledger-store.ts";
import type { OpenHold } from "./open-hold.ts";
import type { TrailMark } from "./trail.ts";
import type { LastWindows } from "./windows.ts";

export class Batch implements LedgerBatch {
  readonly holds: OpenHold[] = [];
  readonly grown = new Set<HoldRow>();
  readonly releases: ReleaseRow[] = [];
  readonly ends: EndRow[] = [];
  readonly closed: number[] = [];
  readonly counters = new Map<string, string>();
  readonly notes: NoteRow[] = [];
  windows: LastWindows | null = null;
  trail: TrailMark | null = null;
  /** Settled when the batch is durable; made only where somebody waits. */
  durable: PromiseWithResolvers<void> | null = null;

  get empty(): boolean {
    return (
      this.holds.length === 0 &&
      this.grown.size === 0 &&
      this.releases.length === 0 &&
      this.ends.length === 0 &&
      this.closed.length === 0 &&
      this.counters.size === 0 &&
      this.notes.length === 0 &&
      this.windows === null
    );
  }

  /** What was not written, and is still true, goes before what came since. */
  prepend(failed: Batch): void {
    this.holds.unshift(...failed.holds.filter((hold) => !hold.refused));
    for (const hold of failed.grown) this.grown.add(hold);
    this.releases.unshift(...failed.releases);
    this.ends.unshift(...failed.ends);
    this.closed.unshift(...failed.closed);
    for (const [key, json] of failed.counters) if (!this.counters.has(key)) this.counters.set(key, json);
    this.notes.unshift(...failed.notes);
    this.windows ??= failed.windows;
  }
}
