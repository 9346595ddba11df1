// What a request wears on its way: each layer adds one fact, and the next one's input type demands it, so that a
// forgotten or swapped layer does not compile.

import type { LentKey } from "./lent-key.ts";
import type { Nanos } from "./money.ts";
import type { Scrubber } from "./scrubber.ts";
import type { Secret } from "./secret.ts";
import type { Dialect, JsonObject, ServerKind, StreamWriter, Usage, WireFacts } from "./wire/neutral.ts";

export type Handler<In> = (request: In) => Promise<GatewayResponse>;
/** Outermost first in `pipeline.ts`. Composed once per configuration, never per request. */
export type Layer<In, Out> = (next: Handler<Out>) => Handler<In>;

export type Operation = "generate" | "count_tokens" | "embeddings";

/** From the door: a request on a known route, with nothing believed yet. */
export interface Arrived {
  readonly id: string;
  readonly operation: Operation;
  readonly dialect: Dialect;
  /** The route without prefix or query, e.g. `/v1/messages`. Never used to build an upstream URL. */
  readonly path: string;
  /** The agent named by `/agent/{name}`. */
  readonly claimedAgent: string | undefined;
  readonly headers: Headers;
  readonly peer: string;
  /** The request came to a loopback or Unix-socket listener from a loopback peer. */
  readonly fromLoopback: boolean;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  /** Reads the body, once, and unpacks it; throws DOOR_BODY_TOO_LARGE, DOOR_CONTENT_ENCODING, CLIENT_GONE. */
  readonly readBody: () => Promise<Uint8Array>;
}

/** `audit` adds the record that is closed whatever happens. */
export interface Recorded extends Arrived {
  readonly record: AuditRecord;
}

/** `identify` adds who calls. */
export interface Identified extends Recorded {
  readonly agent: Agent;
  /** The client's own credential towards the vendor, for `key: passthrough`; null where there is none. */
  readonly passthrough: Secret | null;
}

/** `understand` adds what is asked for. */
export interface Understood extends Identified {
  readonly facts: WireFacts;
  /** Strictly guarded body. `text` is the client's own bytes, decoded. */
  readonly body: JsonObject;
  readonly text: string;
  readonly intent: string | null;
}

/** `replay` adds that it is no repeat of a request that was answered already, or is being answered. */
export interface Unrepeated extends Understood {
  /** Under which the answer is kept for repeats; null: it is not. */
  readonly repeatKey: string | null;
}

/** `plan` adds who may serve it, best first, never empty. */
export interface Planned extends Understood {
  readonly candidates: readonly Candidate[];
  /** The route's name; `default` where no rule matched. */
  readonly route: string;
}

/** `keepOpen` adds the line to the client, who hears of us while candidates are tried. */
export interface Kept extends Planned {
  /** Aborts when the client goes away, also after its answer was opened. */
  readonly line: AbortSignal;
}

/** `tryEach` picks one: from here on the request is one attempt. */
export interface Chosen {
  readonly request: Planned;
  readonly candidate: Candidate;
  readonly attempt: AttemptRecord;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  /** Who may be asked to go on where the answer breaks off after the client has seen some of it; undefined: nobody. */
  readonly handOver?: HandOver | undefined;
  /** This attempt goes on with what another one began. */
  readonly begun?: BegunAnswer | undefined;
}

/** Of one answer, which may be handed over once. */
export interface HandOver {
  /**
   * Asks the other local candidates, one after the other; null: none of them goes on. The answer's body is what follows
   * behind what was shown. Rejects with a GatewayError where the client leaves or nobody foresaw what happened.
   */
  carryOn(begun: BegunAnswer): Promise<GatewayResponse | null>;
  /** So many bytes went to the client after the attempt's own books were closed. */
  wrote(bytes: number): void;
}

/** What the client has of an answer that broke off. */
export interface BegunAnswer {
  /** Every character of text that was shown. */
  readonly text: string;
  /** The text stands in a block that is still open. */
  readonly open: boolean;
  /** Stands where the client is. */
  readonly writer: StreamWriter;
  /** Of the attempt that broke off: the prompt, and the output so far. */
  readonly usage: Usage;
}

