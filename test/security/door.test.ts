// Promise: only what is in the route table, said in plain HTTP by a program on an address we know, gets in.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { smallBody, startHouse, type House } from "../fakes/house.ts";
import { rawExchange, rawPost, requestBytes, type RawPost, type RawResponse } from "../fakes/raw-client.ts";

setDefaultTimeout(30_000);

let house: House;

beforeAll(async () => {
  house = await startHouse();
});

afterAll(async () => {
  await house[Symbol.asyncDispose]();
});

const body = smallBody("messages", "claude-sonnet-4-5");

async function knock(change: Partial<RawPost>): Promise<RawResponse> {
  return rawPost(house.gateway.url, { path: "/v1/messages", body, ...change });
}

/** Nothing goes upstream in any test of this file, but for what a test itself adds to `expectedAtCloud`. */
let expectedAtCloud = 0;
beforeEach(() => {
  expectedAtCloud = house.cloud.requests.length;
});
afterEach(() => {
  expect(house.cloud.requests.length).toBe(expectedAtCloud);
  expect(house.local.generations.length).toBe(0);
});

test("a plain request passes, with `?beta=true` too, and under every prefix", async () => {
  for (const path of ["/v1/messages", "/v1/messages?beta=true", "/api/v1/messages", "/agent/default/v1/messages"]) {
    const answer = await knock({ path });
    expect([path, answer.status]).toEqual([path, 200]);
    expectedAtCloud++;
  }
});

describe("a Host that is not ours is 421", () => {
  const port = (): string => new URL(house.gateway.url).port;
  // PORT stands for the port of the gateway.
  const wrong = [
    "evil.example",
    "evil.example:PORT",
    "127.0.0.1.evil.example",
    "127.0.0.1.evil.example:PORT",
    "127.0.0.1:1",
    "127.0.0.1:PORT0",
    "127.0.0.1:0PORT",
    "127.0.0.1:+PORT",
    "127.0.0.1:",
    "127.0.0.1.",
    "127.0.0.1.:PORT",
    "127.0.0.1:PORT.",
    "127.0.0.1:PORT:PORT",
    "127.0.0.1:PORT/",
    "127.0.0.1:PORT?x",
    "127.0.0.1:PORT#x",
    "127.0.0.1:PORT@evil.example",
    "127.0.0.1@evil.example",
    "evil.example@127.0.0.1:PORT",
    "127.0.0.1:PORT, evil.example",
    "evil.example, 127.0.0.1:PORT",
    "http://127.0.0.1:PORT",
    "127.0.0.1%00.evil.example",
    "127.1:PORT",
    "127.0.1:PORT",
    "127.0.0.2:PORT",
    "0127.0.0.1:PORT",
    "0x7f.0.0.1:PORT",
    "0x7f000001:PORT",
    "2130706433:PORT",
    "0.0.0.0",
    "0.0.0.0:PORT",
    "[::]:PORT",
    "[::ffff:127.0.0.1]:PORT",
    "[::1",
    "::1",
    "169.254.169.254",
    "localhost:1",
    "localhost.",
    "localhost.:PORT",
    "localhost.localdomain:PORT",
    "localhost.evil.example:PORT",
    "evil-localhost:PORT",
    "%6cocalhost:PORT",
    "xn--localhost",
    "loca\u017fhost:PORT",
  ].map((host) => Buffer.from(host).toString("latin1"));
  test("in forty ways and more", () => {
    expect(new Set(wrong).size).toBeGreaterThan(40);
  });
  for (const host of wrong) {
    test(JSON.stringify(host), async () => {
      for (const path of ["/v1/messages", "/stats", "/"]) {
        const answer = await knock({
          path,
          headers: { host: host.replaceAll("PORT", port()) },
          ...(path === "/v1/messages" ? {} : { method: "GET", body: "" }),
        });
        expect([400, 421]).toContain(answer.status);
        expect(answer.body).not.toContain("agents");
      }
    });
  }

  test("missing, empty or twice", async () => {
    expect([400, 421]).toContain((await knock({ headers: { host: null } })).status);
    expect([400, 421]).toContain((await knock({ headers: { host: "" } })).status);
    const { host } = new URL(house.gateway.url);
    for (const twice of [`${host}\r\nhost: evil.example`, `evil.example\r\nhost: ${host}`]) {
      expect([400, 421]).toContain((await knock({ headers: { host: twice } })).status);
    }
  });

  test("localhost with our port is ours, in whatever letters", async () => {
    for (const host of [`localhost:${port()}`, `LocalHost:${port()}`]) {
      expect((await knock({ headers: { host } })).status).toBe(200);
      expectedAtCloud++;
    }
  });
});

