// The arguments of a tool call: a string that should hold a JSON object (wire.md B47, E103).

import type { Json, JsonObject } from "../neutral.ts";
import { isObject } from "../messages/request-fields.ts";

/**
 * The object, or undefined where the text holds none. An empty text and `null` are no arguments at all. Reads a doubly
 * encoded object.
 */
export function parseArguments(text: string): JsonObject | undefined {
  // `trim` copies: only what begins like a blank is looked at closely.
  if (text === "" || (text.charCodeAt(0) <= 32 && text.trim() === "")) return {};
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
    if (typeof value === "string") value = JSON.parse(value) as Json;
  } catch {
    return undefined;
  }
  if (value === null) return {};
  return isObject(value) ? value : undefined;
}

/** The text of arguments that a server sent as a string, or as an object. */
export function argumentsText(value: Json | undefined): string {
  if (typeof value === "string") return value;
  return isObject(value) ? JSON.stringify(value) : "";
}
