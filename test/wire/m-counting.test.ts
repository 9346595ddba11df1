import { afterAll, beforeAll, beforeEach, expect, setDefaultTimeout } from "bun:test";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { HOUSE_KEY } from "../fakes/house.ts";
import { parseObject } from "../fakes/json-access.ts";
import { CountingServer } from "./counting-server.ts";
import { MeteredHouse } from "./metered-house.ts";
import { rule } from "./rule.ts";

setDefaultTimeout(30_000);

const key = { command: ["printf", "%s", HOUSE_KEY] };
let metered: MeteredHouse;
let servers: Record<"openai" | "llamacpp" | "vllm" | "anthropic", CountingServer>;

beforeAll(async () => {
  servers = {
    openai: new CountingServer(),
    llamacpp: new CountingServer(),
    vllm: new CountingServer(),
    anthropic: new CountingServer(),
  };
  const { openai, llamacpp, vllm, anthropic } = servers;
  const impatient = { timeouts: { first_byte: "150ms" }, retry: { attempts: 4, base: "8s" } };
  metered = await MeteredHouse.start({
    config: () => ({
      providers: {
        openai: { url: `${openai.url}/v1`, dialects: ["responses", "chat"], key },
        llamacpp: { url: `${llamacpp.url}/v1`, dialects: ["chat"], local: true, key: "none" },
        vllm: { url: `${vllm.url}/v1`, dialects: ["chat"], local: true, key: "none" },
        vendor: { url: anthropic.url, dialects: ["messages"], key },
        gone: { url: "http://127.0.0.1:9", dialects: ["messages"], key, ...impatient },
        ...Object.fromEntries(
          failing.map((name) => [name, { url: anthropic.url, dialects: ["messages"], key, ...impatient }]),
        ),
      },
      models: {
        "my-claude": { provider: "vendor", model: "claude-sonnet-4-5" },
        "fresh-14b": { provider: "ollama", model: "fresh:14b" },
      },
      routes: [
        { name: "small-stays-home", when: { model: "my-claude", input_tokens: "<200" }, use: ["llamacpp/qwen3"] },
        { name: "tools-too", when: { model: "my-claude", has: { tools: true } }, use: ["vllm/qwen3"] },
      ],
    }),
  });
});
afterAll(async () => {
  await metered[Symbol.asyncDispose]();
  for (const server of Object.values(servers)) server[Symbol.dispose]();
});
beforeEach(() => {
  for (const server of Object.values(servers)) {
    server.requests.length = 0;
    server.answer = () => Response.json({ input_tokens: 4321 });
  }
});

const failing = [
  "status-500",
  "status-404",
  "status-401",
  "status-529",
  "redirects",
  "stalls",
  "babbles",
  "lies",
  "zips",
];
const dummy = { messages: [{ role: "user", content: "foo" }], tools: [] };

interface Count {
  readonly status: number;
  readonly tokens: number;
  readonly text: string;
  readonly response: Response;
}

async function count(model: string, body: JsonObject = dummy, headers: Record<string, string> = {}): Promise<Count> {
  const response = await fetch(`${metered.house.gateway.url}/v1/messages/count_tokens?beta=true`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ model, ...body }),
  });
  const text = await response.text();
  return { status: response.status, tokens: Number(parseObject(text)["input_tokens"]), text, response };
}

rule(234, "A burst of 25 counts is answered whole and in parallel, each asked once, with nothing spent", async () => {
  const before = await metered.used();
  const waiting = Promise.withResolvers<void>();
  const { anthropic } = servers;
  anthropic.answer = async () => {
    const { length } = anthropic.requests;
    // None gets its answer before all have asked.
    if (length === 25) waiting.resolve();
    await waiting.promise;
    return Response.json({ input_tokens: 4321 });
  };
  const large = "word ".repeat(500);
  const bodies = Array.from({ length: 25 }, (_, at) => ({ ...dummy, system: `${at} ${large}` }));
  const counts = await Promise.all(
    bodies.map((body) => count("my-claude", body, { "anthropic-beta": "token-counting-2024-11-01" })),
  );
  for (const { status, tokens } of counts) expect([status, tokens]).toEqual([200, 4321]);
  expect(new Set(anthropic.requests.map(({ body }) => body["system"])).size).toBe(25);
  expect(anthropic.requests[0]).toMatchObject({ path: "/v1/messages/count_tokens" });
  expect(anthropic.requests[0]!.headers.get("anthropic-beta")).toBe("token-counting-2024-11-01");
  const after = await metered.used();
  expect([after.spent_usd, after.input_tokens]).toEqual([before.spent_usd, before.input_tokens]);
});

