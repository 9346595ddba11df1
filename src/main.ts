// The program's entry. The daemon's way is kept apart from the other commands, which bring parsers that it never needs.

import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { isatty } from "node:tty";
import type { Io } from "./cli/io.ts";
import { refuseTracing } from "./refuse-tracing.ts";

function createIo(whole: readonly string[]): Io {
  const home = resolve(process.env["SANCTUM_HOME"] || join(homeFolder(), ".sanctum"));
  // Behind -- is the command of `sanctum run`, with options of its own.
  const argv = whole.includes("--") ? whole.slice(0, whole.indexOf("--")) : whole;
  const at = argv.findIndex((word) => word === "--config" || word.startsWith("--config="));
  const given = at < 0 ? undefined : argv[at]!.includes("=") ? argv[at]!.slice("--config=".length) : argv[at + 1];
  // npm runs scripts in the package's folder: a relative path is meant from where the person stands.
  const from = process.env["INIT_CWD"] || process.cwd();
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    isTty: process.stdout.isTTY,
    atTerminal: [0, 1, 2].some((descriptor) => isatty(descriptor)),
    env: process.env,
    home,
    configFile: given === undefined ? join(home, "sanctum-proxy/config.yaml") : resolve(from, given),
  };
}

/** A user of a container may be in no list of users, and then the runtime throws. */
function homeFolder(): string {
  try {
    return homedir();
  } catch {
    process.stderr.write("sanctum: this user has no home folder; name a folder for the gateway by SANCTUM_HOME\n");
    process.exit(1);
  }
}

/** `sanctum start [--config FILE]` and nothing else: what npm, systemd and launchd call. */
function isPlainStart(words: readonly string[]): boolean {
  const rest = words.filter(
    (word, i) => !(word === "--config" || words[i - 1] === "--config" || word.startsWith("--config=")),
  );
  return rest.length === 1 && rest[0] === "start";
}

// `sanctum stats | head`: who stops reading has seen enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});
// Before a key is in memory: the daemon's, and what `sanctum keys` is told.
await refuseTracing();
const io = createIo(process.argv);
if (isPlainStart(process.argv.slice(2))) {
  const { runStart } = await import("./cli/start.ts");
  await runStart(io);
} else {
  const { runProgram } = await import("./cli/program.ts");
  await runProgram(io);
}
