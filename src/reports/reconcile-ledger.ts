// The ledger against the audit trail: what was charged to an agent on a day of its budget, in both. They are written by two
// parts of the gateway, each durable by itself, so that what one has lost shows in the other.

import type { TrailEntry } from "../layers/audit/index.ts";
import type { LedgerReport, LedgerRequest } from "../layers/budget/index.ts";
import { weightiest, type Comparison, type Evidence } from "./difference.ts";
import type { Calendar } from "./period.ts";

export interface LedgerSide extends LedgerReport {
  /** Lines after this one were written after the ledger was asked; null: nothing is written at present. */
  readonly trailSeq: number | null;
  readonly requests: (agent: string, day: string) => Promise<readonly LedgerRequest[]>;
}

/** A line's amount is rounded to a micro-dollar. */
const ROUNDING_MICROS = 0.5;
/** Beyond so many lines of one agent and day, single requests are no longer told. */
const MAX_KEPT = 20_000;

interface DayOfAgent {
  micros: number;
  /** Requests that cost something. */
  paid: number;
  readonly costs: Map<string, number>;
  /** Arrived on this day and ended on the next, or were found open at a start. */
  readonly doubtful: Evidence[];
}

/** Gathers the trail's side, line by line. */
export class TrailByAgent {
  readonly #calendar: Calendar;
  readonly #ledger: LedgerSide;
  readonly #open: ReadonlySet<string>;
  readonly #days = new Map<string, DayOfAgent>();
  /** Line numbers left out before a line of this day. */
  readonly #missing = new Map<string, number>();
  #seq = 0;

  constructor(calendar: Calendar, ledger: LedgerSide) {
    this.#calendar = calendar;
    this.#ledger = ledger;
    this.#open = new Set(ledger.open);
  }

  add(entry: TrailEntry): void {
    const day = this.#calendar.day(entry.at);
    const gap = this.#seq === 0 ? 0 : entry.seq - this.#seq - 1;
    if (gap > 0) this.#missing.set(day, (this.#missing.get(day) ?? 0) + gap);
    this.#seq = entry.seq;
    const { trailSeq } = this.#ledger;
    if ((trailSeq !== null && entry.seq > trailSeq) || this.#open.has(entry.id)) return;
    if (entry.agent === null || entry.micros === 0) return;
    const own = this.#dayOf(entry.agent, day);
    own.micros += entry.micros;
    own.paid++;
    if (own.costs.size < MAX_KEPT) own.costs.set(entry.id, (own.costs.get(entry.id) ?? 0) + entry.micros);
    if (own.doubtful.length >= MAX_KEPT) return;
    if (this.#calendar.day(entry.at + entry.ms) !== day) {
      own.doubtful.push({ id: entry.id, micros: entry.micros, why: "went on into the next day" });
    }
    if (entry.outcome === "interrupted") {
      own.doubtful.push({ id: entry.id, micros: entry.micros, why: "was found open at a start" });
    }
  }

  /** Each agent and day from `sinceDay` to `untilDay`, both included, in order. */
  async compare(sinceDay: string, untilDay: string): Promise<Comparison[]> {
    const charged = new Map<string, number>();
    for (const { agent, day, nanos } of this.#ledger.days) charged.set(keyOf(day, agent), nanos / 1_000);
    const keys = [...new Set([...charged.keys(), ...this.#days.keys()])]
      .filter((key) => key.slice(0, 10) >= sinceDay && key.slice(0, 10) <= untilDay)
      .sort();
    const found: Comparison[] = [];
    for (const key of keys) found.push(await this.#comparison(key, charged.get(key) ?? 0));
    return withMoved(found, this.#days);
  }

  async #comparison(key: string, theirs: number): Promise<Comparison> {
    const [day, agent] = [key.slice(0, 10), key.slice(11)];
    const own = this.#days.get(key);
    const trail = own?.micros ?? 0;
    const difference = theirs - trail;
    const allowed = (own?.paid ?? 0) * ROUNDING_MICROS + ROUNDING_MICROS;
    const agrees = Math.abs(difference) <= allowed;
    const base = { day, name: agent, theirs, trail, difference, allowed, agrees, tokens: null };
    if (agrees) return { ...base, notes: [], requests: [] };
    const notes: string[] = [];
    const missing = this.#missing.get(day) ?? 0;
    if (missing > 0) notes.push(`${missing} ${missing === 1 ? "line" : "lines"} of that day missing from the trail`);
    const single = differing(await this.#ledger.requests(agent, day), own);
    if (single.length === 0 && missing === 0) {
      notes.push("the ledger keeps single charges for an hour, and only the day's sum after that");
    }
    return { ...base, notes, requests: weightiest([...single, ...(own?.doubtful ?? [])]) };
  }

  #dayOf(agent: string, day: string): DayOfAgent {
    const key = keyOf(day, agent);
    const known = this.#days.get(key);
    if (known !== undefined) return known;
    const fresh: DayOfAgent = { micros: 0, paid: 0, costs: new Map(), doubtful: [] };
    this.#days.set(key, fresh);
    return fresh;
  }
}

function keyOf(day: string, agent: string): string {
  return `${day} ${agent}`;
}

/** Charges that stand one by one in the ledger and differently, or not at all, in the trail. */
function differing(requests: readonly LedgerRequest[], own: DayOfAgent | undefined): Evidence[] {
  const found: Evidence[] = [];
  for (const { request, nanos } of requests) {
    const theirs = nanos / 1_000;
    const line = own?.costs.get(request);
    if (theirs === 0 && line === undefined) continue;
    if (line === undefined) found.push({ id: request, micros: theirs, why: "is charged, and has no line on that day" });
    else if (Math.abs(theirs - line) > ROUNDING_MICROS) {
      found.push({ id: request, micros: theirs - line, why: "is charged differently than its line says" });
    }
  }
  return found;
}

/**
 * A line stands on the day of its arrival, a charge on the day of its hold: a request that went on past midnight may be
 * charged on the next day. Where exactly such a request makes both days differ, they agree.
 */
function withMoved(found: readonly Comparison[], days: ReadonlyMap<string, DayOfAgent>): Comparison[] {
  const settled = new Set<Comparison>();
  const after = new Map(found.map((comparison) => [keyOf(comparison.day, comparison.name), comparison]));
  for (const first of found) {
    if (first.agrees || first.difference >= 0) continue;
    const next = after.get(keyOf(dayAfter(first.day), first.name));
    const straddlers = days.get(keyOf(first.day, first.name))?.doubtful ?? [];
    const moved = straddlers.reduce((sum, { micros }) => sum + micros, 0);
    const fits = (difference: number, allowed: number): boolean =>
      straddlers.some(({ micros }) => Math.abs(Math.abs(difference) - micros) <= allowed) ||
      Math.abs(Math.abs(difference) - moved) <= allowed;
    if (next === undefined || !fits(first.difference, first.allowed)) continue;
    if (next.difference > 0 && Math.abs(first.difference + next.difference) <= first.allowed + next.allowed) {
      settled.add(first).add(next);
    }
  }
  return found.map((comparison) =>
    settled.has(comparison)
      ? {
          ...comparison,
          agrees: true,
          notes: ["a request went on past midnight and is charged on the day it was paid"],
        }
      : comparison,
  );
}

function dayAfter(day: string): string {
  return Temporal.PlainDate.from(day).add({ days: 1 }).toString();
}
