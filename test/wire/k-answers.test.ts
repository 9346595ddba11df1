// Headers on their way back to a client.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout } from "bun:test";
import {
  dialects,
  HOUSE_KEY,
  modelOf,
  post,
  readThenOpen,
  startHouse,
  type House,
  type TestDialect,
} from "../fakes/house.ts";
import { Gate } from "../fakes/gate.ts";
import { objectsOf } from "../fakes/json-access.ts";
import { rawExchange, rawPost } from "../fakes/raw-client.ts";
import { expectEnvelope } from "./expect-envelope.ts";
import { FreshModels } from "./fresh-models.ts";
import { rule } from "./rule.ts";

setDefaultTimeout(30_000);

const models = new FreshModels(80, { key: "none" });
let house: House;
beforeAll(async () => {
  house = await startHouse({ config: ({ cloud }) => ({ ...models.config(cloud), fallback: [] }) });
});
afterAll(async () => house[Symbol.asyncDispose]());
afterEach(() => {
  house.cloud.script.length = 0;
});

const idHeader = { messages: "request-id", chat: "x-request-id", responses: "x-request-id" } as const;

rule(
  192,
  "how a vendor packed and measured its body never reaches the client, with errors neither; a packed answer counts as none",
  async () => {
    for (const client of dialects) {
      for (const coding of ["gzip", "br", "zstd", "deflate"]) {
        const headers = { "content-encoding": coding };
        for (const [status, told] of [
          [400, 400],
          [404, 404],
          [500, 503],
        ] as const) {
          house.cloud.script.push({ refuse: { status, headers, body: { error: { message: "so it is" } } } });
          const answer = await post(house.gateway, client, {
            model: models.take(client),
            extra: { stream: status === 404 },
          });
          expect([coding, answer.status, answer.headers.get("content-encoding")]).toEqual([coding, told, null]);
          const text = await answer.text();
          expect(answer.headers.get("content-length") ?? String(text.length)).toBe(String(text.length));
        }
      }
      house.cloud.script.push({ headers: { "content-encoding": "gzip" } });
      expect((await post(house.gateway, client, { model: models.take(client) })).status).toBe(503);
    }
  },
);

rule(
  194,
  "every answer has its id under the name that the client's vendor uses, errors and lists too; the vendor's own id is kept in the audit trail",
  async () => {
    const expectId = (answer: Response, header: "request-id" | "x-request-id"): string => {
      const id = answer.headers.get("x-sanctum-request-id");
      expect(id).toMatch(/^req_[0-9A-Z]{26}$/);
      expect(answer.headers.get(header)).toBe(id!);
      return id!;
    };
    for (const dialect of dialects) {
      const header = idHeader[dialect];
      for (const stream of [false, true]) {
        house.cloud.script.push({ headers: { [header]: `vendor-${dialect}-${stream}` } });
        const answer = await post(house.gateway, dialect, { model: models.take(dialect), extra: { stream } });
        await answer.text();
        const id = expectId(answer, header);
        const line = await house.gateway.auditLine((one) => one.id === id);
        expect(objectsOf(line["attempts"]).map((attempt) => attempt["upstream_id"])).toEqual([
          `vendor-${dialect}-${stream}`,
        ]);
      }
      expectId(await post(house.gateway, dialect, { model: "nobody-knows-it" }), header);
      expectId(await post(house.gateway, dialect, { headers: { "x-api-key": "wrong" } }), header);
      house.cloud.script.push({
        refuse: { status: 400, headers: { [header]: "v-400" }, body: { error: { message: "no" } } },
      });
      expectId(await post(house.gateway, dialect, { model: models.take(dialect) }), header);
    }
    // A generation id of a router says more; what is no id is not kept.
    const ids = [
      [{ "x-request-id": "transfer", "x-generation-id": "gen-17" }, "gen-17"],
      [{ "x-request-id": "x".repeat(2_000) }, undefined],
      [{ "x-request-id": "two words" }, undefined],
      [{ "x-request-id": "caf\u00e9" }, undefined],
    ] as const;
    for (const [headers, kept] of ids) {
      house.cloud.script.push({ headers });
      const answer = await post(house.gateway, "chat", { model: models.take("chat") });
      await answer.text();
      const line = await house.gateway.auditLine((one) => one.id === answer.headers.get("x-request-id"));
      expect(objectsOf(line["attempts"])[0]?.["upstream_id"]).toBe(kept);
    }
    const list = `${house.gateway.url}/v1/models`;
    expectId(await fetch(list), "x-request-id");
    expectId(await fetch(list, { headers: { "anthropic-version": "2023-06-01" } }), "request-id");
    expectId(await fetch(`${house.gateway.url}/v1/nothing`), "x-request-id");
    expectId(await fetch(`${house.gateway.url}/v1/messages/nothing`), "request-id");
  },
);

