// Starting the process that takes over from this one, and becoming it.

import { join } from "node:path";
import { PASSPHRASE_FD } from "./vault-key.ts";

/**
 * Set for a process that takes over: `beside` from the one that has started it, `again` in the place of one that another
 * process took over from. The second kind keeps the process id that a terminal, a service manager or a container knows.
 */
export const TAKE_OVER = "SANCTUM_TAKE_OVER";
export type TakeOver = "beside" | "again";

/** A check of the configuration that finds out why a program did not start; milliseconds. */
const checkWithinMs = 10_000;
/** Of what it printed. */
const toldCharacters = 2_000;

export function takeOverOf(env: Readonly<Record<string, string | undefined>>): TakeOver | null {
  const value = env[TAKE_OVER];
  return value === "beside" || value === "again" ? value : null;
}

/** The program as it is on the disk now, which may be another version. */
export function programCommand(): string[] {
  const compiled = Bun.main.startsWith("/$bunfs/") || Bun.main.startsWith("B:/~BUN/");
  return compiled ? [process.execPath] : ["/bin/sh", join(import.meta.dir, "../../bin/sanctum")];
}

/** What a successor gets: a descriptor that was read to its end answers no more. */
export function successorEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  kind: TakeOver,
): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(env))
    if (value !== undefined && name !== PASSPHRASE_FD) kept[name] = value;
  kept[TAKE_OVER] = kind;
  return kept;
}

/**
 * Starts it beside this process, with the same standard output: its log goes where this one's goes. Resolves with why it
 * ended, if it ends before this process does. Never rejects.
 */
export async function startSuccessor(command: readonly string[], configFile: string): Promise<string> {
  try {
    const child = Bun.spawn([...command, "start", "--config", configFile], {
      env: successorEnvironment(process.env, "beside"),
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
      // A terminal's signals are for the process that it knows, which passes them on.
      detached: true,
    });
    child.unref();
    await child.exited;
    const how = child.signalCode === null ? `code ${child.exitCode}` : child.signalCode;
    return `the new process ended (${how}) before it had taken over${await whyNot(command, configFile)}`;
  } catch (error) {
    return `the new process can't be started: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** What the program says when it only checks the configuration. */
async function whyNot(command: readonly string[], configFile: string): Promise<string> {
  try {
    const child = Bun.spawn([...command, "check", configFile], {
      env: successorEnvironment(process.env, "beside"),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: checkWithinMs,
    });
    const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    if ((await child.exited) === 0) return "; its output is in this gateway's log";
    return `:\n${(out.trim() + err.trim()).slice(0, toldCharacters)}`;
  } catch {
    return "";
  }
}

/** Replaces this process by one that takes over from whoever took over from this one. Returns only where it can't. */
export function becomeSuccessor(command: readonly string[], configFile: string): void {
  try {
    process.execve!(
      command[0]!,
      [...command, "start", "--config", configFile],
      successorEnvironment(process.env, "again"),
    );
  } catch {
    // The program was taken away: the other process goes on.
  }
}
