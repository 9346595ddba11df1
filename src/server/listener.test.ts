import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GatewayError } from "../errors.ts";
import type { Arrived } from "../request.ts";
import { listen, type Listener, type ListenerParts } from "./listener.ts";
import { createOperations } from "./operations.ts";

const open: Listener[] = [];
afterEach(async () => {
  for (const listener of open.splice(0)) await listener.kill();
});

const loopback = { text: "127.0.0.1:0", host: "127.0.0.1", port: 0, socketPath: undefined, loopback: true };

function started(some: Partial<ListenerParts> = {}): { listener: Listener; arrived: Arrived[]; lines: string[] } {
  const arrived: Arrived[] = [];
  const lines: string[] = [];
  const listener = listen({
    address: loopback,
    hostNames: [],
    tls: undefined,
    newId: () => "req_1",
    handle: async (request) => {
      arrived.push(request);
      const body = Buffer.from(await request.readBody()).toString();
      return { status: 200, headers: {}, body, finished: Promise.resolve({ outcome: "ok", bytesOut: body.length }) };
    },
    operations: createOperations({
      stats: () => "{}",
      metrics: () => "",
      watchStats: () => null,
      notReady: () => [],
      access: () => "loopback",
      requireToken: () => {
        throw new GatewayError("IDENTITY_REQUIRED");
      },
      dashboard: { paths: [], streams: [], answer: () => new Response() },
      listModels: () => [{ id: "a/b:c", provider: "a", context: undefined }],
    }),
    report: (line) => lines.push(line),
    ...some,
  });
  open.push(listener);
  return { listener, arrived, lines };
}

