// An agent that wants to spend more than it has, and vendors that bill each request in the dearest way that it can be read:
// what a request can switch on is refused by name, or held before it is sent (threat model, rows B3 to B25).

import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { Gate } from "../fakes/gate.ts";
import { dialects, loneModels, modelOf, post, startHouse, type House, type TestDialect } from "../fakes/house.ts";
import { objectOf } from "../fakes/json-access.ts";
import type { RecordedRequest } from "../fakes/provider.ts";
import type { Step } from "../fakes/script.ts";
import { eventually, tokenOf, type AuditLine } from "../harness.ts";
import {
  chatAnswer,
  chatChunk,
  chatStream,
  messagesAnswer,
  messagesStream,
  responsesAnswer,
  responsesStream,
  TEXT,
} from "../wire/usage-fixtures.ts";

setDefaultTimeout(60_000);

let house: House;

/** Fresh names with a provider each: who hangs up on one breaks no other. */
const leavers = dialects.map((dialect) => ({ name: `left-${dialect}`, dialect }));

beforeAll(async () => {
  house = await startHouse({
    cloud: { lenient: true },
    config: ({ cloud }) => {
      const lone = loneModels(leavers.map((model) => ({ ...model, origin: cloud })));
      return { fallback: [], providers: lone.providers, models: lone.models };
    },
  });
});
afterAll(async () => house[Symbol.asyncDispose]());
beforeEach(() => {
  house.cloud.respond = {};
});

async function lineOf(response: Response): Promise<AuditLine> {
  const id = response.headers.get("x-sanctum-request-id");
  return house.gateway.auditLine((one) => one.id === id);
}

const picture = "A".repeat(400_000);

