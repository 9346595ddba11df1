// `sanctum service`: the gateway kept running by systemd or launchd, as the caller or as a user of its own.

import { join } from "node:path";
import { Command } from "commander";
import type { Io } from "./io.ts";
import { exitFailed, exitUsage, Refusal } from "./refusal.ts";
import { definitionFile, findService, findServices } from "./service/find-services.ts";
import { launchd } from "./service/launchd.ts";
import type { ServiceManager } from "./service/service-manager.ts";
import {
  gatewayHome,
  parseUser,
  userHome,
  type InstalledService,
  type OwnProgram,
  type SameUser,
  type SeparateUser,
  type ServiceState,
} from "./service/service-plan.ts";
import { nextSteps } from "./service/next-steps.ts";
import { commandLine, perform, scriptOf } from "./service/step.ts";
import { thisSystem, type System } from "./service/system.ts";
import { systemd } from "./service/systemd.ts";

/** What the commands touch beside `Io`; tests bring their own. */
export interface ServiceParts {
  readonly system?: System;
  readonly program?: OwnProgram;
}

const startTries = 75;
/** Of what a gateway printed that did not start. */
const toldLines = 6;
const betweenTriesMs = 200;

export function serviceCommand(io: Io, parts: ServiceParts = {}): Command {
  const machine = (): System => parts.system ?? thisSystem(io.env);
  return new Command("service")
    .description("keep the gateway running by systemd or launchd, also as a user of its own")
    .addCommand(
      new Command("install")
        .description("install and start it as a service: yours, or of a user of its own that no agent is")
        .option("--user <name>", "as root: make this user and run as it, where agents cannot reach (e.g. sanctum)")
        .option("--print", "show what would be done, as a script, and do nothing")
        .addHelpText("after", installHelp)
        .action((options: { user?: string; print?: boolean }) =>
          orExplain(io, () => install(io, machine(), parts.program ?? ownProgram(), options)),
        ),
    )
    .addCommand(
      new Command("uninstall")
        .description("stop the service and take it away; configuration, books and vault stay")
        .option("--purge", "delete these too, and the user that was made for it")
        .option("--print", "show what would be done, as a script, and do nothing")
        .action((options: { purge?: boolean; print?: boolean }) =>
          orExplain(io, () => uninstall(io, machine(), options)),
        ),
    )
    .addCommand(
      new Command("status")
        .description("tell which service is installed and whether it runs; exit code 1 where none does")
        .option("--json", "print it as JSON")
        .action((options: { json?: boolean }) => orExplain(io, () => status(io, machine(), options.json === true))),
    );
}

const installHelp = `
Without --user the gateway runs as you, beside your agents: what you can read, they can read. With --user it has a user
of its own, its program lies where only root can write, and on Linux a sandbox surrounds it. Installing again brings a new
version into use; running streams may finish before.

Examples:
  sanctum service install                         as you, from login on
  sudo npx sanctum service install --user sanctum as the user sanctum, from the machine's start on
  sanctum service install --user sanctum --print  the unit and the commands, to read or to run yourself
`;

async function orExplain(io: Io, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    io.err(`sanctum: ${error.message}\n`);
    process.exitCode = error.exitCode;
  }
}

function managerOf({ platform }: System): ServiceManager {
  if (platform === "linux") return systemd;
  if (platform === "darwin") return launchd;
  throw new Refusal(exitFailed, "services are made for systemd (Linux) and launchd (macOS); here, start it yourself");
}

/** The program that runs now. */
function ownProgram(): OwnProgram {
  const compiled = Bun.main.startsWith("/$bunfs/") || Bun.main.startsWith("B:/~BUN/");
  return compiled
    ? { kind: "file", path: process.execPath }
    : { kind: "checkout", root: join(import.meta.dir, "../.."), bun: process.execPath };
}

async function install(
  io: Io,
  system: System,
  program: OwnProgram,
  options: { readonly user?: string; readonly print?: boolean },
): Promise<void> {
  const manager = managerOf(system);
  const service = wanted(io, program, options.user);
  if (options.print !== true) {
    requireRights(system, service);
    await manager.require(system, service);
  }
  const file = definitionFile(system, service.mode);
  if (findService(system, service.mode) === "foreign") {
    throw new Refusal(exitFailed, `${file} is there and was not made by this command; move it away first`);
  }
  const steps = await manager.installSteps(system, service);
  if (options.print === true) {
    io.out(scriptOf(steps));
    return;
  }
  if (service.mode === "same-user") await refuseSecond(system, manager, service);
  await perform(steps, system);
  const installed = findService(system, service.mode);
  if (installed === null || installed === "foreign") throw new Error(`${file} is not what was written`);
  await untilItRuns(system, manager, installed);
  io.out(nextSteps(manager.name, service));
}

