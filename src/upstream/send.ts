import { AttemptError, GatewayError } from "../errors.ts";
import type { Handler, Keyed } from "../request.ts";
import type { Clock } from "../clock.ts";
import { sseErrorEvent } from "../wire/errors.ts";
import type { AnswerContext, Codec, Dialect, JsonObject, NeutralRequest, UpstreamFault } from "../wire/neutral.ts";
import { promptBound } from "../wire/prompt-bound.ts";
import { answerContext } from "./answer-context.ts";
import { bufferedAnswer } from "./answer.ts";
import { Deadline } from "./deadline.ts";
import type { Dispatcher } from "./dispatch.ts";
import { endpointOf } from "./endpoint.ts";
import { streamHeaders, upstreamHeaders } from "./headers.ts";
import { countTokens, recordUsage } from "./meter.ts";
import { refusalOf } from "./refusal.ts";
import { ResponseIdentity } from "./response-identity.ts";
import { StreamRelay, type Rendering } from "./relay.ts";
import { profileOf } from "./profile.ts";

/** Output tokens that are asked for however full the window seems: our count is on the high side. */
const leastRoom = 256;

export interface SendParts {
  readonly codecs: Readonly<Record<Dialect, Codec>>;
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  /** `retry-after` in all its forms, in milliseconds. */
  readonly retryAfterMs: (headers: Headers) => number | undefined;
  /** Takes keys out of an upstream's error text before it goes to the client. */
  readonly redact: (text: string) => string;
}

/** The innermost handler: one call to one candidate, translated both ways. */
export function send(parts: SendParts): Handler<Keyed> {
  const neutralOf = memoise(parts.codecs);
  return async (keyed) => {
    const { request, candidate, permit, signal } = keyed;
    if (request.operation === "count_tokens" && candidate.dialect !== "messages") {
      throw new AttemptError("skipped_policy", { note: "counted here" });
    }
    const same = passesThrough(keyed);
    const client = parts.codecs[request.dialect];
    const upstream = parts.codecs[candidate.dialect];
    const body = same ? patched(keyed, client) : translated(keyed, upstream, neutralOf);
    const deadline = new Deadline(signal);
    // Ending a call that is over already would wake the network thread for nothing.
    let over = false;
    try {
      const response = await parts.dispatcher.send({
        url: endpointOf(candidate.provider, candidate.dialect, request.operation),
        headers: upstreamHeaders({
          provider: candidate.provider,
          dialect: candidate.dialect,
          stream: request.facts.stream,
          key: keyed.key,
          client: same ? request.headers : null,
        }),
        body,
        provider: candidate.provider,
        deadline,
      });
      permit.learn(response.headers, response.status);
      if (response.status >= 300) {
        const retryAfterMs = parts.retryAfterMs(response.headers);
        return await refusalOf({
          response,
          codec: upstream,
          keyed,
          redact: parts.redact,
          retryAfterMs,
          clock: parts.clock,
        });
      }
      checkEncoding(response);
      const context = same ? null : answerContext(keyed, neutralOf(keyed), parts.clock);
      if (!request.facts.stream || isJson(response)) {
        const answer = await bufferedAnswer({
          response,
          keyed,
          client,
          upstream,
          context,
          deadline,
          clock: parts.clock,
        });
        over = true;
        deadline.close();
        return answer;
      }
      if (!isEventStream(response)) {
        const note = "the answer is not an event stream";
        throw new AttemptError("error_event", { status: response.status, billed: "unknown", note });
      }
      const relay = new StreamRelay({
        keyed,
        deadline,
        clock: parts.clock,
        redact: parts.redact,
        source: response.body!.getReader(),
        rendering: context === null ? passing(keyed, client, parts.clock) : translating(client, upstream, context),
      });
      const held = await relay.firstContent();
      over = true;
      return { status: 200, headers: { ...streamHeaders }, body: relay.body(held), finished: relay.finished };
    } catch (error) {
      chargeWhatIsKnown(error, keyed);
      throw error;
    } finally {
      if (!over) {
        deadline.close();
        deadline.abort();
      }
    }
  };
}

/**
 * A stream that failed before its first event has produced nothing that was seen and was ended at once: its prompt is
 * charged. An answer that is not streamed may have been written in full, so its whole hold stays charged.
 */
function chargeWhatIsKnown(error: unknown, { request, attempt }: Keyed): void {
  if (!(error instanceof AttemptError) || error.billed === "none" || attempt.usage !== null) return;
  if (request.facts.stream) recordUsage(attempt, null, false, 0, request.facts.inputTokenBound);
}

/** The same dialect on both sides: the client's bytes, changed only where they must be. */
function patched({ request, candidate, allowance }: Keyed, codec: Codec): string {
  if (request.operation === "embeddings") {
    return candidate.model === request.facts.model ? request.text : codec.patchAnswer(request.text, candidate.model);
  }
  return codec.patchRequest(request.text, request.body, {
    ...(candidate.model === request.facts.model ? {} : { model: candidate.model }),
    ...(allowance.clampTo === undefined ? {} : { maxOutputTokens: allowance.clampTo }),
    ...(request.facts.stream && codec.dialect === "chat" ? { includeUsage: true } : {}),
  });
}

