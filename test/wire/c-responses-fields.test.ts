// What else a Responses request may hold, for servers that speak Chat only.

import { afterAll, beforeAll, expect } from "bun:test";
import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { post as postTo, startHouse } from "../fakes/house.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import { attemptsIn, relayIn } from "./kinds-house.ts";
import {
  functionCall,
  functionOutput,
  functionTool,
  message,
  ResponsesClient,
  type Asked,
} from "./responses-client.ts";
import { rule } from "./rule.ts";

let client: ResponsesClient;
beforeAll(async () => {
  client = await ResponsesClient.start();
});
afterAll(async () => client[Symbol.asyncDispose]());

function sent(asked: Asked): JsonObject {
  if (asked.status !== 200) throw new Error(`${asked.status}: ${asked.text}`);
  return asked.sent.json();
}

/** Hosted tools, and those that only their vendor's models know how to call. */
const hosted: readonly JsonObject[] = [
  { type: "tool_search", execution: "client", description: "Finds tools.", parameters: { type: "object" } },
  { type: "web_search", external_web_access: true },
  { type: "image_generation", size: "1024x1024" },
  { type: "code_interpreter", container: { type: "auto" } },
  { type: "file_search", vector_store_ids: ["vs_1"] },
  { type: "mcp", server_label: "s", server_url: "https://tools.example.com" },
  { type: "shell", environment: { type: "container_auto" } },
  { type: "local_shell" },
  { type: "apply_patch" },
  { type: "computer" },
  { type: "mind_reading" },
];

rule(77, "the vendor's own tools are left out for a local model, and the request still runs", async () => {
  for (const tool of hosted) {
    const body = sent(await client.ask({ tools: [tool, functionTool("ls")] }));
    expect(objectsOf(body["tools"]).map((one) => objectOf(one["function"])?.["name"])).toEqual(["ls"]);
    expect(JSON.stringify(body)).not.toContain(textOf(tool["type"]));
    expect(sent(await client.ask({ tools: [tool] }))["tools"]).toBeUndefined();
  }
  const body = sent(await client.ask({ tools: [...hosted] }));
  expect(body["tools"]).toBeUndefined();
  expect(body["tool_choice"]).toBeUndefined();
  // What has no bound is not paid for: a cloud model that was asked for is not silently replaced.
  const paid = await post({ model: "gpt-4o-mini", tools: [{ type: "image_generation" }] });
  expect(paid.status).toBe(400);
  expect(await paid.text()).toContain("tools[0].type");
});

async function post(body: JsonObject): Promise<Response> {
  return fetch(`${client.house.gateway.url}/v1/responses`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "house-model", input: "Hi", ...body }),
  });
}

rule(80, "what is kept elsewhere is refused by its field's name, and no answer says that it was stored", async () => {
  const elsewhere: readonly (readonly [field: string, body: JsonObject])[] = [
    ["previous_response_id", { previous_response_id: "resp_1" }],
    ["conversation", { conversation: "conv_1" }],
    ["conversation", { conversation: { id: "conv_1" } }],
    ["background", { background: true }],
    ["prompt", { prompt: { id: "pmpt_1" } }],
    ["input[1] is an item_reference", { input: [message("user", "Hi"), { type: "item_reference", id: "msg_1" }] }],
    ["input[0] is an item_reference", { input: [{ id: "msg_1" }] }],
  ];
  const { local, cloud } = client.house;
  const before = local.generations.length + cloud.generations.length;
  for (const model of ["house-model", "gpt-4o-mini"]) {
    for (const [field, body] of elsewhere) {
      const refused = await post({ ...body, model });
      expect(refused.status).toBe(400);
      const error = objectOf(((await refused.json()) as JsonObject)["error"]);
      expect(error).toMatchObject({ type: "invalid_request_error", message: expect.stringContaining(field) });
    }
  }
  expect(local.generations.length + cloud.generations.length).toBe(before);
  // The SDKs' default: nothing is kept here, which the answer says, so that nobody relies on it.
  const stored = await client.ask({ store: true });
  expect(stored.status).toBe(200);
  expect(stored.json).toMatchObject({ store: false, previous_response_id: null });
});