describe("what would cost an amount that nobody can bound is 400 with the field's name, and nothing is sent:", () => {
  const refused: Readonly<Record<TestDialect, readonly (readonly [field: string, extra: JsonObject])[]>> = {
    messages: [
      ["container", { container: "container_1" }],
      ["mcp_servers", { mcp_servers: [{ type: "url", url: "https://mcp.example", name: "m" }] }],
      ["speed", { speed: "ludicrous" }],
      ["inference_geo", { inference_geo: "moon" }],
      ["service_tier", { service_tier: "priority" }],
      ["tools.0.type", { tools: [{ type: "code_execution_20250825", name: "code_execution" }] }],
      ["tools.0.type", { tools: [{ type: "mcp_toolset", mcp_server_name: "m" }] }],
      ["tools.0.type", { tools: [{ type: "something_new_20270101", name: "n" }] }],
      ["tools.0.max_uses", { tools: [{ type: "web_search_20250305", name: "web_search" }] }],
      ["tools.0.max_uses", { tools: [{ type: "web_search_20250305", name: "web_search", max_uses: 1_000 }] }],
      ["context_management.edits.0.type", { context_management: { edits: [{ type: "compact_20260112" }] } }],
      ["fallbacks", { fallbacks: Array.from({ length: 9 }, () => ({ model: "claude-opus-4-1" })) }],
      ["models", { models: ["anthropic/claude-opus-4.1"] }],
      ["route", { route: "fallback" }],
      ["plugins", { plugins: [{ id: "web" }] }],
      ["provider", { provider: { sort: "throughput" } }],
      ["model", { model: "openrouter/anthropic/claude-sonnet-4.5:online" }],
      ["model", { model: "openrouter/anthropic/claude-sonnet-4.5:ONLINE:floor" }],
      ["model", { model: "openrouter/@preset/dear" }],
    ],
    chat: [
      ["n", { n: 17 }],
      ["n", { n: 1.5 }],
      ["best_of", { best_of: 4 }],
      ["max_tokens", { max_tokens: 10 }],
      ["models", { models: ["openai/o1-pro"] }],
      ["fallbacks", { fallbacks: ["openai/o1-pro"] }],
      ["route", { route: "fallback" }],
      ["preset", { preset: "dear" }],
      ["plugins", { plugins: [{ id: "web" }] }],
      ["provider", { provider: { order: ["dear"] } }],
      ["web_search_options", { web_search_options: {} }],
      ["service_tier", { service_tier: "priority" }],
      ["prediction", { prediction: { type: "content", content: "x" } }],
      ["audio", { audio: { voice: "alloy", format: "wav" } }],
      ["modalities", { modalities: ["text", "audio"] }],
      ["tools.0.type", { tools: [{ type: "web_search" }] }],
      ["content.0.type", { messages: [{ role: "user", content: [{ type: "input_audio", input_audio: {} }] }] }],
      ["model", { model: "openrouter/openai/gpt-4o:online" }],
      ["model", { model: "openrouter/openai/gpt-4o:online:nitro" }],
      ["model", { model: "openrouter/openai/gpt-4o@preset/dear" }],
    ],
    responses: [
      ["previous_response_id", { previous_response_id: "resp_1" }],
      ["conversation", { conversation: "conv_1" }],
      ["prompt", { prompt: { id: "pmpt_1" } }],
      ["background", { background: true }],
      ["item_reference", { input: [{ type: "item_reference", id: "msg_1" }] }],
      ["n", { n: 2 }],
      ["best_of", { best_of: 2 }],
      ["max_tokens", { max_tokens: 10 }],
      ["max_tool_calls", { tools: [{ type: "web_search" }], max_tool_calls: 10_000 }],
      ["tools[0].type", { tools: [{ type: "mcp", server_label: "m", server_url: "https://mcp.example" }] }],
      ["tools[0].type", { tools: [{ type: "image_generation" }] }],
      ["tools[0].type", { tools: [{ type: "something_new" }] }],
      ["models", { models: ["openai/o1-pro"] }],
      ["plugins", { plugins: [{ id: "web" }] }],
      ["provider", { provider: { only: ["dear"] } }],
      ["model", { model: "openrouter/openai/gpt-4o:online" }],
    ],
  };
  for (const dialect of dialects) {
    test(dialect, async () => {
      for (const [field, extra] of refused[dialect]) {
        const before = house.cloud.requests.length;
        const answer = await post(house.gateway, dialect, { extra });
        const text = await answer.text();
        expect([JSON.stringify(extra).slice(0, 80), answer.status, text]).toEqual([
          JSON.stringify(extra).slice(0, 80),
          400,
          expect.stringContaining(field),
        ]);
        expect(house.cloud.requests).toHaveLength(before);
        expect((await lineOf(answer)).usd).toBe(0);
      }
    });
  }
});

/** All text of a value, but for what stands for media. */
function textBytes(value: Json): number {
  if (typeof value === "string") return value.length > 100_000 ? 0 : Buffer.byteLength(value);
  if (typeof value !== "object" || value === null) return 1;
  if (Array.isArray(value)) return value.reduce<number>((sum, one) => sum + textBytes(one), 0);
  return Object.entries(value).reduce((sum, [key, one]) => sum + key.length + textBytes(one), 0);
}

/**
 * What a vendor can bill at most for what it was sent: a token for each byte, pictures and documents at their most, the
 * prompt once more for each search with all that it found, all of it written to the cache that was asked for, and all the
 * output that was allowed.
 */
