// The one form between the dialects. Each dialect has two halves: `toX` and `fromX`; nothing translates pairwise.
// It holds what at least two dialects can say; what only one can say stays in `extensions` and is dropped elsewhere.

export type Dialect = "messages" | "chat" | "responses";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

// ---------------------------------------------------------------------------------------------------- request

export interface NeutralRequest {
  model: string;
  /** Leading instructions in order. Dialects that take one string join them by a blank line. */
  system: Instruction[];
  messages: NeutralMessage[];
  tools: NeutralTool[];
  toolChoice: NeutralToolChoice | undefined;
  /** False where the client forbids more than one call in a turn. */
  parallelTools: boolean | undefined;
  maxOutputTokens: number | undefined;
  stop: string[];
  temperature: number | undefined;
  topP: number | undefined;
  topK: number | undefined;
  stream: boolean;
  reasoning: NeutralReasoning | undefined;
  format: NeutralFormat | undefined;
  /** An opaque end-user label. Never forwarded to another vendor as it is. */
  user: string | undefined;
  /**
   * Sampling switches that only the Chat dialect has, under its own names (`seed`, `logit_bias`, `presence_penalty`, …):
   * servers of that dialect get those which their profile takes.
   */
  chatSampling?: JsonObject;
  /** All tools that were offered are ones that only their vendor runs: whoever else answers can't do what is asked. */
  vendorToolsOnly?: boolean;
  /** Fields of the client that no translation carries, by their names: the answer's headers tell it. */
  ignored?: readonly string[];
  /** The client offered its tools in the older way of the Chat dialect, so it knows `function_call` alone. */
  legacyCalls?: boolean;
  /** The client asked for reasoning in OpenRouter's way, so it reads it under OpenRouter's names. */
  reasoningDetails?: boolean;
}

export interface Instruction {
  text: string;
  /** A cache mark as Anthropic writes it; goes on to Anthropic alone. */
  cacheControl?: JsonObject;
}

export interface NeutralReasoning {
  /** `off` | `minimal` | `low` | `medium` | `high` | `xhigh` | `max`; undefined: the server's default. */
  effort: string | undefined;
  budgetTokens: number | undefined;
}

export type NeutralFormat =
  | { type: "json_object" }
  | { type: "json_schema"; name: string | undefined; schema: JsonObject; strict: boolean | undefined };

export interface NeutralTool {
  name: string;
  description: string | undefined;
  /** JSON Schema of the input; always an object schema. */
  schema: JsonObject;
  strict: boolean | undefined;
  /** `custom`: a tool of the Responses or Chat dialect whose input is free text, offered elsewhere as `{ input: string }`. */
  form: "function" | "custom";
  /** The client's own namespace of the tool (Responses), restored on the way back. */
  namespace: string | undefined;
  /** The client's own name, where `name` had to change to fit every dialect; answers carry it again. */
  clientName?: string;
  /** As on an `Instruction`. */
  cacheControl?: JsonObject;
}

export type NeutralToolChoice =
  { type: "auto" } | { type: "none" } | { type: "required" } | { type: "tool"; name: string };

export type NeutralMessage =
  | { role: "user"; parts: NeutralPart[] }
  /** Instructions in the middle of a conversation; most servers need them as user text. */
  | { role: "system"; parts: NeutralPart[] }
  | { role: "assistant"; parts: NeutralPart[] }
  | { role: "tool"; callId: string; parts: NeutralPart[]; isError: boolean; cacheControl?: JsonObject };

export type NeutralPart =
  | { type: "text"; text: string; cacheControl?: JsonObject }
  | { type: "image"; source: NeutralSource; detail: string | undefined; cacheControl?: JsonObject }
  | { type: "document"; source: NeutralSource; name: string | undefined; cacheControl?: JsonObject }
  | {
      type: "tool_call";
      id: string;
      name: string;
      input: JsonObject;
      /** The arguments as they came. */ raw: string;
      form: "function" | "custom";
      namespace: string | undefined;
    }
  | ({ type: "thinking"; text: string; signature: string | undefined } & ThinkingSource)
  | ({ type: "redacted_thinking"; data: string } & ThinkingSource)
  | { type: "refusal"; text: string };

/** Where thinking in a history comes from, as far as it is known. */
interface ThinkingSource {
  /** The account and model that signed it (`Target.origin`): no other can check it. Undefined: nobody knows. */
  origin?: string;
  /** It was signed once, but what the client sent back can't be read. */
  lost?: boolean;
}

export type NeutralSource =
  { kind: "base64"; mediaType: string; data: string } | { kind: "url"; url: string } | { kind: "file"; id: string };

// ----------------------------------------------------------------------------------------------------- answer

/** Why the model stopped. */
export type StopReason = "end" | "length" | "tool_calls" | "stop_sequence" | "filtered" | "pause";

