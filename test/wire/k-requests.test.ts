// Headers and bodies on their way to a vendor.

import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout } from "bun:test";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { dialects, HOUSE_KEY, modelOf, post, routeOf, smallBody, startHouse, type House } from "../fakes/house.ts";
import type { RecordedRequest } from "../fakes/provider.ts";
import { rawExchange, requestBytes } from "../fakes/raw-client.ts";
import { tokenOf } from "../harness.ts";
import { expectEnvelope } from "./expect-envelope.ts";
import { rule } from "./rule.ts";

setDefaultTimeout(30_000);

let house: House;
beforeAll(async () => {
  house = await startHouse({
    cloud: { lenient: true },
    local: { dialects: ["chat", "messages"], lenient: true },
    config: ({ cloud, local }) => ({
      providers: {
        claude_at_home: { url: local, dialects: ["messages"], local: true, key: "none" },
        subscription: { url: cloud, dialects: ["messages"], key: "passthrough", retry: { attempts: 1 } },
      },
      models: {
        "home-model": { provider: "claude_at_home", model: "home-model" },
        "own-claude": { provider: "subscription", model: "claude-sonnet-4-5", price: { input: 3, output: 15 } },
      },
      host_names: ["gateway.example"],
    }),
  });
});
afterAll(async () => house[Symbol.asyncDispose]());
afterEach(() => {
  house.cloud.script.length = 0;
});

function asked(of: House["cloud"] = house.cloud): RecordedRequest {
  const request = of.generations.at(-1);
  if (request === undefined) throw new Error("nothing was asked");
  return request;
}

function headersOf(request: RecordedRequest): Map<string, string> {
  return new Map(request.headers.map(([name, value]) => [name.toLowerCase(), value]));
}

const { token } = tokenOf("windu");

function quickBrotli(bytes: Uint8Array): Uint8Array {
  return brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } });
}

rule(
  187,
  "whatever header begins with anthropic-, and every field of the body, goes to Anthropic as it came; to a model at home neither goes, though it was asked for by name",
  async () => {
    const headers = {
      "anthropic-version": "2023-06-01",
      "anthropic-beta": "claude-code-20250219,something-new-2027-01-01, spaced-2027-01-02",
      "anthropic-workspace-hint": "a header of tomorrow",
    };
    const extra = { context_management: { edits: [] }, field_of_tomorrow: { deep: [1.0, "\u00e9"] } };
    for (const stream of [false, true]) {
      expect((await post(house.gateway, "messages", { headers, extra: { ...extra, stream } })).status).toBe(200);
      for (const [name, value] of Object.entries(headers)) expect([name, asked().header(name)]).toEqual([name, value]);
      expect(asked().json()).toMatchObject(extra);
      const home = await post(house.gateway, "messages", { headers, model: "home-model", extra: { ...extra, stream } });
      expect(home.status).toBe(200);
      const names = [...headersOf(asked(house.local)).keys()].filter((name) => name.startsWith("anthropic-"));
      expect(names.filter((name) => name !== "anthropic-version")).toEqual([]);
      expect(asked(house.local).text).not.toContain("context_management");
      expect(asked(house.local).text).not.toContain("field_of_tomorrow");
    }
  },
);

rule(
  188,
  "both live versions of the Messages interface are taken, and the vendor gets the client's own; who names none, and every translated call, speaks the older one",
  async () => {
    for (const version of ["2023-06-01", "2026-10-21"]) {
      const headers = { "anthropic-version": version };
      expect((await post(house.gateway, "messages", { headers })).status).toBe(200);
      expect(asked().header("anthropic-version")).toBe(version);
      expect((await post(house.gateway, "chat", { headers, model: modelOf.messages })).status).toBe(200);
      expect(asked().header("anthropic-version")).toBe("2023-06-01");
    }
    expect((await post(house.gateway, "messages")).status).toBe(200);
    expect(asked().header("anthropic-version")).toBe("2023-06-01");
  },
);

