// Promise: who calls is known by the token alone, and a token that is not ours goes nowhere.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { dialects, post, smallBody, startHouse, type House, type PostOptions } from "../fakes/house.ts";
import { rawExchange, rawPost } from "../fakes/raw-client.ts";
import { eventually, tokenOf } from "../harness.ts";

setDefaultTimeout(30_000);

let house: House;

beforeAll(async () => {
  house = await startHouse();
});

afterAll(async () => {
  await house[Symbol.asyncDispose]();
});

const windu = { authorization: `Bearer ${tokenOf("windu").token}` };
const unknown = tokenOf("sidious").token;

/** The constant part of a refusal: everything but the ids of the request. */
async function bodyWithoutIds(response: Response): Promise<string> {
  const id = response.headers.get("x-sanctum-request-id") ?? "";
  expect(id).not.toBe("");
  return (await response.text()).replaceAll(id, "<id>");
}

describe("an unknown token", () => {
  const spots: readonly [string, Record<string, string>][] = [
    ["as Bearer", { authorization: `Bearer ${unknown}` }],
    ["as x-api-key", { "x-api-key": unknown }],
    ["as x-sanctum-token", { "x-sanctum-token": unknown }],
    ["of another shape", { authorization: "Bearer sk-ant-something" }],
    ["beside a good one, in the header that wins", { ...windu, "x-sanctum-token": unknown }],
    ["with the scheme Basic", { authorization: `Basic ${Buffer.from(`windu:${unknown}`).toString("base64")}` }],
    ["that is ours but for its last character", { authorization: `Bearer ${tokenOf("windu").token.slice(0, -1)}` }],
    ["that is ours and more", { authorization: `Bearer ${tokenOf("windu").token}x` }],
  ];
  for (const dialect of dialects) {
    test(`gets the same 401 in every spot and goes nowhere: ${dialect}`, async () => {
      const before = house.cloud.generations.length + house.local.generations.length;
      const bodies = new Set<string>();
      for (const [, headers] of spots) {
        const response = await post(house.gateway, dialect, { headers });
        expect(response.status).toBe(401);
        expect(response.headers.get("x-sanctum-error")).toStartWith("IDENTITY_");
        bodies.add(await bodyWithoutIds(response));
      }
      expect(bodies.size).toBe(1);
      const [body = ""] = bodies;
      expect(body).not.toContain(unknown);
      expect(JSON.parse(body)).toMatchObject(
        dialect === "messages"
          ? { type: "error", error: { type: "authentication_error" } }
          : { error: { message: expect.any(String), code: expect.anything() } },
      );
      expect(house.cloud.generations.length + house.local.generations.length).toBe(before);
    });
  }

  test("is in the audit trail as refused, without the token", async () => {
    await post(house.gateway, "messages", { headers: { authorization: `Bearer ${unknown}` } });
    await eventually(() => {
      expect(
        house.gateway.auditLines().some((line) => line.outcome === "refused_identity" && line.status === 401),
      ).toBe(true);
    });
    expect(house.gateway.auditText().join("\n")).not.toContain(unknown);
    expect(house.gateway.output()).not.toContain(unknown);
  });
});

