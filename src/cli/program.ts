// Every command of the command line.

import { join } from "node:path";
import { Command, CommanderError } from "commander";
import { createAdminClient, NotRunningError } from "../admin/admin-client.ts";
import type { Told } from "../admin/admin-server.ts";
import { agentsCommand } from "./agents.ts";
import { auditCommand } from "./audit.ts";
import { AuditVault } from "./audit-vault.ts";
import { checkCommand } from "./check.ts";
import { connectCommand } from "./connect.ts";
import { dashboardCommand } from "./dashboard.ts";
import { demoCommand } from "./demo.ts";
import { doctorCommand } from "./doctor.ts";
import type { Io } from "./io.ts";
import { keysCommand } from "./keys.ts";
import { modelsCommand } from "./models.ts";
import { reconcileCommand } from "./reconcile.ts";
import { adminOf, reloadCommand, restartCommand, stopCommand } from "./remote.ts";
import { runCommand } from "./run.ts";
import { serviceCommand } from "./service.ts";
import { loadSettings } from "./settings.ts";
import { startCommand } from "./start-command.ts";
import { statsCommand, statusCommand } from "./stats.ts";
import type { StatsDocument } from "../layers/audit/index.ts";

const exitUsage = 2;

/** Parses the command line and runs one command; sets `process.exitCode`. */
export async function runProgram(io: Io): Promise<void> {
  try {
    await createProgram(io).parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : exitUsage;
  }
}

/** The commands with their arguments and options; nothing is read or run until it parses a command line. */
export function createProgram(io: Io): Command {
  const fetchStats = async (): Promise<StatsDocument> =>
    JSON.parse(await createAdminClient(join(io.home, "run/admin.sock")).get("/stats")) as StatsDocument;
  const program = new Command("sanctum")
    .description("Keeps the keys, caps the spend, logs every request, and answers locally when the cloud fails.")
    .version("1.0.0")
    .option("--config <file>", "configuration file (default: sanctum-proxy/config.yaml in SANCTUM_HOME)")
    // What is behind a command's name is that command's, also behind a --.
    .enablePositionalOptions()
    .exitOverride();
  const commands = [
    startCommand(io),
    stopCommand(io),
    reloadCommand(io),
    restartCommand(io),
    statusCommand(io, fetchStats),
    statsCommand(io, fetchStats),
    checkCommand(io),
    agentsCommand(io),
    keysCommand(io),
    modelsCommand(io, () => loadSettings(io)),
    runCommand(io),
    connectCommand(io),
    auditCommand(io, {
      settings: () => loadSettings(io),
      vault: new AuditVault(io, () => loadSettings(io)),
      accept: () => acceptTrail(io),
      anchor: async () => {
        const { audit } = await fetchStats().catch(() => ({ audit: null }));
        return audit === null || audit.fault !== null ? null : { seq: audit.entries, head: audit.head };
      },
    }),
    reconcileCommand(io, { settings: () => loadSettings(io) }),
    dashboardCommand(io),
    demoCommand(io),
    doctorCommand(io),
    serviceCommand(io),
    vaultApartCommand(),
  ];
  for (const command of commands) {
    program.addCommand(withConfigOption(command.exitOverride()), { hidden: command.name() === "vault-apart" });
  }
  return program;
}

async function acceptTrail(io: Io): Promise<Told> {
  try {
    return JSON.parse(await adminOf(io).post("/audit/accept")) as Told;
  } catch (error) {
    if (error instanceof NotRunningError) return { ok: false, text: error.message };
    throw error;
  }
}

/** How a program of one file runs its own vault-age.ts (see there) in another process. */
function vaultApartCommand(): Command {
  return new Command("vault-apart").action(async () => {
    const { answerVault } = await import("../layers/vault/vault-age.ts");
    await answerVault();
  });
}

/** `--config` is taken before and after the command's name. */
function withConfigOption(command: Command): Command {
  for (const sub of command.commands) withConfigOption(sub.exitOverride());
  return command.option("--config <file>", "configuration file");
}
