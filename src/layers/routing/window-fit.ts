// Whether a prompt fits the window of a candidate, as far as that can be known before it is asked.

import { AttemptError } from "../../errors.ts";
import type { Candidate, Planned } from "../../request.ts";
import { serverKindOf } from "../../wire/profiles/server-kind.ts";
import { serverProfiles } from "../../wire/profiles/server-profiles.ts";
import { promptBound } from "../../wire/prompt-bound.ts";
import type { Failed } from "./exhausted.ts";
import { likelyTokens } from "./routes.ts";

/** The window of a model whose context is assumed, from its server; undefined: it does not tell. */
export type LearnWindow = (candidate: Candidate) => Promise<number | undefined>;

/** Bytes a token on the dear side: English lies at 4.5, code at 3.3. */
const dearBytesPerToken = 3;
/** Tokens that an answer needs at least. */
const leastRoom = 256;

/**
 * The candidate where the prompt fits it, with the window that its server tells if that was only assumed. Throws AttemptError
 * `skipped_context` where it does not.
 */
export async function fitted(
  learnWindow: LearnWindow,
  request: Planned,
  candidate: Candidate,
  failures: readonly Failed[],
): Promise<Candidate> {
  if (!isTooLong(request, candidate, failures)) return candidate;
  const context = candidate.contextAssumed === true ? await learnWindow(candidate) : undefined;
  const learnt = context === undefined ? undefined : { ...candidate, context };
  if (learnt === undefined || isTooLong(request, learnt, failures)) throw new AttemptError("skipped_context");
  return learnt;
}

/**
 * A prompt that certainly does not fit is not sent. After a larger candidate said "too long", one whose window is not
 * larger than that is not asked either.
 */
export function isTooLong(request: Planned, candidate: Candidate, failures: readonly Failed[]): boolean {
  if (candidate.context === undefined || request.operation !== "generate") return false;
  const bound = promptBound(request.facts, request.text.length);
  const { refusesOverlong } = serverProfiles[serverKindOf(candidate.provider)];
  // A server that would drop the beginning without a word gets only what fits for sure, with room for an answer.
  const needed = refusesOverlong ? likelyTokens(bound) : Math.ceil(bound / dearBytesPerToken) + leastRoom;
  if (needed > candidate.context) return true;
  return failures.some(
    ({ error, candidate: failed }) =>
      error.relay !== undefined &&
      error.outcome !== "skipped_policy" &&
      failed.context !== undefined &&
      failed.context >= candidate.context!,
  );
}
