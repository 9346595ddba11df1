// What the client is told where no candidate has answered: what it may do now, from why each of them failed.

import { GatewayError, type AttemptError } from "../../errors.ts";
import type { Candidate, GatewayResponse } from "../../request.ts";
import { overflowMessage } from "../../wire/context-overflow.ts";
import { failureOf, type Failure } from "../../wire/failure-table.ts";
import type { Dialect } from "../../wire/neutral.ts";
import { serverKindOf } from "../../wire/profiles/server-kind.ts";

/** A candidate that did not answer, and why. */
export interface Failed {
  readonly candidate: Candidate;
  readonly error: AttemptError;
}

/** Never make a client wait longer than this before it is told to come back. */
const maxRetryAfterSeconds = 30;
/** What is down is hardly back sooner. */
const downSeconds = 5;

/** The row of the table that fits. */
export function classOf({ candidate, error }: Failed): Failure {
  const { outcome, status, fault, failure } = error;
  const { provider, model } = candidate;
  return failureOf({ outcome, status, fault, failure, kind: serverKindOf(provider), model });
}

/**
 * The answer that a candidate has left for the client where nobody else could serve. "Too long" from a small model is none
 * where a larger one only failed: an agent would shorten a healthy conversation. The model that the client asked for may
 * always say it.
 */
export function relayOf(failures: readonly Failed[]): GatewayResponse | undefined {
  const left = failures.filter((f) => f.error.relay !== undefined);
  const said = left.find((f) => f.candidate.reason === "requested") ?? left.at(-1);
  if (said === undefined || said.candidate.reason === "requested" || said.error.outcome === "skipped_policy") {
    return said?.error.relay;
  }
  const room = said.candidate.context;
  const largerFailed = failures.some(
    ({ candidate, error }) =>
      error.relay === undefined &&
      error.outcome !== "skipped_context" &&
      error.outcome !== "skipped_policy" &&
      (room === undefined || candidate.context === undefined || candidate.context > room),
  );
  return largerFailed ? undefined : said.error.relay;
}

function outOfCredit(failed: Failed): boolean {
  return failed.error.outOfCredit || classOf(failed).rest === "exhausted";
}

/** The provider does not have the model: it said so, or has said so a moment ago. */
function isGone(failed: Failed): boolean {
  return classOf(failed).rest === "gone";
}

/** It can serve in a moment. */
function isLimited(failed: Failed): boolean {
  const { outcome, status } = failed.error;
  // A rate limit told inside of a 200 is one, too.
  const limit =
    outcome === "upstream_429" || outcome === "skipped_limit" || (outcome === "error_event" && status === 429);
  return limit && !outOfCredit(failed) && !isGone(failed);
}

/** Money that is only held comes back; what was spent does not, and an agent that is told so stops. */
export function overBudget(failures: readonly Failed[], cause: unknown): GatewayError {
  const waits = failures.flatMap(({ error }) =>
    error.outcome === "skipped_budget" && error.retryAfterMs !== undefined ? [error.retryAfterMs] : [],
  );
  if (waits.length === 0) return new GatewayError("BUDGET_EXHAUSTED", { cause });
  return new GatewayError("BUDGET_HELD", { retryAfterSeconds: Math.ceil(Math.min(...waits) / 1_000), cause });
}

