import { AttemptError } from "../errors.ts";
import type { GatewayResponse, Keyed } from "../request.ts";
import type { Clock } from "../clock.ts";
import type { AnswerContext, Codec, Json, JsonObject, NeutralAnswer, NeutralEvent } from "../wire/neutral.ts";
import { answerContext } from "./answer-context.ts";
import type { Deadline } from "./deadline.ts";
import { failureOf } from "./dispatch.ts";
import { jsonHeaders, streamHeaders } from "./headers.ts";
import { recordUsage } from "./meter.ts";

interface Buffered {
  readonly response: Response;
  readonly keyed: Keyed;
  readonly client: Codec;
  readonly upstream: Codec;
  /** Null: the same dialect on both sides. */
  readonly context: AnswerContext | null;
  readonly deadline: Deadline;
  readonly clock: Clock;
}

const maxAnswerBytes = 64 * 1024 * 1024;

/** An answer that comes as one JSON body: read whole, checked, and then either passed on or translated. */
export async function bufferedAnswer(parts: Buffered): Promise<GatewayResponse> {
  const { response, keyed, client, upstream, context, deadline, clock } = parts;
  const { request, attempt, candidate } = keyed;
  const elapsedMs = clock.monotonic() - attempt.startedAt;
  deadline.arm("timeout_first_content", Math.max(1, candidate.provider.timeouts.firstContentMs - elapsedMs));
  const text = await readWhole(response, deadline);
  const json = parseObject(text);
  attempt.ttftMs = clock.monotonic() - attempt.startedAt;

  if (request.operation !== "generate") {
    // Tokens that were only counted are not used.
    if (request.operation === "embeddings") noteUsage(keyed, upstream, json, text);
    return answered(keyed, clock, upstream.patchAnswer(text, request.facts.model), jsonHeaders);
  }
  const wanted = request.facts.stream ? "stream" : "json";
  if (context === null && wanted === "json" && isAnswer(upstream, json)) {
    noteUsage(keyed, upstream, json, text);
    return answered(keyed, clock, client.patchAnswer(text, request.facts.model), jsonHeaders);
  }
  const answer = upstream.answerToNeutral(json);
  if ("fault" in answer) {
    throw new AttemptError("error_event", { status: answer.fault.status, note: "an error inside a 200" });
  }
  attempt.reportedModel = answer.model ?? null;
  recordUsage(
    attempt,
    answer.usage ?? null,
    answer.usage !== undefined,
    outputBytes(answer),
    request.facts.inputTokenBound,
  );
  if (answer.parts.length === 0 && answer.stop === "end") {
    throw new AttemptError("error_event", { status: 200, billed: "unknown", note: "an empty answer" });
  }
  const full = context ?? answerContext(keyed, client.toNeutral(request.body), clock);
  if (wanted === "json")
    return answered(keyed, clock, JSON.stringify(client.answerFromNeutral(answer, full)), jsonHeaders);
  const writer = client.createWriter(full);
  return answered(
    keyed,
    clock,
    eventsOf(answer)
      .map((event) => writer.write(event))
      .join(""),
    streamHeaders,
  );
}

function outputBytes(answer: NeutralAnswer): number {
  let bytes = 0;
  for (const part of answer.parts) {
    if (part.type === "text" || part.type === "thinking" || part.type === "refusal")
      bytes += Buffer.byteLength(part.text);
    else if (part.type === "tool_call") bytes += part.name.length + Buffer.byteLength(part.raw);
  }
  return bytes;
}

function answered(
  keyed: Keyed,
  clock: Clock,
  body: string,
  headers: Readonly<Record<string, string>>,
): GatewayResponse {
  const { attempt } = keyed;
  attempt.outcome = "ok";
  attempt.status = 200;
  attempt.ms = clock.monotonic() - attempt.startedAt;
  const finished = Promise.resolve({ outcome: "ok" as const, bytesOut: Buffer.byteLength(body) });
  return { status: 200, headers: { ...headers }, body, finished };
}

