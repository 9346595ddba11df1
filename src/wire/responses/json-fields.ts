// Reading fields of JSON that nobody vouches for.

import type { Json, JsonObject } from "../neutral.ts";

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The object under `key`; undefined for anything else. */
export function objectAt(object: JsonObject, key: string): JsonObject | undefined {
  const value = object[key];
  return isObject(value) ? value : undefined;
}

/** The array under `key`; empty for anything else. */
export function arrayAt(object: JsonObject, key: string): readonly Json[] {
  const value = object[key];
  return Array.isArray(value) ? value : [];
}

/**
 * The string under `key`; undefined for anything else. Half of a surrogate pair is no Unicode text: written out again,
 * vendors and clients in other languages refuse it, so it becomes U+FFFD.
 */
export function stringAt(object: JsonObject, key: string): string | undefined {
  const value = object[key];
  return typeof value === "string" ? value.toWellFormed() : undefined;
}

/** The number under `key`; undefined for anything else. */
export function numberAt(object: JsonObject, key: string): number | undefined {
  const value = object[key];
  return typeof value === "number" ? value : undefined;
}

/** The boolean under `key`; undefined for anything else. */
export function booleanAt(object: JsonObject, key: string): boolean | undefined {
  const value = object[key];
  return typeof value === "boolean" ? value : undefined;
}

/** `undefined` where the text is no JSON. */
export function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}