describe("a claimed name", () => {
  const refused: readonly [string, PostOptions][] = [
    ["of another agent in the path", { headers: windu, prefix: "/agent/mothma" }],
    ["of another agent in the header", { headers: { ...windu, "x-sanctum-agent": "mothma" } }],
    ["in the path without a token", { prefix: "/agent/windu" }],
    ["in the header without a token", { headers: { "x-sanctum-agent": "windu" } }],
    ["in the path with the literal anonymous", { headers: { "x-api-key": "anonymous" }, prefix: "/agent/windu" }],
    ["of nobody", { headers: windu, prefix: "/agent/nobody" }],
    ["in other letters", { headers: windu, prefix: "/agent/WINDU" }],
    ["in the header against the path", { headers: { ...windu, "x-sanctum-agent": "mothma" }, prefix: "/agent/windu" }],
  ];
  for (const [name, options] of refused) {
    test(`is refused: ${name}`, async () => {
      const before = house.cloud.generations.length;
      expect((await post(house.gateway, "messages", options)).status).toBe(401);
      expect(house.cloud.generations.length).toBe(before);
    });
  }

  test("that is the token's own is served and charged to it, by path, by header and by all three spots", async () => {
    const own = tokenOf("mothma").token;
    const accepted: readonly PostOptions[] = [
      { headers: { authorization: `Bearer ${own}` }, prefix: "/agent/mothma" },
      { headers: { "x-api-key": own, "x-sanctum-agent": "mothma" } },
      { headers: { "x-sanctum-token": own, authorization: "Bearer the-vendor-credential" } },
      { headers: { authorization: `bearer ${own}` } },
    ];
    for (const options of accepted) expect((await post(house.gateway, "messages", options)).status).toBe(200);
    await eventually(async () => {
      const { agents } = await house.gateway.stats();
      expect(agents["mothma"]?.requests).toBe(accepted.length);
    });
  });

  test("in the body is a label, not an identity", async () => {
    const extra = { metadata: { user_id: "mothma" } };
    const response = await post(house.gateway, "messages", { headers: windu, extra });
    expect(response.status).toBe(200);
    const id = response.headers.get("x-sanctum-request-id");
    expect(await house.gateway.auditLine((line) => line.id === id)).toMatchObject({ agent: "windu" });
  });
});

describe("another agent's name", () => {
  const headers = [
    "x-agent",
    "x-agent-id",
    "x-agent-name",
    "x-user",
    "x-user-id",
    "x-end-user-id",
    "x-litellm-end-user-id",
    "x-consumer-username",
    "x-forwarded-user",
    "x-remote-user",
    "remote-user",
    "from",
    "user-agent",
    "originator",
    "baggage",
    "cookie",
    "referer",
    "openai-organization",
    "openai-project",
    "x-title",
    "session-id",
  ];
  const bodies: readonly (readonly ["messages" | "chat" | "responses", object])[] = [
    ["messages", { metadata: { user_id: "mothma" } }],
    ["chat", { user: "mothma" }],
    ["chat", { safety_identifier: "mothma", prompt_cache_key: "mothma" }],
    ["chat", { metadata: { agent: "mothma" } }],
    ["chat", { messages: [{ role: "user", name: "mothma", content: "Hello" }] }],
    ["responses", { user: "mothma", safety_identifier: "mothma" }],
    ["responses", { metadata: { agent: "mothma", user: "mothma" } }],
  ];

  test("in any header, field or query that is no claim charges the token's owner, every time", async () => {
    const spentBy = async (name: string): Promise<number> => (await house.gateway.stats()).agents[name]?.spent_usd ?? 0;
    const before = { windu: await spentBy("windu"), mothma: await spentBy("mothma") };
    const ids: string[] = [];
    const sent = async (response: Response): Promise<void> => {
      await response.arrayBuffer();
      ids.push(response.headers.get("x-sanctum-request-id") ?? "");
    };
    for (const name of headers) {
      const value = name === "cookie" || name === "baggage" ? "agent=mothma" : "mothma";
      await sent(await post(house.gateway, "messages", { headers: { ...windu, [name]: value } }));
    }
    for (const [dialect, extra] of bodies) await sent(await post(house.gateway, dialect, { headers: windu, extra }));
    await sent(
      await fetch(`${house.gateway.url}/v1/messages?agent=mothma&user=mothma&x-sanctum-agent=mothma`, {
        method: "POST",
        headers: { "content-type": "application/json", ...windu },
        body: smallBody("messages", "claude-sonnet-4-5"),
      }),
    );
    expect(ids.length).toBeGreaterThan(20);
    await eventually(() => {
      const lines = house.gateway.auditLines().filter(({ id }) => ids.includes(id));
      expect(lines.map(({ agent, status }) => [agent, status])).toEqual(ids.map(() => ["windu", 200]));
    });
    expect(await spentBy("windu")).toBeGreaterThan(before.windu);
    expect(await spentBy("mothma")).toBe(before.mothma);
  });
});

