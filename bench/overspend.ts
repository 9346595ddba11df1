// `npm run bench -- overspend`: a thousand clients at once against small caps, over real sockets: what the vendor bills,
// what the caps allow, who is served. The same load against a ledger that charges afterwards (post-paid-daemon.ts).

import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Gate } from "../test/fakes/gate.ts";
import { objectOf, textOf } from "../test/fakes/json-access.ts";
import { FakeProvider, type RecordedRequest } from "../test/fakes/provider.ts";
import { requestBytes } from "../test/fakes/raw-client.ts";
import type { Step } from "../test/fakes/script.ts";
import { createSeededRandom } from "../test/fuzz/seeded-random.ts";
import { startGateway, tokenOf, type Stats } from "../test/harness.ts";

const clients = 1_000;
const agents = 8;
const capUsd = 0.6;
const wordsAnEvent = 20;
const tickMs = 20;
/** As often as the vendors' own clients come back at most, generously. */
const mostTries = 40;
const usdPerToken = { input: 3e-6, output: 15e-6 };

const agentNames = Array.from({ length: agents }, (_, at) => `agent-${at}`);

interface Plan {
  readonly agent: string;
  readonly dialect: "messages" | "chat";
  readonly stream: boolean;
  readonly promptBytes: number;
  readonly outputTokens: number;
  /** Hangs up after the first bytes of the answer. */
  readonly leaves: boolean;
}

function planned(seed: number): Plan[] {
  const random = createSeededRandom(seed);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
  return Array.from({ length: clients }, (_, at) => ({
    agent: agentNames[at % agents]!,
    dialect: random.next() < 0.7 ? "messages" : "chat",
    stream: random.next() < 0.6,
    promptBytes: Math.min(60_000, Math.ceil(4_000 * Math.exp(1.1 * normal()))),
    outputTokens: Math.min(2_000, Math.ceil(200 * Math.exp(0.8 * normal()))),
    leaves: random.next() < 0.1,
  }));
}

/** The vendor: what it was asked to do, and what it will bill for it. */
class Vendor {
  readonly provider: FakeProvider;
  readonly #random = createSeededRandom(99);
  readonly #asked: {
    request: RecordedRequest;
    prompt: number;
    output: number;
    gate: Gate;
    released: number;
    failed: boolean;
  }[] = [];
  readonly #pacing: ReturnType<typeof setInterval>;

  constructor(provider: FakeProvider) {
    this.provider = provider;
    provider.respond = (request) => this.#answer(request);
    this.#pacing = setInterval(() => {
      for (const one of this.#asked) {
        if (one.request.state !== "answering") continue;
        one.released++;
        one.gate.release(1);
      }
    }, tickMs);
  }

  #answer(request: RecordedRequest): Step {
    const prompt = Math.ceil(request.text.length / 4);
    const output = Number(/tokens=(\d+)/.exec(request.text)?.[1] ?? 1);
    const dice = this.#random.next();
    const gate = new Gate();
    const asked = { request, prompt, output, gate, released: 0, failed: dice < 0.03 };
    this.#asked.push(asked);
    if (asked.failed) return { refuse: { status: 500 } };
    const step = {
      answer: { text: "word ".repeat(output), pieceLength: 5 * wordsAnEvent, usage: { input: prompt, output } },
      gate,
    };
    return dice < 0.06 && request.text.includes('"stream":true')
      ? { ...step, cut: { at: { event: 6 }, how: "destroy" } }
      : step;
  }

  /** USD by agent: each answer as far as it was written when its reader left, or it broke. */
  billed(): Map<string, number> {
    const bills = new Map<string, number>();
    for (const { request, prompt, output, released, failed } of this.#asked) {
      if (failed) continue;
      const body = request.json();
      const agent = textOf(objectOf(body["metadata"])?.["user_id"] ?? body["user"] ?? "");
      const written = request.state === "answered" ? output : Math.min(output, released * wordsAnEvent);
      const usd = prompt * usdPerToken.input + written * usdPerToken.output;
      bills.set(agent, (bills.get(agent) ?? 0) + usd);
    }
    return bills;
  }

  async close(): Promise<void> {
    clearInterval(this.#pacing);
    await this.provider[Symbol.asyncDispose]();
  }
}

