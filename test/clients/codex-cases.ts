// Codex in exec mode: shell commands, two of them at once, a patch, a second question.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { House } from "../fakes/house.ts";
import type { RecordedRequest } from "../fakes/provider.ts";
import type { FakeAnswer, Step } from "../fakes/script.ts";
import { tokenOf } from "../harness.ts";
import { impatient, missing, penniless, runAgent, type Project } from "./agent-house.ts";
import { runClient } from "./client-process.ts";
import { readConversation } from "./conversation.ts";
import { customCallEvents } from "./custom-call.ts";
import { clientsFolder, versionOf } from "./install.ts";
import type { ClientCase } from "./sdk-cases.ts";
import { clientEnvironment } from "./sealed-run.ts";
import { tooMany, ways, wayTitles, type Responder, type Way } from "./ways.ts";

const launcher = join(clientsFolder, "node_modules", "@openai", "codex", "bin", "codex.js");
const native = join(clientsFolder, "node_modules", "@openai", `codex-${process.platform}-${process.arch}`);
const title = `Codex ${versionOf("@openai/codex")}`;
const model = "gpt-5.5";

export function codexCases(): ClientCase[] {
  if (!existsSync(native)) return [];
  return [
    ...ways.map((way) => ({ name: `${title}: ${wayTitles[way]}`, run: async () => task(way, "") })),
    {
      name: `${title}: tries a WebSocket first, and goes on without`,
      run: async () => task("cloud", "supports_websockets = true"),
    },
    ...["in its first text", "in its first tool call"].map((where, at) => ({
      name: `${title}: the cloud stalls ${where}, the local model goes on`,
      run: async () => stalledStream(at === 0 ? 12 : 17),
    })),
    { name: `${title}: is told at once that the budget is gone`, run: noBudget },
  ];
}

/** Why Codex is not among the cases; null where it is. */
export function codexLeftOut(): string | null {
  if (existsSync(native)) return null;
  return `${title}: the package has no native program for ${process.platform}-${process.arch}`;
}

function writeConfig(house: House, project: Project, more: string): string {
  const folder = join(project.home, ".codex");
  mkdirSync(folder, { recursive: true });
  const lines = [
    `model = "${model}"`,
    'model_provider = "sanctum"',
    "check_for_update_on_startup = false",
    "[analytics]",
    "enabled = false",
    "[model_providers.sanctum]",
    'name = "Sanctum"',
    `base_url = "${house.gateway.url}/v1"`,
    'env_key = "SANCTUM_TOKEN"',
    'wire_api = "responses"',
    more,
  ];
  writeFileSync(join(folder, "config.toml"), lines.join("\n"));
  return folder;
}

interface CodexEvent {
  readonly type: string;
  readonly message?: string;
  readonly item?: { readonly type: string; readonly text?: string };
}

async function codex(
  project: Project,
  configFolder: string,
  words: readonly string[],
  code = 0,
): Promise<readonly CodexEvent[]> {
  const result = await runClient({
    command: ["node", launcher, "exec", "--json", "--skip-git-repo-check", "-s", "danger-full-access", ...words],
    cwd: project.folder,
    env: clientEnvironment(project.home, { CODEX_HOME: configFolder, SANCTUM_TOKEN: tokenOf("windu").token }),
    timeoutMs: 40_000,
    code,
  });
  const lines = result.stdout.split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line) as CodexEvent);
}

/** The last text that Codex showed. */
function lastText(events: readonly CodexEvent[]): string {
  return events.findLast((event) => event.item?.type === "agent_message")?.item?.text ?? "";
}

function errorsIn(events: readonly CodexEvent[]): string[] {
  return events.filter((event) => event.type === "error").map((event) => `Codex says: ${event.message}`);
}

const patch = "*** Begin Patch\n*** Add File: made.txt\n+größe 東京\n*** End Patch\n";
const ask = "MAIN-TASK: what is in the note?";

function command(cmd: string): { name: string; input: { cmd: string } } {
  return { name: "exec_command", input: { cmd } };
}

function respond(request: RecordedRequest): Step {
  const { results, said } = readConversation(request);
  if (results.length === 3 && said.includes("FOLLOW-UP")) return patchStep(request);
  return { answer: answerAfter(results.map((result) => result.text)) };
}

function answerAfter(results: readonly string[]): FakeAnswer {
  if (results.length === 0)
    return { thinking: "Let me look – 🤔", text: "I look.", toolCalls: [command("cat note.txt")] };
  if (results.length === 1) return { toolCalls: [command("cat nothing.txt"), command("echo two words")] };
  return { thinking: "Enough.", text: results.join("\n") };
}

/** A custom tool: the vendor calls it in a form of its own, a local model as the function that it was shown. */
function patchStep(request: RecordedRequest): Step {
  if (request.target.endsWith("/responses")) return { rawBody: customCallEvents("apply_patch", patch, model) };
  return { answer: { text: "I write.", toolCalls: [{ name: "apply_patch", input: { input: patch } }] } };
}

/** Three steps for the first question, two for the second. */
const steps = 5;

async function task(way: Way, more: string): Promise<void> {
  await runAgent({
    way,
    script: () => ({ respond }),
    expected: { answers: steps, talks: 1 },
    use: async (house, project) => {
      const config = writeConfig(house, project, more);
      const first = await codex(project, config, [ask]);
      const second = await codex(project, config, ["resume", "--last", "FOLLOW-UP: write it down"]);
      const file = join(project.folder, "made.txt");
      return [
        ...errorsIn([...first, ...second]),
        ...missing("the first answer", lastText(first), project.secret, "No such file", "two words"),
        ...missing("the second answer", lastText(second), "made.txt"),
        ...missing("the patched file", existsSync(file) ? readFileSync(file, "utf8") : "", "größe 東京"),
      ];
    },
  });
}

/** The first answer stalls in the middle and is carried on at home, which is a talk of its own; then the cloud is at its limit. */
async function stalledStream(atEvent: number): Promise<void> {
  await runAgent({
    way: "turns",
    config: impatient,
    script: () => {
      let asked = 0;
      const cloud: Responder = (request) =>
        asked++ === 0 ? { ...respond(request), stall: { afterEvents: atEvent } } : tooMany;
      return { respond, cloud };
    },
    expected: { answers: 3, talks: 2, takenOver: 1 },
    use: async (house, project) => {
      const events = await codex(project, writeConfig(house, project, ""), [ask]);
      return missing("the answer", lastText(events), project.secret, "No such file", "two words");
    },
  });
}

async function noBudget(): Promise<void> {
  await runAgent({
    way: "cloud",
    script: () => ({ respond }),
    config: penniless,
    expected: { answers: 0, talks: 0, refused: 1 },
    use: async (house, project) => {
      const events = await codex(project, writeConfig(house, project, ""), [ask], 1);
      return missing("what Codex says", errorsIn(events).join("\n"), "uota");
    },
  });
}
