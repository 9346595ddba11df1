import type { Clock } from "../../clock.ts";
import { AttemptError, GatewayError } from "../../errors.ts";
import { patienceMs } from "../../patience.ts";
import type { Chosen, Finish, GatewayResponse, Layer, Paced, Permit } from "../../request.ts";
import { classifyFailure, type Failure } from "../../wire/failure-table.ts";
import type { Backoff } from "./backoff.ts";
import type { Breakers, Passes } from "./breakers.ts";
import { limitScopeOf } from "./limit-scope.ts";
import type { Ask, Quota, Ticket, Used } from "./quota.ts";
import { modelRestKey } from "./rest-key.ts";
import { toldWaitMs, waitInText } from "./told-wait.ts";
import { endOfAnswer, endOfError, type End } from "./verdict.ts";

export interface PaceParts {
  readonly quota: Quota;
  readonly breakers: Pick<Breakers, "waitMs" | "enter" | "answered" | "report">;
  readonly backoff: Backoff;
  readonly clock: Clock;
}

/**
 * Output is taken by this much at most before it is known: a client's `max_tokens` is many times what it gets, and taking
 * that would let one request at a time through. What was used is charged afterwards, into debt where need be.
 */
const MAX_OUTPUT_GUESS = 1_024;
/** A model that its provider does not know is looked for again after this: it may be pulled, or put right, meanwhile. */
const GONE_MS = 60_000;
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
  const { provider, model } = chosen.candidate;
  const { name, local } = provider;
  const check = (): void => checkRests(parts, chosen, account, TIMER_SLACK_MS);
  check();
  const waitsFor = { signal: chosen.signal, ms: patienceOf(chosen, parts.clock) };
  const patience = local ? { ...waitsFor, most: MOST_WAITING_AT_HOME } : waitsFor;
  const since = parts.clock.monotonic();
  const taking = parts.quota.take(account, name, askOf(chosen), patience);
  const ticket = taking instanceof Promise ? await taking : taking;
  const waitedMs = taking instanceof Promise ? Math.round(parts.clock.monotonic() - since) : 0;
  if ("refusedBy" in ticket) throw refusal("skipped_limit", ticket.refusedBy, ticket.waitMs, { waitedMs });
  if (taking instanceof Promise) recheck(parts, ticket, chosen, check);
  // Last, because a probe that is claimed must be made.
  const passes = parts.breakers.enter(name, model);
  if (typeof passes !== "number") return new Attempt(parts, chosen, account, ticket, passes, waitedMs);
  parts.quota.giveBack(ticket);
  throw refusal("skipped_breaker", "open", passes, { waitedMs });
}

