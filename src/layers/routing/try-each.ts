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
import { Chain, type ChainLimits } from "./chain.ts";
import { classOf, exhausted, overBudget, relayOf, type Failed } from "./exhausted.ts";
import { HandOver } from "./hand-over.ts";
import { inTurn, loadingMsOf, whenReady, type LocalHealth } from "./local-readiness.ts";
import type { ResponseTimes } from "./response-times.ts";
import { firstReady, isQuicker, retryWaitMs, type Waiting } from "./retry-choice.ts";
import { fitted, isTooLong, type LearnWindow } from "./window-fit.ts";

interface Parts {
  readonly clock: Clock;
  /** Resolves after `ms`, or at once when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds before the same candidate is tried again: exponential, full jitter. `failures` counts from 1. */
  readonly retryDelayMs: (failures: number, retry: Candidate["provider"]["retry"]) => number;
  /** The share of second tries that a provider may be burdened with. */
  readonly retries: { asked(provider: string): void; take(provider: string): boolean };
  readonly times: ResponseTimes;
  /** How the local servers stand. */
  readonly health: LocalHealth;
  readonly limits: ChainLimits;
  readonly learnWindow: LearnWindow;
  /** The answer where every candidate failed and the gateway can answer by itself (a token count); null: it can't. */
  readonly answerAlone: (request: Planned) => GatewayResponse | null;
  /** A stream that breaks off is carried on by a local candidate (`stream.takeover: text`). */
  readonly takesOver: boolean;
}

/** Between two questions to a server that says that it is loading its model; doubled each time. */
const loadingPauseMs = 500;
const maxLoadingPauseMs = 10_000;

/**
 * The fallback loop: the only layer that calls the next one more than once. Before the first byte of an answer any
 * candidate may still be swapped, so a failure of one is invisible to the client.
 */
export function tryEach(parts: Parts): Layer<Kept, Chosen> {
  return (next) => async (request) => new Tries(parts, next, request).run();
}

/** All attempts of one request. */
class Tries {
  readonly #parts: Parts;
  readonly #next: Handler<Chosen>;
  readonly #request: Kept;
  readonly #chain: Chain;
  /** In the order in which they get their turn. */
  readonly #candidates: readonly Candidate[];
  readonly #failures: Failed[] = [];
  /** Attempts by candidate, those of other keys apart. */
  readonly #tries = new Map<Candidate, number>();
  /** In the order of the plan. */
  readonly #waiting: Waiting[] = [];

  constructor(parts: Parts, next: Handler<Chosen>, request: Kept) {
    this.#parts = parts;
    this.#next = next;
    this.#request = request;
    this.#candidates = inTurn(request.candidates, parts.health);
    this.#chain = new Chain(parts.limits, parts.clock, request.line, patienceMs(request.headers));
  }

