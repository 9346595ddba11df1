// Streams as the vendors and the local servers write them, to be damaged. Each event is `{event, data}`, or text.

import type { Dialect, Json, JsonObject } from "../../src/wire/neutral.ts";
import { renderChat } from "../fakes/chat-wire.ts";
import { renderMessages } from "../fakes/messages-wire.ts";
import { renderResponses } from "../fakes/responses-wire.ts";
import type { FakeAnswer } from "../fakes/script.ts";
import { referenceEvents } from "./sse.ts";

export const fakeAnswers: readonly FakeAnswer[] = [
  { text: "Grüße, 东京 🦊." },
  { thinking: "Let me see.", text: "Yes.", usage: { input: 5, output: 7, cacheRead: 3, cacheWrite: 2, reasoning: 2 } },
  {
    text: "I look.",
    toolCalls: [
      { name: "get_weather", input: { at: "Oslo", days: [1, 2] } },
      { name: "apply_patch", input: { input: "*** Begin Patch\n" } },
      { name: "agents__spawn", input: {} },
    ],
  },
  { text: "Too lo", stop: "length" },
  { text: "", stop: "filtered" },
];

function parsed(events: readonly string[]): Json[] {
  return referenceEvents(events.join("")).map(({ event, data }) => {
    if (data === "[DONE]") return "data: [DONE]\n\n";
    return { ...(event === undefined ? {} : { event }), data: JSON.parse(data) as Json };
  });
}

function named(data: JsonObject): Json {
  return { event: data["type"] ?? "", data };
}

const start = {
  type: "message_start",
  message: { id: "msg_1", model: "m", usage: { input_tokens: 3, output_tokens: 1 } },
};
const end = [
  { type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: 9 } },
  { type: "message_stop" },
];

/** Server tools, sealed thinking, blocks that say all at their start, compaction in the usage. */
const oddMessages: readonly JsonObject[] = [
  start,
  { type: "ping" },
  { type: "content_block_start", index: 0, content_block: { type: "redacted_thinking", data: "c2VhbGVk" } },
  { type: "content_block_stop", index: 0 },
  { type: "content_block_start", index: 1, content_block: { type: "thinking", thinking: "Hm", signature: "" } },
  { type: "content_block_delta", index: 1, delta: { type: "signature_delta", signature: "c2ln" } },
  { type: "content_block_stop", index: 1 },
  {
    type: "content_block_start",
    index: 2,
    content_block: { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} },
  },
  { type: "content_block_delta", index: 2, delta: { type: "input_json_delta", partial_json: '{"query":"x"}' } },
  { type: "content_block_stop", index: 2 },
  { type: "content_block_start", index: 3, content_block: { type: "web_search_tool_result", content: [] } },
  { type: "content_block_stop", index: 3 },
  { type: "content_block_start", index: 4, content_block: { type: "text", text: "At once." } },
  { type: "content_block_delta", index: 4, delta: { type: "citations_delta", citation: {} } },
  { type: "content_block_stop", index: 4 },
  {
    type: "content_block_start",
    index: 5,
    content_block: { type: "tool_use", id: "toolu_1", name: "get_weather", input: { at: "Oslo" } },
  },
  { type: "content_block_stop", index: 5 },
  {
    type: "message_delta",
    delta: { stop_reason: "tool_use" },
    usage: {
      input_tokens: 9,
      output_tokens: 12,
      cache_creation: { ephemeral_5m_input_tokens: 1, ephemeral_1h_input_tokens: 2 },
      server_tool_use: { web_search_requests: 1 },
      iterations: [
        { type: "compaction", input_tokens: 4, output_tokens: 2 },
        { type: "fallback_message", model: "claude-haiku-4-5", input_tokens: 4, output_tokens: 2 },
      ],
    },
  },
  { type: "message_stop" },
];

