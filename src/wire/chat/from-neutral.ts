// The neutral form to a Chat request (wire.md A).

import { AttemptError } from "../../errors.ts";
import type {
  Json,
  JsonObject,
  NeutralFormat,
  NeutralReasoning,
  NeutralRequest,
  NeutralTool,
  Target,
} from "../neutral.ts";
import { invalidField } from "../messages/request-fields.ts";
import { CONTINUE } from "../filler-turns.ts";
import { takesPrefill } from "../profiles/claude-models.ts";
import { grammarSchema } from "../profiles/grammar-schema.ts";
import { messagesFromNeutral } from "./messages-from-neutral.ts";
import { chatSamplingFor } from "./sampling-from-neutral.ts";
import { isReasoningModel, nearestEffort } from "../profiles/openai-models.ts";
import { openaiSchema } from "../profiles/openai-schema.ts";
import { serverProfiles, type ServerProfile } from "../profiles/server-profiles.ts";

/** Throws AttemptError `skipped_policy` where the target can't serve the request, REQUEST_INVALID where nobody can. */
export function chatFromNeutral(request: NeutralRequest, target: Target): JsonObject {
  const profile = serverProfiles[target.profile];
  // A cache warm-up has no answer, and only Anthropic has that cache (A31).
  if (request.maxOutputTokens === 0)
    throw new AttemptError("skipped_policy", { note: "the request is a cache warm-up" });
  checkAbilities(request, target);
  const reasons = target.profile === "openai" && isReasoningModel(target.model);
  const messages = messagesFromNeutral(request, profile);
  if (messages.length === 0) throw invalidField("messages", "there is nothing in it that could be answered");
  const body: JsonObject = { model: target.model, messages };
  const limit = target.maxOutputTokens ?? request.maxOutputTokens;
  if (limit !== undefined) body[reasons ? "max_completion_tokens" : "max_tokens"] = limit;
  addTools(request, profile, target, body);
  if (!reasons) addSampling(request, profile, body);
  Object.assign(body, chatSamplingFor(request, target));
  if (request.reasoning !== undefined) addReasoning(request.reasoning, profile, target, body);
  if (request.format !== undefined) body["response_format"] = responseFormat(request.format, profile);
  addContinuation(profile, target.model, body);
  if (request.stream) {
    body["stream"] = true;
    // Without it nothing tells what the answer cost.
    body["stream_options"] = { include_usage: true };
  }
  for (const [name, json] of Object.entries(profile.pinned)) body[name] ??= JSON.parse(json) as Json;
  return body;
}

/** A model that can't see or can't call tools would answer 400, or guess. */
function checkAbilities({ messages, tools, toolChoice }: NeutralRequest, target: Target): void {
  if (target.images === false && messages.some(({ parts }) => parts.some((part) => part.type === "image"))) {
    throw new AttemptError("skipped_policy", { note: "the model can't see images" });
  }
  if (target.tools === false && tools.length > 0 && toolChoice?.type !== "none") {
    throw new AttemptError("skipped_policy", { note: "the model can't call tools" });
  }
}

function addTools(request: NeutralRequest, profile: ServerProfile, target: Target, body: JsonObject): void {
  if (request.tools.length === 0) return;
  let tools = request.tools;
  const choice = request.toolChoice;
  if (choice?.type === "tool" || choice?.type === "required") {
    if (profile.toolChoice === "ignored") {
      throw new AttemptError("skipped_policy", { note: "this server can't be made to call a tool" });
    }
    body["tool_choice"] = "required";
    if (choice.type === "tool") {
      if (profile.toolChoice === "names") {
        body["tool_choice"] = { type: "function", function: { name: choice.name } };
      } else tools = tools.filter((tool) => tool.name === choice.name);
    }
  } else if (choice?.type === "none" && (profile.toolChoice === "ignored" || target.tools === false)) {
    // Tools that are not offered are not called.
    return;
  } else if (choice !== undefined) body["tool_choice"] = choice.type;
  body["tools"] = tools.map((tool) => toolFromNeutral(tool, profile));
  if (request.parallelTools === false) body["parallel_tool_calls"] = false;
}