const limits: Readonly<Record<string, string>> = {
  "anthropic-ratelimit-requests-remaining": "1",
  "anthropic-ratelimit-tokens-reset": "2026-11-23T18:00:00Z",
  "anthropic-ratelimit-unified-status": "allowed",
  "x-ratelimit-remaining-requests": "1",
  "x-ratelimit-reset-tokens": "6m0s",
  "ratelimit-remaining": "1",
};

rule(
  195,
  "how much of a vendor's limits is left is the house's business: no client is told, on a 200, a 400 or a 429",
  async () => {
    for (const client of dialects) {
      for (const upstream of dialects) {
        const refusals = [undefined, { status: 400, body: { error: { message: "no" } } }, { status: 429, body: {} }];
        for (const refuse of refusals) {
          house.cloud.script.push(
            refuse === undefined ? { headers: limits } : { refuse: { ...refuse, headers: limits } },
          );
          const answer = await post(house.gateway, client, { model: models.take(upstream) });
          expect(answer.status).toBe(refuse?.status ?? 200);
          expect([...answer.headers.keys()].filter((name) => name.includes("ratelimit"))).toEqual([]);
        }
      }
    }
  },
);

async function limited(client: TestDialect, headers: Record<string, string>, status = 429): Promise<Response> {
  house.cloud.script.push({ refuse: { status, headers, body: { error: { message: "slow down" } } } });
  return post(house.gateway, client, { model: models.take(client) });
}

rule(
  196,
  "how long to wait is passed on as whole seconds, at most 30: milliseconds win over seconds, dates count, nonsense does not",
  async () => {
    const waits: readonly (readonly [Record<string, string>, string])[] = [
      [{ "retry-after": "2" }, "2"],
      [{ "retry-after": "30" }, "30"],
      [{ "retry-after": "90" }, "30"],
      [{ "retry-after": "400" }, "30"],
      [{ "retry-after": "20", "retry-after-ms": "1500" }, "2"],
      [{ "retry-after": "0.2" }, "1"],
      [{ "retry-after": "Fri, 31 Dec 2099 23:59:59 GMT" }, "30"],
    ];
    for (const [headers, told] of waits) {
      const answer = await limited("messages", headers);
      expect([headers, answer.status, answer.headers.get("retry-after")]).toEqual([headers, 429, told]);
      expect(answer.headers.get("retry-after-ms")).toBeNull();
    }
    for (const nonsense of ["soon", "-5", "1e999", "NaN"]) {
      const seconds = Number((await limited("chat", { "retry-after": nonsense })).headers.get("retry-after"));
      expect(seconds).toBeGreaterThanOrEqual(1);
      expect(seconds).toBeLessThanOrEqual(30);
    }
    for (const client of dialects) {
      for (const [asked, told] of [
        ["12", "12"],
        ["400", "30"],
      ] as const) {
        const down = await limited(client, { "retry-after": asked }, 503);
        expect([client, down.status, down.headers.get("retry-after")]).toEqual([client, 503, told]);
      }
    }
  },
);

rule(
  197,
  "after the gateway's own tries a failure is told as final, whatever the vendor says; where waiting helps, it is not",
  async () => {
    for (const client of dialects) {
      for (const vendors of ["true", "false"]) {
        for (const status of [500, 502, 529]) {
          const answer = await limited(client, { "x-should-retry": vendors }, status);
          expect([status, answer.status, answer.headers.get("x-should-retry")]).toEqual([status, 503, "false"]);
        }
      }
      const own = await limited(client, { "x-should-retry": "true" }, 400);
      expect([own.status, own.headers.get("x-should-retry")]).toEqual([400, "false"]);
      const wait = await limited(client, { "x-should-retry": "false", "retry-after": "20" });
      expect([wait.status, wait.headers.get("x-should-retry")]).toEqual([429, null]);
    }
  },
);

rule(
  198,
  "a vendor's used-up subscription is a limit like others: told without the vendor's headers, and not asked again before its time",
  async () => {
    const model = models.take("messages");
    const headers = {
      "anthropic-ratelimit-unified-status": "rejected",
      "anthropic-ratelimit-unified-reset": "4102444800",
      "retry-after": "3600",
    };
    house.cloud.script.push({
      refuse: {
        status: 429,
        headers,
        body: {
          type: "error",
          error: { type: "rate_limit_error", message: "This request would exceed your account's rate limit." },
        },
      },
    });
    const before = house.cloud.generations.length;
    for (let times = 0; times < 3; times++) {
      const answer = await post(house.gateway, "messages", { model });
      expect([answer.status, answer.headers.get("retry-after")]).toEqual([429, "30"]);
      expect((await expectEnvelope("messages", answer)).type).toBe("rate_limit_error");
      expect([...answer.headers.keys()].filter((name) => name.startsWith("anthropic-"))).toEqual([]);
    }
    expect(house.cloud.generations).toHaveLength(before + 1);
  },
);

