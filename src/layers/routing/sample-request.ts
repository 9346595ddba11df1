// For tests: providers, and requests on their way from `understand` to `tryEach`.

import type { Agent, AttemptRecord, Candidate, Chosen, GatewayResponse, Planned, Provider } from "../../request.ts";
import type { Operation, Understood } from "../../request.ts";
import type { Clock } from "../../clock.ts";
import type { Dialect, WireFacts } from "../../wire/neutral.ts";
import type { LocalHealth } from "./local-readiness.ts";

/** Every local server is there, with its model. */
export const allReady: LocalHealth = {
  of: () => "ready",
  renewed: async () => "ready",
  loaded: async () => "ready",
};

export function providerOf(name: string, some: Partial<Provider> = {}): Provider {
  return {
    name,
    url: `https://${name}.example`,
    dialects: ["chat"],
    local: false,
    key: { from: "keychain" },
    headers: {},
    caFile: undefined,
    timeouts: { connectMs: 1, firstByteMs: 1, firstContentMs: 1, idleMs: 1, totalMs: 60_000 },
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

export function localOf(name: string, some: Partial<Provider> = {}): Provider {
  return providerOf(name, { local: true, key: { from: "none" }, ...some });
}

export function candidateAt(provider: Provider, some: Partial<Candidate> = {}): Candidate {
  return {
    name: `${provider.name}/model`,
    provider,
    model: "model",
    dialect: provider.dialects[0]!,
    local: provider.local,
    price: null,
    context: undefined,
    maxOutput: undefined,
    hiddenReasoning: false,
    reason: "requested",
    ...some,
  };
}

interface Asked {
  readonly model?: string;
  readonly dialect?: Dialect;
  readonly operation?: Operation;
  readonly facts?: Partial<WireFacts>;
  readonly agent?: Partial<Agent>;
  readonly headers?: Record<string, string>;
  readonly intent?: string | null;
  readonly signal?: AbortSignal;
}

export function understoodOf(asked: Asked = {}): Understood {
  return {
    id: "req_1",
    operation: asked.operation ?? "generate",
    dialect: asked.dialect ?? "chat",
    path: "/v1/chat/completions",
    claimedAgent: undefined,
    headers: new Headers({ "content-type": "application/json", ...asked.headers }),
    peer: "127.0.0.1",
    fromLoopback: true,
    signal: asked.signal ?? new AbortController().signal,
    readBody: async () => new Uint8Array(),
    record: {
      id: "req_1",
      arrivedAt: 0,
      agent: "windu",
      auth: "token",
      requestedModel: null,
      stream: false,
      intent: null,
      route: null,
      attempts: [],
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
      ...asked.agent,
    },
    passthrough: null,
    facts: {
      model: asked.model ?? "model",
      stream: false,
      maxOutputTokens: 100,
      choices: 1,
      hasTools: false,
      hasImages: false,
      hasThinking: false,
      hasJsonFormat: false,
      wantsUsageEvent: false,
      inputTokenBound: 100,
      ...asked.facts,
    },
    body: {},
    text: "{}",
    intent: asked.intent ?? null,
  };
}

export function plannedOf(candidates: readonly Candidate[], asked: Asked = {}): Planned {
  return { ...understoodOf(asked), candidates, route: "default" };
}

export function answerOf(body: string, status = 200): GatewayResponse {
  return { status, headers: {}, body, finished: Promise.resolve({ outcome: "ok", bytesOut: body.length }) };
}

export function outcomesOf(attempts: readonly AttemptRecord[]): string[] {
  return attempts.map((attempt) => `${attempt.candidate}:${attempt.outcome ?? "open"}`);
}

/** Answers each call with the next of these steps, and keeps the candidates that were called. */
export function scripted(...steps: readonly ((chosen: Chosen) => GatewayResponse)[]): {
  readonly next: (chosen: Chosen) => Promise<GatewayResponse>;
  readonly called: string[];
} {
  const called: string[] = [];
  const next = async (chosen: Chosen): Promise<GatewayResponse> => {
    const step = steps[called.length];
    called.push(chosen.candidate.name);
    if (step === undefined) throw new Error("called more often than scripted");
    return step(chosen);
  };
  return { next, called };
}

/** Goes on by one millisecond with each look at it. */
export function tickingClock(): Clock {
  let ms = 1_000;
  return { now: () => ms, monotonic: () => ++ms };
}
