// Which day, hour and month a charge belongs to: calendar windows in one IANA zone, so that a day has 23 or 25 hours when
// the clocks change. A window never gives way to an earlier one, whatever the clock does: setting it back refills no cap.

/** Keys sort by time as text. */
export interface WindowKeys {
  /** `2026-11-23`, the local date. */
  readonly day: string;
  /** The start of the local hour in UTC, `2026-11-23T13:00Z`: the hour that comes twice in autumn is two windows. */
  readonly hour: string;
  /** `2026-11`. */
  readonly month: string;
}

/** As the ledger's file keeps them. */
export interface LastWindows extends WindowKeys {
  /** When the day ends, milliseconds since the epoch; absent: by the calendar of the zone now in force. */
  readonly dayEndsAt?: number;
}

export class Windows {
  #zone: string;
  #keys: WindowKeys;
  #hourEndsAt = Number.NEGATIVE_INFINITY;
  #dayEndsAt = Number.NEGATIVE_INFINITY;

  /** `last`: the windows in use before a restart; they hold until the clock has passed them. Throws a RangeError for an unknown zone. */
  constructor(zone: string, last?: LastWindows) {
    checkZone(zone);
    this.#zone = zone;
    this.#keys = { day: last?.day ?? "", hour: last?.hour ?? "", month: last?.month ?? "" };
    // A zone that was changed while the gateway was stopped counts from the next day on, like any other.
    this.#dayEndsAt = last?.dayEndsAt ?? Number.NEGATIVE_INFINITY;
  }

  get zone(): string {
    return this.#zone;
  }

  /** Counts from the next hour or day on: the windows that are open end as they were begun. Throws like the constructor. */
  setZone(zone: string): void {
    checkZone(zone);
    this.#zone = zone;
  }

  /** What a restart needs to go on. */
  get last(): LastWindows {
    return { ...this.#keys, dayEndsAt: this.#dayEndsAt };
  }

  /** The windows at `nowMs`. The same object while they last, and one comparison. */
  at(nowMs: number): WindowKeys {
    // No comparison with a start: a clock that went back stays in the window that it came from.
    return nowMs < this.#hourEndsAt ? this.#keys : this.#advance(nowMs);
  }

  /** Milliseconds since the epoch; the clock may be behind it or, until the next `at`, past it. */
  get dayEndsAt(): number {
    return this.#dayEndsAt;
  }

  #advance(nowMs: number): WindowKeys {
    const now = Temporal.Instant.fromEpochMilliseconds(nowMs).toZonedDateTimeISO(this.#zone);
    if (nowMs >= this.#dayEndsAt) {
      const date = now.toPlainDate();
      const [day, month] = [date.toString(), date.toString().slice(0, 7)];
      if (day >= this.#keys.day) {
        this.#keys = { ...this.#keys, day, month: month > this.#keys.month ? month : this.#keys.month };
        this.#dayEndsAt = startOf(date.add({ days: 1 }), this.#zone);
      } else {
        // The last day lies ahead: it goes on until the calendar has caught up with it.
        this.#dayEndsAt = startOf(Temporal.PlainDate.from(this.#keys.day).add({ days: 1 }), this.#zone);
      }
    }
    const start = hourStart(now);
    const hour = `${new Date(start).toISOString().slice(0, 16)}Z`;
    if (hour > this.#keys.hour) this.#keys = { ...this.#keys, hour };
    const end = Date.parse(`${this.#keys.hour.slice(0, 16)}:00Z`) + 3_600_000;
    // A zone change at an odd hour (Lord Howe: 30 minutes) or a day's end may cut the hour short.
    this.#hourEndsAt = Math.min(Math.max(end, nowMs + 1), this.#dayEndsAt);
    return this.#keys;
  }
}

/** The windows of a moment by the calendar alone. Throws a RangeError for an unknown zone. */
export function windowsOf(ms: number, zone: string): WindowKeys {
  return new Windows(zone).at(ms);
}

/** The first instant of the local month, milliseconds since the epoch. */
export function monthStart(nowMs: number, zone: string): number {
  const today = Temporal.Instant.fromEpochMilliseconds(nowMs).toZonedDateTimeISO(zone).toPlainDate();
  return startOf(today.with({ day: 1 }), zone);
}

function hourStart(now: Temporal.ZonedDateTime): number {
  const intoHour = now.minute * 60_000 + now.second * 1_000 + now.millisecond;
  return now.epochMilliseconds - intoHour;
}

// The first instant of a local date: not always midnight (America/Sao_Paulo once began days at 01:00).
function startOf(date: Temporal.PlainDate, zone: string): number {
  return date.toZonedDateTime({ timeZone: zone }).epochMilliseconds;
}

function checkZone(zone: string): void {
  Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(zone);
}
