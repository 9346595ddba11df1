// A provider's own account against the audit trail: money and tokens by day of UTC and model, and request by request where
// the export has an id for each.

import { listedName } from "../catalogue/index.ts";
import type { TrailAttempt, TrailEntry } from "../layers/audit/index.ts";
import { weightiest, type Comparison, type Evidence } from "./difference.ts";
import { providerOf } from "./group-trail.ts";
import type { ExportRow, ProviderExport } from "./provider-export.ts";

export interface ProviderSide {
  /** The name of the provider in the configuration and the trail. */
  readonly provider: string;
  readonly report: ProviderExport;
  /** The provider behind an alias, where a line does not tell; null: nobody knows. */
  readonly aliased: (candidate: string) => string | null;
  /** Share of the larger figure that may differ, 0…1. */
  readonly tolerance: number;
}

interface Sums {
  micros: number;
  count: number;
  tokens: number;
  readonly evidence: Evidence[];
}

const ROUNDING_MICROS = 0.5;
const MAX_KEPT = 20_000;
/** All models of a day, where the export does not tell them apart. */
const ALL = "";

/** Gathers the trail's side, line by line. */
export class TrailByModel {
  readonly #side: ProviderSide;
  readonly #byModel: boolean;
  readonly #ids: ReadonlyMap<string, ExportRow>;
  readonly #days: ReadonlySet<string>;
  readonly #seen = new Set<string>();
  readonly #sums = new Map<string, Sums>();

  constructor(side: ProviderSide) {
    this.#side = side;
    this.#byModel = side.report.rows.some(({ model }) => model !== null);
    const withId = side.report.rows.flatMap((row) => (row.id === null ? [] : [[row.id, row] as const]));
    this.#ids = new Map(withId);
    this.#days = new Set(side.report.rows.map(({ day }) => day));
  }

