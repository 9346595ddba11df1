// What the load asks for: request number n of a seed is always the same one, down to the fault that it meets.

import { createSeededRandom, type SeededRandom } from "../fuzz/seeded-random.ts";
import { dialects, routeOf, type TestDialect } from "../fakes/house.ts";

/** What goes wrong with a request: at the first provider that it is sent to, or with its client. */
export const faults = [
  "refused",
  "reset",
  "429",
  "500",
  "503",
  "stall",
  "cut",
  "malformed",
  "garbage",
  "error_event",
  "leaves",
  "slow_reader",
] as const;

export type Fault = (typeof faults)[number];

export interface Ask {
  readonly n: number;
  readonly agent: string;
  /** What the client speaks; the provider may speak another one. */
  readonly dialect: TestDialect;
  readonly model: string;
  readonly stream: boolean;
  readonly fault: Fault | null;
  /** Where in the answer the fault strikes: the event before which it happens. */
  readonly at: number;
  readonly words: number;
  /** Ticks of the provider's clock between two events; 0: all at once. */
  readonly pace: number;
  readonly promptChars: number;
  /** The client hangs up after so long, milliseconds; for `leaves` only. */
  readonly leavesAfterMs: number;
  /** The client asks for this answer on a connection of its own. */
  readonly closes: boolean;
}

export interface TrafficOptions {
  readonly seed: number;
  /** Share of each fault, 0…1. */
  readonly faultShare: number;
  /** Names, by how often they ask. */
  readonly agents: readonly { readonly name: string; readonly weight: number }[];
  /** Accounts of each dialect, and accounts where nobody listens. */
  readonly accounts: number;
  readonly deadAccounts: number;
  /** The latest moment at which a client hangs up, milliseconds. */
  readonly latestLeaveMs: number;
}

export function aliasOf(dialect: TestDialect, account: number): string {
  return `asked-${dialect}-${account}`;
}

export function deadAliasOf(account: number): string {
  return `asked-dead-${account}`;
}

export function askOf(options: TrafficOptions, n: number): Ask {
  const random = createSeededRandom(options.seed * 1_000_003 + n * 7919);
  const dice = Math.floor(random.next() / options.faultShare);
  const fault = faults[dice] ?? null;
  const served = random.pick(dialects);
  const isDead = fault === "refused";
  return {
    n,
    agent: agentOf(options, random),
    dialect: random.pick(dialects),
    model: isDead
      ? deadAliasOf(random.integer(options.deadAccounts))
      : aliasOf(served, random.integer(options.accounts)),
    stream: streamed(fault, random),
    fault,
    at: random.integer(12),
    words: fault === "slow_reader" ? 600 : 5 + random.integer(30),
    pace: fault === "slow_reader" ? 0 : random.integer(3),
    promptChars: 200 + Math.floor(random.next() ** 4 * 20_000),
    leavesAfterMs: random.next() * options.latestLeaveMs,
    closes: random.integer(5) === 0,
  };
}

function streamed(fault: Fault | null, random: SeededRandom): boolean {
  if (fault === "malformed") return false;
  if (fault === "garbage" || fault === "error_event" || fault === "slow_reader") return true;
  return random.integer(3) > 0;
}

function agentOf({ agents }: TrafficOptions, random: SeededRandom): string {
  let left = random.next() * agents.reduce((sum, { weight }) => sum + weight, 0);
  for (const { name, weight } of agents) {
    left -= weight;
    if (left < 0) return name;
  }
  return agents[0]!.name;
}

/** Unlike any other answer's, so that a piece that strays into a foreign stream shows. */
export function answerTextOf(n: number, words: number): string {
  return Array.from({ length: words }, (_, at) => `n${n}w${at}`).join(" ");
}

const filler = "The lamp over the harbour is lit before the boats come home. ";

/** What the provider needs to know is in the prompt, since that reaches it in every dialect. */
export function bodyOf(ask: Ask): string {
  const { n, dialect, model, stream, fault, at, words, pace, promptChars } = ask;
  const order = `n=${n} fault=${fault ?? "none"} at=${at} words=${words} pace=${pace}.`;
  const text = `${order} ${filler.repeat(Math.ceil(promptChars / filler.length))}`.slice(0, order.length + promptChars);
  const messages = [{ role: "user", content: text }];
  switch (dialect) {
    case "messages":
      return JSON.stringify({ model, max_tokens: 16_000, stream, messages });
    case "chat":
      return JSON.stringify({ model, max_completion_tokens: 16_000, stream, messages });
    case "responses":
      return JSON.stringify({ model, max_output_tokens: 16_000, stream, input: text, store: false });
    default:
      return dialect satisfies never;
  }
}

export function requestOf(ask: Ask, host: string, token: string): Buffer {
  const body = Buffer.from(bodyOf(ask));
  const head = [
    `POST ${routeOf[ask.dialect]} HTTP/1.1`,
    `host: ${host}`,
    "content-type: application/json",
    `authorization: Bearer ${token}`,
    ...(ask.closes ? ["connection: close"] : []),
    `content-length: ${body.length}`,
  ].join("\r\n");
  return Buffer.concat([Buffer.from(`${head}\r\n\r\n`), body]);
}

export interface Order {
  readonly n: number;
  readonly fault: string;
  readonly at: number;
  readonly words: number;
  readonly pace: number;
}

/** Null: it is no request of this load. */
export function orderIn(body: string): Order | null {
  const found = /n=(\d+) fault=(\w+) at=(\d+) words=(\d+) pace=(\d+)\./.exec(body);
  if (found === null) return null;
  const number = (at: number): number => Number(found[at]);
  return { n: number(1), fault: found[2]!, at: number(3), words: number(4), pace: number(5) };
}
