// Failures in each dialect's own envelope, status and type names (interface.md section 4; wire.md 170-184).
// Anthropic: docs "Errors". OpenAI: docs "Error codes".

import { type ErrorCode, type ErrorKind, GatewayError } from "../errors.ts";
import { isContextOverflow, overflowMessage } from "./context-overflow.ts";
import { classifyFailure } from "./failure-table.ts";
import type { Dialect, Json, JsonObject, UpstreamFault } from "./neutral.ts";
import { publicText } from "./public-text.ts";
import { clientCode, clientMessage } from "./responses/faults.ts";
import { bareResponse, type ResponsePlace } from "./responses/lifecycle.ts";
import { formatEvent } from "./sse.ts";

export interface ErrorAnswer {
  readonly status: number;
  /** JSON text. */
  readonly body: string;
  /** Lower-case names. */
  readonly headers: Record<string, string>;
}

/** One failure, before it is put into an envelope. */
interface Failure {
  readonly kind: ErrorKind;
  readonly status: number;
  readonly message: string;
  readonly sanctumCode: ErrorCode;
  /** OpenAI's `error.code`; undefined: what the kind has. */
  readonly dialectCode?: string | undefined;
  readonly param?: string | undefined;
  readonly retryAfterSeconds?: number | undefined;
  readonly final?: boolean;
}

const messagesTypes: Readonly<Record<ErrorKind, string>> = {
  invalid_request: "invalid_request_error",
  authentication: "authentication_error",
  billing: "billing_error",
  permission: "permission_error",
  not_found: "not_found_error",
  too_large: "request_too_large",
  rate_limit: "rate_limit_error",
  internal: "api_error",
  unavailable: "api_error",
  timeout: "timeout_error",
};

/** `type` and `code`. Codex stops at once on `insufficient_quota` and repeats on `server_error`. */
const openaiTypes: Readonly<Record<ErrorKind, readonly [type: string, code: string | null]>> = {
  invalid_request: ["invalid_request_error", null],
  authentication: ["invalid_request_error", "invalid_api_key"],
  billing: ["insufficient_quota", "insufficient_quota"],
  permission: ["invalid_request_error", "permission_denied"],
  not_found: ["invalid_request_error", "not_found"],
  too_large: ["invalid_request_error", "request_too_large"],
  rate_limit: ["rate_limit_exceeded", "rate_limit_exceeded"],
  internal: ["server_error", "server_error"],
  unavailable: ["server_error", "server_error"],
  timeout: ["server_error", "timeout"],
};

/** Where the vendor has a code of its own for what the kind says in general. */
const openaiCodes: Readonly<Partial<Record<ErrorCode, string>>> = {
  DOOR_PATH: "unknown_url",
  ROUTE_MODEL_UNKNOWN: "model_not_found",
  ROUTE_MODEL_FORBIDDEN: "model_not_found",
};

/** The same request would fail again: SDKs and agents would otherwise repeat it for minutes (a 401 ten times). */
const finalKinds: ReadonlySet<ErrorKind> = new Set([
  "invalid_request",
  "authentication",
  "billing",
  "permission",
  "not_found",
  "too_large",
]);

/** Above about a minute Claude Code gives up the turn; 30 s is honoured by all clients. */
const MAX_RETRY_AFTER_SECONDS = 30;

/**
 * A failure of our own, in the client's dialect. A used-up budget is 402 `billing_error` for Messages and 429
 * `insufficient_quota` for the OpenAI dialects: what makes agents stop and show the text.
 */
export function errorAnswer(dialect: Dialect, error: GatewayError, requestId: string): ErrorAnswer {
  return answer(dialect, requestId, {
    kind: error.kind,
    status: error.status,
    message: error.publicMessage,
    sanctumCode: error.code,
    dialectCode: error.dialectCode,
    retryAfterSeconds: error.retryAfterSeconds,
    final: error.final,
  });
}

/**
 * An upstream's refusal that is the client's own fault (400, 404, 413, 422), translated. The text is cleaned of what is
 * the house's business; a 404 gets a fixed one, as upstreams name their model in it. Any other status says nothing
 * about the client's request and becomes 503, or 429 without the upstream's words. `model` replaces the upstream's
 * model name by the one that the client asked for.
 */