  add(entry: TrailEntry): void {
    const day = new Date(entry.at).toISOString().slice(0, 10);
    if (!this.#days.has(day)) return;
    for (const attempt of entry.attempts) {
      if (attempt.outcome?.startsWith("skipped_") === true) continue;
      if (providerOf(attempt, this.#side.aliased) === this.#side.provider) this.#addAttempt(entry, attempt, day);
    }
  }

  /** Each day and model of the export and of the trail, from `sinceDay` to `untilDay`, both included. */
  compare(sinceDay: string, untilDay: string): Comparison[] {
    const theirs = new Map<string, Sums>();
    for (const row of this.#side.report.rows) {
      const sums = sumsOf(theirs, `${row.day} ${this.#nameOf(row.model)}`);
      sums.micros += row.micros ?? 0;
      sums.count++;
      sums.tokens += (row.input ?? 0) + (row.output ?? 0);
      if (row.id !== null && !this.#seen.has(row.id)) {
        sums.evidence.push({
          id: row.id,
          micros: row.micros ?? 0,
          why: "is the provider's, and in no line of the trail",
        });
      }
    }
    return [...new Set([...theirs.keys(), ...this.#sums.keys()])]
      .filter((key) => key.slice(0, 10) >= sinceDay && key.slice(0, 10) <= untilDay)
      .sort()
      .map((key) => this.#comparison(key, theirs.get(key)));
  }

  #addAttempt(entry: TrailEntry, attempt: TrailAttempt, day: string): void {
    const name = (attempt.upstream ?? attempt.candidate).replace(`${this.#side.provider}/`, "");
    const sums = sumsOf(this.#sums, `${day} ${this.#nameOf(name)}`);
    sums.micros += attempt.micros;
    sums.count++;
    const answered = attempt.candidate === entry.servedBy;
    if (answered && entry.usage !== null) sums.tokens += entry.usage.input + entry.usage.output;
    if (attempt.upstreamId !== null) this.#seen.add(attempt.upstreamId);
    if (sums.evidence.length >= MAX_KEPT) return;
    const why = this.#doubt(entry, attempt, answered);
    if (why !== null) sums.evidence.push({ id: entry.id, micros: attempt.micros, why });
  }

  /** Why this attempt's figure may not be the provider's; null: no reason is known. */
  #doubt(entry: TrailEntry, attempt: TrailAttempt, answered: boolean): string | null {
    const row = attempt.upstreamId === null ? undefined : this.#ids.get(attempt.upstreamId);
    if (row?.micros != null) {
      const off = row.micros - attempt.micros;
      return Math.abs(off) <= ROUNDING_MICROS + this.#side.report.unitMicros / 2
        ? null
        : `costs ${dollars(row.micros)} in the provider's account (${attempt.upstreamId})`;
    }
    if (this.#ids.size > 0 && attempt.micros > 0) return "is in no row of the provider's account";
    if (entry.outcome === "interrupted") return "was charged in full after a crash";
    if (answered && entry.usage?.source === "counted") return "was counted here, since no usage came";
    if (answered && entry.price === "ceiling") return "is charged at the ceiling: its model is not in the price list";
    if (!answered && attempt.micros > 0) return `was paid for although it failed (${attempt.outcome ?? "unknown"})`;
    if (new Date(entry.at + entry.ms).getUTCDate() !== new Date(entry.at).getUTCDate()) {
      return "went on past midnight UTC";
    }
    return null;
  }

  #comparison(key: string, sums: Sums | undefined): Comparison {
    const own = this.#sums.get(key);
    const { report, tolerance } = this.#side;
    const hasMoney = report.rows.some(({ micros }) => micros !== null);
    const trail = own?.micros ?? 0;
    const theirs = hasMoney ? (sums?.micros ?? 0) : null;
    const rounding = ((sums?.count ?? 0) * report.unitMicros) / 2 + ((own?.count ?? 0) + 1) * ROUNDING_MICROS;
    const tokens = tokensOf(report, sums, own);
    const difference = theirs === null ? 0 : theirs - trail;
    const allowed = theirs === null ? 0 : rounding + Math.max(theirs, trail) * tolerance;
    // Tokens decide where nothing is said about money: a provider's own figures of both follow from each other.
    const agrees =
      theirs === null && tokens !== null
        ? Math.abs(tokens.theirs - tokens.trail) <= Math.max(tokens.theirs, tokens.trail) * tolerance
        : Math.abs(difference) <= allowed;
    const notes: string[] = [];
    if (!agrees && own === undefined) notes.push("no request of the trail was sent to it on that day");
    if (!agrees && sums === undefined) notes.push("the provider's account has nothing of it on that day");
    const evidence = agrees ? [] : weightiest([...(sums?.evidence ?? []), ...(own?.evidence ?? [])]);
    return {
      day: key.slice(0, 10),
      name: key.slice(11),
      theirs,
      trail,
      difference,
      allowed,
      agrees,
      notes,
      requests: evidence,
      tokens,
    };
  }

  /** One spelling for both sides: `Claude Haiku 4.5` and `claude-haiku-4-5-20251001` are the same model. */
  #nameOf(model: string | null): string {
    if (!this.#byModel) return ALL;
    if (model === null) return "(no model)";
    return canonicalModel(this.#side.report.provider ?? this.#side.provider, model);
  }
}

/** A model's name in the price list, whatever way a provider writes it; as it is written where the list has none. */
export function canonicalModel(provider: string, model: string): string {
  const plain = model.trim();
  const slug = plain.toLowerCase().replace(/[\s.]+/g, "-");
  return (
    listedName(provider, plain) ?? listedName(provider, plain.toLowerCase()) ?? listedName(provider, slug) ?? plain
  );
}

function tokensOf(report: ProviderExport, theirs: Sums | undefined, own: Sums | undefined): Comparison["tokens"] {
  if (!report.rows.some(({ input, output }) => input !== null || output !== null)) return null;
  return { theirs: theirs?.tokens ?? 0, trail: own?.tokens ?? 0 };
}

function sumsOf(map: Map<string, Sums>, key: string): Sums {
  const known = map.get(key);
  if (known !== undefined) return known;
  const fresh: Sums = { micros: 0, count: 0, tokens: 0, evidence: [] };
  map.set(key, fresh);
  return fresh;
}

function dollars(micros: number): string {
  return `$${(micros / 1_000_000).toFixed(6)}`;
}
