// What must hold after every run of a client, whatever it did: told by the fakes' and the gateway's records alone.

import { HOUSE_KEY, type House } from "../fakes/house.ts";
import { objectsOf, textOf } from "../fakes/json-access.ts";
import type { RecordedRequest } from "../fakes/provider.ts";
import { attemptsOf, eventually, faultsOfChain, tokenOf, type AuditLine } from "../harness.ts";
import { localWindow, type Way } from "./ways.ts";

export interface Expected {
  readonly way: Way;
  /** Answers of a model that the client asked for. More means that it asked again behind our back. */
  readonly answers: number;
  /** Talks that begin anew; every other request carries one of them on. */
  readonly talks: number;
  /** Of `answers`, those that the cloud began and a local model ended, without the client's noticing. */
  readonly takenOver?: number;
  /** Requests beside `answers` that were refused for want of money. */
  readonly refused?: number;
  /** Of `answers`, those that the gateway gave by itself, since no model could. */
  readonly ownAnswers?: number;
}

/** All that is wrong; empty where the talk stayed legal and nothing leaked. */
export async function faultsOfRun(house: House, expected: Expected): Promise<string[]> {
  const sent = [...house.cloud.requests, ...house.local.requests];
  const lines = await settledLines(house);
  return [
    ...sent.flatMap((request) => request.faults.map((fault) => `${request.target} ${request.index}: ${fault}`)),
    ...sent.filter((request) => leaks(request, tokenOf("windu").token)).map(() => "the agent's token went upstream"),
    ...house.local.requests.filter((request) => leaks(request, HOUSE_KEY)).map(() => "the house's key went home"),
    ...faultsOfLines(lines, expected),
    ...faultsOfTalks(house.local.generations, expected),
    ...house.local.generations.flatMap(faultsOfWindow),
    ...house.cloud.generations.flatMap(faultsOfItems),
    ...faultsOfChain(house.gateway.auditText()),
    ...(await faultsOfStats(house)),
  ];
}

/** The audit lines of model answers, once nothing is in flight any more. */
async function settledLines(house: House): Promise<AuditLine[]> {
  await eventually(async () => {
    const { in_flight } = await house.gateway.stats();
    if (in_flight > 0) throw new Error(`${in_flight} requests are still in flight`);
  });
  return house.gateway.auditLines().filter((line) => line["path"] !== "/v1/messages/count_tokens");
}

function leaks(request: RecordedRequest, secret: string): boolean {
  return request.text.includes(secret) || request.headers.some(([, value]) => value.includes(secret));
}

function faultsOfLines(all: readonly AuditLine[], expected: Expected): string[] {
  const [broken, refused, lines] = [
    all.filter((line) => line.outcome === "upstream_error"),
    all.filter((line) => line.outcome === "refused_budget"),
    all.filter((line) => line.outcome !== "upstream_error" && line.outcome !== "refused_budget"),
  ];
  const faults: string[] = [];
  const own = lines.filter((line) => line["served_by"] === null).length;
  if (own !== (expected.ownAnswers ?? 0)) faults.push(`${own} answers of the gateway itself`);
  for (const line of lines) {
    const where = `audit line ${line.seq}`;
    if (line.outcome !== "ok" || line.status !== 200) faults.push(`${where}: ${line.outcome} ${line.status}`);
    if (line.agent !== "windu" || line["auth"] !== "token") faults.push(`${where}: agent ${line.agent}`);
    if (line["served_by"] === null) continue;
    if (expected.way !== "turns" && line["local"] !== (expected.way === "local")) {
      faults.push(`${where}: served by ${textOf(line["served_by"])}`);
    }
  }
  const takenOver = lines.filter((line) => attemptsOf(line)[0]?.endsWith(":taken_over") === true).length;
  const counts: [string, number, number][] = [
    ["answers", lines.length, expected.answers],
    ["broken answers", broken.length, 0],
    ["answers that were carried on", takenOver, expected.takenOver ?? 0],
    ["refusals", refused.length, expected.refused ?? 0],
  ];
  for (const [what, is, should] of counts) if (is !== should) faults.push(`${is} ${what}, not ${should}`);
  const home = lines.filter((line) => line["local"] === true).length;
  const other = lines.length - home + takenOver;
  if (expected.way === "turns" && (home === 0 || other === 0))
    faults.push(`${home} of ${lines.length} answers are local`);
  return faults;
}

/** Servers that check it refuse an output that can't fit behind the prompt; a token has 4 bytes here. */
function faultsOfWindow(request: RecordedRequest): string[] {
  const asked = Number(request.json()["max_tokens"] ?? 0);
  const prompt = Math.ceil(request.body.length / 4);
  if (asked + prompt <= localWindow) return [];
  return [
    `local request ${request.index} asks for ${asked} tokens behind a prompt of about ${prompt}: window ${localWindow}`,
  ];
}

/** What the vendor of the Responses API refuses beside what the fake does: calls and results must pair, both ways. */
function faultsOfItems(request: RecordedRequest): string[] {
  const items = objectsOf(request.json()["input"]);
  const faults: string[] = [];
  for (const form of ["function_call", "custom_tool_call"]) {
    const ids = (type: string): string[] =>
      items.filter((item) => item["type"] === type).map((item) => textOf(item["call_id"]));
    const [calls, results] = [ids(form), ids(`${form}_output`)];
    for (const id of calls) if (!results.includes(id)) faults.push(`${form} ${id} has no result`);
    for (const id of results) if (!calls.includes(id)) faults.push(`${form}_output ${id} answers no call`);
    if (new Set(calls).size < calls.length) faults.push(`two calls of one id: ${calls.join(", ")}`);
  }
  const ours = items.filter((item) => textOf(item["encrypted_content"]).startsWith("sanctum"));
  if (ours.length > 0) faults.push("another model's reasoning went to the vendor");
  return faults;
}

/**
 * A local server keeps what it has computed of a prompt for as long as the next one begins with it: a gateway that
 * rewrites history makes every step as slow as the first.
 */
function faultsOfTalks(requests: readonly RecordedRequest[], expected: Expected): string[] {
  const talks = requests.map((request) => objectsOf(request.json()["messages"]).map((turn) => JSON.stringify(turn)));
  const begun = talks.filter((talk, at) => !talks.slice(0, at).some((earlier) => isBeginning(earlier, talk)));
  if (begun.length <= expected.talks) return [];
  return [`${begun.length} local talks begin anew, not ${expected.talks}: ${firstDifference(talks)}`];
}

function isBeginning(earlier: readonly string[], talk: readonly string[]): boolean {
  return earlier.length < talk.length && earlier.every((turn, at) => turn === talk[at]);
}

function firstDifference(talks: readonly string[][]): string {
  for (const [at, talk] of talks.entries()) {
    const before = talks[at - 1] ?? [];
    const turn = before.findIndex((text, index) => text !== talk[index]);
    if (turn < 0) continue;
    return `request ${at}, message ${turn}: ${around(before[turn] ?? "", talk[turn] ?? "")}`;
  }
  return "the same twice";
}

function around(one: string, other: string): string {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  const from = Math.max(0, at - 60);
  return `“${one.slice(from, at + 60)}” became “${other.slice(from, at + 60)}”`;
}

async function faultsOfStats(house: House): Promise<string[]> {
  const { agents } = await house.gateway.stats();
  const held = Object.entries(agents).filter(([, agent]) => agent.held_usd !== 0);
  return held.map(([name, agent]) => `${name} still holds ${agent.held_usd} USD`);
}
