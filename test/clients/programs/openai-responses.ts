// A tool loop on OpenAI's SDK, Responses, without a store: the whole talk goes along each time.

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

const tools: OpenAI.Responses.FunctionTool[] = [
  { type: "function", name: "look_up", description: "The word of a key.", parameters: keySchema, strict: false },
  { type: "function", name: "count_keys", description: "How many keys.", parameters: noSchema, strict: false },
];
const input: OpenAI.Responses.ResponseInputItem[] = [];
const answers: string[] = [];
const calls: string[] = [];
const models = new Set<string>();
let inputTokens = 0;
let outputTokens = 0;

async function ask(): Promise<OpenAI.Responses.Response> {
  const request = {
    model: task.model,
    instructions: SYSTEM,
    max_output_tokens: 4_096,
    tools,
    input,
    store: false,
    include: ["reasoning.encrypted_content" as const],
  };
  const response = task.stream
    ? await client.responses.stream(request).finalResponse()
    : await client.responses.create(request);
  inputTokens += response.usage?.input_tokens ?? NaN;
  outputTokens += response.usage?.output_tokens ?? NaN;
  models.add(response.model);
  input.push(...(response.output as OpenAI.Responses.ResponseInputItem[]));
  return response;
}

function carryOut(response: OpenAI.Responses.Response): OpenAI.Responses.ResponseInputItem[] {
  return response.output
    .filter((item) => item.type === "function_call")
    .map((call) => {
      calls.push(`${call.name}(${call.arguments})`);
      const result = runTool(call.name, JSON.parse(call.arguments), task.secret);
      return { type: "function_call_output" as const, call_id: call.call_id, output: result.text };
    });
}

for (const question of QUESTIONS) {
  input.push({ role: "user", content: question });
  for (let step = 0; step < MAX_STEPS; step++) {
    const response = await ask();
    const results = carryOut(response);
    if (results.length === 0) {
      answers.push(response.output_text);
      break;
    }
    input.push(...results);
  }
}
printOutcome({ answers, calls, inputTokens, outputTokens, models: [...models] });
