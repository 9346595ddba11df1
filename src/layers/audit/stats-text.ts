// `/stats` as text, kept for readers in a hurry.

import type { Clock } from "../../clock.ts";
import type { StatsDocument } from "./stats.ts";

/** No answer is older than this after a change, milliseconds. */
const MAX_AGE_MS = 50;
/** So many reads in a row see their own moment before the pace sets in: a script that reads after each request does. */
const BURST = 20;

export interface StatsTextParts {
  readonly clock: Clock;
  readonly build: () => StatsDocument;
  /** Grows with every change; while it stands still, a text younger than `MAX_AGE_MS` is served again. */
  readonly revision: () => number;
}

/** Returns the document as JSON. Rebuilt 20 times a second at most in the long run, however often it is asked for. */
export function createStatsText(parts: StatsTextParts): () => string {
  const { clock, build, revision } = parts;
  let text = "";
  let builtAt = Number.NEGATIVE_INFINITY;
  let builtRevision = -1;
  let credit = BURST;
  return () => {
    const now = clock.monotonic();
    const age = now - builtAt;
    if (age < MAX_AGE_MS) {
      const changed = revision() !== builtRevision;
      if (!changed || credit < 1) return text;
    }
    credit = Math.min(BURST, credit + age / MAX_AGE_MS) - 1;
    builtRevision = revision();
    text = JSON.stringify(build());
    builtAt = now;
    return text;
  };
}
