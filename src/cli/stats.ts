// `sanctum stats` and `sanctum status`: what the running gateway tells about itself.

import { Command } from "commander";
import {
  DRIFT_TOLD,
  printable,
  type ModelStats,
  type ProviderStats,
  type StatsDocument,
  type WindowStats,
} from "../layers/audit/index.ts";
import type { Io } from "./io.ts";
import { painted, tableText, wantsColour, type Cell } from "./table.ts";

/** Rejects with an error whose message says what to do where no gateway answers. */
export type FetchStats = () => Promise<StatsDocument>;

/** The day in figures: agents, providers, models, audit. */
export function statsCommand(io: Io, fetchStats: FetchStats): Command {
  return new Command("stats")
    .description("show spend, requests and providers of the running gateway")
    .option("--json", "print the /stats document")
    .action(async (options: { json?: boolean }) => {
      await show(io, fetchStats, options.json === true, statsText);
    });
}

/** Whether all is well, in a few lines; exit code 1 where it is not. */
export function statusCommand(io: Io, fetchStats: FetchStats): Command {
  return new Command("status")
    .description("tell whether the gateway runs, and what is wrong")
    .option("--json", "print the state as JSON")
    .action(async (options: { json?: boolean }) => {
      const json = options.json === true;
      const printed = (status: Status): string => `${JSON.stringify(status, null, 2)}\n`;
      const text = (document: StatsDocument, colour: boolean): string =>
        json ? printed(statusOf(document)) : statusText(document, colour);
      // A watching script reads the same fields whether the gateway runs or not.
      const absent = (message: string): void => {
        if (json) io.out(printed({ ok: false, version: null, uptime_s: null, in_flight: null, problems: [message] }));
      };
      const stats = await show(io, fetchStats, false, text, absent);
      if (stats !== null && problemsOf(stats).length > 0) process.exitCode = 1;
    });
}

async function show(
  io: Io,
  fetchStats: FetchStats,
  json: boolean,
  text: (stats: StatsDocument, colour: boolean) => string,
  absent: (message: string) => void = () => undefined,
): Promise<StatsDocument | null> {
  let stats: StatsDocument;
  try {
    stats = await fetchStats();
  } catch (error) {
    const message = error instanceof Error ? error.message : "the gateway does not answer";
    io.err(`${message}\n`);
    absent(message);
    process.exitCode = 1;
    return null;
  }
  io.out(json ? `${JSON.stringify(stats, null, 2)}\n` : text(stats, wantsColour(io)));
  return stats;
}

/** The tables of `sanctum stats`. */
export function statsText(stats: StatsDocument, colour: boolean): string {
  const title = (text: string): string => `\n${painted(text, "bold", colour)}\n`;
  const { totals } = stats;
  let text =
    `${painted(stats.day, "bold", colour)}, ${dayEnd(stats)}: ` +
    `${counted(totals.requests, "request")}, ${usd(totals.spent_usd)} spent, ${usd(totals.saved_usd)} saved, ` +
    `${Math.round(totals.local_share * 100)} % local\n`;
  text += title("Budgets") + tableText(budgetRows(stats), [2, 3, 4, 5, 6], colour);
  text += title("Requests") + tableText(requestRows(stats), [1, 2, 3, 4, 5, 6, 7, 8], colour);
  text += title("Providers") + tableText(providerRows(stats), [4, 5, 6, 7], colour);
  if (Object.keys(stats.models).length > 0) text += title("Models") + tableText(modelRows(stats), [1, 2, 3, 4], colour);
  return text + title("Audit") + auditText(stats, colour);
}

/** `until 00:00, in 5 h 12 min`. */
function dayEnd(stats: StatsDocument): string {
  const left = Math.floor((Date.parse(stats.day_ends_at) - Date.parse(stats.now)) / 1_000);
  const end = `until ${clockTime(stats.day_ends_at).slice(0, 5)}`;
  return left > 0 ? `${end}, in ${duration(left)}` : end;
}

