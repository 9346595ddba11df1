// `npm run bench [-- --quick] [-- --only NAME]`: the gateway and its peers side by side, in one run; and what caps,
// failures and open streams cost (`overspend`, `fairness`, `outage`, `departures`, `held`). See README.md.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { full, ledger, quick, type Extent } from "./extent.ts";
import { Helper } from "./helper.ts";
import type { LoadJob, LoadReply, UpstreamOrder, UpstreamReply } from "./jobs.ts";
import { describeMachine } from "./machine.ts";
import { measure, type Cell, type Idle, type Parts } from "./measure.ts";
import { cpuMicrosecondsOf, machineMicroseconds } from "./process-usage.ts";
import { markdownOf, type Report } from "./report.ts";
import { aimsOf, summarise } from "./summary.ts";
import { systemNames, systems, versionOf, type System } from "./systems.ts";

const exitUsage = 2;
const here = import.meta.dir;

const usage = `npm run bench [-- OPTIONS]
  --quick      about a minute: one short round, and of the gateway's routes only chat with large bodies and streams
  --ledger     about three minutes: what durable holds cost, against the same gateway with its books in memory, 1 KB
               requests alone, seven rounds in turns; writes no files
  --only NAME  this system alone, beside \`direct\`; may be given several times; writes no files
               (${systemNames.join(", ")})
npm run bench -- overspend         a thousand clients against small caps, beside a ledger that charges afterwards
npm run bench -- fairness [SEEDS]  64 workers on one cap, in virtual time
npm run bench -- outage [SECONDS]  every cloud answers 503 while requests keep coming
npm run bench -- departures        a thousand clients hang up at random moments
npm run bench -- held [STREAMS]    what a stream that stands open costs in memory
`;

interface Options {
  readonly extent: Extent;
  /** Empty: all. */
  readonly only: readonly string[];
}