/** Token counts of one attempt, disjoint: the prompt is `input + cacheRead + cacheWrite5m + cacheWrite1h`. */
export interface Usage {
  input: number;
  cacheRead: number;
  cacheWrite5m: number;
  cacheWrite1h: number;
  /** Includes `reasoning`. */
  output: number;
  reasoning: number;
  /** Server-tool calls by name, e.g. `web_search`. */
  serverTools: { readonly [tool: string]: number } | undefined;
  /** The provider's own figure in USD (OpenRouter's `usage.cost`). */
  reportedUsd: number | undefined;
  /** The tier that the answer names (`priority`, `flex`, `batch`, `standard`, …). */
  tier: string | undefined;
  /** Of the counts above, what was sound or picture, where the dialect tells it apart. */
  media?: MediaTokens;
  /** Anthropic's `speed` of the answer, where it is told apart from the tier. */
  speed?: string;
  /** Anthropic's `inference_geo` of the answer. */
  geo?: string;
  /** Work of other models inside this answer (a server-side fallback), billed at their own prices; not in the counts above. */
  others?: readonly { readonly model: string; readonly usage: Usage }[];
  /** How long cache writes live was not told: they count as five-minute ones, which may be too little. */
  lifetimeUnknown?: boolean;
  /** What became of a credit that the request brought for an earlier refusal: Anthropic's `fallback_credit` outcome. */
  credit?: string;
}

/** Each is part of `input` or `output`. */
export interface MediaTokens {
  readonly audioInput: number;
  readonly audioOutput: number;
  readonly imageInput: number;
  readonly imageOutput: number;
}

export interface NeutralAnswer {
  id: string | undefined;
  /** The model as the upstream names it. */
  model: string | undefined;
  /** text, tool_call, thinking, redacted_thinking and refusal parts in order. */
  parts: NeutralPart[];
  stop: StopReason;
  stopSequence: string | undefined;
  usage: Usage | undefined;
}

/** A failure as an upstream tells it, in a body or inside a stream. */
export interface UpstreamFault {
  /** HTTP status that fits the failure, also where it came inside a 200. */
  status: number;
  /** The dialect's own type or code, e.g. `overloaded_error`, `insufficient_quota`. */
  code: string | undefined;
  message: string;
}

/** One step of a streamed answer. Tool `index` counts tool calls from 0. */
export type NeutralEvent =
  | { type: "start"; id: string | undefined; model: string | undefined }
  | { type: "text"; text: string }
  | { type: "refusal"; text: string }
  | { type: "thinking"; text: string }
  | { type: "thinking_signature"; signature: string }
  | { type: "redacted_thinking"; data: string }
  | { type: "tool_start"; index: number; id: string; name: string; form: "function" | "custom" }
  | { type: "tool_delta"; index: number; json: string }
  | { type: "tool_end"; index: number }
  /** The upstream closed a content block or item that is not a tool call; the next text starts a new one. */
  | { type: "block_end" }
  /** Cumulative: what is present replaces what was known; zeros never replace a count. */
  | { type: "usage"; usage: Partial<Usage> }
  | { type: "stop"; reason: StopReason; stopSequence: string | undefined }
  /** The dialect's terminal event: without it a closed stream is a cut stream. */
  | { type: "end" }
  | { type: "error"; fault: UpstreamFault }
  /** Keep-alives and whatever is not content. */
  | { type: "other" };

// ------------------------------------------------------------------------------------------------------ codecs

/** What the pipeline must know of a request before anything is translated. */
export interface WireFacts {
  model: string;
  stream: boolean;
  /** `max_tokens` & co. as asked for; undefined where absent. */
  maxOutputTokens: number | undefined;
  /** How many answers are asked for (`n`). */
  choices: number;
  hasTools: boolean;
  hasImages: boolean;
  /** Documents whose length nobody knows before they are read; undefined: none. */
  documents?: number;
  /** Thinking is asked for, so that output may be billed which is not seen. */
  hasThinking: boolean;
  hasJsonFormat: boolean;
  /** Chat: `stream_options.include_usage` was asked for by the client. */
  wantsUsageEvent: boolean;
  /** The body is written in the manner of another dialect, so that no server of this one would take it as it is. */
  foreign?: boolean;
  /** Upper bound of prompt tokens: bytes of the body without media, plus a ceiling per media item. */
  inputTokenBound: number;
  /** Server tools that are paid by the call, by name, with the most calls that the request allows. */
  serverTools?: { readonly [tool: string]: number };
  /** Models that the vendor itself may ask after the first one, each with the whole prompt; "" is one of its own choice. */
  alternates?: readonly string[];
  /**
   * The request holds something whose cost has no bound, so that only a model that costs nothing may serve it. What to
   * tell the client otherwise: it names the field and the remedy.
   */
  unbounded?: string;
}

/** Kinds of servers whose habits are known: `profiles/server-profiles.ts` says what each takes. */
export type ServerKind =
  "anthropic" | "openai" | "openrouter" | "ollama" | "llamacpp" | "lmstudio" | "vllm" | "mlx" | "generic";

