import { AttemptError, GatewayError } from "../errors.ts";
import type { GatewayResponse, Handler, Keyed } from "../request.ts";
import type { Clock } from "../clock.ts";
import type {
  AnswerContext,
  Codec,
  Dialect,
  JsonObject,
  NeutralAnswer,
  NeutralRequest,
  RequestPatch,
  ServerKind,
  Target,
} from "../wire/neutral.ts";
import { outputLimitName } from "../wire/chat/output-limit.ts";
import { serverProfiles } from "../wire/profiles/server-profiles.ts";
import { setTopLevel } from "../wire/json-edit.ts";
import { promptBound } from "../wire/prompt-bound.ts";
import { withoutThinking } from "../wire/without-thinking.ts";
import { wellFormedJson } from "../wire/well-formed.ts";
import { ToolHold } from "../wire/tool-hold.ts";
import { answerContext } from "./answer-context.ts";
import { holdOptions } from "./hold-options.ts";
import { bufferedAnswer, bufferedWhole, renderedAnswer } from "./answer.ts";
import { asksForStream, schemaToCheck } from "./asked.ts";
import { checkedAnswer } from "./checked-answer.ts";
import { clocked } from "./clocks.ts";
import { Deadline } from "./deadline.ts";
import { tellIgnored } from "./ignored-fields.ts";
import { isOwn } from "../own-credential.ts";
import { originOf } from "./origin.ts";
import { readThinkingRefusal } from "./thinking-refusal.ts";
import type { Dispatcher } from "./dispatch.ts";
import { embeddingsRequest } from "./embeddings.ts";
import { endpointOf } from "./endpoint.ts";
import { streamHeaders, upstreamHeaders, upstreamIdOf } from "./headers.ts";
import { countTokens, recordUsage, unseenTokens } from "./meter.ts";
import { overflowInside, refusalOf, type ToldWaits } from "./refusal.ts";
import { StreamRelay, type RelayParts } from "./relay.ts";
import { passing, translating } from "./renderings.ts";
import { plainAnswer } from "./plain-answer.ts";
import { profileOf } from "./profile.ts";
import { wholeAnswer } from "./whole-answer.ts";

/** Output tokens that are asked for however full the window seems: our count is on the high side. */
const leastRoom = 256;

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
}

/** One call to the candidate's server. */
interface Call {
  readonly keyed: Keyed;
  readonly client: Codec;
  readonly upstream: Codec;
  /** Null: the client's own bytes pass through. */
  readonly neutral: NeutralRequest | null;
  readonly body: string;
  /** As it is asked of the server; the client may have asked otherwise. */
  readonly stream: boolean;
}

/** The innermost handler: one call to one candidate, translated both ways. */
export function send(parts: SendParts): Handler<Keyed> {
  const neutralOf = memoise(parts.codecs);
  return async (keyed) => {
    const { request, candidate } = keyed;
    const client = parts.codecs[request.dialect];
    if (passesThrough(keyed)) {
      const body = patched(keyed, client);
      const { stream } = request.facts;
      return shown(parts, { keyed: clocked(keyed, stream), client, upstream: client, neutral: null, body, stream });
    }
    const upstream = parts.codecs[candidate.dialect];
    const neutral = readable(keyed, neutralOf);
    refuseVendorsOwn(keyed, parts, neutral);
    const stream = asksForStream(keyed, neutral);
    const body = translated(keyed, upstream, neutral, stream);
    const call: Call = { keyed: clocked(keyed, stream), client, upstream, neutral, body, stream };
    const schema = schemaToCheck(keyed, neutral);
    const plain = schema === null && (request.facts.stream || !stream);
    const answer = await (plain ? shown(parts, call) : keptBack(parts, call, schema));
    return tellIgnored(answer, neutral, candidate);
  };
}

/** The answer goes to the client as it comes. */
async function shown(parts: SendParts, call: Call): Promise<GatewayResponse> {
  const { keyed, client, upstream, neutral } = call;
  const { clock } = parts;
  return calling(parts, call, async (response, deadline, sentAt) => {
    const context = neutral === null ? null : answerContext(keyed, neutral, clock);
    if (!call.stream || isJson(response)) {
      const answer = await bufferedAnswer({ response, keyed, client, upstream, context, deadline, clock, sentAt });
      deadline.close();
      return answer;
    }
    const relay = new StreamRelay({
      keyed,
      deadline,
      clock,
      redact: parts.redact,
      sentAt,
      keepAliveMs: parts.keepAliveMs,
      source: eventSource(response),
      rendering:
        context === null
          ? passing(keyed, client, clock)
          : translating(keyed, client, upstream, context, holdOf(keyed, context, parts)),
    });
    const held = await relay.firstContent();
    return { status: 200, headers: { ...streamHeaders }, body: relay.body(held), finished: relay.finished };
  });
}

