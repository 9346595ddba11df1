// Errors: whose envelope, which status, which type.

import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { codecs } from "../../src/wire/codecs.ts";
import { sseErrorEvent } from "../../src/wire/errors.ts";
import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { Gate } from "../fakes/gate.ts";
import { dialects, post, readThenOpen, startHouse, type House, type TestDialect } from "../fakes/house.ts";
import { tokenOf } from "../harness.ts";
import { expectEnvelope } from "./expect-envelope.ts";
import { FreshModels } from "./fresh-models.ts";
import { rule } from "./rule.ts";

setDefaultTimeout(30_000);

const models = new FreshModels(80, { key: "none", retry: { attempts: 3, base: "1ms", max: "2ms" } });
let house: House;
beforeAll(async () => {
  house = await startHouse({
    config: ({ cloud }) => ({
      ...models.config(cloud),
      fallback: [],
      agents: {
        mothma: { daily_usd: 0, tokens: [tokenOf("mothma").hash] },
        jocasta: {
          daily_usd: 1000,
          requests_per_minute: 1,
          models: ["fresh-*"],
          tokens: [tokenOf("jocasta").hash],
        },
      },
    }),
  });
});
afterAll(async () => house[Symbol.asyncDispose]());

const bearer = (agent: string): Record<string, string> => ({ authorization: `Bearer ${tokenOf(agent).token}` });

async function refused(
  client: TestDialect,
  upstream: TestDialect,
  refuse: { status: number; body?: Json; headers?: Record<string, string> },
  extra: object = {},
): Promise<Response> {
  // As often as the gateway could ask.
  for (let times = 0; times < 3; times++) house.cloud.script.push({ refuse });
  const answer = await post(house.gateway, client, { model: models.take(upstream), extra });
  house.cloud.script.length = 0;
  return answer;
}

/** Spaces and escapes that no rewriting would keep. */
const oddly: Readonly<Record<TestDialect, string>> = {
  messages: ` {"type":"error", "error":{"message":"tools.0: \\u0022x\\u0022 is odd","type":"invalid_request_error"},"request_id":"req_v"}\n`,
  chat: ` {"error": {"message":"tools.0: \\u0022x\\u0022 is odd", "type":"invalid_request_error","param":"tools","code":null}}\n`,
  responses: ` {"error": {"message":"tools.0: \\u0022x\\u0022 is odd", "type":"invalid_request_error","param":"tools","code":null}}\n`,
};

rule(
  170,
  "an error comes in the envelope of the client's dialect, whoever refused; a vendor's words in its own dialect come byte for byte",
  async () => {
    for (const client of dialects) {
      for (const upstream of dialects) {
        for (const stream of [false, true]) {
          const answer = await refused(client, upstream, { status: 400, body: oddly[upstream] }, { stream });
          expect([client, upstream, answer.status]).toEqual([client, upstream, 400]);
          if (client === upstream) expect(await answer.text()).toBe(oddly[upstream]);
          else expect((await expectEnvelope(client, answer)).message).toBe('tools.0: "x" is odd');
        }
      }
    }
  },
);

/** Status and Anthropic's type, both ways, wherever a stream or a body tells only one of them. */
const types: readonly (readonly [status: number, type: string])[] = [
  [400, "invalid_request_error"],
  [402, "billing_error"],
  [404, "not_found_error"],
  [413, "request_too_large"],
  [429, "rate_limit_error"],
  [500, "api_error"],
  [504, "timeout_error"],
  [529, "overloaded_error"],
];

