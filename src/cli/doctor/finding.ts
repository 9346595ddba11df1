// What `sanctum doctor` says about one thing.

export type Level =
  /** As it should be. */
  | "ok"
  /** Worth knowing: a limit of the mode that is on, or something that could not be looked at. */
  | "note"
  /** Something to mend; the exit code is 1. */
  | "problem";

export type Area = "boundary" | "reach" | "files" | "memory" | "keys" | "network" | "prices";

export interface Finding {
  /** A stable name for programs, e.g. `reach.vault`. */
  readonly check: `${Area}.${string}`;
  readonly level: Level;
  /** What was found. */
  readonly found: string;
  /** What it means. Absent where the finding says it. */
  readonly means?: string;
  /** What to do. Absent where there is nothing to do. */
  readonly remedy?: string;
  /** "Hardened" is said only where this is `ok`. */
  readonly hardening: boolean;
}

type Words = Pick<Finding, "found" | "means" | "remedy">;

/** A finding of which the boundary between users depends. */
export function onBoundary(check: Finding["check"], level: Level, words: Words): Finding {
  return { check, level, ...words, hardening: true };
}

/** A finding that stands beside it. */
export function beside(check: Finding["check"], level: Level, words: Words): Finding {
  return { check, level, ...words, hardening: false };
}
