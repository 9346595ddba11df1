// Conversations as programs hold them with the official SDKs: what was answered is sent back as the SDK gave it out.

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

export interface TalkOptions {
  /** Without `/v1`. */
  readonly baseUrl: string;
  readonly model: string;
  readonly stream: boolean;
  readonly tools: boolean;
  readonly think: boolean;
  readonly stop?: readonly string[];
}

export interface ToolResult {
  readonly id: string;
  readonly text: string;
  readonly failed: boolean;
}

/** What the program gets, alike for all SDKs. */
export interface Told {
  readonly text: string;
  readonly thinking: string;
  readonly calls: readonly { readonly id: string; readonly name: string; readonly input: unknown }[];
  readonly ended: "done" | "calls" | "length" | "refused" | "stopped";
  readonly model: string;
  /** `input` is the whole prompt, `cached` the part of it that was read from a cache. */
  readonly usage: { readonly input: number; readonly cached: number; readonly output: number };
}

export interface Talk {
  /** `imageBase64`: a PNG. */
  say(text: string, imageBase64?: string): Promise<Told>;
  give(results: readonly ToolResult[]): Promise<Told>;
}

/** By the dialect that the SDK speaks. */
export const sdkTalks: Readonly<Record<"messages" | "chat" | "responses", (options: TalkOptions) => Talk>> = {
  messages: (options) => new MessagesTalk(options),
  chat: (options) => new ChatTalk(options),
  responses: (options) => new ResponsesTalk(options),
};

export const SYSTEM = "You are a careful clerk.";
const limit = 4_096;
const schema = { type: "object" as const, properties: { city: { type: "string" } }, required: ["city"] };
const toolNames = ["weather", "time_of_day"];

class MessagesTalk implements Talk {
  readonly #options: TalkOptions;
  readonly #client: Anthropic;
  readonly #messages: Anthropic.MessageParam[] = [];

  constructor(options: TalkOptions) {
    this.#options = options;
    this.#client = new Anthropic({ baseURL: options.baseUrl, apiKey: "anonymous", maxRetries: 0 });
  }

  async say(text: string, imageBase64?: string): Promise<Told> {
    const content: Anthropic.ContentBlockParam[] = [{ type: "text", text }];
    if (imageBase64 !== undefined) {
      content.push({ type: "image", source: { type: "base64", media_type: "image/png", data: imageBase64 } });
    }
    return this.#ask({ role: "user", content });
  }

  async give(results: readonly ToolResult[]): Promise<Told> {
    const content = results.map(({ id, text, failed }) => ({
      type: "tool_result" as const,
      tool_use_id: id,
      content: text,
      is_error: failed,
    }));
    return this.#ask({ role: "user", content });
  }

  async #ask(message: Anthropic.MessageParam): Promise<Told> {
    this.#messages.push(message);
    const { model, stream, tools, think, stop } = this.#options;
    const request: Anthropic.MessageCreateParamsNonStreaming = {
      model,
      max_tokens: limit,
      system: SYSTEM,
      messages: this.#messages,
      ...(tools ? { tools: toolNames.map((name) => ({ name, description: "Tells it.", input_schema: schema })) } : {}),
      ...(think ? { thinking: { type: "enabled", budget_tokens: 2_048 } } : {}),
      ...(stop === undefined ? {} : { stop_sequences: [...stop] }),
    };
    const answer = stream
      ? await this.#client.messages.stream(request).finalMessage()
      : await this.#client.messages.create(request);
    this.#messages.push({ role: "assistant", content: answer.content });
    return {
      text: answer.content.map((block) => (block.type === "text" ? block.text : "")).join(""),
      thinking: answer.content.map((block) => (block.type === "thinking" ? block.thinking : "")).join(""),
      calls: answer.content.flatMap((block) =>
        block.type === "tool_use" ? [{ id: block.id, name: block.name, input: block.input }] : [],
      ),
      ended: messagesEnds[answer.stop_reason ?? ""] ?? "done",
      model: answer.model,
      usage: {
        input: answer.usage.input_tokens + (answer.usage.cache_read_input_tokens ?? 0),
        cached: answer.usage.cache_read_input_tokens ?? 0,
        output: answer.usage.output_tokens,
      },
    };
  }
}

const messagesEnds: Readonly<Record<string, Told["ended"]>> = {
  tool_use: "calls",
  max_tokens: "length",
  refusal: "refused",
  stop_sequence: "stopped",
};

function openai(options: TalkOptions): OpenAI {
  return new OpenAI({ baseURL: `${options.baseUrl}/v1`, apiKey: "anonymous", maxRetries: 0 });
}

class ChatTalk implements Talk {
  readonly #options: TalkOptions;
  readonly #client: OpenAI;
  readonly #messages: OpenAI.ChatCompletionMessageParam[] = [{ role: "system", content: SYSTEM }];

  constructor(options: TalkOptions) {
    this.#options = options;
    this.#client = openai(options);
  }

  async say(text: string, imageBase64?: string): Promise<Told> {
    const content: OpenAI.ChatCompletionContentPart[] = [{ type: "text", text }];
    if (imageBase64 !== undefined) {
      content.push({ type: "image_url", image_url: { url: `data:image/png;base64,${imageBase64}` } });
    }
    this.#messages.push({ role: "user", content });
    return this.#ask();
  }

