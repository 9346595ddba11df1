import type { Clock } from "../../clock.ts";
import { AttemptError, GatewayError } from "../../errors.ts";
import { patienceMs } from "../../patience.ts";
import type { Chosen, Finish, GatewayResponse, Layer, Paced, Permit } from "../../request.ts";
import type { Backoff } from "./backoff.ts";
import type { Breaker, Pass } from "./breaker.ts";
import { limitScopeOf } from "./limit-scope.ts";
import type { Ask, Quota, Ticket, Used } from "./quota.ts";
import { parseRetryAfter } from "./retry-after.ts";
import { endOfAnswer, endOfError, type End } from "./verdict.ts";

export interface PaceParts {
  readonly quota: Quota;
  readonly breakers: { of(provider: string): Breaker };
  readonly backoff: Backoff;
  readonly clock: Clock;
}

/**
 * Output is taken by this much at most before it is known: a client's `max_tokens` is many times what it gets, and taking
 * that would let one request at a time through. What was used is charged afterwards, into debt where need be.
 */
const MAX_OUTPUT_GUESS = 1_024;
/** Timers may fire a little early; who waited as long as it was told must not be sent away for a fraction. */
const TIMER_SLACK_MS = 5;

/** Somebody else can answer: a person at an agent's prompt would notice a longer wait more than another model. */
const SHORT_PATIENCE_MS = 2_000;
/** Of one agent at a local server: it costs nothing, and whoever is over its budget has nowhere else to go. */
const MOST_WAITING_AT_HOME = 1_024;
/** Nobody else can: a limit by the minute gives something back within seconds. */
const LONG_PATIENCE_MS = 10_000;

/**
 * Asks the provider's breaker, backoff and quotas, and hands on a permit. What will be there in a moment is waited for. Throws AttemptError
 * `skipped_breaker` or `skipped_limit`, with `retryAfterMs` and a note, where the candidate may not be used now.
 */
export function pace(parts: PaceParts): Layer<Chosen, Paced> {
  return (next) => async (chosen) => {
    const account = accountOf(chosen);
    if (chosen.request.operation === "count_tokens") return next(unpaced(parts, chosen, account));
    const attempt = await start(parts, chosen, account);
    let response: GatewayResponse;
    try {
      response = await next({
        request: chosen.request,
        candidate: chosen.candidate,
        attempt: chosen.attempt,
        signal: chosen.signal,
        handOver: chosen.handOver,
        begun: chosen.begun,
        permit: attempt,
      });
    } catch (error) {
      attempt.fail(error);
      throw error;
    }
    return attempt.watch(response);
  };
}

/**
 * Each caller brings an account of its own where the key is its own: the refusals that one earns must not lock out the
 * others.
 */
function accountOf(chosen: Chosen): string {
  const { provider } = chosen.candidate;
  return provider.key.from === "passthrough" ? `${provider.name}\n${chosen.request.agent.name}` : provider.name;
}

async function start(parts: PaceParts, chosen: Chosen, account: string): Promise<Attempt> {
  const { name, local } = chosen.candidate.provider;
  const breaker = parts.breakers.of(name);
  const check = (): void => {
    refuseWhile("skipped_breaker", "open", breaker.waitMs());
    const waitMs = parts.backoff.waitMs(account, parts.clock.monotonic());
    refuseWhile("skipped_limit", "backing off", waitMs - TIMER_SLACK_MS);
  };
  check();
  const waitsFor = { signal: chosen.signal, ms: patienceOf(chosen, parts.clock) };
  const patience = local ? { ...waitsFor, most: MOST_WAITING_AT_HOME } : waitsFor;
  const since = parts.clock.monotonic();
  const taking = parts.quota.take(account, name, askOf(chosen), patience);
  const ticket = taking instanceof Promise ? await taking : taking;
  const waitedMs = taking instanceof Promise ? Math.round(parts.clock.monotonic() - since) : 0;
  if ("refusedBy" in ticket) throw refusal("skipped_limit", ticket.refusedBy, ticket.waitMs, waitedMs);
  if (taking instanceof Promise) recheck(parts, ticket, chosen, check);
  // Last, because a probe that is claimed must be made.
  const pass = breaker.enter();
  if (typeof pass !== "number") return new Attempt(parts, chosen, account, breaker, ticket, pass, waitedMs);
  parts.quota.giveBack(ticket);
  throw refusal("skipped_breaker", "open", pass, waitedMs);
}

/**
 * How long this request would rather wait than go elsewhere. A local model serves one after the other and costs nothing: its
 * turn comes. In the cloud it depends on whether somebody else is free. Never longer than the client waits.
 */
function patienceOf({ request, candidate, attempt }: Chosen, clock: Clock): number {
  const { limits, local, timeouts } = candidate.provider;
  const isLast = request.candidates.at(-1)?.name === candidate.name;
  const usual = local ? timeouts.firstByteMs : isLast ? LONG_PATIENCE_MS : SHORT_PATIENCE_MS;
  const ownMs = limits.maxWaitMs ?? usual;
  const clientMs = patienceMs(request.headers);
  if (clientMs === undefined) return ownMs;
  const sinceMs = clock.monotonic() - (request.record.attempts[0] ?? attempt).startedAt;
  return Math.min(ownMs, Math.max(0, clientMs - sinceMs));
}

/** What was true before the wait may not be any more. */
function recheck(parts: PaceParts, ticket: Ticket, { signal }: Chosen, check: () => void): void {
  try {
    if (signal.aborted) throw new GatewayError("CLIENT_GONE");
    check();
  } catch (error) {
    parts.quota.giveBack(ticket);
    throw error;
  }
}

const learnsNothing: Permit = { learn: () => undefined };

