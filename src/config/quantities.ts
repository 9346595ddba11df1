// Quantities as people write them: durations, sizes, money, bounds, times of day. Each function gives undefined for what
// it can't read, and never throws.

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const longestDurationMs = 24 * 3_600_000;

export const durationPattern = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/;

/** `500ms`, `5s`, `1.5m`, `2h` to whole milliseconds, above 0 and at most a day. */
export function parseDuration(text: string): number | undefined {
  const match = durationPattern.exec(text);
  if (match === null) return undefined;
  const ms = Math.round(Number(match[1]) * (durationUnits[match[2]!] ?? Number.NaN));
  return ms > 0 && ms <= longestDurationMs ? ms : undefined;
}

const longestWaitMs = 300_000;

/** Like a duration, from `0s` (not at all) to five minutes. */
export function parseWait(text: string): number | undefined {
  if (/^0(?:ms|s|m|h)$/.test(text)) return 0;
  const ms = parseDuration(text);
  return ms !== undefined && ms <= longestWaitMs ? ms : undefined;
}

const longestRetentionHours = 3_650 * 24;
export const retentionPattern = /^(\d{1,6})([hdw])$/;

/** `12h`, `7d`, `4w`: how long something is kept, from an hour to ten years, in milliseconds. */
export function parseRetention(text: string): number | undefined {
  const match = retentionPattern.exec(text);
  if (match === null) return undefined;
  const hours = Number(match[1]) * ({ h: 1, d: 24, w: 168 }[match[2]!] ?? Number.NaN);
  return hours >= 1 && hours <= longestRetentionHours ? hours * 3_600_000 : undefined;
}

const sizeUnits: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

export const sizePattern = /^(\d{1,9})(B|KB|MB|GB|KiB|MiB|GiB)$/;

/** `100MB` (decimal) or `64MiB` (binary) to bytes. */
export function parseSize(text: string): number | undefined {
  const match = sizePattern.exec(text);
  if (match === null) return undefined;
  const bytes = Number(match[1]) * (sizeUnits[match[2]!] ?? Number.NaN);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

const largestUsd = 9_000_000;
export const usdPattern = /^\d{1,7}(\.\d{1,12})?$/;

/**
 * An amount in USD: a number, or a decimal string for those who distrust floating point. YAML reads `.nan`, `.inf` and
 * `1e400` as numbers that compare to nothing, so that a cap of them would be no cap.
 */
export function parseUsd(value: number | string): number | undefined {
  if (typeof value === "string" && !usdPattern.test(value)) return undefined;
  const usd = Number(value);
  // NaN and the infinities are outside every range.
  return usd >= 0 && usd <= largestUsd ? usd : undefined;
}

export interface Bounds {
  readonly below: number | undefined;
  readonly above: number | undefined;
}

/** `<8000`, `>=1000`, `>1000 <8000`: whole numbers of tokens. Both bounds are exclusive in the result. */
export function parseTokenBounds(text: string): Bounds | undefined {
  const parts = splitBounds(text, /^\d{1,9}$/);
  if (parts === undefined) return undefined;
  let below: number | undefined;
  let above: number | undefined;
  for (const { sign, number } of parts) {
    const value = Number(number);
    if (sign === "<" || sign === "<=") below = sign === "<" ? value : value + 1;
    else above = sign === ">" ? value : value - 1;
  }
  return orderedBounds(below, above);
}

/** `>0.8`, `<50%`: a share of the cap. */
export function parseShareBounds(text: string): Bounds | undefined {
  const parts = splitBounds(text, /^(\d{1,3}(\.\d{1,4})?%|[01](\.\d{1,6})?)$/);
  if (parts === undefined) return undefined;
  let below: number | undefined;
  let above: number | undefined;
  for (const { sign, number } of parts) {
    const value = number.endsWith("%") ? Number(number.slice(0, -1)) / 100 : Number(number);
    if (sign.length > 1 || value > 1) return undefined;
    if (sign === "<") below = value;
    else above = value;
  }
  return orderedBounds(below, above);
}

function splitBounds(text: string, number: RegExp): { sign: string; number: string }[] | undefined {
  if (text.length > 64) return undefined;
  const parts: { sign: string; number: string }[] = [];
  for (const word of text
    .replaceAll(/([<>]=?)\s+/g, "$1")
    .trim()
    .split(/\s+/)) {
    const match = /^([<>]=?)(.+)$/.exec(word);
    if (match === null || !number.test(match[2]!)) return undefined;
    parts.push({ sign: match[1]!, number: match[2]! });
  }
  const directions = new Set(parts.map((part) => part.sign[0]));
  return directions.size === parts.length ? parts : undefined;
}

function orderedBounds(below: number | undefined, above: number | undefined): Bounds | undefined {
  if (below !== undefined && above !== undefined && above >= below) return undefined;
  return { below, above };
}

const dayMinutes = 24 * 60;

/** `22:00-06:00` to minutes of the day; the end may be `24:00`. Undefined also for an empty span. */
export function parseTimeRange(text: string): { from: number; to: number } | undefined {
  const match = /^(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})$/.exec(text);
  if (match === null) return undefined;
  const [fromHour, fromMinute, toHour, toMinute] = match.slice(1).map(Number) as [number, number, number, number];
  if (fromMinute > 59 || toMinute > 59 || fromHour > 23) return undefined;
  const from = fromHour * 60 + fromMinute;
  const to = toHour * 60 + toMinute;
  if (to > dayMinutes || from === to) return undefined;
  // Midnight as an end is minute 0 of the next day, like any range that crosses it.
  return from === 0 && to === dayMinutes ? undefined : { from, to: to % dayMinutes };
}
