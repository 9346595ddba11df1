// The error envelope of the Chat dialect (OpenAI docs "Error codes").

import type { JsonObject, UpstreamFault } from "../neutral.ts";

/** For a failure inside a stream. */
export function chatErrorBody(fault: UpstreamFault): JsonObject {
  return { error: { message: fault.message, type: typeOf(fault), param: null, code: fault.code ?? null } };
}

function typeOf(fault: UpstreamFault): string {
  if (fault.code === "insufficient_quota") return "insufficient_quota";
  if (fault.status === 429) return "rate_limit_error";
  return fault.status >= 500 ? "server_error" : "invalid_request_error";
}
