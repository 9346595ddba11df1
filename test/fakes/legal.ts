// What each vendor's server refuses with 400. A fake that takes anything would let a gateway send anything.

import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { objectOf, objectsOf, textOf } from "./json-access.ts";

export interface LegalOptions {
  /** Chat templates of local models: one system message, at the front; user and assistant take turns. */
  readonly strictTemplate: boolean;
}

/** All faults of an Anthropic Messages request; empty where it is legal. */
export function faultsOfMessages(body: JsonObject): string[] {
  const faults: string[] = [...namedModel(body)];
  const limit = body["max_tokens"];
  if (!Number.isInteger(limit) || Number(limit) < 1) faults.push("max_tokens: Field required");
  faults.push(...foreign(body, ["stream_options", "max_completion_tokens", "n", "input", "functions"]));
  const messages = objectsOf(body["messages"]);
  if (messages.length === 0) faults.push("messages: at least one message is required");
  else if (messages[0]!["role"] !== "user") faults.push('messages: first message must use the "user" role');
  let open = new Set<string>();
  messages.forEach((message, at) => {
    const role = message["role"];
    if (role !== "user" && role !== "assistant" && role !== "system") faults.push(`messages.${at}.role: unknown`);
    const blocks = blocksOf(message["content"]);
    if (blocks === null) faults.push(`messages.${at}.content: neither a text nor blocks`);
    faults.push(...(blocks ?? []).flatMap((block) => faultsOfBlock(block, `messages.${at}`)));
    faults.push(...faultsOfResults(blocks ?? [], open, at));
    open = new Set((blocks ?? []).filter((block) => block["type"] === "tool_use").map((block) => textOf(block["id"])));
  });
  for (const tool of objectsOf(body["tools"])) {
    const custom = tool["type"] === undefined || tool["type"] === "custom";
    if (!isToolName(tool["name"])) faults.push("tools: name");
    if (custom && objectOf(tool["input_schema"])?.["type"] !== "object") faults.push("tools: input_schema.type");
  }
  return faults;
}

function faultsOfBlock(block: JsonObject, where: string): string[] {
  switch (textOf(block["type"])) {
    case "text":
      return typeof block["text"] === "string" && block["text"] !== "" ? [] : [`${where}: text must be non-empty`];
    case "tool_use": {
      const legal = isToolId(block["id"]) && isToolName(block["name"]) && objectOf(block["input"]) !== null;
      return legal ? [] : [`${where}: tool_use needs id, name and an input object`];
    }
    case "tool_result":
      return isToolId(block["tool_use_id"]) ? [] : [`${where}: tool_result needs tool_use_id`];
    case "thinking":
      return typeof block["signature"] === "string" && block["signature"] !== ""
        ? []
        : [`${where}: thinking.signature: Field required`];
    case "image":
    case "document":
      return objectOf(block["source"]) === null ? [`${where}: source: Field required`] : [];
    case "redacted_thinking":
    case "search_result":
    case "server_tool_use":
    case "web_search_tool_result":
      return [];
    default:
      return [`${where}: unknown block type`];
  }
}

/** Every call of the turn before is answered, and the answers come first (docs: "Tool use"). */
function faultsOfResults(blocks: readonly JsonObject[], open: ReadonlySet<string>, at: number): string[] {
  const results = blocks.filter((block) => block["type"] === "tool_result");
  const leading = blocks.slice(0, results.length).every((block) => block["type"] === "tool_result");
  const given = new Set(results.map((block) => textOf(block["tool_use_id"])));
  const faults = leading ? [] : [`messages.${at}: tool_result blocks must come first`];
  for (const id of open) if (!given.has(id)) faults.push(`messages.${at}: tool_use ids without tool_result: ${id}`);
  for (const id of given) if (!open.has(id)) faults.push(`messages.${at}: unexpected tool_use_id: ${id}`);
  return faults;
}

/** All faults of a Chat Completions request. */
export function faultsOfChat(body: JsonObject, options: LegalOptions): string[] {
  const faults: string[] = [...namedModel(body)];
  faults.push(
    ...foreign(body, [
      "system",
      "stop_sequences",
      "thinking",
      "output_config",
      "input",
      "instructions",
      "max_output_tokens",
    ]),
  );
  if (body["max_tokens"] !== undefined && body["max_completion_tokens"] !== undefined) {
    faults.push("max_tokens and max_completion_tokens must not both be set");
  }
  if (body["stream_options"] !== undefined && body["stream"] !== true) {
    faults.push("stream_options is only allowed when stream is true");
  }
  const messages = objectsOf(body["messages"]);
  if (messages.length === 0) faults.push("messages: at least one is required");
  const open = new Set<string>();
  messages.forEach((message, at) => {
    faults.push(...faultsOfChatMessage(message, `messages[${at}]`, open));
    if (options.strictTemplate) faults.push(...faultsOfTemplate(messages, at));
  });
  if (open.size > 0) faults.push(`tool calls without a tool message: ${[...open].join(", ")}`);
  for (const tool of objectsOf(body["tools"])) faults.push(...faultsOfChatTool(tool));
  if (JSON.stringify(body).includes('"cache_control"')) faults.push("cache_control is not known here");
  return faults;
}

