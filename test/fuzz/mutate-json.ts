// Damage to JSON values, as hostile or broken servers and clients would do it. The input is never changed.

import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import type { SeededRandom } from "./seeded-random.ts";

/** What may stand where anything else is expected. */
const oddValues: readonly Json[] = [
  null,
  true,
  false,
  0,
  -0,
  -1,
  1.5,
  2 ** 53,
  -(2 ** 60),
  1e308,
  "",
  " ",
  "0",
  "null",
  "[DONE]",
  "\ud800",
  "\udc00x",
  "a\u0000b\u2028\n\r\n",
  "__proto__",
  "constructor",
  "toString",
  "😀".repeat(50),
  "{",
  '{"a":1}',
  '"text"',
  [],
  {},
  [null],
  [[]],
  [{}],
  { type: "text" },
  { type: 7 },
  { error: {} },
  { text: "x" },
  { length: 3, 0: "x" },
];

const keyPrefixes: readonly string[] = ["", "_", "x-", "__proto__"];

/** `value` with `times` changes in random places. */
export function mutateJson(value: Json, random: SeededRandom, times: number): Json {
  let changed = value;
  for (let i = 0; i < times; i++) changed = mutateOnce(changed, random);
  return changed;
}

function mutateOnce(value: Json, random: SeededRandom): Json {
  // Counts are few among all the fields, and money hangs on them.
  if (random.integer(6) === 0) return withLie(value, random);
  // Goes down mostly: the interesting fields are deep inside.
  if (Array.isArray(value) && value.length > 0 && random.integer(8) > 0) return mutateItem(value, random);
  if (isObject(value) && Object.keys(value).length > 0 && random.integer(8) > 0) return mutateField(value, random);
  return replacement(value, random);
}

const lies: readonly number[] = [-1, -(2 ** 60), 0.5, 2 ** 53, 1e10, 1e308];

/** One number anywhere inside is replaced by one that can't be true. */
function withLie(value: Json, random: SeededRandom): Json {
  const count = numbersIn(value);
  if (count === 0) return value;
  let left = random.integer(count);
  const lie = random.pick(lies);
  const walk = (inner: Json): Json => {
    if (typeof inner === "number") return left-- === 0 ? lie : inner;
    if (Array.isArray(inner)) return inner.map(walk);
    if (!isObject(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).map(([key, item]) => [key, walk(item)]));
  };
  return walk(value);
}

function numbersIn(value: Json): number {
  if (typeof value === "number") return 1;
  if (typeof value !== "object" || value === null) return 0;
  return Object.values(value).reduce<number>((sum, item) => sum + numbersIn(item), 0);
}

function mutateItem(list: Json[], random: SeededRandom): Json {
  const at = random.integer(list.length);
  const item = list[at]!;
  switch (random.integer(8)) {
    case 0:
      return list.toSpliced(at, 1);
    case 1:
      return list.toSpliced(at, 0, item);
    case 2: {
      const other = random.integer(list.length);
      return list.with(at, list[other]!).with(other, item);
    }
    default:
      return list.with(at, mutateOnce(item, random));
  }
}

function mutateField(object: JsonObject, random: SeededRandom): Json {
  const keys = Object.keys(object);
  const key = random.pick(keys);
  switch (random.integer(10)) {
    case 0: {
      const { [key]: _dropped, ...rest } = object;
      return rest;
    }
    case 1:
      return withField(object, random.pick(keyPrefixes) + key, random.pick(oddValues));
    case 2:
      return withField(object, key, object[random.pick(keys)]!);
    default:
      return withField(object, key, mutateOnce(object[key]!, random));
  }
}

/** Also for `__proto__`, which an assignment would not make a field. */
function withField(object: JsonObject, key: string, value: Json): JsonObject {
  return Object.fromEntries([...Object.entries(object).filter(([name]) => name !== key), [key, value]]);
}

function replacement(value: Json, random: SeededRandom): Json {
  if (random.integer(30) === 0) return nested(random.integer(2) === 0, 40);
  if (typeof value === "string" && random.integer(2) === 0) {
    const at = random.integer(value.length + 1);
    const cut = value.slice(0, at) + value.slice(at + random.integer(3));
    return random.integer(3) === 0 ? cut.slice(0, at) + JSON.stringify(random.pick(oddValues)) + cut.slice(at) : cut;
  }
  if (typeof value === "number" && random.integer(2) === 0) return value + random.pick([-1, 1, 2, 1e6, 1e10]);
  return random.pick(oddValues);
}

function nested(asList: boolean, depth: number): Json {
  let value: Json = "deep";
  for (let i = 0; i < depth; i++) value = asList ? [value] : { type: value };
  return value;
}

function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