rule(235, "An estimate counts instructions, tools, schemas, calls, results, thinking and media", async () => {
  const words = "seven lean years of rain ".repeat(160);
  const user = (content: object[]): JsonObject => ({ messages: [{ role: "user", content }] }) as JsonObject;
  const model = (content: object[]): JsonObject =>
    ({ messages: [...dummy.messages, { role: "assistant", content }] }) as JsonObject;
  const base64 = Buffer.alloc(60_000, "x").toString("base64");
  const data = { type: "base64", data: base64 };
  const parts: Record<string, [body: JsonObject, least: number]> = {
    system: [{ ...dummy, system: [{ type: "text", text: words }] }, 800],
    tools: [{ ...dummy, tools: [{ name: "look", description: words, input_schema: { type: "object" } }] }, 800],
    schema: [{ ...dummy, tools: [{ name: "look", input_schema: { type: "object", description: words } }] }, 800],
    format: [{ ...dummy, output_config: { format: { type: "json_schema", schema: { description: words } } } }, 800],
    call: [model([{ type: "tool_use", id: "t", name: "look", input: { at: words } }]), 800],
    result: [user([{ type: "tool_result", tool_use_id: "t", content: [{ type: "text", text: words }] }]), 800],
    thinking: [model([{ type: "thinking", thinking: words, signature: "" }]), 800],
    picture: [user([{ type: "image", source: { ...data, media_type: "image/png" } }]), 1500],
    inside: [user([{ type: "tool_result", tool_use_id: "t", content: [{ type: "image", source: data }] }]), 1500],
    document: [user([{ type: "document", source: { ...data, media_type: "application/pdf" } }]), 5000],
  };
  const plain = await count("coder-14b");
  for (const [name, [body, least]] of Object.entries(parts)) {
    const { tokens, status } = await count("coder-14b", body);
    expect({ name, status, enough: tokens - plain.tokens >= least }).toEqual({ name, status, enough: true });
    // Base64 is no text, and a document does not fill every window.
    expect({ name, tokens: tokens < 20_000 }).toEqual({ name, tokens: true });
  }
});

rule(236, "Nothing is counted that the client did not send", async () => {
  const { anthropic, llamacpp, vllm, openai } = servers;
  const system = "Be brief. ".repeat(200);
  const body = { system, messages: [{ role: "user", content: "How is the weather?" }] };
  await count("my-claude", body);
  expect(anthropic.requests[0]!.text).toBe(JSON.stringify({ model: "claude-sonnet-4-5", ...body }));
  await count("llamacpp/qwen3", body);
  expect(llamacpp.requests[0]!.body["messages"]).toEqual([
    { role: "system", content: system },
    { role: "user", content: "How is the weather?" },
  ]);
  vllm.answer = () => Response.json({ count: 4321, max_model_len: 8192, tokens: [1, 2, 3] });
  await count("vllm/qwen3", body);
  expect(vllm.requests[0]!.body["messages"]).toEqual(llamacpp.requests[0]!.body["messages"]!);
  await count("gpt-4o-mini", body);
  expect(stringsIn(openai.requests[0]!.body).filter((text) => text.length > 20)).toEqual([system]);
  // An estimate of two words is an estimate of two words and their frame.
  expect((await count("coder-14b")).tokens).toBeLessThan(60);
});

function stringsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(stringsIn);
}

rule(237, "A count goes where the request itself would go, and as it would be written there", async () => {
  const { anthropic, llamacpp, vllm } = servers;
  vllm.answer = () => Response.json({ count: 77 });
  const small = await count("my-claude");
  expect([small.tokens, llamacpp.requests.length, anthropic.requests.length]).toEqual([4321, 1, 0]);
  const large = {
    system: [
      { type: "text", text: "x-anthropic-billing-header: cc_version=2;" },
      { type: "text", text: "word ".repeat(500) },
    ],
  };
  const tools = [
    {
      name: "look",
      input_schema: { $schema: "s", type: "object", properties: { at: { type: "string", pattern: "\\d" } } },
    },
  ];
  const tooled = await count("my-claude", { ...dummy, ...large, tools });
  expect([tooled.tokens, vllm.requests.length, anthropic.requests.length]).toEqual([77, 1, 0]);
  // As a local server gets it: without the client's own label, and with schemas that it can take.
  expect(vllm.requests[0]!.text).not.toContain("billing");
  expect(vllm.requests[0]!.text).not.toContain("$schema");
  const asked = await metered.ask("messages", "my-claude", { extra: { ...large, tools } });
  expect(asked.attempts[0]).toMatchObject({ candidate: "vllm/qwen3" });
  await count("my-claude", { ...dummy, ...large });
  expect(anthropic.requests.map(({ body }) => body["model"])).toEqual(["claude-sonnet-4-5"]);
});

