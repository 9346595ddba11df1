// `sanctum doctor`: how the gateway stands here, told honestly: whose process it is, what agents could do to it, and what to
// mend.

import { Command, Option } from "commander";
import { systemClock } from "../clock.ts";
import { createKeychainSource, secretServiceLocked } from "../layers/vault/index.ts";
import { checkMode, checkProgram, checkRights } from "./doctor/boundary-checks.ts";
import { checkFiles } from "./doctor/file-checks.ts";
import type { Area, Finding, Level } from "./doctor/finding.ts";
import { checkEnvironment, checkKeychain, checkLeftovers, checkStartFiles } from "./doctor/key-checks.ts";
import { checkCore, checkSwap } from "./doctor/memory-checks.ts";
import { checkAnonymous, checkExposure, checkPort } from "./doctor/network-checks.ts";
import { checkPrices } from "./doctor/price-check.ts";
import { checkReach } from "./doctor/reach-checks.ts";
import { lookAround, type Scene, type SceneParts } from "./doctor/scene.ts";
import type { Io } from "./io.ts";
import { thisSystem } from "./service/system.ts";
import { painted, wantsColour, type Colour } from "./table.ts";

type Check = (scene: Scene) => Finding[] | Promise<Finding[]>;

/** In the order in which they are told. A new check is a function and a line here. */
const checks: readonly Check[] = [
  checkMode,
  checkRights,
  checkProgram,
  checkReach,
  checkFiles,
  checkCore,
  checkSwap,
  checkEnvironment,
  checkStartFiles,
  checkKeychain,
  checkLeftovers,
  checkPort,
  checkExposure,
  checkAnonymous,
  checkPrices,
];

export interface Diagnosis {
  /** No problem was found. */
  readonly ok: boolean;
  readonly mode: Scene["mode"];
  /** A user of its own, and everything on which that depends was looked at and holds. */
  readonly hardened: boolean;
  readonly gateway: {
    readonly running: boolean;
    readonly pid: number | null;
    readonly user: string | null;
    readonly uid: number | null;
    readonly home: string;
    readonly service: string | null;
  };
  readonly findings: readonly Finding[];
}

export function doctorCommand(io: Io, parts: Partial<SceneParts> = {}): Command {
  return new Command("doctor")
    .description(
      "tell what agents could do to the gateway here, and what to mend; exit code 1 where there is a problem",
    )
    .option("--json", "print the findings as JSON")
    .addOption(new Option("--require <level>", "end with 1 also where the gateway is not that").choices(["hardened"]))
    .addHelpText("after", doctorHelp)
    .action(async (options: { json?: boolean; require?: "hardened" }) => {
      const diagnosis = await diagnose(io, {
        system: parts.system ?? thisSystem(io.env),
        keychain: parts.keychain ?? createKeychainSource(),
        keychainLocked: parts.keychainLocked ?? secretServiceLocked,
        now: parts.now ?? systemClock.now(),
      });
      if (!diagnosis.ok || (options.require === "hardened" && !diagnosis.hardened)) process.exitCode = 1;
      io.out(options.json === true ? `${JSON.stringify(diagnosis, null, 2)}\n` : textOf(diagnosis, wantsColour(io)));
    });
}

const doctorHelp = `
Run it as the user under whom your agents run, with the gateway running: it tries what their programs could do, in ways
that change nothing. SANCTUM_HOME names another gateway than yours, or than the service that is installed here.

  ok       as it should be
  note     a limit of how the gateway runs, or something that could not be looked at
  problem  something to mend

"Hardened" is said only of a gateway with a user of its own, where everything that this depends on was tried and holds.

Examples:
  sanctum doctor
  sanctum doctor --require hardened   ends with 1 unless it is; for scripts
`;

/** Everything that is found; nothing is changed. */
export async function diagnose(io: Io, parts: SceneParts): Promise<Diagnosis> {
  const scene = await lookAround(io, parts);
  const findings: Finding[] = [];
  for (const check of checks) findings.push(...(await check(scene)));
  const ok = findings.every(({ level }) => level !== "problem");
  const held = findings.every(({ level, hardening }) => !hardening || level === "ok");
  return {
    ok,
    mode: scene.mode,
    hardened: ok && held && scene.mode === "separate-user" && scene.pid !== null,
    gateway: {
      running: scene.running,
      pid: scene.pid,
      user: scene.owner?.name ?? null,
      uid: scene.owner?.uid ?? null,
      home: scene.home,
      service: scene.service?.file ?? null,
    },
    findings,
  };
}

const titles: Readonly<Record<Area, string>> = {
  boundary: "Who it is",
  reach: "What a program that runs as you can do to it",
  files: "Its files",
  memory: "Its memory",
  keys: "Keys outside of it",
  network: "Who reaches it",
  prices: "Prices",
};

const colours: Readonly<Record<Level, Colour>> = { ok: "green", note: "yellow", problem: "red" };
const margin = 10;

export function textOf(diagnosis: Diagnosis, colour: boolean): string {
  const told = new Set<string>();
  let area: string | undefined;
  let text = "";
  for (const finding of diagnosis.findings) {
    const { check, level, found, means, remedy } = finding;
    const next = check.slice(0, check.indexOf(".")) as Area;
    if (next !== area) text += `${area === undefined ? "" : "\n"}${painted(titles[next], "bold", colour)}\n`;
    area = next;
    text += `  ${painted(level.padEnd(margin - 2), colours[level], colour)}${found}\n`;
    if (means !== undefined) text += `${" ".repeat(margin)}${means}\n`;
    // What helps against many things is said at the first.
    if (remedy !== undefined && !told.has(remedy)) text += `${" ".repeat(margin)}→ ${remedy}\n`;
    if (remedy !== undefined) told.add(remedy);
  }
  return `${text}\n${verdict(diagnosis, colour)}\n`;
}

function verdict({ hardened, mode, findings, ok }: Diagnosis, colour: boolean): string {
  const count = (level: Level): number => findings.filter((finding) => finding.level === level).length;
  const [problems, notes] = [count("problem"), count("note")];
  const sum = `${problems} ${problems === 1 ? "problem" : "problems"}, ${notes} ${notes === 1 ? "note" : "notes"}`;
  if (hardened)
    return `${painted("Hardened", "green", colour)}: it has a user of its own, and every check of that holds. ${sum}.`;
  const why = mode === "same-user" ? "it is the same user as your agents" : "see above what stands against it";
  return `${painted("Not hardened", ok ? "yellow" : "red", colour)}: ${why}. ${sum}.`;
}
