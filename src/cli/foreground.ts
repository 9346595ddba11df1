import { readFileSync } from "node:fs";

/**
 * Whether the terminal listens to this process. `sanctum start &` leaves it in the background, where the first touch of the
 * terminal's mode would stop it (SIGTTOU).
 */
export function isInForeground(): boolean {
  try {
    const [own, terminals] = process.platform === "linux" ? groupsOf(procStat()) : groupsOf(psLine());
    return own !== undefined && own === terminals;
  } catch {
    // It can't be told: then nobody is asked.
    return false;
  }
}

/** proc_pid_stat(5): fields 5 and 8, the process group and the terminal's foreground group. */
function procStat(): string {
  // The second field is a name in brackets, which may hold anything.
  const fields = readFileSync("/proc/self/stat", "latin1")
    .replace(/^.*\) /s, "")
    .split(" ");
  return `${fields[2]} ${fields[5]}`;
}

function psLine(): string {
  const { stdout } = Bun.spawnSync(["/bin/ps", "-o", "pgid=,tpgid=", "-p", String(process.pid)]);
  return stdout.toString().trim();
}

function groupsOf(line: string): string[] {
  return line.split(/\s+/);
}
