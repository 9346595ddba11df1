// Cost and tokens over time: sums by hour, day and month of the budget's calendar. Fed with every request as it ends, and
// from the trail with what ended while nobody counted, so that no page ever reads the trail for them.

import type { AuditFacts, TrailEntry } from "../layers/audit/index.ts";
import { usdFromNanos, type Nanos } from "../money.ts";
import type { Calendar } from "../reports/period.ts";
import { outputTokens, promptTokens } from "../wire/usage.ts";

/** What one request adds. */
interface Share {
  /** Arrival, milliseconds since the epoch. */
  readonly at: number;
  readonly outcome: string;
  /** Null: nobody served it. */
  readonly local: boolean | null;
  readonly nanos: Nanos;
  readonly savedNanos: Nanos;
  readonly input: number;
  readonly output: number;
}

const fields = ["requests", "cloud", "local", "refused", "errors", "nanos", "savedNanos", "input", "output"] as const;
type Sums = Record<(typeof fields)[number], number>;

/** One period as the page gets it. */
export interface HistoryPeriod {
  /** `2026-11-23 18:00+01:00`, `2026-11-23` or `2026-11`. */
  readonly key: string;
  readonly requests: number;
  readonly cloud: number;
  readonly local: number;
  readonly refused: number;
  readonly errors: number;
  readonly spent_usd: number;
  readonly saved_usd: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
}

export interface HistoryDocument {
  /** Requests of before the start are still being read: the sums grow. */
  readonly reading: boolean;
  /** Oldest first; periods without requests are left out. */
  readonly hours: readonly HistoryPeriod[];
  readonly days: readonly HistoryPeriod[];
  readonly months: readonly HistoryPeriod[];
}

/** What is kept: a week of hours, a quarter of days, three years of months. Some 20 KB. */
const kept = { hours: 168, days: 92, months: 36 } as const;
type Span = keyof typeof kept;
const spans = Object.keys(kept) as Span[];