rule(
  189,
  "a token is taken as bearer, as x-api-key, or as both, in every dialect; a wrong one never, beside nothing else",
  async () => {
    const good: Record<string, string>[] = [
      { authorization: `Bearer ${token}` },
      { authorization: `bearer  ${token}` },
      { "x-api-key": token },
      { authorization: `Bearer ${token}`, "x-api-key": token },
      { authorization: "Bearer sk-ant-some-other-login", "x-api-key": token },
      { "x-sanctum-token": token, "x-api-key": "sk-ant-own" },
    ];
    const bad: Record<string, string>[] = [
      { authorization: `Bearer ${token.slice(0, -1)}` },
      { "x-api-key": `${token}x` },
      { authorization: `Basic ${token}` },
      { authorization: `Bearer ${token}`, "x-api-key": tokenOf("mothma").token },
      { "x-sanctum-token": "wrong", "x-api-key": token },
    ];
    for (const dialect of dialects) {
      for (const headers of good) {
        const answer = await post(house.gateway, dialect, { headers, prefix: "/agent/windu" });
        expect([headers, answer.status]).toEqual([headers, 200]);
      }
      for (const headers of bad) {
        const answer = await post(house.gateway, dialect, { headers });
        expect([headers, answer.status]).toEqual([headers, 401]);
        await expectEnvelope(dialect, answer);
      }
    }
  },
);

rule(
  190,
  "a client's credentials never go to a vendor and the house's never come back, but where a provider is set to take the client's own login: then it goes untouched, with its flags",
  async () => {
    for (const dialect of dialects) {
      for (const stream of [false, true]) {
        const headers = { authorization: `Bearer ${token}`, "x-api-key": "sk-ant-mine", cookie: "a=sk-ant-mine" };
        house.cloud.script.push({ headers: { "x-api-key": HOUSE_KEY, authorization: `Bearer ${HOUSE_KEY}` } });
        const answer = await post(house.gateway, dialect, { headers, extra: { stream } });
        expect(answer.status).toBe(200);
        const head = [...answer.headers].flat().join("\n");
        expect(head + (await answer.text())).not.toContain(HOUSE_KEY);
        expect(asked().head).toContain(HOUSE_KEY);
        for (const own of [token, "sk-ant-mine"]) expect(asked().head).not.toContain(own);
      }
    }
    const login = "sk-ant-oat01-a-subscription";
    const headers = {
      "x-sanctum-token": token,
      authorization: `Bearer ${login}`,
      "anthropic-beta": "oauth-2025-04-20",
    };
    expect((await post(house.gateway, "messages", { headers, model: "own-claude" })).status).toBe(200);
    expect(asked().header("authorization")).toBe(`Bearer ${login}`);
    expect(asked().header("anthropic-beta")).toBe("oauth-2025-04-20");
    expect(asked().head).not.toContain(token);
  },
);

rule(
  191,
  "what belongs to one connection is made anew for the next: host, length, connection and what it names, encodings, cookies, proxy headers",
  async () => {
    const body = smallBody("messages", modelOf.messages);
    const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    const request = requestBytes(house.gateway.url, {
      path: "/v1/messages",
      body: "",
      headers: {
        host: new URL(house.gateway.url).host,
        connection: "close, x-secret-hop",
        "content-length": null,
        "transfer-encoding": "chunked",
        "keep-alive": "timeout=5",
        "proxy-authorization": "Basic x-canary",
        "proxy-connection": "keep-alive",
        "accept-encoding": "gzip, br, zstd",
        te: "trailers",
        trailer: "x-canary",
        upgrade: "h2c",
        expect: "",
        cookie: "x-canary=1",
        "x-secret-hop": "x-canary",
        forwarded: "for=x-canary",
      },
    });
    const answer = await rawExchange(house.gateway.url, request + chunked);
    expect(answer.status).toBe(200);
    const got = headersOf(asked());
    expect(got.get("host")).toBe(new URL(house.cloud.url).host);
    expect(got.get("content-length")).toBe(String(asked().body.length));
    expect(got.get("accept-encoding")).toBe("identity");
    const allowed = [
      "accept",
      "accept-encoding",
      "anthropic-version",
      "connection",
      "content-length",
      "content-type",
      "host",
      "user-agent",
      "x-api-key",
    ];
    expect([...got.keys()].filter((name) => !allowed.includes(name))).toEqual([]);
    expect(asked().head).not.toContain("x-canary");
  },
);

