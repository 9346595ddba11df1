// How long candidates took of late until the first content of an answer: what tells whether waiting for one is quicker than
// asking the next.

import type { Clock } from "../../clock.ts";
import type { Candidate } from "../../request.ts";

/** The newest answer counts so much; ten answers later hardly anything is left of it. */
const NEWEST_SHARE = 0.3;
/** Local servers unload a model after five minutes; what was true ten minutes ago says nothing. */
const KNOWN_FOR_MS = 600_000;
/** Names come from clients. */
const MAX_NAMES = 256;

/** By provider, model, and whether the answer was streamed: one in a piece comes when all of it is written. */
export class ResponseTimes {
  readonly #clock: Clock;
  readonly #times = new Map<string, { ms: number; at: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  answered(candidate: Candidate, stream: boolean, ms: number): void {
    const key = keyOf(candidate, stream);
    const at = this.#clock.monotonic();
    const before = this.#times.get(key);
    if (before !== undefined) {
      before.ms = at - before.at < KNOWN_FOR_MS ? before.ms + NEWEST_SHARE * (ms - before.ms) : ms;
      before.at = at;
      return;
    }
    if (this.#times.size >= MAX_NAMES) this.#times.delete(this.#times.keys().next().value!);
    this.#times.set(key, { ms, at });
  }

  /** Milliseconds; undefined: it has not answered of late. */
  expectedMs(candidate: Candidate, stream: boolean): number | undefined {
    const known = this.#times.get(keyOf(candidate, stream));
    return known !== undefined && this.#clock.monotonic() - known.at < KNOWN_FOR_MS ? known.ms : undefined;
  }
}

function keyOf({ provider, model }: Candidate, stream: boolean): string {
  return `${stream ? "s" : "w"} ${provider.name} ${model}`;
}
