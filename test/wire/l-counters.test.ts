import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { objectOf, parseObject } from "../fakes/json-access.ts";
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

/** USD per million tokens, as the vendors list them. */
const sonnet = { input: 3, output: 15, read: 0.3, write5m: 3.75, write1h: 6 };
const haiku = { input: 1, output: 5 };
const model = "claude-sonnet-4-5";

let metered: MeteredHouse;

beforeAll(async () => {
  metered = await MeteredHouse.start();
});
afterAll(async () => {
  await metered[Symbol.asyncDispose]();
});

rule(206, "Anthropic's prompt is the sum of three counters that hold nothing of each other", async () => {
  const counts = { input_tokens: 1000, cache_creation_input_tokens: 2000, cache_read_input_tokens: 3000 };
  const split = { ephemeral_5m_input_tokens: 2000, ephemeral_1h_input_tokens: 0 };
  const usage = { ...counts, cache_creation: split, output_tokens: 400 };
  const streamed = messagesStream({ ...usage, output_tokens: 1 }, [{ ...counts, output_tokens: 400 }]);
  for (const [stream, rawBody] of [
    [false, messagesAnswer(usage)],
    [true, streamed],
  ] as const) {
    const before = await metered.used();
    const bill = await metered.bill("messages", model, { rawBody }, { extra: { stream } });
    expect(bill.usage).toMatchObject({ input: 1000, cache_read: 3000, cache_write: 2000, output: 400 });
    expect(bill.line.usd).toBe(
      usdOf([1000, sonnet.input], [2000, sonnet.write5m], [3000, sonnet.read], [400, sonnet.output]),
    );
    const after = await metered.used();
    expect(after.input_tokens - before.input_tokens).toBe(6000);
    expect(after.output_tokens - before.output_tokens).toBe(400);
  }
});

rule(207, "OpenAI's cached and written tokens are inside the prompt, and taken out of it, never below 0", async () => {
  const cases = [
    { prompt: 3000, cached: 2000, written: 500, want: { input: 500, cache_read: 2000, cache_write: 500 } },
    { prompt: 1000, cached: 5000, written: 700, want: { input: 0, cache_read: 1000, cache_write: 0 } },
    { prompt: 1000, cached: 900, written: 700, want: { input: 0, cache_read: 900, cache_write: 100 } },
  ];
  for (const { prompt, cached, written, want } of cases) {
    const details = { cached_tokens: cached, cache_write_tokens: written };
    const chat = { prompt_tokens: prompt, completion_tokens: 40, prompt_tokens_details: details };
    const responses = { input_tokens: prompt, output_tokens: 40, input_tokens_details: details };
    const streamedChat = chatStream([chatChunk({ content: "Rain." }, "stop"), chatChunk({}, null, { usage: chat })]);
    for (const [dialect, stream, rawBody] of [
      ["chat", false, chatAnswer(chat)],
      ["chat", true, streamedChat],
      ["responses", false, responsesAnswer(responses)],
      ["responses", true, responsesStream(responses)],
    ] as const) {
      const bill = await metered.bill(dialect, "gpt-4o-mini", { rawBody }, { extra: { stream } });
      expect(bill.usage).toMatchObject({ ...want, output: 40, source: "upstream" });
    }
    // A client of the other kind gets them side by side.
    for (const [model, rawBody] of [
      ["openrouter/openai/gpt-4o-mini", chatAnswer(chat)],
      ["gpt-4o-mini", responsesAnswer(responses)],
    ] as const) {
      const translated = await metered.bill("messages", model, { rawBody });
      expect(parseObject(translated.text)["usage"]).toMatchObject({
        input_tokens: want.input,
        cache_read_input_tokens: want.cache_read,
        cache_creation_input_tokens: want.cache_write,
      });
    }
  }
});

