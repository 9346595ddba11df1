import type { Step } from "../fakes/script.ts";
import type { Fate } from "./oracle.ts";
import type { Reading } from "./reading.ts";
import type { Wire } from "./wire.ts";

/** Where the provider is: a scripted one, or one that can't even be spoken to. */
export type Place =
  | "scripted"
  | "refused"
  | "reset at once"
  | "black hole"
  | "no such host"
  | "speaks no TLS"
  | "own CA"
  | "unknown CA"
  | "other names"
  | "expired"
  | "handshake closed"
  | "handshake reset"
  | "handshake silent";

export interface Fault {
  /** The kind, and the row of the matrix. */
  readonly row: string;
  readonly fate: Fate;
  /** `reading`: what the client has got of it. Absent: a healthy answer. */
  readonly step?: (reading: Reading) => Step;
  /** What part of the answer was generated, and is billed; 0 where absent. */
  readonly sent?: number;
  readonly place?: Place;
  readonly timeouts?: Readonly<Record<string, string>>;
  /** The text of the answer where the fault changes it. */
  readonly text?: string;
  /** In what form an upstream's refusal says what is wrong. */
  readonly body?: "vendor" | "none" | "page";
  /** More comes than was asked for: it ends where what was put aside for it is used up. */
  readonly endless?: true;
  /** Megabytes long: once in each dialect is enough. */
  readonly narrow?: true;
  /** Which one it is of thousands that are alike. */
  readonly number?: number;
}

export type Kind = (wire: Wire) => Fault[];

/** Short, but for faults that never end by themselves alone: everybody else has all the time that a busy machine needs. */
export const soon = "200ms";
