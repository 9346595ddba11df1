// Three requests of a made-up day, put through the real audit lines, counters and documents: what the pages show is what the
// program writes.

import type { Clock } from "../../src/clock.ts";
import { GENESIS, Tally, createStats, type AuditFacts, type StatsDocument } from "../../src/layers/audit/index.ts";
import { hashLine } from "../../src/layers/audit/chain.ts";
import { entryLine } from "../../src/layers/audit/entry.ts";
import type { AttemptRecord } from "../../src/request.ts";

const noon = Date.UTC(2026, 10, 23, 11);
const second = 1_000;

const cloudAttempt: AttemptRecord = {
  candidate: "anthropic/claude-sonnet-4-5",
  provider: "anthropic",
  model: "claude-sonnet-4-5",
  local: false,
  startedAt: 0,
  outcome: "ok",
  status: 200,
  ms: 2_140,
  ttftMs: 410,
  nanos: 8_700_000,
  heldNanos: 34_875_000,
  price: "catalogue",
  usage: {
    input: 1_200,
    output: 340,
    cacheRead: 0,
    cacheWrite5m: 0,
    cacheWrite1h: 0,
    reasoning: 0,
    serverTools: undefined,
    reportedUsd: undefined,
    tier: undefined,
  },
  usageSource: "upstream",
  reportedModel: null,
  note: null,
};

const limited: AttemptRecord = {
  ...cloudAttempt,
  outcome: "upstream_429",
  status: 429,
  ms: 180,
  ttftMs: null,
  nanos: 0,
  usage: null,
  usageSource: null,
};

const localAttempt: AttemptRecord = {
  ...cloudAttempt,
  candidate: "coder-14b",
  provider: "ollama",
  model: "qwen2.5-coder:14b",
  local: true,
  ms: 1_900,
  nanos: 0,
  heldNanos: 0,
  price: "free",
};

const served: AuditFacts = {
  ts: noon,
  id: "req_01KASC2T48TGVJR0Y4YQZ5N3M7",
  agent: "windu",
  auth: "token",
  peer: "127.0.0.1",
  dialect: "messages",
  path: "/v1/messages",
  stream: true,
  requestedModel: "claude-sonnet-4-5",
  intent: null,
  route: "default",
  attempts: [cloudAttempt],
  served: cloudAttempt,
  outcome: "ok",
  status: 200,
  nanos: 8_700_000,
  heldNanos: 34_875_000,
  wouldHaveNanos: null,
  ms: 2_160,
  bytesIn: 5_120,
  bytesOut: 2_048,
};

const fallenBack: AuditFacts = {
  ...served,
  ts: noon + 5 * second,
  id: "req_01KASC2Z08N5D1Q7T9W2X4Y6ZA",
  attempts: [limited, localAttempt],
  served: localAttempt,
  nanos: 0,
  wouldHaveNanos: 8_700_000,
  ms: 2_090,
};

const stranger: AuditFacts = {
  ...served,
  ts: noon + 9 * second,
  id: "req_01KASC32X8F4G6H8J0K2M4N6P8",
  agent: null,
  auth: null,
  stream: false,
  requestedModel: null,
  route: null,
  attempts: [],
  served: null,
  outcome: "refused_identity",
  status: 401,
  nanos: 0,
  heldNanos: 0,
  ms: 0,
  bytesIn: 0,
  bytesOut: 0,
};

const day: readonly AuditFacts[] = [served, fallenBack, stranger];

/** The lines of the day, as they stand in the file. */
export function sampleLines(): readonly string[] {
  let prev = GENESIS;
  return day.map((facts, index) => {
    const line = entryLine(index + 1, prev, facts);
    prev = hashLine(line);
    return line;
  });
}

/** With everything that a line or one of its attempts can hold. */
export function fullestLine(): string {
  const noted = { ...limited, listedNanos: 1_000, upstreamId: "req_vendor", note: "a note" };
  const attempts = [...Array.from({ length: 20 }, () => noted), localAttempt];
  const hash = `sha256:${"0".repeat(64)}`;
  const kept = { file: "20261123T110000Z.sealed", from: 210, to: 9_000 };
  const content = { request: hash, answer: hash, kept, redacted: true };
  return entryLine(1, GENESIS, { ...fallenBack, attempts, clientRetry: 1, replayOf: served.id, content });
}

/** The day's counters and the `/stats` document over them; `full`: with everything that a document can hold. */
export function sampleStats(full = false): { readonly stats: StatsDocument; readonly tally: Tally } {
  const tally = new Tally(() => "2026-11-23");
  const reported: AttemptRecord = { ...cloudAttempt, price: "reported", listedNanos: 8_500_000 };
  for (const facts of full ? [...day, { ...served, attempts: [reported], served: reported }] : day) {
    tally.opened();
    tally.closed(facts);
  }
  tally.opened();
  let uptimeMs = 0;
  const clock: Clock = { now: () => noon + 60 * second, monotonic: () => uptimeMs };
  const lines = sampleLines();
  const stats = createStats({
    version: "1.0.0",
    clock,
    tally,
    timezone: () => "Europe/Vienna",
    day: () => ({ key: "2026-11-23", endsAt: Date.UTC(2026, 10, 23, 23) }),
    agents: () => [["windu", { daily: 2_000_000_000, ...(full && { hourly: 500_000_000, monthly: 20_000_000_000 }) }]],
    missingModels: () =>
      full
        ? [
            {
              name: "gemma-4",
              provider: "ollama",
              model: "gemma4:31b",
              instead: null,
              message: "gemma-4: ollama has no model gemma4:31b; fetch it: `ollama pull gemma4:31b`",
            },
          ]
        : [],
    windowBalances: () => ({
      hour: { spentNanos: 8_700_000, heldNanos: 34_875_000 },
      month: { spentNanos: 8_700_000, heldNanos: 34_875_000 },
    }),
    balances: () => ({ spentNanos: 8_700_000, heldNanos: 34_875_000 }),
    config: () => ({ generation: 4, loadedAt: noon - 3_600 * second, fault: null }),
    providers: () => [
      [
        "anthropic",
        {
          state: "closed",
          key: "ok",
          limits: {
            requests: { limit: 50, remaining: 49, resets_at: "2026-11-23T11:00:11.200Z" },
            ...(full && {
              configured: { requests: { limit: 60, remaining: 59, resets_at: "2026-11-23T11:00:11.000Z" } },
              models: {
                "claude-sonnet-4": {
                  requests: { limit: 50, remaining: 49, resets_at: "2026-11-23T11:00:11.200Z" },
                },
              },
            }),
          },
          waiting: 0,
          backoffUntil: null,
          ...(full && {
            server: { state: "ready", since: noon - 60 * second, loaded: ["qwen2.5-coder:14b"], concurrent: 4 },
          }),
          ...(full && { models: { "claude-opus-4": { state: "closed", backoff_until: "2026-11-23T11:01:12.000Z" } } }),
        },
      ],
    ],
    ledger: () => ({ fault: null, exceeded: 0, expired: 0, notes: [] }),
    seal: () => ({ place: "keychain", seq: 3, fault: null, alarms: [] }),
    audit: () => ({
      entries: lines.length,
      head: hashLine(lines.at(-1)!),
      lastWrittenAt: noon + 9 * second,
      fault: null,
      pending: 0,
      lost: 0,
      notes: [],
    }),
  });
  uptimeMs = 12_345 * second;
  return { stats: stats(), tally };
}
