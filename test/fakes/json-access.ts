// Reading JSON of which nothing is known.

import type { Json, JsonObject } from "../../src/wire/neutral.ts";

/** The string, or "" for anything else. */
export function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

export function objectOf(value: Json | undefined): JsonObject | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
}

/** The objects of a list; none where it is no list. */
export function objectsOf(list: Json | undefined): JsonObject[] {
  return Array.isArray(list) ? list.map(objectOf).filter((item) => item !== null) : [];
}

/** Throws where the text is no JSON object. */
export function parseObject(text: string): JsonObject {
  const value = objectOf(JSON.parse(text) as Json);
  if (value === null) throw new Error("not a JSON object");
  return value;
}
