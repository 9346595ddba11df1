// Requests as real clients send them, with every kind of part, to be damaged.

import type { Dialect, JsonObject } from "../../src/wire/neutral.ts";

const schema: JsonObject = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  properties: {
    at: { type: "string", pattern: "^\\w+$", maxLength: 524_288 },
    days: { type: "array", items: { anyOf: [{ type: "integer" }, { type: "null" }] } },
  },
  required: ["at"],
};
const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const messages: readonly JsonObject[] = [
  { model: "claude-sonnet-4-5", max_tokens: 64, messages: [{ role: "user", content: "How is the weather? 🦊" }] },
  {
    model: "claude-opus-4-6",
    max_tokens: 32_000,
    stream: true,
    system: [
      { type: "text", text: "x-anthropic-billing-header: cc_version=2" },
      { type: "text", text: "Be brief.", cache_control: { type: "ephemeral", ttl: "1h" } },
    ],
    thinking: { type: "adaptive", display: "omitted" },
    output_config: { effort: "medium", format: { type: "json_schema", schema } },
    context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
    metadata: { user_id: '{"device_id":"x"}' },
    stop_sequences: ["STOP", " "],
    temperature: 0.5,
    top_p: 0.9,
    top_k: 5,
    tool_choice: { type: "tool", name: "get_weather", disable_parallel_tool_use: true },
    tools: [
      { name: "get_weather", description: "d", input_schema: schema, cache_control: { type: "ephemeral" } },
      { name: "mcp__a.b/c:d", input_schema: { type: "object" }, defer_loading: true, strict: true },
      { type: "web_search_20250305", name: "web_search", max_uses: 3 },
    ],
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: "Look." },
          { type: "text", text: "" },
        ],
      },
      { role: "system", content: "A reminder.", output_config: { effort: "low" } },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "Hm", signature: "c2ln" },
          { type: "redacted_thinking", data: "eA==" },
          { type: "text", text: "I look." },
          { type: "tool_use", id: "toolu_1", name: "get_weather", input: { at: "Oslo", days: [1] } },
          { type: "tool_use", id: "toolu_2", name: "mcp__a.b/c:d", input: {} },
          { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "x" } },
          {
            type: "web_search_tool_result",
            tool_use_id: "srvtoolu_1",
            content: [{ type: "web_search_result", url: "u", title: "t" }],
          },
        ],
      },
      {
        role: "user",
        content: [
          { type: "text", text: "And?" },
          { type: "tool_result", tool_use_id: "toolu_2", is_error: true, content: "no" },
          {
            type: "tool_result",
            tool_use_id: "toolu_1",
            content: [
              { type: "text", text: "Rain." },
              { type: "image", source: { type: "base64", media_type: "image/png", data: png } },
              { type: "tool_reference", tool_name: "get_weather" },
            ],
          },
        ],
      },
      {
        role: "user",
        content: [
          { type: "image", source: { type: "url", url: "https://example.com/x.png" } },
          { type: "document", title: "t", source: { type: "text", media_type: "text/plain", data: "Words." } },
          { type: "document", source: { type: "base64", media_type: "application/pdf", data: "JVBERi0=" } },
          { type: "search_result", source: "s", title: "t", content: [{ type: "text", text: "r" }] },
        ],
      },
      { role: "assistant", content: "It is" },
    ],
  },
];

