import { describe, expect, test } from "bun:test";
import { LentKey } from "../lent-key.ts";
import { Secret } from "../secret.ts";
import { endpointOf } from "./endpoint.ts";
import { upstreamHeaders as build, upstreamIdOf } from "./headers.ts";
import { providerAt } from "./sample-keyed.ts";

type Outgoing = Omit<Parameters<typeof build>[0], "url" | "key"> & { readonly key: Secret | null };

/** For a request to the provider's own address, with a key that was lent for it. */
function upstreamHeaders({ key: secret, ...parts }: Outgoing): Record<string, string> {
  const url = endpointOf(parts.provider, parts.dialect, "generate");
  return build({ ...parts, url, key: secret === null ? null : new LentKey(secret, new URL(url).origin) });
}

const key = Secret.fromString("house-key");
const anthropic = providerAt("https://api.anthropic.com", { name: "anthropic", dialects: ["messages"] });
const openai = providerAt("https://api.openai.com/v1", { name: "openai" });

/** What a client might send, the wanted and the unwanted. */
const client = new Headers({
  authorization: "Bearer client-key",
  "x-api-key": "client-key",
  "x-sanctum-token": "client-key",
  cookie: "client-cookie",
  "x-forwarded-for": "10.0.0.1",
  forwarded: "for=10.0.0.1",
  "user-agent": "client-agent",
  "accept-encoding": "gzip",
  "openai-organization": "org-client",
  "openai-beta": "assistants=v2",
  "anthropic-beta": "prompt-caching-2024-07-31",
  "anthropic-version": "2024-01-01",
  "anthropic-dangerous-direct-browser-access": "true",
});

describe("towards a provider go", () => {
  test("exactly these headers, and nothing of the client's, where the dialect is OpenAI's", () => {
    expect(upstreamHeaders({ provider: openai, dialect: "chat", stream: true, key, client })).toEqual({
      "content-type": "application/json",
      accept: "text/event-stream",
      "accept-encoding": "identity",
      "user-agent": "sanctum-proxy/1.0",
      authorization: "Bearer house-key",
    });
  });

  test("the client's anthropic headers too, where both speak Messages, but not what lifts a browser's guard", () => {
    expect(upstreamHeaders({ provider: anthropic, dialect: "messages", stream: false, key, client })).toEqual({
      "content-type": "application/json",
      accept: "application/json",
      "accept-encoding": "identity",
      "user-agent": "sanctum-proxy/1.0",
      "anthropic-version": "2024-01-01",
      "anthropic-beta": "prompt-caching-2024-07-31",
      "x-api-key": "house-key",
    });
  });

  test("none of the client's, where the request is translated: a beta belongs to the body it came with", () => {
    const headers = upstreamHeaders({ provider: anthropic, dialect: "messages", stream: false, key, client: null });
    expect(headers["anthropic-beta"]).toBeUndefined();
    expect(headers["anthropic-version"]).toBe("2023-06-01");
  });

  test("no value that is more than a line of plain text", () => {
    const odd = new Headers({ "anthropic-beta": "ü", "anthropic-x": "a".repeat(5_000), "anthropic-ok": "yes" });
    const headers = upstreamHeaders({ provider: anthropic, dialect: "messages", stream: false, key, client: odd });
    expect(
      Object.keys(headers)
        .filter((name) => name.startsWith("anthropic-"))
        .sort(),
    ).toEqual(["anthropic-ok", "anthropic-version"]);
  });

  test("the configured ones, of which none replaces the key", () => {
    const provider = { ...openai, headers: { "x-title": "house", authorization: "Bearer configured" } };
    const headers = upstreamHeaders({ provider, dialect: "chat", stream: false, key, client: null });
    expect(headers).toMatchObject({ "x-title": "house", authorization: "Bearer house-key" });
  });

  test("the configured anthropic-version, unless the client names one", () => {
    const provider = { ...anthropic, headers: { "anthropic-version": "2030-01-01" } };
    const parts = { provider, dialect: "messages", stream: false, key } as const;
    expect(upstreamHeaders({ ...parts, client: null })["anthropic-version"]).toBe("2030-01-01");
    expect(upstreamHeaders({ ...parts, client })["anthropic-version"]).toBe("2024-01-01");
  });
});

