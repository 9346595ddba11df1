// A day's traffic in little: mixed dialects, every kind of fault, agents with caps, reloads and watchers, for as long as is
// asked. Afterwards memory, descriptors and all books are looked at.

import { eventually, startGateway, tokenOf, type Gateway, type Stats } from "../harness.ts";
import { dialects, HOUSE_KEY } from "../fakes/house.ts";
import { BillingProvider } from "./billing-provider.ts";
import { checkBooks, type BooksFound } from "./books.ts";
import { Callers, type Heard } from "./callers.ts";
import { endOf, textIn } from "./heard.ts";
import { descriptorsOf, ProcessWatch, slopeOf, type Sample, type Slope } from "./process-watch.ts";
import { faultyConfigs, save, saveStyles } from "./save-styles.ts";
import { aliasOf, answerTextOf, askOf, deadAliasOf, requestOf, type Ask, type TrafficOptions } from "./traffic.ts";

export interface SoakOptions {
  readonly seconds: number;
  readonly perSecond: number;
  readonly seed: number;
  /** What is measured before it says nothing about growth: both compilers and the allocator are still at it. */
  readonly warmUpSeconds: number;
  /** 0: none. */
  readonly reloadEverySeconds: number;
  readonly sampleEverySeconds: number;
  readonly onSample?: (sample: Sample, asked: number) => void;
}

export interface SoakResult {
  readonly asked: number;
  readonly seconds: number;
  /** How the requests ended, seen from the clients. */
  readonly ends: Readonly<Record<string, number>>;
  /** Answers that no client should have got; the first ones. */
  readonly illegal: readonly string[];
  readonly reloads: { readonly sound: number; readonly faulty: number; readonly missed: number };
  readonly watched: number;
  readonly samples: readonly Sample[];
  /** After the warm-up: of all samples, and of those with no more open requests than come in a second. */
  readonly slope: Slope;
  readonly slopeWhileFewAreOpen: Slope;
  readonly cpuSharePercent: number;
  /** While nothing is in flight and no connection is kept: before the load, and after it. */
  readonly descriptors: { readonly before: readonly string[]; readonly after: readonly string[] };
  readonly megabytes: { readonly before: number; readonly after: number };
  readonly inFlightAfter: number;
  readonly heldUsdAfter: number;
  readonly mostConnectionsToProvider: number;
  readonly books: BooksFound;
  readonly gatewaySaid: readonly string[];
}

const agents = [
  { name: "ample", weight: 5 },
  { name: "plenty", weight: 3 },
  /** Its cap is used up on the way: from then on a local model serves it. */
  { name: "tight", weight: 0.7 },
  /** The same, but it is refused. */
  { name: "strict", weight: 0.3 },
  { name: "hasty", weight: 0.5 },
  { name: "crowd", weight: 0.5 },
] as const;

const accounts = 8;
const deadAccounts = 8;

/** In these zones it is noon now, so that no day ends on the way. */
export function noonZone(nowMs: number): string {
  const ahead = 12 - new Date(nowMs).getUTCHours();
  // POSIX signs: Etc/GMT-3 is three hours ahead.
  return ahead === 0 ? "UTC" : `Etc/GMT${ahead > 0 ? "-" : "+"}${Math.abs(ahead)}`;
}

