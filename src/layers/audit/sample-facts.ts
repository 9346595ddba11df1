// Facts of a made-up request, for tests.

import type { Clock } from "../../clock.ts";
import type { AttemptRecord } from "../../request.ts";
import type { AuditFacts } from "./sink.ts";

/** A good attempt at a cloud model. */
export function sampleAttempt(changes: Partial<AttemptRecord> = {}): AttemptRecord {
  return {
    candidate: "anthropic/claude-sonnet-4-5",
    provider: "anthropic",
    model: "claude-sonnet-4-5",
    local: false,
    startedAt: 0,
    outcome: "ok",
    status: 200,
    ms: 210,
    ttftMs: 40,
    nanos: 8_700_000,
    heldNanos: 10_200_000,
    price: "catalogue",
    usage: {
      input: 1200,
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
    ...changes,
  };
}

/** A request served by one good attempt. */
export function sampleFacts(changes: Partial<AuditFacts> = {}): AuditFacts {
  const attempt = sampleAttempt();
  return {
    ts: Date.UTC(2026, 10, 23, 17, 59, 58, 120),
    id: "req_1",
    agent: "windu",
    auth: "token",
    peer: "127.0.0.1",
    dialect: "messages",
    path: "/v1/messages",
    stream: true,
    requestedModel: "claude-sonnet-4-5",
    intent: "code",
    route: "default",
    attempts: [attempt],
    served: attempt,
    outcome: "ok",
    status: 200,
    nanos: 8_700_000,
    heldNanos: 10_200_000,
    wouldHaveNanos: null,
    ms: 2140,
    bytesIn: 5120,
    bytesOut: 2048,
    ...changes,
  };
}

/** A clock that stands still until it is moved. */
export class StandingClock implements Clock {
  #wall: number;
  #monotonic = 0;

  constructor(wall: number = Date.UTC(2026, 10, 23, 18)) {
    this.#wall = wall;
  }

  now(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  advance(ms: number): void {
    this.#wall += ms;
    this.#monotonic += ms;
  }
}
