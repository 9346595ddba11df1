// The strict door of the JSON bodies: what `JSON.parse` accepts but two parsers may read differently, or what costs far
// more than its bytes, is refused before anything believes the body.
//
// A way that costs about as much as one more `JSON.parse` (bench/json-guard.ts):
// 1. a fatal UTF-8 decoding (native);
// 2. one pass over the bytes outside of strings, which bounds depth and size and counts the colons, that is, the keys
//    as written. It does not check grammar;
// 3. `JSON.parse`, which does;
// 4. one walk over the value, which counts the keys that are left: fewer than were written means that some were equal,
//    escapes or not. It also finds the numbers that became Infinity.
// Only a refused body pays for finding out where (json-fault.ts).

import { isUtf8 } from "node:buffer";
import { GatewayError } from "../errors.ts";
import { type JsonFault, type JsonRule, findJsonFault, isPlainTopLevelKey, jsonLimits } from "./json-fault.ts";
import type { Json, JsonObject } from "./neutral.ts";

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
/** `[` and `{` differ in this bit only, `]` and `}` too. */
const BRACE_BIT = 0x20;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
/** Shorter strings end before a native search has paid for its call. */
const STEP = 12;

const { maxDepth, maxTokens, maxKeys } = jsonLimits;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const ruleTexts: Readonly<Record<JsonRule, string>> = {
  utf8: "it is not valid UTF-8",
  bom: "it begins with a byte order mark",
  syntax: "it breaks the grammar",
  not_object: "the top level must be an object",
  depth: `it is nested deeper than ${maxDepth} levels`,
  tokens: `it has more than ${maxTokens} elements`,
  keys: `it has more than ${maxKeys} keys`,
  duplicate_key: "a key is given twice in one object",
  surrogate: "a string holds half of a surrogate pair",
  number: "a number is too large",
  reserved_key: "a key name is reserved",
  confusable_key: "a key differs from a known one only in letter case or surrounding space",
};

/**
 * Reads a request body strictly. `text` is the body decoded, character for character.
 *
 * Throws a GatewayError REQUEST_JSON whose `publicMessage` names the rule and the byte offset, never the input. Linear in
 * the length of the body, with a stack of at most 64 levels. Rules: threat-model J1–J10, RFC 8259 (RFC 7493 for
 * duplicate keys and surrogates).
 */
export function guardJson(bytes: Uint8Array): { text: string; body: JsonObject } {
  const text = decode(bytes);
  const keys = scan(bytes);
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    // The parser's own message quotes the input, so it is not kept as the cause.
    throw located(text);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw refuse("not_object", 0);
  let distinct = 0;
  for (const key in value) {
    if (!isPlainTopLevelKey(key)) throw located(text);
    distinct += 1 + countKeys(value[key]!);
  }
  if (distinct !== keys || hasLoneSurrogate(text)) throw located(text);
  return { text, body: value };
}

function decode(bytes: Uint8Array): string {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) throw refuse("bom", 0);
  try {
    return decoder.decode(bytes);
  } catch {
    throw refuse("utf8", firstInvalidByte(bytes));
  }
}

/** Bounds depth and element count, and returns the number of colons outside of strings. Grammar is not its business. */
function scan(bytes: Uint8Array): number {
  const end = bytes.length;
  let depth = 0;
  let tokens = 0;
  let keys = 0;
  let at = 0;
  while (at < end) {
    const byte = bytes[at]!;
    at += 1;
    if (byte === QUOTE) at = skipString(bytes, at);
    else if (byte === COMMA) tokens += 1;
    else if (byte === COLON) {
      keys += 1;
      tokens += 1;
      if (keys > maxKeys) throw refuse("keys", at - 1);
    } else if (byte > COLON) {
      const folded = byte | BRACE_BIT;
      if (folded === OPEN_BRACE) {
        depth += 1;
        tokens += 1;
        if (depth > maxDepth) throw refuse("depth", at - 1);
      } else if (folded === CLOSE_BRACE) depth -= 1;
    }
    if (tokens > maxTokens) throw refuse("tokens", at - 1);
  }
  return keys;
}

