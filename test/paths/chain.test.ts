// All attempts of one request together: what is asked again, who is left alone and for how long, and when it is enough.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { loneModels, post, startHouse, type House } from "../fakes/house.ts";
import { textOf } from "../fakes/json-access.ts";
import type { RecordedRequest } from "../fakes/provider.ts";
import type { Step } from "../fakes/script.ts";
import { attemptsOf, eventually, type AuditLine } from "../harness.ts";

setDefaultTimeout(30_000);

const refusing = (status: number, error: object, headers: Record<string, string> = {}): Step => ({
  refuse: { status, headers, body: { type: "error", error: { type: "some_error", ...error } as never } },
});

async function lineOf(house: House, response: Response): Promise<AuditLine> {
  const id = response.headers.get("x-sanctum-request-id");
  await response.text();
  return house.gateway.auditLine((line) => line.id === id);
}

async function attempts(house: House, model: string, extra: object = {}): Promise<string[]> {
  return attemptsOf(await lineOf(house, await post(house.gateway, "messages", { model, extra })));
}

interface ProviderView {
  readonly state: string;
  readonly backoff_until: string | null;
  readonly models?: Record<string, { state: string; backoff_until: string | null }>;
}

async function providerOf(house: House, name = "anthropic"): Promise<ProviderView> {
  const stats = (await house.gateway.stats()) as unknown as { providers: Record<string, ProviderView> };
  return stats.providers[name]!;
}

describe("an account without credit", () => {
  const broke = "You have reached your specified API usage limits. You will regain access on 2099-12-01 at 00:00 UTC.";
  const step = refusing(400, { type: "invalid_request_error", message: broke });

  test("is left alone until the time that it stated, for all of its models, also over a reload; its neighbours are not", async () => {
    await using house = await startHouse({ cloud: { respond: step } });
    expect(await attempts(house, "claude-sonnet-4-5")).toEqual([
      "anthropic/claude-sonnet-4-5:upstream_400",
      "coder-14b:ok",
    ]);
    house.gateway.writeConfig({ ...house.config, fallback: ["coder-14b", "coder-14b"] });
    await eventually(async () => {
      expect(await house.gateway.stats()).toMatchObject({ config: { generation: 2 } });
    });
    house.cloud.respond = {};
    const asked = house.cloud.generations.length;
    expect(await attempts(house, "claude-opus-4-1")).toEqual([
      "anthropic/claude-opus-4-1:skipped_limit",
      "coder-14b:ok",
    ]);
    expect(house.cloud.generations.length).toBe(asked);
    // Nobody is believed for more than a month.
    const { backoff_until: until } = await providerOf(house);
    expect(Date.parse(until!) - Date.now()).toBeWithin(31 * 86_400_000, 32 * 86_400_000 + 1);
    const metrics = await (await fetch(`${house.gateway.url}/metrics`)).text();
    expect(metrics).toMatch(/sanctum_provider_backoff_seconds\{provider="anthropic"\} 2\d{6}\n/);
    expect((await lineOf(house, await post(house.gateway, "chat"))).served_by).toBe("openai/gpt-4o-mini");
  });

  test("and nobody else to answer end the client's tries, the first time and while it is left alone", async () => {
    await using house = await startHouse({
      cloud: { respond: refusing(402, { message: "Insufficient credits" }) },
      config: { fallback: [] },
    });
    for (const dialect of ["messages", "chat", "messages", "chat", "responses"] as const) {
      const response = await post(house.gateway, dialect);
      const body: unknown = await response.json();
      expect(response.headers.get("x-should-retry")).toBe("false");
      expect(response.headers.get("x-sanctum-error")).toBe("UPSTREAM_CREDIT");
      if (dialect === "messages") {
        expect([response.status, body]).toMatchObject([402, { error: { type: "billing_error" } }]);
      } else expect([response.status, body]).toMatchObject([429, { error: { code: "insufficient_quota" } }]);
    }
    expect(house.cloud.generations.length).toBe(2);
  });
});

