// One run of a client: bounded in time, with a process group of its own that is gone afterwards.

export interface ClientRun {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** What it should end with; 0 where absent. */
  readonly code?: number;
}

export interface ClientResult {
  readonly stdout: string;
  readonly stderr: string;
}

/** The groups that still run: none outlives this process. */
const groups = new Set<number>();
process.on("exit", () => {
  for (const group of groups) endGroup(group);
});

/** Rejects where the client does not end in time or ends with another code, with all that it printed. */
export async function runClient(run: ClientRun): Promise<ClientResult> {
  const child = Bun.spawn([...run.command], {
    cwd: run.cwd,
    env: { ...run.env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  groups.add(child.pid);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    endGroup(child.pid);
  }, run.timeoutMs);
  const code = await child.exited;
  clearTimeout(timer);
  // What the client left behind would hold the pipes open.
  endGroup(child.pid);
  groups.delete(child.pid);
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const printed = `stdout: ${tail(stdout)}\nstderr: ${tail(stderr)}`;
  if (late) throw new Error(`did not end within ${run.timeoutMs} ms\n${printed}`);
  if (code !== (run.code ?? 0)) throw new Error(`ended with ${child.signalCode ?? code}\n${printed}`);
  return { stdout, stderr };
}

function endGroup(group: number): void {
  try {
    process.kill(-group, "SIGKILL");
  } catch (error) {
    const gone = error instanceof Error && "code" in error && error.code === "ESRCH";
    if (!gone) throw error;
  }
}

function tail(text: string): string {
  return text.length > 4_000 ? `…${text.slice(-4_000)}` : text;
}