function bodyOf(plan: Plan): string {
  const prompt = `tokens=${plan.outputTokens} ${"the quick brown fox jumps over it. ".repeat(Math.ceil(plan.promptBytes / 35))}`;
  const messages = [{ role: "user", content: prompt.slice(0, plan.promptBytes + 16) }];
  const { stream, agent } = plan;
  return plan.dialect === "messages"
    ? JSON.stringify({ model: "dear-messages", max_tokens: 4_096, stream, messages, metadata: { user_id: agent } })
    : JSON.stringify({ model: "dear-chat", max_completion_tokens: 4_096, stream, messages, user: agent });
}

interface Answer {
  readonly status: number;
  readonly retryAfterMs: number;
  readonly mayRetry: boolean;
}

/** One request on a connection of its own. */
async function ask(url: string, plan: Plan): Promise<Answer> {
  const path = plan.dialect === "messages" ? "/v1/messages" : "/v1/chat/completions";
  const headers = { authorization: `Bearer ${tokenOf(plan.agent).token}` };
  const bytes = requestBytes(url, { path, body: bodyOf(plan), headers });
  const { hostname, port } = new URL(url);
  const { promise, resolve } = Promise.withResolvers<Answer>();
  let text = "";
  const socket = connect({ host: hostname, port: Number(port) });
  const finish = (): void => {
    const header = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, "im").exec(text)?.[1]?.trim();
    resolve({
      status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0),
      retryAfterMs: Number(header("retry-after") ?? 1) * 1_000,
      mayRetry: header("x-should-retry") !== "false",
    });
    socket.destroy();
  };
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    if (plan.leaves && text.startsWith("HTTP/1.1 200") && text.includes("\r\n\r\n")) finish();
  });
  socket.on("error", finish);
  socket.on("close", finish);
  socket.write(bytes);
  return promise;
}

type Ended = "served" | "refused" | "failed";

/** As a vendor's own client does: again after `retry-after`, unless it is told not to. */
async function client(url: string, plan: Plan): Promise<Ended> {
  for (let tries = 0; tries < mostTries; tries++) {
    const { status, retryAfterMs, mayRetry } = await ask(url, plan);
    if (status === 200) return "served";
    if (status === 402 || (status === 429 && !mayRetry)) return "refused";
    if (!mayRetry) return "failed";
    await Bun.sleep(retryAfterMs * (0.5 + Math.random()));
  }
  return "refused";
}

interface Gateway {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

function configOf(vendorUrl: string): object {
  const key = { command: ["printf", "%s", "key-of-the-bench"] };
  const price = { input: 3, output: 15, cache_read: 0.3, cache_write: 3.75 };
  return {
    listen: "127.0.0.1:0",
    timezone: "UTC",
    agents: Object.fromEntries(agentNames.map((name) => [name, { daily_usd: capUsd, tokens: [tokenOf(name).hash] }])),
    providers: {
      anthropic: { url: vendorUrl, dialects: ["messages"], key, retry: { attempts: 1 } },
      openai: { url: `${vendorUrl}/v1`, dialects: ["chat"], key, retry: { attempts: 1 } },
    },
    models: {
      "dear-messages": { provider: "anthropic", model: "claude-sonnet-4-5", price },
      "dear-chat": { provider: "openai", model: "gpt-4o", price },
    },
    fallback: [],
  };
}

async function startOurs(config: object): Promise<Gateway> {
  const gateway = await startGateway({ config });
  return { url: gateway.url, stop: async () => gateway[Symbol.asyncDispose]() };
}

async function startPostPaid(config: object): Promise<Gateway> {
  const home = mkdtempSync(join(tmpdir(), "sanctum-bench-"));
  chmodSync(home, 0o700);
  const configFile = join(home, "config.yaml");
  mkdirSync(home, { recursive: true });
  writeFileSync(configFile, JSON.stringify(config), { mode: 0o600 });
  const script = join(import.meta.dir, "post-paid-daemon.ts");
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: home,
    SANCTUM_HOME: home,
    BUN_CONFIG_MAX_HTTP_REQUESTS: "65336",
  };
  const child = Bun.spawn([process.execPath, "--no-env-file", script, home, configFile], {
    env,
    stdout: "pipe",
    stderr: "inherit",
  });
  let url = "";
  for await (const bytes of child.stdout) {
    url += new TextDecoder().decode(bytes);
    if (url.includes("\n")) break;
  }
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
    rmSync(home, { recursive: true, force: true });
  };
  return { url: /listening on (\S+)/.exec(url)?.[1] ?? "", stop };
}

