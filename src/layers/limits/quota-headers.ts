// What providers say about their quotas in an answer's headers. Every figure is a claim of the upstream: what is not a
// plain number or time is ignored, and no reset is believed beyond 300 s.
//
// Anthropic ("Rate limits", response headers): anthropic-ratelimit-{requests,input-tokens,output-tokens,tokens}-{limit,
// remaining,reset}, resets in RFC 3339. OpenAI ("Rate limits in headers", also Groq, Azure, Mistral): x-ratelimit-{limit,
// remaining,reset}-{requests,tokens}, resets as `1s`, `6m0s`, `20ms`. OpenRouter: x-ratelimit-{limit,remaining,reset},
// reset in milliseconds since the epoch. Others: ratelimit-{limit,remaining,reset} (draft-ietf-httpapi-ratelimit-headers
// up to 07), reset in seconds.

import { clampWait } from "./retry-after.ts";

export type LimitKind = "requests" | "input_tokens" | "output_tokens";
export const limitKinds: readonly LimitKind[] = ["requests", "input_tokens", "output_tokens"];

/** One quota as told: `resetMs` is a duration from now, 0…300,000. */
export interface Reading {
  readonly limit: number | undefined;
  readonly remaining: number;
  readonly resetMs: number | undefined;
}

export interface Readings {
  /** Which header family it was: asking for that one first next time saves the look-ups. */
  readonly family: number;
  readonly requests: Reading | undefined;
  readonly input_tokens: Reading | undefined;
  readonly output_tokens: Reading | undefined;
}

interface Names {
  readonly limit: string;
  readonly remaining: string;
  readonly reset: string;
}

interface Family {
  readonly requests: Names;
  readonly input_tokens?: Names;
  readonly output_tokens?: Names;
  /** Where a provider counts both directions together, it is read as input: that is what a prompt runs into. */
  readonly tokens?: Names;
  readonly resetMs: (text: string, nowMs: number) => number | undefined;
}

const families: readonly Family[] = [
  {
    requests: anthropic("requests"),
    input_tokens: anthropic("input-tokens"),
    output_tokens: anthropic("output-tokens"),
    tokens: anthropic("tokens"),
    resetMs: untilTimestamp,
  },
  { requests: openai("requests"), tokens: openai("tokens"), resetMs: duration },
  { requests: plain("x-ratelimit"), resetMs: untilEpoch },
  { requests: plain("ratelimit"), resetMs: untilEpoch },
];

function anthropic(what: string): Names {
  const prefix = `anthropic-ratelimit-${what}`;
  return { limit: `${prefix}-limit`, remaining: `${prefix}-remaining`, reset: `${prefix}-reset` };
}

function openai(what: string): Names {
  return {
    limit: `x-ratelimit-limit-${what}`,
    remaining: `x-ratelimit-remaining-${what}`,
    reset: `x-ratelimit-reset-${what}`,
  };
}

function plain(prefix: string): Names {
  return { limit: `${prefix}-limit`, remaining: `${prefix}-remaining`, reset: `${prefix}-reset` };
}

/** Null where the headers say nothing. `nowMs` is the wall clock; `familyHint` is the last answer's `family`. */
export function readQuotaHeaders(headers: Headers, nowMs: number, familyHint: number | undefined): Readings | null {
  if (familyHint !== undefined) {
    const readings = readFamily(headers, nowMs, familyHint);
    if (readings !== null) return readings;
  }
  for (let family = 0; family < families.length; family++) {
    if (family === familyHint) continue;
    const readings = readFamily(headers, nowMs, family);
    if (readings !== null) return readings;
  }
  return null;
}

function readFamily(headers: Headers, nowMs: number, index: number): Readings | null {
  const family = families[index];
  if (family === undefined) return null;
  const requests = read(headers, family.requests, family, nowMs);
  const input = read(headers, family.input_tokens, family, nowMs) ?? read(headers, family.tokens, family, nowMs);
  const output = read(headers, family.output_tokens, family, nowMs);
  if (requests === undefined && input === undefined && output === undefined) return null;
  return { family: index, requests, input_tokens: input, output_tokens: output };
}

function read(headers: Headers, names: Names | undefined, family: Family, nowMs: number): Reading | undefined {
  if (names === undefined) return undefined;
  const remaining = count(headers.get(names.remaining));
  if (remaining === undefined) return undefined;
  const limit = count(headers.get(names.limit));
  const reset = headers.get(names.reset);
  const resetMs = reset === null || reset.length > 64 ? undefined : family.resetMs(reset.trim(), nowMs);
  return {
    limit,
    remaining: limit === undefined ? remaining : Math.min(remaining, limit),
    resetMs: resetMs === undefined || Number.isNaN(resetMs) ? undefined : clampWait(resetMs),
  };
}

/** `100`, or the first item of `100, 100;w=60`. */
const countForm = /^\s*(\d{1,15})\s*(?:[,;]|$)/;

function count(text: string | null): number | undefined {
  if (text === null) return undefined;
  const digits = countForm.exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

const timestampForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/i;

function untilTimestamp(text: string, nowMs: number): number | undefined {
  return timestampForm.test(text) ? Date.parse(text) - nowMs : undefined;
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

/** Go's notation, as OpenAI and Groq send it; a bare number is seconds. */
function duration(text: string): number | undefined {
  if (numberForm.test(text)) return Number(text) * 1_000;
  if (!durationForm.test(text)) return undefined;
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(durationPart)) ms += Number(amount) * (unitMs[unit ?? ""] ?? 0);
  return ms;
}

/** Milliseconds or seconds since the epoch, or seconds from now: told apart by size (1e11 ms is 1973, 1e8 s is too). */
function untilEpoch(text: string, nowMs: number): number | undefined {
  if (!numberForm.test(text)) return duration(text);
  const value = Number(text);
  if (value >= 1e11) return value - nowMs;
  return value >= 1e8 ? value * 1_000 - nowMs : value * 1_000;
}
