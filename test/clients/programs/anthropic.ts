// A tool loop on Anthropic's SDK.

import type Anthropic from "anthropic-sdk-1";
import {
  keySchema,
  MAX_STEPS,
  noSchema,
  printOutcome,
  QUESTIONS,
  readArguments,
  runTool,
  SYSTEM,
} from "./tool-task.ts";

const task = readArguments();
const { default: Client } = (await import(task.packageName)) as { default: typeof Anthropic };
const client = new Client({ baseURL: task.baseUrl, apiKey: task.token, maxRetries: 0, timeout: 20_000 });

const tools: Anthropic.Tool[] = [
  { name: "look_up", description: "The word of a key.", input_schema: keySchema },
  { name: "count_keys", description: "How many keys.", input_schema: noSchema },
];
const messages: Anthropic.MessageParam[] = [];
const answers: string[] = [];
const calls: string[] = [];
const models = new Set<string>();
let inputTokens = 0;
let outputTokens = 0;

async function ask(): Promise<Anthropic.Message> {
  const request = { model: task.model, max_tokens: 4_096, system: SYSTEM, tools, messages };
  const message = task.stream
    ? await client.messages.stream(request).finalMessage()
    : await client.messages.create(request);
  inputTokens += message.usage.input_tokens;
  outputTokens += message.usage.output_tokens;
  models.add(message.model);
  messages.push({ role: "assistant", content: message.content });
  return message;
}

function carryOut(message: Anthropic.Message): Anthropic.ToolResultBlockParam[] {
  return message.content
    .filter((block) => block.type === "tool_use")
    .map((block) => {
      calls.push(`${block.name}(${JSON.stringify(block.input)})`);
      const result = runTool(block.name, block.input, task.secret);
      return { type: "tool_result", tool_use_id: block.id, content: result.text, is_error: result.failed };
    });
}

for (const question of QUESTIONS) {
  messages.push({ role: "user", content: question });
  for (let step = 0; step < MAX_STEPS; step++) {
    const message = await ask();
    if (message.stop_reason !== "tool_use") {
      answers.push(message.content.map((block) => (block.type === "text" ? block.text : "")).join(""));
      break;
    }
    messages.push({ role: "user", content: carryOut(message) });
  }
}
printOutcome({ answers, calls, inputTokens, outputTokens, models: [...models] });
