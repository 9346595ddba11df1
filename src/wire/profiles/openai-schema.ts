// Input schemas as OpenAI takes them: tools without arguments, as MCP servers declare them, and lists of anything are legal
// JSON Schema and a 400 there ("object schema missing properties", "array schema missing items").

import type { Json, JsonObject } from "../neutral.ts";

/** Their values are data, not schemas. */
const verbatim = new Set(["enum", "const", "default", "examples", "example", "required"]);

/** The schema of a tool's input with what must be said; the same meaning, and the very same object where nothing is missing. */
export function openaiSchema(schema: JsonObject): JsonObject {
  const whole = withItems(schema);
  const properties = isMap(whole["properties"]) ? whole["properties"] : {};
  if (whole["type"] === "object" && whole["properties"] === properties) return whole;
  return { ...whole, type: "object", properties };
}

/** Depth is bounded by the JSON guard. */
function withItems(schema: JsonObject): JsonObject {
  let changed: JsonObject | undefined;
  for (const [key, value] of Object.entries(schema)) {
    if (verbatim.has(key)) continue;
    const whole = below(value);
    if (whole !== value) (changed ??= { ...schema })[key] = whole;
  }
  const result = changed ?? schema;
  return isOpenList(result) ? { ...result, items: {} } : result;
}

function below(value: Json): Json {
  if (typeof value !== "object" || value === null) return value;
  if (!Array.isArray(value)) return withItems(value);
  const whole = value.map(below);
  return whole.some((one, at) => one !== value[at]) ? whole : value;
}

function isMap(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A map of names is none: what is called `type` in it is a schema. */
function isOpenList({ type, items, prefixItems }: JsonObject): boolean {
  if (items !== undefined || prefixItems !== undefined) return false;
  return type === "array" || (Array.isArray(type) && type.includes("array"));
}
