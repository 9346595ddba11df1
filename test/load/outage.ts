// A cloud that answers 503 to everything while requests keep coming: how often it is asked, and what the local model's
// answers lose by going through the gateway.

import { dialects, HOUSE_KEY } from "../fakes/house.ts";
import { eventually, startGateway, tokenOf } from "../harness.ts";
import { BillingProvider } from "./billing-provider.ts";
import { Callers, type Heard } from "./callers.ts";
import { endOf, textIn } from "./heard.ts";
import { answerTextOf, requestOf, type Ask } from "./traffic.ts";

export interface OutageOptions {
  readonly seconds: number;
  readonly perSecond: number;
  /** Cloud models that a request may try, each at a provider of its own. */
  readonly clouds: number;
  /** Whether a local model stands behind them. */
  readonly hasLocal: boolean;
  /** Tries at the same model, as the configuration says. */
  readonly attempts: number;
}

export interface OutageResult {
  readonly offered: number;
  readonly upstreamCalls: number;
  /** Answers by the local model, whole and with its very text. */
  readonly answered: number;
  /** Clean refusals in the client's dialect. */
  readonly refused: number;
  /** Anything else; the first ones. */
  readonly illegal: readonly string[];
  /** Milliseconds from sending to the last byte, sorted: through the gateway, and of the same requests to the local model itself. */
  readonly throughGatewayMs: readonly number[];
  readonly directMs: readonly number[];
  readonly linesInTrail: number;
}

const agent = "windu";
const localModel = "llama3.2:3b";

export async function runOutage(options: OutageOptions): Promise<OutageResult> {
  await using cloud = await BillingProvider.start({ local: false, isDown: true });
  await using local = await BillingProvider.start({ local: true, models: [localModel] });
  await using gateway = await startGateway({ config: configOf(cloud.url, local.url, options) });
  const outage = new Outage(options, gateway.url, local.url);
  await outage.run();
  await eventually(async () => {
    if ((await gateway.stats()).in_flight > 0) throw new Error("requests are in flight");
  });
  return { ...outage.result(), upstreamCalls: cloud.bills.size, linesInTrail: gateway.auditText().length };
}

function configOf(cloudUrl: string, localUrl: string, { clouds, hasLocal, attempts }: OutageOptions): object {
  const key = { command: ["printf", "%s", HOUSE_KEY] };
  const retry = { attempts, base: "50ms", max: "500ms" };
  const price = { input: 3, output: 15 };
  const names = Array.from({ length: clouds }, (_, at) => `cloud-${at}`);
  const model = (provider: string): object => ({ provider, model: "sent", context: 200_000, price });
  return {
    listen: "127.0.0.1:0",
    agents: { [agent]: { daily_usd: 100_000, tokens: [tokenOf(agent).hash] } },
    providers: {
      ...Object.fromEntries(
        names.map((name) => [name, { url: `${cloudUrl}/v1`, dialects: [...dialects], key, retry }]),
      ),
      home: { url: `${localUrl}/v1`, dialects: ["chat"], local: true, key: "none", limits: { concurrent: 256 } },
    },
    models: {
      ...Object.fromEntries(names.map((name) => [name, model(name)])),
      "at-home": { provider: "home", model: localModel, context: 200_000 },
    },
    fallback: [...names.slice(1), ...(hasLocal ? ["at-home"] : [])],
  };
}

class Outage {
  readonly #options: OutageOptions;
  readonly #host: string;
  readonly #through: Callers;
  readonly #direct: Callers;
  readonly #illegal: string[] = [];
  readonly #throughGatewayMs: number[] = [];
  readonly #directMs: number[] = [];
  #offered = 0;
  #refused = 0;

  constructor(options: OutageOptions, url: string, localUrl: string) {
    this.#options = options;
    this.#host = new URL(url).host;
    this.#through = new Callers(Number(new URL(url).port));
    this.#direct = new Callers(Number(new URL(localUrl).port));
  }

  /** Requests leave at their rate; each one's twin goes to the local model itself, under the same load of the machine. */
  async run(): Promise<void> {
    const { seconds, perSecond, hasLocal } = this.#options;
    const total = Math.floor(seconds * perSecond);
    const startedAt = performance.now();
    const all: Promise<void>[] = [];
    while (this.#offered < total) {
      const waitMs = startedAt + (this.#offered * 1_000) / perSecond - performance.now();
      if (waitMs > 1) await Bun.sleep(waitMs);
      all.push(this.#askGateway(this.#offered));
      if (hasLocal) all.push(this.#askDirectly(this.#offered));
      this.#offered++;
    }
    await Promise.all(all);
    this.#through.close();
    this.#direct.close();
  }

  result(): Omit<OutageResult, "upstreamCalls" | "linesInTrail"> {
    return {
      offered: this.#offered,
      answered: this.#throughGatewayMs.length,
      refused: this.#refused,
      illegal: this.#illegal.slice(0, 10),
      throughGatewayMs: this.#throughGatewayMs.sort((a, b) => a - b),
      directMs: this.#directMs.sort((a, b) => a - b),
    };
  }

  async #askGateway(n: number): Promise<void> {
    const ask = askFor(n, dialects[n % dialects.length]!, "cloud-0");
    const { heard, ms } = await timed(this.#through, requestOf(ask, this.#host, tokenOf(agent).token));
    const end = heard.end === "whole" ? endOf(ask.dialect, ask.stream, heard) : heard.end;
    const sound = end === "answered" && textIn(ask.dialect, ask.stream, heard.body) === answerTextOf(n, ask.words);
    if (sound) this.#throughGatewayMs.push(ms);
    else if (end === "refused" && (heard.status === 503 || heard.status === 429)) this.#refused++;
    else this.#illegal.push(`${ask.dialect}: ${heard.status} ${end} ${heard.body.slice(-200)}`);
  }

  async #askDirectly(n: number): Promise<void> {
    const ask = askFor(n, "chat", localModel);
    const { heard, ms } = await timed(this.#direct, requestOf(ask, "localhost", "none"));
    if (heard.status === 200 && heard.end === "whole") this.#directMs.push(ms);
    else this.#illegal.push(`the local model itself: ${heard.status} ${heard.end}`);
  }
}

function askFor(n: number, dialect: Ask["dialect"], model: string): Ask {
  const stream = n % 4 > 0;
  const shape = { stream, words: 20, pace: 1, promptChars: 400 };
  return { n, agent, dialect, model, fault: null, at: 0, leavesAfterMs: 0, closes: false, ...shape };
}

async function timed(callers: Callers, request: Buffer): Promise<{ readonly heard: Heard; readonly ms: number }> {
  const sentAt = performance.now();
  const heard = await callers.ask(request);
  return { heard, ms: performance.now() - sentAt };
}
