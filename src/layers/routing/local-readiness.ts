// What is known of a local server before it is asked decides whether it is: one that is away is passed over at once, one
// that loads its model is waited for, one that does not have the model is not asked for it.

import type { Clock } from "../../clock.ts";
import { AttemptError } from "../../errors.ts";
import type { Candidate, Kept, Provider } from "../../request.ts";

/**
 * `cold`: it will load the model when it is asked for it, which takes time. `loading`: it is there, and takes no request
 * yet. `missing`: it is there and does not have the model. What nobody knows is `ready`: asking tells.
 */
export type Health = "ready" | "cold" | "loading" | "down" | "missing";

export interface LocalHealth {
  /** As it was seen last. */
  of(candidate: Candidate): Health;
  /** Looks again first, which takes a moment. */
  renewed(candidate: Candidate): Promise<Health>;
  /** Waits while it loads: at most for `ms`, and not after `signal` has aborted. */
  loaded(candidate: Candidate, patience: { readonly signal: AbortSignal; readonly ms: number }): Promise<Health>;
}

/** The candidates in the order in which they get their turn: one that loads lets the next local one go first that can serve now. */
export function inTurn(candidates: readonly Candidate[], health: LocalHealth): readonly Candidate[] {
  // Most plans have no such one, and this stands in the way of every request.
  if (!candidates.some((candidate) => candidate.local && health.of(candidate) === "loading")) return candidates;
  const ordered = [...candidates];
  for (let at = ordered.length - 1; at >= 0; at--) {
    const candidate = ordered[at]!;
    if (!candidate.local || health.of(candidate) !== "loading") continue;
    const able = ordered.findIndex((one, place) => place > at && one.local && health.of(one) === "ready");
    if (able !== -1) ordered.splice(able, 0, ...ordered.splice(at, 1));
  }
  return ordered;
}

export interface Turn {
  readonly request: Kept;
  readonly candidate: Candidate;
  /** Nobody comes after it: what is known of it is worth a second look before the request fails. */
  readonly last: boolean;
  /** Monotonic: from then on the client waits no more. */
  readonly until: number;
}

interface Parts {
  readonly clock: Clock;
  readonly health: LocalHealth;
}

/**
 * The candidate as it is to be asked, once it can be. Throws AttemptError `skipped_breaker` (its server is away),
 * `skipped_model` (it does not have the model) or `timeout_first_byte` (it loads longer than `timeouts.loading`).
 */
export async function whenReady({ clock, health }: Parts, turn: Turn): Promise<Candidate> {
  const { request, candidate, last, until } = turn;
  if (!candidate.local) return candidate;
  let known = health.of(candidate);
  if (known === "ready") return candidate;
  if (last && (known === "down" || isMissing(known, turn))) known = await health.renewed(candidate);
  // A count is not waited for: an estimate is there at once.
  if (known === "loading" && request.operation !== "count_tokens") {
    const ms = Math.min(loadingMsOf(candidate.provider), until - clock.monotonic());
    known = await health.loaded(candidate, { signal: request.line, ms });
    if (request.line.aborted) throw new AttemptError("client_gone");
    if (known === "loading") throw new AttemptError("timeout_first_byte", { note: "its model was not loaded in time" });
  }
  if (known === "down") throw new AttemptError("skipped_breaker", { note: "its server does not answer" });
  if (known === "loading") throw new AttemptError("skipped_breaker", { note: "it is loading its model" });
  if (isMissing(known, turn)) throw new AttemptError("skipped_model", { note: "its server does not have the model" });
  return known === "cold" ? { ...candidate, provider: withTimeToLoad(candidate.provider) } : candidate;
}

/** Who names a server's model outright is answered by that server; a name of the house is to be served by somebody. */
function isMissing(known: Health, { candidate }: Turn): boolean {
  const outright =
    candidate.reason === "requested" && candidate.name === `${candidate.provider.name}/${candidate.model}`;
  return known === "missing" && !outright;
}

export function loadingMsOf({ timeouts }: Provider): number {
  return timeouts.loadingMs ?? 0;
}

const patient = new WeakMap<Provider, Provider>();

/** It loads before it reads the prompt, and says nothing meanwhile. */
function withTimeToLoad(provider: Provider): Provider {
  let longer = patient.get(provider);
  if (longer === undefined) {
    const { timeouts } = provider;
    const firstByteMs = timeouts.firstByteMs + loadingMsOf(provider);
    const firstContentMs = timeouts.firstContentMs + loadingMsOf(provider);
    longer = { ...provider, timeouts: { ...timeouts, firstByteMs, firstContentMs } };
    patient.set(provider, longer);
  }
  return longer;
}
