// The outermost layer: opens a record that is closed whatever happens, exactly once, as one line of the trail.

import type { Clock } from "../../clock.ts";
import { GatewayError } from "../../errors.ts";
import type {
  Arrived,
  AttemptRecord,
  AuditRecord,
  Finish,
  GatewayResponse,
  Layer,
  Outcome,
  Recorded,
} from "../../request.ts";
import type { Dialect } from "../../wire/neutral.ts";
import { recordAnswer, recordingBody } from "./content/record-answer.ts";
import type { ContentFacts, ContentRecorder } from "./content/recording.ts";
import type { AuditFacts, AuditSink } from "./sink.ts";

/** The ledger's list of requests in progress, so that a crash leaves none without a line. */
export interface RequestJournal {
  /** The request's line is durable. */
  closeRequest(requestId: string): void;
}

/** A request in progress. The record is filled in as it goes. */
export interface OpenedRequest {
  readonly record: AuditRecord;
  readonly dialect: Dialect;
  readonly path: string;
}

/** Counts what passes, for `/stats`. */
export interface RequestTally {
  /** Absent: it was open when the last process ended, and is closed at once. */
  opened(request?: OpenedRequest): void;
  closed(facts: AuditFacts): void;
}

export interface AuditParts {
  readonly sink: AuditSink;
  readonly journal: RequestJournal;
  readonly tally: RequestTally;
  readonly clock: Clock;
  /** The status with which the door answers this error in this dialect. */
  readonly errorStatus: (dialect: Dialect, error: GatewayError) => number;
  /** `audit.on_failure`: `continue` serves requests although their lines cannot be written for now. */
  readonly onFailure: "refuse" | "continue";
  /** Keeps prompts and answers, or their hashes; null: neither is kept. */
  readonly contents: ContentRecorder | null;
}

/**
 * Refuses with AUDIT_UNAVAILABLE, without a line, while the trail cannot be written. Otherwise every request ends in one
 * line: after the last byte of its answer, or when a layer throws. Its `finished` resolves after the line was handed over.
 * The answer is not delayed, but for one that no hold stands for (a refusal, a repeat, a count): that one follows its line,
 * a turn of the event loop later, so that a kill leaves no answer without one.
 */
export function audit(parts: AuditParts): Layer<Arrived, Recorded> {
  const { sink, tally, clock, contents } = parts;
  const refuse = parts.onFailure === "refuse";
  return (next) => async (request) => {
    if (refuse && (sink.faulty || contents?.faulty === true))
      throw new GatewayError("AUDIT_UNAVAILABLE", { retryAfterSeconds: 2 });
    const startedAt = clock.monotonic();
    const record = openRecord(request.id, clock.now());
    const recording = contents?.begin(request.id) ?? null;
    tally.opened({ record, dialect: request.dialect, path: request.path });
    let response: GatewayResponse;
    try {
      response = await next({ ...(recording === null ? request : recordingBody(request, recording)), record });
    } catch (error) {
      const ended = endOfFailure(parts, request, error);
      close(parts, request, record, { ...ended, startedAt, bytesOut: 0, content: recording?.finish() });
      // The ledger may know nothing of it: what the client is told must be on record should the process die now.
      await sink.written();
      throw error;
    }
    const { status } = response;
    const recorded = recording === null ? null : recordAnswer(response.body, recording);
    const end = (finish: Finish): Finish => {
      close(parts, request, record, { ...finish, status, startedAt, content: recording?.finish() });
      return finish;
    };
    // What the inner layers have closed may still be on its way through the recording.
    const onFinish = (finish: Finish): Finish | Promise<Finish> =>
      recorded === null ? end(finish) : recorded.ended().then(() => end(finish));
    // `finished` never rejects; if a layer breaks that promise the line must still be written.
    const onBroken = (): Finish | Promise<Finish> => onFinish({ outcome: "internal_error", bytesOut: 0 });
    const finished = response.finished.then(onFinish, onBroken);
    const body = recorded?.body ?? response.body;
    if (!(body instanceof ReadableStream) && !record.attempts.some(isInLedger)) {
      await finished;
      await sink.written();
    }
    return { status, headers: response.headers, body, finished };
  };
}

