// A line of a made-up request, for tests.

import type { TrailAttempt, TrailEntry } from "../layers/audit/index.ts";

export function sampleEntry(changes: Partial<TrailEntry> = {}): TrailEntry {
  return {
    seq: 1,
    id: "req_1",
    at: Date.UTC(2026, 10, 20, 12),
    agent: "windu",
    auth: "token",
    dialect: "chat",
    intent: null,
    route: "default",
    requestedModel: "gpt-4o-mini",
    attempts: [sampleTrailAttempt()],
    servedBy: "openrouter/openai/gpt-4o-mini",
    local: false,
    outcome: "ok",
    usage: { input: 1_000, output: 200, source: "upstream" },
    price: "reported",
    micros: 1_000,
    wouldHaveMicros: null,
    ms: 2_000,
    ...changes,
  };
}

export function sampleTrailAttempt(changes: Partial<TrailAttempt> = {}): TrailAttempt {
  return {
    candidate: "openrouter/openai/gpt-4o-mini",
    upstream: "openrouter/openai/gpt-4o-mini",
    outcome: "ok",
    micros: 1_000,
    listedMicros: null,
    upstreamId: null,
    ...changes,
  };
}
