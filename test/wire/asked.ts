// One request through a house, and what its cloud was sent for it.

import type { House } from "../fakes/house.ts";
import { objectOf, objectsOf, parseObject, textOf } from "../fakes/json-access.ts";
import type { RecordedRequest } from "../fakes/provider.ts";
import type { Json, JsonObject } from "../../src/wire/neutral.ts";

export interface Asked {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** What the cloud got, in order; empty where it was not asked. */
  readonly requests: readonly RecordedRequest[];
  /** The body of the last one. Throws where there is none. */
  readonly sent: JsonObject;
}

const routes = {
  messages: "/v1/messages",
  chat: "/v1/chat/completions",
  responses: "/v1/responses",
} as const;

/** Posts a body, text or object, on a dialect's route. */
export async function ask(
  house: House,
  dialect: keyof typeof routes,
  body: object | string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Asked> {
  const before = house.cloud.generations.length;
  const response = await fetch(`${house.gateway.url}${routes[dialect]}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await response.text();
  const requests = house.cloud.generations.slice(before);
  return {
    status: response.status,
    headers: response.headers,
    text,
    requests,
    get sent() {
      const last = requests.at(-1);
      if (last === undefined) throw new Error(`the cloud was not asked: ${response.status} ${text}`);
      return last.json();
    },
  };
}

/** The data of a stream's events that are JSON objects. */
export function dataOf(stream: string): JsonObject[] {
  return stream
    .split("\n")
    .filter((line) => line.startsWith("data: {"))
    .map((line) => parseObject(line.slice("data: ".length)));
}

/** The message of a Chat answer, whole or put together from its stream's deltas. */
export function chatMessageOf(text: string): { message: JsonObject; finish: Json } {
  if (!text.startsWith("data:")) {
    const choice = objectsOf(parseObject(text)["choices"])[0] ?? {};
    return { message: objectOf(choice["message"]) ?? {}, finish: choice["finish_reason"] ?? null };
  }
  const message: JsonObject = {};
  let finish: Json = null;
  for (const chunk of dataOf(text)) {
    for (const choice of objectsOf(chunk["choices"])) {
      join(message, objectOf(choice["delta"]) ?? {});
      finish = choice["finish_reason"] ?? finish;
    }
  }
  return { message, finish };
}

/** Strings are put together, lists by their entries' `index`, as the vendors' SDKs do. */
function join(whole: JsonObject, delta: JsonObject): void {
  for (const [key, value] of Object.entries(delta)) {
    const known = whole[key];
    if (typeof value === "string" && typeof known === "string" && key !== "id" && key !== "type")
      whole[key] = known + value;
    else if (Array.isArray(value)) {
      const list = Array.isArray(known) ? known : (whole[key] = []);
      for (const entry of objectsOf(value)) {
        const at = Number(entry["index"] ?? 0);
        const target = objectOf(list[at]) ?? {};
        list[at] = target;
        const { index: _, ...rest } = entry;
        join(target, rest);
      }
    } else if (objectOf(value) !== null) {
      const target = objectOf(known) ?? {};
      whole[key] = target;
      join(target, objectOf(value)!);
    } else whole[key] = value;
  }
}

/** Every string that is the value of `key`, at any depth. */
export function valuesUnder(key: string, value: Json | undefined): Json[] {
  if (Array.isArray(value)) return value.flatMap((one) => valuesUnder(key, one));
  const object = objectOf(value);
  if (object === null) return [];
  return Object.entries(object).flatMap(([name, inner]) => [
    ...(name === key ? [inner] : []),
    ...valuesUnder(key, inner),
  ]);
}

/** `type` of each block of a turn. */
export function typesOf(turn: JsonObject | undefined): string[] {
  return objectsOf(turn?.["content"]).map((block) => textOf(block["type"]));
}
