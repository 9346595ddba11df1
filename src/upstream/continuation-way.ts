import type { Candidate } from "../request.ts";
import type { ContinuationForm } from "../wire/continuation-request.ts";
import type { JsonObject } from "../wire/neutral.ts";
import { continuationTrials, type Continuations } from "./continuation.ts";
import { profileOf } from "./profile.ts";

/** How a candidate is asked to go on with an answer, and how its answer is read. */
export interface ContinuationWay {
  readonly style: ContinuationForm;
  /** Fields beside the messages; they replace what the request has under these names. */
  readonly extra: JsonObject;
  /** It may repeat what is there. */
  readonly trims: boolean;
}

const restart: ContinuationWay = { style: "restart", extra: {}, trims: true };

/**
 * As it was found out, else as the server's own documents say where they say it of every model. What nobody knows is asked for
 * in words: a model that takes a begun answer for a finished one would start a new one in the middle of it.
 */
export function continuationOf(candidate: Candidate, known: Continuations): ContinuationWay {
  if (candidate.dialect !== "chat") return restart;
  const continuation = known.of(candidate);
  if (continuation !== undefined) {
    const { style, echoes, extra } = continuation;
    return style === "none" ? restart : { style: "prefill", extra, trims: echoes };
  }
  const kind = profileOf(candidate.provider);
  if (kind !== "llamacpp" && kind !== "vllm") return restart;
  return { style: "prefill", extra: continuationTrials[kind][0]?.extra ?? {}, trims: true };
}
