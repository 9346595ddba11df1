import { describe, expect, test } from "bun:test";
import { AttemptError } from "../../errors.ts";
import type { JsonObject, NeutralRequest, Target } from "../neutral.ts";
import { fromNeutral } from "./request-from-neutral.ts";
import { toNeutral } from "./request-to-neutral.ts";

const target: Target = { profile: "openai", model: "gpt-4.1", maxOutputTokens: 500 };

const base: NeutralRequest = {
  model: "asked",
  system: [{ text: "one" }, { text: "two" }],
  messages: [{ role: "user", parts: [{ type: "text", text: "hi" }] }],
  tools: [],
  toolChoice: undefined,
  parallelTools: undefined,
  maxOutputTokens: 9_999,
  stop: [],
  temperature: 0.5,
  topP: undefined,
  topK: 40,
  stream: true,
  reasoning: undefined,
  format: undefined,
  user: "someone",
};

const wire = (change: Partial<NeutralRequest>, to = target): JsonObject => fromNeutral({ ...base, ...change }, to);

test("a plain request: nothing is stored, nobody is named, the target's limit holds", () => {
  expect(wire({})).toEqual({
    model: "gpt-4.1",
    stream: true,
    store: false,
    instructions: "one\n\ntwo",
    input: [{ type: "message", role: "user", content: [{ type: "input_text", text: "hi" }] }],
    max_output_tokens: 500,
    temperature: 0.5,
  });
});

test("a turn with text, calls and results becomes items; custom calls keep their own types", () => {
  const { input } = wire({
    messages: [
      {
        role: "assistant",
        parts: [
          { type: "thinking", text: "hm", signature: "SIG" },
          { type: "text", text: "I look." },
          {
            type: "tool_call",
            id: "a",
            name: "f",
            input: { x: 1 },
            raw: '{"x":1}',
            form: "function",
            namespace: undefined,
          },
          {
            type: "tool_call",
            id: "b",
            name: "p",
            input: { input: "T" },
            raw: '{"input":"T"}',
            form: "custom",
            namespace: undefined,
          },
        ],
      },
      { role: "tool", callId: "a", parts: [{ type: "text", text: "no" }], isError: true },
      { role: "tool", callId: "b", parts: [], isError: false },
      { role: "system", parts: [{ type: "text", text: "be brief" }] },
    ],
  });
  expect(input).toEqual([
    { type: "message", role: "assistant", content: [{ type: "output_text", text: "I look." }] },
    { type: "function_call", call_id: "a", name: "f", arguments: '{"x":1}' },
    { type: "custom_tool_call", call_id: "b", name: "p", input: "T" },
    { type: "function_call_output", call_id: "a", output: "[tool error] no" },
    { type: "custom_tool_call_output", call_id: "b", output: "" },
    { type: "message", role: "developer", content: [{ type: "input_text", text: "be brief" }] },
  ]);
});

test("92: images stay inside a tool's result", () => {
  const source = { kind: "base64", mediaType: "image/png", data: "AAAA" } as const;
  const call = { type: "tool_call", id: "a", name: "f", input: {}, raw: "{}", form: "function" } as const;
  const { input } = wire({
    messages: [
      { role: "assistant", parts: [{ ...call, namespace: undefined }] },
      { role: "tool", callId: "a", parts: [{ type: "image", source, detail: undefined }], isError: true },
    ],
  });
  expect(input).toEqual([
    { type: "function_call", call_id: "a", name: "f", arguments: "{}" },
    {
      type: "function_call_output",
      call_id: "a",
      output: [
        { type: "input_text", text: "[tool error]" },
        { type: "input_image", image_url: "data:image/png;base64,AAAA", detail: "auto" },
      ],
    },
  ]);
});

test("a limit below the vendor's least sends the request to another candidate, elsewhere it stands", () => {
  expect(() => wire({}, { ...target, maxOutputTokens: 15 })).toThrow(AttemptError);
  expect(wire({}, { ...target, maxOutputTokens: 16 })["max_output_tokens"]).toBe(16);
  expect(wire({}, { ...target, profile: "vllm", maxOutputTokens: 1 })["max_output_tokens"]).toBe(1);
});

