// A house with a project folder in it, for agents that read and change files.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HOUSE_KEY, type House, type HouseOptions } from "../fakes/house.ts";
import { attemptsOf, tokenOf } from "../harness.ts";
import { faultsOfRun, type Expected } from "./transcript.ts";
import { startHouseFor, type Responder, type Way } from "./ways.ts";

export interface Project {
  /** The client's HOME. */
  readonly home: string;
  readonly folder: string;
  /** What `note.txt` holds: no model can know it. */
  readonly secret: string;
}

export interface AgentRun {
  readonly way: Way;
  /** Of the models; a cloud of its own does something else where given. */
  readonly script: (project: Project) => { readonly respond: Responder; readonly cloud?: Responder };
  readonly config?: HouseOptions["config"];
  /** Faults of what the client showed; throws where it did not do what was asked at all. */
  readonly use: (house: House, project: Project) => Promise<readonly string[]>;
  readonly expected: Omit<Expected, "way">;
}

/** Runs a client in a fresh house; rejects with every fault, and with what the gateway tried. */
export async function runAgent(run: AgentRun): Promise<void> {
  let script: ReturnType<AgentRun["script"]> | undefined;
  const respond: Responder = (request) => script?.respond(request) ?? {};
  await using house = await startHouseFor(run.way, respond, run.config);
  const project = createProject(house);
  script = run.script(project);
  if (script.cloud !== undefined) house.cloud.respond = script.cloud;
  await checked(house, { ...run.expected, way: run.way }, async () => run.use(house, project));
}

/** `use`, then what must hold for every run. */
export async function checked(house: House, expected: Expected, use: () => Promise<readonly string[]>): Promise<void> {
  const faults: string[] = [];
  try {
    faults.push(...(await use()));
  } catch (error) {
    faults.push(error instanceof Error ? error.message : String(error));
  }
  faults.push(...(await faultsOfRun(house, expected)));
  if (faults.length === 0) return;
  const tried = house.gateway.auditLines().map((line) => `  ${line.seq} ${line.status} ${attemptsOf(line).join(", ")}`);
  throw new Error([...faults, "what the gateway tried:", ...tried].join("\n"));
}

/** Lies in the gateway's own folder, which is removed with it. */
function createProject(house: House): Project {
  const home = join(house.gateway.home, "client");
  const folder = join(home, "project");
  mkdirSync(folder, { recursive: true });
  const secret = `grüße 東京 ${crypto.randomUUID()}`;
  writeFileSync(join(folder, "note.txt"), `${secret}\n`);
  return { home, folder, secret };
}

/** The fault that `shown` lacks one of the texts. */
export function missing(what: string, shown: string, ...texts: readonly string[]): string[] {
  return texts.filter((text) => !shown.includes(text)).map((text) => `${what} lacks “${text}”: ${shown.slice(0, 600)}`);
}

/** Nobody's money is left, and no local model may help. */
export const penniless: HouseOptions["config"] = {
  agents: { windu: { daily_usd: 0.000001, tokens: [tokenOf("windu").hash] } },
  fallback: [],
};

/** A cloud that says nothing for this long is given up. */
export const impatient: HouseOptions["config"] = ({ cloud }) => {
  const entry = { key: { command: ["printf", "%s", HOUSE_KEY] }, retry: { attempts: 1 }, timeouts: { idle: "300ms" } };
  return {
    providers: {
      anthropic: { ...entry, url: cloud, dialects: ["messages"] },
      openai: { ...entry, url: `${cloud}/v1`, dialects: ["responses", "chat"] },
    },
  };
};