rule(208, "Running totals of a stream replace each other and are never added up", async () => {
  const start = { input_tokens: 1000, cache_read_input_tokens: 3000, output_tokens: 1 };
  const deltas = [100, 250, 400].map((output_tokens) => ({ ...start, output_tokens }));
  const rawBody = messagesStream(start, deltas);
  // From a client of another dialect too, whose usage event is made of the same totals.
  const own = await metered.bill("messages", model, { rawBody }, { extra: { stream: true } });
  const asked = { stream: true, stream_options: { include_usage: true } };
  const other = await metered.bill("chat", model, { rawBody }, { extra: asked });
  for (const bill of [own, other]) {
    expect(bill.usage).toMatchObject({ input: 1000, cache_read: 3000, output: 400, source: "upstream" });
    expect(bill.line.usd).toBe(usdOf([1000, sonnet.input], [3000, sonnet.read], [400, sonnet.output]));
  }
  expect(other.text).toContain('"completion_tokens":400');
});

rule(209, "What only the start of a stream tells is kept: cache lifetimes, tier, speed and place", async () => {
  const start = {
    input_tokens: 1000,
    cache_creation_input_tokens: 3000,
    cache_creation: { ephemeral_5m_input_tokens: 1000, ephemeral_1h_input_tokens: 2000 },
    service_tier: "batch",
    speed: "fast",
    inference_geo: "us",
    output_tokens: 1,
  };
  const deltas: JsonObject[] = [
    // As Anthropic sends it; with silence in place of the totals; with a total that has grown in the meantime.
    { input_tokens: 1000, cache_creation_input_tokens: 3000, output_tokens: 400 },
    { input_tokens: null, cache_creation_input_tokens: null, cache_creation: null, output_tokens: 400 },
    { input_tokens: 1000, cache_creation_input_tokens: 3500, output_tokens: 400, service_tier: null, speed: null },
  ];
  for (const [at, delta] of deltas.entries()) {
    const rawBody = messagesStream(start, [delta]);
    const bill = await metered.bill("messages", model, { rawBody }, { extra: { stream: true } });
    const minutes = at === 2 ? 1500 : 1000;
    const listed = [1000 * 3, minutes * 3.75, 2000 * 6, 400 * 15].reduce((sum, part) => sum + part);
    // Half for the batch, six times for the speed, a tenth more for the place.
    expect(bill.line.usd).toBe(Math.round(listed * 0.5 * 6 * 1.1) / 1_000_000);
    expect(bill.usage).toMatchObject({ cache_write: minutes + 2000, output: 400 });
  }
});

rule(
  210,
  "A five-minute write costs 1.25 of the input, an hour's 2, a read 0.1; an untold lifetime is noted",
  async () => {
    const split = { ephemeral_5m_input_tokens: 1000, ephemeral_1h_input_tokens: 10_000 };
    const known = {
      input_tokens: 10,
      cache_creation_input_tokens: 11_000,
      cache_read_input_tokens: 20_000,
      cache_creation: split,
      output_tokens: 40,
    };
    const told = await metered.bill("messages", model, { rawBody: messagesAnswer(known) });
    const rest = [
      [10, sonnet.input],
      [20_000, sonnet.input * 0.1],
      [40, sonnet.output],
    ] as const;
    expect(told.line.usd).toBe(usdOf(...rest, [1000, sonnet.input * 1.25], [10_000, sonnet.input * 2]));
    expect(told.attempts[0]?.["note"]).not.toEqual(expect.stringContaining("lifetime"));
    const untold = await metered.bill("messages", model, {
      rawBody: messagesAnswer({ ...known, cache_creation: null }),
    });
    expect(untold.line.usd).toBe(usdOf(...rest, [11_000, sonnet.input * 1.25]));
    expect(untold.attempts[0]?.["note"]).toContain("unknown lifetime");
  },
);