const chat: readonly JsonObject[] = [
  { model: "gpt-4o-mini", messages: [{ role: "user", content: "How is the weather?" }] },
  {
    model: "gpt-5",
    stream: true,
    stream_options: { include_usage: true },
    max_tokens: 50,
    max_completion_tokens: 60,
    temperature: 2,
    top_p: 1,
    seed: 7,
    logit_bias: { 5: 1 },
    presence_penalty: 0.5,
    stop: ["a", "b", "c", "d", "e"],
    user: "someone",
    reasoning_effort: "minimal",
    parallel_tool_calls: false,
    response_format: { type: "json_schema", json_schema: { name: "w", strict: true, schema } },
    tool_choice: { type: "function", function: { name: "get_weather" } },
    tools: [
      { type: "function", function: { name: "get_weather", description: "d", parameters: schema, strict: true } },
      { type: "function", function: { name: "bare" } },
      {
        type: "custom",
        custom: {
          name: "apply_patch",
          format: { type: "grammar", grammar: { syntax: "lark", definition: "start: x" } },
        },
      },
    ],
    messages: [
      { role: "developer", content: [{ type: "text", text: "Be brief." }] },
      { role: "system", content: "And kind." },
      {
        role: "user",
        name: "ann",
        content: [
          { type: "text", text: "Look.", cache_control: { type: "ephemeral" } },
          { type: "image_url", image_url: { url: `data:image/png;base64,${png}`, detail: "low" } },
          { type: "image_url", image_url: { url: "https://example.com/x.png" } },
          { type: "file", file: { filename: "x.pdf", file_data: "data:application/pdf;base64,JVBERi0=" } },
        ],
      },
      {
        role: "assistant",
        content: "",
        reasoning_content: "Hm",
        tool_calls: [
          { id: "call_1", type: "function", function: { name: "get_weather", arguments: '{"at":"Oslo"}' } },
          { id: "call_2", type: "function", function: { name: "bare", arguments: "" } },
          { id: "call_3", type: "custom", custom: { name: "apply_patch", input: "*** Begin" } },
        ],
      },
      { role: "tool", tool_call_id: "call_2", content: "" },
      { role: "user", content: "In between." },
      { role: "tool", tool_call_id: "call_1", content: [{ type: "text", text: "Rain." }] },
      { role: "system", content: "Late words." },
      { role: "assistant", content: null, refusal: "No.", function_call: { name: "old", arguments: "not json" } },
      { role: "function", name: "old", content: "done" },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "call_9", content: "stray" }] },
    ],
  },
  {
    model: "m",
    functions: [{ name: "old", parameters: schema }],
    function_call: { name: "old" },
    messages: [{ role: "user", content: "x" }],
  },
];

const responses: readonly JsonObject[] = [
  { model: "gpt-4o-mini", store: false, input: "How is the weather?" },
  {
    model: "gpt-5-codex",
    stream: true,
    store: false,
    instructions: "Be brief.",
    include: ["reasoning.encrypted_content"],
    prompt_cache_key: "k",
    client_metadata: { installation: "x" },
    max_output_tokens: 100,
    parallel_tool_calls: true,
    reasoning: { effort: "high", summary: "auto" },
    text: { verbosity: "low", format: { type: "json_schema", name: "w", schema } },
    tool_choice: { type: "allowed_tools", mode: "auto", tools: [{ type: "function", name: "get_weather" }] },
    tools: [
      { type: "function", name: "get_weather", parameters: schema, strict: false },
      { type: "custom", name: "apply_patch", format: { type: "grammar", syntax: "lark", definition: "start: x" } },
      { type: "namespace", name: "agents", tools: [{ type: "function", name: "spawn", parameters: {} }] },
      { type: "web_search", external_web_access: true },
      { type: "tool_search" },
    ],
    input: [
      { type: "message", role: "developer", content: [{ type: "input_text", text: "Base prompt." }] },
      {
        role: "user",
        content: [
          { type: "input_text", text: "Look." },
          { type: "input_image", image_url: `data:image/png;base64,${png}`, detail: "original" },
        ],
      },
      { type: "reasoning", id: "rs_1", summary: [{ type: "summary_text", text: "Hm" }], encrypted_content: "gAAA" },
      {
        type: "message",
        id: "msg_1",
        role: "assistant",
        status: "completed",
        content: [{ type: "output_text", text: "I look.", annotations: [] }],
      },
      { type: "function_call", id: "fc_1", call_id: "call_1", name: "get_weather", arguments: '{"at":"Oslo"}' },
      { type: "function_call", call_id: "call_2", namespace: "agents", name: "spawn", arguments: "{}" },
      { type: "custom_tool_call", call_id: "call_3", name: "apply_patch", input: "*** Begin" },
      { type: "function_call_output", call_id: "call_1", output: "Rain." },
      { type: "custom_tool_call_output", call_id: "call_3", output: [{ type: "input_text", text: "ok" }] },
      {
        type: "function_call_output",
        call_id: "call_2",
        output: [{ type: "input_image", image_url: "https://example.com/x.png" }],
      },
      { type: "web_search_call", id: "ws_1", status: "completed" },
      { type: "additional_tools", tools: [{ type: "function", name: "late", parameters: schema }] },
      { type: "compaction", encrypted_content: "x" },
      { role: "user", content: "And now?" },
    ],
  },
];

export const goldenRequests: Readonly<Record<Dialect, readonly JsonObject[]>> = { messages, chat, responses };
