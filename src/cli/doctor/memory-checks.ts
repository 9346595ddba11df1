// Whether images of the gateway's memory can get to a disk.

import { onBoundary, type Finding } from "./finding.ts";
import { readText, refusesTracing } from "./kernel.ts";
import type { Scene } from "./scene.ts";

export function checkCore(scene: Scene): Finding[] {
  const { pid, service, system } = scene;
  if (system.platform === "darwin") return [coreByDefinition(scene)];
  if (pid === null) return [];
  if (refusesTracing(pid)) {
    return [onBoundary("memory.core", "ok", { found: "It leaves no core dump: it has told the kernel so." })];
  }
  const limit = /^Max core file size\s+(\S+)\s+(\S+)/m.exec(readText(`/proc/${pid}/limits`) ?? "");
  if (limit === null) {
    return [onBoundary("memory.core", "note", { found: "Whether it can leave a core dump can't be told." })];
  }
  if (limit[1] === "0") {
    // core(5): a limit of 0 does not stop a kernel that pipes dumps; systemd-coredump and apport keep to it themselves.
    const pattern = readText("/proc/sys/kernel/core_pattern")?.trim() ?? "";
    const piped = pattern.startsWith("|") ? ` The kernel pipes dumps to ${pattern.slice(1).split(" ")[0]}.` : "";
    const known = /systemd-coredump|apport/.test(pattern);
    if (piped === "" || known) return [onBoundary("memory.core", "ok", { found: `It leaves no core dump.${piped}` })];
    return [
      onBoundary("memory.core", "note", {
        found: `Its limit for core dumps is 0.${piped}`,
        means: "Such a program is not bound by the limit, and may keep an image of the memory, keys and all.",
        remedy: "see whether it keeps to the limit, or `sudo sysctl kernel.core_pattern=core`",
      }),
    ];
  }
  return [
    onBoundary("memory.core", scene.mode === "separate-user" ? "problem" : "note", {
      found: `It can leave a core dump (its limit is ${limit[1]}).`,
      means: "A crash would write its memory to a disk, keys and all.",
      remedy:
        service === null
          ? "`ulimit -c 0` in the shell before `sanctum start`, or `sanctum service install`"
          : "install the service again: `sanctum service install`",
    }),
  ];
}

function coreByDefinition({ service, system, mode }: Scene): Finding {
  const limited = service !== null && /<key>Core<\/key>\s*<integer>0</.test(system.read(service.file) ?? "");
  if (limited)
    return onBoundary("memory.core", "ok", { found: "It leaves no core dump: its service limits them to 0." });
  return onBoundary("memory.core", mode === "separate-user" ? "problem" : "note", {
    found: "Whether it can leave a core dump can't be told; no service limits it.",
    remedy: "`ulimit -c 0` in the shell before `sanctum start`, or `sanctum service install`",
  });
}

export function checkSwap({ pid, system, mode }: Scene): Finding[] {
  if (system.platform === "darwin")
    return [onBoundary("memory.swap", "ok", { found: "macOS encrypts what it swaps." })];
  const swaps = (readText("/proc/swaps") ?? "").trim().split("\n").slice(1);
  // zram is memory too.
  const onDisk = swaps.map((line) => line.split(/\s+/)[0] ?? "").filter((name) => !name.includes("zram"));
  if (onDisk.length === 0) return [onBoundary("memory.swap", "ok", { found: "This machine swaps to no disk." })];
  if (pid === null) return [];
  const group = /^0::(.*)$/m.exec(readText(`/proc/${pid}/cgroup`) ?? "")?.[1];
  const limit = group === undefined ? undefined : readText(`/sys/fs/cgroup${group}/memory.swap.max`)?.trim();
  if (limit === "0") return [onBoundary("memory.swap", "ok", { found: "Its memory is never swapped to a disk." })];
  return [
    onBoundary("memory.swap", mode === "separate-user" ? "problem" : "note", {
      found: `Its memory can be swapped to ${onDisk.join(", ")}.`,
      means: "Keys can stay there, also when the machine is off, unless that disk is encrypted.",
      remedy:
        "encrypt the swap, or keep the gateway as a systemd service, which does not swap (`sanctum service install`)",
    }),
  ];
}
