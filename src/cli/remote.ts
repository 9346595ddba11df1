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

/** The new one is checked before the old one gives anything up; what fails there changes nothing here. */
export function restartCommand(io: Io): Command {
  return new Command("restart")
    .description("let a new process take over: no connection is refused and no stream is cut")
    .option("--json", "print what came of it as JSON")
    .addHelpText("after", restartHelp)
    .action(({ json }: { json?: boolean }) =>
      orFail(io, async () => {
        const told = JSON.parse(await adminOf(io).post("/restart")) as { ok: boolean; text: string };
        if (json === true) io.out(`${JSON.stringify(told)}\n`);
        else if (told.ok) io.out(`${told.text}\n`);
        else io.err(`sanctum: not restarted, the running gateway goes on: ${told.text}\n`);
        if (!told.ok) process.exitCode = 1;
      }),
    );
}

const restartHelp = `
For a new version of the program, and for settings that a reload can't change (\`listen\`, \`tls\`, \`audit.file\`). The new
process loads and checks everything beside the old one, then takes over the port, the ledger and the audit trail. Running
requests finish in the old process; their costs and lines are written by the new one. When they have finished, the process
id that the terminal or the service manager knows serves again.

Exit code 0: the new process serves. 1: it could not start, or no gateway runs; one that runs goes on unchanged.
`;
