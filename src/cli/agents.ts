// `sanctum agents`: who may call, and with which token. The commands edit config.yaml and leave the rest of it as it is; a
// running gateway sees the change by itself.

import { randomBytes } from "node:crypto";

import { Command, InvalidArgumentError } from "commander";

import { createToken } from "../config/agent-token.ts";
import type { AgentToken } from "../config/agent-token.ts";
import type { Edit } from "../config/edit-agents.ts";
import { formatFault } from "../config/fault.ts";
import { namePattern } from "../config/name-pattern.ts";
import { parseUsd } from "../config/quantities.ts";
import type { Config, Fault } from "../config/types.ts";
import { usdFromNanos } from "../money.ts";
import type { Io } from "./io.ts";
import { tableText } from "./table.ts";

// The parser of the configuration is loaded when a command needs it, and not by every start of the program.
const loadEdits = () => import("../config/edit-agents.ts");

const exitFailed = 1;
const exitConfiguration = 78;

/** `add`, `list`, `rotate` and `rm`. A token is printed once, by the command that makes it. */
export function agentsCommand(io: Io): Command {
  return new Command("agents")
    .description("add, list, rotate and remove agents and their tokens")
    .addCommand(addCommand(io))
    .addCommand(listCommand(io))
    .addCommand(rotateCommand(io))
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

function rotateCommand(io: Io): Command {
  return new Command("rotate")
    .description("replace the tokens of an agent by a new one and print it, once")
    .argument("<name>", "the agent", parseName)
    .option("--overlap", "keep the newest old token until the next rotation")
    .option("--json", "print the result as JSON")
    .action(async (name: string, options: { overlap?: boolean; json?: boolean }) => {
      const { rotateAgent } = await loadEdits();
      const token = createToken(name, randomBytes);
      const done = await change(io, (text) => rotateAgent(text, name, token.hash, options.overlap === true));
      if (done) await showToken(io, name, token, options.json === true);
    });
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

function listCommand(io: Io): Command {
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
      const agents = [...loaded.config.agents.values()].map((agent) => ({
        name: agent.name,
        daily_usd: usdFromNanos(agent.caps.daily),
        over_budget: agent.overBudget,
        tokens: agent.tokenHashes.length,
      }));
      if (options.json === true) io.out(`${JSON.stringify(agents, null, 2)}\n`);
      else io.out(listText(agents));
    });
}

interface AgentLine {
  readonly name: string;
  readonly daily_usd: number;
  readonly over_budget: string;
  readonly tokens: number;
}

function listText(agents: readonly AgentLine[]): string {
  const rows = agents.map((agent) => [
    agent.name,
    agent.daily_usd.toFixed(2),
    agent.over_budget,
    agent.tokens === 0 ? "none" : String(agent.tokens),
  ]);
  return tableText([["agent", "USD a day", "over budget", "tokens"], ...rows], [1, 3], false);
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

async function showToken(io: Io, name: string, { token, hash }: AgentToken, json: boolean): Promise<void> {
  const { loadConfig } = await import("../config/load.ts");
  const loaded = loadConfig(io.configFile, { home: io.home });
  const base = "config" in loaded ? baseUrl(loaded.config) : "http://127.0.0.1:4040";
  const text = token.reveal();
  token.wipe();
  if (json) {
    io.out(`${JSON.stringify({ agent: name, token: text, hash, base_url: base }, null, 2)}\n`);
    return;
  }
  io.out(`Token of agent ${name}, shown this once:\n\n  ${text}\n\n`);
  io.out(`Claude Code:  ANTHROPIC_BASE_URL=${base} ANTHROPIC_AUTH_TOKEN=${text} claude\n`);
  io.out(`OpenAI SDKs:  OPENAI_BASE_URL=${base}/v1 OPENAI_API_KEY=${text}\n`);
}

/** Where a client on this machine reaches the gateway. */
function baseUrl(config: Config): string {
  const address = config.listen.find((candidate) => candidate.port !== undefined);
  if (address === undefined) return "http://localhost";
  const scheme = config.tls === undefined ? "http" : "https";
  return `${scheme}://${address.text}`;
}