/**
 * Counts have limits of their own at the vendors: they use up nothing of what answers need, and what becomes of them says
 * nothing about answers. Only where the provider is to be left alone they leave it alone.
 */
function unpaced(parts: PaceParts, chosen: Chosen, account: string): Paced {
  refuseWhile("skipped_breaker", "open", parts.breakers.of(chosen.candidate.provider.name).waitMs());
  refuseWhile("skipped_limit", "backing off", parts.backoff.waitMs(account, parts.clock.monotonic()));
  return { ...chosen, permit: learnsNothing };
}

function refuseWhile(outcome: "skipped_breaker" | "skipped_limit", why: string, waitMs: number): void {
  if (waitMs > 0) throw refusal(outcome, why, waitMs);
}

function refusal(
  outcome: "skipped_breaker" | "skipped_limit",
  why: string,
  waitMs: number,
  waitedMs = 0,
): AttemptError {
  const retryAfterMs = Math.ceil(waitMs);
  return new AttemptError(outcome, {
    retryAfterMs,
    note: withWait(waitedMs, `${why} for another ${retryAfterMs} ms`),
  });
}

/** The milliseconds of the attempt count its wait; the note says how much of them it was. */
function withWait(waitedMs: number, note: string | null | undefined): string | undefined {
  const waited = waitedMs > 0 ? `waited ${waitedMs} ms in line` : undefined;
  return [waited, note ?? undefined].filter((part) => part !== undefined).join("; ") || undefined;
}

function askOf(chosen: Chosen): Ask {
  const { facts, operation, agent, body } = chosen.request;
  const { context, maxOutput, provider, model } = chosen.candidate;
  const asked = Math.min(facts.maxOutputTokens ?? MAX_OUTPUT_GUESS, maxOutput ?? Infinity, MAX_OUTPUT_GUESS);
  return {
    agent: agent.name,
    scope: limitScopeOf(provider, model, body["speed"] === "fast"),
    inputTokens: Math.min(facts.inputTokenBound, context ?? Infinity),
    outputTokens: operation === "generate" ? asked * facts.choices : 0,
  };
}

/** Tokens as the provider counts them: Anthropic leaves out what was read from its cache ("Rate limits"). */
function usedBy({ attempt, candidate }: Chosen): Used | null {
  const { usage } = attempt;
  if (usage === null) return null;
  const written = usage.input + usage.cacheWrite5m + usage.cacheWrite1h;
  const inputTokens = candidate.dialect === "messages" ? written : written + usage.cacheRead;
  return { inputTokens, outputTokens: usage.output };
}

const nothingUsed: Used = { inputTokens: 0, outputTokens: 0 };

/** One attempt's permit. Its books are closed exactly once: by `fail`, or at the end of the answer that `watch` is given. */
class Attempt implements Permit {
  readonly #parts: PaceParts;
  readonly #chosen: Chosen;
  readonly #account: string;
  readonly #breaker: Breaker;
  readonly #ticket: Ticket;
  readonly #pass: Pass;
  readonly #waitedMs: number;
  #toldRetryAfterMs: number | undefined;

  constructor(
    parts: PaceParts,
    chosen: Chosen,
    account: string,
    breaker: Breaker,
    ticket: Ticket,
    pass: Pass,
    waitedMs: number,
  ) {
    this.#parts = parts;
    this.#chosen = chosen;
    this.#account = account;
    this.#breaker = breaker;
    this.#ticket = ticket;
    this.#pass = pass;
    this.#waitedMs = waitedMs;
  }

  learn(headers: Headers, status: number): void {
    if (status >= 400) this.#toldRetryAfterMs = parseRetryAfter(headers, this.#parts.clock.now());
    this.#parts.quota.learn(this.#ticket, headers, status === 429 ? this.#toldRetryAfterMs : undefined);
  }

  fail(error: unknown): void {
    const told = error instanceof AttemptError ? error.retryAfterMs : undefined;
    const failed = endOfError(error);
    if (error instanceof AttemptError) {
      if (error.otherKey) this.#parts.quota.forget(this.#ticket);
      error.note = withWait(this.#waitedMs, error.note);
    }
    // One key is at its limit, not the provider: its other key is asked at once.
    const end = error instanceof AttemptError && error.otherKey ? { ...failed, backsOff: false } : failed;
    this.#close(end, told ?? this.#toldRetryAfterMs);
    if (!end.backsOff || !(error instanceof AttemptError)) return;
    error.retryAfterMs = Math.ceil(this.#parts.backoff.waitMs(this.#account, this.#parts.clock.monotonic()));
  }

  /** The answer has begun; its end closes the attempt. */
  watch(response: GatewayResponse): GatewayResponse {
    if (this.#pass.probe && response.status < 500) this.#breaker.answered(this.#pass);
    const finished = response.finished.then(
      (finish: Finish) => {
        const { attempt } = this.#chosen;
        attempt.note = withWait(this.#waitedMs, attempt.note) ?? null;
        this.#close(endOfAnswer(attempt, finish), this.#toldRetryAfterMs);
        return finish;
      },
      (error: unknown) => {
        this.#close(endOfError(error), undefined);
        throw error;
      },
    );
    return { status: response.status, headers: response.headers, body: response.body, finished };
  }

  #close(end: End, retryAfterMs: number | undefined): void {
    const { quota, backoff, clock } = this.#parts;
    if (end.unsent) quota.giveBack(this.#ticket);
    else quota.settle(this.#ticket, end.refused ? nothingUsed : usedBy(this.#chosen));
    this.#breaker.report(this.#pass, end.verdict);
    const now = clock.monotonic();
    const provider = this.#chosen.candidate.provider.name;
    if (end.backsOff) backoff.refused(this.#account, provider, retryAfterMs, now);
    else if (end.verdict === "success") backoff.succeeded(this.#account, now);
  }
}
