// The tool loop of Vercel's AI SDK. `packageName` is `ai-6` or `ai-7`; `flavour` the provider and its API.

import type { createAnthropic } from "ai-7-anthropic";
import type { createOpenAI } from "ai-7-openai";
import type { createOpenAICompatible } from "ai-7-openai-compatible";
import type * as Sdk from "ai-7";
import {
  countKeys,
  keySchema,
  lookUp,
  MAX_STEPS,
  noSchema,
  printOutcome,
  QUESTIONS,
  readArguments,
  SYSTEM,
} from "./tool-task.ts";

const task = readArguments();
const ai = (await import(task.packageName)) as typeof Sdk;
const settings = { baseURL: `${task.baseUrl}/v1`, apiKey: task.token };

async function createModel(): Promise<Sdk.LanguageModel> {
  switch (task.flavour) {
    case "anthropic": {
      const module = (await import(`${task.packageName}-anthropic`)) as { createAnthropic: typeof createAnthropic };
      return module.createAnthropic(settings)(task.model);
    }
    case "openai-compatible": {
      const module = (await import(`${task.packageName}-openai-compatible`)) as {
        createOpenAICompatible: typeof createOpenAICompatible;
      };
      return module.createOpenAICompatible({ ...settings, name: "sanctum", includeUsage: true })(task.model);
    }
    default: {
      const module = (await import(`${task.packageName}-openai`)) as { createOpenAI: typeof createOpenAI };
      const provider = module.createOpenAI(settings);
      return task.flavour === "chat" ? provider.chat(task.model) : provider.responses(task.model);
    }
  }
}

const calls: string[] = [];
const tools = {
  look_up: ai.tool({
    description: "The word of a key.",
    inputSchema: ai.jsonSchema<{ key: string }>(keySchema),
    execute: ({ key }) => {
      calls.push(`look_up(${JSON.stringify({ key })})`);
      return lookUp(key, task.secret);
    },
  }),
  count_keys: ai.tool({
    description: "How many keys.",
    inputSchema: ai.jsonSchema<Record<string, never>>(noSchema),
    execute: (input) => {
      calls.push(`count_keys(${JSON.stringify(input)})`);
      return countKeys();
    },
  }),
};

const model = await createModel();
const messages: Sdk.ModelMessage[] = [];
const answers: string[] = [];
const models = new Set<string>();
let inputTokens = 0;
let outputTokens = 0;

for (const question of QUESTIONS) {
  messages.push({ role: "user", content: question });
  const failures: unknown[] = [];
  // Version 6 knows `system`, which 7 still takes; OpenAI's store is not the gateway's.
  const options = {
    model,
    system: SYSTEM,
    messages,
    tools,
    maxRetries: 0,
    maxOutputTokens: 4_096,
    stopWhen: ai.stepCountIs(MAX_STEPS),
    providerOptions: { openai: { store: false } },
  };
  const result = task.stream
    ? ai.streamText({ ...options, onError: ({ error }) => void failures.push(error) })
    : await ai.generateText(options);
  if ("consumeStream" in result) await result.consumeStream();
  if (failures.length > 0) throw failures[0];
  const response = await result.response;
  const usage = await result.totalUsage;
  answers.push(await result.text);
  inputTokens += usage.inputTokens ?? NaN;
  outputTokens += usage.outputTokens ?? NaN;
  for (const step of await result.steps) models.add(step.response.modelId);
  messages.push(...(await messagesOf(result, response)));
}
printOutcome({ answers, calls, inputTokens, outputTokens, models: [...models] });

/** Version 7 moved the messages of all steps out of `response`. */
async function messagesOf(
  result: { readonly responseMessages?: PromiseLike<Sdk.ModelMessage[]> | readonly Sdk.ModelMessage[] },
  response: { readonly messages?: readonly Sdk.ModelMessage[] },
): Promise<readonly Sdk.ModelMessage[]> {
  return (await result.responseMessages) ?? response.messages ?? [];
}