/** What each agent may still spend: today, and in the hour and the month where they have a cap. */
function budgetRows(stats: StatsDocument): Cell[][] {
  const rows: Cell[][] = [["agent", "", "used", "spent", "held", "left", "cap", ""].map(dim)];
  for (const [name, agent] of Object.entries(stats.agents)) {
    rows.push(budgetRow(printable(name), { ...agent, cap_usd: agent.daily_usd }));
    if (agent.hour !== undefined) rows.push(budgetRow("  this hour", agent.hour));
    if (agent.month !== undefined) rows.push(budgetRow("  this month", agent.month));
  }
  return rows;
}

function budgetRow(name: string, window: WindowStats): Cell[] {
  const { cap_usd: cap, remaining_usd: left } = window;
  const share = cap > 0 ? Math.min(1, 1 - left / cap) : 1;
  const colour = left === 0 ? "red" : share >= 0.8 ? "yellow" : "green";
  return [
    name,
    { text: bar(share), colour },
    shareText(share, left),
    usd(window.spent_usd),
    usd(window.held_usd),
    { text: usd(left), colour },
    Number.isInteger(Math.round(cap * 1e6) / 1e4) ? `$${cap.toFixed(2)}` : usd(cap),
    left > 0 ? "" : { text: cap > 0 ? "used up" : "no budget", colour: "red" },
  ];
}

/** 99.6 % is not all of it, and what is not nothing shows. */
function shareText(share: number, left: number): string {
  if (left <= 0) return "100 %";
  return share > 0 && share < 0.005 ? "<1 %" : `${Math.min(99, Math.round(share * 100))} %`;
}

const BAR_WIDTH = 12;

/** Held money counts as used. What is not nothing shows. */
function bar(share: number): string {
  const full = share > 0 ? Math.max(1, Math.floor(share * BAR_WIDTH)) : 0;
  return `${"█".repeat(full)}${"░".repeat(BAR_WIDTH - full)}`;
}

function requestRows(stats: StatsDocument): Cell[][] {
  const head = ["agent", "all", "cloud", "local", "fallback", "refused", "errors", "tokens in", "tokens out"];
  const rows: Cell[][] = [head.map(dim)];
  for (const [name, agent] of Object.entries(stats.agents)) {
    rows.push([
      printable(name),
      count(agent.requests),
      count(agent.cloud),
      count(agent.local),
      count(agent.fallbacks),
      agent.refused > 0 ? { text: count(agent.refused), colour: "yellow" } : "0",
      agent.errors > 0 ? { text: count(agent.errors), colour: "red" } : "0",
      count(agent.input_tokens),
      count(agent.output_tokens),
    ]);
  }
  return rows;
}

function providerRows(stats: StatsDocument): Cell[][] {
  const rows: Cell[][] = [
    ["provider", "breaker", "server", "key", "sent", "errors", "p50", "p95", "back off until"].map(dim),
  ];
  for (const [name, provider] of Object.entries(stats.providers)) {
    rows.push([
      printable(name),
      breakerCell(provider),
      serverCell(provider),
      keyCell(provider),
      String(provider.requests),
      provider.errors > 0 ? { text: String(provider.errors), colour: "red" } : "0",
      ms(provider.latency_ms.p50),
      ms(provider.latency_ms.p95),
      untilText(provider.backoff_until, stats.now),
    ]);
    for (const [model, { state, backoff_until }] of Object.entries(provider.models ?? {})) {
      rows.push([
        `  ${printable(model)}`,
        breakerCell({ state }),
        "",
        "",
        "",
        "",
        "",
        untilText(backoff_until, stats.now),
      ]);
    }
  }
  return rows;
}

function breakerCell(provider: Pick<ProviderStats, "state">): Cell {
  if (provider.state === "closed") return { text: "closed", colour: "green" };
  return { text: provider.state, colour: provider.state === "open" ? "red" : "yellow" };
}

/** Empty for a cloud: nobody looks at it. */
function serverCell({ server }: ProviderStats): Cell {
  if (server === undefined || server.state === "unknown") return "";
  if (server.state === "ready") return { text: "ready", colour: "green" };
  return { text: server.state, colour: server.state === "down" ? "red" : "yellow" };
}

