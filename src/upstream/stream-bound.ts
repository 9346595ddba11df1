// How much a stream may bring at most: an answer has as many tokens as were asked for, and no server needs more around each.

import type { Keyed } from "../request.ts";
import { SseLimitError } from "../wire/sse.ts";

/** Where nobody says how long an answer may be. */
const longestAnswerTokens = 256_000;
/** With twenty alternatives a token (`top_logprobs`) an event has about 3 KB. */
const bytesPerToken = 4_096;
/** Pictures and sound come whole, whatever their tokens: sixteen of the largest events that are read. */
const leastBytes = 256 * 1024 * 1024;
/** A token is an event or less; keep-alives come beside them, one a second at most for an hour. */
const eventsPerToken = 2;
const leastEvents = 20_000;

/** The stream has brought more than an answer can be. */
export class EndlessStreamError extends RangeError {
  override readonly name = "EndlessStreamError";
}

/** Why a stream was not read on, for the audit line; null: for another reason than its size. */
export function oversizeNote(error: unknown): string | null {
  if (error instanceof SseLimitError) return "an event is too large";
  return error instanceof EndlessStreamError ? "it brings more than an answer can be" : null;
}

export class StreamBound {
  #bytesLeft: number;
  #eventsLeft: number;

  constructor({ request, candidate }: Keyed) {
    const { maxOutputTokens, choices } = request.facts;
    const tokens = Math.max(1, choices) * (maxOutputTokens ?? candidate.maxOutput ?? longestAnswerTokens);
    this.#bytesLeft = leastBytes + tokens * bytesPerToken;
    this.#eventsLeft = leastEvents + tokens * eventsPerToken;
  }

  /** Throws an EndlessStreamError once it is too much. */
  count(bytes: number, events: number): void {
    this.#bytesLeft -= bytes;
    this.#eventsLeft -= events;
    if (this.#bytesLeft < 0 || this.#eventsLeft < 0) throw new EndlessStreamError("the stream does not end");
  }
}
