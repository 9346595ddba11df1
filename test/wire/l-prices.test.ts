import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { ceilingOf, priceOf, pricesAsOf } from "../../src/catalogue/index.ts";
import { costNanos } from "../../src/layers/budget/cost.ts";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { noUsage } from "../../src/wire/usage.ts";
import { HOUSE_KEY, loneModels } from "../fakes/house.ts";
import { MeteredHouse, usdOf } from "./metered-house.ts";
import { rule } from "./rule.ts";
import { chatAnswer, messagesAnswer, messagesStream, responsesAnswer, responsesStream } from "./usage-fixtures.ts";

setDefaultTimeout(30_000);

const sonnet = "claude-sonnet-4-5";
let metered: MeteredHouse;

beforeAll(async () => {
  metered = await MeteredHouse.start({
    config: ({ cloud }) => {
      const lone = loneModels([
        { name: "cached-chat", dialect: "chat", origin: cloud },
        { name: "cached-responses", dialect: "responses", origin: cloud },
        { name: "cut-responses", dialect: "responses", origin: cloud },
        { name: "cut-messages", dialect: "messages", origin: cloud },
      ]);
      const google = { url: `${cloud}/v1`, dialects: ["chat"], key: { command: ["printf", "%s", HOUSE_KEY] } };
      return { providers: { ...lone.providers, google }, models: lone.models };
    },
  });
});
afterAll(async () => {
  await metered[Symbol.asyncDispose]();
});

rule(213, "Anthropic's searches cost their fee each, its fetches nothing beside their tokens", async () => {
  const usage = {
    input_tokens: 1000,
    output_tokens: 100,
    server_tool_use: { web_search_requests: 3, web_fetch_requests: 50 },
  };
  const bill = await metered.bill("messages", sonnet, { rawBody: messagesAnswer(usage) });
  expect(bill.line.usd).toBe(usdOf([1000, 3], [100, 15], [3, 10_000]));
  const lie = { ...usage, server_tool_use: { web_search_requests: 900_000_000 } };
  const lied = await metered.bill("messages", sonnet, { rawBody: messagesAnswer(lie) });
  expect(lied.line.usd).toBe(usdOf([1000, 3], [100, 15]));
});

test("what searched before it broke off costs its searches and what they brought, as far as it was seen", async () => {
  const start = { input_tokens: 1000, cache_read_input_tokens: 500, output_tokens: 1, server_tool_use: null };
  const end = { input_tokens: 4000, cache_read_input_tokens: 500, output_tokens: 100 };
  const [opening, ...answer] = messagesStream(start, [{ ...end, server_tool_use: { web_search_requests: 1 } }]);
  const block = (index: number, content_block: JsonObject): string[] => [
    `event: content_block_start\ndata: ${JSON.stringify({ type: "content_block_start", index, content_block })}\n\n`,
    `event: content_block_stop\ndata: ${JSON.stringify({ type: "content_block_stop", index })}\n\n`,
  ];
  const search = (at: number): string[] => [
    ...block(2 * at, { type: "server_tool_use", id: `srvtoolu_${at}`, name: "web_search", input: {} }),
    ...block(2 * at + 1, {
      type: "web_search_tool_result",
      tool_use_id: `srvtoolu_${at}`,
      content: [{ type: "web_search_result", encrypted_content: "x".repeat(3000) }],
    }),
  ];
  const rawBody = [opening!, ...search(0), ...search(1), ...answer];
  const streamed = { extra: { stream: true } };
  // Of the two searches one failed: the vendor's figure counts.
  const whole = await metered.bill("messages", sonnet, { rawBody }, streamed);
  expect(whole.line.usd).toBe(usdOf([4000, 3], [500, 0.3], [100, 15], [1, 10_000]));
  const cut = { at: { event: rawBody.length - 2 }, how: "end" } as const;
  const broken = await metered.bill("messages", "cut-messages", { rawBody, cut }, streamed);
  expect(broken.attempts[0]).toMatchObject({ outcome: "cut_stream" });
  // The prompt is read three times, the first result twice.
  expect(Number(broken.usage["input"])).toBeGreaterThan(1000 + 2 * 1500 + 3 * 1000);
  expect(Number(broken.usage["input"])).toBeLessThan(1000 + 2 * 1500 + 3 * 1100);
  expect(broken.line.usd).toBeGreaterThan(usdOf([7000, 3], [500, 0.3], [2, 10_000]));
});

