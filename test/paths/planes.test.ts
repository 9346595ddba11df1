import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import OpenAI from "openai";
import Anthropic from "@anthropic-ai/sdk";
import { dialects, post, startHouse, type House } from "../fakes/house.ts";
import { faultsOfChain, eventually } from "../harness.ts";

setDefaultTimeout(30_000);

let house: House;

beforeAll(async () => {
  house = await startHouse();
});

afterAll(async () => {
  await house[Symbol.asyncDispose]();
});

describe("the small routes of the data plane", () => {
  test("models are listed for both SDKs, and one can be looked up, slashes and colons included", async () => {
    const openai = new OpenAI({ baseURL: `${house.gateway.url}/v1`, apiKey: "anonymous", maxRetries: 0 });
    const names = (await openai.models.list()).data.map((model) => model.id);
    expect(names).toContain("coder-14b");
    const anthropic = new Anthropic({ baseURL: house.gateway.url, apiKey: "anonymous", maxRetries: 0 });
    const listed = await anthropic.models.list({ limit: 1000 });
    expect(listed.data.map((model) => model.id)).toContain("coder-14b");
    expect(listed.data[0]).toMatchObject({ type: "model", display_name: expect.any(String) });
    expect(await openai.models.retrieve("coder-14b")).toMatchObject({ id: "coder-14b", object: "model" });
    const missing = await fetch(`${house.gateway.url}/v1/models/no-such-model`);
    expect(missing.status).toBe(404);
  });

  test("tokens are counted by the provider, or by the gateway where the provider cannot", async () => {
    const anthropic = new Anthropic({ baseURL: house.gateway.url, apiKey: "anonymous", maxRetries: 0 });
    const request = { model: "claude-sonnet-4-5", messages: [{ role: "user" as const, content: "word ".repeat(100) }] };
    expect((await anthropic.messages.countTokens(request)).input_tokens).toBeGreaterThan(50);
    const local = await anthropic.messages.countTokens({ ...request, model: "coder-14b" });
    expect(local.input_tokens).toBeGreaterThan(50);
    expect(local.input_tokens).toBeLessThan(1_000);
  });

  test("embeddings come from the provider that is named, and are charged", async () => {
    const openai = new OpenAI({ baseURL: `${house.gateway.url}/v1`, apiKey: "anonymous", maxRetries: 0 });
    const result = await openai.embeddings.create({ model: "openai/text-embedding-3-small", input: ["a", "b"] });
    expect(result.data.map((entry) => entry.embedding)).toEqual([
      [0.5, -0.25],
      [0.5, -0.25],
    ]);
    const line = await house.gateway.auditLine((one) => one["path"] === "/v1/embeddings");
    expect(line).toMatchObject({ outcome: "ok", dialect: "chat", usage: { input: 5, output: 0, source: "upstream" } });
  });
});

describe("the operations plane", () => {
  test("/stats adds up to the audit trail, and its head is the last line's hash", async () => {
    for (const dialect of dialects) await (await post(house.gateway, dialect, { extra: { stream: true } })).text();
    await eventually(async () => {
      const stats = await house.gateway.stats();
      const lines = house.gateway.auditText();
      expect(stats.audit.entries).toBe(lines.length);
      const head = new Bun.CryptoHasher("sha256").update(lines.at(-1)!).digest("hex");
      expect(stats.audit.head).toBe(`sha256:${head}`);
      expect(stats.totals.requests).toBe(lines.length);
      const charged = house.gateway.auditLines().reduce((total, line) => total + line.usd, 0);
      expect(stats.totals.spent_usd).toBeCloseTo(charged, 5);
      expect(stats.in_flight).toBe(0);
    });
    expect(faultsOfChain(house.gateway.auditText())).toEqual([]);
  });

  test("/stats has every field of the contract", async () => {
    const stats: unknown = await house.gateway.stats();
    expect(stats).toMatchObject({
      version: expect.any(String),
      now: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      day: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
      day_ends_at: expect.any(String),
      uptime_s: expect.any(Number),
      config: { generation: 1, loaded_at: expect.any(String), fault: null },
      agents: {
        windu: {
          daily_usd: 1000,
          spent_usd: 0,
          held_usd: 0,
          remaining_usd: 1000,
          over_budget: false,
          requests: 0,
          cloud: 0,
          local: 0,
          fallbacks: 0,
          refused: 0,
          errors: 0,
          input_tokens: 0,
          output_tokens: 0,
        },
        default: { requests: expect.any(Number) },
      },
      providers: {
        anthropic: {
          state: "closed",
          errors: 0,
          key: "ok",
          latency_ms: { p50: expect.any(Number) },
          backoff_until: null,
        },
      },
      models: { "anthropic/claude-sonnet-4-5": { requests: expect.any(Number), spent_usd: expect.any(Number) } },
      audit: { last_written_at: expect.any(String), fault: null },
      totals: { saved_usd: expect.any(Number), local_share: expect.any(Number) },
    });
  });

  test("/healthz, /readyz, /metrics and /stats/stream answer in their own forms", async () => {
    expect((await fetch(`${house.gateway.url}/healthz`)).status).toBe(200);
    expect((await fetch(`${house.gateway.url}/readyz`)).status).toBe(200);
    const metrics = await fetch(`${house.gateway.url}/metrics`);
    expect(metrics.headers.get("content-type")).toStartWith("text/plain");
    expect(await metrics.text()).toContain("# TYPE ");
    const leaving = new AbortController();
    const stream = await fetch(`${house.gateway.url}/stats/stream`, { signal: leaving.signal });
    expect(stream.headers.get("content-type")).toStartWith("text/event-stream");
    const first = await stream.body!.getReader().read();
    expect(new TextDecoder().decode(first.value)).toContain('"agents"');
    leaving.abort();
  });
});
