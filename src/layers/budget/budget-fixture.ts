// For tests: a folder that goes away, a clock set by hand, and a request on its way to the money.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "../../clock.ts";
import { NANOS_PER_USD, type Nanos } from "../../money.ts";
import type { AttemptRecord, Candidate, Caps, GatewayResponse, Paced, Planned, Price } from "../../request.ts";
import type { JsonObject, Usage, WireFacts } from "../../wire/neutral.ts";
import type { HoldAsk, Ledger } from "./ledger.ts";
import { openSqliteLedger } from "./sqlite-ledger.ts";

export class ManualClock implements Clock {
  ms: number;
  /** By how much the wall clock was set, and how long the machine slept; milliseconds. */
  setBy = 0;
  slept = 0;

  constructor(iso: string) {
    this.ms = Date.parse(iso);
  }

  now(): number {
    return this.ms + this.setBy;
  }

  monotonic(): number {
    return this.ms - this.slept;
  }

  readonly sinceBoot = (): number => this.ms;

  sleep(ms: number): void {
    this.ms += ms;
    this.slept += ms;
  }
}

/** Gone when the `using` block ends. */
export function temporaryFolder(): { path: string; file: string; [Symbol.dispose]: () => void } {
  const path = mkdtempSync(join(tmpdir(), "ledger-"));
  return {
    path,
    file: join(path, "state", "ledger.sqlite"),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

export function openAt(file: string, clock: Clock = new ManualClock("2026-11-23T12:00:00Z"), timezone = "UTC"): Ledger {
  // The manual clock stands still between steps: nothing may wait for it.
  return openSqliteLedger({ file, timezone, clock, gatherMs: 0 });
}

export function capOf(daily: Nanos, more: Partial<Caps> = {}): Caps {
  return { daily, hourly: undefined, monthly: undefined, ...more };
}

let asks = 0;

export function askFor(nanos: Nanos, caps: Caps, some: Partial<HoldAsk> = {}): HoldAsk {
  asks++;
  return {
    requestId: `req_${asks}`,
    attempt: 1,
    agent: "windu",
    caps,
    nanos,
    candidate: "anthropic/claude-sonnet-4-5",
    facts: () => '{"agent":"windu"}',
    ...some,
  };
}

export function usageOf(some: Partial<Usage>): Usage {
  return {
    input: 0,
    cacheRead: 0,
    cacheWrite5m: 0,
    cacheWrite1h: 0,
    output: 0,
    reasoning: 0,
    serverTools: undefined,
    reportedUsd: undefined,
    tier: undefined,
    ...some,
  };
}

/** $1 a million input tokens, $10 a million output tokens, and nothing else. */
export const plainPrice: Price = {
  input: 1_000_000,
  output: 10_000_000,
  cacheRead: 1_000_000,
  cacheWrite5m: 1_000_000,
  cacheWrite1h: 1_000_000,
  long: null,
  source: "catalogue",
};

export interface PacedOptions {
  readonly price?: Price | null;
  readonly provider?: string;
  readonly model?: string;
  readonly dailyUsd?: number;
  readonly facts?: Partial<WireFacts>;
  readonly candidate?: Partial<Candidate>;
  readonly operation?: Planned["operation"];
  readonly body?: JsonObject;
  readonly agent?: string;
}

export function pacedFor(options: PacedOptions = {}): Paced {
  const candidate = candidateFor(options);
  const request = plannedFor(options, candidate);
  const attempt = attemptAt(candidate);
  request.record.attempts.push(attempt);
  return { request, candidate, attempt, signal: request.signal, permit: { learn: () => undefined } };
}

export function answerEnding(finish: Promise<Awaited<GatewayResponse["finished"]>>): GatewayResponse {
  return { status: 200, headers: {}, body: "{}", finished: finish };
}

function candidateFor({ price = plainPrice, provider = "test", model = "model", candidate }: PacedOptions): Candidate {
  return {
    name: `${provider}/${model}`,
    provider: {
      name: provider,
      url: `https://${provider}.example`,
      dialects: ["messages"],
      local: price === null,
      key: { from: "none" },
      headers: {},
      caFile: undefined,
      timeouts: { connectMs: 1, firstByteMs: 1, firstContentMs: 1, idleMs: 1, totalMs: 60_000 },
      limits: {
        requestsPerMinute: undefined,
        inputTokensPerMinute: undefined,
        outputTokensPerMinute: undefined,
        concurrent: undefined,
      },
      retry: { attempts: 1, baseMs: 1, maxMs: 1 },
    },
    model,
    dialect: "messages",
    local: price === null,
    price,
    context: undefined,
    maxOutput: undefined,
    hiddenReasoning: false,
    reason: "asked for",
    ...candidate,
  };
}

function plannedFor(options: PacedOptions, candidate: Candidate): Planned {
  const agent = options.agent ?? "windu";
  asks++;
  return {
    id: `req_${asks}`,
    operation: options.operation ?? "generate",
    dialect: "messages",
    path: "/v1/messages",
    claimedAgent: undefined,
    headers: new Headers(),
    peer: "127.0.0.1",
    fromLoopback: true,
    signal: new AbortController().signal,
    readBody: async () => new Uint8Array(),
    record: {
      id: `req_${asks}`,
      arrivedAt: 0,
      agent,
      auth: "token",
      requestedModel: candidate.model,
      stream: false,
      intent: null,
      route: null,
      attempts: [],
      served: null,
      bytesIn: 0,
      wouldHaveNanos: null,
    },
    agent: {
      name: agent,
      auth: "token",
      caps: capOf((options.dailyUsd ?? 1) * NANOS_PER_USD),
      requestsPerMinute: undefined,
      maxConcurrent: undefined,
      models: undefined,
      overBudget: "local",
    },
    passthrough: null,
    facts: {
      model: candidate.model,
      stream: false,
      maxOutputTokens: 100,
      choices: 1,
      hasTools: false,
      hasImages: false,
      hasThinking: false,
      hasJsonFormat: false,
      wantsUsageEvent: false,
      inputTokenBound: 1_000,
      ...options.facts,
    },
    body: options.body ?? {},
    text: JSON.stringify(options.body ?? {}),
    intent: null,
    candidates: [candidate],
    route: "default",
  };
}

function attemptAt(candidate: Candidate): AttemptRecord {
  return {
    candidate: candidate.name,
    provider: candidate.provider.name,
    model: candidate.model,
    local: candidate.local,
    startedAt: 0,
    outcome: null,
    status: null,
    ms: null,
    ttftMs: null,
    nanos: 0,
    heldNanos: 0,
    price: candidate.price?.source ?? "free",
    usage: null,
    usageSource: null,
    reportedModel: null,
    note: null,
  };
}

/** What a promise is rejected with; null where it resolves. */
export async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
    return null;
  } catch (error) {
    return error;
  }
}