/** Every item type of the dialect beside messages, calls, results and reasoning; what of it a model may read. */
const otherItems: readonly (readonly [item: JsonObject, shown: string | null])[] = [
  [{ type: "compaction", encrypted_content: "SEALED" }, "compacted"],
  [{ type: "compaction_summary", encrypted_content: "SEALED" }, "compacted"],
  [{ type: "compaction_trigger" }, null],
  [{ type: "configuration_update", tools: [{ type: "function", name: "SEALED" }] }, null],
  [{ type: "program", call_id: "p", code: "print(SHOWN)" }, "SHOWN"],
  [{ type: "program_output", call_id: "p", output: "SHOWN" }, "SHOWN"],
  [{ type: "local_shell_call", call_id: "s", action: { type: "exec", command: ["ls", "SHOWN"] } }, "SHOWN"],
  [{ type: "local_shell_call_output", id: "s", output: "SHOWN" }, "SHOWN"],
  [{ type: "shell_call", call_id: "s", action: { commands: ["SHOWN"] } }, "SHOWN"],
  [{ type: "shell_call_output", call_id: "s", output: [{ stdout: "SHOWN" }] }, "SHOWN"],
  [{ type: "apply_patch_call", call_id: "s", operation: { type: "update_file", diff: "SHOWN" } }, "SHOWN"],
  [{ type: "apply_patch_call_output", call_id: "s", status: "completed", output: "SHOWN" }, "SHOWN"],
  [{ type: "code_interpreter_call", code: "SHOWN", outputs: null }, "SHOWN"],
  [{ type: "mcp_call", name: "find", arguments: "{}", output: "SHOWN" }, "SHOWN"],
  [{ type: "mcp_list_tools", server_label: "s", tools: [] }, null],
  [{ type: "mcp_approval_request", name: "find", arguments: "{}" }, null],
  [{ type: "mcp_approval_response", approve: true }, null],
  [{ type: "web_search_call", action: { type: "search", query: "q" } }, null],
  [{ type: "file_search_call", queries: ["q"] }, null],
  [{ type: "image_generation_call", result: "SEALED" }, null],
  [{ type: "computer_call", call_id: "c", action: { type: "click" } }, null],
  [{ type: "computer_call_output", call_id: "c", output: { type: "computer_screenshot" } }, null],
  [{ type: "tool_search_call", call_id: "t", arguments: "{}" }, null],
  [{ type: "tool_search_output", call_id: "t", tools: [] }, null],
  [{ type: "additional_tools", role: "developer", tools: [] }, null],
];

rule(
  81,
  "items that only this dialect has become text or are left out by a list; an unknown one is named in a warning",
  async () => {
    for (const [item, shown] of otherItems) {
      const input = [
        message("user", "Before."),
        { ...item, id: "item_1", status: "completed" },
        message("user", "After."),
      ];
      const asked = await client.ask({ input });
      const messages = objectsOf(sent(asked)["messages"]);
      const text = JSON.stringify(messages);
      expect(text).toContain("Before.");
      expect(text).toContain("After.");
      expect(text).not.toContain("SEALED");
      expect(text).not.toContain("item_1");
      if (shown === null) expect(messages).toEqual([{ role: "user", content: "Before.\n\nAfter." }]);
      else expect(text).toContain(shown);
      expect(asked.headers.get("x-sanctum-ignored")).toBeNull();
    }
    for (const type of ["telepathy", "constructor", "__proto__"]) {
      const asked = await client.ask({ input: [message("user", "Hi."), { type, id: "x", text: "SEALED" }] });
      expect(objectsOf(sent(asked)["messages"])).toEqual([{ role: "user", content: "Hi." }]);
      expect(asked.headers.get("x-sanctum-ignored")).toBe("input[1]");
    }
  },
);

rule(
  82,
  "the output limit goes along under the server's name of it; without one the model's own limit counts",
  async () => {
    expect(sent(await client.ask({ max_output_tokens: 99 }))).toMatchObject({ max_tokens: 99 });
    expect((await post({ model: "openrouter/openai/gpt-4o-mini" })).status).toBe(200);
    expect(client.house.cloud.generations.at(-1)!.json()["max_tokens"]).toBeGreaterThan(1_000);
    const free = sent(await client.ask({}));
    // Codex sets none, and an answer that is cut at some usual limit would end its turn.
    for (const name of ["max_tokens", "max_completion_tokens", "max_output_tokens"])
      expect(free).not.toHaveProperty(name);
  },
);

