import { readFileSync } from "node:fs";
import { cpus, release, tmpdir, totalmem, type } from "node:os";

/** What figures depend on, without anything that names the machine. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGigabytes: number;
  readonly kernel: string;
  /** Of ledger and audit: an fsync costs nothing on tmpfs. */
  readonly filesystem: string;
}

export function describeMachine(): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? "unknown CPU",
    cores: processors.length,
    memoryGigabytes: Math.round(totalmem() / 1e9),
    kernel: `${type()} ${release()}`,
    filesystem: filesystemOf(tmpdir()),
  };
}

function filesystemOf(folder: string): string {
  const mounts = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([, at]) => at !== undefined && (folder === at || folder.startsWith(at === "/" ? "/" : `${at}/`)));
  // The longest mount point that holds the folder; of several on the same one, the last hides the others.
  const nearest = mounts.reduce(
    (best, mount) => (mount[1]!.length >= best[1]!.length ? mount : best),
    ["", "", "unknown"],
  );
  return nearest[2]!;
}
