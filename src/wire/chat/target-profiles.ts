// What servers of the Chat dialect take, as data (wire.md 5 and A26 to A39). A server that is not listed is `generic`.

import type { Target } from "../neutral.ts";

export interface ChatProfile {
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
}

const local: ChatProfile = {
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
};

export const chatProfiles: Readonly<Record<Target["profile"], ChatProfile>> = {
  openai: {
    ...local,
    midSystem: true,
    mergeTurns: false,
    topK: false,
    maxStops: 4,
    grammar: false,
    imageUrls: true,
    pdf: true,
    reasoning: "effort",
  },
  // Behind it stand servers of all kinds. Its PDF parser has a fee.
  openrouter: { ...local, grammar: false, imageUrls: true, maxStops: 4, reasoning: "openrouter" },
  // Models that can think do so unasked; of the others any effort but "none" is a 400 (ollama: server/routes.go, "does not
  // support thinking").
  ollama: { ...local, toolChoice: "ignored", reasoning: "off" },
  llamacpp: { ...local, imageUrls: true, reasoning: "template", reasoningHistory: true, continueFlags: true },
  vllm: { ...local, imageUrls: true, reasoning: "template", continueFlags: true },
  lmstudio: { ...local, toolChoice: "words" },
  mlx: { ...local, grammar: false, toolChoice: "ignored" },
  // Anthropic's own Chat door is for trials: no `top_k`, no images by URL.
  anthropic: { ...local, topK: false, grammar: false },
  generic: { ...local, topK: false },
};
