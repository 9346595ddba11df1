import { AttemptError } from "../errors.ts";
import type { Clock } from "../clock.ts";
import type { GatewayResponse, Keyed } from "../request.ts";
import { classifyUpstream, faultAnswer } from "../wire/errors.ts";
import type { Codec } from "../wire/neutral.ts";
import { jsonHeaders } from "./headers.ts";

/** An error body longer than this is not read to the end. */
const maxErrorBytes = 256 * 1024;

interface Refusal {
  readonly response: Response;
  readonly codec: Codec;
  readonly keyed: Keyed;
  /** Takes known key bytes out of text that goes to the client. */
  readonly redact: (text: string) => string;
  readonly retryAfterMs: number | undefined;
  readonly clock: Clock;
}

/**
 * What an upstream status of 300 and up means: a failure of this candidate (thrown), or the client's own fault, which
 * it gets back: byte for byte in the same dialect, since clients match on the wording, else translated.
 */
export async function refusalOf({
  response,
  codec,
  keyed,
  redact,
  retryAfterMs,
  clock,
}: Refusal): Promise<GatewayResponse> {
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
  const verdict = classifyUpstream(status, fault);
  // Whom the client did not ask for can't blame the client: a missing or too small fallback is our own affair.
  if (verdict === "next" || candidate.reason === "fallback") throw new AttemptError(outcome, { status, retryAfterMs });

  attempt.outcome = outcome;
  attempt.status = status;
  attempt.ms = clock.monotonic() - attempt.startedAt;
  const relay = clientAnswer(keyed, codec, text, fault, redact, status);
  if (verdict === "next_larger_context")
    throw new AttemptError(outcome, { status, relay, note: "the prompt is too long" });
  return relay;
}

function clientAnswer(
  { request, candidate }: Keyed,
  codec: Codec,
  text: string,
  fault: ReturnType<Codec["parseError"]>,
  redact: (text: string) => string,
  status: number,
): GatewayResponse {
  const same = codec.dialect === request.dialect && isJsonObject(text);
  const names = { upstream: candidate.model, asked: request.facts.model };
  const answer = same
    ? { status, body: redact(text), headers: ownFault(status) }
    : faultAnswer(request.dialect, { ...fault, message: redact(fault.message) }, request.id, names);
  const finished = Promise.resolve({ outcome: "client_error" as const, bytesOut: Buffer.byteLength(answer.body) });
  return { status: answer.status, headers: { ...jsonHeaders, ...answer.headers }, body: answer.body, finished };
}

/** As on errors of our own. Agents send a 422 again for minutes unless they are told that it is final. */
function ownFault(status: number): Record<string, string> {
  return { "x-sanctum-error": status === 404 ? "ROUTE_MODEL_UNKNOWN" : "REQUEST_INVALID", "x-should-retry": "false" };
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
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
