// "When may I ask again", wherever an answer says it: in `retry-after`, in the words or the details of its body, in the reset
// of a quota that is used up.

import { limitKinds, readQuotaHeaders } from "./quota-headers.ts";
import { clampWait, parseRetryAfter } from "./retry-after.ts";

/** Errors say it in their beginning; longer ones are pages. */
const lookAt = 8_192;

/** Google (`google.rpc.RetryInfo`): `"retryDelay": "34.07s"`. */
const retryDelay = /"retryDelay"\s{0,9}:\s{0,9}"(\d{1,9}(?:\.\d{1,9})?)s"/;
/** ChatGPT's plans. */
const resetsInSeconds = /"resets_in_seconds"\s{0,9}:\s{0,9}(\d{1,9})/;
/**
 * OpenAI and Groq ("Please try again in 1.2s", "in 6m0s", "in 20ms"), Azure ("Please retry after 26 seconds"), Google ("Please
 * retry in 34.07s").
 */
const inWords =
  /\b(?:try again|retry) (?:in|after) ((?:\d{1,9}(?:\.\d{1,9})? ?(?:milliseconds?|ms|minutes?|mins?|m|hours?|hrs?|h|days?|d|seconds?|secs?|s) ?){1,4})(?![a-z0-9])/i;
const part = /(\d{1,9}(?:\.\d{1,9})?) ?(milliseconds?|ms|minutes?|mins?|m|hours?|hrs?|h|days?|d|seconds?|secs?|s)/gi;

/** Anthropic, usage limit: "You will regain access on 2026-12-01 at 00:00 UTC." */
const regainAccess = /\bregain access (?:on|at) (\d{4}-\d\d-\d\d)(?:(?: at |[ T])(\d\d:\d\d)(?::\d\d)?)?/i;
/** ChatGPT's plans: seconds since the epoch. */
const resetsAt = /"resets_at"\s{0,9}:\s{0,9}(\d{10})(?!\d)/;

/** An answer whose status is an error. */
export interface Refusing {
  readonly status: number;
  readonly headers: Headers;
}

/**
 * The wait that an answer asks for, in milliseconds from 0 to 300,000; undefined where it says nothing readable. Headers made
 * for it win over words, and words over the quotas, which are the reason of a 429 alone. `nowMs` is the wall clock. Never
 * throws.
 */
export function toldWaitMs({ status, headers }: Refusing, body: string, nowMs: number): number | undefined {
  const asked = parseRetryAfter(headers, nowMs) ?? waitInText(body);
  return asked === undefined && status === 429 ? waitInQuotas(headers, nowMs) : asked;
}

/** The same, from the text of a failure alone. */
export function waitInText(text: string): number | undefined {
  const start = text.slice(0, lookAt);
  const delay = retryDelay.exec(start)?.[1];
  if (delay !== undefined) return clampWait(Number(delay) * 1_000);
  const words = inWords.exec(start)?.[1];
  if (words !== undefined) return clampWait(durationMs(words));
  const seconds = resetsInSeconds.exec(start)?.[1];
  return seconds === undefined ? undefined : clampWait(Number(seconds) * 1_000);
}

/**
 * Of what is used up the reset that comes last: until then the same request fails again. What comes back bit by bit is there
 * before it is whole again: for that requests stand in line (`quota.ts`).
 */
function waitInQuotas(headers: Headers, nowMs: number): number | undefined {
  const told = readQuotaHeaders(headers, nowMs, undefined);
  let waitMs: number | undefined;
  for (const kind of limitKinds) {
    const reading = told?.kinds[kind];
    if (reading?.remaining !== 0 || reading.resetMs === undefined || reading.perMs > 0) continue;
    waitMs = Math.max(waitMs ?? 0, reading.resetMs);
  }
  return waitMs ?? untilUnifiedReset(headers, nowMs);
}

/** Anthropic's subscriptions: seconds since the epoch. */
function untilUnifiedReset(headers: Headers, nowMs: number): number | undefined {
  const text = headers.get("anthropic-ratelimit-unified-reset");
  if (text === null || !/^\d{10}$/.test(text.trim())) return undefined;
  return clampWait(Number(text) * 1_000 - nowMs);
}

/**
 * Milliseconds until an exhausted account is good again, as far ahead as it says; undefined where it does not, or where that
 * is in the past. Never throws.
 */
export function toldRegainMs(body: string, nowMs: number): number | undefined {
  const start = body.slice(0, lookAt);
  const [, day, minute = "00:00"] = regainAccess.exec(start) ?? [];
  const epochSeconds = resetsAt.exec(start)?.[1];
  const at = day !== undefined ? Date.parse(`${day}T${minute}:00Z`) : Number(epochSeconds ?? "NaN") * 1_000;
  return at > nowMs ? at - nowMs : undefined;
}

function durationMs(text: string): number {
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(part)) ms += Number(amount) * unitMs(unit!.toLowerCase());
  return ms;
}

function unitMs(unit: string): number {
  if (unit.startsWith("ms") || unit.startsWith("milli")) return 1;
  if (unit.startsWith("m")) return 60_000;
  if (unit.startsWith("h")) return 3_600_000;
  return unit.startsWith("d") ? 86_400_000 : 1_000;
}
