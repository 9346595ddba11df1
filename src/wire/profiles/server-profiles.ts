// What each kind of server takes, as data (wire.md 5 and A26 to A39). A server that is not listed is `generic`.

import type { Dialect, ServerKind } from "../neutral.ts";

export interface ServerProfile {
  /** Of the dialects that the provider speaks but the client does not, the first of these is asked. */
  readonly doors: readonly Dialect[];
  /** Instructions in the middle of a conversation keep their role; elsewhere templates raise or hoist them. */
  readonly midSystem: boolean;
  /** Neighbouring turns of one role are merged, and the user has the first one: chat templates want them to alternate. */
  readonly mergeTurns: boolean;
  readonly topK: boolean;
  /** Which of the settings go along that only the Chat dialect has; unknown ones are a 400 at some servers. */
  readonly sampling: readonly string[];
  /** Cache marks that a Messages request may hold (Anthropic docs "Prompt caching"); 0: the server knows none. */
  readonly cacheMarks: number;
  /** Output tokens that the Responses door gives at the least: a lower limit is a 400. */
  readonly leastOutput: number;
  /** Stop sequences at most; undefined: any number. */
  readonly maxStops: number | undefined;
  /** Schemas become grammars, which many of their keywords break. */
  readonly grammar: boolean;
  readonly imageUrls: boolean;
  /** Takes base64 PDF as a `file` part without a fee. */
  readonly pdf: boolean;
  /** `names`: full. `words`: no object that names a tool. `ignored`: forced choices can't be served. */
  readonly toolChoice: "names" | "words" | "ignored";
  /** How to ask for reasoning. `off`: only its switching off; `template`: the same, through the chat template. */
  readonly reasoning: "effort" | "openrouter" | "off" | "template" | "none";
  /** Earlier thinking goes along as `reasoning_content`. */
  readonly reasoningHistory: boolean;
  /** An answer that the assistant has begun is continued where these flags ask for it. */
  readonly continueFlags: boolean;
  /** Obeys `parallel_tool_calls: false`; elsewhere all calls of an answer but the first are left out here. */
  readonly singleCalls: boolean;
  /** Tool calls come through whole in streams; elsewhere requests with tools are asked for in one piece and streamed from here. */
  readonly toolStreams: boolean;
  /** A prompt that is too long is refused; elsewhere its beginning is lost without a word. */
  readonly refusesOverlong: boolean;
  /** Tokens that its window must be taken to hold where nobody says how many it does; undefined: it is asked and refuses. */
  readonly assumedContext: number | undefined;
  /** Fields that every request gets unless the client set them: JSON source text by name. */
  readonly pinned: Readonly<Record<string, string>>;
  /** Takes `json_object` as the answer's format; elsewhere the schema of any object says the same. */
  readonly jsonMode: boolean;
  /** A schema for the answer binds; elsewhere the answer is checked here. */
  readonly schemaBinds: boolean;
  /** Embeddings can be asked for as base64. */
  readonly base64Embeddings: boolean;
  /**
   * Requests that it is given at once where neither the configuration nor the server says how many; the others wait in line
   * here, where their order is ours. Undefined: all that come.
   */
  readonly places: number | undefined;
  /** Where tokens are counted free of charge; null: nowhere. */
  readonly counting: "messages" | "responses" | "llamacpp" | "vllm" | null;
}

/** What OpenAI's own API has. */
const openaiSampling = ["seed", "logit_bias", "presence_penalty", "frequency_penalty"];
const penalties = ["seed", "presence_penalty", "frequency_penalty"];

const local: ServerProfile = {
  doors: ["messages", "chat", "responses"],
  midSystem: false,
  mergeTurns: true,
  topK: true,
  sampling: penalties,
  cacheMarks: 0,
  leastOutput: 1,
  maxStops: undefined,
  grammar: true,
  imageUrls: false,
  pdf: false,
  toolChoice: "names",
  reasoning: "none",
  reasoningHistory: false,
  continueFlags: false,
  singleCalls: false,
  toolStreams: true,
  refusesOverlong: true,
  assumedContext: undefined,
  pinned: {},
  jsonMode: true,
  schemaBinds: false,
  base64Embeddings: false,
  // What LM Studio (docs "Parallel Requests") and llama-server have where nobody sets it. More would wait there unseen, with
  // the clock of the first byte running.
  places: 4,
  counting: null,
};

/** A vendor's own cloud. */
const cloud: ServerProfile = {
  ...local,
  sampling: openaiSampling,
  cacheMarks: 4,
  grammar: false,
  imageUrls: true,
  singleCalls: true,
  schemaBinds: true,
  places: undefined,
};

export const serverProfiles: Readonly<Record<ServerKind, ServerProfile>> = {
  // Its newer models refuse tools at the Chat door while they reason, which they do unasked ("use /v1/responses"); some are
  // not there at all, and no tool may be described in more than 1,024 characters.
  openai: {
    ...cloud,
    doors: ["responses", "messages", "chat"],
    midSystem: true,
    mergeTurns: false,
    topK: false,
    leastOutput: 16,
    maxStops: 4,
    pdf: true,
    reasoning: "effort",
    base64Embeddings: true,
    counting: "responses",
  },
  // Behind it stand servers of all kinds. Its PDF parser has a fee. Unasked it takes the middle out of prompts that do not
  // fit small models, and it tells what an answer cost only where it is asked to.
  openrouter: {
    ...cloud,
    maxStops: 4,
    sampling: [...openaiSampling, "repetition_penalty", "min_p"],
    reasoning: "openrouter",
    schemaBinds: false,
    pinned: { transforms: "[]", usage: '{"include":true}' },
  },
  // Models that can think do so unasked; of the others any effort but "none" is a 400 (ollama: server/routes.go, "does not
  // support thinking"). Its window is 4,096 tokens unless someone sets it, whatever the model could hold.
  //
  // It works on one request at a time unless OLLAMA_NUM_PARALLEL says more, which it does not tell; what is too many waits
  // in a line of its own (ollama: docs/faq.mdx). Fewer places here would leave one idle that may do more.
  ollama: { ...local, toolChoice: "ignored", reasoning: "off", refusesOverlong: false, assumedContext: 4_096 },
  llamacpp: {
    ...local,
    sampling: [...openaiSampling, "min_p"],
    imageUrls: true,
    reasoning: "template",
    reasoningHistory: true,
    continueFlags: true,
    counting: "llamacpp",
  },
  vllm: {
    ...local,
    sampling: [...openaiSampling, "repetition_penalty", "min_p"],
    imageUrls: true,
    reasoning: "template",
    continueFlags: true,
    base64Embeddings: true,
    // It works on what comes all at once (continuous batching, `--max-num-seqs`), as far as its memory goes.
    places: 32,
    counting: "vllm",
  },
  // "'response_format.type' must be 'json_schema' or 'text'".
  lmstudio: { ...local, toolChoice: "words", toolStreams: false, jsonMode: false },
  mlx: { ...local, grammar: false, toolChoice: "ignored", toolStreams: false },
  // Anthropic's own Chat door is for trials: no `top_k`, no images by URL.
  anthropic: { ...cloud, topK: false, sampling: [], imageUrls: false, counting: "messages" },
  // It may be a relay in front of a vendor.
  generic: { ...local, topK: false, cacheMarks: 4, places: undefined },
};
