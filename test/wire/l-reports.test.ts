import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { dialects, HOUSE_KEY, loneModels, modelOf } from "../fakes/house.ts";
import { parseObject } from "../fakes/json-access.ts";
import type { FakeUsage, Step } from "../fakes/script.ts";
import { MeteredHouse, usdOf } from "./metered-house.ts";
import { rule } from "./rule.ts";
import {
  chatAnswer,
  chatChunk,
  chatStream,
  messagesAnswer,
  messagesStream,
  responsesAnswer,
  responsesStream,
} from "./usage-fixtures.ts";

setDefaultTimeout(30_000);

const routed = "openrouter/anthropic/claude-sonnet-4.5";
let metered: MeteredHouse;

beforeAll(async () => {
  metered = await MeteredHouse.start({
    config: ({ cloud, local }) => {
      const lone = loneModels([{ name: "openai/gpt-4o-mini", dialect: "chat", origin: cloud }]);
      const llama = { url: `${local}/v1`, dialects: ["chat"], local: true, key: "none" };
      return {
        providers: { ...lone.providers, llamacpp: llama, ...routers(cloud) },
        models: {
          "at-llama": { provider: "llamacpp", model: "qwen3" },
          "routed-messages": { provider: "openrouter-messages", model: "anthropic/claude-sonnet-4.5" },
          "routed-responses": { provider: "openrouter-responses", model: "openai/gpt-4o-mini" },
        },
        // A cut stream stays cut, so that what is known of it can be seen.
        stream: { takeover: "off" },
      };
    },
  });
});
afterAll(async () => {
  await metered[Symbol.asyncDispose]();
});

/** OpenRouter speaks the two other dialects too. */
function routers(cloud: string): object {
  const key = { command: ["printf", "%s", HOUSE_KEY] };
  return {
    "openrouter-messages": { url: cloud, dialects: ["messages"], key },
    "openrouter-responses": { url: `${cloud}/v1`, dialects: ["responses"], key },
  };
}

const prompt = { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100 };

/** Chunks of a stream whose last one carries the usage. */
function streamWith(usage: JsonObject, more: JsonObject = {}): string[] {
  return chatStream([chatChunk({ content: "Rain." }, null, more), chatChunk({}, "stop", { ...more, usage })]);
}

rule(
  220,
  "OpenRouter's own figure is the bill, the vendor's on top where the key is the customer's own, and a zero is none",
  async () => {
    const listed = (1000 * 3 + 100 * 15) / 1e6;
    const cases = [
      { usage: { ...prompt, cost: 0.0421 }, usd: 0.0421 },
      // What goes through an account of one's own is told as nothing, and billed all the same.
      { usage: { ...prompt, cost: 0 }, usd: listed, price: "catalogue" },
      { usage: { ...prompt, cost: 0.001, is_byok: true, cost_details: { upstream_inference_cost: 0.02 } }, usd: 0.021 },
      { usage: { ...prompt, cost: 0.001, is_byok: false, cost_details: { upstream_inference_cost: 9 } }, usd: 0.001 },
    ];
    for (const { usage, usd, price = "reported" } of cases) {
      for (const stream of [false, true]) {
        const rawBody = stream ? streamWith(usage) : chatAnswer(usage);
        const { line } = await metered.bill("chat", routed, { rawBody }, { extra: { stream } });
        expect(line).toMatchObject({ usd, price });
        const sent = metered.house.cloud.generations.at(-1)!.json();
        expect(sent["usage"]).toEqual({ include: true });
        expect(sent["stream_options"]).toEqual(stream ? { include_usage: true } : undefined);
      }
    }
    // Wherever the vendor says it, in the last event of a stream.
    const told = { input_tokens: 1000, output_tokens: 100, cost: 0.0421, is_byok: false };
    const started = { input_tokens: 1000, output_tokens: 1, cost: null };
    for (const [dialect, stream, rawBody] of [
      ["messages", false, messagesAnswer(told)],
      ["messages", true, messagesStream(started, [told])],
      ["responses", false, responsesAnswer(told)],
      ["responses", true, responsesStream(told)],
    ] as const) {
      const { line } = await metered.bill(dialect, `routed-${dialect}`, { rawBody }, { extra: { stream } });
      expect(line).toMatchObject({ usd: 0.0421, price: "reported" });
    }
    // From a client of another dialect as well; and a figure that can't be true is none.
    const other = await metered.bill("messages", routed, { rawBody: chatAnswer({ ...prompt, cost: 0.0421 }) });
    expect(other.line).toMatchObject({ usd: 0.0421, price: "reported" });
    expect(metered.house.cloud.generations.at(-1)!.json()["usage"]).toEqual({ include: true });
    for (const cost of [-1, 1e12, "0.1", null]) {
      const { line } = await metered.bill("chat", routed, { rawBody: chatAnswer({ ...prompt, cost }) });
      expect(line["price"]).not.toBe("reported");
      expect(line.usd).toBe(usdOf([1000, 3], [100, 15]));
    }
  },
);

