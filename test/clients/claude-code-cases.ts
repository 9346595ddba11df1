// Claude Code in print mode: shell and file tools, two of them at once, a sub-agent, a second question, token counting.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "../../src/wire/neutral.ts";
import type { FakeAnswer, Step } from "../fakes/script.ts";
import { impatient, missing, penniless, runAgent, type Project } from "./agent-house.ts";
import { claude, claudeCodeLeftOut, title } from "./claude-code.ts";
import { readConversation, type Conversation } from "./conversation.ts";
import type { ClientCase } from "./sdk-cases.ts";
import { tooMany, ways, wayTitles, type Responder, type Way } from "./ways.ts";

/** The second takes thinking with a budget, and no system turns among the messages. */
const models = ["claude-opus-5-5", "claude-haiku-4-5"] as const;

export function claudeCodeCases(): ClientCase[] {
  if (claudeCodeLeftOut() !== null) return [];
  return [
    ...models.flatMap((model) =>
      ways.map((way) => ({ name: `${title}, ${model}: ${wayTitles[way]}`, run: async () => task(way, model) })),
    ),
    ...["in its first text", "in its first tool call"].map((where, at) => ({
      name: `${title}: the cloud stalls ${where}, the local model goes on`,
      run: async () => stalledStream(at === 0 ? 8 : 11),
    })),
    ...(["cloud", "local"] as const).flatMap((way) => [
      { name: `${title} searches the web: ${wayTitles[way]}`, run: async () => webSearch(way) },
      { name: `${title} reads a picture: ${wayTitles[way]}`, run: async () => picture(way) },
    ]),
    { name: `${title}: counts tokens at the vendor`, run: async () => countTokens({}) },
    { name: `${title}: counts tokens here while the vendor is gone`, run: async () => countTokens(unreachable) },
    { name: `${title}: is told at once that the budget is gone`, run: noBudget },
  ];
}

const ask = "MAIN-TASK: what is in the note?";
const report = "The sub-agent has read";

/** The main talk and the sub-agent's are told apart by what they were asked. */
function respondFor(project: Project): Responder {
  return (request) => {
    const talk = readConversation(request);
    return { answer: talk.said.includes("MAIN-TASK") ? mainAnswer(talk, project) : subAgentAnswer(talk) };
  };
}

const showNote = { name: "Bash", input: { command: "cat note.txt", description: "Shows the note" } };

function mainAnswer({ results, said }: Conversation, project: Project): FakeAnswer {
  if (results.length === 0) return { thinking: "Let me look – 🤔", text: "I look.", toolCalls: [showNote] };
  if (results.length === 1) {
    const read = { name: "Read", input: { file_path: join(project.folder, "note.txt") } };
    const fail = { name: "Bash", input: { command: "cat nothing.txt", description: "Shows nothing" } };
    return { toolCalls: [read, fail] };
  }
  if (results.length === 3) {
    const input = { description: "reads", prompt: "SUB-TASK: read the note", subagent_type: "general-purpose" };
    return { text: "I ask.", toolCalls: [{ name: "Agent", input: { ...input, run_in_background: false } }] };
  }
  if (results.length === 4 && said.includes("FOLLOW-UP")) {
    const input = { file_path: join(project.folder, "answer.txt"), content: project.secret };
    return { thinking: "Write it.", toolCalls: [{ name: "Write", input }] };
  }
  return { thinking: "Enough.", text: results.map((result) => result.text).join("\n") };
}

function subAgentAnswer({ results }: Conversation): FakeAnswer {
  if (results.length === 0) return { toolCalls: [showNote] };
  return { text: `${report} ${results[0]?.text ?? ""}` };
}

/** Four steps, of which one asks a sub-agent that takes two, then two more after the second question. */
const steps = 8;

async function task(way: Way, model: string): Promise<void> {
  await runAgent({
    way,
    script: (project) => ({ respond: respondFor(project) }),
    expected: { answers: steps, talks: 2 },
    use: async (house, project) => {
      const first = await claude(house, project, ["--model", model, ask]);
      const second = await claude(house, project, ["--model", model, "--continue", "FOLLOW-UP: write it down"]);
      const file = join(project.folder, "answer.txt");
      return [
        ...[first, second]
          .filter((one) => one.is_error || one.permission_denials.length > 0)
          .map((one) => JSON.stringify(one)),
        ...missing("the first answer", first.result, project.secret, "No such file", `${report} ${project.secret}`),
        ...missing("the second answer", second.result, "answer.txt"),
        ...missing("the written file", existsSync(file) ? readFileSync(file, "utf8") : "", project.secret),
      ];
    },
  });
}