export function faultAnswer(
  dialect: Dialect,
  fault: UpstreamFault,
  requestId: string,
  model?: { readonly upstream: string; readonly asked: string },
): ErrorAnswer {
  if (isContextOverflow(fault)) {
    return answer(dialect, requestId, {
      kind: "invalid_request",
      status: 400,
      message: overflowMessage(dialect, fault),
      sanctumCode: "REQUEST_INVALID",
      dialectCode: "context_length_exceeded",
      param: dialect === "responses" ? "input" : "messages",
    });
  }
  if (!clientStatuses.has(fault.status)) {
    const code = fault.status === 429 ? "LIMITS_EXHAUSTED" : "UPSTREAM_FAILED";
    return errorAnswer(dialect, new GatewayError(code), requestId);
  }
  if (fault.status === 404) {
    const message = "The model is not offered by the provider that was asked.";
    return errorAnswer(dialect, new GatewayError("ROUTE_MODEL_UNKNOWN", { publicMessage: message }), requestId);
  }
  const wording = model === undefined ? fault.message : fault.message.replaceAll(model.upstream, () => model.asked);
  const message = publicText(wording);
  return answer(dialect, requestId, {
    kind: fault.status === 413 ? "too_large" : "invalid_request",
    // Anthropic has no 422, and Claude Code repeats it for minutes.
    status: fault.status === 422 && dialect === "messages" ? 400 : fault.status,
    message: message === "" ? "The provider refused the request as invalid." : message,
    sanctumCode: "REQUEST_INVALID",
    dialectCode: fault.code !== undefined && openaiCode.test(fault.code) ? fault.code : undefined,
  });
}

/** A code that OpenAI's clients tell refusals apart by (`content_policy_violation`); types of errors end otherwise. */
const openaiCode = /^(?!.*_error$)[a-z][a-z0-9_]{0,63}$/;

function answer(dialect: Dialect, requestId: string, failure: Failure): ErrorAnswer {
  const { kind } = failure;
  const headers: Record<string, string> = {
    "content-type": "application/json",
    "x-sanctum-error": failure.sanctumCode,
    "x-sanctum-request-id": requestId,
    [dialect === "messages" ? "request-id" : "x-request-id"]: requestId,
  };
  if (finalKinds.has(kind) || failure.final === true) headers["x-should-retry"] = "false";
  const seconds = failure.retryAfterSeconds;
  if (seconds !== undefined && Number.isFinite(seconds)) {
    headers["retry-after"] = String(Math.min(MAX_RETRY_AFTER_SECONDS, Math.max(1, Math.ceil(seconds))));
  }
  if (dialect === "messages") {
    const error = { type: messagesType(failure), message: failure.message };
    return { status: failure.status, headers, body: JSON.stringify({ type: "error", error, request_id: requestId }) };
  }
  // OpenAI's name for Anthropic's 529 is 503.
  const status = kind === "billing" ? 429 : failure.status === 529 ? 503 : failure.status;
  return { status, headers, body: JSON.stringify({ error: openaiError(failure) }) };
}

/** All upstreams down is what the vendor calls overloaded; a fault of our own is not. */
function messagesType({ kind, status, sanctumCode }: Failure): string {
  const upstreams = sanctumCode === "UPSTREAM_FAILED" || sanctumCode === "ROUTE_NO_CANDIDATE";
  return kind === "unavailable" && (upstreams || status === 529) ? "overloaded_error" : messagesTypes[kind];
}

function openaiError(failure: Failure): JsonObject {
  const [type, code] = openaiTypes[failure.kind];
  return {
    message: failure.message,
    type,
    param: failure.param ?? null,
    code: failure.dialectCode ?? openaiCodes[failure.sanctumCode] ?? code,
  };
}

const unknownResponse: ResponsePlace = { id: "resp_unknown", model: "unknown", createdAt: 0, sequence: 0 };

/**
 * The dialect's event for a failure after the first byte was sent; nothing may follow it. For `responses` it is a
 * `response.failed`, as Codex does not read a plain `error` event: give what is known of the response.
 */
