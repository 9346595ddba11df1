// A tool loop on OpenAI's SDK, Chat Completions.

import type OpenAI from "openai-7";
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
const { default: Client } = (await import(task.packageName)) as { default: typeof OpenAI };
const client = new Client({ baseURL: `${task.baseUrl}/v1`, apiKey: task.token, maxRetries: 0, timeout: 20_000 });

const tools: OpenAI.ChatCompletionFunctionTool[] = [
  { type: "function", function: { name: "look_up", description: "The word of a key.", parameters: keySchema } },
  { type: "function", function: { name: "count_keys", description: "How many keys.", parameters: noSchema } },
];
const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: "system", content: SYSTEM }];
const answers: string[] = [];
const calls: string[] = [];
const models = new Set<string>();
let inputTokens = 0;
let outputTokens = 0;

async function ask(): Promise<OpenAI.ChatCompletion.Choice> {
  const request = { model: task.model, max_completion_tokens: 4_096, tools, messages };
  const completion = task.stream
    ? await client.chat.completions
        .stream({ ...request, stream_options: { include_usage: true } })
        .finalChatCompletion()
    : await client.chat.completions.create(request);
  const [choice] = completion.choices;
  if (choice === undefined) throw new Error("an answer without a choice");
  inputTokens += completion.usage?.prompt_tokens ?? NaN;
  outputTokens += completion.usage?.completion_tokens ?? NaN;
  models.add(completion.model);
  messages.push(choice.message);
  return choice;
}

function carryOut(choice: OpenAI.ChatCompletion.Choice): OpenAI.ChatCompletionToolMessageParam[] {
  return (choice.message.tool_calls ?? []).map((call) => {
    if (call.type !== "function") throw new Error(`a call of type ${call.type}`);
    calls.push(`${call.function.name}(${call.function.arguments})`);
    const result = runTool(call.function.name, JSON.parse(call.function.arguments), task.secret);
    return { role: "tool", tool_call_id: call.id, content: result.text };
  });
}

for (const question of QUESTIONS) {
  messages.push({ role: "user", content: question });
  for (let step = 0; step < MAX_STEPS; step++) {
    const choice = await ask();
    if (choice.finish_reason !== "tool_calls") {
      answers.push(choice.message.content ?? "");
      break;
    }
    messages.push(...carryOut(choice));
  }
}
printOutcome({ answers, calls, inputTokens, outputTokens, models: [...models] });
