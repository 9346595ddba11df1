// Promise: a credential that a client brings for its vendor (`key: passthrough`) is seen by that vendor and by nobody else,
// and kept nowhere.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { dialects, HOUSE_KEY, modelOf, post, smallBody, startHouse, type House } from "../fakes/house.ts";
import { FakeProvider } from "../fakes/provider.ts";
import { tokenOf } from "../harness.ts";

setDefaultTimeout(60_000);

const login = `sk-ant-${["oat01", "canary-of-the-subscription-0123456789"].join("-")}`;
const oauthFlag = "oauth-2025-04-20";
const { token } = tokenOf("windu");
/** As Claude Code sends it where it is logged in and the gateway's token is a custom header. */
const claudeCode = {
  "x-sanctum-token": token,
  authorization: `Bearer ${login}`,
  "anthropic-beta": `claude-code-20250219,${oauthFlag}`,
};

let house: House;
let second: FakeProvider;

// Fresh for each test: what one of them makes fail, no other one has to wait for.
beforeEach(async () => {
  second = await FakeProvider.start();
  house = await startHouse({
    config: ({ cloud }) => ({
      providers: {
        anthropic: { url: cloud, dialects: ["messages"], key: "passthrough", retry: { attempts: 1 } },
        openai: {
          url: `${second.url}/v1`,
          dialects: ["responses", "chat"],
          key: "passthrough",
          retry: { attempts: 1 },
        },
        corporate: { url: second.url, dialects: ["messages"], key: "passthrough", retry: { attempts: 1 } },
      },
      agents: { windu: { daily_usd: 0.000001, tokens: [tokenOf("windu").hash] } },
      models: { "house-model": { provider: "corporate", model: "claude-opus-4-6", price: { input: 1, output: 1 } } },
      routes: [
        {
          name: "two",
          when: { model: "claude-opus-4-5" },
          use: ["openai/gpt-4o-mini", "anthropic/claude-opus-4-5", "house-model"],
        },
      ],
    }),
  });
});

afterEach(async () => {
  await second[Symbol.asyncDispose]();
  await house[Symbol.asyncDispose]();
});

const headsOf = (fake: FakeProvider): string => fake.requests.map(({ head, text }) => head + text).join("\n");

const refusal = (status: number, message: string): string =>
  `{"type":"error", "error":{"type":"authentication_error","message":"${message}"},"request_id":"req_${status}"}`;

