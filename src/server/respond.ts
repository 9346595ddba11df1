import { GatewayError } from "../errors.ts";
import type { GatewayResponse } from "../request.ts";
import type { Dialect } from "../wire/neutral.ts";
import { errorAnswer } from "../wire/errors.ts";

/** The gateway's answer as the runtime takes it. */
export function toResponse(answer: GatewayResponse, id: string, dialect: Dialect): Response {
  const { headers } = answer;
  headers["x-sanctum-request-id"] = id;
  headers[dialect === "messages" ? "request-id" : "x-request-id"] = id;
  return new Response(answer.body, { status: answer.status, headers });
}

/** The one place where an error becomes a response. What was not foreseen is a bug: fixed text, details to the log only. */
export function toErrorResponse(
  error: unknown,
  id: string,
  dialect: Dialect,
  report: (line: string) => void,
): Response {
  const known = error instanceof GatewayError ? error : new GatewayError("INTERNAL", { cause: error });
  if (known.code === "INTERNAL") report(`${id} internal error: ${describe(error)}`);
  const { status, body, headers } = errorAnswer(dialect, known, id);
  // A body that was not read to its end must not be taken for the next request.
  const close = known.code === "DOOR_BODY_TOO_LARGE" ? { connection: "close" } : {};
  // RFC 9110 section 15.5.6.
  const allow = known.allow === undefined ? {} : { allow: known.allow };
  return new Response(body, {
    status,
    headers: { "content-type": "application/json", ...headers, ...close, ...allow },
  });
}

/** With what it was caused by, a few levels deep: a cause may be its own cause. */
function describe(error: unknown, levels = 4): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined || levels === 0 ? own : `${own}\ncaused by ${describe(error.cause, levels - 1)}`;
}
