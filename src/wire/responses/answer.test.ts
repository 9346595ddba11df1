import { describe, expect, test } from "bun:test";
import type { Json, JsonObject, NeutralAnswer, NeutralPart, StopReason, Usage } from "../neutral.ts";
import { answerFromNeutral, answerToNeutral, usageOf } from "./answer.ts";
import { codexTools, contextFor } from "./stream-fixtures.ts";
import { toNeutral } from "./request-to-neutral.ts";

const usage: Usage = {
  input: 10,
  cacheRead: 4,
  cacheWrite5m: 0,
  cacheWrite1h: 0,
  output: 7,
  reasoning: 2,
  serverTools: undefined,
  reportedUsd: undefined,
  tier: undefined,
};
const answerOf = (parts: NeutralPart[], stop: StopReason = "end"): NeutralAnswer => {
  return { id: "up", model: "up-model", parts, stop, stopSequence: undefined, usage };
};
const call = (name: string, raw: string, input: JsonObject): NeutralPart => {
  return { type: "tool_call", id: "call_1", name, input, raw, form: "function", namespace: undefined };
};
const upstream = (change: JsonObject = {}): JsonObject => ({
  id: "resp_up",
  object: "response",
  status: "completed",
  model: "gpt-5.5-2026",
  output: [{ type: "message", role: "assistant", content: [{ type: "output_text", text: "hi", annotations: [] }] }],
  error: null,
  ...change,
});

describe("an answer for the client", () => {
  test("98, 107, 110, 157: whole items, the requested model, integer usage, all nullable fields", () => {
    expect(answerFromNeutral(answerOf([{ type: "text", text: "hi" }]), contextFor())).toEqual({
      id: "resp_01ABC",
      object: "response",
      created_at: 1_790_000_000,
      status: "completed",
      background: false,
      error: null,
      incomplete_details: null,
      instructions: null,
      max_output_tokens: null,
      metadata: {},
      model: "asked-model",
      output: [
        {
          id: "msg_01ABC_0",
          type: "message",
          status: "completed",
          role: "assistant",
          content: [{ type: "output_text", annotations: [], logprobs: [], text: "hi" }],
        },
      ],
      parallel_tool_calls: true,
      previous_response_id: null,
      reasoning: { effort: null, summary: null },
      store: false,
      temperature: null,
      text: { format: { type: "text" } },
      tool_choice: "auto",
      tools: [],
      top_p: null,
      truncation: "disabled",
      usage: {
        input_tokens: 14,
        input_tokens_details: { cached_tokens: 4, cache_write_tokens: 0 },
        output_tokens: 7,
        output_tokens_details: { reasoning_tokens: 2 },
        total_tokens: 21,
      },
    });
  });

  test("75, 76: custom and namespaced calls in the client's own names", () => {
    const parts = [
      call("apply_patch", '{"input":"P"}', { input: "P" }),
      call("multi_agent_v1__spawn_agent", "{}", {}),
      call("exec_command", '{"cmd": "ls"}', { cmd: "ls" }),
    ];
    const { output } = answerFromNeutral(answerOf(parts, "tool_calls"), contextFor({ tools: codexTools }));
    expect(output).toMatchObject([
      { type: "custom_tool_call", name: "apply_patch", input: "P", call_id: "call_1" },
      { type: "function_call", name: "spawn_agent", namespace: "multi_agent_v1", call_id: "call_01ABC_1" },
      { type: "function_call", name: "exec_command", arguments: '{"cmd": "ls"}', call_id: "call_01ABC_2" },
    ]);
  });

  test("103: arguments that are no object are replaced by the object that was made of them", () => {
    const { output } = answerFromNeutral(answerOf([call("f", "{broken", { input: "{broken" })]), contextFor());
    expect(output).toMatchObject([{ arguments: '{"input":"{broken"}' }]);
  });

  test("101: limits and filters make it incomplete", () => {
    const ended = (stop: StopReason) => answerFromNeutral(answerOf([{ type: "text", text: "x" }], stop), contextFor());
    expect(ended("length")).toMatchObject({
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
      output: [{ status: "incomplete" }],
    });
    expect(ended("filtered")).toMatchObject({ incomplete_details: { reason: "content_filter" } });
    expect(ended("tool_calls")).toMatchObject({ status: "completed", incomplete_details: null });
  });

  test("91: what the client replays restores the thinking byte for byte", () => {
    const thinking: NeutralPart[] = [
      { type: "thinking", text: "step 1\n", signature: "SIG+/=" },
      { type: "thinking", text: "", signature: "ONLY" },
      { type: "redacted_thinking", data: "OPAQUE" },
    ];
    const { output } = answerFromNeutral(answerOf([...thinking, { type: "text", text: "x" }]), contextFor());
    expect(toNeutral({ model: "m", input: output as Json[] }).messages).toEqual([
      { role: "assistant", parts: [...thinking, { type: "text", text: "x" }] },
    ]);
  });
});

