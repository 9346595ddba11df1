// "When may I ask again", in all the forms that providers use. The upstream is not trusted with our clock: a timer set to
// 2^31 ms or to Infinity fires at once, and a date in 2099 would switch a provider off for good.

/** No provider may keep us away for longer than this with one answer; after it one request finds out. */
export const MAX_WAIT_MS = 300_000;

const number = /^[+-]?\d{1,30}(?:\.\d{0,30})?(?:e\+?\d{1,3})?$/i;
/** HTTP dates begin with a day's name (RFC 9110, section 5.6.7). */
const httpDate = /^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? [a-z0-9 :-]{10,40}$/i;

/**
 * The wait that an answer asks for, in milliseconds from 0 to 300,000; undefined where it says nothing readable.
 * `retry-after-ms` (OpenAI) wins over `retry-after` (RFC 9110, section 10.2.3: seconds or a date; Groq and others send
 * fractions). `nowMs` is the wall clock. Never throws.
 */
export function parseRetryAfter(headers: Headers, nowMs: number): number | undefined {
  const inMs = readNumber(headers.get("retry-after-ms"));
  if (inMs !== undefined) return clampWait(inMs);
  const value = headers.get("retry-after");
  if (value === null) return undefined;
  const seconds = readNumber(value);
  if (seconds !== undefined) return clampWait(seconds * 1000);
  const text = value.trim();
  if (!httpDate.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : clampWait(at - nowMs);
}

/** Into 0…300,000 ms; NaN counts as 0. */
export function clampWait(ms: number): number {
  return ms > 0 ? Math.min(ms, MAX_WAIT_MS) : 0;
}

function readNumber(value: string | null): number | undefined {
  if (value === null || value.length > 64) return undefined;
  const text = value.trim();
  return number.test(text) ? Number(text) : undefined;
}
