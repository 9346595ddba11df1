// What an installation does, as a list that can be read before it is done.

import { exitFailed, Refusal } from "../refusal.ts";
import type { System } from "./system.ts";

export type Step =
  | {
      readonly does: "write";
      readonly why: string;
      readonly path: string;
      readonly text: string;
      readonly mode: number;
    }
  | { readonly does: "remove"; readonly why: string; readonly path: string }
  | {
      readonly does: "run";
      readonly why: string;
      readonly argv: readonly string[];
      /** Its failure is no failure: what it takes away may not be there. */
      readonly mayFail?: boolean;
      /** For commands that are refused while the one before still takes effect; 1 where absent, a second between two. */
      readonly tries?: number;
    };

const betweenTriesMs = 1_000;

/** Does them one after the other. Throws a Refusal at the first that fails; what was done stays, and can be done again. */
export async function perform(steps: readonly Step[], system: System): Promise<void> {
  for (const step of steps) {
    if (step.does === "run") await runStep(step, system);
    else if (step.does === "remove") withReason(step.path, () => system.remove(step.path));
    // What is there already is left alone, so that its age tells when it was changed.
    else if (system.read(step.path) !== step.text)
      withReason(step.path, () => system.write(step.path, step.text, step.mode));
  }
}

async function runStep(step: Extract<Step, { does: "run" }>, system: System): Promise<void> {
  for (let left = step.tries ?? 1; ; left--) {
    const { code, out, err } = await system.run(step.argv);
    if (code === 0 || step.mayFail === true) return;
    if (left > 1) {
      await system.wait(betweenTriesMs);
      continue;
    }
    const said = (err.trim() || out.trim()).slice(-2_000);
    throw new Refusal(
      exitFailed,
      `could not ${step.why}: \`${commandLine(step.argv)}\` ended with ${code}${said === "" ? "" : `:\n${said}`}`,
    );
  }
}

function withReason(path: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw new Refusal(exitFailed, `${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The same as a script for sh(1), which a person can read, keep and run. */
export function scriptOf(steps: readonly Step[]): string {
  return ["set -e", ...steps.map((step) => `\n# ${step.why}\n${shellText(step)}`)].join("\n") + "\n";
}

function shellText(step: Step): string {
  switch (step.does) {
    case "remove":
      return `rm -rf ${quoted(step.path)}`;
    case "run":
      return commandLine(step.argv) + (step.mayFail === true ? " || true" : "");
    case "write": {
      const folder = step.path.slice(0, step.path.lastIndexOf("/"));
      const mode = step.mode.toString(8).padStart(4, "0");
      return [
        `mkdir -p ${quoted(folder)}`,
        `cat > ${quoted(step.path)} <<'END'`,
        `${step.text}END`,
        `chmod ${mode} ${quoted(step.path)}`,
      ].join("\n");
    }
  }
}

/** As it is typed in a shell. */
export function commandLine(argv: readonly string[]): string {
  return argv.map(quoted).join(" ");
}

function quoted(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
