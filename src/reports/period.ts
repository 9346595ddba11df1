// What a person writes after `--since` and `--until`, in the zone of the budget's days.

/** A moment or a period that nobody can read; the message says what can be. */
export class PeriodError extends Error {
  override readonly name = "PeriodError";
}

const howTo = 'write e.g. "7d", "24h", "today", "yesterday", "2026-11-23", "2026-11" or "2026-11-23T18:00"';

const durations: Readonly<Record<string, (count: number) => Temporal.DurationLike>> = {
  m: (minutes) => ({ minutes }),
  h: (hours) => ({ hours }),
  d: (days) => ({ days }),
  w: (weeks) => ({ weeks }),
};

/**
 * The first moment of what `text` names, or, for `edge: "end"`, the first one after it: a day, a month and "today" are meant
 * as a whole; `7d` is the moment seven days before `nowMs`. Milliseconds since the epoch. Throws a PeriodError.
 */
export function parseMoment(text: string, edge: "start" | "end", zone: string, nowMs: number): number {
  const now = Temporal.Instant.fromEpochMilliseconds(nowMs).toZonedDateTimeISO(zone);
  const ago = /^(\d{1,5})([mhdw])$/.exec(text);
  if (ago !== null) return now.subtract(durations[ago[2]!]!(Number(ago[1]))).epochMilliseconds;
  if (text === "now") return nowMs;
  const today = now.toPlainDate();
  if (text === "today") return edgeOf(today, { days: 1 }, edge, zone);
  if (text === "yesterday") return edgeOf(today.subtract({ days: 1 }), { days: 1 }, edge, zone);
  try {
    if (/^\d{4}-\d\d$/.test(text)) return edgeOf(Temporal.PlainDate.from(`${text}-01`), { months: 1 }, edge, zone);
    if (/^\d{4}-\d\d-\d\d$/.test(text)) return edgeOf(Temporal.PlainDate.from(text), { days: 1 }, edge, zone);
    if (/^\d{4}-\d\d-\d\d[T ].*(?:Z|[+-]\d\d:?\d\d)$/.test(text)) return Temporal.Instant.from(text).epochMilliseconds;
    if (/^\d{4}-\d\d-\d\d[T ]/.test(text)) {
      return Temporal.PlainDateTime.from(text).toZonedDateTime(zone).epochMilliseconds;
    }
  } catch (error) {
    // No such day or hour (2026-02-30).
    if (!(error instanceof RangeError)) throw error;
  }
  throw new PeriodError(`"${text}" is no time; ${howTo}`);
}

function edgeOf(date: Temporal.PlainDate, length: Temporal.DurationLike, edge: "start" | "end", zone: string): number {
  return (edge === "start" ? date : date.add(length)).toZonedDateTime(zone).epochMilliseconds;
}

/** Names of the local day and hour of a moment; looked up once for each quarter of an hour, in which no zone changes. */
export class Calendar {
  readonly #zone: string;
  #quarter = Number.NaN;
  #day = "";
  #hour = "";

  constructor(zone: string) {
    this.#zone = zone;
  }

  /** `2026-11-23` */
  day(ms: number): string {
    this.#look(ms);
    return this.#day;
  }

  /** `2026-11-23 18:00+01:00`: with its offset, since an hour comes twice in autumn. */
  hour(ms: number): string {
    this.#look(ms);
    return this.#hour;
  }

  #look(ms: number): void {
    const quarter = Math.floor(ms / 900_000);
    if (quarter === this.#quarter) return;
    this.#quarter = quarter;
    const at = Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(this.#zone);
    this.#day = at.toPlainDate().toString();
    this.#hour = `${this.#day} ${String(at.hour).padStart(2, "0")}:00${at.offset}`;
  }
}