export function soakConfig(cloudUrl: string, localUrl: string, capUsd: number): object {
  const key = { command: ["printf", "%s", HOUSE_KEY] };
  const timeouts = { connect: "2s", first_byte: "10s", first_content: "12s", idle: "10s" };
  const price = { input: 3, output: 15 };
  const providers: Record<string, object> = {};
  const models: Record<string, object> = {
    "at-home": { provider: "home", model: "qwen2.5-coder:14b", context: 200_000 },
  };
  for (const dialect of dialects) {
    for (let account = 0; account < accounts; account++) {
      const name = `${dialect}-${account}`;
      providers[name] = {
        url: dialect === "messages" ? cloudUrl : `${cloudUrl}/v1`,
        dialects: [dialect],
        key,
        timeouts,
      };
      models[aliasOf(dialect, account)] = { provider: name, model: "sent", context: 200_000, price };
    }
  }
  for (let account = 0; account < deadAccounts; account++) {
    providers[`dead-${account}`] = { url: `${deadUrl}/v1`, dialects: ["chat"], key, timeouts };
    models[deadAliasOf(account)] = { provider: `dead-${account}`, model: "sent", context: 200_000, price };
  }
  providers["home"] = {
    url: `${localUrl}/v1`,
    dialects: ["chat"],
    local: true,
    key: "none",
    limits: { concurrent: 256 },
  };
  const tokens = (name: string): string[] => [tokenOf(name).hash];
  return {
    listen: "127.0.0.1:0",
    timezone: noonZone(Date.now()),
    agents: {
      ample: { daily_usd: 100_000, tokens: tokens("ample") },
      plenty: { daily_usd: 100_000, tokens: tokens("plenty") },
      tight: { daily_usd: capUsd, tokens: tokens("tight") },
      strict: { daily_usd: capUsd, tokens: tokens("strict"), over_budget: "refuse" },
      hasty: { daily_usd: 100_000, tokens: tokens("hasty"), requests_per_minute: 300 },
      crowd: { daily_usd: 100_000, tokens: tokens("crowd"), max_concurrent: 4 },
      spare: { daily_usd: 1 },
    },
    providers,
    models,
    fallback: ["at-home"],
    audit: { rotate: { size: "40MB", keep: 1_000 } },
  };
}

export async function runSoak(options: SoakOptions): Promise<SoakResult> {
  await using cloud = await BillingProvider.start({ local: false });
  await using local = await BillingProvider.start({ local: true, models: ["qwen2.5-coder:14b"] });
  const config = soakConfig(cloud.url, local.url, options.seconds / 400);
  await using gateway = await startGateway({ config });
  const soak = new Soak(options, gateway, cloud, local, config);
  try {
    return await soak.run();
  } catch (error) {
    throw new Error(`the gateway said:\n${gateway.output()}`, { cause: error });
  }
}

/** Nobody listens there, and no system gives it away. */
const deadUrl = "http://127.0.0.1:1";
const mostIllegal = 20;
const latestLeaveMs = 400;
/** At 10 ms each. */
const quietLooks = 100;
/** A machine that is busy with other things than this load. */
const reloadPatienceMs = 30_000;

class Soak {
  readonly #options: SoakOptions;
  readonly #gateway: Gateway;
  readonly #cloud: BillingProvider;
  readonly #local: BillingProvider;
  readonly #config: object;
  readonly #traffic: TrafficOptions;
  readonly #callers: Callers;
  readonly #ends: Record<string, number> = {};
  readonly #illegal: string[] = [];
  readonly #heardIds = new Set<string>();
  readonly #reloads = { sound: 0, faulty: 0, missed: 0 };
  #asked = 0;
  #open = 0;
  #leftUnheard = 0;
  #watched = 0;

  constructor(options: SoakOptions, gateway: Gateway, cloud: BillingProvider, local: BillingProvider, config: object) {
    this.#options = options;
    this.#gateway = gateway;
    this.#cloud = cloud;
    this.#local = local;
    this.#config = config;
    this.#traffic = { seed: options.seed, faultShare: 0.01, agents, accounts, deadAccounts, latestLeaveMs };
    this.#callers = new Callers(Number(new URL(gateway.url).port));
  }

