// When a file is full by the calendar: at the end of a day, a week (which begins on Monday) or a month in a time zone.

export type RotationPeriod = "day" | "week" | "month";

/** The first moment after the period in which `ms` lies; milliseconds since the epoch. */
export function periodEnd(period: RotationPeriod, zone: string, ms: number): number {
  const date = Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(zone).toPlainDate();
  return nextStart(period, date).toZonedDateTime(zone).epochMilliseconds;
}

function nextStart(period: RotationPeriod, date: Temporal.PlainDate): Temporal.PlainDate {
  switch (period) {
    case "day":
      return date.add({ days: 1 });
    case "week":
      return date.add({ days: 8 - date.dayOfWeek });
    case "month":
      return date.with({ day: 1 }).add({ months: 1 });
  }
}