/**
 * The client's own bytes go to a provider of its dialect; but what it wrote for its vendor a local server that it did not
 * ask for may not understand (the role `developer`, a second system message, schemas with patterns): that is rewritten for
 * the server.
 */
function passesThrough({ request, candidate }: Keyed): boolean {
  if (candidate.dialect !== request.dialect) return false;
  return !candidate.local || candidate.reason === "requested" || request.operation !== "generate";
}

function translated(keyed: Keyed, codec: Codec, neutralOf: (keyed: Keyed) => NeutralRequest): string {
  const { request, candidate, allowance } = keyed;
  if (request.operation !== "generate")
    throw new AttemptError("skipped_policy", { note: "not offered in this dialect" });
  let neutral: NeutralRequest;
  try {
    neutral = neutralOf(keyed);
  } catch (cause) {
    // The vendor that was asked for may take what we can't translate: the client is not to blame for our fallback.
    if (!(cause instanceof GatewayError) || candidate.reason === "requested") throw cause;
    throw new AttemptError("skipped_policy", { note: cause.publicMessage, cause });
  }
  const target = {
    profile: profileOf(candidate.provider),
    model: candidate.model,
    maxOutputTokens: withinWindow(keyed, allowance.clampTo ?? neutral.maxOutputTokens ?? candidate.maxOutput),
  };
  return JSON.stringify(codec.fromNeutral(neutral, target));
}

/** Claude Code asks for 128,000 tokens of whatever answers; some local servers refuse more than what their window leaves. */
function withinWindow({ request, candidate }: Keyed, limit: number | undefined): number | undefined {
  if (limit === undefined) return undefined;
  const { context = Infinity, maxOutput = Infinity } = candidate;
  const room = Math.max(leastRoom, context - countTokens(promptBound(request.facts, request.text.length)));
  return Math.min(limit, maxOutput, room);
}

/** A request is read into the neutral form at most once, however many candidates are tried. */
function memoise(codecs: SendParts["codecs"]): (keyed: Keyed) => NeutralRequest {
  const known = new WeakMap<JsonObject, NeutralRequest>();
  return ({ request }) => {
    let neutral = known.get(request.body);
    if (neutral === undefined) {
      neutral = codecs[request.dialect].toNeutral(request.body);
      known.set(request.body, neutral);
    }
    return neutral;
  };
}

function passing(keyed: Keyed, codec: Codec, clock: Clock): Rendering {
  const { facts } = keyed.request;
  const reader = codec.createReader();
  const context = { model: facts.model, includeUsage: facts.wantsUsageEvent };
  const failed = codec.dialect === "responses" ? new ResponseIdentity(keyed, clock) : null;
  const fail = (fault: UpstreamFault): string => sseErrorEvent(codec.dialect, fault, failed?.next());
  return {
    read: (event) => {
      failed?.see(event);
      return reader.read(event);
    },
    render: (event, events) => {
      const error = events.find((one) => one.type === "error");
      return error === undefined || !mustRewrite(codec.dialect, error.fault)
        ? (codec.patchEvent(event, context) ?? "")
        : fail(error.fault);
    },
    terminal: () => terminals[codec.dialect],
    fail,
  };
}

/** What the readers make of an event that is not JSON: passed on, it would look like the clean end of a short answer. */
const unreadable = 502;

/**
 * Clients know their own vendor's error events, so those go on as they are; but Responses clients act on
 * `response.failed` alone (a bare `error` makes Codex wait and ask again), and a rejected key is the house's affair.
 */
function mustRewrite(dialect: Dialect, { status }: UpstreamFault): boolean {
  return dialect === "responses" || status === 401 || status === 403 || status === unreadable;
}

/** Ends a stream whose upstream gave its stop reason and then forgot the last event. */
const terminals: Readonly<Record<Dialect, string>> = {
  messages: 'event: message_stop\ndata: {"type":"message_stop"}\n\n',
  chat: "data: [DONE]\n\n",
  responses: "",
};

function translating(client: Codec, upstream: Codec, context: AnswerContext): Rendering {
  const reader = upstream.createReader();
  const writer = client.createWriter(context);
  return {
    read: (event) => reader.read(event),
    render: (_, events) => {
      let text = "";
      for (const event of events) text += event.type === "error" ? writer.fail(event.fault) : writer.write(event);
      return text;
    },
    terminal: () => writer.write({ type: "end" }),
    fail: (fault) => writer.fail(fault),
  };
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

function isJson(response: Response): boolean {
  return /^application\/json\b/i.test(response.headers.get("content-type") ?? "");
}

function isEventStream(response: Response): boolean {
  return response.body !== null && /^text\/event-stream\b/i.test(response.headers.get("content-type") ?? "");
}