/** The first answer stalls in the middle and is carried on at home; from then on the cloud is at its limit. */
async function stalledStream(atEvent: number): Promise<void> {
  await runAgent({
    way: "turns",
    config: impatient,
    script: (project) => {
      const respond = respondFor(project);
      let asked = 0;
      const cloud: Responder = (request): Step => {
        const step = respond(request);
        return asked++ === 0 ? { ...step, stall: { afterEvents: atEvent } } : tooMany;
      };
      return { respond, cloud };
    },
    // What was begun in the cloud is a talk of its own at home.
    expected: { answers: steps - 2, talks: 3, takenOver: 1 },
    use: async (house, project) => {
      const printed = await claude(house, project, ["--model", models[0], ask]);
      return missing("the answer", printed.result, project.secret, "No such file", `${report} ${project.secret}`);
    },
  });
}

/** A tool that is offered only after it was looked for, and whose work is a request with a tool of the vendor's own. */
async function webSearch(way: Way): Promise<void> {
  const found = "Oslo is cold, said the search.";
  const respond: Responder = (request) => {
    const { said, results, offered } = readConversation(request);
    if (!said.includes("MAIN-TASK")) return { answer: { text: found } };
    if (results.length === 0) return calls("ToolSearch", { query: "select:WebSearch" });
    if (results.length > 1) return { answer: { text: results.map((result) => result.text).join("\n") } };
    if (!offered.includes("WebSearch")) return { answer: { text: `not offered: ${offered.join(", ")}` } };
    return calls("WebSearch", { query: "weather in Oslo" });
  };
  await runAgent({
    way,
    script: () => ({ respond }),
    expected: { answers: 4, talks: way === "cloud" ? 2 : 1, ownAnswers: way === "cloud" ? 0 : 1 },
    use: async (house, project) => {
      const printed = await claude(house, project, ["--model", models[0], ask]);
      // No other model can search, and none makes results up: the client is told so in an ordinary answer.
      return missing("the answer", printed.result, way === "cloud" ? found : "not available right now");
    },
  });
}

/** The smallest PNG: one pixel. */
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

/** A tool's result that is an image: other dialects have no place for it in a result. */
async function picture(way: Way): Promise<void> {
  await runAgent({
    way,
    script: (project) => ({
      respond: (request) => {
        const { results } = readConversation(request);
        if (results.length === 0) return calls("Read", { file_path: join(project.folder, "pixel.png") });
        return { answer: { text: /"type":"image(_url)?"/.test(request.text) ? "I see it." : "I see nothing." } };
      },
    }),
    expected: { answers: 2, talks: 1 },
    use: async (house, project) => {
      writeFileSync(join(project.folder, "pixel.png"), Buffer.from(pixel, "base64"));
      const printed = await claude(house, project, ["--model", models[0], ask]);
      return missing("the answer", printed.result, "I see it.");
    },
  });
}

function calls(name: string, input: JsonObject): Step {
  return { answer: { toolCalls: [{ name, input }] } };
}

const unreachable = { providers: { anthropic: { url: "http://127.0.0.1:9", dialects: ["messages"], key: "none" } } };

async function countTokens(config: object): Promise<void> {
  await runAgent({
    way: "cloud",
    script: (project) => ({ respond: respondFor(project) }),
    config: { ...config },
    expected: { answers: 0, talks: 0 },
    use: async (house, project) => {
      const printed = await claude(house, project, ["--model", models[0], "/context"]);
      const counts = house.gateway.auditLines().filter((line) => line["path"] === "/v1/messages/count_tokens");
      const refused = counts.filter((line) => line.status !== 200 || line.usd !== 0);
      return [
        ...missing("the answer", printed.result, "Context Usage"),
        ...(counts.length < 5 ? [`${counts.length} counts`] : []),
        ...refused.map((line) => `count ${line.seq}: status ${line.status}, ${line.usd} USD`),
      ];
    },
  });
}

async function noBudget(): Promise<void> {
  await runAgent({
    way: "cloud",
    script: (project) => ({ respond: respondFor(project) }),
    config: penniless,
    expected: { answers: 0, talks: 0, refused: 1 },
    use: async (house, project) => {
      const printed = await claude(house, project, ["--model", models[0], ask], 1);
      return missing("the answer", printed.result, "402");
    },
  });
}