rule(83, "a schema for the answer becomes a response format, the wordiness is dropped", async () => {
  const schema = {
    type: "object",
    properties: { a: { type: "integer" } },
    required: ["a"],
    additionalProperties: false,
  };
  const format = { type: "json_schema", name: "pair", schema, strict: true };
  const json = { text: '{"a":1}' };
  const body = sent(await client.ask({ text: { format, verbosity: "low" } }, json));
  expect(body["response_format"]).toEqual({ type: "json_schema", json_schema: { name: "pair", schema, strict: true } });
  expect(JSON.stringify(body)).not.toContain("verbosity");
  const object = sent(await client.ask({ text: { format: { type: "json_object" } } }, json));
  expect(object["response_format"]).toEqual({ type: "json_object" });
  expect(sent(await client.ask({ text: { format: { type: "text" } } }))).not.toHaveProperty("response_format");
});

rule(84, "every effort is mapped to what the server knows or dropped, and so is the wish for a summary", async () => {
  for (const effort of ["none", "minimal", "low", "medium", "high", "xhigh", "max", "someday"]) {
    for (const model of ["house-model", "plain-model"]) {
      const body = sent(await client.ask({ model, reasoning: { effort, summary: "auto" } }));
      expect(body).not.toHaveProperty("reasoning");
      expect(JSON.stringify(body)).not.toContain("summary");
      const off = effort === "none";
      expect(body["chat_template_kwargs"]).toEqual(
        off && model === "house-model" ? { enable_thinking: false } : undefined,
      );
      expect(body["reasoning_effort"]).toBe(off && model === "plain-model" ? "none" : undefined);
    }
  }
  expect(sent(await client.ask({ reasoning: { effort: null, generate_summary: "auto" } }))).not.toHaveProperty(
    "reasoning",
  );
});

const choices: readonly (readonly [choice: Json, wire: Json | undefined, tools: readonly string[]])[] = [
  ["auto", "auto", ["ls", "patch", "ns__go"]],
  ["none", "none", ["ls", "patch", "ns__go"]],
  ["required", "required", ["ls", "patch", "ns__go"]],
  [{ type: "function", name: "ls" }, named("ls"), ["ls", "patch", "ns__go"]],
  [{ type: "function", namespace: "ns", name: "go" }, named("ns__go"), ["ls", "patch", "ns__go"]],
  [{ type: "custom", name: "patch" }, named("patch"), ["ls", "patch", "ns__go"]],
  [{ type: "function", name: "gone" }, "auto", ["ls", "patch", "ns__go"]],
  [allowed("auto", [{ type: "function", name: "ls" }]), "auto", ["ls"]],
  [allowed("required", [{ type: "custom", name: "patch" }, { type: "web_search" }]), "required", ["patch"]],
  [allowed("required", [{ type: "mcp", server_label: "s" }]), undefined, []],
  [{ type: "web_search" }, "auto", ["ls", "patch", "ns__go"]],
  [{ type: "image_generation" }, "auto", ["ls", "patch", "ns__go"]],
  [{ type: "mcp", server_label: "s", name: "find" }, "auto", ["ls", "patch", "ns__go"]],
  [{ type: "apply_patch" }, "auto", ["ls", "patch", "ns__go"]],
  [{ type: "shell" }, "auto", ["ls", "patch", "ns__go"]],
];

function named(name: string): JsonObject {
  return { type: "function", function: { name } };
}

function allowed(mode: string, tools: JsonObject[]): JsonObject {
  return { type: "allowed_tools", mode, tools };
}

rule(
  85,
  "each form of a tool choice is said in the server's words; one that names a tool left out is a free choice",
  async () => {
    const tools = [
      functionTool("ls"),
      { type: "custom", name: "patch" },
      { type: "namespace", name: "ns", tools: [functionTool("go")] },
      { type: "web_search" },
    ];
    for (const [choice, wire, names] of choices) {
      const body = sent(await client.ask({ tools, tool_choice: choice }));
      expect(body["tool_choice"]).toEqual(wire);
      expect(objectsOf(body["tools"]).map((tool) => textOf(objectOf(tool["function"])?.["name"]))).toEqual([...names]);
    }
  },
);