rule(221, "OpenRouter's id of an answer is kept, so that a stream that broke off can be priced later", async () => {
  const id = "gen-1790000000-abcDEF";
  const rawBody = streamWith({ ...prompt, cost: 0.04 }, { id });
  const cut = { at: { event: 1 }, how: "end" } as const;
  const steps: Step[] = [
    { rawBody, cut },
    { rawBody: streamWith(prompt), cut, headers: { "x-generation-id": id } },
  ];
  for (const step of steps) {
    const bill = await metered.bill("chat", routed, step, { extra: { stream: true } });
    expect(bill.attempts).toMatchObject([{ outcome: "cut_stream", upstream_id: id }]);
  }
  const whole = await metered.bill("chat", routed, { rawBody: chatAnswer(prompt, { id }) });
  expect(whole.attempts).toMatchObject([{ outcome: "ok", upstream_id: id }]);
});

rule(
  222,
  "Usage is taken wherever a stream has it, the last that says something; a zero replaces nothing",
  async () => {
    const zero = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
    const said = chatChunk({ content: "Rain." });
    const running = (completion_tokens: number): JsonObject =>
      chatChunk({ content: "Rain. " }, null, { usage: { ...prompt, completion_tokens } });
    const streams: readonly (readonly JsonObject[])[] = [
      [said, chatChunk({}, "stop"), { ...chatChunk({}), choices: [], usage: prompt }],
      [said, chatChunk({ role: "assistant" }, "stop", { usage: prompt })],
      [running(1), running(50), chatChunk({}, "stop", { usage: prompt })],
      [chatChunk({ role: "assistant" }, null, { usage: zero }), said, chatChunk({}, "stop", { usage: prompt })],
      [said, chatChunk({}, "stop", { usage: prompt }), { ...chatChunk({}), choices: [], usage: zero }],
      [said, chatChunk({}, "stop", { usage: prompt }), { ...chatChunk({}), choices: [], usage: prompt }],
      [said, chatChunk({}, "stop", { usage: prompt }), chatChunk({}, null, { usage: { prompt_tokens: -5 } })],
      [
        said,
        chatChunk({}, "stop", { usage: prompt }),
        { ...chatChunk({}), choices: [], usage: { prompt_tokens: "9" } },
      ],
      [
        said,
        chatChunk({}, "stop", { usage: prompt }),
        chatChunk({}, null, { usage: { ...prompt, completion_tokens: 0 } }),
      ],
      [said, chatChunk({}, "stop"), { id: "x", object: "chat.completion.chunk", usage: prompt }],
    ];
    for (const [at, chunks] of streams.entries()) {
      const step = { rawBody: chatStream(chunks) };
      const { usage } = await metered.bill("chat", modelOf.chat, step, { extra: { stream: true } });
      expect({ at, ...usage }).toMatchObject({ at, input: 1000, output: 100, source: "upstream" });
    }
  },
);

/** No more is ever counted than was paid for beforehand. */
const enough = {
  messages: { max_tokens: 4_096 },
  chat: { max_completion_tokens: 4_096 },
  responses: { max_output_tokens: 4_096 },
};

rule(223, "Usage that is missing or can't be true is replaced by a count that is marked as one", async () => {
  const lies: readonly (FakeUsage | "missing")[] = [
    "missing",
    { input: -1000, output: -1000 },
    { input: "1e999", output: "1e999" },
    { input: 1e12, output: 1e12 },
    // As large as some servers' durations in nanoseconds.
    { input: 900_000_000, output: 900_000_000 },
    { input: 1000, output: 900_000_000 },
    { input: '"1000"', output: '"1000"' },
    { input: 0.5, output: 0.5 },
    { input: "null", output: "null" },
    { input: 0, output: 0 },
    // A short text is at least one token.
    { input: 1000, output: 0 },
    // And 9,000 characters are more than five.
    { input: 1000, output: 5 },
  ];
  for (const [at, usage] of lies.entries()) {
    const text = at === lies.length - 1 ? "word ".repeat(1800) : "Rain, as ever. ".repeat(12);
    for (const dialect of dialects) {
      for (const stream of [false, true]) {
        const step = { answer: { usage, text, pieceLength: 90 } };
        const bill = await metered.bill(dialect, modelOf[dialect], step, { extra: { stream, ...enough[dialect] } });
        expect({ at, dialect, stream, source: bill.usage["source"] }).toEqual({
          at,
          dialect,
          stream,
          source: "counted",
        });
        expect(Number(bill.usage["input"])).toBeGreaterThan(0);
        expect(Number(bill.usage["output"])).toBeGreaterThanOrEqual(Math.floor(text.length / 4));
        expect(bill.line.usd).toBeGreaterThan(0);
        expect(bill.line.usd).toBeLessThan(0.1);
      }
    }
  }
  // No false alarm: one long token, and a call without arguments.
  for (const answer of [
    { text: "-".repeat(64), usage: { input: 20, output: 1 } },
    { text: "Ja", usage: { input: 20, output: 1 } },
    { toolCalls: [{ name: "now", input: {} }], usage: { input: 20, output: 2 } },
  ]) {
    for (const dialect of dialects) {
      const { usage } = await metered.bill(dialect, modelOf[dialect], { answer });
      expect(usage).toMatchObject({ ...answer.usage, source: "upstream" });
    }
  }
});

