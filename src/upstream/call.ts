// One call to one upstream: its answer, or why there is none.

import type { Clock } from "../clock.ts";
import { AttemptError } from "../errors.ts";
import { isOwn } from "../own-credential.ts";
import type { GatewayResponse, Keyed } from "../request.ts";
import type { Codec, Dialect, NeutralAnswer, NeutralRequest } from "../wire/neutral.ts";
import { withoutThinking } from "../wire/without-thinking.ts";
import { bufferedWhole } from "./answer.ts";
import type { Continuations } from "./continuation.ts";
import { Deadline } from "./deadline.ts";
import type { Dispatcher } from "./dispatch.ts";
import { endpointOf } from "./endpoint.ts";
import { upstreamHeaders, upstreamIdOf } from "./headers.ts";
import { recordUsage, unseenTokens } from "./meter.ts";
import { overflowInside, refusalOf, type ToldWaits } from "./refusal.ts";
import type { RelayParts } from "./relay.ts";
import { translated } from "./request-body.ts";
import { readThinkingRefusal } from "./thinking-refusal.ts";
import { wholeAnswer } from "./whole-answer.ts";

export interface SendParts {
  readonly codecs: Readonly<Record<Dialect, Codec>>;
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  /** Translated tool calls wait until they are whole; false: they stream as they come. */
  readonly holdsCalls: boolean;
  /** When the upstream may be asked again, as an error answer says it. */
  readonly told: (answer: Response, body: string) => ToldWaits;
  /** Takes keys out of an upstream's error text before it goes to the client. */
  readonly redact: (text: string) => string;
  /** The client of a stream hears something at least this often. */
  readonly keepAliveMs: number;
  /** What local models do with an answer that was begun. */
  readonly continuations: Continuations;
}

/** One call to the candidate's server. */
export interface Call {
  readonly keyed: Keyed;
  readonly client: Codec;
  readonly upstream: Codec;
  /** Null: the client's own bytes pass through. */
  readonly neutral: NeutralRequest | null;
  readonly body: string;
  /** As it is asked of the server; the client may have asked otherwise. */
  readonly stream: boolean;
}

/**
 * Sends the request and has `take` read the answer; a refusal that the client gets is the answer itself. Whoever takes it
 * closes the deadline, or lets the answer's end close it.
 */
export async function calling<T>(
  parts: SendParts,
  call: Call,
  take: (response: Response, deadline: Deadline, sentAt: number) => Promise<T>,
): Promise<T | GatewayResponse> {
  const { keyed } = call;
  const { request, candidate, permit } = keyed;
  const deadline = new Deadline(keyed.signal, parts.clock);
  const sentAt = parts.clock.monotonic();
  deadline.limit("timeout_total", candidate.provider.timeouts.totalMs);
  // Ending a call that is over already would wake the network thread for nothing.
  let over = false;
  let inOnePiece = !call.stream;
  try {
    const ask = async (body: string): Promise<Response> => {
      const url = endpointOf(candidate.provider, candidate.dialect, request.operation);
      const asked = await parts.dispatcher.send({
        url,
        headers: upstreamHeaders({
          provider: candidate.provider,
          url,
          dialect: candidate.dialect,
          stream: call.stream,
          key: keyed.key,
          own: isOwn(keyed) ? request.headers : null,
          client: call.neutral === null && !candidate.local ? request.headers : null,
        }),
        body,
        provider: candidate.provider,
        deadline,
      });
      permit.learn(asked.headers, asked.status);
      keyed.attempt.status = asked.status;
      return asked;
    };
    // A second question of one attempt (`checkedAnswer`) has no answer yet.
    keyed.attempt.status = null;
    let response = await ask(call.body);
    if (response.status === 400) response = await withoutRefusedThinking(response, call, ask);
    const upstreamId = upstreamIdOf(response.headers, candidate.dialect, keyed.key, parts.redact);
    // A server that gives the key back as an id must not get it into the books.
    if (upstreamId !== undefined && parts.redact(upstreamId) === upstreamId) keyed.attempt.upstreamId = upstreamId;
    if (response.status >= 300) {
      const { redact, clock, told } = parts;
      return await refusalOf({ response, codec: call.upstream, keyed, redact, told, clock });
    }
    checkEncoding(response);
    inOnePiece ||= isJson(response);
    const taken = await take(response, deadline, sentAt);
    over = true;
    return taken;
  } catch (error) {
    const failure = error instanceof AttemptError ? overflowInside(error, keyed, parts.redact) : error;
    if (!inOnePiece) chargeWhatIsKnown(failure, call, parts.clock.monotonic() - sentAt);
    throw failure;
  } finally {
    if (!over) {
      deadline.close();
      deadline.abort();
    }
  }
}

export async function whole(parts: SendParts, call: Call): Promise<NeutralAnswer | GatewayResponse> {
  const { keyed, upstream } = call;
  const { clock, redact } = parts;
  return calling(parts, call, async (response, deadline, sentAt) => {
    if (call.stream && !isJson(response)) {
      const source = eventSource(response);
      return wholeAnswer({ keyed, deadline, clock, redact, sentAt, source }, upstream.createReader());
    }
    const answer = await bufferedWhole({ response, keyed, upstream, deadline, clock, sentAt });
    deadline.close();
    return answer;
  });
}

/** What the upstream refuses of its earlier thinking it is not sent a second time. Pass-through stays the client's affair. */
async function withoutRefusedThinking(
  answer: Response,
  { keyed, upstream, neutral, stream }: Call,
  ask: (body: string) => Promise<Response>,
): Promise<Response> {
  const thoughtless = neutral === null || upstream.dialect !== "messages" ? undefined : withoutThinking(neutral);
  if (thoughtless === undefined) return answer;
  const { refused, response } = await readThinkingRefusal(answer);
  if (!refused) return response;
  keyed.attempt.note = "asked again without earlier thinking, which was refused";
  return ask(translated(keyed, upstream, thoughtless, stream));
}

export function eventSource(response: Response): RelayParts["source"] {
  if (isEventStream(response)) return response.body!.getReader();
  const note = "the answer is not an event stream";
  throw new AttemptError("error_event", { status: response.status, billed: "unknown", note });
}

/**
 * A stream that failed before its first event has produced nothing that was seen and was ended at once: its prompt is
 * charged, and what it may have thought by then. An answer that is not streamed may have been written in full, so its whole
 * hold stays charged.
 */
function chargeWhatIsKnown(error: unknown, { keyed }: Call, ms: number): void {
  const { request, attempt } = keyed;
  if (!(error instanceof AttemptError) || error.billed === "none" || attempt.usage !== null) return;
  recordUsage(attempt, null, false, 0, request.facts.inputTokenBound, unseenTokens(keyed, ms));
}

function checkEncoding(response: Response): void {
  const encoding = response.headers.get("content-encoding");
  if (encoding !== null && encoding !== "identity") {
    throw new AttemptError("error_event", {
      status: response.status,
      billed: "unknown",
      note: "the answer is compressed",
    });
  }
}

export function isJson(response: Response): boolean {
  return /^application\/json\b/i.test(response.headers.get("content-type") ?? "");
}

function isEventStream(response: Response): boolean {
  return response.body !== null && /^text\/event-stream\b/i.test(response.headers.get("content-type") ?? "");
}
