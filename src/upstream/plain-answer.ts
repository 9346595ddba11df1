import type { GatewayResponse, Keyed } from "../request.ts";
import type { AnswerContext, Codec, NeutralAnswer, StopReason } from "../wire/neutral.ts";
import { noUsage } from "../wire/usage.ts";
import { jsonHeaders, streamHeaders } from "./headers.ts";

/**
 * An ordinary answer of the gateway itself, in the client's dialect and streamed as it asked, for requests that no model
 * but the vendor's could serve and that must not fail. It costs nothing. An empty `text` is an empty message.
 */
export function plainAnswer(
  { request }: Keyed,
  client: Codec,
  context: AnswerContext,
  text: string,
  stop: StopReason,
): GatewayResponse {
  const answer: NeutralAnswer = {
    id: undefined,
    model: undefined,
    parts: text === "" ? [] : [{ type: "text", text }],
    stop,
    stopSequence: undefined,
    usage: { ...noUsage },
  };
  const body = request.facts.stream
    ? streamed(answer, client, context)
    : JSON.stringify(client.answerFromNeutral(answer, context));
  const finished = Promise.resolve({ outcome: "ok" as const, bytesOut: Buffer.byteLength(body) });
  return { status: 200, headers: { ...(request.facts.stream ? streamHeaders : jsonHeaders) }, body, finished };
}

function streamed(answer: NeutralAnswer, client: Codec, context: AnswerContext): string {
  const writer = client.createWriter(context);
  let sent = writer.write({ type: "start", id: undefined, model: undefined });
  for (const part of answer.parts) if (part.type === "text") sent += writer.write({ type: "text", text: part.text });
  sent += writer.write({ type: "usage", usage: { ...noUsage } });
  sent += writer.write({ type: "stop", reason: answer.stop, stopSequence: undefined });
  return sent + writer.write({ type: "end" });
}