function toolFromNeutral(tool: NeutralTool, profile: ServerProfile): JsonObject {
  const parameters = openaiSchema(profile.grammar ? grammarSchema(tool.schema) : tool.schema);
  const wire: JsonObject = { name: tool.name, parameters };
  if (tool.description !== undefined) wire["description"] = tool.description;
  if (tool.strict === true && !profile.grammar) wire["strict"] = true;
  return { type: "function", function: wire };
}

/** OpenAI's reasoning models answer 400 to all of these. */
function addSampling(request: NeutralRequest, profile: ServerProfile, body: JsonObject): void {
  if (request.temperature !== undefined) body["temperature"] = request.temperature;
  if (request.topP !== undefined) body["top_p"] = request.topP;
  if (request.topK !== undefined && profile.topK) body["top_k"] = request.topK;
  if (request.stop.length > 0) body["stop"] = request.stop.slice(0, profile.maxStops);
}

function addReasoning(reasoning: NeutralReasoning, profile: ServerProfile, target: Target, body: JsonObject): void {
  const off = reasoning.effort === "off";
  switch (profile.reasoning) {
    case "effort": {
      if (!isReasoningModel(target.model)) return;
      const effort = reasoning.effort ?? commonEffort(reasoning);
      if (effort !== undefined) body["reasoning_effort"] = nearestEffort(target.model, effort);
      return;
    }
    case "openrouter":
      if (off) body["reasoning"] = { enabled: false };
      else if (reasoning.budgetTokens !== undefined) body["reasoning"] = { max_tokens: reasoning.budgetTokens };
      else if (reasoning.effort === undefined) body["reasoning"] = { enabled: true };
      else body["reasoning"] = { effort: commonEffort(reasoning) ?? "medium" };
      return;
    case "off":
      if (off) body["reasoning_effort"] = "none";
      return;
    case "template":
      if (off) body["chat_template_kwargs"] = { enable_thinking: false };
      return;
    case "none":
  }
}

/** The three words that all servers know; a budget is put into them by size. */
function commonEffort(reasoning: NeutralReasoning): string | undefined {
  switch (reasoning.effort ?? "") {
    case "minimal":
    case "low":
      return "low";
    case "medium":
      return "medium";
    case "high":
    case "xhigh":
    case "max":
      return "high";
    default:
      if (reasoning.budgetTokens === undefined) return undefined;
      return reasoning.budgetTokens < 4_096 ? "low" : reasoning.budgetTokens < 16_384 ? "medium" : "high";
  }
}

function responseFormat(format: NeutralFormat, profile: ServerProfile): JsonObject {
  if (format.type === "json_object") {
    if (profile.jsonMode) return { type: "json_object" };
    return { type: "json_schema", json_schema: { name: "answer", schema: { type: "object" } } };
  }
  const schema = profile.grammar ? grammarSchema(format.schema) : format.schema;
  const wrapper: JsonObject = { name: format.name ?? "answer", schema };
  if (format.strict !== undefined) wrapper["strict"] = format.strict;
  return { type: "json_schema", json_schema: wrapper };
}

/**
 * An assistant message at the end is to be continued; without the flags it would be a finished turn (A39). Newer Claude
 * models refuse it, whoever stands before them.
 */
function addContinuation(profile: ServerProfile, model: string, body: JsonObject): void {
  const messages = body["messages"] as JsonObject[];
  const last = messages.at(-1);
  if (last?.["role"] !== "assistant" || last["tool_calls"] !== undefined) return;
  if (!takesPrefill(model)) {
    messages.push({ role: "user", content: CONTINUE });
    return;
  }
  if (!profile.continueFlags) return;
  body["continue_final_message"] = true;
  body["add_generation_prompt"] = false;
  body["chat_template_kwargs"] = { enable_thinking: false };
}
