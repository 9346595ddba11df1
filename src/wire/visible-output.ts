// How much of an answer's text can be seen, without reading the answer into the neutral form: to tell a count that cannot
// be true. In characters, so never more than its bytes.

import { isObject, wordOf } from "./messages/request-fields.ts";
import type { Dialect, Json, JsonObject } from "./neutral.ts";

/** Characters that the model wrote and the answer shows: text, thinking, calls with their arguments. */
export function visibleCharacters(dialect: Dialect, answer: JsonObject): number {
  switch (dialect) {
    case "messages":
      return sum(answer["content"], blockCharacters);
    case "chat":
      return sum(answer["choices"], choiceCharacters);
    case "responses":
      return sum(answer["output"], itemCharacters);
    default:
      return dialect satisfies never;
  }
}

function sum(list: Json | undefined, charactersOf: (item: JsonObject) => number): number {
  if (!Array.isArray(list)) return 0;
  let characters = 0;
  for (const item of list) if (isObject(item)) characters += charactersOf(item);
  return characters;
}

function blockCharacters(block: JsonObject): number {
  switch (wordOf(block["type"])) {
    case "text":
      return length(block["text"]);
    case "thinking":
      return length(block["thinking"]);
    case "tool_use":
      return length(block["name"]);
    default:
      return 0;
  }
}

function choiceCharacters(choice: JsonObject): number {
  const message = choice["message"];
  if (!isObject(message)) return 0;
  const thinking = length(message["reasoning_content"]) || length(message["reasoning"]);
  return (
    thinking + length(message["content"]) + length(message["refusal"]) + sum(message["tool_calls"], callCharacters)
  );
}

function callCharacters(call: JsonObject): number {
  const fn = call["function"];
  return isObject(fn) ? length(fn["name"]) + length(fn["arguments"]) : 0;
}

function itemCharacters(item: JsonObject): number {
  switch (wordOf(item["type"])) {
    case "message":
      return sum(item["content"], (part) => length(part["text"]) + length(part["refusal"]));
    case "function_call":
      return length(item["name"]) + length(item["arguments"]);
    case "custom_tool_call":
      return length(item["name"]) + length(item["input"]);
    // A summary of reasoning is written by another model, and no part of the count.
    default:
      return 0;
  }
}

function length(value: Json | undefined): number {
  return typeof value === "string" ? value.length : 0;
}
