// Whose process the gateway is, and whether anything makes the difference between users void.

import { installedProgram } from "../service/service-plan.ts";
import { tryReplace } from "./attempts.ts";
import { beside, onBoundary, type Finding } from "./finding.ts";
import { commandOf } from "./kernel.ts";
import type { Scene } from "./scene.ts";

export const separateRemedy = "give the gateway a user of its own: `sudo npx sanctum service install --user sanctum`";

/** Which mode is on. */
export function checkMode(scene: Scene): Finding[] {
  const { mode, owner, vantage, pid, running, home } = scene;
  if (owner === null) {
    return [
      beside("boundary.mode", "note", {
        found: `There is no gateway yet: ${home} is not there.`,
        means: "Started as it is, it would be the same user as you and your agents.",
        remedy: separateRemedy,
      }),
    ];
  }
  const who = `${owner.name} (uid ${owner.uid})`;
  const process = running ? (pid === null ? "" : `, process ${pid}`) : "; it does not run now";
  if (owner.uid === 0) {
    return [
      onBoundary("boundary.mode", "problem", {
        found: `The gateway is root${process}.`,
        means: "It needs none of root's rights, and a hole in it would be a hole in the whole machine.",
        remedy: separateRemedy,
      }),
    ];
  }
  if (vantage !== "agents") {
    const you = vantage === "root" ? "you are root, from whom nothing is kept" : "and that is who you are now";
    return [
      onBoundary("boundary.mode", "note", {
        found: `The gateway has a user of its own, ${who}${process}; ${you}.`,
        means: "What agents can do is not seen from here.",
        remedy: "run `sanctum doctor` as the user under whom your agents run, without sudo",
      }),
    ];
  }
  if (mode === "same-user") {
    return [
      onBoundary("boundary.mode", "note", {
        found: `The gateway is the same user as you: ${who}${process}.`,
        means:
          "Programs that run as you, agents too, can do what you can: at the least, start a gateway of their own with the keys that yours is given. The list below says what else.",
        remedy: separateRemedy,
      }),
    ];
  }
  if (!running) {
    return [
      onBoundary("boundary.mode", "note", {
        found: `The gateway has a user of its own, ${who}, but it does not run now.`,
        means: "Its process could not be put to the test.",
        remedy: "start it, then run this again",
      }),
    ];
  }
  return [onBoundary("boundary.mode", "ok", { found: `The gateway has a user of its own: ${who}${process}.` })];
}

/** Groups whose members are root by way of a daemon or a disk. */
const rootGroups = new Set(["docker", "lxd", "incus", "incus-admin", "libvirt", "disk", "shadow"]);
const sudoGroups = new Set(["sudo", "wheel", "admin"]);

/** Whether the caller's programs can become root, or the gateway's user, without being asked. */
export async function checkRights({ mode, system, vantage }: Scene): Promise<Finding[]> {
  if (mode !== "separate-user" || vantage !== "agents") return [];
  // It also fails where one group has no name, and tells the others.
  const { out } = await system.run(["id", "-Gn"]);
  if (out.trim() === "") {
    return [
      onBoundary("boundary.rights", "note", { found: "Your groups can't be told, so your rights can't either." }),
    ];
  }
  const groups = out.trim().split(/\s+/);
  const roots = groups.filter((group) => rootGroups.has(group));
  const findings: Finding[] = [];
  if (roots.length > 0) {
    findings.push(
      onBoundary("boundary.rights", "problem", {
        found: `You are in the group ${roots.join(", ")}, whose members can become root.`,
        means: "An agent of yours can become root that way, and then read everything.",
        remedy: "run agents as a user without this group",
      }),
    );
  }
  // Asked only of those who may use sudo at all: a refusal is mailed to the administrator.
  if (groups.some((group) => sudoGroups.has(group)) && (await system.run(["sudo", "-n", "true"])).code === 0) {
    findings.push(
      onBoundary("boundary.rights", "problem", {
        found: "`sudo` asks you for no password now.",
        means: "An agent of yours can become root that way, and then read everything.",
        remedy:
          "take NOPASSWD out of sudoers, or `sudo -k` where it is only remembered; best, run agents as another user",
      }),
    );
  }
  if (findings.length > 0) return findings;
  return [
    onBoundary("boundary.rights", "ok", { found: "You can't become root unasked: by no group, and not by sudo." }),
  ];
}

/** Whether the program and its unit are out of reach. */
export function checkProgram(scene: Scene): Finding[] {
  const { service, mode, vantage } = scene;
  if (vantage !== "agents") return [];
  const files = [...(service === null ? [] : [service.file]), ...programsOf(scene)];
  if (files.length === 0) {
    return mode === "same-user"
      ? []
      : [onBoundary("boundary.program", "note", { found: "Which program it runs can't be told from here." })];
  }
  const open = files.filter((file) => tryReplace(file) === "possible");
  if (open.length === 0) {
    return [onBoundary("boundary.program", "ok", { found: `You can't change what runs: ${files.join(", ")}.` })];
  }
  return [
    onBoundary("boundary.program", mode === "separate-user" ? "problem" : "note", {
      found: `You can change what runs: ${open.join(", ")}, or a folder on the way to it.`,
      means: "From its next start on the gateway would do what an agent has put there.",
      remedy:
        mode === "separate-user"
          ? "let root alone own the file and all folders on the way, none writable by others"
          : separateRemedy,
    }),
  ];
}

/** Empty: it can't be told. */
function programsOf({ service, pid, mode }: Scene): string[] {
  if (service !== null && service.user !== null) return [installedProgram];
  // The runtime and its first script, by their full paths.
  if (pid !== null) return commandOf(pid).filter((word) => word.startsWith("/") && word !== "/dev/null");
  // Who looks at a gateway of another user may run another copy of the program.
  if (mode === "separate-user") return [];
  return [Bun.main.startsWith("/$bunfs/") ? process.execPath : Bun.main];
}
