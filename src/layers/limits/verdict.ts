import { AttemptError } from "../../errors.ts";
import type { AttemptRecord, Candidate, Finish } from "../../request.ts";
import { failureOf, type Failure } from "../../wire/failure-table.ts";
import { serverKindOf } from "../../wire/profiles/server-kind.ts";
import type { AttemptVerdict } from "./breakers.ts";

/** How an attempt ended, as far as limits care. */
export interface End {
  readonly verdict: AttemptVerdict;
  /** Nothing reached the provider, so nothing of its quotas was used. */
  readonly unsent: boolean;
  /** The provider said no and tokens were not spent. */
  readonly refused: boolean;
  /** Who is to be left alone, and in which way. */
  readonly scope: Failure["scope"];
  readonly rest: Failure["rest"];
}

const good: End = { verdict: "success", unsent: false, refused: false, scope: "nobody", rest: "none" };
const nothing: End = { verdict: "neutral", unsent: false, refused: false, scope: "nobody", rest: "none" };

/** The attempt threw: before the first byte of an answer. Anything but an AttemptError says nothing about the provider. */
export function endOfError(error: unknown, candidate: Candidate): End {
  if (!(error instanceof AttemptError)) return nothing;
  // A server that loads its model is well, and is asked again as soon as it has.
  if (error.loading) return { ...nothing, refused: true };
  const { outcome, status, fault, failure } = error;
  return endOf(outcome, failureOf({ outcome, status, fault, failure, ...facts(candidate) }));
}

/** The answer is over. `outcome` is filled in by whoever sent the attempt; without it, the way the answer ended decides. */
export function endOfAnswer(attempt: AttemptRecord, finish: Finish, candidate: Candidate): End {
  // The cap is the house's own: the provider was still answering when it was cut.
  if (finish.outcome === "refused_budget") return { ...nothing, verdict: "answered" };
  const outcome = attempt.outcome ?? (finish.outcome === "upstream_error" ? "cut_stream" : undefined);
  if (outcome === undefined) return finish.outcome === "ok" ? good : nothing;
  if (outcome === "ok") return good;
  return endOf(outcome, failureOf({ outcome, status: attempt.status ?? 0, ...facts(candidate) }));
}

function facts({ provider, model }: Candidate): { kind: ReturnType<typeof serverKindOf>; model: string } {
  return { kind: serverKindOf(provider), model };
}

function endOf(outcome: string, { scope, rest, breaker }: Failure): End {
  return {
    verdict: breaker === "failed" ? "failure" : breaker,
    unsent: outcome.startsWith("skipped_") || outcome === "connect_failed" || outcome === "timeout_connect",
    refused: outcome.startsWith("upstream_"),
    scope,
    rest,
  };
}
