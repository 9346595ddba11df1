// One agent floods an account and others ask now and then, through the real layer `pace`, in virtual time, at a provider
// that counts as the vendors do and answers 429 beyond: how long who waits, what the provider sees, and how much of the
// quota is used.

import { AttemptError } from "../../src/errors.ts";
import { Limits, pace } from "../../src/layers/limits/index.ts";
import { chosenFor, providerNamed, usageOf } from "../../src/layers/limits/sample-request.ts";
import type { GatewayResponse, Paced, Provider } from "../../src/request.ts";
import { createSeededRandom } from "../fuzz/seeded-random.ts";
import { VirtualTime } from "./virtual-time.ts";

export interface Account {
  readonly requestsPerMinute: number;
  /** Prompt tokens a minute; Infinity: not limited. */
  readonly inputTokensPerMinute: number;
  /** `steady`: what was taken comes back evenly (Anthropic, OpenAI). `windows`: all of it at the turn of the minute. */
  readonly refill: "steady" | "windows";
}

export interface Scenario {
  readonly name: string;
  readonly account: Account;
  /** Requests that the flooding agent has open at a time. */
  readonly flood: number;
  /** Agents that ask now and then, and the mean time between two of one; milliseconds. */
  readonly others: number;
  readonly everyMs: number;
  readonly minutes: number;
}

export interface Outcome {
  /** Of the others, from asking until their request is sent; milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
  readonly othersAsked: number;
  readonly othersRefused: number;
  /** Of the flooding agent. */
  readonly floodServed: number;
  readonly floodLongestMs: number;
  /** What the provider saw. */
  readonly asked: number;
  readonly tooMany: number;
  /** What it served, as a part of what it would have served at most, of the quota that was short. */
  readonly used: number;
}

const prompt = { bytes: 8_000, tokens: 2_000 };

/** Counts as a vendor does, and says so in the headers of that vendor. */
class CountingProvider {
  readonly #account: Account;
  readonly #time: VirtualTime;
  readonly #startedAt: number;
  #requests: number;
  #tokens: number;
  #countedAt: number;
  #windowEndsAt: number;
  asked = 0;
  tooMany = 0;
  served = 0;
  servedTokens = 0;

  constructor(account: Account, time: VirtualTime) {
    this.#account = account;
    this.#time = time;
    this.#startedAt = time.now();
    this.#requests = account.requestsPerMinute;
    this.#tokens = account.inputTokensPerMinute;
    this.#countedAt = time.monotonic();
    this.#windowEndsAt = this.#countedAt + 60_000;
  }

