// Claude Code as a program: print mode, nothing but the loopback, all switches against traffic of its own.

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { House } from "../fakes/house.ts";
import { tokenOf } from "../harness.ts";
import type { Project } from "./agent-house.ts";
import { runClient } from "./client-process.ts";
import { clientsFolder, versionOf } from "./install.ts";
import { clientEnvironment } from "./sealed-run.ts";

const packages = join(clientsFolder, "node_modules", "@anthropic-ai");
const platform = `${process.platform}-${process.arch}`;
/** The package's own launcher wants a newer Node than ours; it only starts this. */
const program = [platform, `${platform}-musl`]
  .map((name) => join(packages, `claude-code-${name}`, "claude"))
  .find((path) => existsSync(path));

export const title = `Claude Code ${versionOf("@anthropic-ai/claude-code")}`;
/** Why Claude Code can't run here; null where it can. */
export function claudeCodeLeftOut(): string | null {
  return program === undefined ? `${title}: the package has no native program for ${platform}` : null;
}

export interface Printed {
  readonly result: string;
  readonly is_error: boolean;
  readonly permission_denials: readonly unknown[];
}

/** One question; rejects where it does not end with `code`. */
export async function claude(house: House, project: Project, words: readonly string[], code = 0): Promise<Printed> {
  const result = await runClient({
    command: [
      program!,
      "-p",
      "--output-format",
      "json",
      "--allowedTools",
      "Bash,Read,Write,Agent,ToolSearch,WebSearch",
      ...words,
    ],
    cwd: project.folder,
    env: clientEnvironment(project.home, {
      ANTHROPIC_BASE_URL: house.gateway.url,
      ANTHROPIC_AUTH_TOKEN: tokenOf("windu").token,
      DISABLE_AUTOUPDATER: "1",
      DISABLE_TELEMETRY: "1",
      DISABLE_ERROR_REPORTING: "1",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    }),
    timeoutMs: 40_000,
    code,
  });
  return JSON.parse(result.stdout) as Printed;
}
