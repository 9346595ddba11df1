import type { Clock } from "../../clock.ts";
import { GatewayError } from "../../errors.ts";
import type { Agent } from "../../request.ts";
import type { BucketShelf } from "./bucket-shelf.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Clients give up on longer waits (Claude Code ends the turn at about a minute). */
const MAX_RETRY_AFTER_SECONDS = 30;
/** Agents come from the configuration; this bounds what many reloads leave behind. */
const MAX_AGENTS = 1_024;

interface State {
  bucket: TokenBucket | null;
  inFlight: number;
}

/**
 * An agent's own limits. Kept by name, so that a reload does not refill anything; what runs is counted for agents without
 * a limit too, so that a reload which brings one counts what began before it.
 */
export class AgentLimiter {
  readonly #clock: Clock;
  readonly #shelf: BucketShelf | undefined;
  readonly #agents = new Map<string, State>();

  /** `shelf`: where what was taken outlives the process; undefined: it does not. */
  constructor(clock: Clock, shelf?: BucketShelf) {
    this.#clock = clock;
    this.#shelf = shelf;
  }

  /**
   * Admits one request; the returned function ends it, and does nothing when called again. Throws LIMITS_AGENT_CONCURRENT
   * or LIMITS_AGENT_RATE (with `retryAfterSeconds`); a refused request takes nothing.
   */
  admit(agent: Agent): () => void {
    const { requestsPerMinute, maxConcurrent } = agent;
    const now = this.#clock.monotonic();
    const state = this.#state(agent.name, now);
    if (maxConcurrent !== undefined && state.inFlight >= maxConcurrent) {
      throw new GatewayError("LIMITS_AGENT_CONCURRENT", { retryAfterSeconds: 1 });
    }
    if (requestsPerMinute === undefined) state.bucket = null;
    else this.#takeOne(agent.name, state, requestsPerMinute, now);
    state.inFlight++;
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      state.inFlight--;
    };
  }

  #takeOne(name: string, state: State, perMinute: number, nowMs: number): void {
    const key = `agent:${name}`;
    const bucket = (state.bucket ??= this.#shelf?.bucket(key, perMinute) ?? new TokenBucket(perMinute, nowMs));
    if (bucket.limit !== perMinute) bucket.resize(perMinute, nowMs);
    const waitMs = bucket.take(1, nowMs);
    if (waitMs === 0) {
      this.#shelf?.taken(key, bucket);
      return;
    }
    const retryAfterSeconds = Math.min(MAX_RETRY_AFTER_SECONDS, Math.ceil(waitMs / 1_000));
    throw new GatewayError("LIMITS_AGENT_RATE", { retryAfterSeconds });
  }

  #state(name: string, nowMs: number): State {
    const known = this.#agents.get(name);
    if (known !== undefined) return known;
    if (this.#agents.size >= MAX_AGENTS) this.#forgetIdle(nowMs);
    const state: State = { bucket: null, inFlight: 0 };
    this.#agents.set(name, state);
    return state;
  }

  /** Only agents about whom nothing is lost: no request in flight and a full bucket. */
  #forgetIdle(nowMs: number): void {
    for (const [name, { bucket, inFlight }] of this.#agents) {
      if (inFlight === 0 && (bucket === null || bucket.waitMs(bucket.limit, nowMs) === 0)) this.#agents.delete(name);
    }
  }
}
