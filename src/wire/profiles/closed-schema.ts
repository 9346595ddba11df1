// Schemas for Anthropic's structured output and strict tools, which know a part of JSON Schema (docs "Structured outputs",
// limitations): every object is closed, and what the grammar behind it can't hold is left out, so that the schema only
// becomes wider.

import type { Json, JsonObject } from "../neutral.ts";

/** Any of these is a 400. */
const dropped = new Set([
  "$schema",
  "$id",
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "multipleOf",
  "minLength",
  "maxLength",
  "maxItems",
  "uniqueItems",
  "contains",
  "minProperties",
  "maxProperties",
  "propertyNames",
]);
/** Their values are data, not schemas. */
const verbatim = new Set(["enum", "const", "default", "examples", "required"]);
/** Maps of names to schemas: a property may be called `minimum`. */
const maps = new Set(["properties", "$defs", "definitions"]);
const formats = new Set<Json>([
  "date-time",
  "time",
  "date",
  "duration",
  "email",
  "hostname",
  "uri",
  "ipv4",
  "ipv6",
  "uuid",
]);
/** Look-around, back-references and word boundaries. */
const badPattern = /\(\?[=!<]|\\[1-9bB]/;

/** A copy that Anthropic takes. Depth is bounded by the JSON guard. */
export function closedSchema(schema: JsonObject): JsonObject {
  const closed: JsonObject = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === "__proto__" || dropped.has(key) || !isUsable(key, value)) continue;
    if (verbatim.has(key)) closed[key] = value;
    else if (maps.has(key)) closed[key] = eachMember(value, closedSchema);
    // Of several alternatives that fit only one may: said as "any of them".
    else closed[key === "oneOf" ? "anyOf" : key] = below(value);
  }
  if (isObjectType(closed["type"])) closed["additionalProperties"] = false;
  return closed;
}

/** True where a closed copy would not mean the same: the schema asks for members whose names it does not list. */
export function hasFreeMembers(schema: JsonObject): boolean {
  return some(schema, (found) => {
    const others = found["additionalProperties"];
    return (others !== undefined && others !== false) || found["patternProperties"] !== undefined;
  });
}

/** True where the schema asks for some object and lists no member of it: closed, it could only be empty. */
export function hasOpenObjects(schema: JsonObject): boolean {
  return some(schema, ({ type, properties, additionalProperties }) => {
    return properties === undefined && additionalProperties === undefined && isObjectType(type);
  });
}

/** Also one of several: `["object", "null"]`. */
function isObjectType(type: Json | undefined): boolean {
  return type === "object" || (Array.isArray(type) && type.includes("object"));
}

/** True where the schema names another one: it may name itself, which is a 400. */
export function hasReferences(schema: JsonObject): boolean {
  return some(schema, (found) => found["$ref"] !== undefined);
}

function isUsable(key: string, value: Json): boolean {
  if (key === "minItems") return value === 0 || value === 1;
  if (key === "format") return formats.has(value);
  return key !== "pattern" || (typeof value === "string" && !badPattern.test(value));
}

function below(value: Json): Json {
  if (Array.isArray(value)) return value.map(below);
  return isObject(value) ? closedSchema(value) : value;
}

function eachMember(value: Json, change: (schema: JsonObject) => JsonObject): Json {
  if (!isObject(value)) return value;
  const changed: JsonObject = {};
  for (const [name, schema] of Object.entries(value)) {
    if (name !== "__proto__") changed[name] = isObject(schema) ? change(schema) : schema;
  }
  return changed;
}

function some(schema: JsonObject, test: (schema: JsonObject) => boolean): boolean {
  if (test(schema)) return true;
  return Object.entries(schema).some(([key, value]) => {
    if (verbatim.has(key)) return false;
    const inner = maps.has(key) && isObject(value) ? Object.values(value) : Array.isArray(value) ? value : [value];
    return inner.some((one) => isObject(one) && some(one, test));
  });
}

function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
