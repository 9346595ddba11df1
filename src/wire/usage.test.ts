import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { codecs } from "./codecs.ts";
import type { Dialect, Json, JsonObject, Usage } from "./neutral.ts";
import { mergeUsage, noUsage, outputTokens, promptTokens, readCount, withOthers } from "./usage.ts";
import { visibleCharacters } from "./visible-output.ts";

test("a count is a whole number from 0 to a thousand million", () => {
  for (const count of [0, 1, 1e9]) expect(readCount(count)).toBe(count);
  const lies: (Json | undefined)[] = [-1, 0.5, 1e9 + 1, Number.NaN, Infinity, "5", null, true, [], {}, undefined];
  for (const lie of lies) expect(readCount(lie)).toBeUndefined();
});

describe("running counts", () => {
  test("replace each other, but no zero replaces a count, and what is absent says nothing", () => {
    const known: Usage = { ...noUsage };
    mergeUsage(known, { input: 10, output: 1, tier: "default" });
    mergeUsage(known, { input: 0, output: 5 });
    mergeUsage(known, { reportedUsd: 0.5 });
    mergeUsage(known, { reportedUsd: 0, cacheRead: 3 });
    expect(known).toEqual({ ...noUsage, input: 10, output: 5, cacheRead: 3, tier: "default", reportedUsd: 0.5 });
  });

  test("of 0 USD are an amount: a free model is told from one that says nothing", () => {
    const known: Usage = { ...noUsage };
    mergeUsage(known, { reportedUsd: 0 });
    expect(known.reportedUsd).toBe(0);
  });

  test("of other models are in the sums", () => {
    const usage = {
      ...noUsage,
      input: 1,
      output: 2,
      others: [{ model: "m", usage: { ...noUsage, cacheRead: 10, output: 20 } }],
    };
    expect([promptTokens(usage), outputTokens(usage)]).toEqual([11, 22]);
    expect(withOthers(usage)).toMatchObject({ input: 1, cacheRead: 10, output: 22 });
  });
});

const counts = fc.oneof(
  fc.integer({ min: -5, max: 100_000 }),
  fc.constantFrom<Json>(null, "7", 1e308, -1e308, 0.5, [], {}, true, 1e9, 1e10),
);
const names = [
  "input_tokens output_tokens cache_read_input_tokens cache_creation_input_tokens prompt_tokens completion_tokens",
  "cached_tokens cache_write_tokens ttl_12h_tokens audio_tokens image_tokens reasoning_tokens thinking_tokens",
  "ephemeral_5m_input_tokens ephemeral_1h_input_tokens web_search_requests cost prompt_n cache_n predicted_n",
]
  .join(" ")
  .split(" ");
const flat = fc.dictionary(fc.constantFrom(...names), counts);
const nests =
  "prompt_tokens_details completion_tokens_details input_tokens_details output_tokens_details cache_creation";
const nested = fc
  .tuple(
    flat,
    fc.dictionary(fc.constantFrom(...nests.split(" "), "server_tool_use", "cost_details"), flat),
    fc.array(flat),
  )
  .map(([own, inner, iterations]) => ({ ...own, ...inner, iterations: iterations.map(typed) }) as JsonObject);

function typed(entry: JsonObject, at: number): JsonObject {
  const types = ["message", "compaction", "fallback_message", "advisor_message"];
  return { type: types[at % types.length]!, model: "m", ...entry };
}

function numbersIn(value: unknown): number[] {
  if (typeof value === "number") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(numbersIn) : [];
}

/** Wherever the dialect carries its usage, whole. */
function answerOf(dialect: Dialect, usage: JsonObject): JsonObject {
  const content = { messages: { content: [] }, chat: { choices: [] }, responses: { output: [], status: "completed" } };
  return { ...content[dialect], usage, timings: usage };
}

test("whatever an upstream writes, no count is negative, fractional or endless", () => {
  for (const dialect of ["messages", "chat", "responses"] as const) {
    fc.assert(
      fc.property(nested, (usage) => {
        const found = codecs[dialect].usageOf(answerOf(dialect, usage)).usage;
        if (found === undefined) return;
        const { reportedUsd, ...tokens } = found;
        for (const number of numbersIn(tokens)) expect(Number.isSafeInteger(number) && number >= 0).toBe(true);
        expect(reportedUsd === undefined || (reportedUsd >= 0 && Number.isFinite(reportedUsd))).toBe(true);
      }),
      { numRuns: 1_000, seed: 7 },
    );
  }
});

test("what can be seen of an answer is counted in characters, in every dialect alike", () => {
  const messages = {
    content: [
      { type: "thinking", thinking: "Hm." },
      { type: "text", text: "Rain." },
      { type: "tool_use", name: "look", input: {} },
      { type: "later_kind", text: "unknown" },
      null,
    ],
  };
  const chat = {
    choices: [
      {
        message: {
          reasoning_content: "Hm.",
          content: "Rain.",
          tool_calls: [{ function: { name: "look", arguments: "" } }],
        },
      },
    ],
  };
  const responses = {
    output: [
      { type: "reasoning", summary: [{ type: "summary_text", text: "Another model's words." }] },
      { type: "message", content: [{ type: "output_text", text: "Hm.Rain." }] },
      { type: "function_call", name: "look", arguments: "" },
    ],
  };
  expect(visibleCharacters("messages", messages)).toBe(12);
  expect(visibleCharacters("chat", chat)).toBe(12);
  expect(visibleCharacters("responses", responses)).toBe(12);
  for (const dialect of ["messages", "chat", "responses"] as const) {
    for (const odd of [{}, { content: 7, choices: "x", output: null }, { choices: [{}], output: [[]], content: [1] }]) {
      expect(visibleCharacters(dialect, odd)).toBe(0);
    }
  }
});