describe("a web page gets nothing", () => {
  const pages: readonly Record<string, string>[] = [
    { origin: "https://evil.example" },
    { origin: "null" },
    { origin: "http://localhost:3000" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { "sec-fetch-mode": "no-cors" },
    { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" },
  ];
  for (const headers of pages) {
    test(`${JSON.stringify(headers)} is 403, on both planes`, async () => {
      const both = [await knock({ headers }), await knock({ headers, path: "/stats", method: "GET", body: "" })];
      for (const answer of both) {
        expect(answer.status).toBe(403);
        expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control-"))).toEqual([]);
      }
    });
  }

  test("a form, an image, a beacon and a script of another origin are refused, with or without a token", async () => {
    const bodies = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain;charset=UTF-8"];
    const simple: Record<string, string>[] = bodies.map((type) => ({
      "content-type": type,
      "sec-fetch-mode": "no-cors",
    }));
    const old: Record<string, string>[] = bodies.map((type) => ({ "content-type": type }));
    const module = { "content-type": "application/json", "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors" };
    for (const headers of [...simple, ...old, module]) {
      for (const credential of [{}, { cookie: "token=x" }, { authorization: "Bearer anonymous" }]) {
        const answer = await knock({ headers: { ...headers, ...credential } });
        // A browser that is too old to say where it comes from still says what a page may send.
        expect([403, 415]).toContain(answer.status);
      }
    }
    for (const destination of ["image", "script", "iframe", "document"]) {
      const headers = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": destination };
      for (const path of ["/stats", "/metrics", "/healthz", "/v1/models", "/"])
        expect((await knock({ path, method: "GET", body: "", headers })).status).toBe(403);
    }
  });

  test("no answer, whoever asks, sets a cookie or allows another origin", async () => {
    const answers = [
      await knock({ path: "/stats", method: "GET", body: "" }),
      await knock({ path: "/v1/unknown" }),
      await knock({ headers: { authorization: "Bearer wrong" } }),
    ];
    for (const { headers } of answers)
      expect(Object.keys(headers).filter((name) => /^(access-control-|set-cookie)/.test(name))).toEqual([]);
  });

  test("a preflight is refused without any access-control header", async () => {
    const answer = await knock({
      method: "OPTIONS",
      body: "",
      headers: { origin: "https://evil.example", "access-control-request-method": "POST" },
    });
    expect([403, 405]).toContain(answer.status);
    expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control-"))).toEqual([]);
  });
});

describe("a path that is not in the table, to the byte, is refused", () => {
  const paths = [
    "//v1/messages",
    "/v1//messages",
    "/v1/messages//",
    "/./v1/messages",
    "/v1/../v1/messages",
    "/v1/%2e%2e/v1/messages",
    "/%2e%2e/v1/messages",
    "/%761/messages",
    "/v1%2fmessages",
    "/v1\\messages",
    "/\\evil.example/v1/messages",
    "/V1/messages",
    "/v1/Messages",
    "/v1/messages;x=1",
    "/v1/messages%00",
    "/v1/messages/../models",
    "/v1/complete",
    "/v1/completions",
    "/v1/batches",
    "/v1/messages/batches",
    "/v1/files",
    "/v1/images/generations",
    "/v1/audio/speech",
    "/v1/realtime",
    "/v1/organizations",
    "/agent/default/v1/files",
    "/agent//v1/messages",
    "/agent/default/../v1/messages",
    "/agent/agent/default/v1/messages",
    "/agent/%64efault/v1/messages",
    "/api/api/v1/messages",
    "/api/v1/credits",
    "//evil.example/v1/messages",
    "/@evil.example/v1/messages",
  ];
  for (const path of paths) {
    test(path, async () => {
      const answer = await knock({ path });
      expect([400, 404, 421]).toContain(answer.status);
    });
  }

  test("an absolute target is this gateway's own path and goes nowhere else", async () => {
    // The runtime drops the authority of such a target (RFC 9112, 3.2.2) before we see it: only the path counts.
    const answer = await knock({ path: "http://evil.example/v1/unknown" });
    expect(answer.status).toBe(404);
  });

  test("the refusal is in the dialect that the path resembles", async () => {
    const anthropic = await knock({ path: "/v1/messages/batches" });
    expect(JSON.parse(anthropic.body)).toMatchObject({ type: "error", error: { type: "not_found_error" } });
    const openai = await knock({ path: "/v1/completions" });
    expect(JSON.parse(openai.body)).toMatchObject({ error: { message: expect.any(String) } });
    for (const answer of [anthropic, openai]) expect(answer.headers["x-sanctum-error"]).toBe("DOOR_PATH");
  });
});

describe("methods and upgrades", () => {
  for (const method of ["GET", "PUT", "DELETE", "PATCH", "HEAD", "TRACE", "OPTIONS", "PROPFIND"]) {
    test(`${method} /v1/messages is refused`, async () => {
      const answer = await knock({ method });
      expect([400, 403, 404, 405, 501]).toContain(answer.status);
    });
  }

  test("CONNECT opens no tunnel", async () => {
    const { host } = new URL(house.cloud.url);
    const answer = await rawExchange(house.gateway.url, `CONNECT ${host} HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
    expect(answer.status).not.toBe(200);
  });

  test("a WebSocket upgrade on /v1/responses is 426, elsewhere not 101", async () => {
    const headers = {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      "content-length": null,
      "content-type": null,
    };
    const answer = await knock({ path: "/v1/responses", method: "GET", body: "", headers });
    expect(answer.status).toBe(426);
    for (const path of ["/v1/messages", "/stats", "/"]) {
      const other = await knock({ path, method: "GET", body: "", headers });
      expect(other.status).not.toBe(101);
      expect(other.status).toBeGreaterThanOrEqual(200);
    }
  });
});

describe("another protocol on the port", () => {
  const json = "content-type: application/json";
  const bytes = (line: string, ...headers: readonly string[]): string =>
    [
      line,
      `host: ${new URL(house.gateway.url).host}`,
      json,
      `content-length: ${body.length}`,
      ...headers,
      "",
      body,
    ].join("\r\n");
  const refused: readonly [string, () => string][] = [
    ["HTTP/2.0 by name", () => bytes("POST /v1/messages HTTP/2.0")],
    ["HTTP/3 by name", () => bytes("POST /v1/messages HTTP/3")],
    ["HTTP/1.2", () => bytes("POST /v1/messages HTTP/1.2")],
    ["no version", () => bytes("POST /v1/messages")],
    ["a version in small letters", () => bytes("POST /v1/messages http/1.1")],
    ["the preface of HTTP/2", () => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"],
    ["a method in small letters", () => bytes("post /v1/messages HTTP/1.1", "connection: close")],
    ["an unknown method", () => bytes("TUNNEL /v1/messages HTTP/1.1", "connection: close")],
    ["CONNECT to a route", () => bytes("CONNECT /v1/messages HTTP/1.1")],
    ["TRACE with a body", () => bytes("TRACE /v1/messages HTTP/1.1")],
    ["the target *", () => bytes("POST * HTTP/1.1")],
    ["a WebSocket by POST", () => bytes("POST /v1/messages HTTP/1.1", "connection: upgrade", "upgrade: websocket")],
    ["a WebSocket among others", () => bytes("POST /v1/messages HTTP/1.1", "upgrade: h2c, WebSocket")],
    ["a blank before a colon", () => bytes("POST /v1/messages HTTP/1.1", "authorization : Bearer anonymous")],
  ];
  for (const [name, request] of refused) {
    test(`is refused, without a tunnel: ${name}`, async () => {
      const answer = await rawExchange(house.gateway.url, request());
      expect([0, 400, 405, 426, 501, 505]).toContain(answer.status);
    });
  }

  test("is not switched to: an offer of h2c or TLS is answered in HTTP/1.1", async () => {
    for (const offer of ["h2c", "TLS/1.0"]) {
      const answer = await rawExchange(
        house.gateway.url,
        bytes("POST /v1/messages HTTP/1.1", `connection: upgrade, close`, `upgrade: ${offer}`),
      );
      expect([offer, answer.status, answer.headers["upgrade"]]).toEqual([offer, 200, undefined]);
      expectedAtCloud++;
    }
  });
});

describe("a way to manage the gateway", () => {
  const paths = `
    /admin /admin/ /api/admin /config /api/config /settings /login /logout /signup /ui /run /reload /stop
    /addresses /keys /keys/refresh /agents /tokens /run/admin.sock /key/generate /key/info /user/new /team/new
    /model/new /budget/new /spend/logs /sso/callback /v1/keys /v1/agents /v1/admin /v1/organizations
    /v1/organization/admin_api_keys /v1/users /debug /debug/pprof /debug/vars /server-status /actuator
    /actuator/env /env /inspect /.env /.git/config /config.yaml /sanctum-proxy/config.yaml /ledger.sqlite /audit
    /logs /agent/windu /agent/windu/ /agent/windu/tokens /agent/windu/stats /agent/windu/metrics /graphql /rpc
    /mcp /openapi.json /docs /swagger /json/version /shutdown /restart
  `
    .trim()
    .split(/\s+/);
  test("is on no path and by no method: nothing outside the table answers anything but 404", async () => {
    for (const path of paths) {
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE"]) {
        const answer = await knock({ path, method, ...(method === "GET" ? { body: "" } : {}) });
        expect([method, path, answer.status]).toEqual([method, path, 404]);
      }
    }
  });

  test("is not among the routes: every path of the table asks a model, lists models or tells numbers", async () => {
    const table = readFileSync(new URL("../../docs/reference/routes.md", import.meta.url), "utf8");
    const told = new Set([...table.matchAll(/`(?:(?:GET|POST) )?(\/[a-z_/0-9]*)`/g)].map(([, path]) => path));
    for (const path of told) {
      const changes = await knock({ path: path!, method: "DELETE", body: "" });
      expect([path, [404, 405].includes(changes.status)]).toEqual([path, true]);
    }
    expect(told.size).toBeGreaterThan(8);
    for (const path of ["/stats", "/metrics", "/healthz", "/readyz", "/v1/models", "/"])
      for (const method of ["POST", "PUT", "PATCH", "DELETE"])
        expect([path, method, (await knock({ path, method })).status]).toEqual([path, method, 405]);
  });
});

describe("the body", () => {
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", null]) {
    test(`of type ${type} is 415`, async () => {
      const answer = await knock({ headers: { "content-type": type } });
      expect(answer.status).toBe(415);
      expect(JSON.parse(answer.body)).toMatchObject({ type: "error" });
    });
  }

  for (const coding of ["gzip", "br", "zstd", "deflate", "gzip, identity", "x-gzip"]) {
    test(`with content-encoding ${coding} is 415`, async () => {
      expect((await knock({ headers: { "content-encoding": coding } })).status).toBe(415);
    });
  }

  test("of more than 32 MB is 413 before it is sent, and in chunks as soon as it is seen", async () => {
    const declared = await knock({ body: "{", headers: { "content-length": String(32 * 1024 * 1024 + 1) } });
    expect(declared.status).toBe(413);
    expect(JSON.parse(declared.body)).toMatchObject({ type: "error", error: { type: "request_too_large" } });
    const part = "x".repeat(1 << 20);
    const framed = `${part.length.toString(16)}\r\n${part}\r\n`.repeat(33);
    const head = requestBytes(house.gateway.url, {
      path: "/v1/messages",
      body: "",
      headers: { "content-length": null, "transfer-encoding": "chunked" },
    });
    const chunked = await rawExchange(house.gateway.url, head + framed);
    expect([0, 413]).toContain(chunked.status);
  });

  test("of 31 MB is taken", async () => {
    const text = "a".repeat(31 << 20);
    const large = smallBody("messages", "no-such-model", { messages: [{ role: "user", content: text }] });
    expect((await knock({ body: large })).status).toBe(404);
  });
});

describe("framing that two parsers could read in two ways", () => {
  const ambiguous: readonly [string, Record<string, string>][] = [
    ["both length and chunks", { "transfer-encoding": "chunked" }],
    ["an unknown coding", { "transfer-encoding": "gzip, chunked", "content-length": "0" }],
    ["a length with a sign", { "content-length": `+${body.length}` }],
    ["two lengths in one header", { "content-length": `${body.length}, ${body.length + 1}` }],
    ["a length in hexadecimal", { "content-length": "0x20" }],
  ];
  for (const [name, headers] of ambiguous) {
    test(`${name} is refused`, async () => {
      expect([0, 400, 411, 501]).toContain((await knock({ headers })).status);
    });
  }

  test("headers beyond 16 KB are refused", async () => {
    expect([0, 400, 413, 431]).toContain((await knock({ headers: { "x-padding": "p".repeat(17_000) } })).status);
  });

  test("a second request hidden in the body of the first is not served", async () => {
    const hidden = requestBytes(house.gateway.url, { path: "/v1/messages", body });
    const answer = await rawExchange(
      house.gateway.url,
      requestBytes(house.gateway.url, {
        path: "/v1/messages",
        body: `0\r\n\r\n${hidden}`,
        headers: { "transfer-encoding": "chunked" },
      }),
    );
    expect([0, 400]).toContain(answer.status);
  });
});