function wanted(io: Io, program: OwnProgram, user: string | undefined): SameUser | SeparateUser {
  const usual = io.configFile === join(io.home, "sanctum-proxy/config.yaml");
  if (user === undefined) {
    return { mode: "same-user", home: io.home, configFile: usual ? null : io.configFile, program };
  }
  const name = parseUser(user);
  if (!usual) {
    const place = join(gatewayHome(name), "sanctum-proxy/config.yaml");
    throw new Refusal(exitUsage, `--config: with --user the configuration lies at ${place}, out of the agents' reach`);
  }
  return { mode: "separate-user", user: name, program };
}

function requireRights({ uid }: System, { mode }: SameUser | SeparateUser): void {
  if (mode === "separate-user" && uid !== 0) {
    throw new Refusal(
      exitFailed,
      "a user can be made by root alone: `sudo npx sanctum service install --user …` (`--print` shows what it does)",
    );
  }
  if (mode === "same-user" && uid === 0) {
    throw new Refusal(exitUsage, "you are root, and the gateway needs none of root's rights: add `--user sanctum`");
  }
}

/** A gateway that somebody started by hand holds the ledger, and the service would fail again and again. */
async function refuseSecond(system: System, manager: ServiceManager, service: SameUser): Promise<void> {
  const before = findService(system, "same-user");
  const ours = before !== null && before !== "foreign" && (await manager.state(system, before)).state === "running";
  if (ours || !(await system.answers(service.home))) return;
  throw new Refusal(
    exitFailed,
    "a gateway runs already, started by hand; end it by `sanctum stop`, then install again",
  );
}

async function untilItRuns(system: System, manager: ServiceManager, service: InstalledService): Promise<void> {
  for (let left = startTries; left > 0; left--) {
    if (await system.answers(service.home)) return;
    if ((await manager.state(system, service)).state === "failed") break;
    await system.wait(betweenTriesMs);
  }
  const command = manager.logCommand(service);
  const { out, err } = await system.run(command);
  const said = (out.trim() || err.trim()).split("\n").slice(-toldLines).join("\n");
  throw new Refusal(
    exitFailed,
    `the service is installed, but the gateway does not run. \`${commandLine(command)}\`:\n${said}\n` +
      "Mend that, then install again; or take it away by `sanctum service uninstall`.",
  );
}

async function uninstall(
  io: Io,
  system: System,
  options: { readonly purge?: boolean; readonly print?: boolean },
): Promise<void> {
  const manager = managerOf(system);
  const mode = system.uid === 0 ? "separate-user" : "same-user";
  const service = findService(system, mode);
  if (service === "foreign") {
    throw new Refusal(exitFailed, `${definitionFile(system, mode)} was not made by this command, and stays`);
  }
  if (service === null) {
    const [other] = findServices(system);
    const known = other === undefined ? "no service is installed" : `${other.file} is there`;
    const remedy =
      other === undefined ? "" : `; it is taken away by ${mode === "same-user" ? "root (sudo)" : "its user"}`;
    throw new Refusal(exitFailed, known + remedy);
  }
  const steps = await manager.uninstallSteps(system, service, options.purge === true);
  if (options.print === true) {
    io.out(scriptOf(steps));
    return;
  }
  await perform(steps, system);
  const data = service.user === null ? service.home : userHome(service.user);
  io.out(
    options.purge === true
      ? `The service is gone, and ${data} with it. Keys in a keychain stay: \`sanctum keys rm PROVIDER\`.\n`
      : `The service is gone. ${data} stays, with configuration, books and vault; installing again takes it up.\n`,
  );
}

interface ServiceReport extends InstalledService, ServiceState {}

async function status(io: Io, system: System, json: boolean): Promise<void> {
  const manager = managerOf(system);
  const services: ServiceReport[] = [];
  for (const service of findServices(system)) {
    services.push({ ...service, ...(await manager.state(system, service)) });
  }
  if (!services.some(({ state }) => state === "running")) process.exitCode = exitFailed;
  if (json) io.out(`${JSON.stringify({ manager: manager.name, services }, null, 2)}\n`);
  else if (services.length > 0) io.out(services.map((service) => reportText(service, manager)).join("\n"));
  else io.out("No service is installed. `sanctum service install` makes one; `--help` tells the two kinds.\n");
}

function reportText(service: ServiceReport, manager: ServiceManager): string {
  const who = service.user === null ? "you (the same user as your agents)" : `the user ${service.user}`;
  const pid = service.pid === null ? "" : `, process ${service.pid}`;
  const rows = [
    ["state", `${service.state}${pid}${service.enabled ? "" : ", does not start by itself"}`],
    ["runs as", who],
    ["command", service.command],
    ["SANCTUM_HOME", service.home],
    [manager.name, service.file],
    ["log", commandLine(manager.logCommand(service))],
  ] as const;
  return rows.map(([name, value]) => `${name.padEnd(14)}${value}\n`).join("");
}