/** `pace` adds the provider's permission. */
export interface Paced extends Chosen {
  readonly permit: Permit;
}

/** `fund` adds the money. */
export interface Funded extends Paced {
  readonly allowance: Allowance;
}

/** `unlock` lends the key: null where the provider needs none. */
export interface Keyed extends Funded {
  readonly key: LentKey | null;
  /** Takes every key that this request's providers may know out of what a stream shows; null: none, or the client's own. */
  readonly scrubber: Scrubber | null;
}

export interface Permit {
  /** What the provider said about its quotas in the answer's headers. */
  learn(headers: Headers, status: number): void;
}

/** How much output is paid for. */
export interface Allowance {
  /** Output tokens that the hold covers now. */
  readonly outputTokens: number;
  /** To be written into the upstream request where it is less than what was asked for; undefined: leave the request as it is. */
  readonly clampTo: number | undefined;
  /**
   * A stream has produced this many output tokens at most (bytes seen): draws more where needed. False: the cap is
   * used up, so the attempt must be cut now.
   */
  draw(outputTokensSeen: number): boolean;
  /**
   * The upstream has told what the prompt was and how it is billed, before its answer: what was put aside beyond that is
   * free for others at once, and what a dearer tier needs is drawn.
   */
  learnPrompt(usage: Usage): void;
}

/** One provider+model that may serve a request. */
export interface Candidate {
  /** As shown in audit and stats: the alias, or `provider/model`. */
  readonly name: string;
  readonly provider: Provider;
  /** The upstream's own name. */
  readonly model: string;
  /** In which dialect the provider is asked. */
  readonly dialect: Dialect;
  readonly local: boolean;
  /** Null: free (local). */
  readonly price: Price | null;
  /** Context window in tokens; undefined: unknown. */
  readonly context: number | undefined;
  /** `context` is what such a server has where nobody sets more; it tells its own once it has loaded the model. */
  readonly contextAssumed?: true;
  /** The model's own output limit; undefined: unknown. */
  readonly maxOutput: number | undefined;
  /** Bills output that is not shown (reasoning), so that counting the stream is no bound. */
  readonly hiddenReasoning: boolean;
  /** False: the server says that the model is blind; undefined: nobody knows. */
  readonly images?: boolean | undefined;
  /** False: the server says that the model can't call tools; undefined: nobody knows. */
  readonly tools?: boolean | undefined;
  /** Why it is in the plan, for `explain`. */
  readonly reason: string;
}

/** Pico-dollars per token, integers. */
export interface Price {
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite5m: number;
  readonly cacheWrite1h: number;
  /** Above `threshold` prompt tokens these hold for the whole request. */
  readonly long: {
    readonly threshold: number;
    readonly input: number;
    readonly output: number;
    readonly cacheRead: number;
    readonly cacheWrite5m: number;
    readonly cacheWrite1h: number;
  } | null;
  /** Rates of sound and pictures where the list has them; what it has not costs as text does. */
  readonly media?: {
    readonly audioInput?: number;
    readonly audioOutput?: number;
    readonly imageInput?: number;
    readonly imageOutput?: number;
  };
  /** `ceiling`: an unknown model at the dearest known price of its provider. */
  readonly source: "catalogue" | "config" | "ceiling";
}

/** An upstream account, built from the configuration. Immutable. */
export interface Provider {
  readonly name: string;
  /** The base without trailing slash, e.g. `https://api.anthropic.com`. */
  readonly url: string;
  readonly dialects: readonly Dialect[];
  readonly local: boolean;
  /** What the server told of itself when it was found; undefined: its name and address tell what kind it is. */
  readonly kind?: ServerKind | undefined;
  readonly key: KeyReference;
  /** Extra headers from the configuration, lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly caFile: string | undefined;
  readonly timeouts: Timeouts;
  readonly limits: ProviderLimits;
  readonly retry: { readonly attempts: number; readonly baseMs: number; readonly maxMs: number };
}

export type KeyReference =
  | { readonly from: "keychain" | "vault" | "none" | "passthrough" }
  | { readonly from: "command"; readonly argv: readonly string[] };

export interface Timeouts {
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly firstContentMs: number;
  readonly idleMs: number;
  /** What a local server gets beside the others while it loads a model; absent: nothing, since none is loaded. */
  readonly loadingMs?: number;
  /** Of a whole attempt, from the request sent to the end of its answer. */
  readonly totalMs: number;
  /** Which of them nobody has set: these make room for what is known to take longer (`upstream/clocks.ts`). Absent: none. */
  readonly elastic?: { readonly firstByte: boolean; readonly firstContent: boolean; readonly idle: boolean };
}

