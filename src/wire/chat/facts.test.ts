import { describe, expect, test } from "bun:test";
import { GatewayError } from "../../errors.ts";
import type { Json, JsonObject } from "../neutral.ts";
import { chatFacts } from "./facts.ts";

const hello: JsonObject = { model: "gpt-4o", messages: [{ role: "user", content: "hi" }] };

function facts(changes: JsonObject): ReturnType<typeof chatFacts> {
  const body = { ...hello, ...changes };
  return chatFacts(body, Buffer.byteLength(JSON.stringify(body)));
}

function refusal(changes: JsonObject): string {
  try {
    facts(changes);
  } catch (error) {
    if (error instanceof GatewayError && error.code === "REQUEST_INVALID") return error.publicMessage;
    throw error;
  }
  return "accepted";
}

describe("facts of a Chat request", () => {
  test("tell what is asked for", () => {
    const tools = [{ type: "function", function: { name: "f" } }];
    const format = { type: "json_object" };
    expect(
      facts({ stream: true, tools, n: 2, response_format: format, stream_options: { include_usage: true } }),
    ).toEqual({
      model: "gpt-4o",
      stream: true,
      maxOutputTokens: undefined,
      choices: 2,
      hasTools: true,
      hasImages: false,
      hasThinking: false,
      hasJsonFormat: true,
      wantsUsageEvent: true,
      inputTokenBound: expect.any(Number),
    });
  });

  test("B3 and B4: only plain integers of at least 1 are a limit", () => {
    const wrong: Json[] = [0, -1, 1.5, "5", true, [], {}, 1e10, Number.POSITIVE_INFINITY];
    for (const value of wrong) {
      expect(refusal({ max_tokens: value })).toStartWith("max_tokens: ");
      expect(refusal({ max_completion_tokens: value })).toStartWith("max_completion_tokens: ");
    }
    expect(facts({ max_tokens: null }).maxOutputTokens).toBeUndefined();
  });

  test("B5: two limits that differ are refused by both names", () => {
    expect(refusal({ max_tokens: 5, max_completion_tokens: 6 })).toBe(
      "max_tokens and max_completion_tokens: they differ; send one of them",
    );
    expect(facts({ max_tokens: 5, max_completion_tokens: 5 }).maxOutputTokens).toBe(5);
    expect(refusal({ max_output_tokens: 5 })).toStartWith("max_output_tokens: ");
    expect(refusal({ max_tokens: 5, max_output_tokens: 5_000 })).toStartWith("max_tokens and max_output_tokens: ");
  });

  test("B6: the number of answers is an integer from 1 to 16", () => {
    for (const n of [0, 17, 1.5, "2", -1, true] as Json[]) expect(refusal({ n })).toStartWith("n: ");
    expect(facts({ n: null }).choices).toBe(1);
    expect(facts({ n: 16 }).choices).toBe(16);
  });

  test("67: a Responses body is read as one, with the limit under any name", () => {
    const found = chatFacts({ model: "m", input: "hi", max_tokens: 9, stream_options: { include_usage: true } }, 20);
    expect(found).toMatchObject({ foreign: true, maxOutputTokens: 9, wantsUsageEvent: true });
    expect(() => chatFacts({ model: "m", input: "hi", max_tokens: 9, max_output_tokens: 8 }, 20)).toThrow(
      "they differ",
    );
    expect(() => chatFacts({ model: "m", input: "hi", previous_response_id: "r" }, 20)).toThrow("previous_response_id");
  });

  test("68: shapes of other dialects are seen, so that they are translated", () => {
    const call = { role: "assistant", content: [{ type: "tool_use", id: "a", name: "f", input: {} }] };
    expect(facts({ messages: [call] }).foreign).toBe(true);
    expect(facts({ tools: [{ type: "function", name: "f", parameters: {} }] }).foreign).toBe(true);
    expect(facts({ tools: [{ type: "function", function: { name: "f" } }] }).foreign).toBeUndefined();
  });

  test("reasoning is seen in the model's family and in the request", () => {
    for (const model of ["o3", "o4-mini", "gpt-5.5", "openai/gpt-5", "gpt-5-codex"]) {
      expect(facts({ model }).hasThinking).toBe(true);
    }
    for (const model of ["gpt-4o", "qwen3", "o", "gpt-oss"]) expect(facts({ model }).hasThinking).toBe(false);
    expect(facts({ reasoning_effort: "low" }).hasThinking).toBe(true);
    expect(facts({ reasoning_effort: "none" }).hasThinking).toBe(false);
    expect(facts({ reasoning: { enabled: false } }).hasThinking).toBe(false);
  });

  test("B8: an image counts a ceiling", () => {
    const url = `data:image/png;base64,${"A".repeat(1_000_000)}`;
    const found = facts({ messages: [{ role: "user", content: [{ type: "image_url", image_url: { url } }] }] });
    expect(found.hasImages).toBe(true);
    expect(found.inputTokenBound).toBeLessThan(9_000);
    expect(found.inputTokenBound).toBeGreaterThan(8_000);
  });

  test("B15: what buys another model, other goods or another price is refused by name", () => {
    const wrong: [string, Json][] = [
      ["models", ["openai/gpt-5"]],
      ["fallbacks", ["x"]],
      ["route", "fallback"],
      ["preset", "p"],
      ["plugins", [{ id: "web" }]],
      ["web_search_options", {}],
      ["provider", { order: ["dear"] }],
      ["provider", { sort: "throughput" }],
      ["service_tier", "priority"],
      ["service_tier", "fast"],
      ["prediction", { type: "content", content: "x" }],
      ["best_of", 4],
      ["audio", { voice: "a" }],
      ["modalities", ["text", "audio"]],
    ];
    for (const [field, value] of wrong) expect(refusal({ [field]: value })).toStartWith(`${field}: `);
    expect(refusal({ model: "openai/gpt-4o:online" })).toStartWith("model: ");
    expect(refusal({ tools: [{ type: "web_search_preview" }] })).toStartWith("tools.0.type: ");
    const video = { type: "video_url", video_url: { url: "https://x" } };
    expect(refusal({ messages: [{ role: "user", content: [video] }] })).toStartWith("messages.0.content.0.type: ");
  });

  test("harmless values of the same fields pass", () => {
    const harmless: JsonObject = {
      models: [],
      provider: { data_collection: "deny", sort: "price" },
      service_tier: "auto",
      modalities: ["text"],
      web_search_options: null,
      best_of: 1,
      tools: [
        { name: "bare", parameters: {} },
        { type: "custom", custom: { name: "c" } },
      ],
    };
    expect(refusal(harmless)).toBe("accepted");
  });
});
