// Where a starting gateway goes on with the chain: where the file ends, unless it is known to have been longer.

import type { ChainPosition } from "./chain.ts";
import { trailSince } from "./trail-since.ts";

export interface StartPosition {
  readonly position: ChainPosition;
  /** What was done to the trail while nobody watched; null: nothing that can be seen from its end. */
  readonly alarm: string | null;
}

/**
 * `end`: the last line of the trail at `path`. `sealed`: a line that was written and durable; null: none is known. Where the
 * trail does not reach it, the numbers go on after it all the same: the gap stays in the trail for `verify` to find, and no
 * number is given twice.
 */
export function startPosition(path: string, end: ChainPosition, sealed: ChainPosition | null): StartPosition {
  if (sealed === null || sealed.seq === 0) return { position: end, alarm: null };
  if (end.seq < sealed.seq) {
    const range = end.seq + 1 === sealed.seq ? `line ${sealed.seq} is` : `lines ${end.seq + 1} to ${sealed.seq} are`;
    return { position: sealed, alarm: `the trail was cut while the gateway was stopped: ${range} gone` };
  }
  if (trailSince(path, sealed, Number.NEGATIVE_INFINITY).continues) return { position: end, alarm: null };
  return {
    position: end,
    alarm: `the trail was written anew while the gateway was stopped: line ${sealed.seq} is another`,
  };
}
