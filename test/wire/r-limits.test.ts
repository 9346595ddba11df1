// Bodies that two parsers would read differently, and bodies that cost more than they are worth.

import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import type { JsonObject } from "../../src/wire/neutral.ts";
import {
  dialects,
  loneModels,
  modelOf,
  routeOf,
  smallBody,
  startHouse,
  type House,
  type TestDialect,
} from "../fakes/house.ts";
import { objectOf, textOf } from "../fakes/json-access.ts";
import { rawExchange, rawPost, type RawResponse } from "../fakes/raw-client.ts";
import { rule } from "./rule.ts";

setDefaultTimeout(30_000);

const limit = 32 * 1024 * 1024;

let house: House;
beforeAll(async () => {
  // A model whose window nobody knows: a body of this size is longer than those that are known.
  house = await startHouse({
    config: ({ cloud }) => ({ ...loneModels([{ name: "roomy", dialect: "messages", origin: cloud }]) }),
  });
});
afterAll(async () => house[Symbol.asyncDispose]());

/** The envelope of the dialect, with its own type names. */
function errorOf(dialect: TestDialect, answer: RawResponse): { type: string; message: string } {
  const body = JSON.parse(answer.body) as JsonObject;
  if (dialect === "messages") expect(body["type"]).toBe("error");
  const error = objectOf(body["error"]) ?? {};
  if (dialect !== "messages") expect(Object.keys(error).sort()).toEqual(["code", "message", "param", "type"]);
  return { type: textOf(error["type"]), message: textOf(error["message"]) };
}

rule(
  283,
  "equal keys, numbers that are none, numbers beyond reason and deep nesting are refused before anyone is asked",
  async () => {
    for (const dialect of dialects) {
      const good = smallBody(dialect, modelOf[dialect]);
      const rest = good.slice(1);
      const tokens = { messages: "max_tokens", chat: "max_tokens", responses: "max_output_tokens" }[dialect];
      const without = JSON.stringify({ ...(JSON.parse(good) as JsonObject), [tokens]: undefined }).slice(1);
      const bodies: Readonly<Record<string, string>> = {
        "two models": `{"model":"secret-a",${rest}`,
        "two models, one in disguise": `{"mod\\u0065l":"secret-a",${rest}`,
        "a model that folds to model": `{"Model":"secret-a",${rest}`,
        "equal keys deep inside": `{"metadata":{"a":{"secret-a":1,"secret-a":2}},${rest}`,
        NaN: `{"temperature":NaN,${rest}`,
        Infinity: `{"temperature":-Infinity,${rest}`,
        "a number that becomes infinite": `{"temperature":1e400,${rest}`,
        "an infinite one deep inside": `{"metadata":{"a":[1e999]},${rest}`,
        "a limit beyond integers": `{"${tokens}":9007199254740993,${without}`,
        "a limit beyond reason": `{"${tokens}":1e30,${without}`,
        "a limit that is a fraction": `{"${tokens}":1.5,${without}`,
        "a negative limit": `{"${tokens}":-1,${without}`,
        "65 levels": `{"metadata":{"a":${"[".repeat(63)}${"]".repeat(63)}},${rest}`,
        "a million levels": `{"metadata":${"[".repeat(1_000_000)}`,
        "a million elements": `{"metadata":{"a":[${"0,".repeat(1_000_000)}0]},${rest}`,
        "a prototype": `{"__proto__":{"model":"secret-a"},${rest}`,
        "a list": `[${good}]`,
        "something behind it": `${good}{}`,
      };
      for (const [name, body] of Object.entries(bodies)) {
        const answer = await rawPost(house.gateway.url, { path: routeOf[dialect], body });
        expect({ dialect, name, status: answer.status }).toEqual({ dialect, name, status: 400 });
        expect(errorOf(dialect, answer).type).toBe("invalid_request_error");
        expect(answer.body).not.toContain("secret-a");
      }
      // Right up to the limits it is an ordinary request.
      const deep = `{"metadata":{"a":"${"[".repeat(1000)}"},${rest}`;
      expect((await rawPost(house.gateway.url, { path: routeOf[dialect], body: deep })).status).toBe(200);
    }
    expect(house.cloud.generations).toHaveLength(dialects.length);
    expect(house.local.generations).toHaveLength(0);
  },
);

/** A chunked body that is one byte too long and does not end: whoever waited for its end would wait for ever. */
async function endless(path: string): Promise<RawResponse> {
  const { host } = new URL(house.gateway.url);
  const head = `POST ${path} HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`;
  const piece = `${(1 << 20).toString(16)}\r\n${"x".repeat(1 << 20)}\r\n`;
  return rawExchange(house.gateway.url, `${head}${piece.repeat(limit >> 20)}1\r\nx\r\n`);
}

rule(
  284,
  "a body may have 32 MB; a larger one is a 413 of the dialect, by what it announces or as soon as it has grown so far",
  async () => {
    const before = house.cloud.generations.length;
    const type = { messages: "request_too_large", chat: "invalid_request_error", responses: "invalid_request_error" };
    for (const dialect of dialects) {
      // Not a byte of it is sent: the answer can only rest on what was announced.
      const headers = { "content-length": String(limit + 1), expect: null };
      const announced = await rawPost(house.gateway.url, { path: routeOf[dialect], body: "", headers });
      expect({ dialect, status: announced.status }).toEqual({ dialect, status: 413 });
      expect(errorOf(dialect, announced).type).toBe(type[dialect]);
      const grown = await endless(routeOf[dialect]);
      expect({ dialect, status: grown.status }).toEqual({ dialect, status: 413 });
      expect(errorOf(dialect, grown).type).toBe(type[dialect]);
    }
    expect(house.cloud.generations).toHaveLength(before);
    const pad = "A".repeat(limit - 1_000);
    const block = { type: "document", source: { type: "base64", media_type: "application/pdf", data: pad } };
    const text = { type: "text", text: "Read this." };
    const body = smallBody("messages", "roomy", { messages: [{ role: "user", content: [block, text] }] });
    expect(body.length).toBeLessThanOrEqual(limit);
    const answer = await rawPost(house.gateway.url, { path: routeOf.messages, body });
    expect(answer.status).toBe(200);
    expect(house.cloud.generations.at(-1)?.text === body).toBe(true);
  },
);
