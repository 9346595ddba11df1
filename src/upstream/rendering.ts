import type { NeutralEvent, SseEvent, StreamWriter, UpstreamFault } from "../wire/neutral.ts";
import type { Shown } from "./shown.ts";

/** How events become what the client sees. */
export interface Rendering {
  /** Upstream event → neutral events, for measuring and deciding. */
  read(event: SseEvent): NeutralEvent[];
  /** What of them may be shown by now: the rest waits, and comes with a later event. Where absent: all. */
  release?(events: readonly NeutralEvent[]): readonly NeutralEvent[];
  /** What of it goes to the client, of the events that were released; empty: nothing. */
  render(event: SseEvent, events: readonly NeutralEvent[]): string;
  /** The upstream said why it stopped but not that it ended: the dialect's terminal event. */
  terminal(): string;
  /** Tells the client that the answer goes on, in the dialect's own form. */
  ping(): string;
  /** A failure after the first byte. */
  fail(fault: UpstreamFault): string;
  /** A tool call waits until it is whole, so that what was rendered by now may be nothing. */
  waits?(): boolean;
  /** Where the client is in the answer, and a writer that can go on there; null: nobody can. */
  standing?(): Standing | null;
  /** The upstream ended without a word, and that is an answer. */
  isAnswered?(): boolean;
}

export interface Standing {
  readonly shown: Shown;
  readonly writer: StreamWriter;
}
