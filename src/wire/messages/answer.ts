// Answers of the Messages dialect, both ways (wire.md E).

import type { AnswerContext, Json, JsonObject, NeutralAnswer, NeutralPart, UpstreamFault, Usage } from "../neutral.ts";
import { parseArguments } from "../chat/tool-arguments.ts";
import { wellFormedJson } from "../well-formed.ts";
import { isObject, wordOf } from "./request-fields.ts";
import { fromMessagesStop, toMessagesStop } from "./stop-reasons.ts";
import { ToolIds } from "./tool-ids.ts";
import { clientToolOf } from "./tool-names.ts";
import { faultInside, isErrorBody, nonsense } from "./upstream-error.ts";
import { mergeUsage, noUsage } from "../usage.ts";
import { readMessagesUsage, toMessagesUsage } from "./usage.ts";

/** A body that is no message is a fault, so that it can be tried elsewhere (wire.md 108, 109). */
export function messagesAnswerToNeutral(body: Json): NeutralAnswer | { fault: UpstreamFault } {
  if (!isObject(body)) return { fault: nonsense("an answer that is no JSON object") };
  if (isErrorBody(body)) return { fault: faultInside(body) };
  const content = body["content"];
  if (!Array.isArray(content)) return { fault: nonsense("an answer that is no message") };
  const parts: NeutralPart[] = [];
  for (const block of content) {
    const part = isObject(block) ? partOf(block) : undefined;
    if (part !== undefined) parts.push(part);
  }
  return {
    id: typeof body["id"] === "string" ? body["id"] : undefined,
    model: typeof body["model"] === "string" ? body["model"] : undefined,
    parts,
    stop: fromMessagesStop(body["stop_reason"]),
    stopSequence: typeof body["stop_sequence"] === "string" ? body["stop_sequence"].toWellFormed() : undefined,
    usage: messagesUsageOf(body).usage,
  };
}

/** Server tools and blocks of a later version have no neutral form. */
function partOf(block: JsonObject): NeutralPart | undefined {
  switch (wordOf(block["type"])) {
    case "text":
      return textOf(block["text"]) === "" ? undefined : { type: "text", text: textOf(block["text"]) };
    case "thinking":
      return {
        type: "thinking",
        text: textOf(block["thinking"]),
        signature: textOf(block["signature"]) || undefined,
      };
    case "redacted_thinking":
      return { type: "redacted_thinking", data: textOf(block["data"]) };
    case "tool_use": {
      const raw = inputText(block["input"]);
      return {
        type: "tool_call",
        id: textOf(block["id"]),
        name: textOf(block["name"]),
        input: parseArguments(raw) ?? { input: raw },
        raw,
        form: "function",
        namespace: undefined,
      };
    }
    default:
      return undefined;
  }
}

/** JSON of an object; what some servers send as text stays as it is, where it can be mended. */
export function inputText(input: Json | undefined): string {
  if (typeof input === "string") return input.toWellFormed();
  return JSON.stringify(isObject(input) ? input : {});
}

function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value.toWellFormed() : "";
}

/** Usage and model of an answer that is passed through. */
export function messagesUsageOf(body: JsonObject): { usage: Usage | undefined; model: string | undefined } {
  const model = typeof body["model"] === "string" ? body["model"] : undefined;
  if (!isObject(body["usage"])) return { usage: undefined, model };
  const found = readMessagesUsage(body["usage"]);
  if (found.input === undefined && found.output === undefined) return { usage: undefined, model };
  const usage: Usage = { ...noUsage };
  mergeUsage(usage, found);
  return { usage, model };
}

/** The message that the client sees, with every member that its SDK types demand. */
export function messagesAnswerFromNeutral(answer: NeutralAnswer, context: AnswerContext): JsonObject {
  const ids = new ToolIds(`toolu_${context.id}`);
  const content: JsonObject[] = [];
  let calls = 0;
  for (const part of answer.parts) {
    if (part.type === "tool_call") {
      content.push({
        type: "tool_use",
        id: ids.take(part.id, calls),
        name: clientToolOf(context.request, part.name).name,
        input: soundInput(part.input),
      });
      calls += 1;
    } else {
      const block = blockOf(part);
      if (block !== undefined) content.push(block);
    }
  }
  return {
    id: `msg_${context.id}`,
    type: "message",
    role: "assistant",
    model: context.model,
    content,
    stop_reason: toMessagesStop(answer.stop, calls > 0),
    stop_sequence: answer.stopSequence ?? null,
    stop_details: null,
    container: null,
    usage: toMessagesUsage(answer.usage ?? noUsage),
  };
}

function blockOf(part: NeutralPart): JsonObject | undefined {
  switch (part.type) {
    case "text":
    case "refusal":
      // Without `citations`, as the vendor itself leaves it out: Vercel's SDK 6 refuses null there.
      return part.text === "" ? undefined : { type: "text", text: part.text };
    case "thinking":
      // Never an invented signature: clients send it back, and Anthropic would refuse it.
      return { type: "thinking", thinking: part.text, signature: part.signature ?? "" };
    case "redacted_thinking":
      return { type: "redacted_thinking", data: part.data };
    case "tool_call":
    case "image":
    case "document":
    default:
      return undefined;
  }
}

/** Without halves of characters in its texts: strict clients refuse the whole answer for one. */
function soundInput(input: JsonObject): JsonObject {
  const text = JSON.stringify(input);
  const sound = wellFormedJson(text);
  return sound === text ? input : (JSON.parse(sound) as JsonObject);
}