export function sseErrorEvent(dialect: Dialect, fault: UpstreamFault, response = unknownResponse): string {
  // As in a translated stream: the vendor's own codes stay, which tell Codex whether to go on.
  if (dialect === "responses") {
    return failedEvent({ code: clientCode(fault), message: clientMessage(fault) }, response);
  }
  const failure = failureInStream(dialect, fault);
  if (dialect === "messages") {
    const error = { type: messagesType(failure), message: failure.message };
    return formatEvent("error", JSON.stringify({ type: "error", error }));
  }
  return formatEvent(undefined, JSON.stringify({ error: openaiError(failure) }));
}

/**
 * The error event of a stream that was opened before anybody had answered: `body` is what would have been the answer,
 * in this dialect, and its words and codes are kept.
 */
export function lateErrorEvent(dialect: Dialect, body: JsonObject, response: ResponsePlace): string {
  if (dialect === "messages") return formatEvent("error", JSON.stringify(body));
  const error = isObject(body["error"]) ? body["error"] : { message: "The request failed.", code: null };
  return dialect === "chat" ? formatEvent(undefined, JSON.stringify({ ...body, error })) : failedEvent(error, response);
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function failedEvent(error: JsonObject, place: ResponsePlace): string {
  const told = { code: error["code"] ?? "invalid_prompt", message: error["message"] ?? "" };
  const response = bareResponse(place, "failed", told);
  const event = { type: "response.failed", sequence_number: place.sequence, response };
  return formatEvent("response.failed", JSON.stringify(event));
}

function failureInStream(dialect: Dialect, fault: UpstreamFault): Failure {
  const { status } = fault;
  const sanctumCode = "UPSTREAM_CUT";
  if (isContextOverflow(fault)) {
    const message = overflowMessage(dialect, fault);
    return { kind: "invalid_request", status: 400, message, sanctumCode, dialectCode: "context_length_exceeded" };
  }
  // The house's own key failed: that is not the client's to repair.
  if (status === 401 || status === 403) {
    return { kind: "unavailable", status: 502, message: "The provider failed while answering.", sanctumCode };
  }
  const message = publicText(fault.message);
  return {
    kind: kindsInStream.get(status) ?? (status >= 400 && status < 500 ? "invalid_request" : "unavailable"),
    // Anthropic's name for 503 is 529.
    status: status === 503 ? 529 : status,
    message: message === "" ? "The provider failed while answering." : message,
    sanctumCode,
  };
}

const kindsInStream: ReadonlyMap<number, ErrorKind> = new Map([
  [402, "billing"],
  [404, "not_found"],
  [408, "timeout"],
  [409, "unavailable"],
  [413, "too_large"],
  [425, "unavailable"],
  [429, "rate_limit"],
  [500, "internal"],
  [504, "timeout"],
]);

/** The statuses with which an upstream blames the request itself (interface.md section 4). */
const clientStatuses: ReadonlySet<number> = new Set([400, 404, 413, 422]);

/** The house's account at this provider is empty or at its own spending limit: waiting a moment changes nothing. */
export function isOutOfCredit(status: number, fault: UpstreamFault): boolean {
  return classifyFailure({ outcome: `upstream_${status}`, status, fault }).rest === "exhausted";
}

/**
 * Whose failure an upstream's refusal is (interface.md section 8). `client`: 400, 404, 413 and 422 that speak of the
 * request; `model`: the same, where there is no such model: the client's, if it named that model; `next_larger_context`:
 * the prompt does not fit this model; `next`: everything else, also a 400 which says that the house's quota, credit or key
 * is at fault. `status` is that of the answer; below 400, where the failure came inside a 200, the fault's own counts.
 */
export function classifyUpstream(
  status: number,
  fault: UpstreamFault,
): "next" | "next_larger_context" | "client" | "model" {
  const effective = status < 400 ? fault.status : status;
  if (isContextOverflow({ ...fault, status: effective })) return "next_larger_context";
  if (!clientStatuses.has(effective)) return "next";
  const { scope } = classifyFailure({ outcome: `upstream_${effective}`, status: effective, fault });
  if (scope === "model") return "model";
  return scope === "request" ? "client" : "next";
}
