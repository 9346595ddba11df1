// Programs on the vendors' SDKs and on Vercel's: two questions, a tool that works, one that fails, one without arguments.

import { join } from "node:path";
import type { House } from "../fakes/house.ts";
import type { FakeAnswer, Step } from "../fakes/script.ts";
import { tokenOf } from "../harness.ts";
import { checked } from "./agent-house.ts";
import { runClient } from "./client-process.ts";
import { readConversation } from "./conversation.ts";
import { clientsFolder, versionOf } from "./install.ts";
import type { Arguments, Outcome } from "./programs/tool-task.ts";
import { clientEnvironment } from "./sealed-run.ts";
import { startHouseFor, ways, wayTitles, type Way } from "./ways.ts";

export interface ClientCase {
  readonly name: string;
  /** Throws, with all that is wrong, where the client or the gateway failed. */
  readonly run: () => Promise<void>;
}

interface Program {
  readonly title: string;
  readonly file: string;
  readonly packageName: string;
  readonly flavour: string;
  readonly model: string;
}

const claude = "claude-opus-4-6";
const gpt = "gpt-5.5";

const programs: readonly Program[] = [
  ...["anthropic-sdk-0", "anthropic-sdk-1"].map((packageName) => ({
    title: `Anthropic SDK ${versionOf(packageName)}`,
    file: "anthropic",
    packageName,
    flavour: "messages",
    model: claude,
  })),
  ...["openai-6", "openai-7"].flatMap((packageName) =>
    ["chat", "responses"].map((flavour) => ({
      title: `OpenAI SDK ${versionOf(packageName)}, ${flavour}`,
      file: `openai-${flavour}`,
      packageName,
      flavour,
      model: gpt,
    })),
  ),
  ...["ai-6", "ai-7"].flatMap((packageName) =>
    ["anthropic", "chat", "responses", "openai-compatible"].map((flavour) => ({
      title: `Vercel AI SDK ${versionOf(packageName)}, ${flavour}`,
      file: "vercel",
      packageName,
      flavour,
      model: flavour === "anthropic" ? claude : gpt,
    })),
  ),
];

const awkward = 'größe 東京 🗝 \\ "quoted"\n\tend';

/** What the model says and does, from what it was told. */
export function answerTo(request: Parameters<typeof readConversation>[0]): Step {
  const { results, said } = readConversation(request);
  return { answer: said.includes("FOLLOW-UP") ? followUp(results) : firstTask(results) };
}

type Results = ReturnType<typeof readConversation>["results"];

function firstTask(results: Results): FakeAnswer {
  if (results.length === 0) {
    const toolCalls = [{ name: "look_up", input: { key: awkward } }];
    return { thinking: "The tool may know. – Mal sehen 🤔", text: "I look it up.", toolCalls };
  }
  if (results.length === 1) {
    return { toolCalls: ["second", "missing"].map((key) => ({ name: "look_up", input: { key } })) };
  }
  return { thinking: "Enough.", text: told(results) };
}

function followUp(results: Results): FakeAnswer {
  if (results.length === 3) return { text: "Let me count.", toolCalls: [{ name: "count_keys", input: {} }] };
  return { text: told(results.slice(3)) };
}

/**
 * Repeats what the tools said, so that the program's user sees whether it reached the model. A failure is told in the
 * words of the client's loop, or of the gateway where the local dialect has no field for it: its core is the tool's own.
 */
function told(results: Results): string {
  return results.map(({ text }) => (text.includes(NO_SUCH_KEY) ? NO_SUCH_KEY : text)).join("; ");
}

const NO_SUCH_KEY = "there is no such key";
const STEPS = 5;

function wanted(secret: string, model: string): Outcome {
  const key = (value: string): string => JSON.stringify({ key: value });
  return {
    answers: [`${awkward} = ${secret}-${awkward.length}; second = ${secret}-6; ${NO_SUCH_KEY}`, "2 keys"],
    calls: [`look_up(${key(awkward)})`, `look_up(${key("second")})`, `look_up(${key("missing")})`, "count_keys({})"],
    inputTokens: 21 * STEPS,
    outputTokens: 13 * STEPS,
    models: [model],
  };
}

function faultsOf(outcome: Outcome, want: Outcome): string[] {
  const fields = ["answers", "calls", "inputTokens", "outputTokens", "models"] as const;
  return fields
    .filter((field) => !Bun.deepEquals(outcome[field], want[field]))
    .map((field) => `${field}: ${JSON.stringify(outcome[field])}, not ${JSON.stringify(want[field])}`);
}

async function runProgram(program: Program, house: House, stream: boolean): Promise<string[]> {
  const secret = `secret-${stream ? "streamed" : "whole"}-${crypto.randomUUID()}`;
  const task: Arguments = {
    packageName: program.packageName,
    flavour: program.flavour,
    baseUrl: house.gateway.url,
    model: program.model,
    token: tokenOf("windu").token,
    stream,
    secret,
  };
  const result = await runClient({
    command: [...runtimeOf(program.packageName), compiledProgram(program.file), JSON.stringify(task)],
    cwd: house.gateway.home,
    env: clientEnvironment(house.gateway.home, {}),
    timeoutMs: 30_000,
  });
  // Vercel's SDK prints its warnings to the same place.
  const last = result.stdout.trimEnd().split("\n").at(-1) ?? "";
  const faults = faultsOf(JSON.parse(last) as Outcome, wanted(secret, program.model));
  return faults.map((fault) => `${stream ? "streamed" : "whole"}: ${fault}`);
}

async function runCase(program: Program, way: Way): Promise<void> {
  await using house = await startHouseFor(way, answerTo);
  await checked(house, { way, answers: 2 * STEPS, talks: 2 }, async () => [
    ...(await runProgram(program, house, true)),
    ...(await runProgram(program, house, false)),
  ]);
}

export function sdkCases(): ClientCase[] {
  return programs.flatMap((program) =>
    ways.map((way) => ({ name: `${program.title}: ${wayTitles[way]}`, run: async () => runCase(program, way) })),
  );
}

/** Node where the machine's is new enough for the package, as most programs would use it; Bun otherwise. */
function runtimeOf(packageName: string): string[] {
  const newest = packageName === "ai-7" ? 22 : 20;
  return nodeMajor >= newest ? ["node"] : [process.execPath, "--no-env-file"];
}

const nodeMajor = Number(/^v(\d+)/.exec(Bun.spawnSync(["node", "--version"]).stdout.toString())?.[1] ?? "0");

const programFolder = join(clientsFolder, "node_modules", ".programs");

function compiledProgram(file: string): string {
  return join(programFolder, `${file}.js`);
}

/** Strips the types, next to the packages that the programs import: Node takes no TypeScript. */
export async function compilePrograms(): Promise<void> {
  const files = [...new Set(programs.map((program) => program.file))];
  const result = await Bun.build({
    entrypoints: files.map((file) => join(clientsFolder, "programs", `${file}.ts`)),
    outdir: programFolder,
    target: "node",
    packages: "external",
    naming: "[name].js",
  });
  if (!result.success)
    throw new Error(`the programs do not compile: ${result.logs.map((log) => log.message).join("\n")}`);
}
