// Makes a find smaller, so that a person can read it: takes away what it does not need, one piece after the other.

import type { Json, JsonObject } from "../../src/wire/neutral.ts";

/** The smallest case found for which `fails` still holds, in at most `budget` tries. */
export function minimise(input: Json, fails: (candidate: Json) => boolean, budget = 4_000): Json {
  let best = input;
  let left = budget;
  for (let smaller = true; smaller && left > 0;) {
    smaller = false;
    for (const candidate of shrunk(best)) {
      left -= 1;
      if (left <= 0) break;
      if (!fails(candidate)) continue;
      best = candidate;
      smaller = true;
      break;
    }
  }
  return best;
}

/** The large steps first. */
function* shrunk(value: Json): Generator<Json> {
  if (typeof value === "string") yield* shrunkText(value);
  else if (Array.isArray(value)) yield* shrunkList(value);
  else if (typeof value === "object" && value !== null) yield* shrunkObject(value);
  else if (typeof value === "number" && value !== 0) yield 0;
}

function* shrunkText(text: string): Generator<Json> {
  for (let size = Math.ceil(text.length / 2); size > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < text.length; at += size) yield text.slice(0, at) + text.slice(at + size);
  }
}

function* shrunkList(list: Json[]): Generator<Json> {
  for (let size = Math.ceil(list.length / 2); size > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < list.length; at += size) yield list.toSpliced(at, size);
  }
  for (let at = 0; at < list.length; at++) {
    for (const item of shrunk(list[at]!)) yield list.with(at, item);
  }
}

function* shrunkObject(object: JsonObject): Generator<Json> {
  const entries = Object.entries(object);
  for (let at = 0; at < entries.length; at++) yield Object.fromEntries(entries.toSpliced(at, 1));
  for (let at = 0; at < entries.length; at++) {
    const [key, value] = entries[at]!;
    for (const smaller of shrunk(value)) yield Object.fromEntries(entries.with(at, [key, smaller]));
  }
}
