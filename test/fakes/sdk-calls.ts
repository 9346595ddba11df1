// The calls that the official SDKs make, in the shapes that tests compare: one tool, one question, both ways.

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

export const WEATHER = {
  type: "object" as const,
  properties: { city: { type: "string" } },
  required: ["city"],
};

export interface CallOptions {
  /** Without `/v1`. */
  readonly baseUrl: string;
  readonly model: string;
  readonly stream: boolean;
  readonly tools: boolean;
  readonly token?: string;
}

/** What a program using the SDK gets, alike for all of them. */
export interface CallResult {
  readonly text: string;
  readonly calls: readonly { readonly name: string; readonly input: unknown }[];
  readonly model: string;
  readonly stop: string | null;
  readonly inputTokens: number | undefined;
  readonly outputTokens: number | undefined;
}

export type SdkCall = (options: CallOptions) => Promise<CallResult>;

/** By the dialect that the SDK speaks. */
export const sdkCalls: Readonly<Record<"messages" | "chat" | "responses", SdkCall>> = {
  messages: callMessages,
  chat: callChat,
  responses: callResponses,
};

async function callMessages(options: CallOptions): Promise<CallResult> {
  const client = new Anthropic({ baseURL: options.baseUrl, apiKey: options.token ?? "anonymous", maxRetries: 0 });
  const request = {
    model: options.model,
    max_tokens: 256,
    system: "Be brief.",
    messages: [{ role: "user" as const, content: "How is the weather in Oslo?" }],
    ...(options.tools ? { tools: [{ name: "weather", description: "Tells it.", input_schema: WEATHER }] } : {}),
  };
  const message = options.stream
    ? await client.messages.stream(request).finalMessage()
    : await client.messages.create(request);
  return {
    text: message.content.map((block) => (block.type === "text" ? block.text : "")).join(""),
    calls: message.content.flatMap((block) =>
      block.type === "tool_use" ? [{ name: block.name, input: block.input }] : [],
    ),
    model: message.model,
    stop: message.stop_reason,
    inputTokens: message.usage.input_tokens,
    outputTokens: message.usage.output_tokens,
  };
}

function openai(options: CallOptions): OpenAI {
  return new OpenAI({ baseURL: `${options.baseUrl}/v1`, apiKey: options.token ?? "anonymous", maxRetries: 0 });
}

async function callChat(options: CallOptions): Promise<CallResult> {
  const request = {
    model: options.model,
    max_completion_tokens: 256,
    messages: [
      { role: "system" as const, content: "Be brief." },
      { role: "user" as const, content: "How is the weather in Oslo?" },
    ],
    ...(options.tools
      ? { tools: [{ type: "function" as const, function: { name: "weather", parameters: WEATHER } }] }
      : {}),
  };
  const client = openai(options);
  const completion = options.stream
    ? await client.chat.completions
        .stream({ ...request, stream_options: { include_usage: true } })
        .finalChatCompletion()
    : await client.chat.completions.create(request);
  const choice = completion.choices[0];
  return {
    text: choice?.message.content ?? "",
    calls: (choice?.message.tool_calls ?? []).flatMap((call) =>
      call.type === "function"
        ? [{ name: call.function.name, input: JSON.parse(call.function.arguments) as unknown }]
        : [],
    ),
    model: completion.model,
    stop: choice?.finish_reason ?? null,
    inputTokens: completion.usage?.prompt_tokens,
    outputTokens: completion.usage?.completion_tokens,
  };
}

async function callResponses(options: CallOptions): Promise<CallResult> {
  const request = {
    model: options.model,
    max_output_tokens: 256,
    instructions: "Be brief.",
    input: "How is the weather in Oslo?",
    store: false,
    ...(options.tools
      ? { tools: [{ type: "function" as const, name: "weather", parameters: WEATHER, strict: false }] }
      : {}),
  };
  const client = openai(options);
  const response = options.stream
    ? await client.responses.stream(request).finalResponse()
    : await client.responses.create(request);
  return {
    text: response.output_text,
    calls: response.output.flatMap((item) =>
      item.type === "function_call" ? [{ name: item.name, input: JSON.parse(item.arguments) as unknown }] : [],
    ),
    model: response.model,
    stop: response.status ?? null,
    inputTokens: response.usage?.input_tokens,
    outputTokens: response.usage?.output_tokens,
  };
}