rule(211, "Thinking and rejected predictions are billed once, as output, even if only the total has them", async () => {
  const details = { reasoning_tokens: 300, rejected_prediction_tokens: 50 };
  const chat = { prompt_tokens: 1000, completion_tokens: 400, completion_tokens_details: details };
  const responses = { input_tokens: 1000, output_tokens: 400, output_tokens_details: { reasoning_tokens: 300 } };
  const messages = { input_tokens: 1000, output_tokens: 400, output_tokens_details: { thinking_tokens: 300 } };
  for (const [dialect, name, rawBody, rates] of [
    ["chat", "gpt-4o-mini", chatAnswer(chat), [0.15, 0.6]],
    ["responses", "gpt-4o-mini", responsesAnswer(responses), [0.15, 0.6]],
    ["messages", model, messagesAnswer(messages), [3, 15]],
  ] as const) {
    const { line, usage } = await metered.bill(dialect, name, { rawBody });
    expect(usage).toMatchObject({ input: 1000, output: 400, reasoning: 300, source: "upstream" });
    expect(line.usd).toBe(usdOf([1000, rates[0]], [400, rates[1]]));
  }
  // Some servers leave the thinking out of the output and put it into the total alone; Gemini without a word about it.
  const outside = { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1400 };
  const nested = { input_tokens: 1000, output_tokens: 100, total_tokens: 1400 };
  const told = { completion_tokens_details: { reasoning_tokens: 300 } };
  const streamed = chatStream([chatChunk({ content: "Rain." }, "stop", { usage: { ...outside, ...told } })]);
  for (const [dialect, rawBody] of [
    ["chat", chatAnswer({ ...outside, ...told })],
    ["chat", chatAnswer(outside)],
    ["chat", chatAnswer({ ...outside, completion_tokens: 0 })],
    ["chat", streamed],
    ["responses", responsesAnswer({ ...nested, output_tokens_details: { reasoning_tokens: 300 } })],
  ] as const) {
    const stream = Array.isArray(rawBody);
    const { line, usage } = await metered.bill(dialect, "gpt-4o-mini", { rawBody }, { extra: { stream } });
    expect(usage).toMatchObject({ input: 1000, output: 400, source: "upstream" });
    expect(usage["reasoning"]).toBeGreaterThan(0);
    expect(line.usd).toBe(usdOf([1000, 0.15], [400, 0.6]));
  }
  // A total below its parts, or without a prompt, says nothing.
  for (const [prompt_tokens, total_tokens] of [
    [1000, 1100],
    [1000, 3],
    [1000, -1],
    [1000, 1e12],
  ] as const) {
    const rawBody = chatAnswer({ prompt_tokens, completion_tokens: 400, total_tokens });
    const { usage } = await metered.bill("chat", "gpt-4o-mini", { rawBody });
    expect(usage).toMatchObject({ input: 1000, output: 400, source: "upstream" });
  }
});

rule(212, "A compaction is billed beside the totals, and another model's share of them at its own price", async () => {
  const zero = { cache_creation_input_tokens: 0, cache_read_input_tokens: 0, cache_creation: null };
  const iterations = [
    { type: "compaction", ...zero, input_tokens: 500, output_tokens: 50 },
    { type: "message", ...zero, model, input_tokens: 600, output_tokens: 100 },
    { type: "fallback_message", ...zero, model: "claude-haiku-4-5", input_tokens: 400, output_tokens: 300 },
  ];
  const totals = { input_tokens: 1000, output_tokens: 400 };
  const whole = messagesAnswer({ ...totals, iterations });
  const streamed = messagesStream({ ...totals, output_tokens: 1, iterations: null }, [{ ...totals, iterations }]);
  for (const [stream, rawBody] of [
    [false, whole],
    [true, streamed],
  ] as const) {
    const bill = await metered.bill("messages", model, { rawBody }, { extra: { stream } });
    expect(bill.usage).toMatchObject({ input: 1500, output: 450, source: "upstream" });
    const own = [
      [600 + 500, sonnet.input],
      [100 + 50, sonnet.output],
    ] as const;
    expect(bill.line.usd).toBe(usdOf(...own, [400, haiku.input], [300, haiku.output]));
  }
  // An unknown helper is not free, and one that the totals do not hold is not taken out of them.
  const advisor = { type: "advisor_message", ...zero, model: "claude-nobody-9", input_tokens: 900, output_tokens: 90 };
  const advised = await metered.bill("messages", model, {
    rawBody: messagesAnswer({ ...totals, iterations: [advisor] }),
  });
  expect(objectOf(advised.line["usage"])).toMatchObject({ input: 1900, output: 490 });
  expect(advised.line.usd).toBeGreaterThan(usdOf([1900, sonnet.input], [490, sonnet.output]));
});
