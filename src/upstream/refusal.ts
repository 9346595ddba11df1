import { AttemptError, GatewayError } from "../errors.ts";
import type { Clock } from "../clock.ts";
import type { GatewayResponse, Keyed } from "../request.ts";
import { isClearOverflow, isContextOverflow } from "../wire/context-overflow.ts";
import { classifyUpstream, errorAnswer, faultAnswer } from "../wire/errors.ts";
import { classifyFailure, type Failure } from "../wire/failure-table.ts";
import type { Codec } from "../wire/neutral.ts";
import { serverKindOf } from "../wire/profiles/server-kind.ts";
import { isOwn } from "../own-credential.ts";
import { saysLoading } from "./loading.ts";
import { jsonHeaders } from "./headers.ts";
import { toldBody } from "./told-fault.ts";

/** An error body longer than this is not read to the end. */
const maxErrorBytes = 256 * 1024;

/** In milliseconds; undefined: it does not say. */
export interface ToldWaits {
  readonly retryAfterMs: number | undefined;
  /** Until an exhausted account is good again. */
  readonly regainMs: number | undefined;
}

interface Refusal {
  readonly response: Response;
  readonly codec: Codec;
  readonly keyed: Keyed;
  /** Takes known key bytes out of text that goes to the client. */
  readonly redact: (text: string) => string;
  readonly told: (answer: Response, body: string) => ToldWaits;
  readonly clock: Clock;
}

/**
 * What an upstream status of 300 and up means: a failure of this candidate (thrown), or the client's own fault, which
 * it gets back: byte for byte in the same dialect, since clients match on the wording, else translated.
 */
export async function refusalOf({ response, codec, keyed, redact, told, clock }: Refusal): Promise<GatewayResponse> {
  const { attempt, candidate } = keyed;
  const { status } = response;
  const outcome = `upstream_${status}` as const;
  if (status < 400) {
    await response.body?.cancel();
    // A redirect could carry the key to another host, and it never is an answer.
    throw new AttemptError(outcome, { status, note: "the upstream redirects" });
  }
  const text = await readSome(response);
  const fault = codec.parseError(status, text);
  if (candidate.local && saysLoading(status, text)) {
    throw new AttemptError(outcome, { status, loading: true, note: "it is loading its model" });
  }
  // Whoever logged in with its own credential must hear that it is refused, in the vendor's words: it logs in again by them.
  const login = isOwn(keyed) && (status === 401 || status === 403);
  const verdict = login ? "client" : classifyUpstream(status, fault);
  // Whom the client did not ask for can't blame the client: a missing or too small fallback is our own affair, and so is a
  // model that only we have named.
  if (verdict === "next" || candidate.reason === "fallback" || (verdict === "model" && !isNamed(keyed))) {
    const kind = serverKindOf(candidate.provider);
    const failure = classifyFailure({ outcome, status, fault, kind, model: candidate.model });
    const { retryAfterMs, regainMs } = told(response, text);
    const outOfCredit = failure.rest === "exhausted";
    throw new AttemptError(outcome, { status, retryAfterMs, regainMs, outOfCredit, failure, note: noteOf(failure) });
  }

  attempt.outcome = outcome;
  attempt.status = status;
  attempt.ms = clock.monotonic() - attempt.startedAt;
  const relay = clientAnswer(keyed, codec, text, fault, redact, status);
  if (verdict === "next_larger_context")
    throw new AttemptError(outcome, { status, relay, note: "the prompt is too long" });
  return relay;
}

/** The client wrote this very model, and not a name that the configuration has for it. */
function isNamed({ candidate, request }: Keyed): boolean {
  if (candidate.reason !== "requested") return false;
  const { model } = request.facts;
  const ownName = `${candidate.provider.name}/${candidate.model}`;
  return candidate.name !== model || model === candidate.model || model === ownName;
}

/** What the status alone does not tell. */
function noteOf({ scope, rest }: Failure): string | undefined {
  if (rest === "exhausted") return "the account is out of credit";
  if (rest === "gone" && scope === "model") return "the provider does not have this model";
  return rest === "asked" && scope === "model" ? "the limit is that of the model" : undefined;
}

/**
 * The same failure where it came inside of a 200, before any content: "too long" is for the client, as above; whatever
 * else it was stays the candidate's own.
 */
export function overflowInside(failed: AttemptError, keyed: Keyed, redact: Refusal["redact"]): AttemptError {
  const { fault, outcome, status } = failed;
  if (fault === undefined || keyed.candidate.reason === "fallback" || !isContextOverflow(fault)) return failed;
  const relay = newlyTold(keyed, fault, redact);
  // Vendors take no money for a prompt that they did not read.
  return new AttemptError(outcome, { status, relay, note: "the prompt is too long", cause: failed });
}

function clientAnswer(
  keyed: Keyed,
  codec: Codec,
  text: string,
  fault: ReturnType<Codec["parseError"]>,
  redact: (text: string) => string,
  status: number,
): GatewayResponse {
  const { request } = keyed;
  const own = !isContextOverflow(fault) || isClearOverflow(request.dialect, fault);
  const told = own && codec.dialect === request.dialect ? toldBody(keyed, text) : null;
  const login = status === 401 || status === 403;
  if (told === null && login) {
    const answer = errorAnswer(request.dialect, new GatewayError("UPSTREAM_LOGIN"), request.id);
    return blaming(answer.status, answer.body, answer.headers);
  }
  if (told === null) return newlyTold(keyed, fault, redact);
  return blaming(status, redact(told), login ? refusedLogin : ownFault(status));
}

/** The client's own fault in the words of its dialect. */
function newlyTold(
  { request, candidate }: Keyed,
  fault: ReturnType<Codec["parseError"]>,
  redact: Refusal["redact"],
): GatewayResponse {
  const names = { upstream: candidate.model, asked: request.facts.model };
  const code = fault.code === undefined ? undefined : redact(fault.code);
  const cleaned = { ...fault, code, message: redact(fault.message) };
  const { status, body, headers } = faultAnswer(request.dialect, cleaned, request.id, names);
  return blaming(status, body, headers);
}

function blaming(status: number, body: string, headers: Record<string, string>): GatewayResponse {
  const finished = Promise.resolve({ outcome: "client_error" as const, bytesOut: Buffer.byteLength(body) });
  return { status, headers: { ...jsonHeaders, ...headers }, body, finished };
}

/** Without `x-should-retry`, which would keep Claude Code from renewing its login and asking again. */
const refusedLogin = { "x-sanctum-error": "UPSTREAM_LOGIN" };

/** As on errors of our own. Agents send a 422 again for minutes unless they are told that it is final. */
function ownFault(status: number): Record<string, string> {
  return { "x-sanctum-error": status === 404 ? "ROUTE_MODEL_UNKNOWN" : "REQUEST_INVALID", "x-should-retry": "false" };
}

async function readSome(response: Response): Promise<string> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const chunk of response.body) {
      text += decoder.decode(chunk, { stream: true });
      if (text.length > maxErrorBytes) break;
    }
  } catch {
    // The status alone decides; a body that breaks off only costs its wording.
    return text;
  }
  return text;
}