rule(86, "fields and headers that are the vendor's or the client's own affair go to nobody else", async () => {
  const metadata = JSON.stringify({ installation_id: "PRIVATE", cwd: "PRIVATE" });
  const extra = {
    include: ["reasoning.encrypted_content", "message.output_text.logprobs"],
    prompt_cache_key: "PRIVATE",
    prompt_cache_retention: "24h",
    client_metadata: { "x-codex-turn-metadata": metadata, "x-codex-installation-id": "PRIVATE" },
    safety_identifier: "PRIVATE",
    user: "PRIVATE",
    metadata: { key: "PRIVATE" },
    service_tier: "priority",
    truncation: "auto",
    stream_options: { include_obfuscation: true },
    top_logprobs: 5,
    max_tool_calls: 3,
    store: false,
  };
  const headers = {
    "x-codex-turn-metadata": metadata,
    "x-codex-installation-id": "PRIVATE",
    "session-id": "PRIVATE",
    "thread-id": "PRIVATE",
    originator: "codex_exec",
  };
  const asked = await client.ask({ ...extra, stream: true }, {}, headers);
  expect(Object.keys(sent(asked)).sort()).toEqual(["messages", "model", "stream", "stream_options"]);
  expect(sent(asked)["stream_options"]).toEqual({ include_usage: true });
  expect(JSON.stringify([asked.sent.headers, asked.sent.text])).not.toContain("PRIVATE");
  expect(asked.sent.header("originator")).toBeUndefined();
  // What the client would look for in the answer and does not get, it is told.
  expect(asked.headers.get("x-sanctum-ignored")?.split(", ")).toEqual([
    "truncation",
    "top_logprobs",
    "metadata",
    "service_tier",
  ]);
  // Nor to another vendor that speaks the dialect, but was not asked for.
  await using other = await startHouse({ config: ({ cloud }) => relayIn(cloud, "responses") });
  other.cloud.script.push({ refuse: { status: 500 } });
  const { truncation: _, ...codex } = extra;
  const answer = await postTo(other.gateway, "responses", { model: "gpt-5.5", extra: codex, headers });
  expect(await attemptsIn(other, answer)).toEqual(["openai/gpt-5.5:upstream_500", "relay/other-9:ok"]);
  const got = other.cloud.generations.at(-1)!;
  expect(JSON.stringify([got.headers, got.text])).not.toContain("PRIVATE");
});

rule(
  87,
  "images and files travel in the form that the server takes; what it can't be given is never sent in part",
  async () => {
    const data = "data:image/jpeg;base64,/9j/AAAA";
    const text = `data:text/markdown;base64,${Buffer.from("# Title").toString("base64")}`;
    const user = (...content: JsonObject[]): JsonObject => ({ type: "message", role: "user", content });
    const parts = [
      { type: "input_text", text: "See." },
      { type: "input_image", image_url: data, detail: "original" },
      { type: "input_image", image_url: "https://pictures.example.com/a.png", detail: "low" },
      { type: "input_file", filename: "notes.md", file_data: text },
    ];
    const [message] = await client.messagesFor([user(...parts)]);
    expect(message).toEqual({
      role: "user",
      content: [
        { type: "text", text: "See." },
        { type: "image_url", image_url: { url: data, detail: "high" } },
        { type: "image_url", image_url: { url: "https://pictures.example.com/a.png", detail: "low" } },
        { type: "text", text: "# notes.md\n\n# Title" },
      ],
    });
    const { local } = client.house;
    const unsendable: readonly JsonObject[] = [
      { type: "input_image", file_id: "file_1" },
      { type: "input_file", file_id: "file_2" },
      { type: "input_file", file_url: "https://files.example.com/a.pdf" },
    ];
    for (const part of unsendable) {
      const before = local.generations.length;
      const refused = await post({ input: [user({ type: "input_text", text: "See." }, part)] });
      expect(refused.status).toBeGreaterThanOrEqual(400);
      expect(local.generations).toHaveLength(before);
    }
  },
);

rule(88, "ids, states, phases and annotations of items are read over", async () => {
  const annotations = [{ type: "url_citation", url: "https://example.com", title: "T", start_index: 0, end_index: 1 }];
  const about = { status: "completed", phase: "final_answer", internal_chat_message_metadata: { a: 1 } };
  const output = { type: "output_text", text: "Answer.", annotations, logprobs: [{ token: "A" }] };
  const messages = await client.messagesFor([
    { ...message("developer", "Be good."), id: "msg_1", ...about },
    { ...message("user", "Question."), id: "msg_2", ...about },
    { type: "message", id: "msg_3", role: "assistant", content: [output, { type: "novel_part", x: 1 }], ...about },
    { ...functionCall("call_a", "ls", { cmd: "a" }), ...about, caller: { type: "direct" } },
    { ...functionOutput("call_a", "A"), id: "fco_1", ...about },
  ]);
  expect(messages).toEqual([
    { role: "system", content: "Be good." },
    { role: "user", content: "Question." },
    {
      role: "assistant",
      content: "Answer.",
      tool_calls: [{ id: "call_a", type: "function", function: { name: "ls", arguments: '{"cmd":"a"}' } }],
    },
    { role: "tool", tool_call_id: "call_a", content: "A" },
  ]);
});
