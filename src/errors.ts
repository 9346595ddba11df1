// Everything that can be foreseen to go wrong, in one table. A code starts with the folder that raises it.

import type { AttemptOutcome, GatewayResponse } from "./request.ts";
import type { Failure } from "./wire/failure-table.ts";
import type { UpstreamFault } from "./wire/neutral.ts";

/** Who is at fault: for metrics and for the audit line. */
export type Source = "client" | "upstream" | "internal";

/**
 * The shape that an error takes in every dialect; `wire/errors.ts` maps it to the dialect's own status and type names
 * (Anthropic: docs "Errors"; OpenAI: docs "Error codes").
 */
export type ErrorKind =
  | "invalid_request"
  | "authentication"
  | "billing"
  | "permission"
  | "not_found"
  | "too_large"
  | "rate_limit"
  | "internal"
  | "unavailable"
  | "timeout";

interface Entry {
  readonly status: number;
  readonly kind: ErrorKind;
  readonly source: Source;
  /** Fixed public text: no input and no secret goes in here. It says what to do. */
  readonly text: string;
}

const table = {
  DOOR_HOST: e(
    421,
    "invalid_request",
    "client",
    "This Host name is not served here; use the address the gateway listens on, or localhost.",
  ),
  DOOR_ORIGIN: e(403, "permission", "client", "Requests from web pages are refused."),
  DOOR_PATH: e(404, "not_found", "client", "Unknown path; see the route list in the documentation."),
  DOOR_METHOD: e(405, "invalid_request", "client", "This method is not allowed on this path."),
  DOOR_UPGRADE: e(426, "invalid_request", "client", "WebSocket is not offered here; use HTTP with streaming."),
  DOOR_CONTENT_TYPE: e(415, "invalid_request", "client", "Send the body as content-type: application/json."),
  DOOR_CONTENT_ENCODING: e(
    415,
    "invalid_request",
    "client",
    "Send the body plain, or whole in one of these codings: gzip, deflate, br, zstd.",
  ),
  DOOR_BODY_TOO_LARGE: e(413, "too_large", "client", "The request body exceeds 32 MB."),
  DOOR_HEADER: e(400, "invalid_request", "client", "A header is repeated or not readable."),
  DOOR_BUSY: e(503, "unavailable", "internal", "Too many watchers; close one and try again."),
  DOOR_OVERLOADED: e(503, "unavailable", "internal", "The gateway has too much to do; try again in a moment."),
  DOOR_STOPPING: e(503, "unavailable", "internal", "The gateway is stopping; try again in a moment."),
  AUDIT_UNAVAILABLE: e(
    503,
    "unavailable",
    "internal",
    "The audit log cannot be written, so no request is served; see `sanctum status`.",
  ),
  IDENTITY_TOKEN_UNKNOWN: e(401, "authentication", "client", "Invalid gateway token."),
  IDENTITY_MISMATCH: e(401, "authentication", "client", "Invalid gateway token."),
  IDENTITY_REQUIRED: e(401, "authentication", "client", "Invalid gateway token."),
  IDENTITY_AMBIGUOUS: e(400, "invalid_request", "client", "A credential header is given more than once."),
  LIMITS_AGENT_RATE: e(429, "rate_limit", "client", "This agent's own requests_per_minute is used up."),
  LIMITS_AGENT_CONCURRENT: e(429, "rate_limit", "client", "This agent already has max_concurrent requests in flight."),
  LIMITS_EXHAUSTED: e(429, "rate_limit", "upstream", "All models that could answer are at their rate limit."),
  LIMITS_LOCAL_BUSY: e(
    529,
    "unavailable",
    "upstream",
    "The local models are busy, and as many requests as may wait do so already; try again in a moment.",
  ),
  REQUEST_JSON: e(400, "invalid_request", "client", "The body is not valid JSON."),
  REQUEST_INVALID: e(400, "invalid_request", "client", "The request is not valid."),
  REQUEST_KEY_REUSED: e(
    422,
    "invalid_request",
    "client",
    "This Idempotency-Key came with another request before; use a new key for each request.",
  ),
  REQUEST_TIMEOUT: e(408, "timeout", "client", "The request body did not arrive in time."),
  ROUTE_MODEL_UNKNOWN: e(404, "not_found", "client", "No such model; `GET /v1/models` lists what can be asked for."),
  ROUTE_MODEL_FORBIDDEN: e(403, "permission", "client", "This agent may not use this model."),
  ROUTE_NO_CANDIDATE: e(503, "unavailable", "upstream", "No model can serve this request."),
  BUDGET_EXHAUSTED: e(402, "billing", "client", "The budget of this agent is used up and no local model can serve."),
  BUDGET_HELD: e(
    429,
    "rate_limit",
    "client",
    "What is left of this agent's budget is held by its running requests; try again in a moment.",
  ),
  BUDGET_LEDGER: e(
    503,
    "unavailable",
    "internal",
    "The ledger cannot be written, so nothing is spent; see `sanctum status`.",
  ),
  UPSTREAM_FAILED: e(503, "unavailable", "upstream", "All models that could answer have failed."),
  UPSTREAM_CREDIT: e(
    402,
    "billing",
    "upstream",
    "The provider's account has no credit left and no other model can serve; its owner must top it up.",
  ),
  UPSTREAM_LOGIN: e(
    401,
    "authentication",
    "client",
    "The provider refused the credential that the client brought along (`key: passthrough`); log in there again.",
  ),
  UPSTREAM_CUT: e(502, "unavailable", "upstream", "The answer broke off."),
  CLIENT_GONE: e(499, "invalid_request", "client", "The client went away."),
  INTERNAL: e(500, "internal", "internal", "Internal error; the log has the details under this request id."),
} as const satisfies Record<string, Entry>;