rule(238, "Servers that count for free are asked in their own way; elsewhere a learnt ratio tells", async () => {
  const body = { system: "Be brief.", messages: [{ role: "user", content: "Hello" }], max_tokens: 5, stream: true };
  const { openai, llamacpp, vllm } = servers;
  vllm.answer = () => Response.json({ count: 4321, max_model_len: 8192, tokens: [1, 2, 3], token_strs: null });
  for (const [model, server, path] of [
    ["gpt-4o-mini", openai, "/v1/responses/input_tokens"],
    ["llamacpp/qwen3", llamacpp, "/v1/chat/completions/input_tokens"],
    ["vllm/qwen3", vllm, "/tokenize"],
  ] as const) {
    const { text, response } = await count(model, body);
    expect([model, response.status, text]).toEqual([model, 200, '{"input_tokens":4321}']);
    expect(server.requests.map((request) => request.path)).toEqual([path]);
    expect(server.requests[0]!.body["stream"] ?? false).toBe(false);
    expect(server.requests[0]!.text).toContain("Be brief.");
  }
  expect(Object.keys(openai.requests[0]!.body).sort()).toEqual(["input", "instructions", "model"]);
  expect(openai.requests[0]!.headers.get("authorization")).toBe(`Bearer ${HOUSE_KEY}`);
  // Ollama counts nowhere: an answer of it teaches how many tokens its model makes of a byte.
  const system = "All day long it rained. ".repeat(400);
  const untaught = await count("fresh-14b", { ...dummy, system });
  const truth = Math.round(system.length / 4);
  metered.house.local.script.push({ answer: { usage: { input: truth, output: 13 } } });
  await metered.ask("messages", "fresh-14b", { extra: { system } });
  const taught = await count("fresh-14b", { ...dummy, system });
  expect(untaught.tokens).toBeGreaterThan(truth * 1.25);
  expect(taught.tokens).toBeGreaterThanOrEqual(truth);
  expect(taught.tokens).toBeLessThan(truth * 1.2);
});

rule(239, "Where no count can be had an estimate comes with 200, at once, and answers are not affected", async () => {
  const { anthropic, openai } = servers;
  const stalled = new AbortController();
  const faults: Record<string, () => Response | Promise<Response>> = {
    "status-500": () => new Response("oops", { status: 500 }),
    "status-404": () =>
      Response.json({ type: "error", error: { type: "not_found_error", message: "?" } }, { status: 404 }),
    "status-401": () => Response.json({ type: "error", error: { type: "authentication_error" } }, { status: 401 }),
    "status-529": () => new Response("", { status: 529, headers: { "retry-after": "600" } }),
    redirects: () => new Response("", { status: 302, headers: { location: "http://127.0.0.1:9/" } }),
    stalls: () => new Promise((resolve) => stalled.signal.addEventListener("abort", () => resolve(new Response("")))),
    babbles: () => new Response("<html>", { headers: { "content-type": "text/html" } }),
    lies: () => Response.json({ input_tokens: -7 }),
    zips: () => new Response(Bun.gzipSync('{"input_tokens":1}'), { headers: { "content-encoding": "gzip" } }),
  };
  expect(Object.keys(faults)).toEqual(failing);
  for (const [name, answer] of Object.entries(faults)) {
    anthropic.requests.length = 0;
    anthropic.answer = answer;
    const counts = await Promise.all([1, 2, 3].map(() => count(`${name}/claude-sonnet-4-5`)));
    for (const { status, tokens } of counts)
      expect({ name, status, told: tokens > 5 && tokens < 60 }).toEqual({ name, status: 200, told: true });
    expect(anthropic.requests.length).toBeLessThanOrEqual(3);
    // A server that has just failed is not asked again for a while, and nobody waits.
    const asked = anthropic.requests.length;
    expect((await count(`${name}/claude-sonnet-4-5`)).status).toBe(200);
    expect(anthropic.requests.length).toBe(asked);
    // What the counting suffered says nothing about the answers.
    anthropic.answer = () => Response.json(message);
    if (name === "status-401") continue;
    const { line } = await metered.ask("messages", `${name}/claude-sonnet-4-5`);
    expect({ name, served: line["served_by"] }).toEqual({ name, served: `${name}/claude-sonnet-4-5` });
  }
  stalled.abort();
  expect(await count("gone/claude-sonnet-4-5")).toMatchObject({ status: 200 });
  openai.answer = () => Response.json({ error: { message: "bad" } }, { status: 400 });
  expect(await count("gpt-4o-mini")).toMatchObject({ status: 200 });
  // Only what the vendor finds wrong with the request itself is the client's to know.
  const complaint = { type: "error", error: { type: "invalid_request_error", message: "messages.0: odd" } };
  anthropic.answer = () => Response.json(complaint, { status: 400 });
  const refused = await count("my-claude", { ...dummy, system: "word ".repeat(500) });
  expect([refused.status, refused.text]).toEqual([400, JSON.stringify(complaint)]);
});

const message = {
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "claude-sonnet-4-5",
  content: [{ type: "text", text: "Rain." }],
  stop_reason: "end_turn",
  stop_sequence: null,
  usage: { input_tokens: 20, output_tokens: 3 },
};
