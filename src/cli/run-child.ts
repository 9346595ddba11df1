// A command in the place of ours: its input and output are the caller's own, signals reach it, and its end is our end.

import { constants } from "node:os";

/** Sent on to the command. A stop (`SIGTSTP`) and its end come to all of a terminal's job at once and are left alone. */
const forwarded = ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGQUIT"] as const;
/** A terminal sends these to all of its foreground job: sent on, the command would get them twice (twice is "quit now" to many). */
const fromTerminal: ReadonlySet<NodeJS.Signals> = new Set(["SIGINT", "SIGQUIT"]);
/** By which we end ourselves too, so that a shell sees how the command ended. The others could write a core image. */
const passedOn: ReadonlySet<NodeJS.Signals | number> = new Set(["SIGTERM", "SIGHUP", "SIGINT"]);

/** How the command ended. */
export type Ending = { readonly code: number } | { readonly signal: NodeJS.Signals | number };

export interface RunOptions {
  readonly env: Readonly<Record<string, string>>;
  /** The caller sits at a terminal. */
  readonly terminal: boolean;
}

/** Runs the command and resolves when it has ended. Throws the system's error (`code`: ENOENT, EACCES…) where it can't be started. */
export async function runChild(argv: readonly string[], { env, terminal }: RunOptions): Promise<Ending> {
  const held: NodeJS.Signals[] = [];
  let send = (signal: NodeJS.Signals): void => void held.push(signal);
  const handlers = forwarded.map((signal) => {
    const handler = (): void => {
      if (!terminal || !fromTerminal.has(signal)) send(signal);
    };
    // Before the command is there: a signal in between is kept for it.
    process.on(signal, handler);
    return { signal, handler };
  });
  try {
    const child = Bun.spawn([...argv], { env, stdin: "inherit", stdout: "inherit", stderr: "inherit" });
    send = (signal) => child.kill(signal);
    for (const signal of held) send(signal);
    await child.exited;
    return child.signalCode === null ? { code: child.exitCode ?? 1 } : { signal: child.signalCode };
  } finally {
    for (const { signal, handler } of handlers) process.off(signal, handler);
  }
}

/** Ends this process as the command has ended: with its exit code, or by its signal. */
export function endAs(ending: Ending): void {
  if ("code" in ending) {
    process.exitCode = ending.code;
    return;
  }
  // What a shell would say of it, where the signal does not end us.
  const { signal } = ending;
  process.exitCode = 128 + (typeof signal === "number" ? signal : (constants.signals[signal] ?? 0));
  if (passedOn.has(signal)) process.kill(process.pid, signal);
}