/** Two calls whose pieces are interleaved in one block order, and the Messages blocks left open. */
const interleaved: readonly JsonObject[] = [
  start,
  {
    type: "content_block_start",
    index: 0,
    content_block: { type: "tool_use", id: "a", name: "get_weather", input: {} },
  },
  {
    type: "content_block_start",
    index: 1,
    content_block: { type: "tool_use", id: "a", name: "get_weather", input: {} },
  },
  { type: "content_block_delta", index: 1, delta: { type: "input_json_delta", partial_json: '{"at":' } },
  { type: "content_block_delta", index: 0, delta: { type: "input_json_delta", partial_json: '{"at":"Bergen"}' } },
  { type: "content_block_delta", index: 1, delta: { type: "input_json_delta", partial_json: '"\\ud83e\\udd8a"}' } },
  ...end,
];

function chunk(delta: JsonObject, finish: string | null = null, more: JsonObject = {}): Json {
  return { data: { id: "c1", model: "m", created: 1, choices: [{ index: 0, delta, finish_reason: finish }], ...more } };
}

/** What local servers make of tool calls. */
const localCalls: Json[] = [
  chunk({ role: "assistant", content: null }),
  chunk({ reasoning: "Hm. " }),
  chunk({ content: "a\ud83e" }),
  chunk({ content: "\udd8a" }),
  chunk({ tool_calls: [{ id: "", function: { name: "get_weather" } }] }),
  chunk({ tool_calls: [{ function: { arguments: { at: "Oslo" } } }] }),
  chunk({ tool_calls: [{ index: 1, id: "x y", function: { name: "", arguments: '{"a"' } }] }),
  chunk({ tool_calls: [{ index: 1, function: { name: "apply_patch", arguments: ":1}" } }] }),
  chunk({ tool_calls: [{ index: 0, id: "z", function: { name: "get_weather", arguments: "{'at': None," } }] }, null, {
    usage: { prompt_tokens: 9, completion_tokens: 3, cost: 0.01 },
  }),
  chunk({}, "stop", { usage: { prompt_tokens: 9, completion_tokens: 4, prompt_tokens_details: { cached_tokens: 4 } } }),
  "data: [DONE]\n\n",
];

/** Thoughts under all their names, calls with one index and no id, a whole message in place of a delta. */
const oddThoughts: Json[] = [
  { data: { id: "", model: "", choices: [], prompt_filter_results: [] } },
  chunk({ role: "assistant", reasoning_content: "", reasoning: "Hm. " }),
  chunk({ reasoning_details: [{ type: "reasoning.text", text: "a\ud83e" }, { summary: "\udd8a" }] }),
  chunk({ content: [{ type: "thinking", thinking: [{ type: "text", text: "So." }] }] }),
  chunk({ content: "\n\n" }),
  chunk({
    tool_calls: [0, 0].map((index, n) => ({ index, function: { name: "get_weather", arguments: `{"n":${n}}` } })),
  }),
  { data: { choices: [{ index: 0, message: { content: "Whole." }, finish_reason: "stop" }] } },
];

const functionCall: Json[] = [
  chunk({ role: "assistant", function_call: { name: "get_weather", arguments: "" } }),
  chunk({ function_call: { arguments: '{"at":"Oslo"}' } }),
  chunk({ refusal: "I can't." }, "function_call"),
  { data: { choices: [], usage: { prompt_tokens: 1, completion_tokens: 1 } } },
];

const oneItem = { id: "ctc_1", type: "custom_tool_call", call_id: "call_1", name: "apply_patch" };