function faultsOfChatMessage(message: JsonObject, where: string, open: Set<string>): string[] {
  const faults: string[] = [];
  const role = message["role"];
  if (role === "tool") {
    const id = message["tool_call_id"];
    if (typeof id !== "string" || !open.delete(id)) faults.push(`${where}: tool_call_id answers no open call`);
  } else if (open.size > 0) {
    faults.push(`${where}: tool calls before it have no tool message`);
    open.clear();
  }
  if (!["system", "developer", "user", "assistant", "tool"].includes(textOf(role))) faults.push(`${where}: role`);
  const content = message["content"];
  const calls = objectsOf(message["tool_calls"]);
  const empty = content === null || content === undefined;
  if (empty && (role !== "assistant" || calls.length === 0)) faults.push(`${where}: content`);
  if (!empty && typeof content !== "string") {
    const known = blocksOf(content)?.every((part) =>
      ["text", "image_url", "file", "refusal"].includes(textOf(part["type"])),
    );
    if (known !== true) faults.push(`${where}: content part of unknown type`);
  }
  for (const call of calls) {
    const called = objectOf(call["function"]);
    const id = textOf(call["id"]);
    const legal = id !== "" && id.length <= 40 && isToolName(called?.["name"]);
    if (!legal || !isObjectText(called?.["arguments"])) faults.push(`${where}: tool_calls`);
    open.add(id);
  }
  return faults;
}

function faultsOfTemplate(messages: readonly JsonObject[], at: number): string[] {
  const role = messages[at]?.["role"];
  const before = messages[at - 1]?.["role"];
  if (role === "developer") return [`messages[${at}]: role developer is not known`];
  if (role === "system" && at > 0) return [`messages[${at}]: system message must be at the beginning`];
  if (role === "assistant" && (before === undefined || before === "system"))
    return [`messages[${at}]: user goes first`];
  if (role === before && (role === "user" || role === "assistant")) return [`messages[${at}]: roles must alternate`];
  return [];
}

function faultsOfChatTool(tool: JsonObject): string[] {
  const declared = objectOf(tool["function"]);
  if (tool["type"] !== "function" || declared === null) return ["tools: 'type' of tool must be 'function'"];
  return isToolName(declared["name"]) ? [] : ["tools: function.name"];
}

const foreignToResponses = [
  "messages",
  "max_tokens",
  "system",
  "stop",
  "stop_sequences",
  "max_completion_tokens",
  "n",
  "top_k",
  "thinking",
  "output_config",
  "response_format",
  "reasoning_effort",
];

/** OpenAI's reasoning models, which take no sampling parameters. */
const reasoningModel = /^(?:o\d|gpt-[5-9])/;

/** All faults of a Responses request. */
export function faultsOfResponses(body: JsonObject): string[] {
  const faults: string[] = [...namedModel(body), ...foreign(body, foreignToResponses)];
  const options = objectOf(body["stream_options"]);
  if (options !== null && "include_usage" in options) faults.push("Unknown parameter: stream_options.include_usage");
  const limit = body["max_output_tokens"];
  if (limit !== undefined && limit !== null && Number(limit) < 16) {
    faults.push("Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16");
  }
  if (reasoningModel.test(textOf(body["model"]))) faults.push(...foreign(body, ["temperature", "top_p"]));
  const input = body["input"];
  if (typeof input !== "string" && !Array.isArray(input)) faults.push("input: required");
  const calls = new OpenCalls();
  objectsOf(input).forEach((item, at) => faults.push(...faultsOfItem(item, `input[${at}]`, calls)));
  faults.push(...calls.faults());
  for (const tool of objectsOf(body["tools"])) faults.push(...faultsOfResponsesTool(tool));
  const format = objectOf(objectOf(body["text"])?.["format"]);
  if (format?.["type"] === "json_schema" && (textOf(format["name"]) === "" || objectOf(format["schema"]) === null)) {
    faults.push("text.format: name and schema are required");
  }
  return faults;
}

/** Every call has a result of its own kind somewhere behind it, and every result a call. */
class OpenCalls {
  readonly #open = new Map<string, string>();
  readonly #known = new Map<string, string>();

  call(item: JsonObject): void {
    const id = textOf(item["call_id"]);
    this.#open.set(id, textOf(item["type"]));
    this.#known.set(id, textOf(item["type"]));
  }

  result(item: JsonObject): string[] {
    const id = textOf(item["call_id"]);
    this.#open.delete(id);
    const fits = `${this.#known.get(id) ?? ""}_output` === item["type"];
    return fits ? [] : [`No tool call found for ${textOf(item["type"]).replaceAll("_", " ")} with call_id ${id}`];
  }