function greediest(request: RecordedRequest): Step {
  const body = request.json();
  const text = request.text;
  const calls = searchesIn(body);
  const pictures = (text.match(/"type":"(?:image|image_url|input_image)"/g) ?? []).length;
  const documents = (text.match(/\{"type":"(?:document|input_file|container_upload|holo)"|"type":"file","file"/g) ?? [])
    .length;
  const own = textBytes(body) + pictures * 4_800 + documents * 100_000;
  const window = request.target.endsWith("/messages") ? 200_000 : 128_000;
  const prompt = Math.min(window, own * (1 + calls) + calls * 16_000);
  const allowed = Number(body["max_tokens"] ?? body["max_completion_tokens"] ?? body["max_output_tokens"] ?? 16_384);
  // Of a stream a token for each byte that is seen, as long as nothing is thought unseen.
  const seen = body["stream"] === true && body["thinking"] === undefined && body["reasoning"] === undefined;
  const output = seen ? Math.min(allowed, TEXT.length) : allowed;
  const written = text.includes("cache_control");
  if (request.target.endsWith("/messages")) {
    const usage: JsonObject = {
      input_tokens: written ? 0 : prompt,
      cache_creation_input_tokens: written ? prompt : 0,
      cache_creation: text.includes('"1h"')
        ? { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: written ? prompt : 0 }
        : { ephemeral_5m_input_tokens: written ? prompt : 0, ephemeral_1h_input_tokens: 0 },
      output_tokens: output,
      server_tool_use: { web_search_requests: calls },
      speed: body["speed"] ?? "standard",
      inference_geo: body["inference_geo"] ?? "global",
    };
    return { rawBody: body["stream"] === true ? messagesStream(usage, [usage]) : messagesAnswer(usage) };
  }
  const tier = typeof body["service_tier"] === "string" ? { service_tier: body["service_tier"] } : {};
  if (request.target.endsWith("/responses")) {
    const items = Array.from({ length: calls }, (_, at) => ({
      type: "web_search_call",
      id: `ws_${at}`,
      status: "completed",
    }));
    const usage = { input_tokens: prompt, output_tokens: output };
    return {
      rawBody: body["stream"] === true ? responsesStream(usage, items, tier) : responsesAnswer(usage, items, tier),
    };
  }
  const usage = { prompt_tokens: prompt, completion_tokens: output * Number(body["n"] ?? 1) };
  const streamed = chatStream([chatChunk({ content: "Rain." }, "stop"), chatChunk({}, null, { usage, ...tier })]);
  return { rawBody: body["stream"] === true ? streamed : chatAnswer(usage, tier) };
}

function searchesIn(body: JsonObject): number {
  const tools = Array.isArray(body["tools"]) ? body["tools"] : [];
  let calls = 0;
  for (const tool of tools) {
    const { type, max_uses } = objectOf(tool) ?? {};
    if (typeof type !== "string" || !/^(?:web_search|file_search|code_interpreter)/.test(type)) continue;
    calls += typeof max_uses === "number" ? max_uses : Number(body["max_tool_calls"] ?? 1);
  }
  return calls;
}

describe("what a vendor bills in the dearest reading of a request is never more than was held for it:", () => {
  const block = (mark: JsonObject): JsonObject => ({ type: "text", text: "x".repeat(5_000), cache_control: mark });
  const image = { type: "image", source: { type: "base64", media_type: "image/png", data: picture } };
  const search = { type: "web_search_20250305", name: "web_search", max_uses: 5 };
  const accepted: Readonly<Record<TestDialect, readonly JsonObject[]>> = {
    messages: [
      {},
      { max_tokens: 32_000 },
      { system: "\u0001".repeat(20_000) },
      { system: "漢".repeat(10_000), max_tokens: 1 },
      { system: [block({ type: "ephemeral" })] },
      { system: [block({ type: "ephemeral", ttl: "1h" })] },
      { cache_control: { type: "ephemeral", ttl: "1h" }, system: "x".repeat(9_000) },
      { speed: "fast" },
      { inference_geo: "us" },
      { speed: "fast", inference_geo: "us", system: [block({ type: "ephemeral", ttl: "1h" })] },
      { messages: [{ role: "user", content: [image, image, image] }] },
      {
        messages: [{ role: "user", content: [{ type: "image", source: { type: "url", url: "https://x.example/i" } }] }],
      },
      { messages: [{ role: "user", content: [{ type: "image", source: { type: "file", file_id: "file_1" } }] }] },
      { messages: [{ role: "user", content: [{ type: "document", source: { type: "file", file_id: "file_1" } }] }] },
      {
        messages: [
          { role: "user", content: [{ type: "document", source: { type: "url", url: "https://x.example" } }] },
        ],
      },
      { messages: [{ role: "user", content: [{ type: "container_upload", file_id: "file_1" }] }] },
      { messages: [{ role: "user", content: [{ type: "holo", url: "https://x.example/h" }] }] },
      { tools: [search] },
      { tools: [search], speed: "fast" },
      { fallbacks: [{ model: "claude-haiku-4-5" }] },
      { thinking: { type: "enabled", budget_tokens: 2_000 }, max_tokens: 4_000 },
    ],
    chat: [
      {},
      { n: 16 },
      { n: 3, max_completion_tokens: 8_000 },
      { messages: [{ role: "user", content: "\u0001".repeat(20_000) }] },
      {
        messages: [
          { role: "user", content: [{ type: "image_url", image_url: { url: `data:image/png;base64,${picture}` } }] },
        ],
      },
      { messages: [{ role: "user", content: [{ type: "file", file: { file_id: "file_1" } }] }] },
      { messages: [{ role: "user", content: [{ type: "holo", file_url: "https://x.example/h" }] }] },
      { service_tier: "flex" },
      { max_completion_tokens: null },
      { provider: { sort: "price" }, models: [] },
    ],
    responses: [
      {},
      { max_output_tokens: 8_000 },
      { input: [{ role: "user", content: [{ type: "input_image", image_url: `data:image/png;base64,${picture}` }] }] },
      { input: [{ role: "user", content: [{ type: "input_image", file_id: "file_1" }] }] },
      { input: [{ role: "user", content: [{ type: "input_file", file_url: "https://x.example/f" }] }] },
      { input: [{ role: "user", content: [{ type: "input_file", file_id: "file_1" }] }] },
      { tools: [{ type: "web_search" }], max_tool_calls: 4 },
      { tools: [{ type: "web_search" }, { type: "function", name: "f", parameters: {} }] },
      { service_tier: "priority" },
      { service_tier: "tomorrow" },
      { reasoning: { effort: "high" }, max_output_tokens: 5_000 },
      { context_management: [{ type: "compaction", compact_threshold: 1_000 }] },
    ],
  };
  for (const dialect of dialects) {
    for (const stream of [false, true]) {
      test(`${dialect}, ${stream ? "streamed" : "whole"}`, async () => {
        house.cloud.respond = greediest;
        for (const extra of accepted[dialect]) {
          const answer = await post(house.gateway, dialect, { extra: { stream, ...extra } });
          await answer.text();
          const what = JSON.stringify(extra).slice(0, 100);
          expect([what, answer.status]).toEqual([what, 200]);
          const { usd, held_usd, usage } = await lineOf(answer);
          expect(objectOf(usage)?.["source"]).toBe("upstream");
          const held = Number(held_usd);
          expect([what, usd > 0, usd <= held]).toEqual([what, true, true]);
        }
      });
    }
  }
});

test("a field that nobody here knows reaches its vendor, and the audit line says that it has no known price", async () => {
  for (const dialect of dialects) {
    const answer = await post(house.gateway, dialect, { extra: { hyper_speed: { level: 9 } } });
    expect(answer.status).toBe(200);
    await answer.text();
    expect(house.cloud.generations.at(-1)!.json()["hyper_speed"]).toEqual({ level: 9 });
    expect(await lineOf(answer)).toMatchObject({ attempts: [{ note: "no price is known here for: hyper_speed" }] });
  }
  expect(house.gateway.output().match(/switch hyper_speed/g)).toHaveLength(1);
});

test("a speed that nobody asked for, told by the answer, is charged and held as soon as it is told", async () => {
  const usage = { input_tokens: 1_000, output_tokens: 50, speed: "fast" };
  house.cloud.respond = { rawBody: messagesStream({ ...usage, output_tokens: 1 }, [usage]) };
  const answer = await post(house.gateway, "messages", { extra: { stream: true } });
  await answer.text();
  const { usd, held_usd } = await lineOf(answer);
  expect(usd).toBe((6 * (1_000 * 3 + 50 * 15)) / 1e6);
  expect(Number(held_usd)).toBeGreaterThanOrEqual(usd);
});

describe("a stream that its client leaves is charged at least what was generated for it, after each of its first events:", () => {
  const words = 70;
  /** One token an event, five bytes each; the prompt at the four bytes a token that text has. */
  const tokensOf = (text: string): number => Math.floor(Buffer.byteLength(text) / 4);

  for (const dialect of dialects) {
    test(dialect, async () => {
      const prompt = "the weather in Oslo is wet. ".repeat(150);
      const own = dialect === "responses" ? { input: prompt } : { messages: [{ role: "user", content: prompt }] };
      for (let events = 1; events <= words; events++) {
        const gate = new Gate();
        gate.release(events);
        house.cloud.respond = { answer: { text: "word ".repeat(200), pieceLength: 5 }, gate };
        const before = house.cloud.generations.length;
        const known = house.gateway.auditLines().length;
        const leaving = new AbortController();
        const call = post(house.gateway, dialect, {
          model: `left-${dialect}`,
          extra: { ...own, stream: true, max_tokens: undefined, max_completion_tokens: undefined, ...limitOf(dialect) },
          signal: leaving.signal,
        }).catch(() => null);
        await house.cloud.arrived(before + 1);
        const asked = house.cloud.generations.at(-1)!;
        await eventually(() => expect(gate.waiting).toBe(1));
        leaving.abort();
        await call;
        await asked.aborted;
        const line = await eventually(() => {
          const found = house.gateway.auditLines().slice(known);
          expect(found).toHaveLength(1);
          return found[0]!;
        });
        const bill = (tokensOf(prompt) * 3 + Math.max(0, events - 8) * 15) / 1e6;
        const told = dialect === "messages" ? (21 * 3) / 1e6 : bill;
        expect([events, line.usd >= Math.min(bill, told)]).toEqual([events, true]);
      }
      const { agents } = await house.gateway.stats();
      expect(agents["default"]!.held_usd).toBe(0);
    });
  }

  function limitOf(dialect: TestDialect): JsonObject {
    return {
      [{ messages: "max_tokens", chat: "max_completion_tokens", responses: "max_output_tokens" }[dialect]]: 4_000,
    };
  }
});

test("a storm of clients that leave keeps no money, no call and no connection to the vendor", async () => {
  house.cloud.respond = { stall: "after_headers" };
  const before = house.cloud.generations.length;
  const calls = Array.from({ length: 200 }, () => new AbortController());
  const spent = (await house.gateway.stats()).agents["default"]!.spent_usd;
  const left = Promise.all(
    calls.map(async ({ signal }) =>
      post(house.gateway, "chat", { model: "left-chat", extra: { stream: true }, signal }).catch(() => null),
    ),
  );
  await house.cloud.arrived(before + calls.length);
  for (const call of calls) call.abort();
  await left;
  await Promise.all(house.cloud.generations.slice(before).map(async (asked) => asked.aborted));
  await eventually(async () => {
    const { agents, in_flight } = await house.gateway.stats();
    expect([agents["default"]!.held_usd, in_flight]).toEqual([0, 0]);
    expect(agents["default"]!.spent_usd).toBeGreaterThan(spent);
  });
});

test("a local model that fails is never followed by one that costs, whatever way it fails", async () => {
  for (const step of [
    { refuse: { status: 500 } },
    { refuse: { status: 429 } },
    { refuse: { status: 402 } },
    { refuse: { status: 404 } },
    { answer: { text: "" } },
  ] satisfies Step[]) {
    for (const dialect of dialects) {
      const before = house.cloud.requests.length;
      house.local.script.push(step, step, step, step);
      const answer = await post(house.gateway, dialect, { model: "coder-14b" });
      await answer.text();
      house.local.script.length = 0;
      expect(house.cloud.requests).toHaveLength(before);
      expect((await lineOf(answer)).usd).toBe(0);
    }
  }
});

test("the same request twice is two charges, where no key says that it is one", async () => {
  house.cloud.respond = { answer: { usage: { input: 1_000, output: 10 } } };
  const lines = [];
  for (let time = 0; time < 2; time++) {
    const answer = await post(house.gateway, "messages");
    await answer.text();
    lines.push(await lineOf(answer));
  }
  const [first, second] = lines;
  expect(first!.usd).toBeGreaterThan(0);
  expect(second!.usd).toBe(first!.usd);
});

test("an agent whose money is all held keeps no other one waiting, and is told to come back, not that its budget is gone", async () => {
  const gate = new Gate();
  const price = { input: 0, output: 1_000, cache_read: 0, cache_write: 0 };
  await using poor = await startHouse({
    cloud: { respond: { answer: { usage: { input: 50, output: 10 } }, gate } },
    config: {
      fallback: [],
      agents: {
        windu: { daily_usd: 0.25, tokens: [tokenOf("windu").hash] },
        mothma: { daily_usd: 0.25, tokens: [tokenOf("mothma").hash] },
      },
      models: { dear: { provider: "anthropic", model: "claude-dear", price } },
    },
  });
  const ask = async (agent: string): Promise<Response> =>
    post(poor.gateway, "messages", {
      model: "dear",
      extra: { max_tokens: 100 },
      headers: { authorization: `Bearer ${tokenOf(agent).token}` },
    });
  const first = [ask("windu"), ask("windu")];
  await poor.cloud.arrived(2);
  const waiting = Array.from({ length: 20 }, async () => ask("windu"));
  const other = ask("mothma");
  await poor.cloud.arrived(3);
  // Nobody gives anything back: those that wait are sent away in the end.
  const told = await Promise.all(waiting);
  for (const answer of told) {
    expect([answer.status, answer.headers.get("x-sanctum-error")]).toEqual([429, "BUDGET_HELD"]);
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(answer.headers.get("x-should-retry")).toBeNull();
  }
  // What comes back is had by those that wait by then, one after the other.
  const later = Array.from({ length: 5 }, async () => ask("windu"));
  gate.release(Infinity);
  for (const answer of await Promise.all([...first, other, ...later])) expect(answer.status).toBe(200);
  await eventually(async () => {
    expect((await poor.gateway.stats()).agents["windu"]).toMatchObject({ held_usd: 0, spent_usd: 0.07 });
  });
});

test("names that look like a model's and are none cost nothing: they are unknown, or priced as the dearest", async () => {
  const odd = [
    `${modelOf.messages} `,
    ` ${modelOf.messages}`,
    `${modelOf.messages}\u200b`,
    "сlaude-sonnet-4-5",
    "claude–sonnet-4-5",
    "claude-sonnet-4-5\n",
  ];
  for (const model of odd) {
    const before = house.cloud.requests.length;
    const answer = await post(house.gateway, "messages", { model });
    await answer.text();
    expect([model, answer.status]).toEqual([model, 404]);
    expect(house.cloud.requests).toHaveLength(before);
  }
  const listed = await post(house.gateway, "messages");
  await listed.text();
  const { held_usd: plain } = await lineOf(listed);
  for (const model of ["claude-sonnet-4-5-fast", "claude-sonnet-9"]) {
    const answer = await post(house.gateway, "messages", { model });
    await answer.text();
    const line = await lineOf(answer);
    expect([model, line["price"]]).toEqual([model, "ceiling"]);
    expect(Number(line["held_usd"])).toBeGreaterThan(Number(plain));
  }
});