describe("no credential", () => {
  test("is agent `default` on loopback, and so is the literal `anonymous`", async () => {
    for (const headers of [{}, { "x-api-key": "anonymous" }, { authorization: "Bearer anonymous" }]) {
      const response = await post(house.gateway, "messages", { headers });
      expect(response.status).toBe(200);
      const id = response.headers.get("x-sanctum-request-id");
      expect(await house.gateway.auditLine((line) => line.id === id)).toMatchObject({
        agent: "default",
        auth: "anonymous",
      });
    }
  });

  test("is 401 where `identity.anonymous` is `never`, and the same 401 as for an unknown token", async () => {
    await using strict = await startHouse({ config: { identity: { anonymous: "never" } } });
    const missing = await post(strict.gateway, "messages");
    const wrong = await post(strict.gateway, "messages", { headers: { "x-api-key": unknown } });
    const literal = await post(strict.gateway, "messages", { headers: { "x-api-key": "anonymous" } });
    expect([missing.status, wrong.status, literal.status]).toEqual([401, 401, 401]);
    const body = await bodyWithoutIds(missing);
    expect(await bodyWithoutIds(wrong)).toBe(body);
    expect(await bodyWithoutIds(literal)).toBe(body);
    expect((await post(strict.gateway, "messages", { headers: windu })).status).toBe(200);
    expect(strict.cloud.requests.length).toBe(1);
  });
});

describe("a header that decides who calls or how the message is read, given twice", () => {
  const body = smallBody("messages", "claude-sonnet-4-5");

  /** The answer to a request with these lines beside the usual ones; nothing may reach a provider. */
  async function statusOf(lines: readonly string[], without: readonly string[] = []): Promise<[number, string]> {
    const before = house.cloud.generations.length + house.local.generations.length;
    const usual = [
      `host: ${new URL(house.gateway.url).host}`,
      "content-type: application/json",
      `content-length: ${Buffer.byteLength(body)}`,
    ].filter((line) => !without.includes(line.split(":")[0]!));
    const head = ["POST /v1/messages HTTP/1.1", ...usual, "connection: close", ...lines];
    const answer = await rawExchange(house.gateway.url, `${head.join("\r\n")}\r\n\r\n${body}`);
    expect(house.cloud.generations.length + house.local.generations.length).toBe(before);
    return [answer.status, answer.headers["x-sanctum-error"] ?? ""];
  }

  const own = tokenOf("windu").token;
  const other = tokenOf("mothma").token;
  const credentials: readonly [name: string, good: string, second: string][] = [
    ["authorization", `Bearer ${own}`, `Bearer ${other}`],
    ["x-api-key", own, other],
    ["x-sanctum-token", own, other],
    ["x-sanctum-agent", "windu", "mothma"],
  ];
  for (const [name, good, second] of credentials) {
    test(`is 400, in whatever order, equal or not: ${name}`, async () => {
      const claim = name === "x-sanctum-agent" ? [`authorization: Bearer ${own}`] : [];
      for (const [one, two] of [
        [good, good],
        [good, second],
        [second, good],
        [good, ""],
        ["", good],
        [good, "anonymous"],
      ] as const) {
        const ambiguous = await statusOf([...claim, `${name}: ${one}`, `${name.toUpperCase()}: ${two}`]);
        expect([one, two, ...ambiguous]).toEqual([one, two, 400, "IDENTITY_AMBIGUOUS"]);
      }
      expect(await statusOf([...claim, `${name}: ${good}, ${good}`])).toEqual([400, "IDENTITY_AMBIGUOUS"]);
    });
  }

  test("of two schemes with two agents is refused like an unknown token", async () => {
    for (const pair of [
      [`authorization: Bearer ${own}`, `x-api-key: ${other}`],
      [`authorization: Bearer ${other}`, `x-api-key: ${own}`],
    ])
      expect(await statusOf(pair)).toEqual([401, "IDENTITY_MISMATCH"]);
  });

  test("is refused by the door or the parser where it frames the message", async () => {
    const { host } = new URL(house.gateway.url);
    const length = Buffer.byteLength(body);
    const framing: readonly [name: string, one: string, two: string][] = [
      ["host", host, host],
      ["host", host, "evil.example"],
      ["host", "evil.example", host],
      ["content-length", String(length), String(length + 1)],
      ["content-length", String(length), "0"],
      ["transfer-encoding", "chunked", "chunked"],
      ["transfer-encoding", "chunked", "identity"],
      ["content-type", "application/json", "text/plain"],
      ["content-type", "text/plain", "application/json"],
      ["content-encoding", "gzip", "identity"],
      ["origin", `http://${host}`, "https://evil.example"],
      ["sec-fetch-site", "none", "cross-site"],
    ];
    for (const [name, one, two] of framing) {
      const credential = `authorization: Bearer ${own}`;
      const [status] = await statusOf([credential, `${name}: ${one}`, `${name}: ${two}`], [name]);
      expect([name, one, two, [0, 400, 403, 411, 415, 421, 501].includes(status) ? "refused" : status]).toEqual([
        name,
        one,
        two,
        "refused",
      ]);
    }
  });
});

