// `sanctum agents`: who may call, and with which token. The commands edit config.yaml and leave the rest of it as it is; a
// running gateway sees the change by itself.

import { randomBytes } from "node:crypto";

import { Command, InvalidArgumentError } from "commander";

import { systemClock, type Clock } from "../clock.ts";
import { createToken } from "../config/agent-token.ts";
import type { AgentToken } from "../config/agent-token.ts";
import type { Edit, Overlap } from "../config/edit-agents.ts";
import { formatFault } from "../config/fault.ts";
import { namePattern } from "../config/name-pattern.ts";
import { parseUsd } from "../config/quantities.ts";
import { toMoment } from "../config/token-text.ts";
import type { AgentEntry, Config, Fault } from "../config/types.ts";
import { usdFromNanos } from "../money.ts";
import { clientAddressOf, curlLine, type ClientAddress } from "./client-address.ts";
import type { Io } from "./io.ts";
import { tableText } from "./table.ts";

// The parser of the configuration is loaded when a command needs it, and not by every start of the program.
const loadEdits = () => import("../config/edit-agents.ts");

const exitFailed = 1;
const exitConfiguration = 78;

/** `add`, `list`, `rotate` and `rm`. A token is printed once, by the command that makes it. */
export function agentsCommand(io: Io, clock: Clock = systemClock): Command {
  return new Command("agents")
    .description("add, list, rotate and remove agents and their tokens")
    .addCommand(addCommand(io))
    .addCommand(listCommand(io, clock))
    .addCommand(rotateCommand(io, clock))
    .addCommand(removeCommand(io));
}

function addCommand(io: Io): Command {
  return new Command("add")
    .description("add an agent and print its token, once")
    .argument("<name>", "a-z, 0-9, - and _, beginning with a letter", parseName)
    .option("--daily-usd <amount>", "budget a day in USD", parseAmount)
    .option("--json", "print the result as JSON")
    .action(async (name: string, options: { dailyUsd?: number; json?: boolean }) => {
      const { addAgent } = await loadEdits();
      const token = createToken(name, randomBytes);
      const agent = { name, dailyUsd: options.dailyUsd, tokenHash: token.hash };
      if (await change(io, (text) => addAgent(text, agent))) await showToken(io, name, token, options.json === true);
    });
}

function rotateCommand(io: Io, clock: Clock): Command {
  return new Command("rotate")
    .description("replace the tokens of an agent by a new one and print it, once")
    .argument("<name>", "the agent", parseName)
    .option(
      "--overlap [duration]",
      "keep the newest old token so long (30m, 1h, 7d); without a duration until the next rotation",
      parseOverlap,
    )
    .option("--json", "print the result as JSON")
    .addHelpText("after", rotateExamples)
    .action(async (name: string, options: { overlap?: number | true; json?: boolean }) => {
      const { rotateAgent } = await loadEdits();
      const token = createToken(name, randomBytes);
      const overlap = overlapOf(options.overlap, clock.now());
      const done = await change(io, (text) => rotateAgent(text, name, token.hash, overlap));
      if (done) await showToken(io, name, token, options.json === true, overlap);
    });
}

const rotateExamples = `
Examples:
  sanctum agents rotate windu                 the old tokens stop at once
  sanctum agents rotate windu --overlap 1h    the newest old one goes on for an hour, then ends by itself
`;

function overlapOf(option: number | true | undefined, nowMs: number): Overlap {
  if (option === undefined) return { keep: "none" };
  return option === true ? { keep: "until next rotation" } : { keep: "until", untilMs: nowMs + option };
}

function removeCommand(io: Io): Command {
  return new Command("rm")
    .description("remove an agent; its tokens stop working at once")
    .argument("<name>", "the agent", parseName)
    .option("--json", "print the result as JSON")
    .action(async (name: string, options: { json?: boolean }) => {
      const { removeAgent } = await loadEdits();
      if (!(await change(io, (text) => removeAgent(text, name)))) return;
      io.out(options.json === true ? `${JSON.stringify({ removed: name })}\n` : `removed agent ${name}\n`);
    });
}

function listCommand(io: Io, clock: Clock): Command {
  return new Command("list")
    .description("list the agents")
    .option("--json", "print the list as JSON")
    .action(async (options: { json?: boolean }) => {
      const { loadConfig } = await import("../config/load.ts");
      const loaded = loadConfig(io.configFile, { home: io.home });
      if ("faults" in loaded) {
        showFaults(io, loaded.faults);
        return;
      }
      const agents = [...loaded.config.agents.values()].map((agent) => agentLine(agent, clock.now()));
      if (options.json === true) io.out(`${JSON.stringify(agents, null, 2)}\n`);
      else io.out(listText(agents));
    });
}

interface AgentLine {
  readonly name: string;
  readonly daily_usd: number;
  readonly over_budget: string;
  /** Those that work now. */
  readonly tokens: number;
  /** When which of them end by themselves. */
  readonly tokens_ending: readonly string[];
}

