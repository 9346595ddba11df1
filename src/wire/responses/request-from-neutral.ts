// Neutral → a request to a Responses upstream.

import { AttemptError } from "../../errors.ts";
import type {
  JsonObject,
  NeutralFormat,
  NeutralMessage,
  NeutralPart,
  NeutralRequest,
  NeutralSource,
  NeutralTool,
  Target,
} from "../neutral.ts";
import { pairedResults } from "../paired-results.ts";
import { isReasoningModel, nearestEffort } from "../profiles/openai-models.ts";
import { openaiSchema } from "../profiles/openai-schema.ts";
import { serverProfiles } from "../profiles/server-profiles.ts";
import { canCut } from "../stop-cutter.ts";
import { wellFormedJson } from "../well-formed.ts";
import { parseJson } from "./json-fields.ts";
import { argumentsObject, customText, fitCallId } from "./tools.ts";

/** The dialect has no field that says a tool failed, so the text says it. */
const FAILED = "[tool error] ";

type ToolCall = Extract<NeutralPart, { type: "tool_call" }>;

/**
 * The body for the upstream; nothing is stored there. Throws an AttemptError `skipped_policy` where the request needs
 * what the dialect cannot say: files kept by another vendor, fewer output tokens than the server gives, no output at all.
 * The dialect has no stop sequences: whoever gives the answer out must cut it (`stop-cutter.ts`).
 */
export function fromNeutral(request: NeutralRequest, target: Target): JsonObject {
  if (!canCut(request.stop)) throw skipped("so many or so long stop sequences can't be served in this dialect");
  if (request.maxOutputTokens === 0) throw skipped("the request is a cache warm-up");
  const { leastOutput } = serverProfiles[target.profile];
  if ((target.maxOutputTokens ?? Infinity) < leastOutput) {
    throw skipped(`this server gives ${leastOutput} output tokens at the least`);
  }
  const body: JsonObject = { model: target.model, stream: request.stream, store: false };
  if (request.system.length > 0) body["instructions"] = request.system.map(({ text }) => text).join("\n\n");
  body["input"] = new InputBuilder().build(pairedResults(request.messages));
  if (request.tools.length > 0) addTools(body, request);
  if (target.maxOutputTokens !== undefined) body["max_output_tokens"] = target.maxOutputTokens;
  const reasons = isReasoningModel(target.model);
  // Reasoning models answer 400 to sampling parameters, the others to `reasoning`.
  if (reasons) addReasoning(body, request, target.model);
  else {
    if (request.temperature !== undefined) body["temperature"] = request.temperature;
    if (request.topP !== undefined) body["top_p"] = request.topP;
  }
  if (request.format !== undefined) body["text"] = { format: formatToWire(request.format) };
  return body;
}

class InputBuilder {
  readonly #items: JsonObject[] = [];
  /** Ids of custom calls: their results have a type of their own. */
  readonly #custom = new Set<string>();

  build(messages: readonly NeutralMessage[]): JsonObject[] {
    for (const message of messages) this.#add(message);
    return this.#items;
  }

  #add(message: NeutralMessage): void {
    switch (message.role) {
      case "user":
        this.#message("user", message.parts.map(inputPart));
        return;
      case "system":
        this.#message("developer", message.parts.map(inputPart));
        return;
      case "assistant":
        for (const part of message.parts) this.#assistant(part);
        return;
      case "tool":
        this.#items.push(this.#output(message));
    }
  }

  #message(role: string, content: JsonObject[]): void {
    if (content.length > 0) this.#items.push({ type: "message", role, content });
  }

  /** Thinking of another vendor is left out: it is either unsigned or cannot be verified here. */
  #assistant(part: NeutralPart): void {
    if (part.type === "text") this.#message("assistant", [{ type: "output_text", text: part.text }]);
    else if (part.type === "refusal") this.#message("assistant", [{ type: "refusal", refusal: part.text }]);
    else if (part.type === "tool_call") this.#items.push(this.#call(part));
  }

  #call(part: ToolCall): JsonObject {
    const parsed = parseJson(part.raw);
    if (part.form === "custom") {
      this.#custom.add(part.id);
      const input = customText(part.raw, part.input);
      return { type: "custom_tool_call", call_id: fitCallId(part.id), name: part.name, input };
    }
    const input = argumentsObject(part.raw, parsed);
    const text = input === parsed ? wellFormedJson(part.raw) : JSON.stringify(part.input);
    return { type: "function_call", call_id: fitCallId(part.id), name: part.name, arguments: text };
  }

  #output(message: Extract<NeutralMessage, { role: "tool" }>): JsonObject {
    const type = this.#custom.has(message.callId) ? "custom_tool_call_output" : "function_call_output";
    const mark = message.isError ? FAILED : "";
    const call_id = fitCallId(message.callId);
    if (message.parts.every((part) => part.type === "text")) {
      const text = message.parts.map((part) => part.text).join("\n");
      return { type, call_id, output: mark + text };
    }
    const output = message.parts.map(inputPart);
    if (mark !== "") output.unshift({ type: "input_text", text: mark.trim() });
    return { type, call_id, output };
  }
}

