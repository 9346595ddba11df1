// Reads the fields of a client's body. Every complaint names the field by its path and says what is expected; it never
// repeats what the client sent.

import { GatewayError } from "../../errors.ts";
import type { Json, JsonObject } from "../neutral.ts";

/** Vendors' longest model names stay below 100 characters. */
const MAX_MODEL_CHARACTERS = 256;
/** No model writes as much; what a client asks for beyond is a mistake or an attack on the arithmetic. */
const MAX_OUTPUT_TOKENS = 2_147_483_647;

/** The 400 for a body that is JSON but not a request. */
export function invalidField(path: string, problem: string): GatewayError {
  return new GatewayError("REQUEST_INVALID", { publicMessage: `${path}: ${problem}` });
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A word to switch on; what is no string is no word. */
export function wordOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

/** `cache_control` of a block, to be spread into what the block becomes. */
export function cacheMark(block: JsonObject): { cacheControl?: JsonObject } {
  const mark = block["cache_control"];
  return isObject(mark) ? { cacheControl: mark } : {};
}

/** A field that is left out may also be sent as null. */
export function isAbsent(value: Json | undefined): value is null | undefined {
  return value === undefined || value === null;
}

/** Lone surrogates are no Unicode text: vendors answer 400 to them, so they become U+FFFD. */
export function readText(value: Json | undefined, path: string): string {
  if (typeof value !== "string") throw invalidField(path, "expected a string");
  return value.toWellFormed();
}

export function readOptionalText(value: Json | undefined, path: string): string | undefined {
  return isAbsent(value) ? undefined : readText(value, path);
}

export function readOptionalNumber(value: Json | undefined, path: string): number | undefined {
  if (isAbsent(value)) return undefined;
  if (typeof value !== "number" || !Number.isFinite(value)) throw invalidField(path, "expected a number");
  return value;
}

export function readOptionalBoolean(value: Json | undefined, path: string): boolean | undefined {
  if (isAbsent(value)) return undefined;
  if (typeof value !== "boolean") throw invalidField(path, "expected true or false");
  return value;
}

export function readObject(value: Json | undefined, path: string): JsonObject {
  if (!isObject(value)) throw invalidField(path, "expected an object");
  return value;
}

export function readOptionalArray(value: Json | undefined, path: string): Json[] {
  if (isAbsent(value)) return [];
  if (!Array.isArray(value)) throw invalidField(path, "expected an array");
  return value;
}

/** Money hangs on this number: only a plain integer is one (threat model B3, B4). `-0` is none. */
export function readTokenLimit(value: Json | undefined, path: string, least: number): number | undefined {
  if (isAbsent(value)) return undefined;
  if (!Number.isInteger(value) || Object.is(value, -0) || (value as number) < least) {
    throw invalidField(path, `expected an integer of at least ${least}`);
  }
  if ((value as number) > MAX_OUTPUT_TOKENS) throw invalidField(path, `expected at most ${MAX_OUTPUT_TOKENS}`);
  return value as number;
}

export function readModel(value: Json | undefined): string {
  if (typeof value !== "string" || value === "") throw invalidField("model", "expected the name of a model");
  if (value.length > MAX_MODEL_CHARACTERS) {
    throw invalidField("model", `expected at most ${MAX_MODEL_CHARACTERS} characters`);
  }
  return value;
}

/** The conversation: a non-empty array of objects with a role. Looks no deeper, since pass-through needs no more. */
export function readMessages(value: Json | undefined): JsonObject[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw invalidField("messages", "expected an array with at least one message");
  }
  for (let i = 0; i < value.length; i++) {
    const message = value[i];
    if (!isObject(message)) throw invalidField(`messages.${i}`, "expected an object");
    if (typeof message["role"] !== "string") throw invalidField(`messages.${i}.role`, "expected a string");
  }
  return value as JsonObject[];
}
