// How long each step of one call may take. What the configuration sets holds as it is; what it leaves open makes room for what is
// known to take longer, so that a sound answer is not taken for silence.

import type { Keyed, Timeouts } from "../request.ts";
import { serverKindOf } from "../wire/profiles/server-kind.ts";

/** No model that is asked in earnest writes slower. */
const leastTokensPerSecond = 30;
/** Who asks for an answer in one piece waits no longer (both vendors' SDKs). */
const longestWholeMs = 600_000;
/** A model that thinks unseen says nothing meanwhile. */
const unseenFirstContentMs = 300_000;
const unseenIdleMs = 120_000;

/** The same attempt with the clocks of this call. `stream`: as it is asked of the server. */
export function clocked(keyed: Keyed, stream: boolean): Keyed {
  const { candidate, request } = keyed;
  const { provider, hiddenReasoning } = candidate;
  const { timeouts } = provider;
  if (timeouts.elastic === undefined || request.operation !== "generate" || (stream && !hiddenReasoning)) return keyed;
  const own = stream ? thoughtful(timeouts) : whole(timeouts, writingMs(keyed));
  // Its kind is known by the provider that it is a copy of.
  return {
    ...keyed,
    candidate: { ...candidate, provider: { ...provider, kind: serverKindOf(provider), timeouts: own } },
  };
}

function writingMs({ candidate, request }: Keyed): number {
  const limit = request.facts.maxOutputTokens ?? candidate.maxOutput;
  return limit === undefined ? longestWholeMs : Math.ceil((limit / leastTokensPerSecond) * 1_000);
}

function thoughtful(timeouts: Timeouts): Timeouts {
  const { elastic, firstContentMs, idleMs } = timeouts;
  return {
    ...timeouts,
    firstContentMs: elastic?.firstContent === true ? Math.max(firstContentMs, unseenFirstContentMs) : firstContentMs,
    idleMs: elastic?.idle === true ? Math.max(idleMs, unseenIdleMs) : idleMs,
  };
}

/** It comes when all of it is written. */
function whole(timeouts: Timeouts, writing: number): Timeouts {
  const { elastic, firstByteMs, firstContentMs } = timeouts;
  const longer = (ms: number): number => Math.max(ms, Math.min(ms + writing, longestWholeMs));
  return {
    ...timeouts,
    firstByteMs: elastic?.firstByte === true ? longer(firstByteMs) : firstByteMs,
    firstContentMs: elastic?.firstContent === true ? longer(firstContentMs) : firstContentMs,
  };
}