  async run(): Promise<SoakResult> {
    const { seconds, perSecond, warmUpSeconds, sampleEverySeconds, onSample } = this.#options;
    // The runtime opens a socket of its own with the first child process, and keeps it.
    await this.#reload(0);
    const descriptorsBefore = await this.#quiet();
    const watch = new ProcessWatch(
      this.#gateway.pid,
      sampleEverySeconds * 1_000,
      () => this.#open,
      (sample) => onSample?.(sample, this.#asked),
    );
    const startedAt = performance.now();
    const over = new AbortController();
    const others = [this.#reloading(over.signal), this.#watching(over.signal)];
    await this.#asking(startedAt);
    const elapsed = (performance.now() - startedAt) / 1_000;
    const last = watch.look();
    watch.stop();
    over.abort();
    await Promise.all(others);
    this.#callers.close();
    const after = await this.#quiet();
    const megabytesAfter = watch.look().megabytes;
    watch.samples.pop();
    const stats = await this.#stats();
    const spentUsd = Object.fromEntries(Object.entries(stats.agents).map(([name, agent]) => [name, agent.spent_usd]));
    const heldUsdAfter = Object.values(stats.agents).reduce((sum, agent) => sum + agent.held_usd, 0);
    await this.#gateway.stop();
    const measured = watch.samples.filter(({ at }) => at >= warmUpSeconds);
    return {
      asked: this.#asked,
      seconds: elapsed,
      ends: this.#ends,
      illegal: [...this.#illegal, ...this.#cloud.illegal, ...this.#local.illegal],
      reloads: this.#reloads,
      watched: this.#watched,
      samples: watch.samples,
      slope: slopeOf(measured),
      slopeWhileFewAreOpen: slopeOf(measured.filter(({ open }) => open <= perSecond)),
      cpuSharePercent: ((last.cpuSeconds - watch.samples[0]!.cpuSeconds) / seconds) * 100,
      descriptors: { before: descriptorsBefore, after },
      megabytes: { before: watch.samples[0]!.megabytes, after: megabytesAfter },
      inFlightAfter: stats.in_flight,
      heldUsdAfter,
      mostConnectionsToProvider: this.#cloud.mostConnections,
      books: await checkBooks({
        home: this.#gateway.home,
        bills: this.#cloud.bills,
        heardIds: this.#heardIds,
        asked: this.#asked,
        leftUnheard: this.#leftUnheard,
        spentUsd,
      }),
      gatewaySaid: this.#gateway.output().split("\n").slice(0, 50),
    };
  }

  /** Nothing in flight, and no connection kept to a provider; what is open then. */
  async #quiet(): Promise<readonly string[]> {
    await eventually(async () => {
      const { in_flight } = await this.#stats();
      if (in_flight !== 0) throw new Error(`${in_flight} requests are in flight`);
    }, 30_000);
    this.#cloud.hangUp();
    this.#local.hangUp();
    await eventually(() => {
      const left = this.#cloud.openConnections + this.#local.openConnections;
      if (left > 0) throw new Error(`${left} connections to providers are open`);
    }, 10_000);
    // Connections that clients kept, too, which the daemon closes when they stand idle; and the child that reads a file.
    let before = "";
    let same = 0;
    return eventually(() => {
      // A local server is looked for again and again.
      this.#local.hangUp();
      const now = descriptorsOf(this.#gateway.pid);
      const passing = now.filter((name) => /^tcp (?!listening)|pidfd/.test(name));
      if (passing.length > 0) throw new Error(`there is still: ${passing.join(", ")}`);
      // Of a child that has ended, its pipes close last.
      const names = now.toSorted().join(" ");
      same = names === before ? same + 1 : 0;
      before = names;
      if (same < quietLooks) throw new Error("descriptors are still closing");
      return now;
    }, 60_000);
  }

  /** Leaves no connection behind, which would be a descriptor too many. */
  async #stats(): Promise<Stats> {
    const response = await fetch(`${this.#gateway.url}/stats`, { keepalive: false });
    return (await response.json()) as Stats;
  }

  /** Requests leave at their rate, whether or not earlier ones were answered. */
  async #asking(startedAt: number): Promise<void> {
    const { seconds, perSecond } = this.#options;
    const total = Math.floor(seconds * perSecond);
    const all = Promise.withResolvers<void>();
    const timer = setInterval(() => {
      const due = Math.min(total, Math.floor(((performance.now() - startedAt) * perSecond) / 1_000));
      while (this.#asked < due) {
        const ask = askOf(this.#traffic, this.#asked++);
        this.#open++;
        void this.#ask(ask).finally(() => {
          this.#open--;
          if (this.#asked === total && this.#open === 0) all.resolve();
        });
      }
      if (this.#asked === total) clearInterval(timer);
    }, 5);
    await all.promise;
  }

  async #ask(ask: Ask): Promise<void> {
    const host = new URL(this.#gateway.url).host;
    const request = requestOf(ask, host, tokenOf(ask.agent).token);
    let heard: Heard;
    try {
      heard = await this.#callers.ask(request, {
        closes: ask.closes,
        ...(ask.fault === "leaves" ? { leavesAfterMs: ask.leavesAfterMs } : {}),
        ...(ask.fault === "slow_reader" ? { pauses: { times: 10, ms: 100 } } : {}),
      });
    } catch (error) {
      heard = { status: 0, requestId: null, body: String(error), end: "broken" };
    }
    this.#cloud.forget(ask.n);
    if (heard.requestId !== null) this.#heardIds.add(heard.requestId);
    this.#judge(ask, heard);
  }

