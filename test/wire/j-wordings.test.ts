// Errors: what a client is told in whose words, and what it is never told.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { dialects, HOUSE_KEY, post, readThenOpen, startHouse, type House } from "../fakes/house.ts";
import { Gate } from "../fakes/gate.ts";
import { rawPost } from "../fakes/raw-client.ts";
import { expectEnvelope } from "./expect-envelope.ts";
import { FreshModels } from "./fresh-models.ts";
import { rule } from "./rule.ts";
import { viewOf } from "./stream-text.ts";

setDefaultTimeout(30_000);

const models = new FreshModels(32);
let house: House;
beforeAll(async () => {
  house = await startHouse({ config: ({ cloud }) => ({ ...models.config(cloud), fallback: [] }) });
});
afterAll(async () => house[Symbol.asyncDispose]());
afterEach(() => {
  house.cloud.script.length = 0;
  house.local.script.length = 0;
});

/** What a server at home may say of itself. */
const secrets = ["qwen2.5-coder:14b", "http://192.168.7.9:11434/api", "/srv/models/gguf", HOUSE_KEY];
const told = `model '${secrets[0]}' at ${secrets[1]} of ${secrets[2]} refused ${secrets[3]}: no such template`;

function expectNothingTold(text: string): void {
  for (const secret of secrets) expect(text).not.toContain(secret);
  expect(text).toContain("no such template");
}

rule(
  183,
  "no error text tells a key, an address, a path or the name of a local model, in a body or in a stream, whatever the dialect",
  async () => {
    for (const client of dialects) {
      house.local.script.push({
        refuse: { status: 400, body: { error: { message: told, type: "invalid_request_error" } } },
      });
      const answer = await post(house.gateway, client, { model: "coder-14b" });
      expect([client, answer.status]).toEqual([client, 400]);
      const text = await answer.text();
      expectNothingTold(text);
      expect(text).toContain("coder-14b");

      const gate = new Gate();
      gate.release(5);
      house.local.script.push({ errorEvent: { afterEvents: 5, type: "server_error", message: told }, gate });
      const stream = await post(house.gateway, client, { model: "coder-14b", extra: { stream: true } });
      expect([client, stream.status]).toEqual([client, 200]);
      const { errors } = viewOf(client, await readThenOpen(stream, gate));
      expect(errors).toHaveLength(1);
      expectNothingTold(errors[0]!);
    }
    // A vendor's own words stay, but for the key.
    const words = `Invalid header x-api-key: ${HOUSE_KEY}`;
    house.cloud.script.push({
      refuse: { status: 400, body: { type: "error", error: { type: "invalid_request_error", message: words } } },
    });
    const vendor = await post(house.gateway, "messages", { model: models.take("messages") });
    expect(await vendor.text()).toContain("Invalid header x-api-key: [redacted]");
    // Nothing to hide: byte for byte, also from a server at home.
    const plain = ' {"error": {"message":"tools are not supported", "type":"api_error"}}';
    house.local.script.push({ refuse: { status: 400, body: plain } });
    expect(await (await post(house.gateway, "chat", { model: "coder-14b" })).text()).toBe(plain);
  },
);

rule(184, "an error without a readable body gets a proper envelope under the same status", async () => {
  const pages = [
    "",
    "<html><head><title>400</title></head><body>secret-host.internal</body></html>",
    "\u0000\u0001",
    "{",
    "[]",
  ];
  for (const body of pages) {
    for (const client of dialects) {
      for (const [status, told] of [
        [400, 400],
        [413, 413],
        [422, client === "messages" ? 400 : 422],
      ] as const) {
        house.local.script.push({ refuse: { status, body } });
        const answer = await post(house.gateway, client, { model: "coder-14b" });
        expect([body, client, answer.status]).toEqual([body, client, told]);
        const { message } = await expectEnvelope(client, answer);
        expect(message).not.toContain("<");
        expect(message).not.toContain("secret-host");
      }
    }
  }
});

rule(185, "no redirect of a vendor is followed, and none is ever answered", async () => {
  for (const status of [300, 301, 302, 303, 307, 308]) {
    for (const stream of [false, true]) {
      const headers = { location: `${house.local.url}/v1/chat/completions` };
      house.cloud.script.push({ refuse: { status, headers } });
      const before = house.local.generations.length;
      const answer = await post(house.gateway, "messages", { model: models.take("messages"), extra: { stream } });
      expect([status, answer.status, answer.headers.get("location")]).toEqual([status, 503, null]);
      expect(house.local.generations).toHaveLength(before);
    }
  }
  for (const path of [
    "",
    "/",
    "/v1",
    "/v1/",
    "/v1/models/",
    "//v1/models",
    "/v1/models?limit=1000",
    "/dashboard/",
    "/V1/models",
  ]) {
    const { status, headers } = await rawPost(house.gateway.url, {
      path: path === "" ? "/" : path,
      body: "",
      method: "GET",
    });
    expect([path, status >= 300 && status < 400, headers["location"]]).toEqual([path, false, undefined]);
  }
});

rule(
  186,
  "refusals that an agent can mend by itself reach it in the vendor's own wording, asked for as a stream or not",
  async () => {
    const wordings = [
      "messages.1.content.0: Invalid `signature` in `thinking` block",
      "messages.0: role 'system' is not supported on this model",
      "context_management: Extra inputs are not permitted",
      "tools.3.custom.defer_loading: Extra inputs are not permitted",
      "thinking.display: Input tag 'updates' found using 'type' does not match any of the expected tags",
      "prompt is too long: 212345 tokens > 200000 maximum",
    ];
    for (const wording of wordings) {
      const body = `{"type":"error","error":{"type":"invalid_request_error","message":${JSON.stringify(wording)}},"request_id":"req_vendor"}`;
      for (const stream of [false, true]) {
        house.cloud.script.push({ refuse: { status: 400, body, headers: { "request-id": "req_vendor" } } });
        const answer = await post(house.gateway, "messages", { model: models.take("messages"), extra: { stream } });
        expect([answer.status, await answer.text()]).toEqual([400, body]);
        expect(answer.headers.get("x-sanctum-error")).toBe("REQUEST_INVALID");
      }
    }
  },
);
