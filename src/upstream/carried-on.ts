import { AttemptError } from "../errors.ts";
import type { BegunAnswer, GatewayResponse, Keyed } from "../request.ts";
import { holdOptions } from "./hold-options.ts";
import { streamHeaders } from "./headers.ts";
import { continuationRequest } from "../wire/continuation-request.ts";
import { Joint } from "../wire/joint.ts";
import { setTopLevel } from "../wire/json-edit.ts";
import type { JsonObject, NeutralAnswer, NeutralRequest } from "../wire/neutral.ts";
import { ToolHold } from "../wire/tool-hold.ts";
import { bufferedWhole, wholeRest } from "./answer.ts";
import { asksForStream, schemaToCheck } from "./asked.ts";
import { type Call, type SendParts, calling, eventSource, isJson, whole } from "./call.ts";
import { CarryingOnRendering } from "./carrying-on.ts";
import { checkedAnswer } from "./checked-answer.ts";
import { continuationOf } from "./continuation-way.ts";
import { StreamRelay } from "./relay.ts";
import { translated } from "./request-body.ts";

/**
 * The rest of an answer that somebody else began, as it comes; where the server streams nothing, or its answer has to be
 * checked, all at once. Throws AttemptError also for what a client would be told of: it has half an answer already.
 */
export async function carriedOn(
  parts: SendParts,
  keyed: Keyed,
  begun: BegunAnswer,
  original: NeutralRequest,
): Promise<GatewayResponse> {
  const { candidate } = keyed;
  const { clock, redact } = parts;
  const upstream = parts.codecs[candidate.dialect];
  const way = continuationOf(candidate, parts.continuations);
  const neutral = continuationRequest(original, begun.text, way.style);
  const stream = asksForStream(keyed, neutral);
  const bodyOf = (request: NeutralRequest): string =>
    setTopLevel(translated(keyed, upstream, request, stream), begun.text === "" ? {} : jsonTexts(way.extra));
  const call: Call = { keyed, client: upstream, upstream, neutral, body: bodyOf(neutral), stream };
  const joint = begun.text === "" ? null : new Joint(begun.text, way.trims);
  const hold = new ToolHold({ ...holdOptions(keyed, neutral), holdsThinking: false });
  const prefilled = way.style === "prefill";
  const rendering = new CarryingOnRendering({ keyed, begun, upstream, joint, hold, prefilled });
  const schema = schemaToCheck(keyed, neutral);
  const ask = (request: NeutralRequest): Promise<NeutralAnswer | GatewayResponse> =>
    whole(parts, { ...call, neutral: request, body: request === neutral ? call.body : bodyOf(request) });
  let answer: NeutralAnswer | GatewayResponse;
  if (schema !== null) answer = await checkedAnswer({ request: neutral, schema, attempt: keyed.attempt, ask });
  else if (!stream) answer = await ask(neutral);
  else {
    answer = await calling(parts, call, async (response, deadline, sentAt) => {
      if (isJson(response)) {
        const taken = await bufferedWhole({ response, keyed, upstream, deadline, clock, sentAt });
        deadline.close();
        return taken;
      }
      const source = eventSource(response);
      const { keepAliveMs } = parts;
      const relay = new StreamRelay({ keyed, deadline, clock, redact, sentAt, keepAliveMs, source, rendering });
      const held = await relay.firstContent();
      return { status: 200, headers: { ...streamHeaders }, body: relay.body(held), finished: relay.finished };
    });
  }
  if ("parts" in answer) return wholeRest(answer, rendering, keyed, clock);
  if (answer.status >= 300) throw new AttemptError(`upstream_${answer.status}`, { status: answer.status });
  return answer;
}

function jsonTexts(fields: JsonObject): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, JSON.stringify(value)]));
}