  async run(): Promise<GatewayResponse> {
    for (const [at, candidate] of this.#candidates.entries()) {
      const response = await this.#first(candidate, at);
      if (response !== null) return response;
      if (!this.#chain.mayBeginIn(0)) break;
    }
    const response = await this.#again();
    if (response !== null) return response;
    const alone = this.#parts.answerAlone(this.#request);
    if (alone !== null) return alone;
    const relay = relayOf(this.#failures);
    if (relay !== undefined) return relay;
    throw exhausted(this.#request.dialect, this.#failures);
  }

  /** Null: go on to the next candidate. */
  async #first(candidate: Candidate, at: number): Promise<GatewayResponse | null> {
    const skip = this.#skip(candidate);
    if (skip !== null) {
      const attempt = openAttempt(candidate, this.#parts.clock);
      this.#request.record.attempts.push(attempt);
      this.#failed(attempt, { candidate, error: skip });
      return null;
    }
    const answer = await this.#ask(candidate);
    if (!("error" in answer)) return answer;
    const waitMs = this.#retryWait(answer);
    if (waitMs === null) return null;
    if (this.#isQuickerThanNext(at, waitMs, candidate)) return this.#repeat(candidate, waitMs);
    this.#waiting.push({ candidate, readyAt: this.#parts.clock.monotonic() + waitMs });
    return null;
  }

  /** Nobody has answered: who is ready first is asked once more, until nobody is worth it. */
  async #again(): Promise<GatewayResponse | null> {
    for (;;) {
      const ready = firstReady(this.#waiting);
      if (ready === undefined) return null;
      this.#waiting.splice(this.#waiting.indexOf(ready), 1);
      const { candidate, readyAt } = ready;
      const response = await this.#repeat(candidate, Math.max(0, readyAt - this.#parts.clock.monotonic()));
      if (response !== null) return response;
    }
  }

  async #repeat(candidate: Candidate, waitMs: number): Promise<GatewayResponse | null> {
    const { line } = this.#request;
    if (!this.#chain.mayBeginIn(waitMs) || !this.#chain.affords(candidate, this.#request.record.attempts)) return null;
    if (!this.#parts.retries.take(candidate.provider.name)) return null;
    await this.#parts.wait(waitMs, line);
    // Nobody is left to answer: no hold is taken and nothing is asked for a client that hung up while it waited.
    if (line.aborted) throw new GatewayError("CLIENT_GONE", { cause: this.#failures.at(-1)?.error });
    const answer = await this.#ask(candidate);
    if (!("error" in answer)) return answer;
    const nextMs = this.#retryWait(answer);
    if (nextMs !== null) this.#waiting.push({ candidate, readyAt: this.#parts.clock.monotonic() + nextMs });
    return null;
  }

  /** One candidate, with each of its provider's keys that may be tried at once, and until it has loaded its model. */
  async #ask(candidate: Candidate): Promise<GatewayResponse | Failed> {
    const tries = this.#tries.get(candidate) ?? 0;
    this.#tries.set(candidate, tries + 1);
    const loadedBy = this.#parts.clock.monotonic() + loadingMsOf(candidate.provider);
    for (let loads = 0; ;) {
      const answer = await this.#attempt(candidate);
      const sent = !("error" in answer) || isSent(answer.error);
      if (tries === 0 && loads === 0 && sent) this.#parts.retries.asked(candidate.provider.name);
      if (!("error" in answer)) return answer;
      if (answer.error.loading) {
        const pauseMs = Math.min(loadingPauseMs * 2 ** loads++, maxLoadingPauseMs);
        if (!(await this.#loads(answer, pauseMs, loadedBy))) return answer;
        // Each such failure puts one key behind, so this ends with the keys.
      } else if (!answer.error.otherKey || !this.#chain.mayBeginIn(0)) return answer;
    }
  }

  /** Whether it was waited for, and is to be asked again. */
  async #loads({ error }: Failed, pauseMs: number, loadedBy: number): Promise<boolean> {
    const { line, operation } = this.#request;
    if (operation === "count_tokens" || !this.#chain.mayBeginIn(pauseMs)) return false;
    if (this.#parts.clock.monotonic() + pauseMs >= loadedBy) return false;
    await this.#parts.wait(pauseMs, line);
    if (line.aborted) throw new GatewayError("CLIENT_GONE", { cause: error });
    return true;
  }

  /** As it is to be asked, once it can be. */
  #ready(candidate: Candidate, last: boolean): Promise<Candidate> {
    return whenReady(this.#parts, { request: this.#request, candidate, last, until: this.#chain.lastBeginAt });
  }

  async #attempt(candidate: Candidate): Promise<GatewayResponse | Failed> {
    const { clock, learnWindow } = this.#parts;
    const request = this.#request;
    const attempt = openAttempt(candidate, clock);
    request.record.attempts.push(attempt);
    const guard = this.#chain.guard(candidate, request.record.attempts.length === 1);
    try {
      const ready = await this.#ready(candidate, candidate === this.#candidates.at(-1));
      const fitting = await fitted(learnWindow, request, ready, this.#failures);
      const handOver = this.#handOver(candidate, attempt);
      const response = await this.#next({ request, candidate: fitting, attempt, signal: guard.signal, handOver });
      guard.begun(response);
      request.record.served = attempt;
      const { ttftMs } = attempt;
      if (ttftMs !== null) this.#parts.times.answered(candidate, request.facts.stream, ttftMs);
      return handOver?.joined(response) ?? response;
    } catch (error) {
      guard.end();
      if (request.line.aborted) {
        attempt.outcome ??= "client_gone";
        attempt.ms ??= clock.monotonic() - attempt.startedAt;
        throw new GatewayError("CLIENT_GONE", { cause: error });
      }
      if (guard.expired) return this.#failed(attempt, { candidate, error: deadlineOver(error) });
      if (!(error instanceof AttemptError)) throw error;
      const failed = this.#failed(attempt, { candidate, error });
      if (error.outcome === "skipped_budget" && request.agent.overBudget === "refuse")
        throw overBudget([failed], error);
      return failed;
    }
  }

  /** Undefined: the answer can't be handed over. */
  #handOver(candidate: Candidate, attempt: AttemptRecord): HandOver | undefined {
    const request = this.#request;
    const { clock, learnWindow, takesOver } = this.#parts;
    const { facts, operation } = request;
    // Several answers in one stream would break off at several places.
    if (!takesOver || !facts.stream || operation !== "generate" || facts.choices > 1) return undefined;
    const tried = new Set(this.#failures.filter(({ error }) => isSent(error)).map((failed) => failed.candidate));
    return new HandOver(request, candidate, attempt, tried, async (other, begun) => {
      const follower = openAttempt(other, clock);
      request.record.attempts.push(follower);
      try {
        const fitting = await fitted(learnWindow, request, await this.#ready(other, false), []);
        const chosen = { request, candidate: fitting, attempt: follower, signal: request.line, begun };
        const response = await this.#next(chosen);
        request.record.served = follower;
        return response;
      } catch (error) {
        if (error instanceof AttemptError) closeAttempt(follower, error, clock);
        else if (request.line.aborted) closeAttempt(follower, new AttemptError("client_gone"), clock);
        throw error;
      }
    });
  }

  #failed(attempt: AttemptRecord, failed: Failed): Failed {
    closeAttempt(attempt, failed.error, this.#parts.clock);
    this.#failures.push(failed);
    return failed;
  }

  /** Why a candidate is not even asked. */
  #skip(candidate: Candidate): AttemptError | null {
    const down = this.#failures.some(
      (failed) => failed.candidate.provider.name === candidate.provider.name && classOf(failed).breaker === "down",
    );
    if (down) return new AttemptError("skipped_breaker", { note: "its provider could not be reached a moment ago" });
    if (this.#chain.affords(candidate, this.#request.record.attempts)) return null;
    return new AttemptError("skipped_budget", { note: "failed attempts have cost this request enough" });
  }

  #retryWait(failed: Failed): number | null {
    // An estimate is there at once: a count is not waited for.
    if (this.#request.operation === "count_tokens" || failed.error.loading) return null;
    const { candidate } = failed;
    const tries = this.#tries.get(candidate) ?? 1;
    const jitteredMs = (): number => this.#parts.retryDelayMs(tries, candidate.provider.retry);
    return retryWaitMs({ failed, tries, jitteredMs });
  }

  #isQuickerThanNext(at: number, waitMs: number, candidate: Candidate): boolean {
    const later = this.#candidates.slice(at + 1);
    const next = later.find((one) => !isTooLong(this.#request, one, this.#failures));
    if (next === undefined) return false;
    const { stream } = this.#request.facts;
    const { times } = this.#parts;
    return isQuicker(waitMs, times.expectedMs(candidate, stream), times.expectedMs(next, stream));
  }
}

function isSent({ outcome }: AttemptError): boolean {
  return !outcome.startsWith("skipped_");
}

/** Whether anything was billed is known by the one who was cut. */
function deadlineOver(cause: unknown): AttemptError {
  const billed = cause instanceof AttemptError ? cause.billed : "unknown";
  return new AttemptError("timeout_deadline", { billed, note: "the request has had its time", cause });
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
