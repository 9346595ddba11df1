// What the clients of each dialect take as an answer in one piece.

import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import type { TestDialect } from "../fakes/house.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import { faultOfText } from "./legal-events.ts";
import { faultOfShownUsage } from "./legal-usage.ts";

/** What is wrong with the answer; null where nothing is. */
export function faultOfAnswer(dialect: TestDialect, answer: JsonObject): string | null {
  if (answer["model"] !== "asked") return "another model than was asked for";
  const usage = objectOf(answer["usage"]);
  if (usage === null && dialect !== "responses") return "no usage";
  const fault = usage === null ? null : faultOfShownUsage(usage);
  if (fault !== null) return fault;
  const half = halfCharacter(answer);
  if (half !== null) return half;
  switch (dialect) {
    case "messages":
      return faultOfMessage(answer);
    case "chat":
      return faultOfCompletion(answer);
    case "responses":
      return faultOfResponse(answer);
    default:
      return dialect satisfies never;
  }
}

/** Also in names. A client in another language could not even print it. */
export function halfCharacter(value: Json): string | null {
  if (typeof value === "string") return faultOfText(value, "the body");
  if (Array.isArray(value)) return value.map(halfCharacter).find((fault) => fault !== null) ?? null;
  return value === null || typeof value !== "object"
    ? null
    : (Object.values(value)
        .map(halfCharacter)
        .find((fault) => fault !== null) ?? null);
}

class Ids {
  readonly #seen = new Set<string>();

  fault(id: Json | undefined): string | null {
    if (typeof id !== "string" || !/^[A-Za-z0-9_-]+$/.test(id)) return "an illegal tool id";
    if (this.#seen.has(id)) return "a tool id that is used twice";
    this.#seen.add(id);
    return null;
  }
}

function faultOfMessage(answer: JsonObject): string | null {
  if (answer["type"] !== "message" || answer["role"] !== "assistant") return "no message";
  for (const key of ["stop_reason", "stop_sequence", "stop_details", "container"])
    if (!(key in answer)) return `no ${key}`;
  const ids = new Ids();
  let hasTool = false;
  for (const block of objectsOf(answer["content"])) {
    switch (textOf(block["type"])) {
      case "text":
        if (textOf(block["text"]) === "") return "an empty text block";
        break;
      case "thinking":
        if (typeof block["thinking"] !== "string" || typeof block["signature"] !== "string") return "thinking";
        break;
      case "redacted_thinking":
        if (typeof block["data"] !== "string") return "redacted_thinking";
        break;
      case "tool_use": {
        hasTool = true;
        const fault = ids.fault(block["id"]);
        if (fault !== null) return fault;
        if (textOf(block["name"]) === "" || objectOf(block["input"]) === null)
          return "a tool_use without name or input";
        break;
      }
      default:
        return "an unknown block";
    }
  }
  return hasTool && ["end_turn", "stop_sequence"].includes(textOf(answer["stop_reason"])) ? "tools but an end" : null;
}

function faultOfCompletion(answer: JsonObject): string | null {
  if (answer["object"] !== "chat.completion") return "no completion";
  const choices = objectsOf(answer["choices"]);
  const message = objectOf(choices[0]?.["message"]);
  if (choices.length !== 1 || message === null || message["role"] !== "assistant") return "no message";
  if (message["content"] !== null && typeof message["content"] !== "string") return "a content that is no text";
  if (message["refusal"] !== null && typeof message["refusal"] !== "string") return "a refusal that is no text";
  const ids = new Ids();
  const calls = objectsOf(message["tool_calls"]);
  for (const call of calls) {
    const fault = ids.fault(call["id"]);
    if (fault !== null) return fault;
    const called = objectOf(call["function"]) ?? objectOf(call["custom"]);
    if (textOf(called?.["name"]) === "") return "a call without a name";
    if (call["type"] === "function" && !isObjectText(called?.["arguments"])) return "arguments that are no JSON object";
  }
  if (message["tool_calls"] !== undefined && calls.length === 0) return "an empty list of calls";
  const finish = choices[0]?.["finish_reason"];
  if (typeof finish !== "string") return "no finish_reason";
  return calls.length > 0 && finish === "stop" ? "tool calls but stop" : null;
}

function faultOfResponse(answer: JsonObject): string | null {
  if (answer["object"] !== "response") return "no response";
  for (const key of ["error", "incomplete_details", "usage"]) if (!(key in answer)) return `no ${key}`;
  const ids = new Set<string>();
  const callIds = new Set<string>();
  for (const item of objectsOf(answer["output"])) {
    const id = textOf(item["id"]);
    if (id === "" || ids.has(id)) return "an item id that is empty or used twice";
    ids.add(id);
    if (!textOf(item["type"]).endsWith("_call")) continue;
    const callId = textOf(item["call_id"]);
    if (callId === "" || callIds.has(callId)) return "a call_id that is empty or used twice";
    callIds.add(callId);
    if (textOf(item["name"]) === "") return "a call without a name";
    if (item["type"] === "function_call" && !isObjectText(item["arguments"]))
      return "arguments that are no JSON object";
  }
  return null;
}

function isObjectText(text: Json | undefined): boolean {
  try {
    return objectOf(JSON.parse(textOf(text)) as Json) !== null;
  } catch {
    return false;
  }
}
