// The same candidate again, or the next one: whichever is likely to answer first.

import type { Candidate } from "../../request.ts";
import { classOf, type Failed } from "./exhausted.ts";

/** A client that nobody else can answer is kept waiting for this long at most; milliseconds. */
export const longestRetryWaitMs = 10_000;

export interface RetryFacts {
  readonly failed: Failed;
  /** Attempts at the candidate so far. */
  readonly tries: number;
  /** Milliseconds: exponential, with full jitter. Called at most once. */
  readonly jitteredMs: () => number;
}

/**
 * Milliseconds until the same candidate may be asked again; null: that would not help, or it has been asked often enough. It is
 * as long as the upstream asked for, where it did.
 */
export function retryWaitMs({ failed, tries, jitteredMs }: RetryFacts): number | null {
  const { candidate, error } = failed;
  if (tries >= candidate.provider.retry.attempts || error.outOfCredit || !classOf(failed).again) return null;
  const waitMs = error.retryAfterMs ?? jitteredMs();
  return waitMs <= longestRetryWaitMs ? waitMs : null;
}

/**
 * Whether waiting and asking again is quicker than the next candidate is good. What a candidate takes is known only where it
 * has answered of late: then this failure is likely a moment's. Where either is unknown, moving on is the safer guess.
 */
export function isQuicker(waitMs: number, ownMs: number | undefined, nextMs: number | undefined): boolean {
  return ownMs !== undefined && nextMs !== undefined && waitMs + ownMs < nextMs;
}

/** A candidate that failed and may be asked again. */
export interface Waiting {
  readonly candidate: Candidate;
  /** Monotonic, milliseconds. */
  readonly readyAt: number;
}

/** Who is ready first; of two that are, the one that stands first in the plan. */
export function firstReady(waiting: readonly Waiting[]): Waiting | undefined {
  return waiting.reduce<Waiting | undefined>(
    (first, one) => (first === undefined || one.readyAt < first.readyAt ? one : first),
    undefined,
  );
}
