// Failures as upstreams tell them, of any server's habit, to one form (wire.md 167, 171, 175).

import type { Json, JsonObject, UpstreamFault } from "../neutral.ts";
import { isObject } from "./request-fields.ts";

/** Longer texts are pages or dumps, no messages. */
const MAX_MESSAGE_CHARACTERS = 2_000;

/** Where a failure comes inside a 200, its type is all there is to tell the status by. */
const statusOfCode: Readonly<Record<string, number>> = {
  // Anthropic
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  conflict_error: 409,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529,
  // OpenAI
  context_length_exceeded: 400,
  invalid_api_key: 401,
  model_not_found: 404,
  insufficient_quota: 429,
  rate_limit_exceeded: 429,
  server_error: 500,
  server_overloaded: 503,
  // llama.cpp, vLLM
  exceed_context_size_error: 400,
  unavailable_error: 503,
  BadRequestError: 400,
  NotFoundError: 404,
  InternalServerError: 500,
};

/** `text` is the body of an answer with an error status. Never throws. */
export function parseUpstreamError(status: number, text: string): UpstreamFault {
  let body: Json;
  try {
    body = JSON.parse(text) as Json;
  } catch {
    // A tunnel's HTML page, or plain text: only a short plain line is a message.
    const plain = text.trim();
    const readable = plain !== "" && plain.length <= 200 && !plain.startsWith("<");
    return {
      status: status >= 400 ? status : 502,
      code: undefined,
      message: readable ? plain.toWellFormed() : unreadable(status),
    };
  }
  return toFault(body, status);
}

/** The failure inside a 200: a body or an event that holds an error. */
export function faultInside(body: Json): UpstreamFault {
  return toFault(body, 200);
}

/** An answer that is neither an answer nor an error. */
export function nonsense(what: string): UpstreamFault {
  return { status: 502, code: undefined, message: `The upstream sent ${what}.` };
}

/** True where a parsed answer or event is an error in disguise. */
export function isErrorBody(body: JsonObject): boolean {
  const error = body["error"];
  if (error !== undefined && error !== null && error !== false && error !== "") return true;
  return body["type"] === "error" || body["object"] === "error";
}

function toFault(body: Json, httpStatus: number): UpstreamFault {
  const error = innermost(body);
  const code = codeOf(error);
  return {
    status: statusOf(error, code, httpStatus),
    code,
    message: messageOf(error)?.slice(0, MAX_MESSAGE_CHARACTERS).toWellFormed() ?? unreadable(httpStatus),
  };
}

/** `[{error}]` (Google), `{errors: [...]}`, `{error: {...}}`, `{error: "text"}` (mlx), `{message}` (vLLM), `"text"`. */
function innermost(body: Json): Json {
  let value: Json = body;
  for (let depth = 0; depth < 4; depth++) {
    if (Array.isArray(value)) value = value[0] ?? null;
    else if (isObject(value) && isObject(value["error"])) value = value["error"];
    else if (isObject(value) && Array.isArray(value["errors"])) value = value["errors"];
    else break;
  }
  return value;
}

function codeOf(error: Json): string | undefined {
  if (!isObject(error)) return undefined;
  const code = error["code"];
  if (typeof code === "string" && code !== "" && !/^\d+$/.test(code)) return code;
  const type = error["type"];
  return typeof type === "string" && type !== "" && type !== "error" ? type : undefined;
}

function statusOf(error: Json, code: string | undefined, httpStatus: number): number {
  if (httpStatus >= 400) return httpStatus;
  if (isObject(error)) {
    for (const key of ["code", "status", "status_code"]) {
      const status = Number(error[key]);
      if (Number.isInteger(status) && status >= 400 && status <= 599) return status;
    }
  }
  return code !== undefined && Object.hasOwn(statusOfCode, code) ? statusOfCode[code]! : 502;
}

function messageOf(error: Json): string | undefined {
  if (typeof error === "string") return error === "" ? undefined : error;
  if (!isObject(error)) return undefined;
  for (const key of ["message", "error", "detail", "msg", "title"]) {
    const value = error[key];
    if (typeof value === "string" && value !== "") return value;
    // FastAPI: {detail: [{loc, msg}]}
    const first = Array.isArray(value) && isObject(value[0]) ? value[0]["msg"] : undefined;
    if (typeof first === "string" && first !== "") return first;
  }
  return undefined;
}

function unreadable(status: number): string {
  return status >= 400
    ? `The upstream answered with status ${status} and no readable error.`
    : "The upstream told of an error without a message.";
}