function agentLine({ name, caps, overBudget, tokens }: AgentEntry, nowMs: number): AgentLine {
  const ends = tokens.flatMap(({ untilMs }) => (untilMs === undefined || untilMs <= nowMs ? [] : [untilMs]));
  return {
    name,
    daily_usd: usdFromNanos(caps.daily),
    over_budget: overBudget,
    tokens: tokens.filter(({ untilMs }) => untilMs === undefined || nowMs < untilMs).length,
    tokens_ending: ends.map(toMoment),
  };
}

function tokensText({ tokens, tokens_ending }: AgentLine): string {
  if (tokens === 0) return "none";
  return tokens_ending.length === 0
    ? String(tokens)
    : `${tokens} (${tokens_ending.map((end) => `one until ${end}`).join(", ")})`;
}

function listText(agents: readonly AgentLine[]): string {
  const rows = agents.map((agent) => [agent.name, agent.daily_usd.toFixed(2), agent.over_budget, tokensText(agent)]);
  return tableText([["agent", "USD a day", "over budget", "tokens"], ...rows], [1], false);
}

function parseName(text: string): string {
  if (!namePattern.test(text)) {
    throw new InvalidArgumentError("Use a-z, 0-9, - and _, beginning with a letter, 32 characters at most.");
  }
  return text;
}

function parseAmount(text: string): number {
  const usd = parseUsd(text);
  if (usd === undefined) throw new InvalidArgumentError("Write an amount in USD such as 2.00.");
  return usd;
}

const overlapUnits: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };
const longestOverlapDays = 90;

function parseOverlap(text: string): number {
  const match = /^(\d{1,6})([mhd])$/.exec(text);
  const ms = match === null ? 0 : Number(match[1]) * overlapUnits[match[2]!]!;
  if (ms > 0 && ms <= longestOverlapDays * overlapUnits["d"]!) return ms;
  throw new InvalidArgumentError(
    `Write a duration such as 30m, 1h or 7d (${longestOverlapDays} days at most) behind it, or the name before it.`,
  );
}

/** True: the file holds the change now. */
async function change(io: Io, edit: (text: string) => Edit): Promise<boolean> {
  const { editConfig } = await import("../config/edit-file.ts");
  const result = await editConfig(io.configFile, edit).catch((error: unknown) => ({
    problem: `${io.configFile} can't be written (${codeOf(error)})`,
  }));
  if ("done" in result) return true;
  if ("faults" in result) {
    io.err("sanctum: nothing was changed, because of:\n");
    showFaults(io, result.faults);
  } else {
    io.err(`sanctum: ${result.problem}\n`);
    process.exitCode = exitFailed;
  }
  return false;
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown error";
}

function showFaults(io: Io, faults: readonly Fault[]): void {
  for (const fault of faults) io.err(`${formatFault(fault)}\n`);
  process.exitCode = exitConfiguration;
}

async function showToken(
  io: Io,
  name: string,
  { token, hash }: AgentToken,
  json: boolean,
  overlap: Overlap | null = null,
): Promise<void> {
  const { loadConfig } = await import("../config/load.ts");
  const loaded = loadConfig(io.configFile, { home: io.home });
  const address = "config" in loaded ? addressOf(loaded.config) : undefined;
  const text = token.reveal();
  token.wipe();
  if (json) {
    const place =
      address !== undefined && "url" in address ? { base_url: address.url } : { socket: address?.socketPath };
    const previous = overlap === null ? {} : { previous_until: previousUntil(overlap) };
    io.out(`${JSON.stringify({ agent: name, token: text, hash, ...place, ...previous }, null, 2)}\n`);
    return;
  }
  io.out(`Token of agent ${name}, shown this once:\n\n  ${text}\n\n`);
  if (overlap !== null) io.out(`${overlapText(overlap)}\n\n`);
  if (address !== undefined && "url" in address) {
    io.out(`Claude Code:  ANTHROPIC_BASE_URL=${address.url} ANTHROPIC_AUTH_TOKEN=${text} claude\n`);
    io.out(`OpenAI SDKs:  OPENAI_BASE_URL=${address.url}/v1 OPENAI_API_KEY=${text}\n`);
    io.out(`Without it:   sanctum run ${name} -- claude   (a token of its own for each run)\n`);
  } else if (address !== undefined) io.out(`Over the socket:  ${curlLine(address.socketPath, text)}\n`);
}

function previousUntil(overlap: Overlap): string | null {
  if (overlap.keep === "none") return null;
  return overlap.keep === "until" ? toMoment(overlap.untilMs) : "next rotation";
}

function overlapText(overlap: Overlap): string {
  const until = previousUntil(overlap);
  return until === null
    ? "The tokens before this one have stopped."
    : `The newest token before this one works until ${overlap.keep === "until" ? until : `the ${until}`}; older ones have stopped.`;
}

/** Where a client on this machine reaches the gateway, by its configuration. */
function addressOf({ listen, tls }: Config): ClientAddress | undefined {
  const scheme = tls === undefined ? "http" : "https";
  return clientAddressOf(listen.map(({ text, port }) => (port === undefined ? text : `${scheme}://${text}`)));
}
