// Where audit lines go. One implementation writes a file; a second one could write elsewhere.

import type { AttemptRecord, Outcome } from "../../request.ts";
import type { Dialect } from "../../wire/neutral.ts";
import type { Nanos } from "../../money.ts";
import type { ContentFacts } from "./content/recording.ts";

/** Everything a line says about one request, before it has a place in the chain. */
export interface AuditFacts {
  /** Wall clock at arrival, milliseconds. */
  readonly ts: number;
  readonly id: string;
  readonly agent: string | null;
  readonly auth: "token" | "anonymous" | null;
  readonly peer: string;
  readonly dialect: Dialect;
  readonly path: string;
  readonly stream: boolean;
  readonly requestedModel: string | null;
  readonly intent: string | null;
  readonly route: string | null;
  readonly attempts: readonly AttemptRecord[];
  readonly served: AttemptRecord | null;
  readonly outcome: Outcome;
  readonly status: number;
  /** Sum over the attempts. */
  readonly nanos: Nanos;
  /** The largest hold of any attempt. */
  readonly heldNanos: Nanos;
  readonly wouldHaveNanos: Nanos | null;
  /** From arrival to the last byte, milliseconds. */
  readonly ms: number;
  /** How often the client says that it has tried before. */
  readonly clientRetry?: number | undefined;
  /** The id of the request whose answer was given again. */
  readonly replayOf?: string | undefined;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** What is kept of prompt and answer; absent: nothing is to be. */
  readonly content?: ContentFacts | undefined;
}

export interface AuditHealth {
  /** The last line's `seq`. */
  readonly entries: number;
  /** The last line's hash. */
  readonly head: string;
  /** Wall clock, milliseconds; null: nothing was written since the start. */
  readonly lastWrittenAt: number | null;
  /** What is wrong, and since when; null: lines are being written. */
  readonly fault: { readonly message: string; readonly since: number } | null;
  /** Lines kept in memory until they can be written. */
  readonly pending: number;
  /** Lines given up because too many were pending. */
  readonly lost: number;
  /** What was mended or looked strange, newest last, a bounded list. */
  readonly notes: readonly string[];
}

export interface AuditSink {
  /**
   * Takes one line; it is out of the process by the end of the event-loop turn. Resolves to true when the line is
   * durable, which after a fault may be much later, and to false when it was given up. Never rejects.
   */
  append(facts: AuditFacts): Promise<boolean>;
  /** Resolves when the lines so far are out of the process, or cannot be for now. Never rejects. */
  written(): Promise<void>;
  /** Lines cannot be written now. Cheap: asked for every request. */
  readonly faulty: boolean;
  health(): AuditHealth;
  /** Which of these request ids have a line among the newest ones. For start-up only: it reads the file's end. */
  recorded(ids: ReadonlySet<string>): Promise<Set<string>>;
}
