import { AttemptError } from "../errors.ts";
import type { GatewayResponse, Keyed } from "../request.ts";
import type { Clock } from "../clock.ts";
import type { AnswerContext, Codec, Json, JsonObject, NeutralAnswer, NeutralEvent } from "../wire/neutral.ts";
import { answerCutAtStops } from "../wire/stop-cutter.ts";
import { holdAnswer, saysNothing } from "../wire/tool-hold.ts";
import { visibleCharacters } from "../wire/visible-output.ts";
import { answerContext } from "./answer-context.ts";
import type { Deadline } from "./deadline.ts";
import { failureOf } from "./dispatch.ts";
import { embeddingsAnswer } from "./embeddings.ts";
import { holdOptions } from "./hold-options.ts";
import { jsonHeaders, streamHeaders } from "./headers.ts";
import { recordGeneration, recordUsage } from "./meter.ts";
import { isContent } from "../wire/is-content.ts";
import type { Rendering } from "./rendering.ts";

interface Buffered {
  readonly response: Response;
  readonly keyed: Keyed;
  readonly client: Codec;
  readonly upstream: Codec;
  /** Null: the same dialect on both sides. */
  readonly context: AnswerContext | null;
  readonly deadline: Deadline;
  readonly clock: Clock;
  /** When the request went out, monotonic: waiting for its turn is no silence of the upstream. */
  readonly sentAt: number;
}

const maxAnswerBytes = 64 * 1024 * 1024;

/** An answer that comes as one JSON body: read whole, checked, and then either passed on or translated. */
export async function bufferedAnswer(parts: Buffered): Promise<GatewayResponse> {
  const { keyed, client, upstream, context, clock } = parts;
  const { request } = keyed;
  const { text, json } = await readBody(parts);

  if (request.operation !== "generate") {
    // Tokens that were only counted are not used.
    const embeddings = request.operation === "embeddings";
    if (embeddings) noteUsage(keyed, upstream, json, text);
    const told = embeddings ? embeddingsAnswer(text, json, keyed) : text;
    return answered(keyed, clock, upstream.patchAnswer(told, request.facts.model), jsonHeaders);
  }
  const wanted = request.facts.stream ? "stream" : "json";
  if (context === null && wanted === "json" && isAnswer(upstream, json)) {
    if (keyed.candidate.local && isSilent(upstream, json)) throw nothingSaid();
    noteUsage(keyed, upstream, json, text);
    return answered(keyed, clock, client.patchAnswer(text, request.facts.model), jsonHeaders);
  }
  const answer = takenAnswer(parts, json);
  const full = context ?? answerContext(keyed, client.toNeutral(request.body), clock);
  return renderedAnswer({ answer, keyed, client, context: full, clock });
}

/** An answer that comes as one JSON body, to be looked at before the client gets any of it. */
export async function bufferedWhole(parts: Omit<Buffered, "client" | "context">): Promise<NeutralAnswer> {
  return takenAnswer(parts, (await readBody(parts)).json);
}

type Reading = Pick<Buffered, "response" | "keyed" | "upstream" | "deadline" | "clock" | "sentAt">;

async function readBody({
  response,
  keyed,
  deadline,
  clock,
  sentAt,
}: Reading): Promise<{ text: string; json: JsonObject }> {
  const { attempt, candidate } = keyed;
  const elapsedMs = clock.monotonic() - sentAt;
  deadline.arm("timeout_first_content", Math.max(1, candidate.provider.timeouts.firstContentMs - elapsedMs));
  const text = await readWhole(response, deadline);
  const json = parseObject(text);
  attempt.ttftMs = clock.monotonic() - attempt.startedAt;
  return { text, json };
}

/** Throws where it is an error in disguise, or empty; else notes its usage. */
function takenAnswer({ keyed, upstream }: Pick<Buffered, "keyed" | "upstream">, json: JsonObject): NeutralAnswer {
  const { attempt, request } = keyed;
  const answer = upstream.answerToNeutral(json);
  if ("fault" in answer) {
    throw new AttemptError("error_event", {
      status: answer.fault.status,
      note: "an error inside a 200",
      fault: answer.fault,
    });
  }
  attempt.reportedModel = answer.model ?? null;
  recordGeneration(attempt, answer.id);
  recordUsage(
    attempt,
    answer.usage ?? null,
    answer.usage !== undefined,
    outputBytes(answer),
    request.facts.inputTokenBound,
  );
  return answer;
}

