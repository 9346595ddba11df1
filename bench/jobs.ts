// What the runner, the scripted upstream and the load generator say to each other.

import type { Percentiles } from "./percentiles.ts";

/** What the upstream answers from now on; an interval of 0: all at once. The dialect follows from the path that it is asked. */
export type UpstreamMode =
  { readonly kind: "json" } | { readonly kind: "stream"; readonly events: number; readonly intervalMs: number };

export type UpstreamOrder = { readonly order: "mode"; readonly mode: UpstreamMode } | { readonly order: "count" };

export type UpstreamReply =
  | { readonly reply: "ready"; readonly port: number }
  /** Requests answered since the last `mode`. */
  | { readonly reply: "done"; readonly requests: number };

/** Where a request goes and what it is. */
export interface Target {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export type LoadJob =
  /** Closed loop: each connection sends its next request when the answer is there. Ends at whichever comes first. */
  | {
      readonly kind: "saturate";
      readonly target: Target;
      readonly concurrency: number;
      readonly requests: number;
      readonly maxMs: number;
    }
  /** Open loop: requests leave at a fixed rate, whether or not the earlier ones were answered. */
  | {
      readonly kind: "pace";
      readonly target: Target;
      readonly perSecond: number;
      readonly requests: number;
      readonly maxOutstanding: number;
    }
  /** As many streams at once, their starts spread over `rampMs`; delays count from when all are open. */
  | {
      readonly kind: "streams";
      readonly target: Target;
      readonly count: number;
      readonly rampMs: number;
      readonly maxMs: number;
      readonly expectedEvents: number;
    };

export interface LoadResult {
  readonly reply: "result";
  /** Answered with 200 and complete. */
  readonly completed: number;
  /** Any other end: another status, a cut, an answer that never came, a request that could not be sent in time. */
  readonly failed: number;
  /** The first thing that went wrong, for the person who reads the report. */
  readonly firstFailure: string | null;
  readonly elapsedMs: number;
  /** Per request in microseconds; per event of a stream for `streams`. */
  readonly latency: Percentiles;
  /** Stamped events that arrived; 0 where nothing is streamed. */
  readonly events: number;
}

export type LoadReply = { readonly reply: "ready" } | LoadResult;
