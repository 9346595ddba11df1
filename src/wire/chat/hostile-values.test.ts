// Neither upstreams nor clients are to be trusted: any value may stand anywhere.

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { GatewayError } from "../../errors.ts";
import { messagesCodec } from "../messages/index.ts";
import type { Json, JsonObject } from "../neutral.ts";
import { SseParser } from "../sse.ts";
import { chatCodec } from "./index.ts";

const request = chatCodec.toNeutral({ model: "m", messages: [{ role: "user", content: "hi" }] });
const context = { model: "m", id: "7", createdAt: 1, includeUsage: true, request };

const chatAnswer: Json = {
  id: "c",
  model: "m",
  choices: [
    {
      delta: {
        content: "a",
        reasoning: "b",
        tool_calls: [{ index: 0, id: "i", type: "function", function: { name: "f", arguments: "{}" } }],
      },
      message: {
        content: "a",
        tool_calls: [{ id: "i", function: { name: "f", arguments: "{}" } }],
        reasoning_details: [{ type: "reasoning.text", text: "t", signature: "s" }],
      },
      finish_reason: "stop",
    },
  ],
  usage: { prompt_tokens: 1, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 1 }, cost: 0.1 },
};
const messagesEvents: Json[] = [
  { type: "message_start", message: { id: "a", model: "m", usage: { input_tokens: 1, cache_creation: {} } } },
  { type: "content_block_start", index: 0, content_block: { type: "tool_use", id: "a", name: "f", input: { a: 1 } } },
  { type: "content_block_delta", index: 0, delta: { type: "input_json_delta", partial_json: "{}" } },
  { type: "content_block_stop", index: 0 },
  { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 3, iterations: [{}] } },
  { type: "message", content: [{ type: "tool_use", id: "a", name: "f", input: {} }], stop_reason: "end_turn" },
  { type: "error", error: { type: "api_error", message: "m" } },
];

/** The value with one of its nodes replaced: `steps` chooses the way down. */
function spoil(value: Json, steps: readonly number[], by: Json): Json {
  const [step, ...rest] = steps;
  if (step === undefined || typeof value !== "object" || value === null) return by;
  if (Array.isArray(value)) return value.map((item, i) => (i === step % value.length ? spoil(item, rest, by) : item));
  const keys = Object.keys(value);
  const key = keys[step % keys.length];
  return key === undefined ? by : { ...value, [key]: spoil(value[key]!, rest, by) };
}

const spoiled = fc
  .tuple(
    fc.constantFrom<Json>(chatAnswer, ...messagesEvents),
    fc.array(fc.nat(9), { maxLength: 6 }),
    fc.oneof(fc.jsonValue() as fc.Arbitrary<Json>, fc.constantFrom<Json>(-1, 1e300, "", "\ud800", [], {}, null)),
  )
  .map(([value, steps, by]) => spoil(value, steps, by));

describe("nonsense from an upstream", () => {
  for (const codec of [chatCodec, messagesCodec]) {
    test(`never throws in the ${codec.dialect} codec, and what goes on to clients is well-formed`, () => {
      fc.assert(
        fc.property(fc.array(spoiled, { minLength: 1, maxLength: 6 }), (events) => {
          const reader = codec.createReader();
          for (const target of [chatCodec, messagesCodec]) {
            const writer = target.createWriter(context);
            let out = "";
            for (const event of events) {
              const data = JSON.stringify(event);
              for (const neutral of reader.read({ event: undefined, data, raw: "" })) out += writer.write(neutral);
            }
            for (const event of new SseParser().push(new TextEncoder().encode(out))) {
              if (event.data !== "[DONE]") JSON.parse(event.data);
            }
          }
        }),
        { seed: 20_261_123, numRuns: 500 },
      );
    });

    test(`is a fault or an answer in the ${codec.dialect} codec, with counts that are counts`, () => {
      fc.assert(
        fc.property(spoiled, (body) => {
          const answer = codec.answerToNeutral(body);
          codec.parseError(500, JSON.stringify(body));
          if ("fault" in answer) return;
          const { usage } = answer;
          for (const count of usage === undefined
            ? []
            : [usage.input, usage.output, usage.cacheRead, usage.cacheWrite5m]) {
            expect(Number.isInteger(count) && count >= 0).toBe(true);
          }
          chatCodec.answerFromNeutral(answer, context);
          messagesCodec.answerFromNeutral(answer, context);
        }),
        { seed: 20_261_123, numRuns: 500 },
      );
    });
  }
});

describe("nonsense from a client", () => {
  const bodies: JsonObject[] = [
    {
      model: "m",
      max_tokens: 5,
      system: [{ type: "text", text: "s" }],
      messages: [
        { role: "user", content: [{ type: "image", source: { type: "base64", media_type: "image/png", data: "a" } }] },
        { role: "assistant", content: [{ type: "tool_use", id: "a", name: "f", input: {} }] },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "a", content: [{ type: "text", text: "r" }] }] },
      ],
      tools: [{ name: "f", input_schema: { type: "object" } }],
      tool_choice: { type: "tool", name: "f" },
      thinking: { type: "enabled", budget_tokens: 5 },
      output_config: { effort: "low", format: { type: "json_schema", schema: {} } },
    },
    {
      model: "m",
      messages: [
        { role: "system", content: "s" },
        { role: "user", content: [{ type: "image_url", image_url: { url: "data:image/png;base64,a" } }] },
        { role: "assistant", tool_calls: [{ id: "a", type: "function", function: { name: "f", arguments: "{}" } }] },
        { role: "tool", tool_call_id: "a", content: "r" },
      ],
      tools: [{ type: "function", function: { name: "f", parameters: {} } }],
      tool_choice: { type: "function", function: { name: "f" } },
      response_format: { type: "json_schema", json_schema: { schema: {} } },
      stream_options: { include_usage: true },
      stop: ["a"],
      reasoning: { effort: "low" },
    },
  ];

  for (const codec of [chatCodec, messagesCodec]) {
    test(`is a REQUEST_INVALID or a request in the ${codec.dialect} codec`, () => {
      fc.assert(
        fc.property(
          fc.constantFrom(...bodies),
          fc.array(fc.nat(9), { minLength: 1, maxLength: 7 }),
          fc.jsonValue() as fc.Arbitrary<Json>,
          (body, steps, by) => {
            const faulty = spoil(body, steps, by) as JsonObject;
            for (const read of [() => codec.facts(faulty, 1_000), () => codec.toNeutral(faulty)]) {
              try {
                read();
              } catch (error) {
                expect(error).toBeInstanceOf(GatewayError);
                expect((error as GatewayError).code).toBe("REQUEST_INVALID");
              }
            }
          },
        ),
        { seed: 20_261_123, numRuns: 1_000 },
      );
    });
  }
});