rule(214, "OpenAI's cache writes are billed as writes, those that live longer at the dearer rate", async () => {
  const split = { ttl_30m_tokens: 4000, ttl_12h_tokens: 6000 };
  for (const details of [
    { cache_write_tokens: 10_000, cache_write_tokens_details: split },
    { cache_write_tokens: 10_000, ...split },
  ]) {
    const chat = { prompt_tokens: 11_000, completion_tokens: 10, prompt_tokens_details: details };
    const responses = { input_tokens: 11_000, output_tokens: 10, input_tokens_details: details };
    for (const [dialect, rawBody] of [
      ["chat", chatAnswer(chat)],
      ["responses", responsesAnswer(responses)],
    ] as const) {
      const bill = await metered.bill(dialect, `cached-${dialect}`, { rawBody });
      expect(bill.usage).toMatchObject({ input: 1000, cache_write: 10_000 });
      // 3.75 a write, 6 a long one, in USD per million tokens.
      expect(bill.line.usd).toBe(usdOf([1000, 3], [4000, 3.75], [6000, 6], [10, 15]));
    }
  }
});

rule(215, "Sound and pictures have their own rates where the list has them, and cost as text elsewhere", async () => {
  const details = { audio_tokens: 600, image_tokens: 200, text_tokens: 200 };
  const usage = { prompt_tokens: 1000, completion_tokens: 100, prompt_tokens_details: details };
  // Gemini's list: 0.3 for text and pictures, 1 for sound, 2.5 out.
  const heard = await metered.bill("chat", "google/gemini-2.5-flash", { rawBody: chatAnswer(usage) });
  expect(heard.line.usd).toBe(usdOf([600, 1], [400, 0.3], [100, 2.5]));
  const read = await metered.bill("chat", "gpt-4o-mini", { rawBody: chatAnswer(usage) });
  expect(read.line.usd).toBe(usdOf([1000, 0.15], [100, 0.6]));
  // More sound than prompt is a lie, and takes nothing off the bill.
  const lie = { ...usage, prompt_tokens_details: { audio_tokens: 5000 } };
  const lied = await metered.bill("chat", "google/gemini-2.5-flash", { rawBody: chatAnswer(lie) });
  expect(lied.line.usd).toBe(usdOf([1000, 1], [100, 2.5]));
});

rule(216, "Calls of hosted tools are counted in the output and cost their fees, in a cut stream too", async () => {
  const calls = ["web_search_call", "web_search_call", "file_search_call", "code_interpreter_call"];
  const items = [...calls, "image_generation_call"].map((type, at) => ({
    type,
    id: `call_${at}`,
    status: "completed",
  }));
  const usage = { input_tokens: 1000, output_tokens: 100 };
  const tokens = usdOf([1000, 0.15], [100, 0.6]);
  const fees = 2 * 0.01 + 0.0025 + 0.03 + 0.25;
  const whole = await metered.bill("responses", "gpt-4o-mini", { rawBody: responsesAnswer(usage, items) });
  const rawBody = responsesStream(usage, items);
  const streamed = await metered.bill("responses", "gpt-4o-mini", { rawBody }, { extra: { stream: true } });
  // Some servers end with a response that lists nothing.
  const emptied = responsesStream(usage, items, { output: [] });
  const forgotten = await metered.bill("responses", "gpt-4o-mini", { rawBody: emptied }, { extra: { stream: true } });
  for (const bill of [whole, streamed, forgotten]) expect(bill.line.usd).toBeCloseTo(tokens + fees, 6);
  const cut = { at: { event: rawBody.length - 1 }, how: "end" } as const;
  const broken = await metered.bill("responses", "cut-responses", { rawBody, cut }, { extra: { stream: true } });
  expect(broken.attempts[0]).toMatchObject({ outcome: "cut_stream" });
  expect(broken.line.usd).toBeGreaterThan(fees);
});

