// A command of the command line, run as a user runs it, beside a gateway.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Gateway } from "../harness.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

export interface CommandResult {
  readonly out: string;
  readonly err: string;
  readonly code: number;
}

/** `sanctum ARGS`, with the gateway's home and nothing of our own surroundings. */
export async function runArgs(
  gateway: Gateway,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  const child = Bun.spawn(["sh", join(root, "bin", "sanctum"), ...args], {
    cwd: gateway.home,
    env: {
      PATH: process.env["PATH"] ?? "/usr/bin:/bin",
      HOME: gateway.home,
      SANCTUM_HOME: gateway.home,
      SANCTUM_KEYCHAIN: "off",
      ...env,
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { out, err, code: await child.exited };
}
