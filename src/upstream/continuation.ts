// What local servers do with an answer that the assistant has begun (wire.md 4.1): which fields ask for its continuation, as
// data, and who knows what a certain model really does. Capability is probed (`continuation-probe.ts`), not assumed.

import type { Candidate } from "../request.ts";
import type { JsonObject, ServerKind } from "../wire/neutral.ts";

/**
 * How a server is made to carry on where the last message, the assistant's own, ends. `flags_bool`: `continue_final_message`
 * and `add_generation_prompt` ask for it. `implicit`: the last message alone does. `none`: it can't, and would start anew;
 * only a turn of the user can ask for the rest.
 */
export type ContinuationStyle = "flags_bool" | "implicit" | "none";

export interface Continuation {
  readonly style: ContinuationStyle;
  /** The answer begins with the text that it was given: what was shown already must be taken off. */
  readonly echoes: boolean;
  /** Fields for the Chat request beside `messages`; they replace what the request has under these names. */
  readonly extra: JsonObject;
}

export interface Continuations {
  /**
   * What the candidate's model does at its Chat door; undefined: not known yet, and being found out as soon as that costs
   * nobody anything. Never asks while the caller waits.
   */
  of(candidate: Candidate): Continuation | undefined;
}

/** One way to ask, tried in order until the answer goes on in the middle of the sentence. */
export interface ContinuationTrial {
  readonly style: Exclude<ContinuationStyle, "none">;
  readonly extra: JsonObject;
}

export const noContinuation: Continuation = { style: "none", echoes: false, extra: {} };

/** Both together: one without the other is a 400 at vLLM and at llama-server, or a new turn. */
const flags: JsonObject = { continue_final_message: true, add_generation_prompt: false };
/** What goes on is text that was begun: templates that open a thought first would break it up. */
const thoughtless: JsonObject = { chat_template_kwargs: { enable_thinking: false } };

const byFlags: ContinuationTrial = { style: "flags_bool", extra: { ...flags, ...thoughtless } };
/** Of servers that put a template's variables through, which says nothing about whether they know the flags. */
const byLastMessage: ContinuationTrial = { style: "implicit", extra: thoughtless };

/**
 * llama-server knows the flags since May 2026 (llama.cpp#23012, #23089); before, a last message of the assistant was enough
 * (llama.cpp#13174, unless started with `--no-prefill-assistant`), but a 400 while the template thinks (llama.cpp#20861).
 * vLLM: docs "OpenAI-Compatible Server", extra parameters. Ollama: the renderers of many families leave a last message of
 * the assistant open (ollama: model/renderers), and `none` is the one effort that models without thoughts take, too. LM Studio
 * continues and may give the beginning back (lmstudio-bug-tracker#2041). Others may be any of these behind a proxy.
 */
export const continuationTrials: Readonly<Record<ServerKind, readonly ContinuationTrial[]>> = {
  llamacpp: [byFlags, byLastMessage],
  vllm: [byFlags],
  ollama: [{ style: "implicit", extra: { reasoning_effort: "none" } }],
  lmstudio: [{ style: "implicit", extra: {} }],
  mlx: [byFlags, byLastMessage],
  generic: [byFlags, { style: "implicit", extra: {} }],
  // Nothing is asked of a vendor for trial: it costs, and their models start anew (or refuse).
  anthropic: [],
  openai: [],
  openrouter: [],
};
