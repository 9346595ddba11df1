// The forms in which headers tell when a quota is whole again, each as milliseconds from now. Undefined: not readable.

const timestampForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/i;

/** RFC 3339. */
export function untilTimestamp(text: string, nowMs: number): number | undefined {
  if (!timestampForm.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : at - nowMs;
}

const numberForm = /^\d{1,15}(?:\.\d{1,9})?$/;
const durationForm = /^(?:\d{1,9}(?:\.\d{1,9})?(?:d|h|ms|m|s|us|µs|ns))+$/;
const durationPart = /(\d{1,9}(?:\.\d{1,9})?)(d|h|ms|m|s|us|µs|ns)/g;
const unitMs: Readonly<Record<string, number>> = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
  us: 0.001,
  µs: 0.001,
  ns: 0.000_001,
};

/** Go's notation, as OpenAI and Groq send it (`6m0s`, `120ms`); a bare number is seconds (Azure, Cerebras). */
export function duration(text: string): number | undefined {
  if (numberForm.test(text)) return Number(text) * 1_000;
  if (!durationForm.test(text)) return undefined;
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(durationPart)) ms += Number(amount) * (unitMs[unit ?? ""] ?? 0);
  return ms;
}

/** Milliseconds or seconds since the epoch, or seconds from now: told apart by size (1e11 ms is 1973, 1e8 s is too). */
export function untilEpoch(text: string, nowMs: number): number | undefined {
  if (!numberForm.test(text)) return duration(text);
  const value = Number(text);
  if (value >= 1e11) return value - nowMs;
  return value >= 1e8 ? value * 1_000 - nowMs : value * 1_000;
}