rule(
  193,
  "a compressed body is unpacked up to the size that a plain one may have; a bomb is refused as too large, a broken or doubled packing as not readable",
  async () => {
    const packers = { gzip: gzipSync, deflate: deflateSync, br: quickBrotli, zstd: zstdCompressSync };
    const send = (dialect: "messages" | "responses", coding: string, body: Uint8Array): Promise<Response> =>
      fetch(`${house.gateway.url}${routeOf[dialect]}`, {
        method: "POST",
        headers: { "content-type": "application/json", "content-encoding": coding },
        body: new Uint8Array(body),
      });
    const before = house.cloud.generations.length;
    // Of the cheapest to write: 33 MB of spaces in front of a small request.
    const bomb = Buffer.concat([
      Buffer.alloc(33 * 1024 * 1024, " "),
      Buffer.from(smallBody("messages", modelOf.messages)),
    ]);
    let served = 0;
    for (const [coding, pack] of Object.entries(packers)) {
      for (const dialect of ["messages", "responses"] as const) {
        const plain = smallBody(dialect, modelOf[dialect], { metadata: { note: "\u6771\u4eac ".repeat(500) } });
        const answer = await send(dialect, coding, pack(Buffer.from(plain)));
        expect([coding, answer.status]).toEqual([coding, 200]);
        expect(asked().json()["metadata"]).toEqual((JSON.parse(plain) as JsonObject)["metadata"]!);
        expect(asked().header("content-encoding")).toBeUndefined();
        served++;
      }
      const packed = pack(bomb);
      expect(packed.length).toBeLessThan(200_000);
      const exploded = await send("messages", coding, packed);
      expect([coding, exploded.status]).toEqual([coding, 413]);
      expect((await expectEnvelope("messages", exploded)).type).toBe("request_too_large");
      const small = pack(Buffer.from(smallBody("messages", modelOf.messages)));
      const broken = [
        await send("messages", coding, Buffer.from("not packed at all")),
        await send("messages", `${coding}, ${coding}`, pack(small)),
      ];
      for (const answer of broken) expect([coding, answer.status]).toEqual([coding, 415]);
      const half = await send("messages", coding, small.subarray(0, small.length >> 1));
      expect([400, 415]).toContain(half.status);
    }
    expect((await send("messages", "compress", Buffer.from("{}"))).status).toBe(415);
    expect(house.cloud.generations).toHaveLength(before + served);
  },
);

rule(200, "a client's session, thread, agent and machine stay in the house, whichever vendor is asked", async () => {
  const canary = "canary-of-a-session";
  const names = [
    "x-claude-code-session-id",
    "x-claude-code-agent-id",
    "x-claude-code-parent-agent-id",
    "session-id",
    "session_id",
    "thread-id",
    "conversation_id",
    "x-codex-window-id",
    "x-codex-turn-metadata",
    "x-codex-installation-id",
    "x-client-request-id",
    "originator",
    "user-agent",
    "x-app",
    "x-stainless-os",
    "x-stainless-arch",
    "x-stainless-runtime-version",
    "openai-organization",
    "chatgpt-account-id",
    "http-referer",
    "x-title",
  ];
  const headers = Object.fromEntries(names.map((name) => [name, canary]));
  for (const client of dialects) {
    for (const model of [
      ...new Set(Object.values(modelOf)),
      "openrouter/meta-llama/llama-3.3-70b-instruct",
      "coder-14b",
      "home-model",
    ]) {
      for (const stream of [false, true]) {
        const before = [house.cloud.generations.length, house.local.generations.length];
        expect([model, (await post(house.gateway, client, { headers, model, extra: { stream } })).status]).toEqual([
          model,
          200,
        ]);
        const got = [...house.cloud.generations.slice(before[0]), ...house.local.generations.slice(before[1])];
        expect(got).toHaveLength(1);
        expect([client, model, got[0]!.head.includes(canary)]).toEqual([client, model, false]);
      }
    }
  }
});
