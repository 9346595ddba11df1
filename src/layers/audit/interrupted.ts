// Requests that a crash cut off: the ledger knows them by their holds, and at start-up each gets its line.

import type { Clock } from "../../clock.ts";
import type { Nanos } from "../../money.ts";
import type { AttemptRecord, Planned } from "../../request.ts";
import type { Dialect } from "../../wire/neutral.ts";
import type { RequestJournal, RequestTally } from "./audit.ts";
import type { AuditFacts, AuditSink } from "./sink.ts";

/** What is known of a request when its first hold is taken; kept by the ledger as JSON until the request is closed. */
export interface OpenRequestFacts {
  readonly id: string;
  /** Wall clock at arrival, milliseconds. */
  readonly ts: number;
  readonly agent: string | null;
  readonly auth: "token" | "anonymous" | null;
  readonly peer: string;
  readonly dialect: Dialect;
  readonly path: string;
  readonly stream: boolean;
  readonly requestedModel: string | null;
  readonly intent: string | null;
  readonly route: string | null;
}

/** One request found open, and what its holds have cost. */
export interface InterruptedRequest {
  readonly id: string;
  /** As `openRequestFacts` wrote it. */
  readonly facts: string;
  readonly charges: readonly { readonly candidate: string; readonly nanos: Nanos }[];
}

/** The JSON text that the ledger keeps with a request's first hold. */
export function openRequestFacts(request: Planned): string {
  const { record } = request;
  const facts: OpenRequestFacts = {
    id: request.id,
    ts: record.arrivedAt,
    agent: record.agent,
    auth: record.auth,
    peer: request.peer,
    dialect: request.dialect,
    path: request.path,
    stream: record.stream,
    requestedModel: record.requestedModel,
    intent: record.intent,
    route: record.route,
  };
  return JSON.stringify(facts);
}

export interface InterruptedParts {
  readonly sink: AuditSink;
  readonly journal: RequestJournal;
  readonly tally: RequestTally;
  readonly clock: Clock;
}

/**
 * Writes a line `interrupted` for each request that has none yet, waits until they are durable, and closes the requests
 * in the ledger. Before the first request is served. Returns how many lines were written.
 */
export async function recordInterrupted(
  parts: InterruptedParts,
  requests: readonly InterruptedRequest[],
): Promise<number> {
  // The line may have been written and the ledger not told any more.
  const recorded = await parts.sink.recorded(new Set(requests.map((request) => request.id)));
  const appended: Promise<void>[] = [];
  let lines = 0;
  for (const request of requests) {
    if (recorded.has(request.id)) {
      parts.journal.closeRequest(request.id);
      continue;
    }
    const facts = factsOf(request, parts.clock.now());
    parts.tally.opened();
    const durable = parts.sink.append(facts);
    parts.tally.closed(facts);
    lines++;
    appended.push(
      durable.then((written) => {
        if (written) parts.journal.closeRequest(request.id);
      }),
    );
  }
  await Promise.all(appended);
  return lines;
}

function factsOf(request: InterruptedRequest, nowMs: number): AuditFacts {
  const known = parseFacts(request, nowMs);
  const attempts = request.charges.map(attemptOf);
  const nanos = attempts.reduce((sum, attempt) => sum + attempt.nanos, 0);
  return {
    ...known,
    attempts,
    served: null,
    outcome: "interrupted",
    status: 0,
    nanos,
    heldNanos: attempts.reduce((most, attempt) => Math.max(most, attempt.heldNanos), 0),
    wouldHaveNanos: null,
    ms: Math.max(0, nowMs - known.ts),
    bytesIn: 0,
    bytesOut: 0,
  };
}

function attemptOf(charge: { candidate: string; nanos: Nanos }): AttemptRecord {
  const slash = charge.candidate.indexOf("/");
  return {
    candidate: charge.candidate,
    provider: slash < 0 ? charge.candidate : charge.candidate.slice(0, slash),
    model: charge.candidate.slice(slash + 1),
    local: charge.nanos === 0,
    startedAt: 0,
    outcome: null,
    status: null,
    ms: null,
    ttftMs: null,
    nanos: charge.nanos,
    heldNanos: charge.nanos,
    price: "ceiling",
    usage: null,
    usageSource: null,
    reportedModel: null,
    note: "the gateway stopped during this attempt; its hold was charged in full",
  };
}

/** The ledger's text is our own, but a damaged one must not stop the start. */
function parseFacts(request: InterruptedRequest, nowMs: number): OpenRequestFacts {
  const stored = storedObject(request.facts);
  const text = (key: string): string | null => {
    const value = stored[key];
    return typeof value === "string" ? value : null;
  };
  const dialect = text("dialect");
  const auth = text("auth");
  const { ts } = stored;
  return {
    id: request.id,
    ts: typeof ts === "number" && Number.isSafeInteger(ts) && Math.abs(ts) < 8.64e15 ? ts : nowMs,
    agent: text("agent"),
    auth: auth === "token" || auth === "anonymous" ? auth : null,
    peer: text("peer") ?? "",
    dialect: dialect === "messages" || dialect === "responses" ? dialect : "chat",
    path: text("path") ?? "",
    stream: stored["stream"] === true,
    requestedModel: text("requestedModel"),
    intent: text("intent"),
    route: text("route"),
  };
}

function storedObject(facts: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(facts);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {}; // The line is written all the same, with what is known besides.
  }
}
