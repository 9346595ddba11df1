import { AttemptError, GatewayError } from "../../errors.ts";
import type { AttemptRecord, Candidate, Chosen, GatewayResponse, Handler, Layer, Planned } from "../../request.ts";
import type { Clock } from "../../clock.ts";
import { overflowMessage } from "../../wire/context-overflow.ts";
import type { Dialect } from "../../wire/neutral.ts";
import { promptBound } from "../../wire/prompt-bound.ts";
import { likelyTokens } from "./routes.ts";

interface Parts {
  readonly clock: Clock;
  /** Resolves after `ms`, or at once when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds before the same candidate is tried again: exponential, full jitter. `failures` counts from 1. */
  readonly retryDelayMs: (failures: number, retry: Candidate["provider"]["retry"]) => number;
  /** The answer where every candidate failed and the gateway can answer by itself (a token count); null: it can't. */
  readonly answerAlone: (request: Planned) => GatewayResponse | null;
}

/** Never make a client wait longer than this before it is told to come back. */
const maxRetryAfterSeconds = 30;
/** The same candidate again only when it is the last one and the wait is this short. */
const maxRetryWaitMs = 10_000;

/**
 * The fallback loop: the only layer that calls the next one more than once. Before the first byte of an answer any
 * candidate may still be swapped, so a failure of one is invisible to the client.
 */
export function tryEach(parts: Parts): Layer<Planned, Chosen> {
  return (next) => async (request) => {
    const failures: Failure[] = [];
    for (const candidate of request.candidates) {
      const response = await tryCandidate(parts, next, request, candidate, failures);
      if (response !== null) return response;
    }
    const alone = parts.answerAlone(request);
    if (alone !== null) return alone;
    const relay = failures.find((f) => f.error.relay !== undefined)?.error.relay;
    if (relay !== undefined) return relay;
    throw exhausted(request.dialect, failures);
  };
}

interface Failure {
  readonly candidate: Candidate;
  readonly error: AttemptError;
}

/** Null: go on to the next candidate. */
async function tryCandidate(
  parts: Parts,
  next: Handler<Chosen>,
  request: Planned,
  candidate: Candidate,
  failures: Failure[],
): Promise<GatewayResponse | null> {
  const isLast = candidate === request.candidates[request.candidates.length - 1];
  for (let tries = 1; ; tries++) {
    const attempt = openAttempt(candidate, parts.clock);
    request.record.attempts.push(attempt);
    try {
      if (tooLong(request, candidate, failures)) throw new AttemptError("skipped_context");
      const response = await next({ request, candidate, attempt, signal: request.signal });
      request.record.served = attempt;
      return response;
    } catch (error) {
      if (request.signal.aborted) {
        attempt.outcome ??= "client_gone";
        attempt.ms ??= parts.clock.monotonic() - attempt.startedAt;
        throw new GatewayError("CLIENT_GONE", { cause: error });
      }
      if (!(error instanceof AttemptError)) throw error;
      closeAttempt(attempt, error, parts.clock);
      failures.push({ candidate, error });
      if (error.outcome === "skipped_budget" && request.agent.overBudget === "refuse") {
        throw new GatewayError("BUDGET_EXHAUSTED", { cause: error });
      }
      const delayMs = isLast ? retryDelay(parts, candidate, error, tries) : null;
      if (delayMs === null) return null;
      await parts.wait(delayMs, request.signal);
      // Nobody is left to answer: no hold is taken and nothing is asked for a client that hung up while it waited.
      if (request.signal.aborted) throw new GatewayError("CLIENT_GONE", { cause: error });
    }
  }
}

function openAttempt(candidate: Candidate, clock: Clock): AttemptRecord {
  return {
    candidate: candidate.name,
    provider: candidate.provider.name,
    model: candidate.model,
    local: candidate.local,
    startedAt: clock.monotonic(),
    outcome: null,
    status: null,
    ms: null,
    ttftMs: null,
    nanos: 0,
    heldNanos: 0,
    price: candidate.price?.source ?? "free",
    usage: null,
    usageSource: null,
    reportedModel: null,
    note: null,
  };
}