/** `at` is the byte after the opening quote; returns the one after the closing quote, or the end. */
function skipString(bytes: Uint8Array, start: number): number {
  const end = bytes.length;
  let at = start;
  while (at < end) {
    const stop = Math.min(at + STEP, end);
    while (at < stop) {
      const byte = bytes[at]!;
      if (byte === QUOTE) return at + 1;
      at += byte === BACKSLASH ? 2 : 1;
    }
    const quote = bytes.indexOf(QUOTE, at);
    if (quote < 0) return end;
    // An odd run of backslashes escapes the quote. Each run is looked at for the one quote behind it, so this is linear.
    let before = quote - 1;
    while (before >= at && bytes[before] === BACKSLASH) before -= 1;
    at = quote + 1;
    if (((quote - before) & 1) === 1) return at;
  }
  return end;
}

/** Keys in the whole value; NaN, which equals no count, where a number is not finite. Depth is bounded by `scan`. */
function countKeys(value: Json): number {
  if (typeof value !== "object") return typeof value === "number" && !Number.isFinite(value) ? NaN : 0;
  if (value === null) return 0;
  let count = 0;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i += 1) count += countKeys(value[i]!);
  } else {
    for (const key in value) count += 1 + countKeys(value[key]!);
  }
  return count;
}

/** Only escapes can be lone: the decoder has refused the rest. `text` is valid JSON. */
function hasLoneSurrogate(text: string): boolean {
  let at = text.indexOf("\\u");
  while (at >= 0) {
    let next = at + 2;
    const high = text.charCodeAt(next) | BRACE_BIT;
    if (high === 0x64 /* d */ && text.charCodeAt(next + 1) > 0x37 /* 7 */ && isEscape(text, at)) {
      if (!/^(?:[89ab]..\\ud[c-f])/i.test(text.slice(next + 1, next + 8))) return true;
      next = at + 12;
    }
    at = text.indexOf("\\u", next);
  }
  return false;
}

/** The backslash at `at` begins an escape, and is not the second half of an escaped backslash. */
function isEscape(text: string, at: number): boolean {
  let before = at - 1;
  while (text.charCodeAt(before) === BACKSLASH) before -= 1;
  return ((at - before) & 1) === 1;
}

function located(text: string): GatewayError {
  const fault: JsonFault = findJsonFault(text) ?? { rule: "syntax", offset: text.length };
  return refuse(fault.rule, Buffer.byteLength(text.slice(0, fault.offset)));
}

function refuse(rule: JsonRule, byteOffset: number): GatewayError {
  return new GatewayError("REQUEST_JSON", {
    publicMessage: `The body is not acceptable JSON: ${ruleTexts[rule]} (${rule} at byte ${byteOffset}).`,
  });
}

const BLOCK = 65_536;

/** Where a body that the decoder refused goes wrong: the block first, then the byte by halving. */
function firstInvalidByte(bytes: Uint8Array): number {
  let start = 0;
  // A character that crosses the block's end is left to the next one.
  while (start + BLOCK < bytes.length && isPrefix(bytes.subarray(start, start + BLOCK))) {
    let next = start + BLOCK;
    while (next > start && (bytes[next]! & 0xc0) === 0x80) next -= 1;
    start = next;
  }
  let valid = 0;
  let invalid = Math.min(BLOCK, bytes.length - start) + 1;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1;
    if (isPrefix(bytes.subarray(start, start + middle))) valid = middle;
    else invalid = middle;
  }
  // What is left may end in the beginning of a character that was not completed.
  while (!isUtf8(bytes.subarray(start, start + valid))) valid -= 1;
  return start + valid;
}

/** The bytes are valid UTF-8, or may become so by what follows. */
function isPrefix(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}
