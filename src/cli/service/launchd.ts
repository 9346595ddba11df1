import { dirname } from "node:path";
import { exitFailed, Refusal } from "../refusal.ts";
import { definitionFile } from "./find-services.ts";
import { launchAgent, launchDaemon, launchLabel, logFile } from "./launchd-plist.ts";
import { dataSteps } from "./purge.ts";
import type { ServiceManager } from "./service-manager.ts";
import {
  gatewayHome,
  programFolder,
  programSteps,
  userHome,
  type InstalledService,
  type SeparateUser,
} from "./service-plan.ts";
import type { Step } from "./step.ts";
import type { System } from "./system.ts";

/** Accounts of services have numbers below 500, where people's begin; Apple's own end below these. */
const firstId = 400;
const lastId = 499;
/** `bootstrap` is refused while the old one still stops, which may take its whole grace. */
const bootstrapTries = 60;

export const launchd: ServiceManager = {
  name: "launchd",

  async require() {
    // Every macOS has it.
  },

  async installSteps(system, service) {
    const path = definitionFile(system, service.mode);
    if (service.mode === "same-user") {
      const text = launchAgent(service, system.homeFolder);
      return [
        folder("make the folder of its log", ["-m", "0700"], dirname(logFile(service.home))),
        { does: "write", why: "write the property list", path, text, mode: 0o644 },
        ...startSteps(`gui/${system.uid}`, path),
      ];
    }
    const { user } = service;
    const owned = ["-m", "0700", "-o", user, "-g", user];
    return [
      ...(await userSteps(system, service)),
      folder("make the folder of homes of services", ["-m", "0755"], dirname(userHome(user))),
      folder("make its home", owned, userHome(user)),
      folder("make its SANCTUM_HOME", owned, gatewayHome(user)),
      folder("make the folder of its log", owned, dirname(logFile(gatewayHome(user)))),
      ...programSteps(service.program),
      { does: "write", why: "write the property list", path, text: launchDaemon(service), mode: 0o644 },
      ...startSteps("system", path),
    ];
  },

  async uninstallSteps(system, service, purge) {
    const target = `${domainOf(system, service)}/${launchLabel}`;
    const steps: Step[] = [
      run("stop it", ["launchctl", "bootout", target], true),
      { does: "remove", why: "take the property list away", path: service.file },
    ];
    if (service.user !== null) steps.push({ does: "remove", why: "take the program away", path: programFolder });
    if (!purge) return steps;
    if (service.user === null) return [...steps, ...dataSteps(system, service.home)];
    return [
      ...steps,
      { does: "remove", why: "delete configuration, books and vault", path: userHome(service.user) },
      run("delete the user", ["dscl", ".", "-delete", `/Users/${service.user}`], true),
      run("delete its group", ["dscl", ".", "-delete", `/Groups/${service.user}`], true),
    ];
  },

  async state(system, service) {
    const { code, out } = await system.run(["launchctl", "print", `${domainOf(system, service)}/${launchLabel}`]);
    // 113: there is no such service.
    if (code !== 0) return { state: code === 113 ? "stopped" : "unknown", enabled: false, pid: null };
    const pid = /^\s*pid = (\d+)$/m.exec(out)?.[1];
    const ended = /^\s*last exit code = (\S+)/m.exec(out)?.[1];
    const failed = ended !== undefined && ended !== "0" && ended !== "(never";
    const state = /^\s*state = running$/m.test(out) ? "running" : failed ? "failed" : "stopped";
    return { state, enabled: true, pid: pid === undefined ? null : Number(pid) };
  },

  logCommand: (service) => ["tail", "-n", "20", logFile(service.home)],
};

function domainOf(system: System, service: Pick<InstalledService, "mode">): string {
  return service.mode === "separate-user" ? "system" : `gui/${system.uid}`;
}

function run(why: string, argv: readonly string[], mayFail = false): Step {
  return { does: "run", why, argv, mayFail };
}

function folder(why: string, options: readonly string[], path: string): Step {
  return run(why, ["install", "-d", ...options, path]);
}

function startSteps(domain: string, file: string): Step[] {
  return [
    run("let it start by itself", ["launchctl", "enable", `${domain}/${launchLabel}`]),
    run("stop the one that runs", ["launchctl", "bootout", `${domain}/${launchLabel}`], true),
    { does: "run", why: "start it", argv: ["launchctl", "bootstrap", domain, file], tries: bootstrapTries },
  ];
}

/** A hidden account that nobody logs in with, and its group. */
async function userSteps(system: System, { user }: SeparateUser): Promise<Step[]> {
  const { code, out } = await system.run(["dscl", ".", "-read", `/Users/${user}`, "NFSHomeDirectory"]);
  if (code === 0) {
    if (out.trim() === `NFSHomeDirectory: ${userHome(user)}`) return [];
    throw new Refusal(
      exitFailed,
      `the user ${user} exists and was not made for this (its home is not ${userHome(user)}); ` +
        "a person's or another service's account separates nothing: choose another name, e.g. --user sanctum",
    );
  }
  const id = String(await freeId(system));
  const set = (record: string, key: string, value: string): Step =>
    run(`set its ${key}`, ["dscl", ".", "-create", record, key, value]);
  const [group, account] = [`/Groups/${user}`, `/Users/${user}`];
  return [
    run("make the group", ["dscl", ".", "-create", group]),
    set(group, "PrimaryGroupID", id),
    run("make the user", ["dscl", ".", "-create", account]),
    set(account, "UniqueID", id),
    set(account, "PrimaryGroupID", id),
    set(account, "NFSHomeDirectory", userHome(user)),
    set(account, "UserShell", "/usr/bin/false"),
    set(account, "RealName", "Sanctum Cloud Proxy"),
    set(account, "IsHidden", "1"),
  ];
}

/** A number that neither a user nor a group has. */
async function freeId(system: System): Promise<number> {
  const lists = [
    ["dscl", ".", "-list", "/Users", "UniqueID"],
    ["dscl", ".", "-list", "/Groups", "PrimaryGroupID"],
  ];
  const used = new Set<number>();
  for (const argv of lists) {
    const { out } = await system.run(argv);
    for (const [, id] of out.matchAll(/\s(-?\d+)$/gm)) used.add(Number(id));
  }
  for (let id = firstId; id <= lastId; id++) if (!used.has(id)) return id;
  throw new Refusal(exitFailed, `every number from ${firstId} to ${lastId} is taken by a user or a group`);
}