rule(
  227,
  "A refusal costs what its usage says; what became of a credit for an earlier one is written down",
  async () => {
    const usage = { input_tokens: 1000, output_tokens: 0, cache_read_input_tokens: 5000 };
    const credits = [
      { status: { type: "redeemed" }, note: "fallback credit: redeemed" },
      { status: { type: "not_applied", reason: "expired" }, note: "fallback credit: not_applied" },
    ];
    for (const { status, note } of credits) {
      const told = { ...usage, fallback_credit: { status } };
      const silent = messagesAnswer(told, { content: [], stop_reason: "refusal" });
      const { line, attempts, usage: metred } = await metered.bill("messages", modelOf.messages, { rawBody: silent });
      expect(line.usd).toBe(usdOf([1000, 3], [5000, 0.3]));
      expect(metred).toMatchObject({ input: 1000, output: 0, cache_read: 5000, source: "upstream" });
      expect(attempts).toMatchObject([{ outcome: "ok", note }]);
    }
    const spoken = messagesAnswer({ ...usage, output_tokens: 30 }, { stop_reason: "refusal" });
    const streamed = messagesStream(usage, [{ output_tokens: 30 }]).map((event) =>
      event.replace("end_turn", "refusal"),
    );
    for (const rawBody of [spoken, streamed]) {
      const extra = { stream: Array.isArray(rawBody) };
      const bill = await metered.bill("messages", modelOf.messages, { rawBody }, { extra });
      expect(bill.line.usd).toBe(usdOf([1000, 3], [5000, 0.3], [30, 15]));
      expect(bill.text).toContain("refusal");
    }
  },
);

rule(228, "llama.cpp's timings count where its usage is missing; a server that tells no cache has none", async () => {
  const timings = { cache_n: 700, prompt_n: 300, predicted_n: 100, predicted_per_second: 12.5 };
  const streamed = chatStream([chatChunk({ content: "Rain." }), chatChunk({}, "stop", { timings })]);
  const { local } = metered.house;
  for (const stream of [false, true]) {
    local.script.push({ rawBody: stream ? streamed : chatAnswer(null, { timings }) });
    const bill = await metered.ask("chat", "at-llama", { extra: { stream } });
    expect(bill.usage).toMatchObject({ input: 300, cache_read: 700, output: 100, source: "upstream" });
    expect(bill.line).toMatchObject({ usd: 0, price: "free" });
  }
  // Translated, too; and what the usage says comes first.
  local.respond = {
    rawBody: chatStream([chatChunk({ content: "Rain." }), chatChunk({}, "stop", { timings, usage: prompt })]),
  };
  const both = await metered.ask("messages", "at-llama", { extra: { stream: true } });
  expect(both.usage).toMatchObject({ input: 1000, cache_read: 0, output: 100, source: "upstream" });
  local.respond = {};
  const ollama = await metered.ask("chat", "coder-14b");
  expect(ollama.usage).toMatchObject({ input: 21, cache_read: 0, output: 13, source: "upstream" });
});

rule(230, "Embeddings cost their prompt alone, alike as floats and as base64", async () => {
  for (const encoding_format of ["float", "base64"]) {
    metered.house.cloud.script.push({ answer: { usage: { input: 50_000 } } });
    const response = await fetch(`${metered.house.gateway.url}/v1/embeddings`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "text-embedding-3-small", input: ["Rain", "Snow"], encoding_format }),
    });
    expect(response.status).toBe(200);
    expect(parseObject(await response.text())["usage"]).toEqual({ prompt_tokens: 50_000, total_tokens: 50_000 });
    const { line, usage } = await metered.lineOf(response);
    expect(usage).toMatchObject({ input: 50_000, output: 0, source: "upstream" });
    expect(line.usd).toBe(usdOf([50_000, 0.02]));
  }
});
