// Commands that ask or tell a running gateway something, over its socket.

import { join } from "node:path";
import { Command } from "commander";
import { NotRunningError, createAdminClient } from "../admin/admin-client.ts";
import type { Io } from "./io.ts";

/** The socket of the gateway that runs with this home. */
export function adminOf(io: Io): ReturnType<typeof createAdminClient> {
  return createAdminClient(join(io.home, "run/admin.sock"));
}

/** Runs and turns a failure into one line and exit code 1. */
export async function orFail(io: Io, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    const known = error instanceof NotRunningError ? error.message : String(error);
    io.err(`sanctum: ${known}\n`);
    process.exitCode = 1;
  }
}

export function stopCommand(io: Io): Command {
  return new Command("stop").description("stop the running gateway; running streams may finish").action(() =>
    orFail(io, async () => {
      await adminOf(io).post("/stop");
      io.out("stopping\n");
    }),
  );
}

export function reloadCommand(io: Io): Command {
  return new Command("reload").description("read the configuration again now").action(() =>
    orFail(io, async () => {
      const { ok, text } = JSON.parse(await adminOf(io).post("/reload")) as { ok: boolean; text: string };
      if (ok) io.out(`${text}\n`);
      else {
        io.err(`${text}\n`);
        process.exitCode = 78;
      }
    }),
  );
}
