// Loading for the daemon: like `loadConfig`, with the check in a child process (see check-apart.ts). Nothing here may import
// the parser or the schema at its top.

import { join } from "node:path";

import { giveInput } from "../child-input.ts";
import { buildConfig } from "./build.ts";
import type { Surroundings } from "./build.ts";
import { readConfigText } from "./read-file.ts";
import type { ConfigText } from "./read-file.ts";
import type { ConfigFile } from "./schema.ts";
import type { Config, Fault } from "./types.ts";

type Checked = { content: ConfigFile } | { faults: Fault[] };

/** Milliseconds; a check takes a tenth of a second. */
const timeoutMs = 5_000;

/** Same answers as `loadConfig`. Where no child can be run the check is made in this process. Never rejects. */
export async function loadConfigApart(
  file: string,
  surroundings: Surroundings,
  source: ConfigText = readConfigText(file),
  command: readonly string[] = checkerCommand(),
): Promise<{ config: Config } | { faults: Fault[] }> {
  const checked: Checked = source.text.trim() === "" ? { content: {} } : await check(source.text, file, command);
  if (source.faults.length > 0 || "faults" in checked) {
    return { faults: [...source.faults, ...("faults" in checked ? checked.faults : [])] };
  }
  return { config: buildConfig(checked.content, file, surroundings) };
}

async function check(text: string, file: string, command: readonly string[]): Promise<Checked> {
  const answer = await askChild(command, JSON.stringify({ text, file }));
  if (answer !== null) return answer;
  const { checkConfig } = await import("./check.ts");
  return checkConfig(text, file);
}

/** Null where the child can't be started, takes too long, or says anything but an answer. */
async function askChild(command: readonly string[], request: string): Promise<Checked | null> {
  try {
    await using child = Bun.spawn([...command], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "ignore",
      // Nothing of the daemon's surroundings, and no debugging of it, reaches the child. It needs no home, and would
      // otherwise look for one in the list of users, where the user of a container may not be.
      env: { HOME: "/nonexistent" },
      timeout: timeoutMs,
    });
    giveInput(child.stdin, Buffer.from(request));
    const output = await child.stdout.text();
    if ((await child.exited) !== 0) return null;
    const answer = JSON.parse(output) as Checked;
    return "content" in answer || "faults" in answer ? answer : null;
  } catch {
    // No process to be had: the caller has another way.
    return null;
  }
}

/** In a compiled program the files are inside the program, which answers for them by a hidden option of `check`. */
function checkerCommand(): readonly string[] {
  if (/^(?:\/\$bunfs|B:\/~BUN)\//.test(Bun.main)) return [process.execPath, "check", "--apart"];
  const flags = ["--no-env-file", "--config=/dev/null", "--smol"];
  return [process.execPath, ...flags, join(import.meta.dir, "check-apart.ts")];
}
