// For tests: one attempt as `send` gets it, and what stands around it.

import type { AttemptRecord, Candidate, Keyed, Operation, Provider } from "../request.ts";
import type { Clock } from "../clock.ts";
import { LentKey } from "../lent-key.ts";
import { Scrubber } from "../scrubber.ts";
import type { Secret } from "../secret.ts";
import type { Dialect, JsonObject, WireFacts } from "../wire/neutral.ts";

/** Stands still until it is told to go on. */
export class StillClock implements Clock {
  ms = 1_000;
  now(): number {
    return this.ms;
  }
  monotonic(): number {
    return this.ms;
  }
}

export function providerAt(url: string, some: Partial<Provider> = {}): Provider {
  return {
    name: "cloud",
    url,
    dialects: ["chat"],
    local: false,
    key: { from: "none" },
    headers: {},
    caFile: undefined,
    timeouts: { connectMs: 10_000, firstByteMs: 10_000, firstContentMs: 10_000, idleMs: 10_000, totalMs: 10_000 },
    limits: {
      requestsPerMinute: undefined,
      inputTokensPerMinute: undefined,
      outputTokensPerMinute: undefined,
      concurrent: undefined,
    },
    retry: { attempts: 1, baseMs: 500, maxMs: 8_000 },
    ...some,
  };
}

export interface Sample {
  readonly provider?: Provider;
  /** Of the client. */
  readonly dialect?: Dialect;
  readonly candidate?: Partial<Candidate>;
  readonly operation?: Operation;
  readonly facts?: Partial<WireFacts>;
  readonly body?: JsonObject;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
  readonly draw?: (tokens: number) => boolean;
  readonly learnPrompt?: Keyed["allowance"]["learnPrompt"];
  readonly clampTo?: number;
  readonly key?: Secret;
}

export function keyedOf(sample: Sample = {}): Keyed {
  const dialect = sample.dialect ?? "chat";
  const provider = sample.provider ?? providerAt("http://127.0.0.1:9");
  const candidate: Candidate = {
    name: `${provider.name}/upstream-model`,
    provider,
    model: "upstream-model",
    dialect: provider.dialects[0]!,
    local: provider.local,
    price: null,
    context: undefined,
    maxOutput: undefined,
    hiddenReasoning: false,
    reason: "requested",
    ...sample.candidate,
  };
  const attempt = attemptOf(candidate);
  const signal = sample.signal ?? new AbortController().signal;
  const body = sample.body ?? { model: "asked-model", messages: [{ role: "user", content: "Hi" }] };
  const facts: WireFacts = {
    model: "asked-model",
    stream: false,
    maxOutputTokens: 100,
    choices: 1,
    hasTools: false,
    hasImages: false,
    hasThinking: false,
    hasJsonFormat: false,
    wantsUsageEvent: false,
    inputTokenBound: 300,
    ...sample.facts,
  };
  return {
    request: {
      id: "req_01SAMPLE",
      operation: sample.operation ?? "generate",
      dialect,
      path: "/v1/chat/completions",
      claimedAgent: undefined,
      headers: new Headers(sample.headers),
      peer: "127.0.0.1",
      fromLoopback: true,
      signal,
      readBody: async () => new Uint8Array(),
      record: {
        id: "req_01SAMPLE",
        arrivedAt: 0,
        agent: "windu",
        auth: "token",
        requestedModel: facts.model,
        stream: facts.stream,
        intent: null,
        route: null,
        attempts: [attempt],
        served: null,
        bytesIn: 0,
        wouldHaveNanos: null,
      },
      agent: {
        name: "windu",
        auth: "token",
        caps: { daily: 0, hourly: undefined, monthly: undefined },
        requestsPerMinute: undefined,
        maxConcurrent: undefined,
        models: undefined,
        overBudget: "local",
      },
      passthrough: null,
      facts,
      body,
      text: JSON.stringify(body),
      intent: null,
      candidates: [candidate],
      route: "default",
    },
    candidate,
    attempt,
    signal,
    permit: { learn: () => undefined },
    allowance: {
      outputTokens: 100,
      clampTo: sample.clampTo,
      draw: sample.draw ?? (() => true),
      learnPrompt: sample.learnPrompt ?? (() => undefined),
    },
    key: sample.key === undefined ? null : new LentKey(sample.key, new URL(provider.url).origin),
    scrubber: sample.key === undefined ? null : new Scrubber([sample.key.forms()]),
  };
}

function attemptOf(candidate: Candidate): AttemptRecord {
  return {
    candidate: candidate.name,
    provider: candidate.provider.name,
    model: candidate.model,
    local: candidate.local,
    startedAt: 1_000,
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