/** The client gets nothing of the answer before all of it is here, and checked where it has to fit a schema. */
async function keptBack(parts: SendParts, call: Call, schema: JsonObject | null): Promise<GatewayResponse> {
  const { keyed, client, upstream } = call;
  const neutral = call.neutral!;
  const ask = async (request: NeutralRequest): Promise<NeutralAnswer | GatewayResponse> => {
    const body = request === neutral ? call.body : translated(keyed, upstream, request, call.stream);
    return whole(parts, { ...call, neutral: request, body });
  };
  const answer =
    schema === null
      ? await ask(neutral)
      : await checkedAnswer({ request: neutral, schema, attempt: keyed.attempt, ask });
  if (!("parts" in answer)) return answer;
  const context = answerContext(keyed, neutral, parts.clock);
  return renderedAnswer({ answer, keyed, client, context, clock: parts.clock });
}

async function whole(parts: SendParts, call: Call): Promise<NeutralAnswer | GatewayResponse> {
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

/**
 * Sends the request and has `take` read the answer; a refusal that the client gets is the answer itself. Whoever takes it
 * closes the deadline, or lets the answer's end close it.
 */
async function calling<T>(
  parts: SendParts,
  call: Call,
  take: (response: Response, deadline: Deadline, sentAt: number) => Promise<T>,
): Promise<T | GatewayResponse> {
  const { keyed } = call;
  const { request, candidate, permit } = keyed;
  const deadline = new Deadline(keyed.signal);
  const sentAt = parts.clock.monotonic();
  deadline.limit("timeout_total", candidate.provider.timeouts.totalMs);
  // Ending a call that is over already would wake the network thread for nothing.
  let over = false;
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
    const taken = await take(response, deadline, sentAt);
    over = true;
    return taken;
  } catch (error) {
    const failure = error instanceof AttemptError ? overflowInside(error, keyed, parts.redact) : error;
    chargeWhatIsKnown(failure, call, parts.clock.monotonic() - sentAt);
    throw failure;
  } finally {
    if (!over) {
      deadline.close();
      deadline.abort();
    }
  }
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

function eventSource(response: Response): RelayParts["source"] {
  if (isEventStream(response)) return response.body!.getReader();
  const note = "the answer is not an event stream";
  throw new AttemptError("error_event", { status: response.status, billed: "unknown", note });
}

/**
 * A stream that failed before its first event has produced nothing that was seen and was ended at once: its prompt is
 * charged, and what it may have thought by then. An answer that is not streamed may have been written in full, so its whole
 * hold stays charged.
 */
function chargeWhatIsKnown(error: unknown, { keyed, stream }: Call, ms: number): void {
  const { request, attempt } = keyed;
  if (!(error instanceof AttemptError) || error.billed === "none" || attempt.usage !== null) return;
  if (stream) recordUsage(attempt, null, false, 0, request.facts.inputTokenBound, unseenTokens(keyed, ms));
}

/** The same dialect on both sides: the client's bytes, changed only where they must be. */
function patched(keyed: Keyed, codec: Codec): string {
  const { request, candidate, allowance } = keyed;
  if (request.operation === "embeddings") {
    const text = embeddingsRequest(request.text, keyed);
    return candidate.model === request.facts.model ? text : codec.patchAnswer(text, candidate.model);
  }
  const text = codec.patchRequest(request.text, request.body, {
    ...(candidate.model === request.facts.model ? {} : { model: candidate.model }),
    ...(allowance.clampTo === undefined ? {} : limitOf(candidate, allowance.clampTo)),
    ...(request.facts.stream && codec.dialect === "chat" ? { includeUsage: true } : {}),
  });
  return codec.dialect === "chat" ? pinned(text, request.body, profileOf(candidate.provider)) : text;
}

function limitOf({ provider, model }: Keyed["candidate"], maxOutputTokens: number): RequestPatch {
  return { maxOutputTokens, limitName: outputLimitName({ profile: profileOf(provider), model }) };
}

/** Some servers do harm by default: what keeps them from it goes along unless the client has its own say. */
function pinned(text: string, body: JsonObject, kind: ServerKind): string {
  const fields = Object.entries(serverProfiles[kind].pinned).filter(([name]) => body[name] === undefined);
  return fields.length === 0 ? text : setTopLevel(text, Object.fromEntries(fields));
}

/** Whose the dialect is: agents write into it what is meant for that vendor alone (paths, installation ids, who the user is). */
const vendors: Readonly<Record<Dialect, ServerKind | undefined>> = {
  messages: "anthropic",
  chat: undefined,
  responses: "openai",
};

/**
 * The client's own bytes go to a provider of its dialect; but what it wrote for its vendor no other one gets that it did not
 * ask for, and a local server may not even understand it (the role `developer`, a second system message, schemas with
 * patterns): that is rewritten for the server.
 */
function passesThrough({ request, candidate }: Keyed): boolean {
  if (candidate.dialect !== request.dialect || request.facts.foreign === true) return false;
  if (request.operation !== "generate") return true;
  if (!candidate.local) {
    const vendor = vendors[candidate.dialect];
    return candidate.reason === "requested" || vendor === undefined || profileOf(candidate.provider) === vendor;
  }
  // Anthropic's own fields go with flags in the headers, which no server at home gets: half of a pair is refused.
  return candidate.reason === "requested" && candidate.dialect !== "messages";
}

function readable(keyed: Keyed, neutralOf: (keyed: Keyed) => NeutralRequest): NeutralRequest {
  const { request, candidate } = keyed;
  if (request.operation !== "generate")
    throw new AttemptError("skipped_policy", { note: "not offered in this dialect" });
  try {
    return neutralOf(keyed);
  } catch (cause) {
    // The vendor that was asked for may take what we can't translate: the client is not to blame for our fallback.
    if (!(cause instanceof GatewayError) || candidate.reason === "requested") throw cause;
    throw new AttemptError("skipped_policy", { note: cause.publicMessage, cause });
  }
}

function translated(keyed: Keyed, codec: Codec, neutral: NeutralRequest, stream: boolean): string {
  const { candidate, allowance } = keyed;
  const target: Target = {
    profile: profileOf(candidate.provider),
    model: candidate.model,
    ...(candidate.images === undefined ? {} : { images: candidate.images }),
    ...(candidate.tools === undefined ? {} : { tools: candidate.tools }),
    maxOutputTokens: withinWindow(keyed, allowance.clampTo ?? neutral.maxOutputTokens ?? candidate.maxOutput),
    // Only clients of that dialect keep thinking with the name of its origin.
    ...(keyed.request.dialect === "responses" && candidate.dialect === "messages"
      ? { origin: originOf(candidate) }
      : {}),
  };
  const asked = neutral.stream === stream ? neutral : { ...neutral, stream };
  return wellFormedJson(JSON.stringify(codec.fromNeutral(asked, target)));
}

/**
 * What only the vendor can do and what must not fail: another candidate is not asked, and where nobody is left the client
 * gets an ordinary answer. An error would end an agent's whole turn, a model without the tool would make results up.
 */
function refuseVendorsOwn(keyed: Keyed, parts: SendParts, neutral: NeutralRequest): void {
  const warmUp = neutral.maxOutputTokens === 0;
  if (!warmUp && neutral.vendorToolsOnly !== true) return;
  const note = warmUp ? "a warm-up of the vendor's cache" : "it is all about tools that only their vendor runs";
  const client = parts.codecs[keyed.request.dialect];
  const context = answerContext(keyed, neutral, parts.clock);
  const relay = warmUp
    ? plainAnswer(keyed, client, context, "", "length")
    : plainAnswer(keyed, client, context, noVendorTools, "end");
  throw new AttemptError("skipped_policy", { note, relay });
}

const noVendorTools =
  "The tools of this request (such as web search) are not available right now, so it could not be carried out.";

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

function holdOf(keyed: Keyed, context: AnswerContext, { holdsCalls }: SendParts): ToolHold | null {
  return holdsCalls ? new ToolHold(holdOptions(keyed, context.request)) : null;
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