rule(
  171,
  "status and error type belong together as the vendor pairs them; further details of an error pass",
  async () => {
    for (const [status, type] of types) {
      const body = JSON.stringify({ type: "error", error: { type, message: "so it is" } });
      expect([type, codecs.messages.parseError(200, body).status]).toEqual([type, status]);
      expect(sseErrorEvent("messages", { status, code: undefined, message: "so it is" })).toContain(`"type":"${type}"`);
    }
    for (const [status, type] of [
      [401, "authentication_error"],
      [403, "permission_error"],
      [409, "conflict_error"],
    ]) {
      const body = JSON.stringify({ type: "error", error: { type, message: "so it is" } });
      expect(codecs.messages.parseError(200, body).status).toBe(Number(status));
    }
    const ask = async (what: Parameters<typeof post>[2]): Promise<Response> => post(house.gateway, "messages", what);
    const own: readonly (readonly [() => Promise<Response>, number, string])[] = [
      [async () => ask({ extra: { max_tokens: "many" } }), 400, "invalid_request_error"],
      [async () => ask({ headers: { "x-api-key": "sk-wrong" } }), 401, "authentication_error"],
      [async () => ask({ headers: bearer("mothma") }), 402, "billing_error"],
      [async () => ask({ headers: bearer("jocasta") }), 403, "permission_error"],
      [async () => ask({ model: "nobody-knows-it" }), 404, "not_found_error"],
      [
        async () => refused("messages", "chat", { status: 413, body: { error: { message: "too much" } } }),
        413,
        "request_too_large",
      ],
      // The second of this agent's requests in its minute.
      [async () => ask({ headers: bearer("jocasta") }), 429, "rate_limit_error"],
    ];
    for (const [asked, status, type] of own) {
      const answer = await asked();
      expect([answer.status, (await expectEnvelope("messages", answer)).type]).toEqual([status, type]);
    }
    const error = { type: "invalid_request_error", message: "no", details: { error_code: "a_new_one" } };
    const detailed = await refused("messages", "messages", { status: 400, body: { type: "error", error } });
    expect(((await detailed.json()) as JsonObject)["error"]).toEqual(error);
  },
);

rule(
  172,
  "an overloaded or broken vendor is told in the client's own words: overloaded_error to one, a server error with 503 to the others, never a status of the network in between",
  async () => {
    for (const status of [500, 502, 503, 520, 521, 522, 523, 524, 529]) {
      for (const client of ["messages", "chat"] as const) {
        const answer = await refused(client, "chat", { status, body: "<html>" });
        expect([status, client, answer.status]).toEqual([status, client, 503]);
        const { type } = await expectEnvelope(client, answer);
        expect([status, type]).toEqual([status, client === "messages" ? "overloaded_error" : "server_error"]);
      }
    }
    const told = await refused("responses", "messages", {
      status: 529,
      body: { type: "error", error: { type: "overloaded_error", message: "Overloaded" } },
    });
    expect([told.status, (await expectEnvelope("responses", told)).type]).toEqual([503, "server_error"]);
  },
);

rule(
  173,
  "an account without credit is asked once and told as final: a billing error, 402 to Messages clients and 429 insufficient_quota to the others",
  async () => {
    const quota = {
      error: {
        message: "You exceeded your current quota.",
        type: "insufficient_quota",
        param: null,
        code: "insufficient_quota",
      },
    };
    const credit = {
      type: "error",
      error: { type: "invalid_request_error", message: "Your credit balance is too low to access the API." },
    };
    const empty = [
      ["chat", { status: 429, body: quota }],
      ["responses", { status: 429, body: quota }],
      ["messages", { status: 400, body: credit }],
      ["chat", { status: 402, body: { error: { message: "Insufficient credits", code: 402 } } }],
    ] as const;
    for (const [upstream, refuse] of empty) {
      for (const client of dialects) {
        const before = house.cloud.generations.length;
        const answer = await refused(client, upstream, refuse);
        const { type, code, message } = await expectEnvelope(client, answer);
        expect([client, upstream, answer.status, type]).toEqual(
          client === "messages"
            ? [client, upstream, 402, "billing_error"]
            : [client, upstream, 429, "insufficient_quota"],
        );
        if (client !== "messages") expect(code).toBe("insufficient_quota");
        expect(message).toContain("credit");
        expect(answer.headers.get("x-should-retry")).toBe("false");
        expect(answer.headers.get("retry-after")).toBeNull();
        expect(house.cloud.generations).toHaveLength(before + 1);
      }
    }
    // A limit in words of quota passes by itself.
    const minute = {
      error: { message: "You exceeded your current quota (per minute).", status: "RESOURCE_EXHAUSTED" },
    };
    const passing = await refused("chat", "chat", { status: 429, body: minute, headers: { "retry-after": "20" } });
    expect([passing.status, passing.headers.get("x-should-retry")]).toEqual([429, null]);
    expect((await expectEnvelope("chat", passing)).code).toBe("rate_limit_exceeded");
  },
);

