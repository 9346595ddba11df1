// Promise: what the gateway meters is what the upstream reads: a body that could be read in two ways goes nowhere.

import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { dialects, routeOf, smallBody, startHouse, type House } from "../fakes/house.ts";
import { rawExchange, rawPost, requestBytes, type RawResponse } from "../fakes/raw-client.ts";
import { objectOf, parseObject, textOf } from "../fakes/json-access.ts";

setDefaultTimeout(30_000);

let house: House;

beforeAll(async () => {
  house = await startHouse();
});

afterAll(async () => {
  await house[Symbol.asyncDispose]();
});

afterEach(() => {
  expect(house.cloud.requests.length).toBe(0);
  expect(house.local.generations.length).toBe(0);
});

async function send(text: string, path = "/v1/messages"): Promise<RawResponse> {
  return rawPost(house.gateway.url, { path, body: text });
}

const rest = `"messages":[{"role":"user","content":"hi"}]`;
const bad: readonly [string, string][] = [
  ["two models", `{"model":"claude-sonnet-4-5","max_tokens":9,"model":"claude-opus-4-5",${rest}}`],
  [
    "two models, one with an escape",
    `{"model":"claude-sonnet-4-5","max_tokens":9,"\\u006dodel":"claude-opus-4-5",${rest}}`,
  ],
  ["two limits", `{"model":"claude-sonnet-4-5","max_tokens":9,"max_tokens":90000,${rest}}`],
  [
    "a key twice deep inside",
    `{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"user","role":"assistant","content":"hi"}]}`,
  ],
  ["an infinite number", `{"model":"claude-sonnet-4-5","max_tokens":1e400,${rest}}`],
  ["an infinite number deep inside", `{"model":"claude-sonnet-4-5","max_tokens":9,"x":[{"y":-1e999}],${rest}}`],
  [
    "arrays to depth 100,000",
    `{"model":"claude-sonnet-4-5","max_tokens":9,"x":${"[".repeat(100_000)}${"]".repeat(100_000)},${rest}}`,
  ],
  ["objects to depth 100,000", `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`],
  [
    "four million empty objects",
    `{"model":"claude-sonnet-4-5","max_tokens":9,"x":[${"{},".repeat(4_000_000)}{}],${rest}}`,
  ],
  ["a list instead of an object", `[${rest.slice(11)}]`],
  ["nothing", ""],
  ["half of it", `{"model":"claude-sonnet-4-5","max_tokens":9,`],
  ["more after the end", `{"model":"claude-sonnet-4-5","max_tokens":9,${rest}}{}`],
  ["a trailing comma", `{"model":"claude-sonnet-4-5","max_tokens":9,${rest},}`],
  ["NaN", `{"model":"claude-sonnet-4-5","max_tokens":NaN,${rest}}`],
  ["a comment", `{"model":"claude-sonnet-4-5",/* */"max_tokens":9,${rest}}`],
  ["a lone surrogate", `{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"user","content":"\\ud800"}]}`],
];

describe("a body with", () => {
  for (const [name, text] of bad) {
    test(`${name} is 400 in the client's dialect`, async () => {
      const answer = await send(text);
      expect(answer.status).toBe(400);
      expect(JSON.parse(answer.body)).toMatchObject({ type: "error", error: { type: "invalid_request_error" } });
      expect(answer.headers["x-sanctum-error"]).toStartWith("REQUEST_");
      const message = textOf(objectOf(parseObject(answer.body)["error"])?.["message"]);
      expect(message.length).toBeLessThan(500);
    });
  }

  test("bytes that are not UTF-8 is 400", async () => {
    const text = smallBody("messages", "claude-sonnet-4-5", { messages: [{ role: "user", content: "§§" }] });
    const bytes = Buffer.from(requestBytes(house.gateway.url, { path: "/v1/messages", body: text }), "utf8");
    bytes[bytes.indexOf(0xc2)] = 0xff;
    expect((await rawExchange(house.gateway.url, bytes)).status).toBe(400);
  });
});

describe("a budget field that is not a plain count", () => {
  const values = ["0.5", "-1", '"5"', "[]", "true", "1e400", "{}"];
  const fields = { messages: "max_tokens", chat: "max_tokens", responses: "max_output_tokens" } as const;
  for (const dialect of dialects) {
    test(`is 400: ${dialect}`, async () => {
      const name = fields[dialect];
      for (const value of values) {
        const whole = parseObject(smallBody(dialect, "gpt-4o-mini"));
        const kept = Object.entries(whole).filter(([key]) => !key.startsWith("max_"));
        const text = `{"${name}":${value},${JSON.stringify(Object.fromEntries(kept)).slice(1)}`;
        const answer = await send(text, routeOf[dialect]);
        expect([value, answer.status]).toEqual([value, 400]);
      }
    });
  }
});

test("bombs do not keep others waiting: the gateway answers /healthz while it refuses them", async () => {
  const bombs = Promise.all(bad.map(async ([, text]) => send(text)));
  const health = await fetch(`${house.gateway.url}/healthz`);
  expect(health.status).toBe(200);
  expect((await bombs).every((answer) => answer.status === 400)).toBe(true);
});
