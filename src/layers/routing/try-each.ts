import { AttemptError, GatewayError } from "../../errors.ts";
import type {
  AttemptRecord,
  Candidate,
  Chosen,
  GatewayResponse,
  Handler,
  Kept,
  Layer,
  Planned,
} from "../../request.ts";
import type { Clock } from "../../clock.ts";
import { patienceMs } from "../../patience.ts";
import { overflowMessage } from "../../wire/context-overflow.ts";
import { isOutOfCredit } from "../../wire/errors.ts";
import type { Dialect } from "../../wire/neutral.ts";
import { serverKindOf } from "../../wire/profiles/server-kind.ts";
import { serverProfiles } from "../../wire/profiles/server-profiles.ts";
import { promptBound } from "../../wire/prompt-bound.ts";
import { HandOver } from "./hand-over.ts";
import { inTurn, loadingMsOf, whenReady, type LocalHealth, type Turn } from "./local-readiness.ts";
import { likelyTokens } from "./routes.ts";

interface Parts {
  readonly clock: Clock;
  /** Resolves after `ms`, or at once when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds before the same candidate is tried again: exponential, full jitter. `failures` counts from 1. */
  readonly retryDelayMs: (failures: number, retry: Candidate["provider"]["retry"]) => number;
  /** How the local servers stand. */
  readonly health: LocalHealth;
  /** The window of a model whose context is assumed, from its server; undefined: it does not tell. */
  readonly learnWindow: (candidate: Candidate) => Promise<number | undefined>;
  /** The answer where every candidate failed and the gateway can answer by itself (a token count); null: it can't. */
  readonly answerAlone: (request: Planned) => GatewayResponse | null;
  /** A stream that breaks off is carried on by a local candidate (`stream.takeover: text`). */
  readonly takesOver: boolean;
}

/** Never make a client wait longer than this before it is told to come back. */
const maxRetryAfterSeconds = 30;
/** What is down is hardly back sooner. */
const downSeconds = 5;
/** The same candidate again only when it is the last one and the wait is this short. */
const maxRetryWaitMs = 10_000;
/** Between two questions to a server that says that it is loading its model; doubled each time. */
const loadingPauseMs = 500;
const maxLoadingPauseMs = 10_000;
/** Bytes a token on the dear side: English lies at 4.5, code at 3.3. */
const dearBytesPerToken = 3;
/** Tokens that an answer needs at least. */
const leastRoom = 256;

/**
 * The fallback loop: the only layer that calls the next one more than once. Before the first byte of an answer any
 * candidate may still be swapped, so a failure of one is invisible to the client.
 */
