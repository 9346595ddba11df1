// The editor of JSON texts against `JSON.parse`: what it sets is set, and not a byte of the rest changes.

import { replaceAt, setTopLevel } from "../../src/wire/json-edit.ts";
import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { objectOf } from "../fakes/json-access.ts";
import { goldenRequests } from "./golden-requests.ts";
import { mutateJson } from "./mutate-json.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { FuzzTarget } from "./target.ts";

interface EditCase extends JsonObject {
  /** A JSON text in an odd but legal spelling; damaged where `broken`. */
  text: string;
  key: string;
  inner: string;
  value: Json;
  broken: boolean;
}

const MARK = '"a mark that stands nowhere else"';

export const jsonEdits: FuzzTarget = { name: "json-edit", rounds: 6_000, make, judge };

function make(random: SeededRandom): Json {
  const all = [...goldenRequests.messages, ...goldenRequests.chat, ...goldenRequests.responses];
  const body = mutateJson(random.pick(all), random, random.integer(6));
  const keys = Object.keys(objectOf(body) ?? {});
  const key = keys.length === 0 || random.integer(4) === 0 ? "model" : random.pick(keys);
  const inner = Object.keys(objectOf(objectOf(body)?.[key]) ?? {});
  const text = spelled(body, random);
  const broken = random.integer(4) === 0;
  return {
    text: broken ? damaged(text, random) : text,
    key,
    inner: inner.length === 0 ? "model" : random.pick(inner),
    value: random.pick<Json>(["other", 5, null, { a: '"}' }, "\\"]),
    broken,
  };
}

/** White space where it is allowed, and characters as escapes. */
function spelled(value: Json, random: SeededRandom): string {
  const space = (): string => random.pick(["", "", "", " ", "\n", "\t\r\n"]);
  if (Array.isArray(value))
    return `[${space()}${value.map((item) => spelled(item, random)).join(`${space()},${space()}`)}]`;
  const object = objectOf(value);
  if (object !== null) {
    const entries = Object.entries(object).map(
      ([key, item]) => `${quoted(key, random)}${space()}:${space()}${spelled(item, random)}`,
    );
    return `${space()}{${space()}${entries.join(`,${space()}`)}${space()}}${space()}`;
  }
  return typeof value === "string" ? quoted(value, random) : JSON.stringify(value);
}

function quoted(text: string, random: SeededRandom): string {
  if (text === "" || random.integer(6) > 0) return JSON.stringify(text);
  const first = text.charCodeAt(0).toString(16).padStart(4, "0");
  return `"\\u${first}${JSON.stringify(text.slice(1)).slice(1)}`;
}

function damaged(text: string, random: SeededRandom): string {
  const at = random.integer(text.length);
  return random.integer(2) === 0
    ? text.slice(0, at)
    : text.slice(0, at) + random.pick('{}[],:"\\ '.split("")) + text.slice(at + 1);
}

function judge(input: Json): string | null {
  const { text, key, inner, value, broken } = input as EditCase;
  const json = JSON.stringify(value);
  const set = setTopLevel(text, { [key]: json });
  const replaced = replaceAt(text, [key, inner], json);
  // On what is no JSON there is nothing to be right about: it must end, and not throw.
  const before = parse(text);
  if (broken || before === null) return null;
  const after = parse(set);
  if (after === null || !Bun.deepEquals(after, withKey(before, key, value), true))
    return "a key that was set otherwise";
  const [head = "", tail, more] = setTopLevel(text, { [key]: MARK }).split(MARK);
  if (tail === undefined || more !== undefined || set !== head + json + tail) return "a value that is set elsewhere";
  // Where the key was there, what stands around its value is as it came; a new one stands behind all others.
  if (Object.hasOwn(before, key) && !(text.startsWith(head) && text.endsWith(tail))) return "other bytes were changed";
  const object = objectOf(before[key]);
  const wanted =
    object !== null && Object.hasOwn(object, inner) ? { ...before, [key]: withKey(object, inner, value) } : before;
  const got = parse(replaced);
  return got !== null && Bun.deepEquals(got, wanted, true) ? null : "an inner key that was replaced otherwise";
}

function parse(text: string): JsonObject | null {
  try {
    return objectOf(JSON.parse(text) as Json);
  } catch {
    return null;
  }
}

function withKey(object: JsonObject, key: string, value: Json): JsonObject {
  const entries = Object.entries(object);
  const at = entries.findIndex(([name]) => name === key);
  return Object.fromEntries(at < 0 ? [...entries, [key, value]] : entries.with(at, [key, value]));
}