  #judge(ask: Ask, heard: Heard): void {
    const end = heard.end === "whole" ? endOf(ask.dialect, ask.stream, heard) : heard.end;
    const name = end === "refused" ? `refused ${heard.status}` : end;
    this.#ends[name] = (this.#ends[name] ?? 0) + 1;
    if (heard.end === "left" && heard.requestId === null) this.#leftUnheard++;
    const wrong = this.#wrong(ask, heard, end);
    if (wrong !== null && this.#illegal.length < mostIllegal) {
      this.#illegal.push(`${wrong}: ${JSON.stringify(ask)}: ${heard.status} …${heard.body.slice(-300)}`);
    }
  }

  #wrong(ask: Ask, heard: Heard, end: string): string | null {
    switch (end) {
      case "answered": {
        const text = textIn(ask.dialect, ask.stream, heard.body);
        return text === answerTextOf(ask.n, ask.words) ? null : "another text than the provider's";
      }
      case "error_event":
        return ask.fault === null || ask.fault === "leaves" || ask.fault === "slow_reader"
          ? "it broke without a fault"
          : null;
      case "refused":
        return mayRefuse(ask, heard.status) ? null : "a refusal that has no reason";
      case "left":
        return ask.fault === "leaves" ? null : "it left by itself";
      default:
        return "no legal end";
    }
  }

  async #reloading(over: AbortSignal): Promise<void> {
    const { reloadEverySeconds } = this.#options;
    if (reloadEverySeconds === 0) return;
    for (let round = 1; !over.aborted; round++) {
      await sleepUnless(over, reloadEverySeconds * 1_000);
      if (!over.aborted) await this.#reload(round);
    }
  }

  /** All ways to save in turn, every fifth file faulty; the daemon is told by a signal now and then as well. */
  async #reload(round: number): Promise<void> {
    const isFaulty = round % 5 === 4;
    const cap = 1 + round;
    const text = isFaulty
      ? faultyConfigs[round % faultyConfigs.length]!
      : JSON.stringify({ ...this.#config, agents: { ...agentsOf(this.#config), spare: { daily_usd: cap } } });
    save(this.#gateway.configFile, text, saveStyles[round % saveStyles.length]!);
    if (round % 7 === 0) this.#gateway.signal("SIGHUP");
    try {
      await eventually(async () => this.#checkReload(isFaulty ? null : cap), reloadPatienceMs);
      this.#reloads[isFaulty ? "faulty" : "sound"]++;
    } catch {
      this.#reloads.missed++;
    }
  }

  async #checkReload(cap: number | null): Promise<void> {
    const { config, agents: told } = await this.#stats();
    if ((config.fault !== null) !== (cap === null)) throw new Error("the fault is not told");
    if (cap !== null && told["spare"]!.daily_usd !== cap) throw new Error("the old configuration is live");
  }

  /** Dashboards that come and go. */
  async #watching(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      const leaving = new AbortController();
      const watchers = Array.from({ length: 3 }, async () => {
        try {
          const response = await fetch(`${this.#gateway.url}/stats/stream`, { signal: leaving.signal });
          for await (const bytes of response.body ?? []) this.#watched += bytes.length > 0 ? 1 : 0;
        } catch {
          // It was told to leave.
        }
      });
      await sleepUnless(over, 7_000);
      await (await fetch(`${this.#gateway.url}/metrics`, { keepalive: false })).text();
      leaving.abort();
      await Promise.all(watchers);
    }
  }
}

function agentsOf(config: object): object {
  return (config as { readonly agents: object }).agents;
}

/** Who may be sent home, and with what. */
function mayRefuse({ agent }: Ask, status: number): boolean {
  if (status === 429 && (agent === "hasty" || agent === "crowd")) return true;
  return (status === 402 || status === 429) && agent === "strict";
}

async function sleepUnless(over: AbortSignal, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const stop = (): void => resolve();
  over.addEventListener("abort", stop, { once: true });
  await promise;
  clearTimeout(timer);
  over.removeEventListener("abort", stop);
}