rule(
  199,
  "of a vendor's answer headers none but its own meaning gets through: no other model's name, no plan, account, cookie or policy",
  async () => {
    const nasty: Readonly<Record<string, string>> = {
      ...limits,
      "openai-model": "another-model",
      "openai-organization": "the-house",
      "openai-processing-ms": "12",
      "openai-version": "2020-10-01",
      "x-codex-primary-used-percent": "99",
      "x-codex-secondary-reset-after-seconds": "9",
      "x-codex-plan-type": "pro",
      "x-codex-credits-balance": "0",
      "x-models-etag": "abc",
      "x-reasoning-included": "true",
      "anthropic-organization-id": "the-house",
      "anthropic-priority-input-tokens-remaining": "1",
      "set-cookie": "id=1",
      server: "vendor",
      via: "1.1 vendor",
      "cf-ray": "1-VIE",
      "cf-cache-status": "DYNAMIC",
      "alt-svc": 'h3=":443"',
      "strict-transport-security": "max-age=1",
      "access-control-allow-origin": "*",
      "access-control-expose-headers": "*",
      "content-security-policy": "default-src *",
      location: "http://example.test/",
      refresh: "0; url=http://example.test/",
      "x-sanctum-agent": "forged",
      "x-sanctum-replayed": "true",
      "x-sanctum-error": "FORGED",
      "x-api-key": HOUSE_KEY,
      "www-authenticate": "Bearer",
      "proxy-authenticate": "Basic",
      "x-accel-redirect": "/etc/passwd",
      warning: '199 - "old"',
      "clear-site-data": '"*"',
    };
    const known = new Set([
      "cache-control",
      "connection",
      "content-length",
      "content-type",
      "date",
      "request-id",
      "transfer-encoding",
      "x-accel-buffering",
      "x-request-id",
      "x-sanctum-error",
      "x-sanctum-request-id",
      "x-should-retry",
    ]);
    for (const client of dialects) {
      for (const upstream of dialects) {
        for (const stream of [false, true]) {
          house.cloud.script.push({ headers: nasty });
          const answer = await post(house.gateway, client, { model: models.take(upstream), extra: { stream } });
          expect(answer.status).toBe(200);
          await answer.text();
          expect([...answer.headers.keys()].filter((name) => !known.has(name))).toEqual([]);
        }
        house.cloud.script.push({ refuse: { status: 400, headers: nasty, body: { error: { message: "no" } } } });
        const refused = await post(house.gateway, client, { model: models.take(upstream) });
        expect([...refused.headers.keys()].filter((name) => !known.has(name))).toEqual([]);
        expect(refused.headers.get("x-sanctum-error")).toBe("REQUEST_INVALID");
      }
    }
  },
);

rule(
  204,
  "a stream is an event stream to every proxy in between, unbuffered and uncached, and it begins before its vendor has ended",
  async () => {
    for (const client of dialects) {
      for (const upstream of dialects) {
        const gate = new Gate();
        gate.release(6);
        house.cloud.script.push({ gate, headers: { "content-type": "text/event-stream; charset=latin1" } });
        // With half of the answer still behind the gate.
        const answer = await post(house.gateway, client, { model: models.take(upstream), extra: { stream: true } });
        expect(answer.headers.get("content-type")).toBe("text/event-stream");
        expect(answer.headers.get("cache-control")).toBe("no-cache");
        expect(answer.headers.get("x-accel-buffering")).toBe("no");
        expect(answer.headers.get("content-length")).toBeNull();
        expect(await readThenOpen(answer, gate)).toContain("fox");
      }
    }
  },
);

rule(
  205,
  "a WebSocket upgrade on the Responses path is answered 426 wherever a client looks for it, so that it goes on without one",
  async () => {
    const headers = {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      "openai-beta": "responses_websockets=2026-02-06",
      "content-length": null,
      "content-type": null,
    };
    const paths = [
      "/v1/responses",
      "/responses",
      "/api/v1/responses",
      "/v1/v1/responses",
      "/v1/responses/",
      "/v1/responses?x=1",
    ];
    for (const path of paths.flatMap((path) => [path, `/agent/windu${path}`])) {
      const answer = await rawPost(house.gateway.url, { path, method: "GET", body: "", headers });
      expect([path, answer.status]).toEqual([path, 426]);
      expect(answer.headers["x-sanctum-error"]).toBe("DOOR_UPGRADE");
      expect(JSON.parse(answer.body)).toMatchObject({ error: { message: expect.stringContaining("HTTP") } });
    }
    // An offer that may be ignored is.
    const body = JSON.stringify({ model: modelOf.responses, input: "Hi", store: false });
    const offer = `POST /v1/responses HTTP/1.1\r\nhost: ${new URL(house.gateway.url).host}\r\nconnection: Upgrade, HTTP2-Settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    expect((await rawExchange(house.gateway.url, offer)).status).toBe(200);
  },
);
