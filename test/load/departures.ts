// Clients that hang up at random moments: how soon the provider notices, how many connections it is left with, and whether
// every one of them is charged.

import { eventually, startGateway, tokenOf, type Stats } from "../harness.ts";
import { BillingProvider } from "./billing-provider.ts";
import { checkBooks, type BooksFound } from "./books.ts";
import { Callers } from "./callers.ts";
import { descriptorsOf, ProcessWatch, socketsAmong, type Sample } from "./process-watch.ts";
import { soakConfig } from "./soak.ts";
import { askOf, requestOf, type TrafficOptions } from "./traffic.ts";

export interface DeparturesOptions {
  readonly departures: number;
  readonly atOnce: number;
  readonly seed: number;
}

export interface DeparturesResult {
  /** Of the calls whose client left: milliseconds from its leaving until the provider's connection was closed, sorted. */
  readonly noticedMs: readonly number[];
  readonly answeredBefore: number;
  readonly mostConnections: number;
  readonly connectionsAfter: number;
  /** Of the gateway, once the providers have closed what was kept. */
  readonly sockets: { readonly before: number; readonly after: number };
  readonly samples: readonly Sample[];
  readonly heldUsdAfter: number;
  readonly books: BooksFound;
}

const latestLeaveMs = 300;
const agent = "ample";

export async function runDepartures(options: DeparturesOptions): Promise<DeparturesResult> {
  await using cloud = await BillingProvider.start({ local: false });
  await using local = await BillingProvider.start({ local: true, models: ["qwen2.5-coder:14b"] });
  await using gateway = await startGateway({ config: soakConfig(cloud.url, local.url, 1) });
  const { pid, url, home } = gateway;
  const sockets = (): number => socketsAmong(descriptorsOf(pid));
  const socketsBefore = sockets();
  const crowd = new Crowd(options, url);
  const watch = new ProcessWatch(pid, 250, () => crowd.open);
  await crowd.run();
  const closed = await eventually(async () => {
    const stats = (await (await fetch(`${url}/stats`, { keepalive: false })).json()) as Closed;
    if (stats.in_flight > 0) throw new Error(`${stats.in_flight} requests are in flight`);
    return stats;
  }, 30_000);
  const connectionsAfter = cloud.openConnections;
  cloud.hangUp();
  local.hangUp();
  const socketsAfter = await eventually(() => {
    const now = sockets();
    if (now > socketsBefore) throw new Error(`${now - socketsBefore} sockets more than before`);
    return now;
  }, 30_000);
  watch.look();
  watch.stop();
  await gateway.stop();
  const bills = [...cloud.bills.values()];
  return {
    noticedMs: bills
      .flatMap(({ n, end, closedAt }) => {
        const leftAt = crowd.leftAt.get(n);
        return end !== "left" || closedAt === null || leftAt === undefined ? [] : [closedAt - leftAt];
      })
      .sort((a, b) => a - b),
    answeredBefore: crowd.answered,
    mostConnections: cloud.mostConnections,
    connectionsAfter,
    sockets: { before: socketsBefore, after: socketsAfter },
    samples: watch.samples,
    heldUsdAfter: Object.values(closed.agents).reduce((sum, one) => sum + one.held_usd, 0),
    books: await checkBooks({
      home,
      bills: cloud.bills,
      heardIds: crowd.heardIds,
      asked: options.departures,
      leftUnheard: crowd.leftUnheard,
      spentUsd: Object.fromEntries(Object.entries(closed.agents).map(([name, one]) => [name, one.spent_usd])),
    }),
  };
}

type Closed = Pick<Stats, "in_flight" | "agents">;

class Crowd {
  readonly leftAt = new Map<number, number>();
  readonly heardIds = new Set<string>();
  answered = 0;
  leftUnheard = 0;
  open = 0;
  readonly #options: DeparturesOptions;
  readonly #traffic: TrafficOptions;
  readonly #host: string;
  readonly #callers: Callers;
  #asked = 0;

  constructor(options: DeparturesOptions, url: string) {
    this.#options = options;
    this.#host = new URL(url).host;
    this.#callers = new Callers(Number(new URL(url).port));
    const agents = [{ name: agent, weight: 1 }];
    this.#traffic = { seed: options.seed, faultShare: 1e-9, agents, accounts: 8, deadAccounts: 1, latestLeaveMs };
  }

  async run(): Promise<void> {
    const { departures, atOnce } = this.#options;
    const worker = async (): Promise<void> => {
      while (this.#asked < departures) await this.#ask(this.#asked++);
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    this.#callers.close();
  }

  async #ask(n: number): Promise<void> {
    const ask = { ...askOf(this.#traffic, n), fault: "leaves", words: 60, pace: 1 } as const;
    this.open++;
    const { leavesAfterMs } = ask;
    const heard = await this.#callers.ask(requestOf(ask, this.#host, tokenOf(agent).token), { leavesAfterMs });
    this.open--;
    if (heard.end === "left") this.leftAt.set(n, performance.now());
    else this.answered++;
    if (heard.requestId !== null) this.heardIds.add(heard.requestId);
    else this.leftUnheard++;
  }
}