  faults(): string[] {
    return [...this.#open.keys()].map((id) => `No tool output found for function call ${id}`);
  }
}

function faultsOfItem(item: JsonObject, where: string, calls: OpenCalls): string[] {
  const type = item["type"] ?? (item["role"] === undefined ? "" : "message");
  switch (textOf(type)) {
    case "message":
      return faultsOfResponsesMessage(item, where);
    case "function_call":
    case "custom_tool_call": {
      calls.call(item);
      const id = textOf(item["call_id"]);
      const text = type === "function_call" ? isObjectText(item["arguments"]) : typeof item["input"] === "string";
      return id !== "" && id.length <= 64 && isToolName(item["name"]) && text ? [] : [`${where}: not a call`];
    }
    case "function_call_output":
    case "custom_tool_call_output": {
      const { output } = item;
      const known = typeof output === "string" || objectsOf(output).every((part) => isInputPart(part));
      return [...calls.result(item), ...(known && output !== undefined ? [] : [`${where}.output: Invalid type`])];
    }
    case "reasoning":
      return textOf(item["encrypted_content"]).startsWith("sanctum")
        ? [`${where}: The encrypted content could not be verified`]
        : [];
    case "":
      return [`${where}.type: required`];
    default:
      return [];
  }
}

function faultsOfResponsesMessage(item: JsonObject, where: string): string[] {
  const role = textOf(item["role"]);
  if (!["user", "assistant", "system", "developer"].includes(role)) return [`${where}.role: Invalid value`];
  const { content } = item;
  if (typeof content === "string") return [];
  const parts = objectsOf(content);
  const legal = role === "assistant" ? isOutputPart : isInputPart;
  return Array.isArray(content) && parts.length > 0 && parts.every(legal) ? [] : [`${where}.content: Invalid value`];
}

function isInputPart(part: JsonObject): boolean {
  switch (textOf(part["type"])) {
    case "input_text":
      return typeof part["text"] === "string";
    case "input_image":
      return /^(?:https?:|data:image\/)/i.test(textOf(part["image_url"])) || textOf(part["file_id"]) !== "";
    case "input_file":
      return ["file_data", "file_url", "file_id"].some((field) => textOf(part[field]) !== "");
    default:
      return false;
  }
}

function isOutputPart(part: JsonObject): boolean {
  return (part["type"] === "output_text" && typeof part["text"] === "string") || part["type"] === "refusal";
}

function faultsOfResponsesTool(tool: JsonObject): string[] {
  if (textOf(tool["type"]) === "") return ["tools: type: required"];
  const faults = foreign(tool, ["function", "input_schema", "cache_control"]);
  const named = tool["type"] === "function" || tool["type"] === "custom";
  if (named && !isToolName(tool["name"])) faults.push("tools: name");
  if (tool["type"] === "function" && tool["parameters"] !== null) {
    const parameters = objectOf(tool["parameters"]);
    if (parameters === null) faults.push("tools: parameters");
    else faults.push(...faultsOfSchema(parameters));
  }
  return faults;
}

/** OpenAI's check of a function's parameters. */
function faultsOfSchema(schema: JsonObject): string[] {
  if (schema["type"] !== "object") return ["tools: schema must be a JSON Schema of 'type: \"object\"'"];
  if (objectOf(schema["properties"]) === null) return ["tools: In context=(), object schema missing properties"];
  return hasOpenList(schema) ? ["tools: array schema missing items"] : [];
}

function hasOpenList(value: Json | undefined): boolean {
  const schema = objectOf(value);
  if (schema === null) return Array.isArray(value) && value.some(hasOpenList);
  if (schema["type"] === "array" && schema["items"] === undefined && schema["prefixItems"] === undefined) return true;
  return Object.values(schema).some(hasOpenList);
}

function namedModel(body: JsonObject): string[] {
  return typeof body["model"] === "string" && body["model"] !== "" ? [] : ["model: Field required"];
}

function foreign(body: JsonObject, names: readonly string[]): string[] {
  return names.filter((name) => name in body).map((name) => `${name}: Extra inputs are not permitted`);
}

function isToolName(value: Json | undefined): boolean {
  return typeof value === "string" && /^[A-Za-z0-9_-]{1,64}$/.test(value);
}

function isToolId(value: Json | undefined): boolean {
  return typeof value === "string" && /^[A-Za-z0-9_-]+$/.test(value);
}

function isObjectText(value: Json | undefined): boolean {
  if (typeof value !== "string") return false;
  try {
    return objectOf(JSON.parse(value) as Json) !== null;
  } catch {
    return false;
  }
}

function blocksOf(content: Json | undefined): JsonObject[] | null {
  if (typeof content === "string") return content === "" ? [] : [{ type: "text", text: content }];
  return Array.isArray(content) ? objectsOf(content) : null;
}
