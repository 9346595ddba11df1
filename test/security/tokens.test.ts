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
      const before = house.cloud.requests.length + house.local.requests.length;
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
      expect(house.cloud.requests.length + house.local.requests.length).toBe(before);
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
      const before = house.cloud.requests.length;
      expect((await post(house.gateway, "messages", options)).status).toBe(401);
      expect(house.cloud.requests.length).toBe(before);
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

describe("a credential header that is given twice", () => {
  for (const name of ["authorization", "x-api-key", "x-sanctum-token", "x-sanctum-agent"]) {
    test(`is refused: ${name}`, async () => {
      const before = house.cloud.requests.length;
      const body = smallBody("messages", "claude-sonnet-4-5");
      const value =
        name === "x-sanctum-agent" ? "windu" : `${name === "authorization" ? "Bearer " : ""}${tokenOf("windu").token}`;
      const head = [
        "POST /v1/messages HTTP/1.1",
        `host: ${new URL(house.gateway.url).host}`,
        "content-type: application/json",
        `content-length: ${Buffer.byteLength(body)}`,
        ...(name === "x-sanctum-agent" ? [`authorization: ${windu.authorization}`] : []),
        `${name}: ${value}`,
        `${name}: ${value}`,
      ];
      const answer = await rawExchange(house.gateway.url, `${head.join("\r\n")}\r\n\r\n${body}`);
      expect([400, 401]).toContain(answer.status);
      expect(house.cloud.requests.length).toBe(before);
    });
  }
});

test("identity is checked before the body is read: a large body with an unknown token is refused at once", async () => {
  const answer = await rawPost(house.gateway.url, {
    path: "/v1/messages",
    body: '{"model":',
    headers: { authorization: `Bearer ${unknown}`, "content-length": "20000000" },
  });
  expect(answer.status).toBe(401);
});