function keyCell(provider: ProviderStats): Cell {
  const good = provider.key === "ok" || provider.key === "none";
  return good ? provider.key : { text: provider.key, colour: "yellow" };
}

/** Dearest first. */
function modelRows(stats: StatsDocument): Cell[][] {
  const rows: Cell[][] = [["model", "sent", "spent", "tokens in", "tokens out", ""].map(dim)];
  const models = Object.entries(stats.models).sort(
    ([, a], [, b]) => b.spent_usd - a.spent_usd || b.requests - a.requests,
  );
  for (const [name, model] of models) {
    const drift = driftText(model);
    rows.push([
      printable(name),
      count(model.requests),
      usd(model.spent_usd),
      count(model.input_tokens),
      count(model.output_tokens),
      drift === null ? "" : { text: drift, colour: "yellow" },
    ]);
  }
  return rows;
}

/** Null: the provider's own figures are those of the price list, or it tells none. */
function driftText({ price_drift: drift }: ModelStats): string | null {
  if (drift === undefined) return null;
  if (drift === null) return "charged, though listed as free";
  if (Math.abs(drift) <= DRIFT_TOLD) return null;
  return `${drift > 0 ? "+" : ""}${(drift * 100).toFixed(1)} % against the price list`;
}

function auditText(stats: StatsDocument, colour: boolean): string {
  const { audit } = stats;
  const written = audit.last_written_at === null ? "nothing since the start" : clockTime(audit.last_written_at);
  const line = `${count(audit.entries)} entries, last written: ${written}, head ${audit.head}\n`;
  const alarms = audit.alarms.map(({ at, text }) => `alarm: ${clockTime(at)}: ${printable(text)}\n`).join("");
  const fault = audit.fault === null ? "" : `fault: ${printable(audit.fault.message)}\n`;
  return fault + alarms === "" ? line : line + painted(fault + alarms, "red", colour);
}

interface Status {
  readonly ok: boolean;
  /** Null, like the two below, where no gateway answers. */
  readonly version: string | null;
  readonly uptime_s: number | null;
  readonly in_flight: number | null;
  readonly problems: readonly string[];
}

function statusOf(stats: StatsDocument): Status {
  const problems = problemsOf(stats);
  return {
    ok: problems.length === 0,
    version: stats.version,
    uptime_s: stats.uptime_s,
    in_flight: stats.in_flight,
    problems,
  };
}

/** The lines of `sanctum status`. */
export function statusText(stats: StatsDocument, colour: boolean): string {
  const problems = problemsOf(stats);
  let text =
    `running, version ${printable(stats.version)}, up ${duration(stats.uptime_s)}, ${stats.in_flight} in flight, ` +
    `configuration ${stats.config.generation} loaded ${clockTime(stats.config.loaded_at)}\n`;
  if (problems.length === 0) text += painted("all is well\n", "green", colour);
  const keyless = Object.entries(stats.providers).flatMap(([name, { key }]) => (key === "missing" ? name : []));
  if (keyless.length > 0) text += painted(`without a key: ${printable(keyless.join(", "))}\n`, "dim", colour);
  for (const [name, { server }] of Object.entries(stats.providers)) {
    if (server !== undefined && server.state !== "down")
      text += painted(`${serverText(name, server)}\n`, "dim", colour);
  }
  for (const { instead, message } of stats.missing_models ?? []) {
    if (instead !== null) text += painted(`${printable(message)}\n`, "yellow", colour);
  }
  for (const note of stats.ledger.notes) text += painted(`ledger: ${printable(note)}\n`, "yellow", colour);
  for (const [name, model] of Object.entries(stats.models)) {
    const drift = driftText(model);
    if (drift !== null)
      text += painted(`${printable(name)}: ${drift}; \`sanctum reconcile\` tells more\n`, "dim", colour);
  }
  for (const problem of problems) text += `${painted(printable(problem), "yellow", colour)}\n`;
  return text;
}

