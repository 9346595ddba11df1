// What runs now and what has just ended, for a person who watches. Costs a request two map operations.

import type { Clock } from "../clock.ts";
import type { AuditFacts, OpenedRequest } from "../layers/audit/index.ts";
import { usdFromNanos } from "../money.ts";
import type { AttemptRecord } from "../request.ts";

/** An attempt as it stands; `outcome` null: it runs. */
export interface LiveAttempt {
  readonly candidate: string;
  readonly outcome: string | null;
  readonly status: number | null;
  /** When it began, ISO 8601. */
  readonly began: string;
  readonly ms: number | null;
  readonly ttft_ms: number | null;
  readonly usd: number;
  readonly held_usd: number;
  readonly note: string | null;
}

export interface LiveRequest {
  readonly id: string;
  /** Arrival, ISO 8601. */
  readonly ts: string;
  readonly agent: string | null;
  readonly dialect: string;
  readonly path: string;
  readonly stream: boolean;
  readonly requested_model: string | null;
  readonly intent: string | null;
  readonly route: string | null;
  readonly attempts: readonly LiveAttempt[];
  /** Its answer flows; null: nobody has answered yet. */
  readonly served_by: string | null;
}

export interface LiveRequestsParts {
  readonly clock: Clock;
  /** One line of the trail, as it was or would be written. */
  readonly lineOf: (seq: number, facts: AuditFacts) => string;
}

/** More are counted, not shown. */
const MAX_SHOWN = 100;
/** As many as the page has rows for. */
const MAX_RECENT = 24;
/** Names come from clients. */
const MAX_NAME = 256;

type Recent = { readonly seq: number; readonly facts: AuditFacts } | { readonly line: string };

export class LiveRequests {
  readonly #parts: LiveRequestsParts;
  readonly #open = new Map<string, OpenedRequest>();
  /** Newest last. */
  #recent: Recent[] = [];
  /** Read once, so that what is shown of an attempt does not tremble with each look. */
  readonly #began = new WeakMap<AttemptRecord, string>();
  readonly #entries = new WeakMap<Recent, unknown>();

  constructor(parts: LiveRequestsParts) {
    this.#parts = parts;
  }

  opened(request: OpenedRequest): void {
    this.#open.set(request.record.id, request);
  }

  /** Does nothing for a request that was never opened here but for keeping it among the recent ones. */
  closed(facts: AuditFacts, seq: number): void {
    this.#open.delete(facts.id);
    this.#recent.push({ seq, facts });
    if (this.#recent.length > 2 * MAX_RECENT) this.#recent = this.#recent.slice(-MAX_RECENT);
  }

  /** The newest lines of the trail as the last process left it, oldest first. Before the first request. */
  remember(lines: readonly string[]): void {
    this.#recent = [...lines.slice(-MAX_RECENT).map((line) => ({ line })), ...this.#recent];
  }

  /** Oldest first: who waits longest is what a person wants to see. */
  live(): LiveRequest[] {
    const shown: LiveRequest[] = [];
    for (const open of this.#open.values()) {
      if (shown.length === MAX_SHOWN) break;
      shown.push(this.#view(open));
    }
    return shown;
  }

  /** Entries of the trail, newest first, without `prev`. */
  recent(): unknown[] {
    return this.#recent
      .slice(-MAX_RECENT)
      .map((recent) => this.#entryOf(recent))
      .filter((entry) => entry !== null)
      .toReversed();
  }

  #view({ record, dialect, path }: OpenedRequest): LiveRequest {
    return {
      id: record.id,
      ts: new Date(record.arrivedAt).toISOString(),
      agent: record.agent,
      dialect,
      path,
      stream: record.stream,
      requested_model: record.requestedModel?.slice(0, MAX_NAME) ?? null,
      intent: record.intent,
      route: record.route,
      attempts: record.attempts.slice(-16).map((attempt) => this.#attempt(attempt)),
      served_by: record.served?.candidate ?? null,
    };
  }

  #attempt(attempt: AttemptRecord): LiveAttempt {
    let began = this.#began.get(attempt);
    if (began === undefined) {
      const { clock } = this.#parts;
      began = new Date(Math.round(clock.now() - (clock.monotonic() - attempt.startedAt))).toISOString();
      this.#began.set(attempt, began);
    }
    const { candidate, outcome, status, ms, ttftMs, nanos, heldNanos, note } = attempt;
    return {
      candidate: candidate.slice(0, MAX_NAME),
      outcome,
      status,
      began,
      ms: ms === null ? null : Math.round(ms),
      ttft_ms: ttftMs === null ? null : Math.round(ttftMs),
      usd: usdFromNanos(nanos),
      held_usd: usdFromNanos(heldNanos),
      note,
    };
  }

  #entryOf(recent: Recent): unknown {
    const known = this.#entries.get(recent);
    if (known !== undefined) return known;
    const entry = parsedLine("line" in recent ? recent.line : this.#parts.lineOf(recent.seq, recent.facts));
    this.#entries.set(recent, entry);
    return entry;
  }
}

/** Null: it is no request's line. */
function parsedLine(line: string): unknown {
  try {
    const { prev: _, ...entry } = JSON.parse(line) as Record<string, unknown>;
    return typeof entry["outcome"] === "string" ? entry : null;
  } catch {
    return null;
  }
}
