import { killGroup, MAX_OUTPUT_BYTES, readAtMost } from "./child-output.ts";
import type { StartTimer } from "./deadline.ts";
import { systemTimer } from "./deadline.ts";
import { KeyFault, MAX_KEYS, type KeySource } from "./key-source.ts";

const TIMEOUT_MS = 10_000;

/**
 * What the programs that print keys need beside PATH and HOME to find their own agents, sockets and settings. None of them
 * is a secret; what a program needs beyond them it has to read from its own files.
 */
const usualVariables: readonly string[] = [
  "USER",
  "LOGNAME",
  "LANG",
  "TMPDIR",
  "XDG_CONFIG_HOME",
  "XDG_DATA_HOME",
  "XDG_RUNTIME_DIR",
  "DBUS_SESSION_BUS_ADDRESS",
  "SSH_AUTH_SOCK",
  "GNUPGHOME",
  "PASSWORD_STORE_DIR",
];

interface Parts {
  /** The environment to choose from (this process's own unless given): PATH, HOME and `allow` are handed on, nothing else. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly allow?: readonly string[];
  readonly timer?: StartTimer;
}

/**
 * Runs a program that prints the key (`op read …`, `pass show …`), or several keys, each on a line. No shell is involved. Its output is never logged, its
 * error output is discarded: both may hold the key. It gets no terminal and no input, so it cannot ask anyone anything.
 */
export function createCommandSource(argv: readonly string[], parts: Parts = {}): KeySource {
  const env = minimalEnvironment(parts);
  const timer = parts.timer ?? systemTimer;
  return { load: (_provider, signal) => runOnce(argv, env, timer, signal) };
}

function minimalEnvironment({ env = process.env, allow = usualVariables }: Parts): Record<string, string> {
  const chosen: Record<string, string> = {};
  for (const name of ["PATH", "HOME", ...allow]) {
    const value = env[name];
    if (value !== undefined) chosen[name] = value;
  }
  return chosen;
}

async function runOnce(
  argv: readonly string[],
  env: Record<string, string>,
  timer: StartTimer,
  signal: AbortSignal,
): Promise<readonly Uint8Array[]> {
  const child = start(argv, env);
  const output = child.stdout.getReader();
  let stopped: string | null = null;
  const stop = (why: string): void => {
    stopped ??= why;
    killGroup(child.pid);
    // A grandchild that left the group may keep the pipe open: it is not waited for.
    output.cancel().catch(() => undefined);
  };
  const cancelTimer = timer(TIMEOUT_MS, () => stop(`the key command took longer than ${TIMEOUT_MS / 1_000} s`));
  const onAbort = (): void => stop("the key command was given up");
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    const bytes = await readAtMost(output, () => stop(`the key command printed more than ${MAX_OUTPUT_BYTES} bytes`));
    const exitCode = stopped === null ? await child.exited : null;
    if (stopped === null && exitCode === 0 && bytes.length > 0) return linesOf(bytes);
    bytes.fill(0);
    if (stopped !== null) throw new KeyFault("missing", stopped);
    throw new KeyFault("missing", exitCode === 0 ? "the key command printed nothing" : exitText(exitCode));
  } finally {
    cancelTimer();
    signal.removeEventListener("abort", onAbort);
  }
}

type Child = Bun.Subprocess<"ignore", "pipe", "ignore">;

function start(argv: readonly string[], env: Record<string, string>): Child {
  try {
    // Detached: a process group of its own, which can be ended as a whole, and no controlling terminal to ask on.
    return Bun.spawn([...argv], { env, stdin: "ignore", stdout: "pipe", stderr: "ignore", detached: true });
  } catch (error) {
    throw new KeyFault("missing", "the key command cannot be started: no such program, or it may not be run", {
      cause: error,
    });
  }
}

/** One key a line, without the line breaks; `bytes` is wiped. */
function linesOf(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (let start = 0; start < bytes.length;) {
    const feed = bytes.indexOf(0x0a, start);
    const end = feed < 0 ? bytes.length : feed;
    lines.push(bytes.slice(start, end > start && bytes[end - 1] === 0x0d && feed >= 0 ? end - 1 : end));
    start = end + 1;
  }
  bytes.fill(0);
  // An empty last line is how editors end a file; `checkKey` speaks of any other.
  while (lines.length > 1 && lines.at(-1)!.length === 0) lines.pop();
  if (lines.length <= MAX_KEYS) return lines;
  for (const line of lines) line.fill(0);
  throw new KeyFault("missing", `the key command printed more than ${MAX_KEYS} lines`);
}

function exitText(exitCode: number | null): string {
  return exitCode === null
    ? "the key command was ended by a signal"
    : `the key command ended with exit code ${exitCode}`;
}