  /** The dialect has no word for a failure: programs say it in the text. */
  async give(results: readonly ToolResult[]): Promise<Told> {
    for (const { id, text } of results) this.#messages.push({ role: "tool", tool_call_id: id, content: text });
    return this.#ask();
  }

  async #ask(): Promise<Told> {
    const { model, stream, tools, think, stop } = this.#options;
    const request: OpenAI.ChatCompletionCreateParamsNonStreaming = {
      model,
      max_completion_tokens: limit,
      messages: this.#messages,
      ...(tools
        ? { tools: toolNames.map((name) => ({ type: "function" as const, function: { name, parameters: schema } })) }
        : {}),
      ...(think ? { reasoning_effort: "low" } : {}),
      ...(stop === undefined ? {} : { stop: [...stop] }),
    };
    const { answer, thinking } = stream ? await this.#streamed(request) : await this.#whole(request);
    const choice = answer.choices[0]!;
    this.#messages.push(choice.message);
    return {
      text: choice.message.content ?? "",
      thinking,
      calls: (choice.message.tool_calls ?? []).flatMap((call) =>
        call.type === "function"
          ? [{ id: call.id, name: call.function.name, input: JSON.parse(call.function.arguments) as unknown }]
          : [],
      ),
      ended: chatEnds[choice.finish_reason] ?? "done",
      model: answer.model,
      usage: {
        input: answer.usage?.prompt_tokens ?? -1,
        cached: answer.usage?.prompt_tokens_details?.cached_tokens ?? 0,
        output: answer.usage?.completion_tokens ?? -1,
      },
    };
  }

  async #whole(request: OpenAI.ChatCompletionCreateParamsNonStreaming) {
    const answer = await this.#client.chat.completions.create(request);
    return { answer, thinking: reasoningOf(answer.choices[0]?.message) };
  }

  async #streamed(request: OpenAI.ChatCompletionCreateParamsNonStreaming) {
    const options = { include_usage: true };
    const stream = this.#client.chat.completions.stream({ ...request, stream: true, stream_options: options });
    let thinking = "";
    stream.on("chunk", (chunk) => {
      thinking += reasoningOf(chunk.choices[0]?.delta);
    });
    return { answer: await stream.finalChatCompletion(), thinking };
  }
}

/** A field that the vendor's own types do not have, but all who show thinking in this dialect. */
function reasoningOf(message: object | undefined): string {
  const text = message !== undefined && "reasoning_content" in message ? message.reasoning_content : "";
  return typeof text === "string" ? text : "";
}

const chatEnds: Readonly<Record<string, Told["ended"]>> = {
  tool_calls: "calls",
  length: "length",
  content_filter: "refused",
};

class ResponsesTalk implements Talk {
  readonly #options: TalkOptions;
  readonly #client: OpenAI;
  readonly #input: OpenAI.Responses.ResponseInputItem[] = [];

  constructor(options: TalkOptions) {
    this.#options = options;
    this.#client = openai(options);
  }

  async say(text: string, imageBase64?: string): Promise<Told> {
    const content: OpenAI.Responses.ResponseInputContent[] = [{ type: "input_text", text }];
    if (imageBase64 !== undefined) {
      content.push({ type: "input_image", image_url: `data:image/png;base64,${imageBase64}`, detail: "auto" });
    }
    this.#input.push({ role: "user", content });
    return this.#ask();
  }

  async give(results: readonly ToolResult[]): Promise<Told> {
    for (const { id, text } of results) {
      this.#input.push({ type: "function_call_output", call_id: id, output: text });
    }
    return this.#ask();
  }

  async #ask(): Promise<Told> {
    const { model, stream, tools, think } = this.#options;
    const request = {
      model,
      max_output_tokens: limit,
      instructions: SYSTEM,
      input: this.#input,
      store: false,
      include: ["reasoning.encrypted_content" as const],
      ...(tools
        ? { tools: toolNames.map((name) => ({ type: "function" as const, name, parameters: schema, strict: false })) }
        : {}),
      ...(think ? { reasoning: { effort: "low" as const } } : {}),
    };
    const answer = stream
      ? await this.#client.responses.stream(request).finalResponse()
      : await this.#client.responses.create(request);
    for (const item of answer.output) this.#input.push(item as OpenAI.Responses.ResponseInputItem);
    const calls = answer.output.flatMap((item) =>
      item.type === "function_call"
        ? [{ id: item.call_id, name: item.name, input: JSON.parse(item.arguments) as unknown }]
        : [],
    );
    return {
      text: answer.output_text,
      thinking: answer.output
        .flatMap((item) => (item.type === "reasoning" ? item.summary.map((part) => part.text) : []))
        .join(""),
      calls,
      ended: endOf(answer.incomplete_details?.reason, calls.length),
      model: answer.model,
      usage: {
        input: answer.usage?.input_tokens ?? -1,
        cached: answer.usage?.input_tokens_details.cached_tokens ?? 0,
        output: answer.usage?.output_tokens ?? -1,
      },
    };
  }
}

function endOf(reason: string | undefined, calls: number): Told["ended"] {
  if (reason === "max_output_tokens") return "length";
  if (reason === "content_filter") return "refused";
  return calls > 0 ? "calls" : "done";
}
