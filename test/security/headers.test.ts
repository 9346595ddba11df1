// Promise: headers cross the gateway by allow-list only, in both directions.

import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { dialects, HOUSE_KEY, post, startHouse, type House, type TestDialect } from "../fakes/house.ts";
import type { RecordedRequest } from "../fakes/provider.ts";
import { rawPost } from "../fakes/raw-client.ts";
import { smallBody } from "../fakes/house.ts";
import { tokenOf } from "../harness.ts";

setDefaultTimeout(30_000);

let house: House;

beforeAll(async () => {
  house = await startHouse();
});

afterAll(async () => {
  await house[Symbol.asyncDispose]();
});

beforeEach(() => {
  house.cloud.respond = {};
});

const canary = "canary-from-the-client";
const { token } = tokenOf("windu");
const hostile: Readonly<Record<string, string>> = {
  authorization: `Bearer ${token}`,
  cookie: `session=${canary}`,
  "proxy-authorization": `Basic ${canary}`,
  "x-goog-api-key": canary,
  "api-key": canary,
  "x-forwarded-for": canary,
  "x-forwarded-host": canary,
  forwarded: `for=${canary}`,
  via: canary,
  "x-real-ip": canary,
  "x-sanctum-agent": "windu",
  "x-claude-code-session-id": canary,
  "session-id": canary,
  "x-codex-turn-metadata": canary,
  "openai-organization": canary,
  "openai-project": canary,
  "x-stainless-os": canary,
  "user-agent": canary,
  referer: `http://${canary}/`,
  traceparent: canary,
  "x-http-method-override": canary,
  "accept-encoding": "gzip, br",
  te: "trailers",
};

function newest(house: House): RecordedRequest {
  const request = house.cloud.generations.at(-1);
  if (request === undefined) throw new Error("nothing reached the cloud");
  return request;
}

describe("towards the upstream", () => {
  for (const dialect of dialects) {
    for (const stream of [false, true]) {
      test(`nothing of the client's credentials, cookies and identity: ${dialect}, ${stream ? "streamed" : "whole"}`, async () => {
        const response = await post(house.gateway, dialect, { headers: hostile, extra: { stream } });
        expect(response.status).toBe(200);
        await response.text();
        const { head, headers } = newest(house);
        expect(head).not.toContain(canary);
        expect(head).not.toContain(token);
        expect(head.toLowerCase()).not.toContain("x-sanctum");
        const key = dialect === "messages" ? ["x-api-key", HOUSE_KEY] : ["authorization", `Bearer ${HOUSE_KEY}`];
        const lower = headers.map(([name, value]) => [name.toLowerCase(), value]);
        expect(lower.filter(([name]) => name === "authorization" || name === "x-api-key")).toEqual([key]);
        expect(lower).toContainEqual(["accept-encoding", "identity"]);
        const names = lower.map(([name]) => name);
        expect(new Set(names).size).toBe(names.length);
      });
    }
  }

  test("the local model gets no key at all", async () => {
    const response = await post(house.gateway, "chat", { model: "coder-14b", headers: hostile });
    expect(response.status).toBe(200);
    const head = house.local.generations.at(-1)?.head ?? "";
    expect(head.toLowerCase()).not.toContain("authorization");
    expect(head).not.toContain(canary);
    expect(head).not.toContain(HOUSE_KEY);
  });

  test("the client's anthropic-version and anthropic-beta go through as they are", async () => {
    const headers = {
      "anthropic-version": "2026-10-21",
      "anthropic-beta": "context-management-2025-06-27,effort-2025-11-24",
    };
    await (await post(house.gateway, "messages", { headers })).text();
    expect(newest(house).header("anthropic-version")).toBe(headers["anthropic-version"]);
    expect(newest(house).header("anthropic-beta")).toBe(headers["anthropic-beta"]);
  });

  test("the target is the configured one, whatever the client's query says", async () => {
    const answer = await rawPost(house.gateway.url, {
      path: "/v1/messages?beta=true",
      body: smallBody("messages", "claude-sonnet-4-5"),
    });
    expect(answer.status).toBe(200);
    expect(["/v1/messages", "/v1/messages?beta=true"]).toContain(newest(house).target);
  });

  test("names listed in `connection` are neither kept nor obeyed", async () => {
    const answer = await rawPost(house.gateway.url, {
      path: "/v1/messages",
      body: smallBody("messages", "claude-sonnet-4-5"),
      headers: { connection: "close, x-api-key, content-type", "x-api-key": token },
    });
    expect(answer.status).toBe(200);
    expect(newest(house).header("x-api-key")).toBe(HOUSE_KEY);
    expect(newest(house).header("content-type")).toStartWith("application/json");
  });
});

describe("towards the client", () => {
  const fromUpstream: Readonly<Record<string, string>> = {
    "set-cookie": "id=upstream",
    "openai-model": "another-model",
    "openai-organization": "the-house",
    "x-ratelimit-remaining-requests": "3",
    "x-ratelimit-limit-tokens": "3000",
    "anthropic-ratelimit-requests-remaining": "3",
    "anthropic-organization-id": "the-house",
    "anthropic-ratelimit-unified-status": "allowed",
    "access-control-allow-origin": "*",
    location: "http://evil.example/",
    "alt-svc": 'h3=":443"',
    "strict-transport-security": "max-age=1",
    "x-codex-primary-used-percent": "3",
    server: "upstream",
    via: "upstream",
    "x-sanctum-agent": "forged",
    "x-sanctum-request-id": "forged",
    "x-should-retry": "true",
  };

  function expectClean(response: Response): void {
    const names = [...response.headers.keys()];
    const leaked = Object.keys(fromUpstream).filter((name) => names.includes(name) && name !== "x-sanctum-request-id");
    expect(leaked.filter((name) => response.headers.get(name) === fromUpstream[name])).toEqual([]);
    expect(response.headers.get("x-sanctum-request-id")).toMatch(/^req_/);
  }

  async function answered(dialect: TestDialect, stream: boolean): Promise<Response> {
    return post(house.gateway, dialect, { extra: { stream } });
  }

  for (const dialect of dialects) {
    for (const stream of [false, true]) {
      test(`no cookie, no rate limit, no account of the house: ${dialect}, ${stream ? "streamed" : "whole"}`, async () => {
        house.cloud.respond = { headers: fromUpstream };
        const response = await answered(dialect, stream);
        expect(response.status).toBe(200);
        expectClean(response);
        if (stream) expect(response.headers.get("content-type")).toStartWith("text/event-stream");
        await response.text();
      });
    }

    test(`nor on an error that is the client's own fault: ${dialect}`, async () => {
      const body = '{"error":{"type":"invalid_request_error","message":"prompt is too short"},"type":"error"}';
      house.cloud.respond = { refuse: { status: 400, headers: { ...fromUpstream, "retry-after": "3" }, body } };
      const response = await answered(dialect, false);
      expect(response.status).toBe(400);
      expectClean(response);
      // Clients match on the wording: byte for byte.
      expect(await response.text()).toBe(body);
    });
  }
});
