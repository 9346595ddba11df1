// The error types of the Messages dialect by status (Anthropic docs "Errors"; wire.md 171, 172).

import type { UpstreamFault } from "../neutral.ts";

const typeOfStatus: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  409: "conflict_error",
  413: "request_too_large",
  422: "invalid_request_error",
  429: "rate_limit_error",
  503: "overloaded_error",
  504: "timeout_error",
  529: "overloaded_error",
};

/** A fault's own type where it is one of this dialect, else the one that its status has. */
export function messagesErrorType(fault: UpstreamFault): string {
  if (fault.code !== undefined && Object.values(typeOfStatus).includes(fault.code)) return fault.code;
  return typeOfStatus[fault.status] ?? "api_error";
}
