// Lists of models, embeddings and the small endpoints.

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { smallBody, startHouse, type House } from "../fakes/house.ts";
import { objectsOf, textOf } from "../fakes/json-access.ts";
import { rawPost } from "../fakes/raw-client.ts";
import { tokenOf } from "../harness.ts";
import { rule } from "./rule.ts";

setDefaultTimeout(30_000);

const names = ["qwen2.5-coder:14b", "hf.co/bartowski/Llama-3.2-3B-GGUF:Q4_K_M", "mlx-community/gemma-3-27b@8bit"];
let house: House;
beforeAll(async () => {
  house = await startHouse({
    local: { models: names },
    config: ({ local, cloud }) => ({
      providers: {
        vllm: { url: `${local}/v1`, dialects: ["chat"], local: true, key: "none" },
        plain: { url: `${cloud}/v1`, dialects: ["chat"], key: "none" },
      },
      models: {
        floats: { provider: "plain", model: "floats", price: { input: 1, output: 1 } },
        packs: { provider: "vllm", model: "packs" },
      },
    }),
  });
});
afterAll(async () => house[Symbol.asyncDispose]());

const { token } = tokenOf("windu");
const anthropic = { "anthropic-version": "2023-06-01" };

async function list(query = "", headers: Record<string, string> = {}): Promise<JsonObject> {
  const answer = await fetch(`${house.gateway.url}/v1/models${query}`, { headers, redirect: "error" });
  expect(answer.status).toBe(200);
  return (await answer.json()) as JsonObject;
}

rule(
  240,
  "the list of models has the fields of both vendors at once, so that the clients of either read it",
  async () => {
    for (const headers of [{}, anthropic]) {
      const answered = await list("?limit=1000", headers);
      expect(answered).toMatchObject({ object: "list", has_more: false });
      const data = objectsOf(answered["data"]);
      expect(data.length).toBeGreaterThan(5);
      expect([answered["first_id"], answered["last_id"]]).toEqual([data[0]!["id"]!, data.at(-1)!["id"]!]);
      for (const model of data) {
        expect(model).toMatchObject({ object: "model", type: "model", display_name: model["id"]! });
        expect(model["created"]).toBeInteger();
        expect(Date.parse(textOf(model["created_at"]))).toBe(Number(model["created"]) * 1_000);
        expect(textOf(model["owned_by"])).not.toBe("");
      }
    }
    const ids: string[] = [];
    const openai = new OpenAI({ baseURL: `${house.gateway.url}/v1`, apiKey: token });
    for await (const model of openai.models.list()) ids.push(model.id);
    const turned: string[] = [];
    const claude = new Anthropic({ baseURL: house.gateway.url, apiKey: token });
    for await (const model of claude.models.list({ limit: 3 })) turned.push(model.id);
    expect(ids).toContain("coder-14b");
    expect(turned).toEqual(ids);
  },
);

rule(
  241,
  "a list can be asked for by pages, to and fro, with either header, and comes without a redirect",
  async () => {
    const ids = objectsOf((await list("?limit=1000", { ...anthropic, "x-api-key": token }))["data"]).map((one) =>
      textOf(one["id"]),
    );
    const idsOf = async (query: string): Promise<string[]> =>
      objectsOf((await list(query, { ...anthropic, authorization: `Bearer ${token}` }))["data"]).map((one) =>
        textOf(one["id"]),
      );
    expect(await idsOf(`?limit=2&after_id=${encodeURIComponent(ids[1]!)}`)).toEqual(ids.slice(2, 4));
    expect(await idsOf(`?limit=2&before_id=${encodeURIComponent(ids[4]!)}`)).toEqual(ids.slice(2, 4));
    expect(await idsOf(`?limit=5&before_id=${encodeURIComponent(ids[2]!)}`)).toEqual(ids.slice(0, 2));
    expect(await idsOf(`?after_id=${encodeURIComponent(ids.at(-1)!)}`)).toEqual([]);
    for (const query of [
      "?limit=0",
      "?limit=-1",
      "?limit=1e99",
      "?limit=x",
      "?after_id=nobody",
      "?before_id=%00",
      "?%%%",
    ]) {
      expect((await idsOf(query)).length).toBeGreaterThan(0);
    }
    const stranger = await fetch(`${house.gateway.url}/v1/models`, { headers: { "x-api-key": "sk-wrong" } });
    expect(stranger.status).toBe(401);
  },
);