async function call(url: string, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${url}${path}`, { method: "POST", body: "body", ...init });
}

describe("every route of the data plane", () => {
  const routes = [
    ["/v1/messages", "messages", "generate"],
    ["/v1/messages/count_tokens", "messages", "count_tokens"],
    ["/v1/chat/completions", "chat", "generate"],
    ["/v1/embeddings", "chat", "embeddings"],
    ["/v1/responses", "responses", "generate"],
  ] as const;

  test("is served as it is, under OpenRouter's base path, and under an agent's name", async () => {
    const { listener, arrived } = started();
    for (const [path, dialect, operation] of routes) {
      for (const [prefix, claimedAgent] of [
        ["", undefined],
        ["/api", undefined],
        ["/agent/windu", "windu"],
        ["/agent/windu/api", "windu"],
      ] as const) {
        const response = await call(listener.url, `${prefix}${path}?beta=true`);
        expect([prefix + path, await response.text()]).toEqual([prefix + path, "body"]);
        expect(response.headers.get("x-sanctum-request-id")).toBe("req_1");
        expect(arrived.pop()).toMatchObject({
          path,
          dialect,
          operation,
          claimedAgent,
          fromLoopback: true,
          peer: "127.0.0.1",
        });
      }
    }
  });

  test("takes POST alone, and no upgrade", async () => {
    const { listener, arrived } = started();
    for (const [path] of routes) {
      for (const method of ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
        const response = await call(listener.url, path, { method, body: null });
        expect([method, path, response.status]).toEqual([method, path, 405]);
      }
      const upgrade = await fetch(`${listener.url}${path}`, {
        headers: { upgrade: "websocket", connection: "upgrade" },
      });
      expect([path, upgrade.status]).toEqual([path, 426]);
    }
    expect(arrived).toEqual([]);
  });

  test("claims no agent by a name that is written with an escape", async () => {
    const { listener, arrived } = started();
    const response = await call(listener.url, "/agent/win%64u/v1/messages");
    expect(response.status).toBe(404);
    expect(arrived).toEqual([]);
  });
});

describe("an unknown path is 404", () => {
  test("in the dialect that it resembles", async () => {
    const { listener } = started();
    const messages = (await (await call(listener.url, "/v2/messages")).json()) as object;
    expect(messages).toMatchObject({ type: "error", error: { type: "not_found_error" } });
    for (const path of ["/v2/responses", "/v1/completions", "/v1/files", "/agent/windu", "/v1/", "/api"]) {
      const response = await call(listener.url, path);
      expect([path, response.status, response.headers.get("x-sanctum-error")]).toEqual([path, 404, "DOOR_PATH"]);
      expect(await response.json()).toMatchObject({ error: { code: "unknown_url" } });
    }
    const asked = await call(listener.url, "/anything", { headers: { "anthropic-version": "2023-06-01" } });
    expect(await asked.json()).toMatchObject({ type: "error" });
  });
});

describe("what a handler throws", () => {
  test("becomes an answer in the route's dialect", async () => {
    const handle = async (): Promise<never> => {
      throw new GatewayError("BUDGET_EXHAUSTED");
    };
    const { listener } = started({ handle });
    expect((await call(listener.url, "/v1/messages")).status).toBe(402);
    const chat = await call(listener.url, "/v1/chat/completions");
    expect([chat.status, chat.headers.get("x-should-retry")]).toEqual([429, "false"]);
  });

  test("unforeseen is 500 with a fixed text, and a line in the log under the request's id", async () => {
    const handle = async (): Promise<never> => {
      throw new TypeError("a defect");
    };
    const { listener, lines } = started({ handle });
    const response = await call(listener.url, "/v1/messages");
    expect([response.status, (await response.text()).includes("a defect")]).toEqual([500, false]);
    expect(lines[0]).toMatch(/^req_1 .*a defect/s);
  });
});

describe("the other routes", () => {
  test("models are listed and looked up under every prefix, ids with slashes and colons, encoded or not", async () => {
    const { listener } = started();
    for (const prefix of ["", "/api", "/agent/windu"]) {
      expect((await fetch(`${listener.url}${prefix}/v1/models`)).status).toBe(200);
      for (const id of ["a/b:c", "a%2Fb%3Ac"]) {
        const response = await fetch(`${listener.url}${prefix}/v1/models/${id}`);
        expect([prefix, id, await response.json()]).toMatchObject([prefix, id, { id: "a/b:c" }]);
      }
    }
    expect((await fetch(`${listener.url}/v1/models/unknown`)).status).toBe(404);
    expect((await fetch(`${listener.url}/v1/models/%zz`)).status).toBe(404);
    expect((await call(listener.url, "/v1/models")).status).toBe(405);
  });

  test("the root greets, as Claude Code asks for it first, and takes nothing else", async () => {
    const { listener } = started();
    expect((await fetch(`${listener.url}/`, { method: "HEAD" })).status).toBe(200);
    expect(await (await fetch(`${listener.url}/`)).text()).toContain("Sanctum");
    expect((await call(listener.url, "/")).status).toBe(405);
  });

  test("operations are on the same port", async () => {
    const { listener } = started();
    expect((await fetch(`${listener.url}/healthz`)).status).toBe(200);
    expect((await fetch(`${listener.url}/stats`)).status).toBe(200);
    expect((await fetch(`${listener.url}/healthz`, { headers: { origin: "https://evil.example" } })).status).toBe(403);
  });
});

test("a port that is taken is refused, not shared", () => {
  const { listener } = started();
  const port = Number(new URL(listener.url).port);
  expect(() => started({ address: { ...loopback, port } })).toThrow(/in use/);
});

describe("a Unix socket", () => {
  const folder = mkdtempSync(join(tmpdir(), "sanctum-sock-"));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const socketPath = join(folder, "s.sock");
  const address = { text: `unix:${socketPath}`, host: undefined, port: undefined, socketPath, loopback: true };

  test("is served like loopback, under any Host", async () => {
    const { listener, arrived } = started({ address });
    expect(listener.url).toBe(address.text);
    const response = await fetch("http://anything.example/v1/messages", {
      method: "POST",
      body: "x",
      unix: socketPath,
    } as RequestInit);
    expect(await response.text()).toBe("x");
    expect(arrived[0]).toMatchObject({ peer: "unix", fromLoopback: true });
  });
});

test("a client that leaves is seen by the handler", async () => {
  const gone = Promise.withResolvers<void>();
  const came = Promise.withResolvers<void>();
  const handle = async (request: Arrived): Promise<never> => {
    request.signal.addEventListener("abort", () => gone.resolve(), { once: true });
    came.resolve();
    await gone.promise;
    throw new GatewayError("CLIENT_GONE");
  };
  const { listener } = started({ handle });
  const leaving = new AbortController();
  const answer = call(listener.url, "/v1/messages", { signal: leaving.signal }).catch(() => undefined);
  await came.promise;
  leaving.abort();
  await Promise.all([gone.promise, answer]);
});