describe("an upstream's answer", () => {
  test("text, refusal, reasoning, calls", () => {
    const output = [
      {
        type: "reasoning",
        summary: [
          { type: "summary_text", text: "a" },
          { type: "summary_text", text: "b" },
        ],
      },
      {
        type: "message",
        content: [
          { type: "output_text", text: "t" },
          { type: "refusal", refusal: "no" },
        ],
      },
      { type: "function_call", call_id: "c", name: "f", arguments: '{"x":1}' },
      { type: "custom_tool_call", call_id: "d", name: "p", input: "raw" },
      { type: "web_search_call", id: "ws" },
    ];
    expect(answerToNeutral(upstream({ output }))).toMatchObject({
      id: "resp_up",
      model: "gpt-5.5-2026",
      stop: "tool_calls",
      parts: [
        { type: "thinking", text: "a\n\nb", signature: undefined },
        { type: "text", text: "t" },
        { type: "refusal", text: "no" },
        { type: "tool_call", id: "c", name: "f", input: { x: 1 }, raw: '{"x":1}', form: "function" },
        { type: "tool_call", id: "d", name: "p", input: { input: "raw" }, raw: '{"input":"raw"}', form: "custom" },
      ],
    });
  });

  test("101: incomplete reasons are read", () => {
    const stop = (reason: string) =>
      answerToNeutral(upstream({ status: "incomplete", incomplete_details: { reason } }));
    expect(stop("max_output_tokens")).toMatchObject({ stop: "length" });
    expect(stop("content_filter")).toMatchObject({ stop: "filtered" });
  });

  test("108: an error inside a 200 is a failure", () => {
    const error = { code: "rate_limit_exceeded", message: "slow down" };
    expect(answerToNeutral(upstream({ status: "failed", error }))).toEqual({
      fault: { status: 429, code: "rate_limit_exceeded", message: "slow down" },
    });
    expect(answerToNeutral({ error: { message: "no such thing" } })).toMatchObject({ fault: { status: 500 } });
    expect(answerToNeutral({ error: "plain" })).toMatchObject({ fault: { status: 502, message: "plain" } });
  });

  test("109: what is no finished response is a failure", () => {
    for (const body of [null, 5, "x", [], {}, upstream({ status: "in_progress" }), { choices: [] }] as Json[]) {
      expect(answerToNeutral(body)).toHaveProperty("fault");
    }
  });
});

describe("207, 216: usage of an answer that is passed through", () => {
  const wire = {
    input_tokens: 100,
    input_tokens_details: {
      cached_tokens: 30,
      cache_write_tokens: 20,
      cache_write_tokens_details: { ttl_30m_tokens: 15, ttl_12h_tokens: 5 },
    },
    output_tokens: 50,
    output_tokens_details: { reasoning_tokens: 40 },
    total_tokens: 150,
  };

  test("nested counters become disjoint ones, with tier, model and paid calls", () => {
    const output = [{ type: "web_search_call" }, { type: "web_search_call" }, { type: "message", content: [] }];
    expect(usageOf(upstream({ usage: wire, output, service_tier: "priority" }))).toEqual({
      model: "gpt-5.5-2026",
      usage: {
        input: 50,
        cacheRead: 30,
        cacheWrite5m: 15,
        cacheWrite1h: 5,
        output: 50,
        reasoning: 40,
        serverTools: { web_search: 2 },
        reportedUsd: undefined,
        tier: "priority",
      },
    });
  });

  test("B21: lies are dropped field by field, and without both totals there is no usage", () => {
    const lies: Json[] = [-1, 1.5, NaN, Infinity, 2e9, "5", null, true];
    for (const lie of lies) {
      expect(usageOf(upstream({ usage: { ...wire, output_tokens: lie } })).usage).toBeUndefined();
      expect(usageOf(upstream({ usage: { ...wire, input_tokens: lie } })).usage).toBeUndefined();
      const details = { cached_tokens: lie, cache_write_tokens: lie };
      expect(usageOf(upstream({ usage: { ...wire, input_tokens_details: details } })).usage).toMatchObject({
        input: 100,
        cacheRead: 0,
      });
    }
  });

  test("207: parts that are larger than their whole never make a count negative", () => {
    const details = { cached_tokens: 90, cache_write_tokens: 90 };
    const lie = { ...wire, input_tokens_details: details, output_tokens_details: { reasoning_tokens: 999 } };
    expect(usageOf(upstream({ usage: lie })).usage).toMatchObject({
      input: 0,
      cacheRead: 90,
      cacheWrite5m: 10,
      reasoning: 50,
    });
    const more = { ...wire, input_tokens_details: { cached_tokens: 900 } };
    expect(usageOf(upstream({ usage: more })).usage).toMatchObject({ input: 0, cacheRead: 100 });
  });
});