export interface ProviderLimits {
  readonly requestsPerMinute: number | undefined;
  readonly inputTokensPerMinute: number | undefined;
  readonly outputTokensPerMinute: number | undefined;
  readonly concurrent: number | undefined;
  /** How long a request waits for its turn before the next candidate has one; undefined: as `pace` thinks fit. */
  readonly maxWaitMs?: number | undefined;
}

export interface Agent {
  readonly name: string;
  readonly auth: "token" | "anonymous";
  readonly caps: Caps;
  readonly requestsPerMinute: number | undefined;
  readonly maxConcurrent: number | undefined;
  /** Globs of names that the agent may ask for; undefined: all. */
  readonly models: readonly string[] | undefined;
  readonly overBudget: "local" | "refuse";
}

/** Nano-dollars; undefined: no cap over that window. */
export interface Caps {
  readonly daily: Nanos;
  readonly hourly: Nanos | undefined;
  readonly monthly: Nanos | undefined;
}

export interface GatewayResponse {
  readonly status: number;
  /** Allow-listed, lower-case names. */
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array | ReadableStream<Uint8Array>;
  /**
   * Resolves once, never rejects: the body is delivered, or broke off, or the client went away, and every layer inside
   * has closed its books (a layer that needs to close replaces this by its own promise).
   */
  readonly finished: Promise<Finish>;
}

/** How the answer ended. */
export interface Finish {
  readonly outcome: Outcome;
  readonly bytesOut: number;
}

export type Outcome =
  | "ok"
  | "client_error"
  | "client_gone"
  | "upstream_error"
  | "refused_identity"
  | "refused_budget"
  | "refused_limit"
  | "interrupted"
  | "internal_error";

export type AttemptOutcome =
  | "ok"
  | `upstream_${number}`
  | "connect_failed"
  | "timeout_connect"
  | "timeout_first_byte"
  | "timeout_first_content"
  | "timeout_idle"
  | "timeout_total"
  | "timeout_deadline"
  | "cut_stream"
  | "error_event"
  | "skipped_budget"
  | "skipped_limit"
  | "skipped_breaker"
  | "skipped_key"
  | "skipped_context"
  | "skipped_policy"
  | "skipped_model"
  | "taken_over"
  | "client_gone";

/** Filled in by the layers as the request goes; `audit` turns it into the line. */
export interface AuditRecord {
  readonly id: string;
  /** Wall clock at arrival, milliseconds. */
  readonly arrivedAt: number;
  agent: string | null;
  auth: "token" | "anonymous" | null;
  requestedModel: string | null;
  stream: boolean;
  intent: string | null;
  route: string | null;
  attempts: AttemptRecord[];
  /** The attempt whose answer the client got. */
  served: AttemptRecord | null;
  bytesIn: number;
  /** What the requested model would have cost where a local one served. */
  wouldHaveNanos: Nanos | null;
  /** The id of the request whose answer was given again. */
  replayOf?: string;
}

export interface AttemptRecord {
  readonly candidate: string;
  readonly provider: string;
  readonly model: string;
  readonly local: boolean;
  /** Monotonic, milliseconds. */
  readonly startedAt: number;
  outcome: AttemptOutcome | null;
  status: number | null;
  ms: number | null;
  ttftMs: number | null;
  nanos: Nanos;
  heldNanos: Nanos;
  /** What our prices say where the provider's own figure was charged. */
  listedNanos?: Nanos;
  price: Price["source"] | "reported" | "free";
  usage: Usage | null;
  usageSource: "upstream" | "counted" | null;
  /** The model that the upstream says it used. */
  reportedModel: string | null;
  /** The provider's own id of its answer, as its headers tell it: for its support, and to price a stream that broke off. */
  upstreamId?: string;
  note: string | null;
}