  ask(tokens: number): { readonly ok: boolean; readonly headers: Headers } {
    this.#refill();
    this.asked++;
    const ok = this.#requests >= 1 && this.#tokens >= tokens;
    if (ok) {
      this.#requests--;
      this.#tokens -= tokens;
      this.served++;
      this.servedTokens += tokens;
    } else this.tooMany++;
    return { ok, headers: this.#headers(ok, tokens) };
  }

  /** The most that could have been served so far. */
  most(perMinute: number): number {
    const elapsedMs = this.#time.now() - this.#startedAt;
    const { refill } = this.#account;
    return refill === "steady"
      ? perMinute + (perMinute * elapsedMs) / 60_000
      : perMinute * Math.ceil(elapsedMs / 60_000);
  }

  #refill(): void {
    const now = this.#time.monotonic();
    const { requestsPerMinute, inputTokensPerMinute, refill } = this.#account;
    const minutes = (now - this.#countedAt) / 60_000;
    this.#countedAt = now;
    if (refill === "steady") {
      this.#requests = Math.min(requestsPerMinute, this.#requests + requestsPerMinute * minutes);
      if (inputTokensPerMinute === Infinity) return;
      this.#tokens = Math.min(inputTokensPerMinute, this.#tokens + inputTokensPerMinute * minutes);
      return;
    }
    while (now >= this.#windowEndsAt) {
      this.#windowEndsAt += 60_000;
      this.#requests = requestsPerMinute;
      this.#tokens = inputTokensPerMinute;
    }
  }

  #headers(ok: boolean, tokens: number): Headers {
    const { requestsPerMinute, inputTokensPerMinute, refill } = this.#account;
    const requests = Math.max(0, Math.floor(this.#requests));
    if (refill === "windows") {
      return new Headers({
        "x-ratelimit-limit": `${requestsPerMinute}`,
        "x-ratelimit-remaining": `${requests}`,
        "x-ratelimit-reset": `${Math.ceil(this.#time.now() + this.#windowEndsAt - this.#time.monotonic())}`,
        ...(!ok && { "retry-after": "1" }),
      });
    }
    const headers = new Headers({
      "anthropic-ratelimit-requests-limit": `${requestsPerMinute}`,
      "anthropic-ratelimit-requests-remaining": `${requests}`,
      "anthropic-ratelimit-requests-reset": this.#fullAt(this.#requests, requestsPerMinute),
    });
    if (inputTokensPerMinute < Infinity) {
      headers.set("anthropic-ratelimit-input-tokens-limit", `${inputTokensPerMinute}`);
      // To the nearest thousand, as the vendor does.
      headers.set(
        "anthropic-ratelimit-input-tokens-remaining",
        `${Math.max(0, Math.round(this.#tokens / 1_000) * 1_000)}`,
      );
      headers.set("anthropic-ratelimit-input-tokens-reset", this.#fullAt(this.#tokens, inputTokensPerMinute));
    }
    if (!ok) {
      const waitMs = Math.max(
        ((1 - this.#requests) / requestsPerMinute) * 60_000,
        ((tokens - this.#tokens) / inputTokensPerMinute) * 60_000,
      );
      headers.set("retry-after", `${Math.max(1, Math.ceil(waitMs / 1_000))}`);
    }
    return headers;
  }

  /** In whole seconds, as the vendor does. */
  #fullAt(level: number, limit: number): string {
    const at = this.#time.now() + ((limit - level) / limit) * 60_000;
    return `${new Date(Math.ceil(at / 1_000) * 1_000).toISOString().slice(0, 19)}Z`;
  }
}

class Simulation {
  readonly #scenario: Scenario;
  readonly #time = new VirtualTime("2026-11-23T06:00:00Z");
  readonly #random: () => number;
  readonly #upstream: CountingProvider;
  readonly #limits: Limits;
  readonly #provider: Provider = providerNamed("anthropic");
  readonly #endsAt: number;
  readonly #waits: number[] = [];
  #refused = 0;
  #used = 0;
  #floodServed = 0;
  #floodLongestMs = 0;

  constructor(scenario: Scenario, seed: number) {
    this.#scenario = scenario;
    const random = createSeededRandom(seed);
    this.#random = () => random.next();
    this.#upstream = new CountingProvider(scenario.account, this.#time);
    this.#limits = new Limits({ clock: this.#time, random, wait: this.#time.wait });
    this.#limits.configure([this.#provider]);
    this.#endsAt = this.#time.now() + scenario.minutes * 60_000;
  }

  async run(): Promise<Outcome> {
    const { flood, others } = this.#scenario;
    const running = [
      this.#time.wait(this.#scenario.minutes * 60_000).then(() => this.#measureUse()),
      ...Array.from({ length: flood }, async () => this.#flood()),
      ...Array.from({ length: others }, async (_, index) => this.#askNowAndThen(`agent-${index}`)),
    ];
    await this.#time.run();
    await Promise.all(running);
    const sorted = this.#waits.toSorted((a, b) => a - b);
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    const { asked, tooMany } = this.#upstream;
    return {
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      longestMs: at(1),
      othersAsked: sorted.length,
      othersRefused: this.#refused,
      floodServed: this.#floodServed,
      floodLongestMs: this.#floodLongestMs,
      asked,
      tooMany,
      used: this.#used,
    };
  }

  async #flood(): Promise<void> {
    while (this.#time.now() < this.#endsAt) {
      const waited = await this.#ask("flood");
      if (waited.served) this.#floodServed++;
      this.#floodLongestMs = Math.max(this.#floodLongestMs, waited.ms);
      // As a client's own loop does.
      if (!waited.served) await this.#time.wait(Math.min(waited.retryAfterMs, 30_000) + this.#random() * 500);
    }
  }

  /** Of the quota that is short. */
  #measureUse(): void {
    const { requestsPerMinute, inputTokensPerMinute } = this.#scenario.account;
    const { served, servedTokens } = this.#upstream;
    const requests = served / this.#upstream.most(requestsPerMinute);
    const tokens = inputTokensPerMinute < Infinity ? servedTokens / this.#upstream.most(inputTokensPerMinute) : 0;
    this.#used = Math.max(requests, tokens);
  }

  async #askNowAndThen(agent: string): Promise<void> {
    for (;;) {
      await this.#time.wait(-Math.log(1 - this.#random()) * this.#scenario.everyMs);
      if (this.#time.now() >= this.#endsAt) return;
      const { served, ms } = await this.#ask(agent);
      this.#waits.push(ms);
      if (!served) this.#refused++;
    }
  }

  async #ask(agent: string): Promise<{ served: boolean; ms: number; retryAfterMs: number }> {
    const askedAt = this.#time.monotonic();
    let ms = 0;
    const tokens = Math.round(prompt.tokens * (0.5 + this.#random()));
    const bytes = Math.round(tokens * (prompt.bytes / prompt.tokens) * (0.9 + 0.2 * this.#random()));
    const send = async (paced: Paced): Promise<GatewayResponse> => {
      ms = this.#time.monotonic() - askedAt;
      // To the provider, and back.
      await this.#time.wait(40 + this.#random() * 30);
      const { ok, headers } = this.#upstream.ask(tokens);
      await this.#time.wait(300 + this.#random() * 1_500);
      paced.permit.learn(headers, ok ? 200 : 429);
      if (!ok) {
        const retryAfterMs = Number(headers.get("retry-after")) * 1_000;
        throw new AttemptError("upstream_429", { status: 429, retryAfterMs });
      }
      const finished = (async () => {
        await this.#time.wait(2_000 + this.#random() * 8_000);
        paced.attempt.usage = usageOf({ input: tokens, output: 300 });
        paced.attempt.outcome = "ok";
        return { outcome: "ok", bytesOut: 1 } as const;
      })();
      return { status: 200, headers: {}, body: "", finished };
    };
    const chosen = chosenFor(this.#provider, { inputTokenBound: bytes, maxOutputTokens: 1_000 }, agent);
    try {
      const response = await pace(this.#limits)(send)(chosen);
      await response.finished;
      return { served: true, ms, retryAfterMs: 0 };
    } catch (error) {
      if (!(error instanceof AttemptError)) throw error;
      return {
        served: false,
        ms: this.#time.monotonic() - askedAt,
        retryAfterMs: error.retryAfterMs ?? 1_000,
      };
    }
  }
}

export async function simulateRateLimits(scenario: Scenario, seed: number): Promise<Outcome> {
  return await new Simulation(scenario, seed).run();
}