interface Rendered {
  readonly answer: NeutralAnswer;
  readonly keyed: Keyed;
  readonly client: Codec;
  readonly context: AnswerContext;
  readonly clock: Clock;
}

/** A whole answer as the client asked for it: as JSON, or as the stream that it would have been. */
export function renderedAnswer({ answer, keyed, client, context, clock }: Rendered): GatewayResponse {
  const held = holdAnswer(answer, holdOptions(keyed, context.request));
  if (saysNothing(held) && (keyed.candidate.local || held.parts.length === 0)) throw nothingSaid();
  const told = answerCutAtStops(held, context.request.stop);
  if (!keyed.request.facts.stream)
    return answered(keyed, clock, JSON.stringify(client.answerFromNeutral(told, context)), jsonHeaders);
  const writer = client.createWriter(context);
  return answered(
    keyed,
    clock,
    eventsOf(told)
      .map((event) => writer.write(event))
      .join(""),
    streamHeaders,
  );
}

/** The rest of an answer that somebody else began, which came in one piece. */
export function wholeRest(
  answer: NeutralAnswer,
  rendering: Pick<Rendering, "release" | "render" | "terminal" | "isAnswered">,
  keyed: Keyed,
  clock: Clock,
): GatewayResponse {
  const events = eventsOf(answer);
  const shown = rendering.release?.(events) ?? events;
  if (!shown.some(isContent) && rendering.isAnswered?.() !== true) throw nothingSaid();
  return answered(keyed, clock, rendering.render(unread, shown), streamHeaders);
}

/** A rendering of neutral events has no use for the upstream's own. */
const unread = { event: undefined, data: "", raw: "" };

/** Agents ask again for an answer without a word: another model is asked in their place. */
function nothingSaid(): AttemptError {
  return new AttemptError("error_event", { status: 200, billed: "unknown", note: "an empty answer" });
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
  recordGeneration(keyed.attempt, typeof json["id"] === "string" ? json["id"] : undefined);
  const bytes = keyed.request.operation === "generate" ? seenBytes(codec, json, text, usage !== undefined) : 0;
  recordUsage(keyed.attempt, usage ?? null, usage !== undefined, bytes, keyed.request.facts.inputTokenBound);
}

/**
 * What a count is held against: the text that is there. Without a count all of the body is counted, which is more than
 * the output.
 */
function seenBytes(codec: Codec, json: JsonObject, text: string, hasUsage: boolean): number {
  return hasUsage ? visibleCharacters(codec.dialect, json) : Buffer.byteLength(text);
}

/** The cheap check of an answer that is passed through: its content is there, and no error is. */
function isAnswer(codec: Codec, json: JsonObject): boolean {
  if (json["error"] !== undefined && json["error"] !== null) return false;
  switch (codec.dialect) {
    case "messages":
      return Array.isArray(json["content"]) && (json["content"].length > 0 || json["stop_reason"] !== "end_turn");
    case "chat":
      return Array.isArray(json["choices"]) && isChoice(json["choices"][0]);
    case "responses":
      return Array.isArray(json["output"]) && json["status"] !== "failed";
    default:
      return codec.dialect satisfies never;
  }
}

/** OpenRouter tells failures inside the choice, too. */
function isChoice(choice: Json | undefined): boolean {
  if (typeof choice !== "object" || choice === null || Array.isArray(choice)) return false;
  const { message, error } = choice;
  return typeof message === "object" && message !== null && (error === undefined || error === null);
}

/** A local model's answer without a word, in its own dialect. */
function isSilent(codec: Codec, json: JsonObject): boolean {
  const answer = codec.answerToNeutral(json);
  return !("fault" in answer) && saysNothing(answer);
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