describe("the key goes", () => {
  test("as x-api-key to Anthropic, as bearer where it is a token of a subscription or goes to OpenRouter", () => {
    const parts = { dialect: "messages", stream: false, client: null } as const;
    expect(upstreamHeaders({ ...parts, provider: anthropic, key })).toMatchObject({ "x-api-key": "house-key" });
    const oauth = upstreamHeaders({ ...parts, provider: anthropic, key: Secret.fromString("sk-ant-oat01-x") });
    expect([oauth["authorization"], oauth["x-api-key"]]).toEqual(["Bearer sk-ant-oat01-x", undefined]);
    const reseller = providerAt("https://openrouter.ai/api/v1", { name: "openrouter" });
    const sold = upstreamHeaders({ ...parts, provider: reseller, key });
    expect([sold["authorization"], sold["x-api-key"]]).toEqual(["Bearer house-key", undefined]);
  });

  test("nowhere else than to the origin that it was lent for: no headers are built at all", () => {
    const lent = new LentKey(key, "https://api.openai.com");
    const parts = { provider: openai, dialect: "chat", stream: false, client: null, key: lent } as const;
    for (const url of [
      "https://evil.test/v1/chat/completions",
      "https://api.openai.com.evil.test/v1/chat/completions",
      "https://api.openai.com@evil.test/v1/chat/completions",
      "https://api.openai.com:8443/v1/chat/completions",
      "http://api.openai.com/v1/chat/completions",
      "/v1/chat/completions",
      "",
    ]) {
      expect(() => build({ ...parts, url }), url).toThrow("a key was used for another origin than its provider's");
    }
    expect(build({ ...parts, url: "HTTPS://API.openai.com:443/v1" })).toMatchObject({
      authorization: "Bearer house-key",
    });
    lent.end();
    expect(() => build({ ...parts, url: "https://api.openai.com/v1/chat/completions" })).toThrow("after its attempt");
  });

  test("nowhere, where there is none", () => {
    for (const dialect of ["messages", "chat", "responses"] as const) {
      const headers = upstreamHeaders({ provider: openai, dialect, stream: false, key: null, client });
      expect(JSON.stringify(headers)).not.toMatch(/client-key|authorization|x-api-key/);
    }
  });
});

describe("the provider's own id of an answer", () => {
  const secret = "sk-a-key-of-these-tests";
  const redact = (text: string): string =>
    text.replaceAll(secret, "[redacted]").replaceAll(Buffer.from(secret).toString("hex"), "[redacted]");
  const idOf = (headers: Record<string, string>, dialect: "messages" | "chat" = "chat"): string | undefined =>
    upstreamIdOf(new Headers(headers), dialect, new LentKey(Secret.fromString(secret), "https://a.test"), redact);

  test("is read from its dialect's header, and a generation id before the id of a transfer", () => {
    expect(idOf({ "request-id": "req_1", "x-request-id": "other" }, "messages")).toBe("req_1");
    expect(idOf({ "request-id": "other", "x-request-id": "req_2" })).toBe("req_2");
    expect(idOf({ "x-generation-id": "gen-3", "x-request-id": "req_2" })).toBe("gen-3");
    expect(idOf({})).toBeUndefined();
  });

  test("is not kept where it is no id, or the key in one of its forms, or a part of it", () => {
    const forms = [secret, `req_${secret}`, secret.slice(3, 15), Buffer.from(secret).toString("hex")];
    for (const id of [...forms, "two words", "x".repeat(65), ""]) {
      expect([id, idOf({ "x-request-id": id })]).toEqual([id, undefined]);
    }
    expect(idOf({ "x-request-id": "0f3f6a1e-7b1c-4a57-9d0e-2f5c8a7b6d11" })).toBe(
      "0f3f6a1e-7b1c-4a57-9d0e-2f5c8a7b6d11",
    );
  });
});