/** A hold is on disk before an attempt is sent, and what is found there at the next start gets its line. */
function isInLedger({ outcome }: AttemptRecord): boolean {
  return outcome?.startsWith("skipped_") !== true;
}

function openRecord(id: string, arrivedAt: number): AuditRecord {
  return {
    id,
    arrivedAt,
    agent: null,
    auth: null,
    requestedModel: null,
    stream: false,
    intent: null,
    route: null,
    attempts: [],
    served: null,
    bytesIn: 0,
    wouldHaveNanos: null,
  };
}

interface Ending {
  readonly outcome: Outcome;
  readonly status: number;
  /** Monotonic, milliseconds. */
  readonly startedAt: number;
  readonly bytesOut: number;
  readonly content: ContentFacts | undefined;
}

function close(
  parts: AuditParts,
  request: Arrived,
  record: AuditRecord,
  { outcome, status, startedAt, bytesOut, content }: Ending,
): void {
  let nanos = 0;
  let heldNanos = 0;
  for (const attempt of record.attempts) {
    nanos += attempt.nanos;
    if (attempt.heldNanos > heldNanos) heldNanos = attempt.heldNanos;
  }
  const facts: AuditFacts = {
    ts: record.arrivedAt,
    id: record.id,
    agent: record.agent,
    auth: record.auth,
    peer: request.peer,
    dialect: request.dialect,
    path: request.path,
    stream: record.stream,
    requestedModel: record.requestedModel,
    intent: record.intent,
    route: record.route,
    attempts: record.attempts,
    served: record.served,
    outcome,
    status,
    nanos,
    heldNanos,
    wouldHaveNanos: record.wouldHaveNanos,
    ms: Math.round(parts.clock.monotonic() - startedAt),
    clientRetry: clientRetryOf(request.headers),
    replayOf: record.replayOf,
    bytesIn: record.bytesIn,
    bytesOut,
    ...(content !== undefined && { content }),
  };
  const durable = parts.sink.append(facts);
  parts.tally.closed(facts);
  // A line that was given up leaves the request open in the ledger: the next start writes one for it.
  void durable.then((written) => {
    if (written) parts.journal.closeRequest(record.id);
  });
}

/** As the SDKs of both vendors count it. Nobody tries more than a few times: what looks otherwise is no count. */
function clientRetryOf(headers: Headers): number | undefined {
  const count = headers.get("x-stainless-retry-count");
  return count !== null && /^[1-9]\d{0,2}$/.test(count) ? Number(count) : undefined;
}

function endOfFailure(parts: AuditParts, request: Arrived, error: unknown): { outcome: Outcome; status: number } {
  if (error instanceof GatewayError) {
    return { outcome: outcomeOf(error), status: parts.errorStatus(request.dialect, error) };
  }
  // What breaks because the client left is the client's doing, whatever it looks like.
  const code = request.signal.aborted ? "CLIENT_GONE" : "INTERNAL";
  const stand = new GatewayError(code);
  return { outcome: outcomeOf(stand), status: parts.errorStatus(request.dialect, stand) };
}

/** What the trail calls a request that ended in this error. */
export function outcomeOf(error: GatewayError): Outcome {
  const { code } = error;
  if (code === "CLIENT_GONE") return "client_gone";
  if (code.startsWith("IDENTITY_")) return "refused_identity";
  if (code === "BUDGET_EXHAUSTED" || code === "BUDGET_HELD") return "refused_budget";
  if (code.startsWith("LIMITS_")) return "refused_limit";
  if (error.source === "client") return "client_error";
  return error.source === "upstream" ? "upstream_error" : "internal_error";
}