test("identity is checked before the body is read: a large body with an unknown token is refused at once", async () => {
  const answer = await rawPost(house.gateway.url, {
    path: "/v1/messages",
    body: '{"model":',
    headers: { authorization: `Bearer ${unknown}`, "content-length": "20000000" },
  });
  expect(answer.status).toBe(401);
});

describe("a 401", () => {
  test("is the same to the byte for a wrong token, one that was revoked, one that has ended, and one of a removed agent", async () => {
    await using strict = await startHouse({ config: { identity: { anonymous: "never" } } });
    const { agents } = strict.config as { agents: Record<string, object> };
    const ended = tokenOf("ended");
    const old = tokenOf("windu").token;
    const { mothma: _, ...rest } = agents;
    const windu = { daily_usd: 1000, tokens: [`${ended.hash} until 2020-01-01T00:00:00Z`, tokenOf("new").hash] };
    const { generation } = (await strict.gateway.stats()).config;
    strict.gateway.writeConfig({ ...strict.config, agents: { ...rest, windu } });
    await eventually(async () => expect((await strict.gateway.stats()).config.generation).toBeGreaterThan(generation));

    /** All of an answer but its ids and the time. */
    const answerTo = async (headers: Record<string, string>, path = "/v1/messages"): Promise<string> => {
      const answer = await rawPost(strict.gateway.url, {
        path,
        body: smallBody("messages", "claude-sonnet-4-5"),
        headers,
      });
      const { date: _date, ...others } = answer.headers;
      const id = answer.headers["x-sanctum-request-id"] ?? "none";
      return JSON.stringify([answer.status, others, answer.body]).replaceAll(id, "<id>");
    };
    const wrong = await answerTo({ "x-api-key": unknown });
    expect(wrong).toStartWith("[401,");
    const same: readonly [string, Record<string, string>][] = [
      ["revoked", { "x-api-key": old }],
      ["ended", { "x-api-key": ended.token }],
      ["of a removed agent", { "x-api-key": tokenOf("mothma").token }],
      ["in another header", { authorization: `Bearer ${old}` }],
      ["with the name of an agent that there is", { "x-api-key": old, "x-sanctum-agent": "windu" }],
      ["with the name of nobody", { "x-api-key": old, "x-sanctum-agent": "nobody" }],
      ["one character too long", { "x-api-key": `${tokenOf("new").token}x` }],
      ["empty in its secret part", { "x-api-key": "sk-sanctum-windu-" }],
    ];
    for (const [name, headers] of same) expect([name, await answerTo(headers)]).toEqual([name, wrong]);
    for (const agent of ["windu", "nobody"])
      expect(await answerTo({ "x-api-key": old }, `/agent/${agent}/v1/messages`)).toBe(wrong);
    // Who sent nothing is told so in the code, which says nothing about tokens or agents.
    expect(await answerTo({})).toBe(wrong.replace("IDENTITY_TOKEN_UNKNOWN", "IDENTITY_REQUIRED"));
    expect(strict.cloud.requests.length).toBe(0);
    expect((await post(strict.gateway, "messages", { headers: { "x-api-key": tokenOf("new").token } })).status).toBe(
      200,
    );
  });
});
