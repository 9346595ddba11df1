// One request as one line of JSON, for example (wrapped here):
//   {"v":1,"seq":24,"prev":"sha256:…","ts":"2026-11-23T17:59:58.120Z","id":"req_01J…","agent":"windu","auth":"token",
//    "peer":"127.0.0.1","dialect":"messages","path":"/v1/messages","stream":true,"requested_model":"claude-sonnet-4-5",
//    "intent":"code","route":"default","attempts":[{"candidate":"coder-14b","outcome":"ok","status":200,"ms":1900,
//    "ttft_ms":400,"usd":0}],"served_by":"coder-14b","local":true,"outcome":"ok","status":200,"usage":{"input":1200,
//    "output":340,"cache_read":0,"cache_write":0,"reasoning":0,"source":"upstream"},"usd":0,"held_usd":0.0102,
//    "would_have_usd":0.0087,"price":"free","ms":2140,"bytes_in":5120,"bytes_out":2048}
// The fields come from a fixed list, so neither prompt text nor a key can get in.

import { usdFromNanos } from "../../money.ts";
import type { AttemptRecord } from "../../request.ts";
import { withOthers } from "../../wire/usage.ts";
import type { ContentFacts } from "./content/recording.ts";
import type { AuditFacts } from "./sink.ts";

/** A line fits one atomic write of a page. */
export const MAX_LINE_BYTES = 4096;

/** Tried in order until the line fits: longest string in characters, most attempts listed. */
const limits = [
  { text: 256, attempts: 16 },
  { text: 128, attempts: 8 },
  { text: 48, attempts: 4 },
  { text: 20, attempts: 2 },
] as const;

// Anything that is not printable ASCII is written as \uXXXX: no control character, line separator or direction mark
// reaches a terminal or a log viewer, and one character of the line is one byte of the file.
const unprintable = /[^\x20-\x7e]/;
const everyUnprintable = /[^\x20-\x7e]/g;

/** The line without its newline: printable ASCII, at most `MAX_LINE_BYTES`. */
export function entryLine(seq: number, prev: string, facts: AuditFacts): string {
  let line = "";
  for (const limit of limits) {
    line = JSON.stringify(entryOf(seq, prev, facts, limit.text, limit.attempts));
    if (unprintable.test(line)) line = line.replace(everyUnprintable, escaped);
    if (line.length <= MAX_LINE_BYTES) break;
  }
  return line;
}

/** One attempt as the line shows it. Absent members are left out: an `undefined` makes JSON.stringify twice as slow. */
interface AttemptEntry {
  candidate: string | null;
  outcome: string | null;
  status: number | null;
  ms: number | null;
  ttft_ms?: number;
  usd?: number;
  /** Our own figure where the provider's was charged. */
  listed_usd?: number;
  /** `provider/model` behind an alias. */
  upstream?: string | null;
  upstream_id?: string | null;
  note?: string | null;
}

function entryOf(seq: number, prev: string, facts: AuditFacts, maxText: number, maxAttempts: number): object {
  const { served } = facts;
  const entry: Record<string, unknown> = {
    v: 1,
    seq,
    prev,
    ts: new Date(facts.ts).toISOString(),
    id: clip(facts.id, maxText),
    agent: clip(facts.agent, maxText),
    auth: facts.auth,
    peer: clip(facts.peer, maxText),
    dialect: facts.dialect,
    path: clip(facts.path, maxText),
    stream: facts.stream,
    requested_model: clip(facts.requestedModel, maxText),
    intent: clip(facts.intent, maxText),
    route: clip(facts.route, maxText),
    attempts: listedAttempts(facts, maxText, maxAttempts),
    served_by: served === null ? null : clip(served.candidate, maxText),
    local: served !== null && served.local,
    outcome: facts.outcome,
    status: facts.status,
    usage: usageOf(facts),
    usd: usdFromNanos(facts.nanos),
    held_usd: usdFromNanos(facts.heldNanos),
    would_have_usd: facts.wouldHaveNanos === null ? null : usdFromNanos(facts.wouldHaveNanos),
    price: served === null ? null : served.price,
    ms: facts.ms,
    bytes_in: facts.bytesIn,
    bytes_out: facts.bytesOut,
  };
  if (facts.clientRetry !== undefined) entry["client_retry"] = facts.clientRetry;
  if (facts.replayOf !== undefined) entry["replay_of"] = clip(facts.replayOf, maxText);
  if (facts.content !== undefined) entry["content"] = contentOf(facts.content);
  const leftOut = facts.attempts.length - maxAttempts;
  if (leftOut > 0) entry["attempts_left_out"] = leftOut;
  return entry;
}

function contentOf({ request, answer, kept, redacted }: ContentFacts): object {
  return {
    request,
    answer,
    ...(kept !== undefined && { kept: kept === null ? null : { file: kept.file, from: kept.from, to: kept.to } }),
    ...(redacted === true && { redacted }),
  };
}

/** Of an answer in two halves: the prompt once, the output of both, as the client was told. */
function usageOf({ served, attempts }: AuditFacts): object | null {
  if (served === null || served.usage === null) return null;
  const begun = attempts.find((attempt) => attempt.outcome === "taken_over" && attempt !== served)?.usage;
  const own = withOthers(served.usage);
  const usage =
    begun === undefined || begun === null
      ? own
      : {
          ...withOthers(begun),
          output: withOthers(begun).output + own.output,
          reasoning: begun.reasoning + own.reasoning,
        };
  return {
    input: usage.input,
    output: usage.output,
    cache_read: usage.cacheRead,
    cache_write: usage.cacheWrite5m + usage.cacheWrite1h,
    reasoning: usage.reasoning,
    source: served.usageSource ?? "counted",
  };
}

/** The first ones and, where some are left out, the served one (or the last) in place of the last listed. */
function listedAttempts(facts: AuditFacts, maxText: number, maxAttempts: number): AttemptEntry[] {
  const { attempts, served } = facts;
  const cut = attempts.length > maxAttempts;
  const count = cut ? maxAttempts - 1 : attempts.length;
  const listed: AttemptEntry[] = [];
  for (let i = 0; i < count; i++) listed.push(attemptOf(attempts[i]!, maxText));
  if (!cut) return listed;
  const late = served !== null && attempts.indexOf(served) >= count;
  listed.push(attemptOf(late ? served : attempts[attempts.length - 1]!, maxText));
  return listed;
}

function attemptOf(attempt: AttemptRecord, maxText: number): AttemptEntry {
  const entry: AttemptEntry = {
    candidate: clip(attempt.candidate, maxText),
    outcome: attempt.outcome,
    status: attempt.status,
    ms: attempt.ms === null ? null : Math.round(attempt.ms),
  };
  if (attempt.ttftMs !== null) entry.ttft_ms = Math.round(attempt.ttftMs);
  entry.usd = usdFromNanos(attempt.nanos);
  if (attempt.listedNanos !== undefined) entry.listed_usd = usdFromNanos(attempt.listedNanos);
  const upstream = `${attempt.provider}/${attempt.model}`;
  if (upstream !== attempt.candidate) entry.upstream = clip(upstream, maxText);
  if (attempt.upstreamId !== undefined) entry.upstream_id = clip(attempt.upstreamId, maxText);
  if (attempt.note !== null) entry.note = clip(attempt.note, maxText);
  return entry;
}

function clip(text: string | null, max: number): string | null {
  return text === null || text.length <= max ? text : `${text.slice(0, max - 1)}…`;
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