describe("a client's own credential", () => {
  describe("reaches its vendor as it came, with its flags, and costs nothing", () => {
    test.each([false, true])("streamed: %p", async (stream) => {
      const response = await post(house.gateway, "messages", { headers: claudeCode, extra: { stream } });
      expect(response.status).toBe(200);
      await response.text();
      const [asked] = house.cloud.generations.slice(-1);
      expect(asked?.header("authorization")).toBe(`Bearer ${login}`);
      expect(asked?.header("x-api-key")).toBeUndefined();
      expect(asked?.header("anthropic-beta")).toBe(claudeCode["anthropic-beta"]);
      expect(headsOf(house.cloud)).not.toContain(token);
      const id = response.headers.get("x-sanctum-request-id");
      const line = await house.gateway.auditLine((one) => one.id === id);
      expect(line).toMatchObject({ agent: "windu", usd: 0, price: "free", outcome: "ok", local: false });
      expect(line.would_have_usd).toBeGreaterThan(0);
    });
  });

  for (const dialect of ["chat", "responses"] as const) {
    test(`is asked for in translation too, and keeps its flag alone: ${dialect}`, async () => {
      const response = await post(house.gateway, dialect, { headers: claudeCode, model: "claude-sonnet-4-5" });
      expect(response.status).toBe(200);
      const [asked] = house.cloud.generations.slice(-1);
      expect(asked?.header("authorization")).toBe(`Bearer ${login}`);
      expect(asked?.header("anthropic-beta")).toBe(oauthFlag);
    });
  }

  test("counts tokens under it", async () => {
    const response = await fetch(`${house.gateway.url}/v1/messages/count_tokens`, {
      method: "POST",
      headers: { "content-type": "application/json", ...claudeCode },
      body: smallBody("messages", modelOf.messages),
    });
    expect(response.status).toBe(200);
    await response.text();
    const asked = house.cloud.requests.find(({ target }) => target.includes("count_tokens"));
    expect(asked?.header("authorization")).toBe(`Bearer ${login}`);
    expect(asked?.header("anthropic-beta")).toContain(oauthFlag);
  });

  describe("is not seen by the one who answers in its vendor's place", () => {
    test.each(dialects)("%s", async (dialect) => {
      house.cloud.respond = { refuse: { status: 500 } };
      const model = "claude-sonnet-4-5";
      const response = await post(house.gateway, dialect, { headers: claudeCode, model });
      expect(response.status).toBe(200);
      expect(house.local.generations.length).toBe(1);
      expect(headsOf(house.cloud)).toContain(login);
      for (const fake of [house.local, second]) {
        expect(headsOf(fake)).not.toContain(login);
        expect(headsOf(fake)).not.toContain(oauthFlag);
      }
    });
  });

  test("is lent to one provider of a plan alone, and to none of another vendor", async () => {
    house.cloud.respond = { refuse: { status: 529 } };
    // An agent with money enough for all of them.
    const headers = { ...claudeCode, "x-sanctum-token": "anonymous" };
    expect((await post(house.gateway, "messages", { headers, model: "claude-opus-4-5" })).status).toBe(200);
    expect(house.cloud.generations.length).toBe(1);
    expect(second.requests.length).toBe(0);
  });

  test("that is no vendor's goes to the provider that was asked for, by the header it came in", async () => {
    const headers = { "x-sanctum-token": token, "x-api-key": "pass-of-the-corporation" };
    const response = await post(house.gateway, "messages", { headers, model: "house-model" });
    // It costs what the provider costs, and this agent has next to nothing.
    expect(response.status).toBe(200);
    expect(house.local.generations.length).toBe(1);
    const anonymous = { ...headers, "x-sanctum-token": "anonymous" };
    expect((await post(house.gateway, "messages", { headers: anonymous, model: "house-model" })).status).toBe(200);
    expect(second.generations.at(-1)?.header("x-api-key")).toBe("pass-of-the-corporation");
    const bearer = { "x-sanctum-token": "anonymous", authorization: "Bearer pass-of-the-corporation" };
    expect((await post(house.gateway, "messages", { headers: bearer, model: "house-model" })).status).toBe(200);
    expect(second.generations.at(-1)?.header("authorization")).toBe("Bearer pass-of-the-corporation");
  });

  test("is never the gateway's own token, nor one that looks like it", async () => {
    const other = tokenOf("mothma").token;
    const mistyped = `${other.slice(0, -3)}xyz`;
    for (const own of [token, other, mistyped, "anonymous"]) {
      for (const headers of [{ authorization: `Bearer ${own}` }, { "x-api-key": own }]) {
        // An agent with money enough to be sent on.
        const all = { "x-sanctum-token": "anonymous", ...headers };
        const response = await post(house.gateway, "messages", { headers: all });
        expect(response.status).toBe(200);
        await response.text();
      }
    }
    expect(house.cloud.requests.length + second.requests.length).toBe(0);
    expect(headsOf(house.local)).not.toContain("sk-sanctum");
  });

  test("in no log, no trail, no file, no answer, whatever the vendor does with it", async () => {
    const provocations = [
      { refuse: { status: 401, body: refusal(401, `bad ${login}`) } },
      { refuse: { status: 400, body: refusal(400, `bad ${login}`) } },
      { refuse: { status: 500, body: login } },
      { rawBody: `not json ${login}` },
      { errorEvent: { afterEvents: 1, message: login } },
      { headers: { "request-id": login, "x-echo": login } },
    ];
    for (const step of provocations) {
      for (const stream of [false, true]) {
        house.cloud.respond = step;
        const response = await post(house.gateway, "messages", { headers: claudeCode, extra: { stream } });
        expect(JSON.stringify([...response.headers]) + (await response.text())).not.toContain(login);
      }
    }
    for (const path of ["/stats", "/metrics"]) {
      expect(await (await fetch(house.gateway.url + path)).text()).not.toContain(login);
    }
    expect(house.gateway.output()).not.toContain(login);
    const files = readdirSync(house.gateway.home, { recursive: true, withFileTypes: true }).filter((f) => f.isFile());
    for (const file of files) {
      expect(readFileSync(join(file.parentPath, file.name), "latin1")).not.toContain(login);
    }
  });
});

