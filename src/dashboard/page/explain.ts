// What the trail's words mean to a person: short for a row, and a sentence for whoever asks why.

import type { Attempt, Entry } from "./document.ts";

/** `good` answered, `bad` failed, `passed` was not asked, `runs` is asked now, `left` was given up by the client. */
export type Tone = "good" | "bad" | "passed" | "runs" | "left";

export interface Told {
  readonly tone: Tone;
  readonly short: string;
  readonly long: string;
}

const attempts: Readonly<Record<string, Told>> = {
  ok: told("good", "answered", "It answered."),
  taken_over: told("bad", "broke off", "Its answer broke off in the middle; the next candidate carried it on."),
  connect_failed: told("bad", "unreachable", "No connection could be made."),
  timeout_connect: told("bad", "unreachable", "No connection could be made in time."),
  timeout_first_byte: told("bad", "silent", "It took the request and said nothing in time."),
  timeout_first_content: told("bad", "silent", "It began an answer without content, and none came in time."),
  timeout_idle: told("bad", "stalled", "Its answer stalled for too long."),
  cut_stream: told("bad", "cut off", "Its answer broke off before it was complete."),
  error_event: told("bad", "error", "It sent an error in place of an answer."),
  skipped_budget: told(
    "passed",
    "no budget",
    "Not asked: what is left of the agent's budget does not cover the worst case.",
  ),
  skipped_limit: told("passed", "at its limit", "Not asked: the provider's quota is used up for now."),
  skipped_breaker: told("passed", "resting", "Not asked: it failed too often and is left alone for a while."),
  skipped_key: told("passed", "no key", "Not asked: there is no key for this provider, or it is locked."),
  skipped_context: told("passed", "too long", "Not asked: the prompt does not fit its window."),
  skipped_policy: told(
    "passed",
    "unsuited",
    "Not asked: it cannot do what the request needs, or the agent may not use it.",
  ),
  client_gone: told("left", "client left", "The client went away while it was asked."),
};

const statuses: Readonly<Record<string, Told>> = {
  401: told("bad", "key refused", "The provider refused the house's key."),
  402: told("bad", "no credit", "The provider's account has no credit."),
  403: told("bad", "key refused", "The provider does not allow this to the house's key."),
  404: told("bad", "unknown", "The provider does not know this model."),
  408: told("bad", "timed out", "The provider gave up waiting."),
  413: told("bad", "too large", "The provider refused the request as too large."),
  429: told("bad", "rate limit", "The provider's rate limit is reached."),
  529: told("bad", "overloaded", "The provider is overloaded."),
};

export function attemptTold(attempt: Attempt, runs: boolean): Told {
  const { outcome } = attempt;
  if (outcome === null) {
    return runs
      ? told("runs", "asked now", "It is being asked now.")
      : told("bad", "interrupted", "The gateway stopped while it was asked.");
  }
  const known = attempts[outcome];
  if (known !== undefined) return known;
  const status = /^upstream_(\d{3})$/.exec(outcome)?.[1];
  if (status === undefined) return told("bad", outcome.replaceAll("_", " "), outcome);
  const named = statuses[status];
  if (named !== undefined) return { ...named, short: `${named.short} ${status}` };
  const fault = status.startsWith("5") ? "failed" : "refused";
  return told(
    "bad",
    `${fault} ${status}`,
    `The provider ${fault === "failed" ? "failed" : "refused the request"} (${status}).`,
  );
}

const outcomes: Readonly<Record<string, Told>> = {
  ok: told("good", "answered", "The client got a complete answer."),
  client_error: told("bad", "client's fault", "The request itself was at fault; the client was told so."),
  client_gone: told(
    "left",
    "client left",
    "The client went away before the answer was complete. What was generated is paid.",
  ),
  upstream_error: told("bad", "failed", "No candidate could answer."),
  refused_identity: told(
    "bad",
    "unknown caller",
    "The caller's token is not known, or not that of the agent it claimed to be.",
  ),
  refused_budget: told("bad", "over budget", "The agent's budget is used up, and no local model could serve."),
  refused_limit: told("bad", "limited", "A limit on requests was reached: the agent's own, or that of every provider."),
  interrupted: told("bad", "interrupted", "The gateway was stopped in the middle of it; its hold was charged."),
  internal_error: told("bad", "internal error", "The gateway itself failed; its log has the details under this id."),
};

export function outcomeTold(outcome: string): Told {
  return outcomes[outcome] ?? told("bad", outcome.replaceAll("_", " "), outcome);
}

/** Why these candidates, in this order. */
export function routeTold(entry: Pick<Entry, "route" | "requested_model" | "attempts">): string {
  const { route, requested_model: asked, attempts: tried } = entry;
  if (tried.length === 0) return "It ended before a candidate was chosen.";
  if (route !== null && route !== undefined && route !== "default") {
    return `The rule “${route}” of the configuration matched and chose the candidates; the fallback list stands behind it.`;
  }
  const others = tried.length > 1 ? "; then comes the fallback list" : "";
  return `No rule of the configuration matched: ${asked === null ? "the model that was asked for" : `“${asked}”, as asked for,`} comes first${others}.`;
}

const prices: Readonly<Record<string, string>> = {
  catalogue: "by the price list",
  config: "by the price in the configuration",
  reported: "the provider's own figure",
  ceiling: "at the dearest known price of the provider, since the model's own is unknown",
  free: "free: it runs on your own hardware",
};

export function priceTold(price: string | null): string {
  return price === null ? "" : (prices[price] ?? price);
}

export function isFallback(entry: Pick<Entry, "served_by" | "attempts">): boolean {
  return entry.served_by !== null && entry.attempts.length > 0 && entry.attempts[0]!.candidate !== entry.served_by;
}

function told(tone: Tone, short: string, long: string): Told {
  return { tone, short, long };
}