function e(status: number, kind: ErrorKind, source: Source, text: string): Entry {
  return { status, kind, source, text };
}

export type ErrorCode = keyof typeof table;

/** All codes with what they mean; the reference is generated from this. */
export const errorCodes: Readonly<Record<ErrorCode, Entry>> = table;

interface Details {
  /** Replaces the table's text. Must be safe to show: no secret, no prompt, no upstream address. */
  readonly publicMessage?: string;
  /** Seconds the client should wait; sent as `retry-after`. */
  readonly retryAfterSeconds?: number;
  /** Replaces the dialect's own `code` or adds one (OpenAI's `error.code`). */
  readonly dialectCode?: string;
  /** For 405: the methods that the path takes, as the `allow` header lists them. */
  readonly allow?: string;
  /** The gateway has tried again itself: clients must not multiply that; sent as `x-should-retry: false`. */
  readonly final?: boolean;
  /** For the log only. */
  readonly cause?: unknown;
}

/** A failure that was foreseen: what the client may know is in `publicMessage`, the rest stays in `cause`. */
export class GatewayError extends Error {
  override readonly name: string = "GatewayError";
  readonly code: ErrorCode;
  readonly status: number;
  readonly kind: ErrorKind;
  readonly source: Source;
  readonly publicMessage: string;
  readonly retryAfterSeconds: number | undefined;
  readonly dialectCode: string | undefined;
  readonly allow: string | undefined;
  readonly final: boolean;

  constructor(code: ErrorCode, details: Details = {}) {
    const entry: Entry = table[code];
    super(`${code}: ${details.publicMessage ?? entry.text}`, { cause: details.cause });
    this.code = code;
    this.status = entry.status;
    this.kind = entry.kind;
    this.source = entry.source;
    this.publicMessage = details.publicMessage ?? entry.text;
    this.retryAfterSeconds = details.retryAfterSeconds;
    this.dialectCode = details.dialectCode;
    this.allow = details.allow;
    this.final = details.final === true;
  }
}

/**
 * One attempt at one candidate failed, or was not made. `tryEach` goes on to the next candidate; nothing else may
 * swallow it.
 */
export class AttemptError extends Error {
  override readonly name = "AttemptError";
  readonly outcome: AttemptOutcome;
  /** The upstream's HTTP status, 0 when there was none. */
  readonly status: number;
  /**
   * `none`: certainly not billed (connect refused, 4xx, 429, 503 before a body). `unknown`: the request may have been
   * billed, so the hold is charged in full unless usage was seen.
   */
  readonly billed: "none" | "unknown";
  /**
   * Milliseconds until the provider may be asked again: as it said itself, or as `pace` decided (which fills it in, so
   * that whoever tries again waits as long as `pace` will insist on).
   */
  retryAfterMs: number | undefined;
  /** The failure is that of one key, and the provider has another one that may be tried at once: `unlock` says so. */
  otherKey = false;
  /** Why, in our own words, for the audit and `explain`; never the upstream's text. */
  note: string | undefined;
  /** Context overflow: the upstream's own refusal, for the client where no candidate has a larger window. */
  relay: GatewayResponse | undefined;
  /** The house's account at the provider is empty: asking again does not help. */
  readonly outOfCredit: boolean;
  /** Milliseconds until an exhausted account is good again, as it was told: days, perhaps. */
  readonly regainMs: number | undefined;
  /** What the upstream said inside of a 200. */
  readonly fault: UpstreamFault | undefined;
  /** A local server is there and its model is not yet: it is waited for, and nothing is wrong with it. */
  readonly loading: boolean;
  /** The row of the table that fits, where whoever threw it had more to go by than what is kept here. */
  readonly failure: Failure | undefined;

  constructor(
    outcome: AttemptOutcome,
    facts: {
      status?: number;
      billed?: "none" | "unknown";
      retryAfterMs?: number | undefined;
      note?: string | undefined;
      relay?: GatewayResponse;
      outOfCredit?: boolean;
      regainMs?: number | undefined;
      fault?: UpstreamFault;
      loading?: boolean;
      failure?: Failure;
      cause?: unknown;
    } = {},
  ) {
    super(outcome, { cause: facts.cause });
    this.outcome = outcome;
    this.status = facts.status ?? 0;
    this.billed = facts.billed ?? "none";
    this.retryAfterMs = facts.retryAfterMs;
    this.note = facts.note;
    this.relay = facts.relay;
    this.outOfCredit = facts.outOfCredit === true;
    this.regainMs = facts.regainMs;
    this.fault = facts.fault;
    this.loading = facts.loading === true;
    this.failure = facts.failure;
  }
}
