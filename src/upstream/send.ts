import { AttemptError, GatewayError } from "../errors.ts";
import type { GatewayResponse, Handler, Keyed } from "../request.ts";
import type { AnswerContext, Dialect, JsonObject, NeutralAnswer, NeutralRequest, ServerKind } from "../wire/neutral.ts";
import { ToolHold } from "../wire/tool-hold.ts";
import { answerContext } from "./answer-context.ts";
import { bufferedAnswer, renderedAnswer } from "./answer.ts";
import { asksForStream, schemaToCheck } from "./asked.ts";
import { type Call, type SendParts, calling, eventSource, isJson, whole } from "./call.ts";
import { carriedOn } from "./carried-on.ts";
import { checkedAnswer } from "./checked-answer.ts";
import { clocked } from "./clocks.ts";
import { holdOptions } from "./hold-options.ts";
import { tellIgnored } from "./ignored-fields.ts";
import { plainAnswer } from "./plain-answer.ts";
import { profileOf } from "./profile.ts";
import { streamHeaders } from "./headers.ts";
import { StreamRelay } from "./relay.ts";
import { passing, translating } from "./renderings.ts";
import { patched, translated } from "./request-body.ts";

/** The innermost handler: one call to one candidate, translated both ways. */
export function send(parts: SendParts): Handler<Keyed> {
  const neutralOf = memoise(parts.codecs);
  return async (keyed) => {
    const { request, candidate } = keyed;
    const client = parts.codecs[request.dialect];
    if (keyed.begun !== undefined) return carriedOn(parts, keyed, keyed.begun, readable(keyed, neutralOf));
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
  const { request } = keyed;
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
          ? passing(keyed, client, clock, () => answerContext(keyed, client.toNeutral(request.body), clock))
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
