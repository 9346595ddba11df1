// For tests: a request on its way through the limits.

import type {
  AttemptRecord,
  Candidate,
  Chosen,
  KeyReference,
  Planned,
  Provider,
  ProviderLimits,
} from "../../request.ts";
import type { Usage, WireFacts } from "../../wire/neutral.ts";

export function providerNamed(
  name: string,
  limits: Partial<ProviderLimits> = {},
  key: "keychain" | "passthrough" = "keychain",
): Provider {
  const reference: KeyReference = { from: key };
  return {
    name,
    url: `https://${name}.example`,
    dialects: ["messages"],
    local: false,
    key: reference,
    headers: {},
    caFile: undefined,
    timeouts: { connectMs: 1, firstByteMs: 1, firstContentMs: 1, idleMs: 1, totalMs: 60_000 },
    limits: {
      requestsPerMinute: undefined,
      inputTokensPerMinute: undefined,
      outputTokensPerMinute: undefined,
      concurrent: undefined,
      ...limits,
    },
    retry: { attempts: 2, baseMs: 500, maxMs: 8_000 },
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

export function chosenFor(provider: Provider, some: Partial<WireFacts> = {}, agent = "windu", model = "model"): Chosen {
  const candidate: Candidate = {
    name: `${provider.name}/${model}`,
    provider,
    model,
    dialect: "messages",
    local: provider.local,
    price: null,
    context: undefined,
    maxOutput: undefined,
    hiddenReasoning: false,
    reason: "asked for",
  };
  const { signal } = new AbortController();
  return {
    request: plannedBy(agent, factsWith(some), candidate, signal),
    candidate,
    attempt: attemptAt(candidate),
    signal,
  };
}

function factsWith(some: Partial<WireFacts>): WireFacts {
  return {
    model: "model",
    stream: false,
    maxOutputTokens: 100,
    choices: 1,
    hasTools: false,
    hasImages: false,
    hasThinking: false,
    hasJsonFormat: false,
    wantsUsageEvent: false,
    inputTokenBound: 100,
    ...some,
  };
}

function plannedBy(agent: string, facts: WireFacts, candidate: Candidate, signal: AbortSignal): Planned {
  return {
    id: "req_1",
    operation: "generate",
    dialect: "messages",
    path: "/v1/messages",
    claimedAgent: undefined,
    headers: new Headers(),
    peer: "127.0.0.1",
    fromLoopback: true,
    signal,
    readBody: async () => new Uint8Array(),
    record: {
      id: "req_1",
      arrivedAt: 0,
      agent,
      auth: "token",
      requestedModel: "model",
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
      caps: { daily: 0, hourly: undefined, monthly: undefined },
      requestsPerMinute: undefined,
      maxConcurrent: undefined,
      models: undefined,
      overBudget: "local",
    },
    passthrough: null,
    facts,
    body: {},
    text: "{}",
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
    price: "free",
    usage: null,
    usageSource: null,
    reportedModel: null,
    note: null,
  };
}