function noteUsage(keyed: Keyed, codec: Codec, json: JsonObject, text: string): void {
  const { usage, model } = codec.usageOf(json);
  keyed.attempt.reportedModel = model ?? null;
  // The whole body bounds the output from above; only a count that cannot be true is replaced by ours.
  const bytes = keyed.request.operation === "generate" ? visibleBytes(text, usage !== undefined) : 0;
  recordUsage(keyed.attempt, usage ?? null, usage !== undefined, bytes, keyed.request.facts.inputTokenBound);
}

/** With a usage in it, an envelope of about this many bytes is not output: too small a count must not look like a lie. */
const envelopeBytes = 2_048;

function visibleBytes(text: string, hasUsage: boolean): number {
  const bytes = Buffer.byteLength(text);
  return hasUsage ? Math.max(0, bytes - envelopeBytes) : bytes;
}

/** The cheap check of an answer that is passed through: its content is there, and no error is. */
function isAnswer(codec: Codec, json: JsonObject): boolean {
  if (json["error"] !== undefined && json["error"] !== null) return false;
  switch (codec.dialect) {
    case "messages":
      return Array.isArray(json["content"]) && (json["content"].length > 0 || json["stop_reason"] !== "end_turn");
    case "chat":
      return Array.isArray(json["choices"]) && json["choices"].length > 0;
    case "responses":
      return Array.isArray(json["output"]) && json["status"] !== "failed";
    default:
      return codec.dialect satisfies never;
  }
}

async function readWhole(response: Response, deadline: Deadline): Promise<string> {
  const announced = Number(response.headers.get("content-length") ?? "NaN");
  if (announced > maxAnswerBytes) {
    throw new AttemptError("cut_stream", { billed: "unknown", note: "the answer is too large" });
  }
  try {
    if (!Number.isNaN(announced)) return await response.text();
    return await readChunked(response);
  } catch (error) {
    if (error instanceof AttemptError) throw error;
    const failure = failureOf(error, deadline);
    throw new AttemptError(failure.outcome, { billed: "unknown", status: response.status, cause: error });
  }
}

async function readChunked(response: Response): Promise<string> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > maxAnswerBytes) {
      throw new AttemptError("cut_stream", { billed: "unknown", note: "the answer is too large" });
    }
  }
  return text + decoder.decode();
}

function parseObject(text: string): JsonObject {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (cause) {
    throw new AttemptError("cut_stream", { billed: "unknown", note: "the answer is not JSON", cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new AttemptError("error_event", { billed: "unknown", note: "the answer is not a JSON object" });
  }
  return value;
}

/** Some servers answer a streaming request by one JSON body: it is streamed from here. */
function eventsOf(answer: NeutralAnswer): NeutralEvent[] {
  const events: NeutralEvent[] = [{ type: "start", id: answer.id, model: answer.model }];
  let tool = 0;
  for (const part of answer.parts) {
    switch (part.type) {
      case "text":
      case "refusal":
        events.push({ type: part.type, text: part.text }, { type: "block_end" });
        break;
      case "thinking":
        events.push({ type: "thinking", text: part.text });
        if (part.signature !== undefined) events.push({ type: "thinking_signature", signature: part.signature });
        events.push({ type: "block_end" });
        break;
      case "redacted_thinking":
        events.push({ type: "redacted_thinking", data: part.data });
        break;
      case "tool_call":
        events.push(
          { type: "tool_start", index: tool, id: part.id, name: part.name, form: part.form },
          { type: "tool_delta", index: tool, json: part.raw },
          { type: "tool_end", index: tool++ },
        );
        break;
      case "image":
      case "document":
        break;
    }
  }
  if (answer.usage !== undefined) events.push({ type: "usage", usage: answer.usage });
  events.push({ type: "stop", reason: answer.stop, stopSequence: answer.stopSequence }, { type: "end" });
  return events;
}