/** Free text tools, hosted tools, whole items without deltas, an answer that comes at the end alone. */
const oddResponses: readonly JsonObject[] = [
  { type: "response.created", response: { id: "resp_1", model: "m", status: "in_progress" } },
  { type: "response.output_item.added", output_index: 0, item: { ...oneItem, input: "" } },
  { type: "response.custom_tool_call_input.delta", output_index: 0, item_id: "ctc_1", delta: 'a "b" ' },
  { type: "response.custom_tool_call_input.delta", output_index: 0, item_id: "ctc_1", delta: "\n🦊" },
  { type: "response.output_item.done", output_index: 0, item: { ...oneItem, input: 'a "b" \n🦊' } },
  { type: "response.output_item.done", output_index: 1, item: { id: "ws_1", type: "web_search_call" } },
  {
    type: "response.output_item.done",
    output_index: 2,
    item: { id: "rs_1", type: "reasoning", summary: [{ type: "summary_text", text: "Hm" }] },
  },
  {
    type: "response.output_item.done",
    output_index: 3,
    item: { id: "msg_1", type: "message", content: [{ type: "output_text", text: "Whole." }] },
  },
  { type: "response.refusal.delta", output_index: 4, delta: "No." },
  {
    type: "response.completed",
    response: {
      id: "resp_1",
      model: "m",
      status: "completed",
      output: [],
      service_tier: "priority",
      usage: { input_tokens: 9, output_tokens: 5, input_tokens_details: { cached_tokens: 4 } },
    },
  },
];

const atTheEnd: readonly JsonObject[] = [
  {
    type: "response.incomplete",
    response: {
      id: "resp_2",
      model: "m",
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
      output: [
        { id: "msg_1", type: "message", content: [{ type: "output_text", text: "Whole." }] },
        { id: "fc_1", type: "function_call", call_id: "call_2", name: "get_weather", arguments: '{"at":"O' },
      ],
    },
  },
];

const item = (type: string, fields: JsonObject): JsonObject => ({ type: `response.output_item.${type}`, item: fields });
const unnumberedCall = (id: string, json: string): JsonObject => ({
  type: "function_call",
  call_id: id,
  name: "get_weather",
  arguments: json,
});
const argument = (item_id: string, delta: string): JsonObject => ({
  type: "response.function_call_arguments.delta",
  item_id,
  delta,
});

/** llama.cpp: no output index, and all items are done at the end; one call has all of its arguments at once. */
const unnumbered: readonly JsonObject[] = [
  { type: "response.created", response: { id: "resp_3", status: "in_progress" } },
  item("added", { id: "rs_1", type: "reasoning", summary: [] }),
  { type: "response.reasoning_text.delta", item_id: "rs_1", delta: "Hm" },
  item("added", { id: "msg_1", type: "message", content: [] }),
  { type: "response.output_text.delta", item_id: "msg_1", delta: "I look." },
  item("added", unnumberedCall("fc_a", "")),
  argument("fc_a", '{"at":'),
  item("added", unnumberedCall("fc_b", '{"at":"Oslo"}')),
  argument("fc_a", '"Bergen"}'),
  { type: "response.function_call_arguments.done", item_id: "fc_b", arguments: '{"at":"Oslo"}' },
  item("done", { id: "rs_1", type: "reasoning", summary: [], content: [{ text: "Hm" }] }),
  item("done", { id: "msg_1", type: "message", content: [{ type: "output_text", text: "I look." }] }),
  item("done", unnumberedCall("fc_a", '{"at":"Bergen"}')),
  { type: "response.completed", response: { id: "resp_3", usage: { input_tokens: 9, output_tokens: 5 } } },
];

export const goldenStreams: Readonly<Record<Dialect, readonly (readonly Json[])[]>> = {
  messages: [
    ...fakeAnswers.map((answer) => parsed(renderMessages(answer, "m", 0).events)),
    oddMessages.map(named),
    interleaved.map(named),
  ],
  chat: [
    ...fakeAnswers.map((answer) => parsed(renderChat(answer, "m", 0, true).events)),
    localCalls,
    oddThoughts,
    functionCall,
  ],
  responses: [
    ...fakeAnswers.map((answer) => parsed(renderResponses(answer, "m", 0).events)),
    oddResponses.map(named),
    atTheEnd.map(named),
    unnumbered.map(named),
  ],
};
