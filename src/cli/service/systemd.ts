import { exitFailed, Refusal } from "../refusal.ts";
import { definitionFile } from "./find-services.ts";
import { dataSteps } from "./purge.ts";
import type { ServiceManager } from "./service-manager.ts";
import { programFolder, programSteps, userHome, type InstalledService, type ServiceState } from "./service-plan.ts";
import type { Step } from "./step.ts";
import type { System } from "./system.ts";
import { credentialFolder, passphraseCredential, systemUnit, unitName, userUnit } from "./systemd-unit.ts";

export const systemd: ServiceManager = {
  name: "systemd",

  async require(system, service) {
    // sd_booted(3).
    if (!system.exists("/run/systemd/system")) {
      throw new Refusal(
        exitFailed,
        "systemd does not run this machine (a container, WSL without systemd, or another init system); " +
          "let whatever starts things here run `sanctum start`" +
          (service.mode === "separate-user" ? " as a user of its own" : "") +
          ". `--print` shows the unit. In WSL, `[boot] systemd=true` in /etc/wsl.conf brings systemd.",
      );
    }
    if (service.mode === "separate-user") return;
    const { code, err } = await system.run(["systemctl", "--user", "show-environment"]);
    if (code === 0) return;
    throw new Refusal(
      exitFailed,
      `systemd has no session of yours here (${err.trim() || `systemctl ended with ${code}`}); ` +
        "log in as this user (not with su or sudo), or let it stay without a login: `sudo loginctl enable-linger $USER`",
    );
  },

  async installSteps(system, service) {
    const file = definitionFile(system, service.mode);
    if (service.mode === "same-user") return [unitStep(file, userUnit(service)), ...startSteps(["--user"])];
    return [
      ...(await userSteps(system, service.user)),
      ...programSteps(service.program),
      unitStep(file, systemUnit(service)),
      ...startSteps([]),
    ];
  },

  async uninstallSteps(system, service, purge) {
    const scope = scopeOf(service);
    const steps: Step[] = [
      run("stop it and keep it from starting", ["systemctl", ...scope, "disable", "--now", unitName], true),
      { does: "remove", why: "take the unit away", path: service.file },
      run("tell systemd", ["systemctl", ...scope, "daemon-reload"]),
      run("forget how it ended", ["systemctl", ...scope, "reset-failed", unitName], true),
    ];
    if (service.user !== null) steps.push({ does: "remove", why: "take the program away", path: programFolder });
    if (!purge) return steps;
    if (service.user === null) return [...steps, ...dataSteps(system, service.home)];
    return [
      ...steps,
      { does: "remove", why: "delete configuration, books and vault", path: userHome(service.user) },
      {
        does: "remove",
        why: "delete the sealed passphrase of the vault",
        path: `${credentialFolder}/${passphraseCredential}`,
      },
      // 6: there is no such user (any more).
      run("delete the user", ["userdel", service.user], !(await hasUser(system, service.user))),
    ];
  },

  async state(system, service) {
    const properties = "--property=LoadState,ActiveState,UnitFileState,MainPID";
    const { code, out } = await system.run(["systemctl", ...scopeOf(service), "show", properties, unitName]);
    const of = (name: string): string => new RegExp(`^${name}=(.*)$`, "m").exec(out)?.[1] ?? "";
    const pid = Number(of("MainPID"));
    return {
      state: code === 0 ? (states[of("ActiveState")] ?? "unknown") : "unknown",
      enabled: of("UnitFileState") === "enabled",
      pid: pid > 0 ? pid : null,
    };
  },

  logCommand: (service) => ["journalctl", ...scopeOf(service), "-u", unitName, "-n", "20", "--no-pager"],
};

const states: Readonly<Record<string, ServiceState["state"]>> = {
  active: "running",
  reloading: "running",
  inactive: "stopped",
  deactivating: "stopped",
  activating: "starting",
  failed: "failed",
};

function scopeOf(service: Pick<InstalledService, "mode">): string[] {
  return service.mode === "separate-user" ? [] : ["--user"];
}

function run(why: string, argv: readonly string[], mayFail = false): Step {
  return { does: "run", why, argv, mayFail };
}

function unitStep(path: string, text: string): Step {
  return { does: "write", why: "write the unit", path, text, mode: 0o644 };
}

/** `restart` starts it too, and brings a changed unit or program into use; running streams may finish before. */
function startSteps(scope: readonly string[]): Step[] {
  return [
    run("tell systemd", ["systemctl", ...scope, "daemon-reload"]),
    run("let it start by itself", ["systemctl", ...scope, "enable", unitName]),
    run("start it, anew where it runs", ["systemctl", ...scope, "restart", unitName]),
  ];
}

async function hasUser(system: System, user: string): Promise<boolean> {
  return (await system.run(["getent", "passwd", user])).code === 0;
}

async function userSteps(system: System, user: string): Promise<Step[]> {
  const { code, out } = await system.run(["getent", "passwd", user]);
  if (code !== 0) {
    const account = ["--system", "--user-group", "--home-dir", userHome(user), "--no-create-home"];
    return [run("make the user", ["useradd", ...account, "--shell", "/usr/sbin/nologin", user])];
  }
  // passwd(5): the sixth field is the home.
  if (out.trim().split(":")[5] === userHome(user)) return [];
  throw new Refusal(
    exitFailed,
    `the user ${user} exists and was not made for this (its home is not ${userHome(user)}); ` +
      "a person's or another service's account separates nothing: choose another name, e.g. --user sanctum",
  );
}
