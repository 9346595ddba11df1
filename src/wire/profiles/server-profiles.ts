// What each kind of server takes, as data (wire.md 5 and A26 to A39). A server that is not listed is `generic`.

import type { ServerKind } from "../neutral.ts";

export interface ServerProfile {
  /** Instructions in the middle of a conversation keep their role; elsewhere templates raise or hoist them. */
  readonly midSystem: boolean;
  /** Neighbouring turns of one role are merged: chat templates want them to alternate. */
  readonly mergeTurns: boolean;
  readonly topK: boolean;
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
  /** A schema for the answer binds; elsewhere the answer is checked here. */
  readonly schemaBinds: boolean;
  /** Embeddings can be asked for as base64. */
  readonly base64Embeddings: boolean;
  /** Where tokens are counted free of charge; null: nowhere. */
  readonly counting: "messages" | "responses" | "llamacpp" | "vllm" | null;
}

const local: ServerProfile = {
  midSystem: false,
  mergeTurns: true,
  topK: true,
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
  schemaBinds: false,
  base64Embeddings: false,
  counting: null,
};

/** A vendor's own cloud. */
const cloud: ServerProfile = {
  ...local,
  grammar: false,
  imageUrls: true,
  singleCalls: true,
  schemaBinds: true,
};

export const serverProfiles: Readonly<Record<ServerKind, ServerProfile>> = {
  openai: {
    ...cloud,
    midSystem: true,
    mergeTurns: false,
    topK: false,
    maxStops: 4,
    pdf: true,
    reasoning: "effort",
    base64Embeddings: true,
    counting: "responses",
  },
  // Behind it stand servers of all kinds. Its PDF parser has a fee.
  openrouter: { ...cloud, maxStops: 4, reasoning: "openrouter", schemaBinds: false },
  // Models that can think do so unasked; of the others any effort but "none" is a 400 (ollama: server/routes.go, "does not
  // support thinking").
  ollama: { ...local, toolChoice: "ignored", reasoning: "off", refusesOverlong: false },
  llamacpp: {
    ...local,
    imageUrls: true,
    reasoning: "template",
    reasoningHistory: true,
    continueFlags: true,
    counting: "llamacpp",
  },
  vllm: {
    ...local,
    imageUrls: true,
    reasoning: "template",
    continueFlags: true,
    base64Embeddings: true,
    counting: "vllm",
  },
  lmstudio: { ...local, toolChoice: "words", toolStreams: false },
  mlx: { ...local, grammar: false, toolChoice: "ignored", toolStreams: false },
  // Anthropic's own Chat door is for trials: no `top_k`, no images by URL.
  anthropic: { ...cloud, topK: false, imageUrls: false, counting: "messages" },
  generic: { ...local, topK: false },
};
