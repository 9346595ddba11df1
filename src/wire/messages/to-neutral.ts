// A Messages request to the neutral form (wire.md A).

import type {
  Instruction,
  Json,
  JsonObject,
  NeutralFormat,
  NeutralMessage,
  NeutralReasoning,
  NeutralRequest,
} from "../neutral.ts";
import { lastEffort, messageToNeutral } from "./messages-to-neutral.ts";
import {
  cacheMark,
  invalidField,
  isAbsent,
  isObject,
  readMessages,
  readModel,
  readObject,
  readOptionalArray,
  readOptionalBoolean,
  readOptionalNumber,
  readText,
  readTokenLimit,
} from "./request-fields.ts";
import { toolChoiceToNeutral, toolsToNeutral } from "./tools-to-neutral.ts";

/** Claude Code's attribution block; older clients put a nonce into it, which would void every prefix cache (A3). */
const ATTRIBUTION = "x-anthropic-billing-header:";

/** Throws REQUEST_INVALID that names the field. */
export function messagesToNeutral(body: JsonObject): NeutralRequest {
  const wireMessages = readMessages(body["messages"]);
  const lastUser = wireMessages.findLastIndex((message) => message["role"] === "user");
  const messages: NeutralMessage[] = [];
  for (let i = 0; i < wireMessages.length; i++) messageToNeutral(wireMessages[i]!, i, lastUser, messages);
  const { tools, dropped } = toolsToNeutral(body, wireMessages);
  const { choice, parallel } = toolChoiceToNeutral(body["tool_choice"], tools);
  return {
    model: readModel(body["model"]),
    system: readSystem(body["system"]),
    messages,
    tools,
    toolChoice: choice,
    parallelTools: parallel,
    maxOutputTokens: readTokenLimit(body["max_tokens"], "max_tokens", 0),
    stop: readOptionalArray(body["stop_sequences"], "stop_sequences").map((stop, i) =>
      readText(stop, `stop_sequences.${i}`),
    ),
    temperature: readOptionalNumber(body["temperature"], "temperature"),
    topP: readOptionalNumber(body["top_p"], "top_p"),
    topK: readOptionalNumber(body["top_k"], "top_k"),
    stream: readOptionalBoolean(body["stream"], "stream") ?? false,
    reasoning: readReasoning(body, lastEffort(wireMessages)),
    format: readFormat(body),
    user: readUser(body["metadata"]),
    // Claude Code's search side call is such a request (A25).
    ...(tools.length === 0 && dropped > 0 ? { vendorToolsOnly: true } : undefined),
  };
}

function readSystem(system: Json | undefined): Instruction[] {
  if (isAbsent(system)) return [];
  const blocks = typeof system === "string" ? [{ type: "text", text: system }] : system;
  if (!Array.isArray(blocks)) throw invalidField("system", "expected a string or an array of text blocks");
  const found: Instruction[] = [];
  for (let i = 0; i < blocks.length; i++) {
    const block = readObject(blocks[i], `system.${i}`);
    const text = readText(block["text"], `system.${i}.text`);
    const own = text.startsWith(ATTRIBUTION) ? withoutFirstLine(text) : text;
    if (own !== "") found.push({ text: own, ...cacheMark(block) });
  }
  return found;
}

/** Some gateways in between join all of the system prompt to one text: what follows the attribution stays. */
function withoutFirstLine(text: string): string {
  const end = text.indexOf("\n");
  return end < 0 ? "" : text.slice(end + 1).trimStart();
}

/** An unknown type of thinking is the server's default, no error (A34). */
function readReasoning(body: JsonObject, turnEffort: string | undefined): NeutralReasoning | undefined {
  const config = isAbsent(body["output_config"]) ? undefined : readObject(body["output_config"], "output_config");
  const asked = turnEffort ?? config?.["effort"];
  const effort = typeof asked === "string" ? asked : undefined;
  if (isAbsent(body["thinking"])) return effort === undefined ? undefined : { effort, budgetTokens: undefined };
  const thinking = readObject(body["thinking"], "thinking");
  if (thinking["type"] === "disabled") return { effort: "off", budgetTokens: undefined };
  const budget = readTokenLimit(thinking["budget_tokens"], "thinking.budget_tokens", 0);
  return { effort, budgetTokens: thinking["type"] === "enabled" ? budget : undefined };
}

function readFormat(body: JsonObject): NeutralFormat | undefined {
  const config = body["output_config"];
  // `output_format` is the older, beta place.
  const format = isObject(config) && !isAbsent(config["format"]) ? config["format"] : body["output_format"];
  if (isAbsent(format)) return undefined;
  const value = readObject(format, "output_config.format");
  if (value["type"] !== "json_schema") throw invalidField("output_config.format.type", "expected json_schema");
  return {
    type: "json_schema",
    name: undefined,
    schema: readObject(value["schema"], "output_config.format.schema"),
    // Optional properties are legal here and not in the strict form of other vendors.
    strict: undefined,
  };
}

function readUser(metadata: Json | undefined): string | undefined {
  const user = isObject(metadata) ? metadata["user_id"] : undefined;
  return typeof user === "string" ? user : undefined;
}
