// Why a stream ends before its answer is complete, and what follows from it.

import type { AttemptOutcome, Finish } from "../request.ts";
import type { NeutralEvent, SseEvent, UpstreamFault } from "../wire/neutral.ts";

/** Why an answer ends before it is complete. */
export interface Death {
  readonly outcome: AttemptOutcome;
  readonly note: string | null;
  /** How the whole request ends where nobody goes on. */
  readonly end: Finish["outcome"];
  /** What the client is told then. */
  readonly fault: UpstreamFault;
  /** The upstream told it by itself, in this event. */
  readonly told?: { readonly event: SseEvent; readonly events: readonly NeutralEvent[] } | undefined;
}

/** What the request itself or a policy is to blame for is no death: another model is not asked around it. */
export function isDeath({ status }: UpstreamFault): boolean {
  return status >= 500 || status === 401 || status === 402 || status === 403 || status === 408 || status === 429;
}

export function callsShown({ note }: Death): string {
  return `${note === null ? "" : `${note}; `}ended behind its complete tool calls`;
}

export const cut: Death = {
  outcome: "cut_stream",
  note: null,
  end: "upstream_error",
  fault: { status: 502, code: undefined, message: "The answer broke off before it was complete." },
};
export const failed: Omit<Death, "fault"> = { outcome: "error_event", note: null, end: "upstream_error" };
export const overBudget: Death = {
  outcome: "cut_stream",
  note: "the budget is used up",
  end: "refused_budget",
  fault: {
    status: 402,
    code: "insufficient_quota",
    message: "The budget of this agent was used up while the answer was streaming.",
  },
};
