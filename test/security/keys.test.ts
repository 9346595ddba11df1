// Promise: a provider's key is seen by that provider and by nobody else.

import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { dialects, HOUSE_KEY, post, readThenOpen, startHouse, type House } from "../fakes/house.ts";
import { Gate } from "../fakes/gate.ts";
import type { Step } from "../fakes/script.ts";
import { eventually } from "../harness.ts";

setDefaultTimeout(60_000);

/** The key as it could show: plain, encoded, reversed. */
function formsOf(key: string): string[] {
  const bytes = Buffer.from(key);
  // Base64 of the inner bytes at each of the three offsets, without the ends that depend on the neighbours.
  const base64 = [0, 1, 2].map((offset) => bytes.subarray(offset, offset + 15).toString("base64"));
  return [key, ...base64, bytes.toString("hex"), Array.from(key).toReversed().join("")];
}

function expectNoKey(where: string, text: string, keys: readonly string[] = [HOUSE_KEY]): void {
  const found = keys.flatMap(formsOf).filter((form) => text.includes(form));
  expect([where, found]).toEqual([where, []]);
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Everything that a provider can do to make a gateway talk. */
const provocations: readonly Step[] = [
  {},
  { refuse: { status: 401, body: { error: { message: `invalid x-api-key: ${HOUSE_KEY}` } } } },
  {
    refuse: {
      status: 400,
      body: { type: "error", error: { type: "invalid_request_error", message: `bad ${HOUSE_KEY}` } },
    },
  },
  { refuse: { status: 500, body: HOUSE_KEY } },
  { refuse: { status: 302, headers: { location: `http://127.0.0.1:1/?key=${HOUSE_KEY}` } } },
  { rawBody: `not json ${HOUSE_KEY}` },
  { errorEvent: { afterEvents: 1, message: HOUSE_KEY } },
  { cut: { at: { event: 3 }, how: "destroy" } },
  { headers: { "x-echo": HOUSE_KEY, "request-id": HOUSE_KEY } },
];

async function provoke(house: House, stream: boolean): Promise<void> {
  for (const step of provocations) {
    for (const dialect of dialects) {
      house.cloud.script.push(step);
      const response = await post(house.gateway, dialect, { extra: { stream } });
      const text = await response.text().catch((error: unknown) => String(error));
      const headers = JSON.stringify([...response.headers]);
      expectNoKey(`the answer to ${dialect} after ${JSON.stringify(step)}`, headers + text);
      house.cloud.script.length = 0;
    }
  }
}

test("whatever the provider does, its key is in no answer, no log, no file, no page of the operations plane", async () => {
  await using house = await startHouse();
  await provoke(house, false);
  await provoke(house, true);
  expect(house.cloud.generations.some((request) => request.head.includes(HOUSE_KEY))).toBe(true);
  expectNoKey("what the local model saw", house.local.requests.map((request) => request.head + request.text).join(""));
  for (const path of ["/stats", "/metrics", "/healthz", "/readyz", "/dashboard", "/v1/models"]) {
    expectNoKey(path, await (await fetch(house.gateway.url + path)).text());
  }
  await house.gateway.stop();
  expectNoKey("standard output and error", house.gateway.output());
  for (const file of filesUnder(house.gateway.home)) {
    if (file === house.gateway.configFile) continue;
    expectNoKey(file, readFileSync(file, "latin1"));
  }
});

test("a provider that shows the key in the middle of a stream does not get it past the gateway either", async () => {
  await using house = await startHouse({ config: { stream: { takeover: "off" } } });
  for (const dialect of dialects) {
    const gate = new Gate();
    gate.release(8);
    house.cloud.respond = { errorEvent: { afterEvents: 8, message: `rejected: ${HOUSE_KEY}` }, gate };
    const response = await post(house.gateway, dialect, { extra: { stream: true } });
    const text = await readThenOpen(response, gate);
    // The fake cuts its text into pieces of eight characters.
    expect(text).toContain("The quic");
    expectNoKey(`the stream of ${dialect}`, text);
  }
});

test("a provider's key goes to that provider only, also when another one answers after it", async () => {
  await using house = await startHouse({
    config: ({ cloud }) => ({
      providers: {
        first: { url: cloud, dialects: ["messages"], key: { command: ["printf", "the-key-of-first"] } },
        second: { url: cloud, dialects: ["messages"], key: { command: ["printf", "the-key-of-second"] } },
      },
      models: {
        one: { provider: "first", model: "model-of-first", price: { input: 1, output: 1 } },
        two: { provider: "second", model: "model-of-second", price: { input: 1, output: 1 } },
      },
      fallback: ["two"],
    }),
    cloud: { respond: (request) => (request.text.includes("model-of-first") ? { refuse: { status: 500 } } : {}) },
  });
  expect((await post(house.gateway, "messages", { model: "one" })).status).toBe(200);
  for (const request of house.cloud.generations) {
    const own = request.text.includes("model-of-first") ? "the-key-of-first" : "the-key-of-second";
    expect(request.header("x-api-key")).toBe(own);
    expect(request.head.replace(own, "")).not.toContain("the-key-of");
  }
});

test("a key that cannot be had skips the candidate, shows in /stats, and starts no request", async () => {
  await using house = await startHouse({
    config: ({ cloud }) => ({
      providers: { anthropic: { url: cloud, dialects: ["messages"], key: { command: ["false"] } } },
    }),
  });
  const response = await post(house.gateway, "messages");
  expect(response.status).toBe(200);
  expect(house.cloud.requests).toEqual([]);
  const id = response.headers.get("x-sanctum-request-id");
  const line = await house.gateway.auditLine((one) => one.id === id);
  expect(line).toMatchObject({ attempts: [{ outcome: "skipped_key" }, { outcome: "ok" }], local: true });
  await eventually(async () => {
    const { providers } = await house.gateway.stats();
    expect(["missing", "locked"]).toContain(providers["anthropic"]!.key);
  });
});

test("a key that the provider rejects is never the client's 401: the next candidate answers", async () => {
  await using house = await startHouse({
    cloud: {
      respond: {
        refuse: { status: 401, body: { type: "error", error: { type: "authentication_error", message: "x" } } },
      },
    },
  });
  for (const dialect of dialects) expect((await post(house.gateway, dialect)).status).toBe(200);
  expect(house.local.generations.length).toBe(3);
  const { providers } = await house.gateway.stats();
  expect(providers["anthropic"]!.key).toBe("rejected");
});

test("a provider's key in the environment of the daemon is not used and does not stay there", async () => {
  const fromEnvironment = "key-out-of-the-environment";
  await using house = await startHouse({
    env: { ANTHROPIC_API_KEY: fromEnvironment, OPENAI_API_KEY: fromEnvironment, OPENROUTER_API_KEY: fromEnvironment },
  });
  expect((await post(house.gateway, "messages")).status).toBe(200);
  expect(house.cloud.generations[0]?.header("x-api-key")).toBe(HOUSE_KEY);
  expectNoKey("output", house.gateway.output(), [fromEnvironment]);
  for (const request of house.cloud.requests) expect(request.head).not.toContain(fromEnvironment);
});