function closeAttempt(attempt: AttemptRecord, error: AttemptError, clock: Clock): void {
  attempt.outcome = error.outcome;
  attempt.status = error.status === 0 ? null : error.status;
  attempt.ms = clock.monotonic() - attempt.startedAt;
  attempt.note = error.note ?? null;
}

/**
 * A prompt that certainly does not fit is not sent. After a larger candidate said "too long", one whose window is not
 * larger than that is not asked either.
 */
function tooLong(request: Planned, candidate: Candidate, failures: readonly Failure[]): boolean {
  if (candidate.context === undefined || request.operation !== "generate") return false;
  if (likelyTokens(promptBound(request.facts, request.text.length)) > candidate.context) return true;
  return failures.some(
    ({ error, candidate: failed }) =>
      error.relay !== undefined && failed.context !== undefined && failed.context >= candidate.context!,
  );
}

/** Milliseconds until the same candidate is tried again, or null. Only what can get better by itself is repeated. */
function retryDelay(parts: Parts, candidate: Candidate, error: AttemptError, tries: number): number | null {
  const { retry } = candidate.provider;
  if (tries >= retry.attempts) return null;
  const passing =
    error.outcome === "connect_failed" || /^upstream_(408|425|429|500|502|503|504|52\d|529)$/.test(error.outcome);
  if (!passing) return null;
  const asked = error.retryAfterMs;
  if (asked !== undefined) return asked <= maxRetryWaitMs ? asked : null;
  return parts.retryDelayMs(tries, retry);
}

/** What the client may do now, from why each candidate failed. */
function exhausted(dialect: Dialect, failures: readonly Failure[]): GatewayError {
  const cause = failures.map(({ candidate, error }) => `${candidate.name}: ${error.outcome}`).join(", ");
  const has = (test: (failure: Failure) => boolean): boolean => failures.some(test);
  const limited = failures.filter((f) => f.error.outcome === "upstream_429" || f.error.outcome === "skipped_limit");
  const budget = has((f) => f.error.outcome === "skipped_budget");
  const cloudTried = has((f) => !f.candidate.local && !f.error.outcome.startsWith("skipped_"));
  // A candidate at its limit can serve in a moment; an agent that is told that its budget is gone stops for good.
  if (budget && !cloudTried && limited.length === 0) return new GatewayError("BUDGET_EXHAUSTED", { cause });

  const others = failures.filter(
    (f) => !limited.includes(f) && !f.candidate.local && !f.error.outcome.startsWith("skipped_"),
  );
  if (limited.length > 0 && others.length === 0) {
    const waits = limited.flatMap((f) => f.error.retryAfterMs ?? []);
    const waitMs = waits.length > 0 ? Math.min(...waits) : 1_000;
    const retryAfterSeconds = Math.max(1, Math.min(maxRetryAfterSeconds, Math.ceil(waitMs / 1_000)));
    return new GatewayError("LIMITS_EXHAUSTED", { retryAfterSeconds, cause });
  }
  if (failures.every((f) => f.error.outcome.startsWith("skipped_"))) {
    const keyless = failures.find((f) => f.error.outcome === "skipped_key");
    if (keyless !== undefined) {
      const publicMessage = `No key for ${keyless.candidate.provider.name}: run \`sanctum keys set ${keyless.candidate.provider.name}\`.`;
      return new GatewayError("ROUTE_NO_CANDIDATE", { publicMessage, cause });
    }
    const unfit = unfitting(dialect, failures, cause);
    if (unfit !== null) return unfit;
  }
  return new GatewayError("UPSTREAM_FAILED", { retryAfterSeconds: 5, cause });
}

/** The request itself is what no candidate can take: to be told as final, since sending it again would not help. */
function unfitting(dialect: Dialect, failures: readonly Failure[], cause: string): GatewayError | null {
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