describe("a model", () => {
  test("whose limit is reached rests with its family, and the others of its provider are asked", async () => {
    const limited = refusing(429, { type: "rate_limit_error", message: "rate limit" }, { "retry-after": "60" });
    const respond = (request: RecordedRequest): Step =>
      textOf(request.json()["model"]).includes("opus") ? limited : {};
    await using house = await startHouse({ cloud: { respond } });
    expect(await attempts(house, "claude-opus-4-1")).toEqual([
      "anthropic/claude-opus-4-1:upstream_429",
      "coder-14b:ok",
    ]);
    expect(await attempts(house, "claude-opus-4-5")).toEqual([
      "anthropic/claude-opus-4-5:skipped_limit",
      "coder-14b:ok",
    ]);
    expect(await attempts(house, "claude-sonnet-4-5")).toEqual(["anthropic/claude-sonnet-4-5:ok"]);
    expect((await providerOf(house)).models).toEqual({
      "claude-opus-4": { state: "closed", backoff_until: expect.any(String) },
    });
  });

  test("that fails is left alone by itself, and the others of its provider go on", async () => {
    const respond = (request: RecordedRequest): Step =>
      textOf(request.json()["model"]).includes("opus") ? refusing(500, { message: "broken" }) : {};
    await using house = await startHouse({ cloud: { respond } });
    for (let i = 0; i < 5; i++) await attempts(house, "claude-opus-4-1");
    expect(await attempts(house, "claude-opus-4-1")).toEqual([
      "anthropic/claude-opus-4-1:skipped_breaker",
      "coder-14b:ok",
    ]);
    expect((await providerOf(house)).state).toBe("open");
    expect(await attempts(house, "claude-sonnet-4-5")).toEqual(["anthropic/claude-sonnet-4-5:ok"]);
    expect(await providerOf(house)).toMatchObject({
      state: "closed",
      models: { "claude-opus-4-1": { state: "open" } },
    });
  });

  test("that only the configuration names, and its provider does not have, is passed over and then left alone", async () => {
    const missing = refusing(404, { type: "not_found_error", message: "model: claude-0" });
    const respond = (request: RecordedRequest): Step =>
      textOf(request.json()["model"]).startsWith("claude-0") ? missing : {};
    await using house = await startHouse({
      cloud: { respond },
      config: { models: { "old-one": { provider: "anthropic", model: "claude-0", price: { input: 1, output: 1 } } } },
    });
    expect(await attempts(house, "old-one")).toEqual(["old-one:upstream_404", "coder-14b:ok"]);
    expect(await attempts(house, "old-one")).toEqual(["old-one:skipped_limit", "coder-14b:ok"]);
    expect(await attempts(house, "claude-sonnet-4-5")).toEqual(["anthropic/claude-sonnet-4-5:ok"]);
    // Who names it is told in the vendor's words, and that lets nobody rest.
    for (let i = 0; i < 2; i++) {
      const named = await post(house.gateway, "messages", { model: "anthropic/claude-0-1" });
      expect([named.status, await named.json()]).toMatchObject([404, { error: { message: "model: claude-0" } }]);
    }
    expect(Object.keys((await providerOf(house)).models ?? {})).toHaveLength(1);
  });
});