rule(
  174,
  "a router's refusals count by their status, and neither the provider behind it nor the account is shown to a client",
  async () => {
    const body = (code: number): JsonObject => ({
      error: {
        code,
        message: "Provider returned error",
        metadata: { provider_name: "Hidden Host", raw: "the reason" },
      },
      user_id: "user_2abcDEF",
    });
    const seen = async (answer: Response, status: number): Promise<string> => {
      expect(answer.status).toBe(status);
      const text = await answer.text();
      expect(text).not.toContain("Hidden Host");
      expect(text).not.toContain("user_2abcDEF");
      return text;
    };
    for (const status of [402, 403, 408, 502, 503]) {
      for (const client of ["chat", "messages"] as const) {
        const told = status === 402 ? (client === "messages" ? 402 : 429) : 503;
        await seen(await refused(client, "chat", { status, body: body(status) }), told);
        // The same inside of a 200.
        for (let times = 0; times < 3; times++) house.cloud.script.push({ rawBody: JSON.stringify(body(status)) });
        await seen(await post(house.gateway, client, { model: models.take("chat") }), told);
        house.cloud.script.length = 0;
      }
    }
    const text = await seen(await refused("chat", "chat", { status: 400, body: body(400) }), 400);
    expect(JSON.parse(text)).toEqual({
      error: { code: 400, message: "Provider returned error", metadata: { raw: "the reason" } },
    });
    const chunk = `data: {"id":"g","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}\n\n`;
    const gate = new Gate();
    gate.release(1);
    house.cloud.script.push({ rawBody: [chunk, `data: ${JSON.stringify({ ...body(503), choices: [] })}\n\n`], gate });
    const stream = await post(house.gateway, "chat", { model: models.take("chat"), extra: { stream: true } });
    const streamed = await readThenOpen(stream, gate);
    expect(streamed).toContain('"error"');
    expect(streamed).not.toContain("Hidden Host");
  },
);

rule(
  175,
  "the errors of local servers, old and new, are all read: as objects, as plain strings, as pages",
  async () => {
    const habits: readonly (readonly [body: string, message: string])[] = [
      ['{"error":{"code":400,"message":"the slot is busy","type":"invalid_request_error"}}', "the slot is busy"],
      ['{"error":"no adapter of that kind"}', "no adapter of that kind"],
      [
        '{"object":"error","message":"top_k must be -1 or at least 1","type":"BadRequestError","param":null,"code":400}',
        "top_k must be -1 or at least 1",
      ],
      ['{"detail":[{"loc":["body","stop"],"msg":"stop must be a list","type":"value_error"}]}', "stop must be a list"],
      ['[{"error":{"code":400,"message":"a list of one","status":"INVALID_ARGUMENT"}}]', "a list of one"],
      ["a plain line of text", "a plain line of text"],
    ];
    for (const [body, message] of habits) {
      expect(codecs.chat.parseError(400, body)).toMatchObject({ status: 400, message });
      for (const client of ["messages", "responses"] as const) {
        const answer = await refused(client, "chat", { status: 400, body });
        expect([body, answer.status]).toEqual([body, 400]);
        expect((await expectEnvelope(client, answer)).message).toBe(message);
      }
    }
    for (const page of [
      "<html><body><h1>502 Bad Gateway</h1></body></html>",
      "<!DOCTYPE html>\n<p>tunnel</p>",
      "",
      '{"error":""}',
    ]) {
      const told = codecs.chat.parseError(503, page);
      expect(told.status).toBe(503);
      expect(told.message).not.toContain("<");
      expect(told.message).toContain("503");
    }
  },
);
