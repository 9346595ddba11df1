// `sanctum check`: what is wrong with a configuration, all of it, before it is used.

import { existsSync } from "node:fs";
import { resolve } from "node:path";

import { Command, Option } from "commander";

import { formatFault } from "../config/fault.ts";
import type { Io } from "./io.ts";

const exitFailed = 1;
const exitConfiguration = 78;

/** Reads the file as the gateway would, and starts, changes and sends nothing. */
export function checkCommand(io: Io): Command {
  return new Command("check")
    .description("report every fault of the configuration; exit code 78 if there is one")
    .argument("[file]", "configuration to check instead of the usual one")
    .option("--json", "print the faults as JSON")
    .addOption(new Option("--apart", "answer the daemon's question on standard input").hideHelp())
    .action(async (named: string | undefined, options: { json?: boolean; apart?: boolean }) => {
      if (options.apart === true) {
        await (await import("../config/check-apart.ts")).answerCheck();
        return;
      }
      // Here and not above: every other command, the daemon's too, starts without the parser.
      const { checkConfigFile } = await import("../config/load.ts");
      const { isKnownModel } = await import("../config/check-apart.ts");
      const file = named === undefined ? io.configFile : resolve(named);
      if (named !== undefined && !existsSync(file)) {
        io.err(`sanctum: there is no file ${file}\n`);
        process.exitCode = exitFailed;
        return;
      }
      const { exists, faults } = checkConfigFile(file, { isKnownModel });
      if (faults.length > 0) process.exitCode = exitConfiguration;
      if (options.json === true) {
        io.out(`${JSON.stringify({ file, exists, ok: faults.length === 0, faults }, null, 2)}\n`);
        return;
      }
      for (const fault of faults) io.out(`${formatFault(fault)}\n`);
      if (faults.length > 0) io.err(`sanctum: ${faults.length} ${faults.length === 1 ? "fault" : "faults"}\n`);
      else io.out(exists ? `${file}: no faults\n` : `${file}: not there, so the built-in configuration is used\n`);
    });
}