describe("second tries", () => {
  test("are a tenth of the first ones at most, or three, when everything is answered 503", async () => {
    await using house = await startHouse({
      cloud: { respond: refusing(503, { message: "down" }) },
      config: ({ cloud }) => ({
        fallback: [],
        ...loneModels([
          {
            name: "down",
            dialect: "chat",
            origin: cloud,
            provider: { retry: { attempts: 4, base: "1ms", max: "2ms" } },
          },
        ]),
      }),
    });
    const offered = 400;
    let left = offered;
    const statuses = new Set<number>();
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        while (left-- > 0) {
          const response = await post(house.gateway, "chat", { model: "down" });
          await response.text();
          statuses.add(response.status);
          expect(Number(response.headers.get("retry-after"))).toBeWithin(1, 31);
        }
      }),
    );
    expect([...statuses].every((status) => status === 503 || status === 429)).toBeTrue();
    expect(house.cloud.generations.length).toBeGreaterThan(1);
    expect(house.cloud.generations.length).toBeLessThanOrEqual(1.1 * offered + 3);
  });

  test("come when all others have failed: who is ready first answers", async () => {
    await using house = await startHouse({
      config: ({ cloud }) => ({
        ...loneModels([
          {
            name: "shaky",
            dialect: "chat",
            origin: cloud,
            provider: { retry: { attempts: 2, base: "1ms", max: "1ms" } },
          },
          { name: "gone", dialect: "chat", origin: "http://127.0.0.1:9", provider: { retry: { attempts: 1 } } },
        ]),
        fallback: ["gone"],
      }),
    });
    house.cloud.script.push(refusing(500, { message: "a moment" }));
    const line = await lineOf(house, await post(house.gateway, "chat", { model: "shaky" }));
    expect(attemptsOf(line)).toEqual(["shaky:upstream_500", "gone:connect_failed", "shaky:ok"]);
  });
});

describe("time", () => {
  /** Answers for ever: a word every few milliseconds, or a body that grows. */
  const endless = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      const { stream } = (await request.json()) as { stream?: boolean };
      const word = stream === true ? 'data: {"id":"c","choices":[{"index":0,"delta":{"content":"word "}}]}\n\n' : " ";
      let timer: ReturnType<typeof setInterval>;
      const body = new ReadableStream<string>({
        start: (controller) => {
          timer = setInterval(() => controller.enqueue(word), 5);
        },
        cancel: () => {
          clearInterval(timer);
          cancelled++;
        },
      });
      return new Response(body, {
        headers: { "content-type": stream === true ? "text/event-stream" : "application/json" },
      });
    },
  });
  let cancelled = 0;
  afterAll(() => endless.stop(true));

  const lone = (timeouts: object): object =>
    loneModels([
      { name: "endless", dialect: "chat", origin: `http://127.0.0.1:${endless.port}`, provider: { timeouts } },
    ]);

  test("an answer that never ends is cut after `total`: in the error event of its stream, or for the next candidate", async () => {
    const config = { ...lone({ total: "400ms" }), stream: { takeover: "off" } };
    await using house = await startHouse({ config });
    const streamed = await post(house.gateway, "chat", { model: "endless", extra: { stream: true } });
    const id = streamed.headers.get("x-sanctum-request-id");
    const text = await streamed.text();
    expect(text).toContain("word");
    expect(text.trimEnd().split("\n\n").at(-1)).toStartWith('data: {"error"');
    const line = await house.gateway.auditLine((one) => one.id === id);
    expect(attemptsOf(line)).toEqual(["endless:timeout_total"]);
    const whole = await lineOf(house, await post(house.gateway, "chat", { model: "endless" }));
    expect(attemptsOf(whole)).toEqual(["endless:timeout_total", "coder-14b:ok"]);
    await eventually(() => expect(cancelled).toBe(2));
    // It is nobody's breakdown.
    expect((await providerOf(house, "lone-0")).state).toBe("closed");
  });

  test("is over for all attempts at `attempts.deadline`, whatever still runs; the client is told to come back later", async () => {
    const config = { ...lone({}), attempts: { deadline: "300ms" }, fallback: [] };
    await using house = await startHouse({ config });
    const response = await post(house.gateway, "chat", { model: "endless" });
    expect(response.status).toBe(503);
    expect(response.headers.get("x-should-retry")).toBe("false");
    expect(attemptsOf(await lineOf(house, response))).toEqual(["endless:timeout_deadline"]);
    // A stream that has begun goes on.
    const leaving = new AbortController();
    const stream = await post(house.gateway, "chat", {
      model: "endless",
      extra: { stream: true },
      signal: leaving.signal,
    });
    const reader = stream.body!.getReader();
    const began = performance.now();
    while (performance.now() - began < 500) expect((await reader.read()).done).toBeFalse();
    leaving.abort();
    const id = stream.headers.get("x-sanctum-request-id");
    expect((await house.gateway.auditLine((line) => line.id === id)).outcome).toBe("client_gone");
  });
});