function inputPart(part: NeutralPart): JsonObject {
  switch (part.type) {
    case "image":
      return { type: "input_image", image_url: imageUrl(part.source), detail: part.detail ?? "auto" };
    case "document": {
      const file: JsonObject = { type: "input_file" };
      if (part.source.kind === "url") file["file_url"] = part.source.url;
      else {
        file["filename"] = part.name ?? "document.pdf";
        file["file_data"] = urlOf(part.source);
      }
      return file;
    }
    case "text":
      return { type: "input_text", text: part.text };
    case "refusal":
      return { type: "input_text", text: part.text };
    case "tool_call":
    case "thinking":
    case "redacted_thinking":
    default:
      throw skipped(`a ${part.type} part cannot be part of a user's message`);
  }
}

/** Other addresses would be refused, and the whole conversation with them. */
function imageUrl(source: NeutralSource): string {
  const url = urlOf(source);
  if (/^(?:https?:|data:image\/)/i.test(url)) return url;
  throw skipped("an image is neither in the request nor at a web address");
}

function urlOf(source: NeutralSource): string {
  switch (source.kind) {
    case "base64":
      return `data:${source.mediaType};base64,${source.data}`;
    case "url":
      return source.url;
    case "file":
    default:
      throw skipped("a file id is known to its own vendor only");
  }
}

function addTools(body: JsonObject, request: NeutralRequest): void {
  body["tools"] = request.tools.map(toolToWire);
  const choice = request.toolChoice;
  if (choice?.type === "tool") {
    const form = request.tools.find((tool) => tool.name === choice.name)?.form ?? "function";
    body["tool_choice"] = { type: form, name: choice.name };
  } else if (choice !== undefined) body["tool_choice"] = choice.type;
  if (request.parallelTools !== undefined) body["parallel_tool_calls"] = request.parallelTools;
}

/** `strict` is true by default in this dialect, and refuses most schemas of the others: so it is said. */
function toolToWire(tool: NeutralTool): JsonObject {
  const wire: JsonObject = { type: tool.form, name: tool.name };
  if (tool.description !== undefined) wire["description"] = tool.description;
  if (tool.form === "custom") return wire;
  wire["parameters"] = openaiSchema(tool.schema);
  wire["strict"] = tool.strict ?? false;
  return wire;
}

function addReasoning(body: JsonObject, { reasoning }: NeutralRequest, model: string): void {
  if (reasoning === undefined) return;
  const effort = reasoning.effort ?? effortForBudget(reasoning.budgetTokens);
  if (effort === undefined) return;
  body["reasoning"] = { effort: nearestEffort(model, effort) };
}

/** Thinking budgets of Anthropic clients, in the steps their vendor's docs suggest for an effort. */
function effortForBudget(tokens: number | undefined): string | undefined {
  if (tokens === undefined) return undefined;
  if (tokens <= 4_096) return "low";
  return tokens <= 16_384 ? "medium" : "high";
}

function formatToWire(format: NeutralFormat): JsonObject {
  if (format.type === "json_object") return { type: "json_object" };
  return {
    type: "json_schema",
    name: format.name ?? "answer",
    schema: format.schema,
    strict: format.strict ?? false,
  };
}

function skipped(note: string): AttemptError {
  return new AttemptError("skipped_policy", { note });
}
