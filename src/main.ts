// The composition root of the command line: every command, and what it gets of the world.

import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { Command, CommanderError } from "commander";
import { createAdminClient } from "./admin/admin-client.ts";
import { agentsCommand } from "./cli/agents.ts";
import { auditCommand } from "./cli/audit.ts";
import { checkCommand } from "./cli/check.ts";
import { connectCommand } from "./cli/connect.ts";
import { demoCommand } from "./cli/demo.ts";
import type { Io } from "./cli/io.ts";
import { keysCommand } from "./cli/keys.ts";
import { modelsCommand } from "./cli/models.ts";
import { reloadCommand, stopCommand } from "./cli/remote.ts";
import { startCommand } from "./cli/start.ts";
import { statsCommand, statusCommand } from "./cli/stats.ts";
import type { StatsDocument } from "./layers/audit/index.ts";

const exitUsage = 2;

function createIo(argv: readonly string[]): Io {
  const home = resolve(process.env["SANCTUM_HOME"] ?? join(homedir(), ".sanctum"));
  const at = argv.findIndex((word) => word === "--config" || word.startsWith("--config="));
  const given = at < 0 ? undefined : argv[at]!.includes("=") ? argv[at]!.slice("--config=".length) : argv[at + 1];
  // npm runs scripts in the package's folder: a relative path is meant from where the person stands.
  const from = process.env["INIT_CWD"] ?? process.cwd();
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    isTty: process.stdout.isTTY === true,
    env: process.env,
    home,
    configFile: given === undefined ? join(home, "sanctum-proxy/config.yaml") : resolve(from, given),
  };
}

async function main(): Promise<void> {
  const io = createIo(process.argv);
  const fetchStats = async (): Promise<StatsDocument> =>
    JSON.parse(await createAdminClient(join(io.home, "run/admin.sock")).get("/stats")) as StatsDocument;
  const program = new Command("sanctum")
    .description("Keeps the keys, caps the spend, logs every request, and answers locally when the cloud fails.")
    .version("1.0.0")
    .option("--config <file>", "configuration file (default: sanctum-proxy/config.yaml in SANCTUM_HOME)")
    .exitOverride();
  const commands = [
    startCommand(io),
    stopCommand(io),
    reloadCommand(io),
    statusCommand(io, fetchStats),
    statsCommand(io, fetchStats),
    checkCommand(io),
    agentsCommand(io),
    keysCommand(io),
    modelsCommand(io),
    connectCommand(io),
    auditCommand(io, {
      auditFile: async () => auditFileOf(io),
      anchor: async () => {
        const { audit } = await fetchStats().catch(() => ({ audit: null }));
        return audit === null || audit.fault !== null ? null : { seq: audit.entries, head: audit.head };
      },
    }),
    demoCommand(io),
  ];
  for (const command of commands) program.addCommand(withConfigOption(command.exitOverride()));
  try {
    await program.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : exitUsage;
  }
}

/** Where the configured trail is; a faulty configuration means the usual place. */
async function auditFileOf(io: Io): Promise<string> {
  const { loadConfig } = await import("./config/load.ts");
  const loaded = loadConfig(io.configFile, { home: io.home });
  return "config" in loaded ? loaded.config.audit.file : join(io.home, "logs/cloud-proxy-audit.jsonl");
}

/** `--config` is taken before and after the command's name. */
function withConfigOption(command: Command): Command {
  for (const sub of command.commands) withConfigOption(sub.exitOverride());
  return command.option("--config <file>", "configuration file");
}

await main();
