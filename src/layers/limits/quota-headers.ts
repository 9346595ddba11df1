// What providers say about their quotas in an answer's headers. Every figure is a claim of the upstream: what is not a
// plain number or time is ignored, and no reset is believed beyond 300 s.
//
// Anthropic ("Rate limits", response headers): anthropic-ratelimit-{requests,input-tokens,output-tokens,tokens}-{limit,
// remaining,reset}, resets in RFC 3339; anthropic-fast-* for fast mode; anthropic-ratelimit-unified-* for subscriptions.
// Its priority tier's headers (anthropic-priority-*) are not read: beyond that tier's capacity a request is served by the
// standard one. OpenAI ("Rate limits in headers", also Groq, Azure): x-ratelimit-{limit,remaining,reset}-{requests,tokens},
// resets as `1s`, `6m0s`, `20ms`. Mistral and Cerebras name the window: x-ratelimit-remaining-{req,tokens}-minute.
// OpenRouter: x-ratelimit-{limit,remaining,reset}, reset in milliseconds since the epoch. Others:
// ratelimit-{limit,remaining,reset} (draft-ietf-httpapi-ratelimit-headers up to 06), reset in seconds, or `ratelimit` and
// `ratelimit-policy` (from 07 on).

import { readRateLimitFields } from "./rate-limit-fields.ts";
import { duration, untilEpoch, untilTimestamp } from "./reset-forms.ts";
import { clampWait } from "./retry-after.ts";

/** `tokens`: where a provider counts both directions together, or tells the tightest of several counts. */
export type LimitKind = "requests" | "tokens" | "input_tokens" | "output_tokens";
export const limitKinds: readonly LimitKind[] = ["requests", "tokens", "input_tokens", "output_tokens"];

/** One quota as told. */
export interface Reading {
  readonly limit: number | undefined;
  readonly remaining: number;
  /** From now, 0…300,000: when all of it is there again. */
  readonly resetMs: number | undefined;
  /** How much comes back each millisecond until then; 0: nothing before the reset, and then all of it. */
  readonly perMs: number;
  /** How long a window lasts; undefined: not told. */
  readonly windowMs: number | undefined;
}

export type ToldKinds = { readonly [kind in LimitKind]?: Reading | undefined };

export interface Readings {
  /** Which header family it was: asking for that one first next time saves the look-ups. */
  readonly family: number;
  readonly kinds: ToldKinds;
}

interface Names {
  readonly limit: string;
  readonly remaining: string;
  readonly reset: string;
}

type ResetForm = (text: string, nowMs: number) => number | undefined;
type Family = (headers: Headers, nowMs: number) => ToldKinds | null;

/**
 * Anthropic and OpenAI fill their buckets all the time, and tell when they will be full ("continuously replenished";
 * "resets to its initial state"). With the others nothing comes back before the window is over.
 */
type Refill = "steady" | "windows";

/** All of them count by the minute or by longer: what would come back faster is a rounded reset. */
const SHORTEST_REFILL_MS = 60_000;
/** A subscription tells that it may be used, not how often. */
const UNTOLD = Number.MAX_SAFE_INTEGER;

/** Asked only for requests in fast mode, which have limits of their own. */
export const fastFamily = 0;

const families: readonly Family[] = [
  table("steady", untilTimestamp, {
    input_tokens: [infixed("anthropic-fast-input-tokens")],
    output_tokens: [infixed("anthropic-fast-output-tokens")],
  }),
  table("steady", untilTimestamp, {
    requests: [infixed("anthropic-ratelimit-requests")],
    tokens: [infixed("anthropic-ratelimit-tokens")],
    input_tokens: [infixed("anthropic-ratelimit-input-tokens")],
    output_tokens: [infixed("anthropic-ratelimit-output-tokens")],
  }),
  table("steady", duration, { requests: [suffixed("requests")], tokens: [suffixed("tokens")] }),
  subscription,
  table("steady", duration, {
    requests: [suffixed("req-minute"), suffixed("requests-minute"), suffixed("requests-day")],
    tokens: [suffixed("tokens-minute")],
  }),
  table("windows", untilEpoch, { requests: [infixed("x-ratelimit")] }),
  table("windows", untilEpoch, { requests: [infixed("ratelimit")] }),
  standard,
];

function infixed(prefix: string): Names {
  return { limit: `${prefix}-limit`, remaining: `${prefix}-remaining`, reset: `${prefix}-reset` };
}

function suffixed(what: string): Names {
  return {
    limit: `x-ratelimit-limit-${what}`,
    remaining: `x-ratelimit-remaining-${what}`,
    reset: `x-ratelimit-reset-${what}`,
  };
}

