// Schemas for servers that turn them into grammars (llama.cpp and its kin): keywords that make the grammar fail or
// explode are left out; the schema only becomes wider (wire.md A26).

import type { Json, JsonObject } from "../neutral.ts";

/** Keywords without a meaning for a grammar, or without a translation. */
const dropped = new Set(["$schema", "$id", "$comment", "propertyNames", "contentEncoding", "contentMediaType"]);
/** Their values are data, not schemas. */
const verbatim = new Set(["enum", "const", "default", "examples", "example", "required"]);
/** Maps of names to schemas: a property may be called `pattern`. */
const maps = new Set(["properties", "$defs", "definitions", "patternProperties", "dependentSchemas"]);
/** Where the schema of a value stands by itself. */
const places = new Set(["items", "prefixItems", "additionalProperties", "anyOf", "oneOf"]);
const formats = new Set<Json>(["date", "time", "date-time", "uuid"]);
/** A repetition is unrolled: llama.cpp failed at 65,536 and is slow from some thousands on. */
const MAX_REPETITIONS = 1_000;
const repetitions = new Set(["maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"]);
/** Shorthand classes, look-around, escaped slash or hyphen, and patterns that are not anchored at both ends. */
const badPattern = /\\[dDwWsSbBpP/-]|\(\?/;

/** A copy that grammar-based servers take. Depth is bounded by the JSON guard. */
export function grammarSchema(schema: JsonObject): JsonObject {
  const kept: JsonObject = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === "__proto__" || dropped.has(key) || !isUsable(key, value)) continue;
    if (verbatim.has(key)) kept[key] = value;
    else if (maps.has(key)) kept[key] = mapOf(value);
    else if (places.has(key)) kept[key] = Array.isArray(value) ? value.map(schemaOf) : schemaOf(value);
    else kept[key] = below(value);
  }
  return kept;
}

/** What says what a value may be; all else is a remark. */
const telling = ["type", "$ref", "enum", "const", "anyOf", "oneOf", "allOf", "properties", "items", "prefixItems"];
const anything: Json[] = ["object", "array", "string", "number", "boolean", "null"];

/** A schema of remarks alone takes anything, which grammars want to be told; the remarks are for the model to read. */
function told(schema: JsonObject): JsonObject {
  return telling.some((key) => schema[key] !== undefined) ? schema : { ...schema, type: [...anything] };
}

function isUsable(key: string, value: Json): boolean {
  if (repetitions.has(key)) return typeof value === "number" && value <= MAX_REPETITIONS;
  if (key === "format") return formats.has(value);
  if (key !== "pattern") return true;
  if (typeof value !== "string" || !value.startsWith("^") || !value.endsWith("$")) return false;
  return !badPattern.test(value) && !repeatsOften(value);
}

/** `{2,4096}` inside a pattern is unrolled like a length. */
function repeatsOften(pattern: string): boolean {
  const counts = pattern.matchAll(/\{(\d*),?(\d*)\}/g);
  return [...counts].some(([, least, most]) => Math.max(Number(least), Number(most)) > MAX_REPETITIONS);
}

function mapOf(value: Json): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const kept: JsonObject = {};
  for (const [name, schema] of Object.entries(value)) {
    if (name !== "__proto__") kept[name] = schema === true ? told({}) : schemaOf(schema);
  }
  return kept;
}

function schemaOf(value: Json): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? told(grammarSchema(value)) : value;
}

function below(value: Json): Json {
  if (Array.isArray(value)) return value.map(below);
  return typeof value === "object" && value !== null ? grammarSchema(value) : value;
}
