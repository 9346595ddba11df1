// The kinds of values that config.yaml is made of. Every schema brings its own message, because the library's quote the
// value, which may be a secret.

import * as v from "valibot";

import { say } from "./fault.ts";
import { durationPattern, parseDuration, parseUsd, parseWait } from "./quantities.ts";

/** Begins the message of an unknown key; the known ones follow, joined by commas. */
export const unknownKeyMark = "unknown key; known: ";

const missing = say("is missing", "add it");

/** The message of the map itself, and of a key that must be there but isn't. */
function mapMessage(issue: { readonly expected: string | null }): string {
  return issue.expected?.startsWith('"') === true ? missing : notAMap;
}

const notAMap = say("must be a map", "write its members as `name: value`");

function isPlainMap(input: unknown): boolean {
  return typeof input === "object" && input !== null && !Array.isArray(input);
}

/** A map with these keys and no others. Unlike the library's strict object it reports every unknown key. */
export function keys<const Entries extends v.ObjectEntries>(about: string, entries: Entries) {
  const known = Object.keys(entries);
  return v.pipe(
    v.custom<object>(isPlainMap, notAMap),
    v.looseObject(entries, mapMessage),
    v.rawCheck(({ dataset, addIssue }) => {
      const input = dataset.value as Record<string, unknown>;
      for (const key of Object.keys(input)) {
        if (known.includes(key)) continue;
        const path = [{ type: "object", origin: "key", input, key, value: input[key] }] as const;
        addIssue({ message: unknownKeyMark + known.join(","), path: [...path] });
      }
    }),
    v.description(about),
  );
}

/** A map of names that the user chooses. */
export function named<Value extends v.GenericSchema>(
  about: string,
  name: v.GenericSchema<string, string>,
  value: Value,
) {
  return v.pipe(v.custom<object>(isPlainMap, notAMap), v.record(name, value, notAMap), v.description(about));
}

export function list<Item extends v.GenericSchema>(about: string, item: Item) {
  return v.pipe(v.array(item, say("must be a list", "write `[a, b]`, or one `- item` a line")), v.description(about));
}

export function text(about: string, message: string) {
  return v.pipe(
    v.string(message),
    v.trim(),
    v.minLength(1, message),
    v.maxLength(4_096, message),
    v.description(about),
  );
}

/** Text that `parse` can read. */
export function parsed(about: string, message: string, parse: (text: string) => unknown) {
  return v.pipe(
    v.string(message),
    v.check((input) => parse(input) !== undefined, message),
    v.description(about),
  );
}

export function choice<const Options extends readonly string[]>(about: string, options: Options) {
  const message = say(`must be one of: ${options.join(", ")}`, "choose one of these");
  return v.pipe(v.picklist(options, message), v.description(about));
}

export function count(about: string, most: number) {
  const message = say(
    `must be a whole number from 1 to ${most}`,
    "write it without quotes, or leave it out for the default",
  );
  return v.pipe(
    v.number(message),
    v.integer(message),
    v.minValue(1, message),
    v.maxValue(most, message),
    v.description(about),
  );
}

export function usd(about: string) {
  const message = say("must be an amount in USD from 0 to 9,000,000", "write a plain number such as 2.00 (0 blocks)");
  return v.pipe(
    v.union([v.number(message), v.string(message)], message),
    v.check((input) => parseUsd(input) !== undefined, message),
    v.description(about),
  );
}

export function duration(about: string) {
  const message = say("must be a duration above 0 and up to 24h", "write it with its unit: 500ms, 5s, 2m, 1h");
  return v.pipe(
    v.string(message),
    v.regex(durationPattern, message),
    v.check((input) => !durationPattern.test(input) || parseDuration(input) !== undefined, message),
    v.description(about),
  );
}

export function wait(about: string) {
  const message = say("must be a duration from 0s to 5m", "write it with its unit: 0s, 500ms, 2s");
  return v.pipe(
    v.string(message),
    v.regex(durationPattern, message),
    v.check((input) => !durationPattern.test(input) || parseWait(input) !== undefined, message),
    v.description(about),
  );
}

export function flag(about: string) {
  return v.pipe(v.boolean(say("must be true or false", "write true or false, without quotes")), v.description(about));
}

export function path(about: string) {
  const message = say("must be a path", "write an absolute path, or one relative to the configuration's folder");
  const tilde = say("begins with ~, which is not expanded", "write the path out");
  return v.pipe(
    v.string(message),
    v.regex(/^[^\0]{1,4096}$/, message),
    v.check((input) => !input.startsWith("~"), tilde),
    v.description(about),
  );
}
