import { join } from "node:path";
import { claudeCodeLeftOut } from "./claude-code.ts";
import { claudeCodeCases } from "./claude-code-cases.ts";
import { codexCases, codexLeftOut } from "./codex-cases.ts";
import { clientsFolder } from "./install.ts";
import { compilePrograms, sdkCases, type ClientCase } from "./sdk-cases.ts";

/** As many at a time as leave the clients' own timers alone. */
const LANES = 2;

/** Runs the cases, prints a line for each; the exit code. */
export async function runAll(words: readonly string[]): Promise<number> {
  await compilePrograms();
  for (const reason of [claudeCodeLeftOut(), codexLeftOut()]) if (reason !== null) console.log(`left out: ${reason}`);
  const cases = [types, ...claudeCodeCases(), ...codexCases(), ...sdkCases()].filter(
    ({ name }) => words.length === 0 || words.some((word) => name.toLowerCase().includes(word.toLowerCase())),
  );
  const waiting = cases.values();
  let failed = 0;
  const lane = async (): Promise<void> => {
    for (const one of waiting) if (!(await passes(one))) failed++;
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  console.log(`\n${cases.length - failed} passed, ${failed} failed`);
  return failed === 0 && cases.length > 0 ? 0 : 1;
}

/** The rest of the repository is checked without these files, since their packages come on demand. */
const types: ClientCase = {
  name: "types: the programs fit the clients' own declarations",
  run: async () => {
    const root = join(clientsFolder, "..", "..");
    const compiler = join(root, "node_modules", ".bin", "tsc");
    const child = Bun.spawn(["node", compiler, "--noEmit", "-p", clientsFolder], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const printed = await child.stdout.text();
    if ((await child.exited) !== 0) throw new Error(printed);
  },
};

async function passes(one: ClientCase): Promise<boolean> {
  const start = performance.now();
  try {
    await one.run();
    console.log(`ok      ${one.name} (${seconds(start)})`);
    return true;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    console.log(`FAILED  ${one.name} (${seconds(start)})\n${reason.replace(/^/gm, "        ")}`);
    return false;
  }
}

function seconds(start: number): string {
  return `${((performance.now() - start) / 1_000).toFixed(1)} s`;
}
