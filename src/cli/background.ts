import { readFileSync } from "node:fs";

/**
 * Whether the terminal belongs to another process group now. `sanctum start &` is started so, and its first touch of the
 * terminal's mode would stop it (SIGTTOU). Where it can't be told it counts as being so: then nobody is asked.
 */
export function isInBackground(): boolean {
  try {
    const [own, foreground] = process.platform === "linux" ? linuxGroups() : psGroups();
    if (own === undefined || foreground === undefined || Number.isNaN(foreground)) return true;
    // Not a controlling terminal of ours, which sends no such signal.
    return foreground > 0 && own !== foreground;
  } catch {
    return true;
  }
}

/** proc_pid_stat(5): fields 5 and 8, our process group and the terminal's foreground group. */
function linuxGroups(): number[] {
  // The second field is a name in brackets, which may hold anything.
  const fields = readFileSync("/proc/self/stat", "latin1")
    .replace(/^.*\) /s, "")
    .split(" ");
  return [Number(fields[2]), Number(fields[5])];
}

function psGroups(): number[] {
  const { stdout } = Bun.spawnSync(["/bin/ps", "-o", "pgid=,tpgid=", "-p", String(process.pid)]);
  return stdout.toString().trim().split(/\s+/).map(Number);
}
