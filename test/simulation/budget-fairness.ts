// Workers of one agent against one small cap (64 against $5 as the threat model has it, section 3.4), through the real layer `fund` and the real ledger, in virtual
// time: how much of the cap they get, and how often they are sent away for money that was only held.

import { AttemptError } from "../../src/errors.ts";
import { costNanos } from "../../src/layers/budget/cost.ts";
import { openAt, pacedFor, temporaryFolder, usageOf } from "../../src/layers/budget/budget-fixture.ts";
import { fund, type Ledger, RoomLine } from "../../src/layers/budget/index.ts";
import { NANOS_PER_USD } from "../../src/money.ts";
import type { Finish, Funded, GatewayResponse, Handler, Paced, Price } from "../../src/request.ts";
import type { Usage } from "../../src/wire/neutral.ts";
import { createSeededRandom } from "../fuzz/seeded-random.ts";
import { VirtualTime } from "./virtual-time.ts";

/** Sonnet's list, pico-dollars a token. */
const price: Price = {
  input: 3_000_000,
  output: 15_000_000,
  cacheRead: 300_000,
  cacheWrite5m: 3_750_000,
  cacheWrite1h: 6_000_000,
  long: null,
  source: "catalogue",
};
const maxTokens = 32_000;
const tokensPerSecond = 70;
const bytesPerToken = 4.2;
const localAnswerMs = 8_000;
/** Whoever would go on for longer has found a way to spend nothing. */
const longestMs = 3_600_000;

export interface Scenario {
  readonly name: string;
  /** `streamed`: every token is seen. `thinking`: streamed, with output that is not shown. `whole`: not streamed. */
  readonly kind: "streamed" | "thinking" | "whole";
  /** Whether the vendor tells the prompt's size at the start of a stream, and counts prompts when asked. */
  readonly tells: boolean;
  readonly patienceMs: number;
  /** Part of the prompt that is read from the cache. */
  readonly cached: number;
  readonly workers: number;
  readonly capUsd: number;
}

export interface Outcome {
  readonly capUsed: number;
  /** What the vendor bills beyond the cap, nano-dollars. */
  readonly overspentNanos: number;
  readonly served: number;
  /** Sent to the local model although the money was only held. */
  readonly sentHome: number;
  readonly waited: number;
  readonly cut: number;
  readonly seconds: number;
}

interface Drawn {
  readonly prompt: number;
  readonly output: number;
  readonly firstByteMs: number;
}

class Simulation {
  readonly #scenario: Scenario;
  readonly #random: () => number;
  readonly #time = new VirtualTime("2026-11-23T06:00:00Z");
  readonly #ledger: Ledger;
  readonly #line: RoomLine;
  readonly #layer: (drawn: Drawn) => Handler<Paced>;
  readonly #startedAt = this.#time.now();
  #billed = 0;
  #served = 0;
  #sentHome = 0;
  #waited = 0;
  #cut = 0;
  #lastAt = this.#startedAt;