rule(
  242,
  "one model is found by its id with slashes, colons and signs in it, encoded or not, and by every name under which it can be asked for; an unknown one is a 404 of the vendor that is asked",
  async () => {
    const one = async (path: string, headers: Record<string, string> = {}): Promise<Response> =>
      fetch(`${house.gateway.url}/v1/models/${path}`, { headers });
    for (const name of names) {
      for (const path of [name, encodeURIComponent(name), name.replaceAll("/", "%2F"), `${name}/`]) {
        const id = `ollama/${name}`;
        for (const whole of [`ollama/${path}`, `ollama%2f${path}`]) {
          const answer = await one(whole);
          expect([whole, answer.status]).toEqual([whole, 200]);
          expect(await answer.json()).toMatchObject({ id, object: "model", type: "model" });
        }
      }
    }
    // With its provider, with its date, in a reseller's spelling, and without its provider.
    const spellings = ["anthropic/claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4.5"];
    for (const id of [...spellings, "openai/gpt-4o-mini", names[0]!]) {
      expect(await (await one(id)).json()).toMatchObject({ id, object: "model", type: "model" });
    }
    for (const id of ["anthropic/claude-9", "openai/claude-sonnet-4-5", "nobody/gpt-4o-mini"]) {
      expect([id, (await one(id)).status]).toEqual([id, 404]);
    }
    const unknown = await one("ollama/nobody:7b");
    expect(unknown.status).toBe(404);
    expect(await unknown.json()).toMatchObject({ error: { code: "model_not_found" } });
    const vendors = await one("claude-9", anthropic);
    expect(await vendors.json()).toMatchObject({ type: "error", error: { type: "not_found_error" } });
    expect((await one("%E0%A4%A")).status).toBe(404);
    expect((await one("..%2f..%2fetc")).status).toBe(404);
  },
);