rule(217, "The tier and the speed that the answer names decide the price, not those that were asked for", async () => {
  const usage = { input_tokens: 10_000, output_tokens: 1000 };
  const listed = usdOf([10_000, 0.15], [1000, 0.6]);
  const cases = [
    { asked: "priority", told: "priority", factor: 2.5 },
    { asked: "priority", told: "default", factor: 1 },
    { asked: "auto", told: "priority", factor: 2.5 },
    { asked: "auto", told: "fast", factor: 2.5 },
    { asked: "auto", told: "flex", factor: 0.5 },
    { asked: "flex", told: null, factor: 1 },
    { asked: "priority", told: null, factor: 2.5 },
    { asked: "auto", told: "something-new", factor: 2.5 },
  ];
  for (const { asked, told, factor } of cases) {
    for (const stream of [false, true]) {
      const more = { service_tier: told };
      const rawBody = stream ? responsesStream(usage, [], more) : responsesAnswer(usage, [], more);
      const extra = { service_tier: asked, stream };
      const bill = await metered.bill("responses", "gpt-4o-mini", { rawBody }, { extra });
      expect({ asked, told, usd: bill.line.usd }).toEqual({
        asked,
        told,
        usd: Math.round(listed * factor * 1e6) / 1e6,
      });
    }
  }
  const chat = { prompt_tokens: 10_000, completion_tokens: 1000 };
  const rawBody = chatAnswer(chat, { service_tier: "priority" });
  expect((await metered.bill("chat", "gpt-4o-mini", { rawBody })).line.usd).toBe(usdOf([10_000, 0.375], [1000, 1.5]));
  for (const [speed, factor] of [
    ["standard", 1],
    ["fast", 6],
  ] as const) {
    const fast = messagesAnswer({ ...usage, service_tier: "standard", speed });
    const bill = await metered.bill("messages", sonnet, { rawBody: fast });
    expect(bill.line.usd).toBe(usdOf([10_000, 3 * factor], [1000, 15 * factor]));
  }
});

rule(218, "What an answer says was done in a batch costs half, but for the fees of its tools", async () => {
  const usage = { input_tokens: 1000, output_tokens: 100, service_tier: "batch" };
  const plain = await metered.bill("messages", sonnet, { rawBody: messagesAnswer(usage) });
  expect(plain.line.usd).toBe(usdOf([1000, 1.5], [100, 7.5]));
  const searched = messagesAnswer({ ...usage, server_tool_use: { web_search_requests: 2 } });
  const bill = await metered.bill("messages", sonnet, { rawBody: searched });
  expect(bill.line.usd).toBe(usdOf([1000, 1.5], [100, 7.5], [2, 10_000]));
});

rule(219, "Work in a place with a surcharge costs it, and a place that is not known is taken for one", async () => {
  const usage = { input_tokens: 10_000, output_tokens: 1000 };
  for (const [inference_geo, factor] of [
    ["us", 1.1],
    ["global", 1],
    ["not_available", 1],
    [null, 1],
    ["moon", 1.1],
  ] as const) {
    const bill = await metered.bill("messages", sonnet, { rawBody: messagesAnswer({ ...usage, inference_geo }) });
    expect([inference_geo, bill.line.usd]).toEqual([inference_geo, Math.round(45_000 * factor) / 1e6]);
  }
});

rule(
  229,
  "Money is whole nano-dollars, rounded up once; prices have a date; an unknown one is the dearest",
  async () => {
    const price = {
      input: 1,
      output: 1,
      cacheRead: 1,
      cacheWrite5m: 1,
      cacheWrite1h: 1,
      long: null,
      source: "config",
    } as const;
    const crumbs = { ...noUsage, input: 1, cacheRead: 1, cacheWrite5m: 1, cacheWrite1h: 1, output: 1 };
    // Five times a thousandth of the smallest sum: rounded one by one it would be five.
    expect(costNanos(crumbs, price)).toBe(1);
    const terms = { factor: 110, priceOfOther: () => price };
    expect(costNanos({ ...crumbs, others: [{ model: "m", usage: crumbs }] }, price, terms)).toBe(1);
    expect(costNanos({ ...noUsage, input: 910 }, price, terms)).toBe(2);
    expect(pricesAsOf.date).toMatch(/^20\d\d-\d\d-\d\d$/);
    const name = "claude-unheard-of-9";
    expect(priceOf("anthropic", name)).toBeNull();
    const rawBody = messagesAnswer({ input_tokens: 10_000, output_tokens: 1000 }, { model: name });
    const bill = await metered.bill("messages", name, { rawBody });
    const { input, output } = ceilingOf("anthropic");
    expect(bill.line["price"]).toBe("ceiling");
    expect(bill.line.usd).toBe(usdOf([10_000, input / 1e6], [1000, output / 1e6]));
    expect(bill.line.usd).toBeGreaterThan(usdOf([10_000, 3], [1000, 15]));
  },
);