describe("a refused login", () => {
  for (const status of [401, 403]) {
    test(`comes back in the vendor's own words, so that its client logs in again: ${status}`, async () => {
      const body = refusal(
        status,
        "OAuth token has expired. Please obtain a new token or refresh your existing token.",
      );
      house.cloud.respond = { refuse: { status, body, headers: { "x-should-retry": "false" } } };
      for (const stream of [false, true]) {
        const response = await post(house.gateway, "messages", { headers: claudeCode, extra: { stream } });
        expect([response.status, await response.text()]).toEqual([status, body]);
        expect(response.headers.get("x-sanctum-error")).toBe("UPSTREAM_LOGIN");
        expect(response.headers.get("x-should-retry")).toBeNull();
      }
      expect(house.local.generations.length).toBe(0);
    });

    test(`is told in the client's dialect where that is another one: ${status}`, async () => {
      house.cloud.respond = { refuse: { status, body: refusal(status, "expired") } };
      const response = await post(house.gateway, "chat", { headers: claudeCode, model: "claude-sonnet-4-5" });
      expect(response.status).toBe(401);
      expect(response.headers.get("x-sanctum-error")).toBe("UPSTREAM_LOGIN");
      expect(JSON.parse(await response.text())).toMatchObject({
        error: { message: expect.stringContaining("log in") },
      });
    });
  }

  test("keeps nobody else from the vendor, and a token count is estimated meanwhile", async () => {
    house.cloud.respond = { refuse: { status: 401, body: refusal(401, "expired") } };
    const count = (authorization: string): Promise<Response> =>
      fetch(`${house.gateway.url}/v1/messages/count_tokens`, {
        method: "POST",
        headers: { "content-type": "application/json", ...claudeCode, authorization },
        body: smallBody("messages", modelOf.messages),
      });
    expect((await count(`Bearer ${login}`)).status).toBe(200);
    house.cloud.respond = {};
    house.cloud.requests.length = 0;
    expect((await count(`Bearer ${login}-of-another`)).status).toBe(200);
    expect(house.cloud.requests.length).toBe(1);
    const answer = await post(house.gateway, "messages", { headers: claudeCode });
    expect(answer.status).toBe(200);
    expect(house.local.generations.length).toBe(0);
  });
});

describe("who calls by path", () => {
  test("as default may bring a known vendor's credential alone", async () => {
    const { "anthropic-beta": beta } = claudeCode;
    const headers = { authorization: `Bearer ${login}`, "anthropic-beta": beta };
    const response = await post(house.gateway, "messages", { headers, prefix: "/agent/default" });
    expect(response.status).toBe(200);
    expect(house.cloud.generations.at(-1)?.header("authorization")).toBe(`Bearer ${login}`);
    const id = response.headers.get("x-sanctum-request-id");
    expect(await house.gateway.auditLine((one) => one.id === id)).toMatchObject({
      agent: "default",
      auth: "anonymous",
    });
  });

  test("is nobody with a credential of unknown form, as another agent, or without the path", async () => {
    const tries: readonly [string, string][] = [
      ["/agent/default", "some-password-of-another-service"],
      ["/agent/default", tokenOf("sidious").token],
      ["/agent/windu", login],
      ["", login],
    ];
    for (const [prefix, credential] of tries) {
      const headers = { authorization: `Bearer ${credential}` };
      expect((await post(house.gateway, "messages", { headers, prefix })).status).toBe(401);
    }
    expect(house.cloud.requests.length + second.requests.length + house.local.generations.length).toBe(0);
  });
});

test("a client without one is told how to bring it, and the house has none to lend", async () => {
  await using alone = await startHouse({
    config: ({ cloud }) => ({
      providers: { anthropic: { url: cloud, dialects: ["messages"], key: "passthrough" } },
      fallback: [],
      routes: [{ name: "cloud", when: { model: "claude-*" }, use: ["anthropic/claude-sonnet-4-5"] }],
    }),
  });
  const response = await post(alone.gateway, "messages", { headers: { "x-api-key": token } });
  const text = await response.text();
  expect([response.status, response.headers.get("x-sanctum-error")]).toEqual([503, "ROUTE_NO_CANDIDATE"]);
  expect(text).toContain("x-sanctum-token");
  expect(alone.cloud.requests.length).toBe(0);
  expect(text).not.toContain(HOUSE_KEY);
});