interface Result {
  readonly name: string;
  readonly billedUsd: number;
  readonly overspentUsd: number;
  readonly capUsed: number;
  readonly spentUsd: number;
  readonly served: number;
  readonly refused: number;
  readonly failed: number;
  readonly seconds: number;
}

async function measure(name: string, start: (config: object) => Promise<Gateway>): Promise<Result> {
  const vendor = new Vendor(await FakeProvider.start({ lenient: true }));
  const gateway = await start(configOf(vendor.provider.url));
  try {
    const startedAt = performance.now();
    const ends = await Promise.all(planned(1).map(async (plan) => client(gateway.url, plan)));
    const seconds = (performance.now() - startedAt) / 1_000;
    const stats = await settled(gateway.url);
    const bills = vendor.billed();
    const sum = (of: (agent: string) => number): number => agentNames.reduce((total, agent) => total + of(agent), 0);
    return {
      name,
      billedUsd: sum((agent) => bills.get(agent) ?? 0),
      overspentUsd: sum((agent) => Math.max(0, (bills.get(agent) ?? 0) - capUsd)),
      capUsed: sum((agent) => stats.agents[agent]!.spent_usd) / (agents * capUsd),
      spentUsd: sum((agent) => stats.agents[agent]!.spent_usd),
      served: ends.filter((end) => end === "served").length,
      refused: ends.filter((end) => end === "refused").length,
      failed: ends.filter((end) => end === "failed").length,
      seconds,
    };
  } finally {
    await gateway.stop();
    await vendor.close();
  }
}

/** The books are closed a moment after the last client has its answer. */
async function settled(url: string): Promise<Stats> {
  for (let tries = 0; ; tries++) {
    const stats = (await (await fetch(`${url}/stats`)).json()) as Stats;
    if (stats.in_flight === 0 || tries === 100) return stats;
    await Bun.sleep(50);
  }
}

const usd = (amount: number): string => `$${amount.toFixed(3)}`;
const results = [await measure("holds (this gateway)", startOurs), await measure("charged afterwards", startPostPaid)];
console.log(`${clients} clients at once, ${agents} agents with ${usd(capUsd)} each: ${usd(agents * capUsd)} in all\n`);
console.log(
  "| Ledger | Billed by the vendor | Beyond the caps | In the books | Cap used | Served | Refused | Failed | Seconds |",
);
console.log("|---|---|---|---|---|---|---|---|---|");
for (const { name, billedUsd, overspentUsd, spentUsd, capUsed, served, refused, failed, seconds } of results) {
  const cells = [
    name,
    usd(billedUsd),
    usd(overspentUsd),
    usd(spentUsd),
    `${(capUsed * 100).toFixed(1)} %`,
    served,
    refused,
    failed,
    seconds.toFixed(0),
  ];
  console.log(`| ${cells.join(" | ")} |`);
}
if (results[0]!.overspentUsd > 0) process.exitCode = 1;