/** What the client may do now, from why each candidate failed. */
export function exhausted(dialect: Dialect, failures: readonly Failed[]): GatewayError {
  const cause = failures.map(({ candidate, error }) => `${candidate.name}: ${error.outcome}`).join(", ");
  const has = (test: (failed: Failed) => boolean): boolean => failures.some(test);
  const limited = failures.filter(isLimited);
  const budget = has((f) => f.error.outcome === "skipped_budget");
  const cloudTried = has((f) => !f.candidate.local && !f.error.outcome.startsWith("skipped_"));
  // A candidate at its limit can serve in a moment; an agent that is told that its budget is gone stops for good.
  if (budget && !cloudTried && limited.length === 0) return overBudget(failures, cause);

  const sent = failures.filter((f) => !f.error.outcome.startsWith("skipped_"));
  // An account that is left alone because its credit is used up was not asked, and is empty all the same.
  const paid = failures.filter((f) => !f.candidate.local && (sent.includes(f) || outOfCredit(f)));
  const others = paid.filter((f) => !limited.includes(f) && !outOfCredit(f));
  if (limited.length > 0 && others.length === 0) {
    const retryAfterSeconds = Math.max(1, shortestWait(limited) ?? 0);
    const busy = limited.every((f) => f.candidate.local);
    return new GatewayError(busy ? "LIMITS_LOCAL_BUSY" : "LIMITS_EXHAUSTED", { retryAfterSeconds, cause });
  }
  // Agents that are told to come back would do so for minutes.
  if (paid.length > 0 && paid.every(outOfCredit)) return new GatewayError("UPSTREAM_CREDIT", { cause });
  if (failures.every((f) => f.error.outcome.startsWith("skipped_"))) {
    if (failures.every((f) => f.error.outcome === "skipped_model")) {
      return new GatewayError("ROUTE_NO_CANDIDATE", { publicMessage: lackingModel, final: true, cause });
    }
    const keyless = failures.find((f) => f.error.outcome === "skipped_key");
    if (keyless !== undefined) {
      return new GatewayError("ROUTE_NO_CANDIDATE", { publicMessage: lacking(keyless.candidate.provider), cause });
    }
    const unfit = unfitting(dialect, failures, cause);
    if (unfit !== null) return unfit;
  }
  const told = failures.filter((f) => sent.includes(f) || isGone(f));
  if (told.length > 0 && told.every(isGone)) {
    const publicMessage = "The model is not offered by the provider that was asked.";
    return new GatewayError("ROUTE_MODEL_UNKNOWN", { publicMessage, dialectCode: "model_not_found", cause });
  }
  // What was only skipped may be asked in a moment; what failed was tried again here as often as it is good.
  const retryAfterSeconds = Math.max(downSeconds, shortestWait(failures) ?? 0);
  return new GatewayError("UPSTREAM_FAILED", { retryAfterSeconds, final: sent.length > 0, cause });
}

/** The names of local models are the house's own affair. */
const lackingModel =
  "The local server does not have the model behind this name: `sanctum status` tells what fetches it.";

function lacking({ name, key }: Candidate["provider"]): string {
  return key.from === "passthrough"
    ? `${name} takes the client's own credential and none came: send it as for ${name} itself, and the gateway's token (or \`anonymous\`) in x-sanctum-token.`
    : `No key for ${name}: run \`sanctum keys set ${name}\`.`;
}

/** Seconds until the first of them may be asked again; undefined: none says when. Of each candidate its last word counts. */
function shortestWait(failures: readonly Failed[]): number | undefined {
  const last = new Map(failures.map(({ candidate, error }) => [candidate, error.retryAfterMs]));
  const waits = [...last.values()].filter((ms) => ms !== undefined);
  return waits.length === 0 ? undefined : Math.min(maxRetryAfterSeconds, Math.ceil(Math.min(...waits) / 1_000));
}

/** The request itself is what no candidate can take: to be told as final, since sending it again would not help. */
function unfitting(dialect: Dialect, failures: readonly Failed[], cause: string): GatewayError | null {
  const outcomes = new Set(failures.map((f) => f.error.outcome));
  const tooLong = outcomes.delete("skipped_context");
  const unsuited = outcomes.delete("skipped_policy");
  if (outcomes.size > 0) return null;
  if (tooLong) {
    // In these words and with this code agents shorten their conversation by themselves.
    const publicMessage = overflowMessage(dialect, { status: 400, code: undefined, message: "" });
    return new GatewayError("REQUEST_INVALID", { publicMessage, dialectCode: "context_length_exceeded", cause });
  }
  if (!unsuited) return null;
  const publicMessage = "No model that could answer takes everything that this request asks for.";
  return new GatewayError("REQUEST_INVALID", { publicMessage, cause });
}
