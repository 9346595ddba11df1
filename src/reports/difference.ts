// One place where two accounts of the same money are held against each other.

export interface Evidence {
  /** Request ids, with what each is worth and why it may explain the difference. */
  readonly id: string;
  readonly micros: number;
  readonly why: string;
}

export interface Comparison {
  /** In the calendar of the comparison, `2026-11-23`. */
  readonly day: string;
  /** An agent, or a model; empty: all of the day. */
  readonly name: string;
  /** Micro-dollars in the other books (the ledger, the provider); null: they tell tokens alone. */
  readonly theirs: number | null;
  /** Micro-dollars in the audit trail. */
  readonly trail: number;
  /** `theirs - trail`. */
  readonly difference: number;
  /** So much may come from rounding and from what was allowed. */
  readonly allowed: number;
  readonly agrees: boolean;
  /** Sentences without a full stop. */
  readonly notes: readonly string[];
  readonly requests: readonly Evidence[];
  /** Tokens of both, where the other side tells them. */
  readonly tokens: { readonly theirs: number; readonly trail: number } | null;
}

/** No more requests are named for one difference. */
export const MAX_EVIDENCE = 10;

/** The weightiest first. */
export function weightiest(evidence: readonly Evidence[]): Evidence[] {
  return [...evidence].sort((a, b) => Math.abs(b.micros) - Math.abs(a.micros)).slice(0, MAX_EVIDENCE);
}