export function tryEach(parts: Parts): Layer<Kept, Chosen> {
  return (next) => async (request) => {
    const failures: Failure[] = [];
    const until = parts.clock.monotonic() + (patienceMs(request.headers) ?? Infinity);
    const candidates = inTurn(request.candidates, parts.health);
    for (const candidate of candidates) {
      const last = candidate === candidates[candidates.length - 1];
      const response = await tryCandidate(parts, next, { request, candidate, last, until }, failures);
      if (response !== null) return response;
      if (parts.clock.monotonic() >= until) break;
    }
    const alone = parts.answerAlone(request);
    if (alone !== null) return alone;
    const relay = relayOf(failures);
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
  turn: Turn,
  failures: Failure[],
): Promise<GatewayResponse | null> {
  const { request, candidate, last, until } = turn;
  const loadingUntil = Math.min(until, parts.clock.monotonic() + loadingMsOf(candidate.provider));
  let loads = 0;
  for (let tries = 1; ; tries++) {
    const attempt = openAttempt(candidate, parts.clock);
    request.record.attempts.push(attempt);
    try {
      const ready = await whenReady(parts, turn);
      const fitting = await fitted(parts, request, ready, failures);
      const handOver = handOverOf(parts, next, turn, attempt, failures);
      const response = await next({ request, candidate: fitting, attempt, signal: request.line, handOver });
      request.record.served = attempt;
      return handOver?.joined(response) ?? response;
    } catch (error) {
      if (request.line.aborted) {
        attempt.outcome ??= "client_gone";
        attempt.ms ??= parts.clock.monotonic() - attempt.startedAt;
        throw new GatewayError("CLIENT_GONE", { cause: error });
      }
      if (!(error instanceof AttemptError)) throw error;
      closeAttempt(attempt, error, parts.clock);
      failures.push({ candidate, error });
      if (error.outcome === "skipped_budget" && request.agent.overBudget === "refuse") {
        throw overBudget([{ candidate, error }], error);
      }
      // Each such failure puts one key behind, so this ends with the keys.
      if (error.otherKey && parts.clock.monotonic() < until) continue;
      // An estimate is there at once: a count is not waited for.
      const patient = request.operation !== "count_tokens";
      const loading = error.loading && patient;
      if (loading) loads++;
      const delayMs = loading
        ? Math.min(loadingPauseMs * 2 ** (loads - 1), maxLoadingPauseMs)
        : last && patient
          ? retryDelay(parts, candidate, error, tries - loads)
          : null;
      if (delayMs === null || parts.clock.monotonic() + delayMs >= (loading ? loadingUntil : until)) return null;
      await parts.wait(delayMs, request.line);
      // Nobody is left to answer: no hold is taken and nothing is asked for a client that hung up while it waited.
      if (request.line.aborted) throw new GatewayError("CLIENT_GONE", { cause: error });
    }
  }
}

/** Undefined: the answer can't be handed over. */
function handOverOf(
  parts: Parts,
  next: Handler<Chosen>,
  { request, candidate, until }: Turn,
  attempt: AttemptRecord,
  failures: readonly Failure[],
): HandOver | undefined {
  const { facts, operation } = request;
  // Several answers in one stream would break off at several places.
  if (!parts.takesOver || !facts.stream || operation !== "generate" || facts.choices > 1) return undefined;
  const tried = new Set(failures.filter(({ error }) => isSent(error)).map((failure) => failure.candidate));
  return new HandOver(request, candidate, attempt, tried, async (other, begun) => {
    const follower = openAttempt(other, parts.clock);
    request.record.attempts.push(follower);
    try {
      const ready = await whenReady(parts, { request, candidate: other, last: false, until });
      const fitting = await fitted(parts, request, ready, []);
      const response = await next({ request, candidate: fitting, attempt: follower, signal: request.line, begun });
      request.record.served = follower;
      return response;
    } catch (error) {
      if (error instanceof AttemptError) closeAttempt(follower, error, parts.clock);
      else if (request.line.aborted) closeAttempt(follower, new AttemptError("client_gone"), parts.clock);
      throw error;
    }
  });
}

function isSent({ outcome }: AttemptError): boolean {
  return !outcome.startsWith("skipped_");
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
  // A failure without a status of its own leaves that of the answer in which it happened.
  if (error.status !== 0) attempt.status = error.status;
  attempt.ms = clock.monotonic() - attempt.startedAt;
  attempt.note = error.note ?? null;
}

/** The candidate where the prompt fits it, with the window that its server tells if that was only assumed. */
async function fitted(
  parts: Parts,
  request: Planned,
  candidate: Candidate,
  failures: readonly Failure[],
): Promise<Candidate> {
  if (!tooLong(request, candidate, failures)) return candidate;
  const context = candidate.contextAssumed === true ? await parts.learnWindow(candidate) : undefined;
  const learnt = context === undefined ? undefined : { ...candidate, context };
  if (learnt === undefined || tooLong(request, learnt, failures)) throw new AttemptError("skipped_context");
  return learnt;
}

/**
 * A prompt that certainly does not fit is not sent. After a larger candidate said "too long", one whose window is not
 * larger than that is not asked either.
 */
function tooLong(request: Planned, candidate: Candidate, failures: readonly Failure[]): boolean {
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

/**
 * The answer that a candidate has left for the client where nobody else could serve. "Too long" from a small model is none
 * where a larger one only failed: an agent would shorten a healthy conversation. The model that the client asked for may
 * always say it.
 */
function relayOf(failures: readonly Failure[]): GatewayResponse | undefined {
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

function outOfCredit({ outOfCredit: told, fault }: AttemptError): boolean {
  return told || (fault !== undefined && isOutOfCredit(fault.status, fault));
}

/** Milliseconds until the same candidate is tried again, or null. Only what can get better by itself is repeated. */
function retryDelay(parts: Parts, candidate: Candidate, error: AttemptError, tries: number): number | null {
  const { retry } = candidate.provider;
  if (tries >= retry.attempts || outOfCredit(error)) return null;
  const passing =
    error.outcome === "connect_failed" || /^upstream_(408|425|429|500|502|503|504|52\d|529)$/.test(error.outcome);
  if (!passing) return null;
  const asked = error.retryAfterMs;
  if (asked !== undefined) return asked <= maxRetryWaitMs ? asked : null;
  return parts.retryDelayMs(tries, retry);
}

/** Money that is only held comes back; what was spent does not, and an agent that is told so stops. */
function overBudget(failures: readonly Failure[], cause: unknown): GatewayError {
  const waits = failures.flatMap(({ error }) =>
    error.outcome === "skipped_budget" && error.retryAfterMs !== undefined ? [error.retryAfterMs] : [],
  );
  if (waits.length === 0) return new GatewayError("BUDGET_EXHAUSTED", { cause });
  return new GatewayError("BUDGET_HELD", { retryAfterSeconds: Math.ceil(Math.min(...waits) / 1_000), cause });
}

/** What the client may do now, from why each candidate failed. */
function exhausted(dialect: Dialect, failures: readonly Failure[]): GatewayError {
  const cause = failures.map(({ candidate, error }) => `${candidate.name}: ${error.outcome}`).join(", ");
  const has = (test: (failure: Failure) => boolean): boolean => failures.some(test);
  const limited = failures.filter((f) => f.error.outcome === "upstream_429" || f.error.outcome === "skipped_limit");
  const budget = has((f) => f.error.outcome === "skipped_budget");
  const cloudTried = has((f) => !f.candidate.local && !f.error.outcome.startsWith("skipped_"));
  // A candidate at its limit can serve in a moment; an agent that is told that its budget is gone stops for good.
  if (budget && !cloudTried && limited.length === 0) return overBudget(failures, cause);

  const sent = failures.filter((f) => !f.error.outcome.startsWith("skipped_"));
  const paid = sent.filter((f) => !f.candidate.local);
  // Agents that are told to come back would do so for minutes.
  if (paid.length > 0 && paid.every((f) => outOfCredit(f.error))) return new GatewayError("UPSTREAM_CREDIT", { cause });
  const others = paid.filter((f) => !limited.includes(f));
  if (limited.length > 0 && others.length === 0) {
    const retryAfterSeconds = Math.max(1, shortestWait(limited) ?? 0);
    const busy = limited.every((f) => f.candidate.local);
    return new GatewayError(busy ? "LIMITS_LOCAL_BUSY" : "LIMITS_EXHAUSTED", { retryAfterSeconds, cause });
  }
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
function shortestWait(failures: readonly Failure[]): number | undefined {
  const last = new Map(failures.map(({ candidate, error }) => [candidate, error.retryAfterMs]));
  const waits = [...last.values()].filter((ms) => ms !== undefined);
  return waits.length === 0 ? undefined : Math.min(maxRetryAfterSeconds, Math.ceil(Math.min(...waits) / 1_000));
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
