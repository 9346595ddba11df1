// Whether an answer keeps to the JSON schema that the client asked for, where the server does not see to it. Schema and
// answer are both hostile: what could take long is left out of the check, and the rest has a budget.

import type { Validator } from "@cfworker/json-schema";
import type { Json, JsonObject } from "./neutral.ts";

/** A longer answer is not checked. */
const MAX_TEXT = 1024 * 1024;
/** About a fifth of a second. */
const MAX_STEPS = 4_000_000;
/** What applying a schema to a value costs, in steps of comparing one value or looking at one property. */
const APPLY_STEPS = 40;
const MAX_COMPLAINT = 400;

/**
 * Regular expressions can run for hours, uniqueness is quadratic, and other documents are not here: without these
 * keywords a schema only becomes wider.
 */
const dropped = new Set(["pattern", "format", "uniqueItems", "$id", "id", "$schema", "$anchor", "$recursiveRef"]);
/** Their values are data, not schemas. */
const verbatim = new Set(["enum", "const", "default", "examples", "required", "dependentRequired", "type"]);
/** Maps of names to schemas: a property may be called `pattern`. */
const maps = new Set(["properties", "$defs", "definitions", "dependentSchemas"]);
/** Keywords that look at each property of an object. */
const perProperty = [
  "properties",
  "additionalProperties",
  "unevaluatedProperties",
  "propertyNames",
  "dependentRequired",
];

class OutOfBudget extends Error {}

/** What is wrong with the answer, in words for the model; null: it fits, or can't be judged here. */
export async function complaintAbout(text: string, schema: JsonObject): Promise<string | null> {
  if (text.length > MAX_TEXT) return null;
  let value: Json;
  try {
    value = JSON.parse(unfenced(text)) as Json;
  } catch {
    return "it is not JSON.";
  }
  // Loaded with the first such answer: most gateways never see one.
  const library = await import("@cfworker/json-schema");
  try {
    const budget = { steps: MAX_STEPS };
    const validator: Validator = new library.Validator(
      checkable(schema, budget, mostProperties(value)),
      "2020-12",
      true,
    );
    const { valid, errors } = validator.validate(value);
    return valid ? null : complaint(errors.at(-1));
  } catch {
    // A schema that no validator can follow (a reference into nowhere, one that never ends) is not the model's fault.
    return null;
  }
}

/** The JSON inside a Markdown fence; any other text as it is. */
export function unfenced(text: string): string {
  const trimmed = text.trim();
  if (!trimmed.startsWith("```") || !trimmed.endsWith("```") || trimmed.length < 6) return text;
  const lineEnd = trimmed.indexOf("\n");
  return lineEnd === -1 || lineEnd > trimmed.length - 3 ? text : trimmed.slice(lineEnd + 1, -3).trim();
}

function complaint(error: { instanceLocation: string; error: string } | undefined): string {
  if (error === undefined) return "it does not fit.";
  const where = error.instanceLocation === "#" ? "the whole" : error.instanceLocation.slice(1);
  return `at ${where}: ${error.error}`.slice(0, MAX_COMPLAINT).toWellFormed();
}

interface Budget {
  steps: number;
}

/** A copy without the dropped keywords, in which each look at a schema draws on the budget. */
function checkable(schema: JsonObject, budget: Budget, properties: number): JsonObject {
  const copy: JsonObject = {};
  let cost = APPLY_STEPS;
  for (const [key, value] of Object.entries(schema)) {
    if (key === "__proto__" || dropped.has(key) || key === "patternProperties") continue;
    // Which names a pattern would have allowed is not known without it.
    if (schema["patternProperties"] !== undefined && /^(additional|unevaluated)Properties$/.test(key)) continue;
    if (verbatim.has(key)) {
      copy[key] = value;
      cost += sizeOf(value);
    } else if (maps.has(key)) copy[key] = mapOf(value, budget, properties);
    else copy[key] = below(value, budget, properties);
  }
  for (const key of perProperty) if (copy[key] !== undefined) cost += properties;
  return drawing(copy, cost, budget);
}

/** The validator reads `$ref` of a schema each time that it applies it: the one place to count, and to stop it. */
function drawing(schema: JsonObject, cost: number, budget: Budget): JsonObject {
  const ref = schema["$ref"];
  Object.defineProperty(schema, "$ref", {
    enumerable: false,
    get: () => {
      budget.steps -= cost;
      if (budget.steps < 0) throw new OutOfBudget("the schema takes too long");
      return ref;
    },
  });
  return schema;
}

function mapOf(value: Json, budget: Budget, properties: number): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const copy: JsonObject = {};
  for (const [name, schema] of Object.entries(value)) {
    if (name !== "__proto__") copy[name] = below(schema, budget, properties);
  }
  return copy;
}

function below(value: Json, budget: Budget, properties: number): Json {
  if (Array.isArray(value)) return value.map((item) => below(item, budget, properties));
  return typeof value === "object" && value !== null ? checkable(value, budget, properties) : value;
}

/** Values inside, the value itself included: what comparing with it can cost. */
function sizeOf(value: Json): number {
  if (typeof value !== "object" || value === null) return 1;
  let size = 1;
  for (const inner of Object.values(value)) size += sizeOf(inner);
  return size;
}

function mostProperties(value: Json): number {
  if (typeof value !== "object" || value === null) return 0;
  const inner = Object.values(value);
  let most = Array.isArray(value) ? 0 : inner.length;
  for (const one of inner) most = Math.max(most, mostProperties(one));
  return most;
}