/** Null where the headers say nothing. `nowMs` is the wall clock; `familyHint` is the last answer's `family`. */
export function readQuotaHeaders(headers: Headers, nowMs: number, familyHint: number | undefined): Readings | null {
  if (familyHint !== undefined) {
    const kinds = families[familyHint]?.(headers, nowMs);
    if (kinds !== undefined && kinds !== null) return { family: familyHint, kinds };
  }
  for (let family = fastFamily + 1; family < families.length; family++) {
    if (family === familyHint) continue;
    const kinds = families[family]!(headers, nowMs);
    if (kinds !== null) return { family, kinds };
  }
  return null;
}

function table(
  refill: Refill,
  resetForm: ResetForm,
  names: { readonly [kind in LimitKind]?: readonly Names[] },
): Family {
  const rows = limitKinds.flatMap((kind) => (names[kind] ?? []).map((row) => [kind, row] as const));
  return (headers, nowMs) => {
    let kinds: { [kind in LimitKind]?: Reading } | null = null;
    for (const [kind, row] of rows) {
      if (kinds?.[kind] !== undefined) continue;
      const reading = read(headers, row, refill, resetForm, nowMs);
      if (reading !== undefined) (kinds ??= {})[kind] = reading;
    }
    return kinds;
  };
}

function read(
  headers: Headers,
  names: Names,
  refill: Refill,
  resetForm: ResetForm,
  nowMs: number,
): Reading | undefined {
  const remaining = count(headers.get(names.remaining));
  if (remaining === undefined) return undefined;
  const text = headers.get(names.reset);
  const resetMs =
    text === null || text.length > 64 ? undefined : resetForm(text.trim(), serverTime(headers.get("date"), nowMs));
  return readingOf({ limit: count(headers.get(names.limit)), remaining, resetMs, windowMs: undefined }, refill);
}

interface Told {
  readonly limit: number | undefined;
  readonly remaining: number;
  readonly resetMs: number | undefined;
  readonly windowMs: number | undefined;
}

function readingOf({ limit, remaining: told, resetMs: raw, windowMs }: Told, refill: Refill): Reading {
  const remaining = limit === undefined ? told : Math.min(told, limit);
  const inMs = raw === undefined || Number.isNaN(raw) ? undefined : raw;
  return {
    limit,
    remaining,
    resetMs: inMs === undefined ? undefined : clampWait(inMs),
    perMs: refill === "steady" && limit !== undefined ? refillOf(limit, remaining, inMs) : 0,
    windowMs: windowMs === undefined ? undefined : clampWait(windowMs),
  };
}

/** What is missing comes back until the reset, evenly. */
function refillOf(limit: number, remaining: number, resetMs: number | undefined): number {
  const fastest = limit / SHORTEST_REFILL_MS;
  if (resetMs === undefined || resetMs <= 0 || remaining >= limit) return fastest;
  return Math.min(fastest, (limit - remaining) / resetMs);
}

/**
 * Subscriptions (seen with the vendor's own clients, in no manual): `allowed`, `allowed_warning` or `rejected`, and since
 * when again in seconds since the epoch. Who pays for what goes beyond is not rejected.
 */
function subscription(headers: Headers, nowMs: number): ToldKinds | null {
  const status = headers.get("anthropic-ratelimit-unified-status");
  if (status === null) return null;
  const paysBeyond = headers.get("anthropic-ratelimit-unified-overage-status")?.startsWith("allowed") === true;
  const rejected = status.trim() === "rejected" && !paysBeyond;
  const reset = headers.get("anthropic-ratelimit-unified-reset");
  const resetMs =
    reset === null || reset.length > 64 ? undefined : untilEpoch(reset.trim(), serverTime(headers.get("date"), nowMs));
  const remaining = rejected ? 0 : UNTOLD;
  return { requests: readingOf({ limit: undefined, remaining, resetMs, windowMs: undefined }, "windows") };
}

function standard(headers: Headers): ToldKinds | null {
  const state = headers.get("ratelimit");
  if (state === null) return null;
  const told = readRateLimitFields(state, headers.get("ratelimit-policy"));
  return told === null ? null : { requests: readingOf(told, "windows") };
}

const httpDate = /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;
/** `date` has whole seconds, and the answer was under way. */
const DATE_SLACK_MS = 2_000;

/** A moment that the server names is one of its clock: where ours differs, `date` says by how much. */
function serverTime(date: string | null, nowMs: number): number {
  if (date === null || !httpDate.test(date)) return nowMs;
  const told = Date.parse(date);
  return Number.isNaN(told) || Math.abs(told - nowMs) <= DATE_SLACK_MS ? nowMs : told;
}

/** `100`, or the first item of `100, 100;w=60`. */
const countForm = /^\s*(\d{1,15})\s*(?:[,;]|$)/;

function count(text: string | null): number | undefined {
  if (text === null) return undefined;
  const digits = countForm.exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
