// The conversation of a Chat request to neutral messages (wire.md B43 to B54, B64, B68).

import {
  cacheMark,
  invalidField,
  isAbsent,
  isObject,
  readObject,
  readText,
  wordOf,
} from "../messages/request-fields.ts";
import { fitToolName } from "../messages/tool-names.ts";
import type { Instruction, Json, JsonObject, NeutralMessage, NeutralPart } from "../neutral.ts";
import { contentToNeutral, markLast } from "./parts-to-neutral.ts";
import { reasoningParts } from "./reasoning-to-neutral.ts";
import { argumentsText, parseArguments } from "./tool-arguments.ts";

/** The system texts that lead the conversation, and the rest of it. */
export interface Conversation {
  system: Instruction[];
  messages: NeutralMessage[];
}

export function conversationToNeutral(wireMessages: readonly JsonObject[]): Conversation {
  const found: Conversation = { system: [], messages: [] };
  for (let i = 0; i < wireMessages.length; i++) addMessage(wireMessages[i]!, i, found);
  return found;
}

function addMessage(message: JsonObject, index: number, found: Conversation): void {
  const path = `messages.${index}`;
  switch (wordOf(message["role"])) {
    case "system":
    case "developer":
      addInstructions(message, path, found);
      return;
    case "user":
      addUser(message, path, found.messages);
      return;
    case "assistant":
      addAssistant(message, path, index, found.messages);
      return;
    case "tool":
      addResult(message, path, found.messages);
      return;
    case "function":
      addLegacyResult(message, path, found.messages);
      return;
    default:
      throw invalidField(`${path}.role`, "expected system, developer, user, assistant or tool");
  }
}

function addInstructions(message: JsonObject, path: string, found: Conversation): void {
  const parts = contentToNeutral(message["content"], `${path}.content`);
  markLast(parts, message);
  if (found.messages.length > 0) {
    if (parts.length > 0) found.messages.push({ role: "system", parts });
    return;
  }
  for (const part of parts) {
    if (part.type === "text") found.system.push(instructionOf(part));
  }
}

function instructionOf({ text, cacheControl }: Extract<NeutralPart, { type: "text" }>): Instruction {
  return cacheControl === undefined ? { text } : { text, cacheControl };
}

function addUser(message: JsonObject, path: string, into: NeutralMessage[]): void {
  addForeignResults(message, path, into);
  const parts = contentToNeutral(message["content"], `${path}.content`);
  markLast(parts, message);
  if (parts.length > 0) into.push({ role: "user", parts });
}

/** Its content may be a block of the Messages dialect, which holds the result and names the call itself. */
function addResult(message: JsonObject, path: string, into: NeutralMessage[]): void {
  if (addForeignResults(message, path, into)) return;
  into.push({
    role: "tool",
    callId: readText(message["tool_call_id"], `${path}.tool_call_id`),
    parts: contentToNeutral(message["content"], `${path}.content`),
    isError: false,
    ...cacheMark(message),
  });
}

/** `tool_result` blocks of the Messages dialect inside a Chat message; true where there is one. */
function addForeignResults(message: JsonObject, path: string, into: NeutralMessage[]): boolean {
  const content = message["content"];
  if (!Array.isArray(content)) return false;
  const before = into.length;
  for (let i = 0; i < content.length; i++) {
    const block = content[i];
    if (!isObject(block) || block["type"] !== "tool_result") continue;
    const blockPath = `${path}.content.${i}`;
    into.push({
      role: "tool",
      callId: readText(block["tool_use_id"] ?? message["tool_call_id"], `${blockPath}.tool_use_id`),
      parts: contentToNeutral(block["content"], `${blockPath}.content`),
      isError: block["is_error"] === true,
      ...cacheMark(block),
    });
  }
  return into.length > before;
}

function addAssistant(message: JsonObject, path: string, index: number, into: NeutralMessage[]): void {
  const parts = [...reasoningParts(message), ...contentToNeutral(message["content"], `${path}.content`)];
  if (typeof message["refusal"] === "string" && message["refusal"] !== "") {
    parts.push({ type: "refusal", text: message["refusal"] });
  }
  markLast(parts, message);
  const calls = isAbsent(message["tool_calls"]) ? [] : message["tool_calls"];
  if (!Array.isArray(calls)) throw invalidField(`${path}.tool_calls`, "expected an array");
  const known = new Set<Json>();
  for (let i = 0; i < calls.length; i++) {
    const call = readObject(calls[i], `${path}.tool_calls.${i}`);
    parts.push(toolCall(call, `${path}.tool_calls.${i}`));
    known.add(call["id"] ?? null);
  }
  addForeignCalls(message["content"], `${path}.content`, known, parts);
  if (isObject(message["function_call"])) {
    parts.push(callPart(`call_legacy_${index}`, message["function_call"], `${path}.function_call`));
  }
  if (parts.length > 0) into.push({ role: "assistant", parts });
}

/** `tool_use` blocks of the Messages dialect inside a Chat message. Some clients write the same call both ways. */
function addForeignCalls(
  content: Json | undefined,
  path: string,
  known: ReadonlySet<Json>,
  parts: NeutralPart[],
): void {
  if (!Array.isArray(content)) return;
  for (let i = 0; i < content.length; i++) {
    const block = content[i];
    if (!isObject(block) || block["type"] !== "tool_use" || known.has(block["id"] ?? null)) continue;
    const call = { name: block["name"] ?? null, arguments: JSON.stringify(block["input"] ?? {}) };
    parts.push(callPart(readText(block["id"], `${path}.${i}.id`), call, `${path}.${i}`));
  }
}

function toolCall(call: JsonObject, path: string): NeutralPart {
  const id = readText(call["id"], `${path}.id`);
  if (call["type"] !== "custom")
    return callPart(id, readObject(call["function"], `${path}.function`), `${path}.function`);
  const custom = readObject(call["custom"], `${path}.custom`);
  const input = { input: readText(custom["input"], `${path}.custom.input`) };
  return {
    type: "tool_call",
    id,
    name: fitToolName(readText(custom["name"], `${path}.custom.name`)),
    input,
    raw: JSON.stringify(input),
    form: "custom",
    namespace: undefined,
  };
}

/**
 * Arguments that are no object are wrapped, so that the history stays whole (B47). Servers parse their text once: `null`, an
 * empty text and an object inside a string are written anew.
 */
function callPart(id: string, call: JsonObject, path: string): NeutralPart {
  const text = argumentsText(call["arguments"]).toWellFormed();
  const parsed = parseArguments(text);
  const input = parsed ?? { arguments: text };
  return {
    type: "tool_call",
    id,
    name: fitToolName(readText(call["name"], `${path}.name`)),
    input,
    raw: parsed !== undefined && /^\s*\{/.test(text) ? text : JSON.stringify(input),
    form: "function",
    namespace: undefined,
  };
}

/** `role: "function"` names no call: it answers the one just before it. */
function addLegacyResult(message: JsonObject, path: string, into: NeutralMessage[]): void {
  const last = into.at(-1);
  const call = last?.role === "assistant" ? last.parts.at(-1) : undefined;
  const callId = call?.type === "tool_call" ? call.id : "call_legacy";
  const parts = contentToNeutral(message["content"], `${path}.content`);
  into.push({ role: "tool", callId, parts, isError: false });
}