/** Throws while the provider, its account, or the model there is left alone. */
function checkRests(parts: PaceParts, chosen: Chosen, account: string, slackMs: number): void {
  const { provider, model } = chosen.candidate;
  const { backoff, breakers, clock } = parts;
  refuseWhile("skipped_breaker", "open", breakers.waitMs(provider.name, model));
  // Nobody rests, as a rule.
  if (backoff.isEmpty) return;
  const now = clock.monotonic();
  const accountMs = backoff.waitMs(account, now) - slackMs;
  if (accountMs > 0 && backoff.isExhausted(account, now))
    throw refusal("skipped_limit", "out of credit", accountMs, { outOfCredit: true });
  refuseWhile("skipped_limit", "backing off", accountMs);
  const goneMs = backoff.waitMs(modelRestKey(account, model), now) - slackMs;
  if (goneMs > 0 && backoff.isGone(modelRestKey(account, model)))
    throw refusal("skipped_limit", "no such model", goneMs, { failure: gone });
  const limitMs = backoff.waitMs(modelRestKey(account, scopeOf(chosen)), now) - slackMs;
  refuseWhile("skipped_limit", "the model is left alone", limitMs);
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

/** As if it had been asked and had said so again. */
const gone = classifyFailure({
  outcome: "upstream_404",
  status: 404,
  fault: { status: 404, code: "model_not_found", message: "" },
});
const learnsNothing: Permit = { learn: () => undefined };

/**
 * Counts have limits of their own at the vendors: they use up nothing of what answers need, and what becomes of them says
 * nothing about answers. Only where the provider is to be left alone they leave it alone.
 */
function unpaced(parts: PaceParts, chosen: Chosen, account: string): Paced {
  checkRests(parts, chosen, account, 0);
  return { ...chosen, permit: learnsNothing };
}

function refuseWhile(outcome: "skipped_breaker" | "skipped_limit", why: string, waitMs: number): void {
  if (waitMs > 0) throw refusal(outcome, why, waitMs);
}

function refusal(
  outcome: "skipped_breaker" | "skipped_limit",
  why: string,
  waitMs: number,
  facts: { readonly waitedMs?: number; readonly outOfCredit?: boolean; readonly failure?: Failure } = {},
): AttemptError {
  const { waitedMs = 0, ...told } = facts;
  const retryAfterMs = Math.ceil(waitMs);
  return new AttemptError(outcome, {
    ...told,
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
  const { facts, operation, agent } = chosen.request;
  const { context, maxOutput } = chosen.candidate;
  const asked = Math.min(facts.maxOutputTokens ?? MAX_OUTPUT_GUESS, maxOutput ?? Infinity, MAX_OUTPUT_GUESS);
  return {
    agent: agent.name,
    scope: scopeOf(chosen),
    inputTokens: Math.min(facts.inputTokenBound, context ?? Infinity),
    outputTokens: operation === "generate" ? asked * facts.choices : 0,
  };
}

/** Under which name the limits of its model are counted. */
function scopeOf({ request, candidate }: Chosen): string {
  return limitScopeOf(candidate.provider, candidate.model, request.body["speed"] === "fast");
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
  readonly #ticket: Ticket;
  readonly #passes: Passes;
  readonly #waitedMs: number;
  /** It is the one that finds out whether the account has credit again. */
  readonly #findsOut: boolean;
  #toldRetryAfterMs: number | undefined;

  constructor(parts: PaceParts, chosen: Chosen, account: string, ticket: Ticket, passes: Passes, waitedMs: number) {
    this.#parts = parts;
    this.#chosen = chosen;
    this.#account = account;
    this.#ticket = ticket;
    this.#passes = passes;
    this.#waitedMs = waitedMs;
    this.#findsOut = parts.backoff.enter(account, parts.clock.monotonic());
  }

  learn(headers: Headers, status: number): void {
    if (status >= 400) this.#toldRetryAfterMs = toldWaitMs({ headers, status }, "", this.#parts.clock.now());
    this.#parts.quota.learn(this.#ticket, headers, status === 429 ? this.#toldRetryAfterMs : undefined);
  }

  fail(error: unknown): void {
    const failed = endOfError(error, this.#chosen.candidate);
    if (!(error instanceof AttemptError)) {
      this.#close(failed, undefined);
      return;
    }
    if (error.otherKey) this.#parts.quota.forget(this.#ticket);
    error.note = withWait(this.#waitedMs, error.note);
    const told = error.retryAfterMs ?? waitInText(error.fault?.message ?? "") ?? this.#toldRetryAfterMs;
    // One key is at its limit, not the provider: its other key is asked at once.
    const end: End = error.otherKey ? { ...failed, rest: "none" } : failed;
    this.#close(end, told, error.regainMs);
    if (end.rest === "none") return;
    const { backoff, clock } = this.#parts;
    error.retryAfterMs = Math.ceil(backoff.waitMs(this.#restKey(end), clock.monotonic()));
  }

  /** The answer has begun; its end closes the attempt. */
  watch(response: GatewayResponse): GatewayResponse {
    if (response.status < 500) this.#parts.breakers.answered(this.#passes);
    const finished = response.finished.then(
      (finish: Finish) => {
        const { attempt, candidate } = this.#chosen;
        attempt.note = withWait(this.#waitedMs, attempt.note) ?? null;
        this.#close(endOfAnswer(attempt, finish, candidate), this.#toldRetryAfterMs);
        return finish;
      },
      (error: unknown) => {
        this.#close(endOfError(error, this.#chosen.candidate), undefined);
        throw error;
      },
    );
    return { status: response.status, headers: response.headers, body: response.body, finished };
  }

  /** A model that is not there rests alone, a limit with all models that it is counted for. */
  #restKey({ scope, rest }: End): string {
    if (scope !== "model") return this.#account;
    const { model } = this.#chosen.candidate;
    return modelRestKey(this.#account, rest === "gone" ? model : scopeOf(this.#chosen));
  }

  #close(end: End, retryAfterMs: number | undefined, regainMs?: number): void {
    const { quota, breakers } = this.#parts;
    if (end.unsent) quota.giveBack(this.#ticket);
    else quota.settle(this.#ticket, end.refused ? nothingUsed : usedBy(this.#chosen));
    breakers.report(this.#passes, end.verdict);
    this.#rest(end, retryAfterMs, regainMs);
  }

  #rest(end: End, retryAfterMs: number | undefined, regainMs: number | undefined): void {
    const { backoff, clock } = this.#parts;
    const now = clock.monotonic();
    const provider = this.#chosen.candidate.provider.name;
    if (end.rest === "exhausted") backoff.exhausted(this.#account, regainMs ?? retryAfterMs, now);
    else if (end.rest === "gone") backoff.gone(this.#restKey(end), retryAfterMs ?? GONE_MS, now);
    else if (end.rest === "asked") backoff.refused(this.#restKey(end), provider, retryAfterMs, now);
    else if (end.verdict === "success" && !backoff.isEmpty) {
      backoff.succeeded(this.#account, now, this.#findsOut);
      backoff.succeeded(modelRestKey(this.#account, scopeOf(this.#chosen)), now);
      backoff.succeeded(modelRestKey(this.#account, this.#chosen.candidate.model), now);
    } else if (end.unsent && this.#findsOut) backoff.foundNothing(this.#account, now);
  }
}