/** null where the arguments are wrong, or help was asked for. */
function parseOptions(): Options | null {
  try {
    const { values } = parseArgs({
      options: {
        quick: { type: "boolean", default: false },
        ledger: { type: "boolean", default: false },
        only: { type: "string", multiple: true, default: [] },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    const unknown = values.only.find((name) => !systemNames.some((known) => known === name));
    if (unknown !== undefined) throw new Error(`there is no system "${unknown}"`);
    if (values.help) return null;
    if (values.ledger) return { extent: ledger, only: ["sanctum", "sanctum-memory"] };
    return { extent: values.quick ? quick : full, only: values.only };
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = exitUsage;
    return null;
  }
}

async function installPeers(): Promise<void> {
  const child = Bun.spawn(["sh", join(here, "peers/install.sh")], { stdio: ["ignore", "inherit", "inherit"] });
  if ((await child.exited) !== 0) throw new Error("the peers could not be installed");
}

interface Measured {
  readonly cells: Cell[];
  readonly idles: Idle[];
  /** Systems that did not start, or did not live through their round. */
  readonly broken: string[];
}

/** All systems in turn, once a round; each round begins with another one, so that a drift meets all alike. */
async function runRounds(parts: Parts, chosen: readonly System[]): Promise<Measured> {
  const cells: Cell[] = [];
  const idles: Idle[] = [];
  const broken: string[] = [];
  for (let round = 0; round < parts.extent.rounds; round++) {
    for (let turn = 0; turn < chosen.length; turn++) {
      const system = chosen[(round + turn) % chosen.length]!;
      try {
        const { cells: measured, idle } = await measure(parts, system, round);
        cells.push(...measured);
        if (idle !== null) idles.push(idle);
      } catch (error) {
        // The others' figures are worth having all the same; the report and the exit code tell of this one.
        broken.push(`${system.name}, round ${round + 1}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
  const order = (name: string): number => systems.findIndex((system) => system.name === name);
  return {
    cells: cells.sort((a, b) => order(a.system) - order(b.system)),
    idles: idles.sort((a, b) => order(a.system) - order(b.system)),
    broken,
  };
}

interface Usage {
  readonly ours: number;
  readonly busy: number;
  readonly stolen: number;
  readonly at: number;
}

/** CPU time so far; children count when they have ended. */
function usageNow(): Usage {
  return { ours: cpuMicrosecondsOf([process.pid]), ...machineMicroseconds(), at: performance.now() };
}

/** How much of the machine others had: a figure that was measured beside other work is worth little. */
function disturbanceBetween(from: Usage, to: Usage, cores: number): Report["disturbance"] {
  const capacity = (to.at - from.at) * 1e3 * cores;
  return {
    others: Math.max(0, to.busy - from.busy - (to.ours - from.ours)) / capacity,
    stolen: (to.stolen - from.stolen) / capacity,
  };
}

function write(report: Report, cells: readonly Cell[], idles: readonly Idle[]): void {
  const folder = join(here, "results");
  mkdirSync(folder, { recursive: true });
  const name = report.date.slice(0, 10) + (report.extent === "full" ? "" : `-${report.extent}`);
  const markdown = markdownOf(report);
  const { summary, ...rest } = report;
  const json = {
    ...rest,
    rows: summary.rows,
    idle: Object.fromEntries(summary.idleMegabytes),
    rounds: { cells, idles },
  };
  // What was not measured is null: JSON knows no NaN.
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(json, null, 2)}\n`);
  writeFileSync(join(folder, `${name}.md`), markdown);
  if (report.extent === "full") writeFileSync(join(folder, "latest.md"), markdown);
  console.log(`written: bench/results/${name}.json, ${name}.md${report.extent === "full" ? ", latest.md" : ""}`);
}

async function main({ extent, only }: Options): Promise<void> {
  const date = new Date().toISOString().slice(0, 16);
  if (extent.name !== "ledger") await installPeers();
  const wanted = systems.filter(({ name }) => only.length === 0 || name === "direct" || only.includes(name));
  const missing = wanted.flatMap(({ name, missing: why }) => (why() === null ? [] : [`${name}: ${why()}`]));
  const chosen = wanted
    .filter((system) => system.missing() === null)
    .map((system): System => (extent.name === "ledger" ? { ...system, loads: ["1 KB"] } : system));
  for (const line of missing) console.error(`left out: ${line}`);
  const before = usageNow();
  const upstream = await Helper.start<UpstreamOrder, UpstreamReply>(join(here, "upstream.ts"));
  const load = await Helper.start<LoadJob, LoadReply>(join(here, "load.ts"));
  if (upstream.first.reply !== "ready") throw new Error("the upstream is not ready");
  const folder = mkdtempSync(join(tmpdir(), "sanctum-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const progress = (text: string): void => console.error(`  ${text}`);
  const parts = {
    upstream: upstream.helper,
    upstreamPort: upstream.first.port,
    load: load.helper,
    extent,
    folder,
    progress,
  };
  const { cells, idles, broken } = await runRounds(parts, chosen);
  if (broken.length > 0) process.exitCode = 1;
  await Promise.all([upstream.helper.stop(), load.helper.stop()]);
  const machine = describeMachine();
  const summary = summarise(cells, idles);
  const report: Report = {
    date,
    extent: extent.name,
    rounds: extent.rounds,
    machine,
    systems: chosen.map(({ name, about }) => ({ name, version: versionOf(name), about })),
    missing: [...missing, ...broken],
    disturbance: disturbanceBetween(before, usageNow(), machine.cores),
    summary,
    aims: aimsOf(summary),
  };
  console.log(markdownOf(report));
  if (only.length === 0) write(report, cells, idles);
}

/** Measurements that are no side-by-side runs: each prints its own table. */
const others: Readonly<Record<string, () => Promise<unknown>>> = {
  overspend: async () => import("./overspend.ts"),
  fairness: async () => import("./fairness.ts"),
  outage: async () => import("./outage.ts"),
  departures: async () => import("./departures.ts"),
  held: async () => import("./held-streams.ts"),
};
const other = others[process.argv[2] ?? ""];
const options = other === undefined ? parseOptions() : null;
if (other !== undefined) await other();
else if (process.platform !== "linux") {
  console.error("the benchmark reads CPU time and memory from /proc: it runs on Linux");
  process.exitCode = 1;
} else if (options === null) console.error(usage);
else await main(options);
