import { AttemptError } from "../../errors.ts";
import type { AttemptRecord, Finish } from "../../request.ts";
import type { Verdict } from "./breaker.ts";

/** How an attempt ended, as far as limits care. */
export interface End {
  readonly verdict: Verdict;
  /** Nothing reached the provider, so nothing of its quotas was used. */
  readonly unsent: boolean;
  /** The provider said no and tokens were not spent. */
  readonly refused: boolean;
  /** The provider asks to be left alone: 429, 503, 529, and 402 (out of credit: every other request would get it too). */
  readonly backsOff: boolean;
}

/** The attempt threw: before the first byte of an answer. Anything but an AttemptError says nothing about the provider. */
export function endOfError(error: unknown): End {
  if (!(error instanceof AttemptError)) return endOf("client_gone", 0);
  // A server that loads its model is well, and is asked again as soon as it has.
  if (error.loading) return { verdict: "neutral", unsent: false, refused: true, backsOff: false };
  return endOf(error.outcome, error.status);
}

/** The answer is over. `outcome` is filled in by whoever sent the attempt; without it, the way the answer ended decides. */
export function endOfAnswer(attempt: AttemptRecord, finish: Finish): End {
  // The cap is the house's own: the provider was still answering when it was cut.
  if (finish.outcome === "refused_budget")
    return { verdict: "answered", unsent: false, refused: false, backsOff: false };
  if (attempt.outcome !== null) return endOf(attempt.outcome, attempt.status ?? 0);
  if (finish.outcome === "ok") return endOf("ok", 200);
  return endOf(finish.outcome === "upstream_error" ? "cut_stream" : "client_gone", 0);
}

function endOf(outcome: string, outcomeStatus: number): End {
  if (outcome.startsWith("skipped_")) return { verdict: "neutral", unsent: true, refused: false, backsOff: false };
  const status = outcome.startsWith("upstream_") ? Number(outcome.slice("upstream_".length)) : outcomeStatus;
  const refused = outcome.startsWith("upstream_");
  const backsOff = (refused || outcome === "error_event") && asksForRest(status);
  return {
    verdict: verdictOf(outcome, status),
    unsent: outcome === "connect_failed" || outcome === "timeout_connect",
    refused,
    backsOff,
  };
}

function asksForRest(status: number): boolean {
  return status === 429 || status === 503 || status === 529 || status === 402;
}

function verdictOf(outcome: string, status: number): Verdict {
  switch (outcome) {
    case "ok":
      return "success";
    case "client_gone":
      return "neutral";
    case "error_event":
      // A rate limit told inside a 200 is a limit, not a breakdown.
      return status >= 400 && status < 500 ? "answered" : "failure";
    case "connect_failed":
    case "cut_stream":
    // The stream died and another candidate carried it on.
    case "taken_over":
      return "failure";
    default:
      if (outcome.startsWith("timeout_")) return "failure";
      // 4xx, 401 and 403 included: the provider works, it only says no.
      return status >= 500 ? "failure" : "answered";
  }
}