test("results go behind their calls, and every call has one", () => {
  const call = (id: string) =>
    ({ type: "tool_call", id, name: "f", input: {}, raw: "{}", form: "function", namespace: undefined }) as const;
  const long = "x".repeat(200);
  const { input } = wire({
    messages: [
      { role: "assistant", parts: [call(long), call("b")] },
      { role: "user", parts: [{ type: "text", text: "meanwhile" }] },
      { role: "tool", callId: long, parts: [{ type: "text", text: "one" }], isError: false },
      { role: "tool", callId: "gone", parts: [{ type: "text", text: "lost" }], isError: false },
    ],
  });
  const items = input as JsonObject[];
  expect(items.map((item) => item["type"])).toEqual([
    "function_call",
    "function_call",
    "function_call_output",
    "function_call_output",
    "message",
    "message",
  ]);
  expect(items[0]!["call_id"]).toHaveLength(64);
  expect(items[2]).toMatchObject({ call_id: items[0]!["call_id"], output: "one" });
  expect(items[3]).toMatchObject({ call_id: "b", output: "[tool error] No result of this call was recorded." });
  expect(JSON.stringify(items[5])).toContain("lost");
});

test("documents travel as data URL or URL", () => {
  const parts = [
    { type: "document", source: { kind: "base64", mediaType: "application/pdf", data: "BB" }, name: "a.pdf" },
    { type: "document", source: { kind: "url", url: "https://example.com/b.pdf" }, name: undefined },
  ] as const;
  expect(wire({ messages: [{ role: "user", parts: [...parts] }] })["input"]).toMatchObject([
    {
      content: [
        { type: "input_file", filename: "a.pdf", file_data: "data:application/pdf;base64,BB" },
        { type: "input_file", file_url: "https://example.com/b.pdf" },
      ],
    },
  ]);
});

describe("what the dialect cannot say sends the request to another candidate", () => {
  const outcome = (change: Partial<NeutralRequest>) => {
    try {
      wire(change);
    } catch (error) {
      return error instanceof AttemptError ? error.outcome : "another error";
    }
    return "sent";
  };

  test("stop sequences without end, cache warm-ups and foreign file ids", () => {
    expect(outcome({ stop: Array.from({ length: 1_000 }, (_, n) => `END${n}`) })).toBe("skipped_policy");
    expect(outcome({ stop: ["x".repeat(10_000)] })).toBe("skipped_policy");
    expect(outcome({ maxOutputTokens: 0 })).toBe("skipped_policy");
    const part = { type: "image", source: { kind: "file", id: "file_1" }, detail: undefined } as const;
    expect(outcome({ messages: [{ role: "user", parts: [part] }] })).toBe("skipped_policy");
  });
});

test("tools say strict aloud, because the dialect's default is true", () => {
  const tool = { description: undefined, schema: { type: "object" }, strict: undefined, namespace: undefined };
  const body = wire({
    tools: [
      { ...tool, name: "f", form: "function" },
      { ...tool, name: "p", form: "custom", description: "Patch" },
    ],
    toolChoice: { type: "tool", name: "p" },
    parallelTools: false,
  });
  expect(body["tools"]).toEqual([
    { type: "function", name: "f", parameters: { type: "object", properties: {} }, strict: false },
    { type: "custom", name: "p", description: "Patch" },
  ]);
  expect(body).toMatchObject({ tool_choice: { type: "custom", name: "p" }, parallel_tool_calls: false });
});

test("95: reasoning families get an effort and no sampling, the others the reverse", () => {
  const reasoning = { effort: "max", budgetTokens: undefined };
  const reasoner: Target = { ...target, model: "gpt-5.5" };
  expect(wire({ reasoning }, reasoner)).toMatchObject({ reasoning: { effort: "xhigh" } });
  expect(wire({ reasoning }, reasoner)).not.toHaveProperty("temperature");
  expect(wire({ reasoning: { effort: "off", budgetTokens: undefined } }, reasoner)).toMatchObject({
    reasoning: { effort: "none" },
  });
  expect(wire({ reasoning: { effort: undefined, budgetTokens: 8_000 } }, reasoner)).toMatchObject({
    reasoning: { effort: "medium" },
  });
  expect(wire({ reasoning })).not.toHaveProperty("reasoning");
});

test("96: json_schema travels as text.format", () => {
  const format = { type: "json_schema", name: undefined, schema: { type: "object" }, strict: true } as const;
  expect(wire({ format })).toMatchObject({
    text: { format: { type: "json_schema", name: "answer", schema: { type: "object" }, strict: true } },
  });
});

test("there and back again: what a Responses client said is what a Responses upstream hears", () => {
  const input: JsonObject[] = [
    { type: "message", role: "user", content: [{ type: "input_text", text: "hi" }] },
    { type: "message", role: "assistant", content: [{ type: "output_text", text: "look" }] },
    { type: "function_call", call_id: "a", name: "f", arguments: '{ "x": 1.0 }' },
    { type: "function_call_output", call_id: "a", output: "r" },
  ];
  const request = toNeutral({ model: "m", instructions: "I", input });
  expect(fromNeutral(request, target)).toMatchObject({ instructions: "I", input });
});