async function embed(model: string, extra: object, input: unknown = ["one", "two"]): Promise<JsonObject> {
  const body = JSON.stringify({ model, input, ...extra });
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${house.gateway.url}/v1/embeddings`, { method: "POST", headers, body });
  expect([model, answer.status]).toEqual([model, 200]);
  return (await answer.json()) as JsonObject;
}

/** 0.5 and -0.25 as little-endian float32. */
const packed = "AAAAPwAAgL4=";
const numbers = [0.5, -0.25];

rule(
  243,
  "vectors come as the client asks for them, as numbers or packed, from servers that know either form or only one, and for texts and tokens alike",
  async () => {
    const servers = [
      // Asked for numbers, since that is all that many servers at home know.
      ["coder-14b", house.local, { base64: "float", float: "float" }],
      ["floats", house.cloud, { base64: "float", float: "float" }],
      ["packs", house.local, { base64: "base64", float: "float" }],
      ["text-embedding-3-small", house.cloud, { base64: "base64", float: "float" }],
    ] as const;
    for (const [model, server, asked] of servers) {
      for (const [format, told] of [
        ["base64", packed],
        ["float", numbers],
      ] as const) {
        const answer = await embed(model, { encoding_format: format, dimensions: 2 });
        expect(objectsOf(answer["data"]).map((item) => item["embedding"]!)).toEqual([told, told]);
        expect(answer["model"]).toBe(model);
        const got = server.generations.at(-1)!.json();
        expect(got).toMatchObject({ encoding_format: asked[format], dimensions: 2, input: ["one", "two"] });
      }
      expect(objectsOf((await embed(model, {}))["data"])[0]!["embedding"]).toEqual(numbers);
      for (const tokens of [
        [1, 2, 3],
        [[1, 2], [3]],
      ]) {
        await embed(model, {}, tokens);
        expect(server.generations.at(-1)!.json()["input"]).toEqual(tokens);
      }
    }
    // A server that packs whatever it is asked for, and one whose vectors are none.
    const item = (embedding: Json): Json => ({
      object: "list",
      data: [{ object: "embedding", index: 0, embedding }],
      model: "floats",
      usage: { prompt_tokens: 1, total_tokens: 1 },
    });
    house.cloud.script.push({ refuse: { status: 200, body: item(packed) } });
    expect(objectsOf((await embed("floats", {}))["data"])[0]!["embedding"]).toEqual(numbers);
    const unreadable: readonly (readonly [Json, string])[] = [
      [[1, "x"], "base64"],
      [[1, null], "base64"],
      ["AAA", "float"],
      ["AADAfw==", "float"],
    ];
    for (const [embedding, format] of unreadable) {
      house.cloud.script.push({ refuse: { status: 200, body: item(embedding) } });
      const answer = await fetch(`${house.gateway.url}/v1/embeddings`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model: "floats", input: "one", encoding_format: format }),
      });
      expect([embedding, answer.status]).toEqual([embedding, 503]);
    }
    const openai = new OpenAI({ baseURL: `${house.gateway.url}/v1`, apiKey: token });
    for (const model of ["coder-14b", "text-embedding-3-small"]) {
      const { data } = await openai.embeddings.create({ model, input: "one" });
      expect(data[0]!.embedding).toEqual(numbers);
    }
  },
);

rule(
  244,
  "GET and HEAD of the root are 200 with or without a token; an unknown path is a 404 as JSON in the dialect that it resembles",
  async () => {
    for (const method of ["GET", "HEAD"]) {
      for (const headers of [{}, { "x-api-key": token }]) {
        const answer = await rawPost(house.gateway.url, {
          path: "/",
          method,
          body: "",
          headers: { ...headers, "content-length": null },
        });
        expect([method, answer.status]).toEqual([method, 200]);
      }
    }
    const unknown = [
      ["/v1/messages/batches", "messages"],
      ["/agent/windu/v1/messages/nothing", "messages"],
      ["/v1/completions", "chat"],
      ["/v1/responses/resp_1/cancel", "chat"],
      ["/nothing", "chat"],
    ] as const;
    for (const [path, dialect] of unknown) {
      for (const method of ["GET", "POST", "DELETE"]) {
        const answer = await rawPost(house.gateway.url, { path, method, body: "" });
        expect([path, method, answer.status]).toEqual([path, method, 404]);
        expect(answer.headers["content-type"]).toBe("application/json");
        const body = JSON.parse(answer.body) as JsonObject;
        expect(body).toMatchObject(
          dialect === "messages"
            ? { type: "error", error: { type: "not_found_error" } }
            : { error: { type: "invalid_request_error", code: "unknown_url" } },
        );
      }
    }
  },
);

rule(
  245,
  "a base URL with a /v1 too many or a slash at its end still finds every route, and the log says which; no other spelling does",
  async () => {
    const routes = [
      ["/v1/messages", smallBody("messages", "claude-sonnet-4-5")],
      ["/v1/messages/count_tokens", smallBody("messages", "claude-sonnet-4-5")],
      ["/v1/chat/completions", smallBody("chat", "gpt-4o-mini")],
      ["/v1/responses", smallBody("responses", "gpt-4o-mini")],
      ["/v1/embeddings", JSON.stringify({ model: "text-embedding-3-small", input: "x" })],
    ] as const;
    for (const [route, body] of routes) {
      for (const spelled of [`${route}/`, `/v1${route}`, `/v1${route}/`]) {
        for (const prefix of ["", "/api", "/agent/default", "/agent/default/api"]) {
          const answer = await rawPost(house.gateway.url, { path: `${prefix}${spelled}?beta=true`, body });
          expect([prefix + spelled, answer.status]).toEqual([prefix + spelled, 200]);
        }
        const line = `${spelled} is taken for ${route}: `;
        const told = house.gateway
          .output()
          .split("\n")
          .filter((text) => text.includes(line) && !text.includes(`/v1${line}`));
        expect([spelled, told.length]).toEqual([spelled, 1]);
      }
    }
    for (const path of ["/v1/models/", "/v1/v1/models", "/v1/v1/models/", "/v1/v1/models/coder-14b"]) {
      expect((await rawPost(house.gateway.url, { path, method: "GET", body: "" })).status).toBe(200);
    }
    for (const path of [
      "/v1/v1/v1/messages",
      "/v1//messages",
      "/v1/messages//",
      "//v1/messages",
      "/v2/v1/messages",
      "/V1/v1/messages",
    ]) {
      expect([path, (await rawPost(house.gateway.url, { path, body: routes[0][1] })).status]).toEqual([path, 404]);
    }
  },
);

rule(
  246,
  "no web page of another origin gets an answer: preflights are refused and nothing allows an origin",
  async () => {
    const { host } = new URL(house.gateway.url);
    for (const path of ["/v1/messages", "/v1/chat/completions", "/v1/responses", "/v1/models", "/stats", "/"]) {
      for (const origin of ["https://evil.example", "http://localhost:3000", "null", undefined]) {
        const headers = {
          ...(origin === undefined ? {} : { origin }),
          "access-control-request-method": "POST",
          "access-control-request-headers": "x-api-key",
          "access-control-request-private-network": "true",
        };
        const answer = await rawPost(house.gateway.url, { path, method: "OPTIONS", body: "", headers });
        expect([path, origin, answer.status]).toEqual([path, origin, origin === undefined ? 405 : 403]);
        expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control-"))).toEqual([]);
      }
    }
    // Our own page is no stranger, and gets no more than the answer.
    const own = await rawPost(house.gateway.url, {
      path: "/stats",
      method: "GET",
      body: "",
      headers: { origin: `http://${host}` },
    });
    expect([own.status, own.headers["access-control-allow-origin"]]).toEqual([200, undefined]);
  },
);