/** What the target server of a translated request takes. Quirks are data in `profiles/`, not branches in the codecs. */
export interface Target {
  profile: ServerKind;
  /** The upstream's own model name. */
  model: string;
  /** False: the model is known to be blind; undefined: nobody knows. */
  images?: boolean;
  /** False: the model is known to have no tool calls; undefined: nobody knows. */
  tools?: boolean;
  /** Output limit to write into the request; undefined: leave it out where the dialect allows. */
  maxOutputTokens: number | undefined;
  /** Names account and model without telling them, as `AnswerContext.origin` did when its thinking was given out. */
  origin?: string;
}

/** One per upstream stream. Keeps state between events; memory is bounded by one event. */
export interface StreamReader {
  /** Never throws on upstream nonsense: malformed JSON becomes an `error` event with status 502. */
  read(event: SseEvent): NeutralEvent[];
}

/** One per client stream: owns ids, indexes and sequence numbers. */
export interface StreamWriter {
  /** SSE text for the client, possibly empty. */
  write(event: NeutralEvent): string;
  /** Keep-alive in the dialect's own form, sendable at any time after the first `write`. */
  ping(): string;
  /** A failure after commit: the dialect's error event. Nothing may follow. */
  fail(fault: UpstreamFault): string;
}

/**
 * Follows an answer that goes to the client as its upstream wrote it, so that another upstream can go on with it. It is
 * told what the client was shown, and nothing else.
 */
export interface StreamFollower {
  /** `events`: what the reader made of the event. */
  see(event: SseEvent, events: readonly NeutralEvent[]): void;
  /**
   * A writer that stands where the client is: its ids, its numbers, its open block. Null where something is open that
   * nobody else can go on with. `sequence`: the number of the next event, in the dialect that numbers them.
   */
  resume(context: AnswerContext, sequence: number): StreamWriter | null;
}

export interface AnswerContext {
  /** The name the client asked for: answers always carry it. */
  model: string;
  /** Fresh id, unique per response, without the dialect's prefix. */
  id: string;
  /** Seconds since the epoch. */
  createdAt: number;
  /** Chat: the client asked for the usage event. */
  includeUsage: boolean;
  /** The translated request: tells custom tools and namespaces apart on the way back. */
  request: NeutralRequest;
  /** Who answers, for thinking that only its maker can check when it comes back. */
  origin?: string;
}

/** The Chat dialect has renamed its output limit. */
export type LimitName = "max_tokens" | "max_completion_tokens";

/** What changes in a request that is passed through; what is absent stays as the client wrote it. */
export interface RequestPatch {
  readonly model?: string;
  readonly maxOutputTokens?: number;
  /** Chat: what the server calls a limit that the client did not set. */
  readonly limitName?: LimitName;
  /** Chat: usage is asked for in a stream. */
  readonly includeUsage?: boolean;
}

/** Everything that is special about one dialect. Pure functions: no I/O, no clock, no randomness. */
export interface Codec {
  readonly dialect: Dialect;
  /** Throws a GatewayError REQUEST_INVALID that names the field and says what to do. */
  facts(body: JsonObject, bodyBytes: number): WireFacts;
  /** Client request → neutral. Throws like `facts`. */
  toNeutral(body: JsonObject): NeutralRequest;
  /** Neutral → upstream request. Throws an AttemptError `skipped_policy` where the target can't take it. */
  fromNeutral(request: NeutralRequest, target: Target): JsonObject;
  /** Upstream JSON answer → neutral; `{ fault }` where it is an error in disguise or not an answer at all. */
  answerToNeutral(body: Json): NeutralAnswer | { fault: UpstreamFault };
  answerFromNeutral(answer: NeutralAnswer, context: AnswerContext): JsonObject;
  /** Usage and reported model of an answer that is passed through, without building the whole neutral answer. */
  usageOf(body: JsonObject): { usage: Usage | undefined; model: string | undefined };
  createReader(): StreamReader;
  createWriter(context: AnswerContext): StreamWriter;
  createFollower(): StreamFollower;
  /** Same dialect on both sides: the client's bytes go on; only these fields change. Returns the text to send. */
  patchRequest(text: string, body: JsonObject, patch: RequestPatch): string;
  /** Same dialect: an SSE event for the client with `model` replaced; null hides the event (usage not asked for). */
  patchEvent(event: SseEvent, context: { model: string; includeUsage: boolean }): string | null;
  /** Same dialect: a JSON answer's text with its `model` replaced. */
  patchAnswer(text: string, model: string): string;
  /** An upstream error body in this dialect (or any server's habit) → fault. */
  parseError(status: number, text: string): UpstreamFault;
}

/** One server-sent event. */
export interface SseEvent {
  /** The `event:` field; undefined where there was none. */
  event: string | undefined;
  /** `data:` lines joined by newlines. */
  data: string;
  /** The text as it came, with its line ends and the closing blank line: re-sending it is byte-identical. */
  raw: string;
}
