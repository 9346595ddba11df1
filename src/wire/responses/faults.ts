// Failures as a Responses upstream tells them: in an error body, in a `response.failed`, in an `error` event.

import { isContextOverflow, overflowMessage } from "../context-overflow.ts";
import type { Json, JsonObject, UpstreamFault } from "../neutral.ts";
import { publicText } from "../public-text.ts";
import { isObject, parseJson, stringAt } from "./json-fields.ts";

/** Longer texts are cut: a fault is kept, logged and shown. */
const MAX_MESSAGE = 4_000;
/** Longer bodies are no error envelope. */
const MAX_BODY = 1_000_000;

/** OpenAI docs "Error codes" and the `ResponseError.code` union; what is not here is the server's fault. */
const statusByCode: ReadonlyMap<string, number> = new Map([
  ["rate_limit_exceeded", 429],
  ["insufficient_quota", 429],
  ["slow_down", 429],
  ["context_length_exceeded", 400],
  ["invalid_prompt", 400],
  ["invalid_request_error", 400],
  ["invalid_image", 400],
  ["invalid_image_url", 400],
  ["image_too_large", 400],
  ["bio_policy", 400],
  ["misalignment_policy_violation", 400],
  ["data_residency_mismatch", 400],
  ["invalid_api_key", 401],
  ["model_not_found", 404],
  ["server_error", 500],
  ["server_is_overloaded", 503],
  ["overloaded_error", 503],
]);

/**
 * An upstream error body. Knows OpenAI's envelope, a bare string (`{"error": "text"}`), vLLM's flat object, FastAPI's
 * `detail`; anything else (HTML of a tunnel, nothing at all) gets a fixed text with the same status.
 */
export function parseError(status: number, text: string): UpstreamFault {
  const body = text.length <= MAX_BODY ? parseJson(text) : undefined;
  return errorFault(body, status) ?? { status, code: undefined, message: `The upstream answered ${status}.` };
}

/** The fault inside a JSON value that holds an error in one of the known shapes; undefined where it holds none. */
export function errorFault(body: Json | undefined, status: number): UpstreamFault | undefined {
  if (!isObject(body)) return undefined;
  const error = body["error"];
  if (typeof error === "string" && error !== "") return { status, code: undefined, message: shorten(error) };
  if (isObject(error)) return envelopeFault(error, status);
  const message = stringAt(body, "message") ?? stringAt(body, "detail");
  if (message === undefined || message === "") return undefined;
  return { status, code: codeOf(body), message: shorten(message) };
}

/** `error` of a failed response or an `error` event: the status is told from the code. */
export function streamFault(error: JsonObject): UpstreamFault {
  const code = codeOf(error);
  const status = code === undefined ? 500 : (statusByCode.get(code) ?? 500);
  return envelopeFault(error, status);
}

/** What is no answer at all. */
export function notAnAnswer(message: string): UpstreamFault {
  return { status: 502, code: undefined, message };
}

/**
 * `error.code` for a client: it decides whether Codex repeats the request. A code of the dialect that blames the request
 * or a quota goes on as it is, so does a prompt that is too long; the rest is the nearest one of the dialect, and what
 * concerns the house's own key is the server's fault.
 */
export function clientCode(fault: UpstreamFault): string {
  if (isContextOverflow(fault)) return "context_length_exceeded";
  const known = fault.code === undefined ? undefined : statusByCode.get(fault.code);
  if (fault.code !== undefined && (known === 400 || known === 429) && !fault.code.endsWith("_error")) return fault.code;
  if (fault.status === 429) return "rate_limit_exceeded";
  return fault.status === 400 || fault.status === 413 || fault.status === 422 ? "invalid_prompt" : "server_error";
}

const UNKNOWN_FAILURE = "The provider failed while answering.";

/** `error.message` for a client: nothing of the house in it. The wait that a rate limit names stays: Codex obeys it. */
export function clientMessage(fault: UpstreamFault): string {
  if (isContextOverflow(fault)) return overflowMessage("responses", fault);
  if (fault.status === 401 || fault.status === 403) return UNKNOWN_FAILURE;
  return publicText(fault.message) || UNKNOWN_FAILURE;
}

function envelopeFault(error: JsonObject, status: number): UpstreamFault {
  return { status, code: codeOf(error), message: shorten(stringAt(error, "message") || "The upstream failed.") };
}

/** llama.cpp puts a number into `code`; its `type` says more. An `error` event's `type` is the event's name. */
function codeOf(error: JsonObject): string | undefined {
  const code = stringAt(error, "code");
  if (code !== undefined) return code;
  const type = stringAt(error, "type");
  return type === "error" ? undefined : type;
}

function shorten(text: string): string {
  const short = text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE)}…` : text;
  return short.toWellFormed();
}
