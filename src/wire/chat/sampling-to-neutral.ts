// Settings of a Chat request that the other dialects have no word for (wire.md B61): kept for servers of this dialect, and
// told to the client by name where the answer is another server's.

import { isAbsent, isObject } from "../messages/request-fields.ts";
import type { Json, JsonObject } from "../neutral.ts";

/** Each with the values that ask for nothing. */
const sampling: ReadonlyMap<string, readonly Json[]> = new Map<string, readonly Json[]>([
  ["seed", []],
  ["logit_bias", []],
  ["presence_penalty", [0]],
  ["frequency_penalty", [0]],
  ["repetition_penalty", [1]],
  ["min_p", [0]],
]);

/** A translated answer can't show them, whoever gives it. */
const lost: ReadonlyMap<string, readonly Json[]> = new Map<string, readonly Json[]>([
  ["logprobs", [false]],
  ["top_logprobs", [0]],
  ["verbosity", ["medium"]],
]);

/** `chatSampling` and `ignored` of the neutral form; nothing where the client asks for none of it. */
export function samplingToNeutral(body: JsonObject): { chatSampling?: JsonObject; ignored?: readonly string[] } {
  const kept: JsonObject = {};
  for (const [name, idle] of sampling) {
    const value = body[name];
    if (!isAbsent(value) && asksFor(value, idle)) kept[name] = value;
  }
  const ignored: string[] = [];
  for (const [name, idle] of lost) {
    const value = body[name];
    if (!isAbsent(value) && asksFor(value, idle)) ignored.push(name);
  }
  return {
    ...(Object.keys(kept).length === 0 ? undefined : { chatSampling: kept }),
    ...(ignored.length === 0 ? undefined : { ignored }),
  };
}

function asksFor(value: Json, idle: readonly Json[]): boolean {
  if (isObject(value)) return Object.keys(value).length > 0;
  return !idle.includes(value);
}