export class History {
  readonly #calendar: () => Calendar;
  readonly #periods: Record<Span, Map<string, Sums>> = { hours: new Map(), days: new Map(), months: new Map() };
  #seq = 0;
  #savedAt = 0;
  #reading = false;
  #revision = 0;
  /** Where the last request was counted: the next one most likely belongs there, too. */
  #last: { readonly quarter: number; readonly calendar: Calendar | null; readonly sums: readonly Sums[] } = {
    quarter: Number.NaN,
    calendar: null,
    sums: [],
  };

  /** `calendar` names the days of the zone that is in force. */
  constructor(calendar: () => Calendar) {
    this.#calendar = calendar;
  }

  /** Grows with every change. */
  get revision(): number {
    return this.#revision;
  }

  /** The last line of the trail that is counted; lines before it may be missing while `reading`. */
  get seq(): number {
    return this.#seq;
  }

  /** When the restored snapshot was taken, wall clock milliseconds; 0: there was none. */
  get savedAt(): number {
    return this.#savedAt;
  }

  get reading(): boolean {
    return this.#reading;
  }

  /** A request has ended; `seq` is the number of its line. */
  closed(facts: AuditFacts, seq: number): void {
    if (seq > this.#seq) this.#seq = seq;
    this.#add(shareOfFacts(facts));
  }

  /** Lines are missing until `catchUp` has read them. */
  awaitCatchUp(): void {
    this.#reading = true;
  }

  /**
   * Adds what the trail holds and nobody has counted: the lines of `(from, to]`. `read` hands them over one by one, as
   * `readTrail` does. Rejects as `read` does; then the next start reads again.
   */
  async catchUp(
    from: number,
    to: number,
    read: (take: (entry: TrailEntry) => void) => Promise<unknown>,
  ): Promise<void> {
    this.awaitCatchUp();
    await read((entry) => {
      if (entry.seq > from && entry.seq <= to) this.#add(shareOfEntry(entry));
    });
    this.#reading = false;
    if (to > this.#seq) this.#seq = to;
    this.#revision++;
  }

  /** Null while lines are being read: what is saved must be whole up to its `seq`. */
  snapshot(nowMs: number): string | null {
    if (this.#reading) return null;
    const rows = spans.map((span) => [
      span,
      Object.fromEntries([...this.#periods[span]].map(([key, sums]) => [key, fields.map((field) => sums[field])])),
    ]);
    return JSON.stringify({ v: 1, seq: this.#seq, at: nowMs, ...Object.fromEntries(rows) });
  }

  /** Goes on from a snapshot. A damaged one is left aside, and the trail is read instead: returns false. */
  restore(snapshot: string | undefined): boolean {
    const stored = parsed(snapshot);
    const { v, seq, at } = stored;
    if (v !== 1 || !isCount(seq) || !isCount(at)) return false;
    this.#seq = seq;
    this.#savedAt = at;
    for (const span of spans) {
      for (const [key, row] of Object.entries(objectOf(stored[span]))) {
        if (!Array.isArray(row) || !row.every(isCount) || row.length !== fields.length) continue;
        this.#periods[span].set(key, Object.fromEntries(fields.map((field, i) => [field, row[i]])) as Sums);
      }
    }
    this.#revision++;
    return true;
  }

  document(): HistoryDocument {
    const list = (span: Span): HistoryPeriod[] =>
      [...this.#periods[span]].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, sums]) => periodOf(key, sums));
    return { reading: this.#reading, hours: list("hours"), days: list("days"), months: list("months") };
  }

  /** The periods of this moment, for a page that has the document already. */
  current(nowMs: number): Readonly<Record<Span, HistoryPeriod>> {
    const keys = this.#keysOf(nowMs);
    const one = (span: Span): HistoryPeriod => periodOf(keys[span], this.#periods[span].get(keys[span]) ?? noSums());
    return { hours: one("hours"), days: one("days"), months: one("months") };
  }

  #keysOf(at: number): Record<Span, string> {
    const calendar = this.#calendar();
    const day = calendar.day(at);
    return { hours: calendar.hour(at), days: day, months: day.slice(0, 7) };
  }

  #add(share: Share): void {
    this.#revision++;
    const calendar = this.#calendar();
    const quarter = Math.floor(share.at / quarterMs);
    if (quarter !== this.#last.quarter || calendar !== this.#last.calendar) {
      const keys = this.#keysOf(share.at);
      this.#last = { quarter, calendar, sums: spans.map((span) => this.#sums(span, keys[span])) };
    }
    for (const sums of this.#last.sums) count(sums, share);
  }

  #sums(span: Span, key: string): Sums {
    const periods = this.#periods[span];
    const known = periods.get(key);
    if (known !== undefined) return known;
    const sums = noSums();
    periods.set(key, sums);
    // What is older than all that is kept is counted into a period that goes at once.
    if (periods.size > kept[span]) periods.delete([...periods.keys()].reduce((a, b) => (a < b ? a : b)));
    return sums;
  }
}

/** No zone changes within it. */
const quarterMs = 900_000;
const NANOS_PER_MICRO = 1_000;
const noSums = (): Sums => Object.fromEntries(fields.map((field) => [field, 0])) as Sums;

// The same rules as the counters of `/stats`.
function count(sums: Sums, share: Share): void {
  sums.requests++;
  if (share.outcome.startsWith("refused_")) sums.refused++;
  else if (share.outcome !== "ok" && share.outcome !== "client_gone") sums.errors++;
  if (share.local !== null) sums[share.local ? "local" : "cloud"]++;
  sums.nanos += share.nanos;
  sums.savedNanos += share.savedNanos;
  sums.input += share.input;
  sums.output += share.output;
}

function shareOfFacts(facts: AuditFacts): Share {
  const { served } = facts;
  let input = 0;
  let output = 0;
  for (const { usage } of facts.attempts) {
    if (usage === null) continue;
    input += promptTokens(usage);
    output += outputTokens(usage);
  }
  return {
    at: facts.ts,
    outcome: facts.outcome,
    local: served === null ? null : served.local,
    nanos: facts.nanos,
    savedNanos: served?.local === true ? (facts.wouldHaveNanos ?? 0) : 0,
    input,
    output,
  };
}

function shareOfEntry(entry: TrailEntry): Share {
  return {
    at: entry.at,
    outcome: entry.outcome,
    local: entry.servedBy === null ? null : entry.local,
    nanos: entry.micros * NANOS_PER_MICRO,
    savedNanos: entry.local ? (entry.wouldHaveMicros ?? 0) * NANOS_PER_MICRO : 0,
    input: entry.usage?.input ?? 0,
    output: entry.usage?.output ?? 0,
  };
}

function periodOf(key: string, sums: Sums): HistoryPeriod {
  return {
    key,
    requests: sums.requests,
    cloud: sums.cloud,
    local: sums.local,
    refused: sums.refused,
    errors: sums.errors,
    spent_usd: usdFromNanos(sums.nanos),
    saved_usd: usdFromNanos(sums.savedNanos),
    input_tokens: sums.input,
    output_tokens: sums.output,
  };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function parsed(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    return objectOf(JSON.parse(text ?? "null"));
  } catch {
    return {};
  }
}