  constructor(scenario: Scenario, seed: number, file: string) {
    this.#scenario = scenario;
    const random = createSeededRandom(seed);
    this.#random = () => random.next();
    this.#ledger = openAt(file, this.#time);
    this.#line = new RoomLine({ patienceMs: scenario.patienceMs, wait: this.#time.wait });
    const ledger: Pick<Ledger, "hold" | "room" | "unspent"> = {
      hold: async (ask) => this.#time.real(this.#ledger.hold(ask)),
      room: (agent, caps) => this.#ledger.room(agent, caps),
      unspent: (agent, caps) => this.#ledger.unspent(agent, caps),
    };
    this.#layer = (drawn) =>
      fund({ ledger, line: this.#line, facts: () => "{}", report: () => undefined })(async (funded) =>
        this.#answer(funded, drawn),
      );
  }

  async run(): Promise<Outcome> {
    const working = Array.from({ length: this.#scenario.workers }, async () => this.#work());
    await this.#time.run();
    await Promise.all(working);
    const { spentNanos, heldNanos } = this.#ledger.balances("windu");
    if (heldNanos !== 0) throw new Error("holds are left");
    await this.#ledger.close();
    const cap = this.#scenario.capUsd * NANOS_PER_USD;
    return {
      capUsed: spentNanos / cap,
      overspentNanos: Math.max(0, this.#billed - cap),
      served: this.#served,
      sentHome: this.#sentHome,
      waited: this.#waited,
      cut: this.#cut,
      seconds: (this.#lastAt - this.#startedAt) / 1_000,
    };
  }

  /** One request after the other, until the money is spent. */
  async #work(): Promise<void> {
    await this.#time.wait(this.#random() * 1_000);
    while (this.#time.now() - this.#startedAt < longestMs) {
      const drawn = this.#draw();
      const askedAt = this.#time.now();
      try {
        const response = await this.#layer(drawn)(this.#request(drawn));
        await response.finished;
        this.#served++;
        this.#lastAt = this.#time.now();
      } catch (error) {
        if (!(error instanceof AttemptError) || error.outcome !== "skipped_budget") throw error;
        if (error.retryAfterMs === undefined) return;
        this.#sentHome++;
        if (this.#time.now() > askedAt) this.#waited++;
        await this.#time.wait(localAnswerMs);
      }
      await this.#time.wait(this.#random() * 1_000);
    }
  }

  #draw(): Drawn {
    const prompt = Math.round(20_000 * Math.exp(0.3 * this.#normal()));
    const output = Math.min(maxTokens, Math.ceil(700 * Math.exp(0.9 * this.#normal())));
    return { prompt, output, firstByteMs: 800 + this.#random() * 1_700 };
  }

  #normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.#random())) * Math.cos(2 * Math.PI * this.#random());
  }

  #request({ prompt }: Drawn): Paced {
    const { kind, tells, capUsd } = this.#scenario;
    return pacedFor({
      provider: tells ? "anthropic" : "somewhere",
      price,
      dailyUsd: capUsd,
      body: { system: [{ type: "text", text: "", cache_control: { type: "ephemeral" } }] },
      candidate: { context: 200_000 },
      facts: {
        stream: kind !== "whole",
        hasThinking: kind === "thinking",
        maxOutputTokens: maxTokens,
        inputTokenBound: Math.ceil(prompt * bytesPerToken),
      },
    });
  }

  async #answer(funded: Funded, drawn: Drawn): Promise<GatewayResponse> {
    const { request, allowance } = funded;
    if (request.operation === "count_tokens") {
      await this.#time.wait(300);
      const body = JSON.stringify({ input_tokens: drawn.prompt });
      return { status: 200, headers: {}, body, finished: Promise.resolve({ outcome: "ok", bytesOut: body.length }) };
    }
    await this.#time.wait(drawn.firstByteMs);
    const usage = this.#usageOf(drawn);
    if (request.facts.stream) allowance.learnPrompt(usage);
    return { status: 200, headers: {}, body: "", finished: this.#generate(funded, drawn, usage) };
  }

  /** The vendor bills what it wrote; the clamp that was written into the request ends it as `max_tokens` does. */
  async #generate(funded: Funded, drawn: Drawn, usage: Usage): Promise<Finish> {
    const { allowance, attempt } = funded;
    const most = Math.min(drawn.output, allowance.clampTo ?? Infinity);
    if (most < drawn.output) this.#cut++;
    let written = 0;
    while (written < most) {
      const step = Math.min(64, most - written);
      await this.#time.wait((step / tokensPerSecond) * 1_000);
      written += step;
      if (this.#scenario.kind === "streamed" && !allowance.draw(Math.ceil(written * bytesPerToken))) {
        this.#cut++;
        break;
      }
    }
    attempt.usage = { ...usage, output: written };
    attempt.usageSource = "upstream";
    this.#billed += costNanos(attempt.usage, price);
    return { outcome: "ok", bytesOut: 0 };
  }

  #usageOf({ prompt }: Drawn): Usage {
    const cacheRead = Math.floor(prompt * this.#scenario.cached);
    return usageOf({ input: prompt - cacheRead, cacheRead, output: 1 });
  }
}

export async function simulateFairness(scenario: Scenario, seed: number): Promise<Outcome> {
  using folder = temporaryFolder();
  return await new Simulation(scenario, seed, folder.file).run();
}