/** `ollama: ready, in memory: qwen2.5-coder:14b`. */
function serverText(name: string, { state, loaded }: NonNullable<ProviderStats["server"]>): string {
  const memory = loaded === null ? "" : `, in memory: ${loaded.length === 0 ? "no model" : loaded.join(", ")}`;
  return printable(`${name}: ${state === "loading" ? "loading its model" : state}${state === "ready" ? memory : ""}`);
}

function problemsOf(stats: StatsDocument): string[] {
  const problems: string[] = [];
  const { fault } = stats.config;
  if (fault !== null) {
    problems.push(`the configuration file is refused since ${clockTime(fault.since)}; the one before stays in force:`);
    for (const message of fault.messages) problems.push(`  ${message}`);
  }
  if (stats.audit.fault !== null) {
    problems.push(`the audit trail: ${stats.audit.fault.message}, since ${clockTime(stats.audit.fault.since)}`);
  }
  for (const { at, text } of stats.audit.alarms) {
    problems.push(`ALARM of the audit trail, ${clockTime(at)}: ${text}; look into it, then \`sanctum audit accept\``);
  }
  if (stats.audit.seal.fault !== null) problems.push(`the audit trail is not sealed: ${stats.audit.seal.fault}`);
  if (stats.ledger.fault !== null) problems.push(`nothing is spent: ${stats.ledger.fault}`);
  // Nobody has an account everywhere: a built-in provider without a key is a problem only where nothing else could serve.
  const usable = Object.values(stats.providers).some(({ key }) => key === "ok" || key === "none");
  for (const [name, provider] of Object.entries(stats.providers)) {
    if (provider.server?.state === "down") {
      problems.push(`${name}: the server does not answer since ${clockTime(provider.server.since)}`);
    }
    if (provider.state === "open") problems.push(`${name}: not asked for now, it failed too often`);
    if (provider.key === "missing" && !usable) problems.push(`${name}: no key; \`sanctum keys set ${name}\``);
    if (provider.key === "locked") problems.push(`${name}: the keychain is locked; unlock it`);
    if (provider.key === "rejected") problems.push(`${name}: refuses its key; \`sanctum keys set ${name}\``);
  }
  for (const { instead, message } of stats.missing_models ?? []) if (instead === null) problems.push(message);
  for (const [name, agent] of Object.entries(stats.agents)) {
    if (agent.over_budget && agent.daily_usd > 0) problems.push(`${name}: the budget of the day is used up`);
    if (agent.hour?.remaining_usd === 0) problems.push(`${name}: the budget of the hour is used up`);
    if (agent.month?.remaining_usd === 0) problems.push(`${name}: the budget of the month is used up`);
  }
  return problems;
}

function dim(text: string): Cell {
  return { text, colour: "dim" };
}

/** So that columns line up; what is less than shows is said to be so. */
function usd(amount: number): string {
  if (amount > 0 && amount < 0.000_05) return "<$0.0001";
  return `$${amount.toLocaleString("en-US", { minimumFractionDigits: 4, maximumFractionDigits: 4 })}`;
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}

function counted(value: number, what: string): string {
  return `${count(value)} ${what}${value === 1 ? "" : "s"}`;
}

function ms(value: number | null): string {
  return value === null ? "–" : `${value} ms`;
}

/** `18:00:05` of an ISO time in its own zone. */
function clockTime(iso: string): string {
  return /T(\d\d:\d\d:\d\d)/.exec(iso)?.[1] ?? printable(iso);
}

/** The day, too, where it is not within the next one. */
function untilText(at: string | null, now: string): string {
  if (at === null) return "";
  const soon = Date.parse(at) - Date.parse(now) < 86_400_000;
  return soon ? clockTime(at) : printable(at.slice(0, 16).replace("T", " "));
}

function duration(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor((seconds % 86_400) / 3_600);
  const minutes = Math.floor((seconds % 3_600) / 60);
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min` : `${seconds} s`;
}
