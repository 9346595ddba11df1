// A Responses conversation for servers that speak Chat only.

import { afterAll, beforeAll, expect } from "bun:test";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { objectsOf, textOf } from "../fakes/json-access.ts";
import { functionCall, functionOutput, functionTool, message, ResponsesClient } from "./responses-client.ts";
import { rule } from "./rule.ts";

let client: ResponsesClient;
beforeAll(async () => {
  client = await ResponsesClient.start();
});
afterAll(async () => client[Symbol.asyncDispose]());

const PNG = "data:image/png;base64,iVBORw0KGgo=";

rule(70, "an input that is a text is one message of the user, and items with a role alone are messages", async () => {
  expect(await client.messagesFor("How are you?")).toEqual([{ role: "user", content: "How are you?" }]);
  const bare = [
    { role: "user", content: "One." },
    { role: "assistant", content: [{ type: "output_text", text: "Two." }] },
    { type: null, role: "user", content: [{ type: "input_text", text: "Three." }] },
  ];
  expect(await client.messagesFor(bare)).toEqual([
    { role: "user", content: "One." },
    { role: "assistant", content: "Two." },
    { role: "user", content: "Three." },
  ]);
});

rule(
  71,
  "instructions come first, developer messages after them, as the one system message of a local server",
  async () => {
    const developer = [message("developer", "You are an agent."), message("system", "Be careful.")];
    const late = [message("user", "Go."), message("developer", "Stay calm.")];
    expect(await client.messagesFor([...developer, ...late], { instructions: "First of all." })).toEqual([
      { role: "system", content: "First of all.\n\nYou are an agent.\n\nBe careful." },
      { role: "user", content: "Go.\n\n<system-reminder>\nStay calm.\n</system-reminder>" },
    ]);
    // As Codex sends it: no instructions, two developer messages, two user messages.
    const codex = [...developer, message("user", "<environment/>"), message("user", "Go.")];
    expect(await client.messagesFor(codex)).toEqual([
      { role: "system", content: "You are an agent.\n\nBe careful." },
      { role: "user", content: "<environment/>\n\nGo." },
    ]);
  },
);

rule(
  72,
  "reasoning, text and calls that follow each other are one turn of the assistant with all its calls",
  async () => {
    const messages = await client.messagesFor([
      message("user", "Look."),
      { type: "reasoning", id: "rs_1", summary: [{ type: "summary_text", text: "Hm." }], encrypted_content: "gAAAA" },
      message("assistant", "I look."),
      functionCall("call_a", "ls", { cmd: "a" }),
      { type: "reasoning", id: "rs_2", summary: [] },
      functionCall("call_b", "ls", { cmd: "b" }),
      // Said while the calls ran: servers want the results right behind their calls.
      message("user", "Hurry."),
      functionOutput("call_b", "B"),
      functionOutput("call_a", "A"),
      functionCall("call_c", "ls", { cmd: "c" }),
    ]);
    expect(messages.map((one) => textOf(one["role"]))).toEqual([
      "user",
      "assistant",
      "tool",
      "tool",
      "user",
      "assistant",
      "tool",
    ]);
    expect(messages[1]).toMatchObject({ content: "I look.", tool_calls: [{ id: "call_a" }, { id: "call_b" }] });
    expect(objectsOf(messages[1]!["tool_calls"])).toHaveLength(2);
    // A call that was interrupted has a result all the same.
    expect(messages[6]).toMatchObject({ role: "tool", tool_call_id: "call_c" });
  },
);

rule(73, "a call and its result belong together by the call's id, never by the item's", async () => {
  const swapped = [
    message("user", "Go."),
    { ...functionCall("call_a", "ls", {}), id: "call_b" },
    { ...functionCall("call_b", "ls", {}), id: "call_a" },
    { ...functionOutput("call_a", "of a"), id: "call_b" },
    { ...functionOutput("call_b", "of b"), id: "call_a" },
  ];
  const messages = await client.messagesFor(swapped);
  const results = messages.filter((one) => one["role"] === "tool");
  expect(Object.fromEntries(results.map((one) => [textOf(one["tool_call_id"]), one["content"]]))).toEqual({
    call_a: "of a",
    call_b: "of b",
  });
  expect(objectsOf(messages[1]!["tool_calls"]).map((call) => textOf(call["id"]))).toEqual(["call_a", "call_b"]);
});

rule(
  74,
  "a result may be a text or a list of texts, images and files; images follow as content of the user",
  async () => {
    const text = "data:text/plain;base64," + Buffer.from("file text").toString("base64");
    const parts = [
      { type: "input_text", text: "Seen." },
      { type: "input_image", image_url: PNG, detail: "high" },
      { type: "input_file", filename: "a.txt", file_data: text },
    ];
    const messages = await client.messagesFor([
      message("user", "Go."),
      functionCall("call_a", "view", {}),
      functionCall("call_b", "view", {}),
      functionOutput("call_a", parts),
      functionOutput("call_b", "plain"),
    ]);
    expect(messages.slice(2)).toMatchObject([
      { role: "tool", tool_call_id: "call_a", content: "Seen." },
      { role: "tool", tool_call_id: "call_b", content: "plain" },
      {
        role: "user",
        content: [
          { type: "text", text: expect.stringContaining("call_a") },
          { type: "image_url", image_url: { url: PNG } },
          { type: "text", text: expect.stringContaining("file text") },
        ],
      },
    ]);
  },
);

const patch = '*** Begin Patch\n*** Add File: a.txt\n+"quoted" \\ and 🦊\n*** End Patch\n';
const applyPatch = {
  type: "custom",
  name: "apply_patch",
  description: "Edits files.",
  format: { type: "grammar", syntax: "lark", definition: 'start: "*** Begin Patch"' },
};

rule(
  75,
  "a tool with free text is a function with one text elsewhere, and its calls come back as what they are",
  async () => {
    const history = [
      message("user", "Patch it."),
      { type: "custom_tool_call", id: "ctc_1", call_id: "call_p", name: "apply_patch", input: patch },
      { type: "custom_tool_call_output", call_id: "call_p", output: "Done." },
    ];
    const toolCalls = [{ name: "apply_patch", input: { input: patch } }];
    for (const stream of [false, true]) {
      const asked = await client.ask({ tools: [applyPatch], input: history, stream }, { text: "", toolCalls });
      const [tool] = objectsOf(asked.sent.json()["tools"]);
      expect(tool).toMatchObject({
        type: "function",
        function: { name: "apply_patch", parameters: { required: ["input"] } },
      });
      const messages = objectsOf(asked.sent.json()["messages"]);
      expect(objectsOf(messages[1]!["tool_calls"])).toEqual([
        {
          id: "call_p",
          type: "function",
          function: { name: "apply_patch", arguments: JSON.stringify({ input: patch }) },
        },
      ]);
      expect(messages[2]).toMatchObject({ role: "tool", tool_call_id: "call_p", content: "Done." });
      expect(itemsOf(asked)).toMatchObject([{ type: "custom_tool_call", name: "apply_patch", input: patch }]);
      expect(asked.text).not.toContain("function_call");
    }
  },
);

rule(
  76,
  "tools of a namespace get flat names elsewhere, and an answer calls them by namespace and short name",
  async () => {
    const agents = {
      type: "namespace",
      name: "multi_agent_v1",
      description: "",
      tools: [functionTool("spawn"), functionTool("close")],
    };
    // The flat name of one tool is the plain name of another.
    const tools = [functionTool("multi_agent_v1__spawn"), agents, { ...agents, name: "other.space" }];
    const history = [
      message("user", "Start."),
      { ...functionCall("call_a", "close", {}), namespace: "multi_agent_v1" },
      functionOutput("call_a", "closed"),
    ];
    const first = await client.ask({ tools, input: history });
    const names = objectsOf(first.sent.json()["tools"]).map((tool) => textOf((tool["function"] as JsonObject)["name"]));
    expect(new Set(names).size).toBe(5);
    for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
    expect(first.sent.text).not.toContain('"namespace"');
    expect(objectsOf(first.sent.json()["messages"])[1]).toMatchObject({
      tool_calls: [{ function: { name: names[2] } }],
    });
    for (const stream of [false, true]) {
      const toolCalls = names.map((name) => ({ name, input: { cmd: name } }));
      const items = itemsOf(await client.ask({ tools, input: history, stream }, { text: "", toolCalls }));
      expect(items.map((item) => [item["namespace"], item["name"], item["type"]])).toEqual([
        [undefined, "multi_agent_v1__spawn", "function_call"],
        ["multi_agent_v1", "spawn", "function_call"],
        ["multi_agent_v1", "close", "function_call"],
        ["other.space", "spawn", "function_call"],
        ["other.space", "close", "function_call"],
      ]);
    }
  },
);

rule(78, "tools that arrive inside the conversation are offered like the others", async () => {
  const input = [
    message("user", "Go."),
    { type: "additional_tools", role: "developer", tools: [functionTool("late"), applyPatch] },
    {
      type: "tool_search_output",
      call_id: "call_s",
      tools: [{ type: "namespace", name: "ns", tools: [functionTool("found")] }],
    },
    functionCall("call_a", "late", {}),
    functionOutput("call_a", "ok"),
  ];
  const asked = await client.ask(
    { tools: [functionTool("early"), functionTool("late")], input },
    { text: "", toolCalls: [{ name: "ns__found", input: {} }] },
  );
  const names = objectsOf(asked.sent.json()["tools"]).map((tool) => (tool["function"] as JsonObject)["name"]);
  expect(names).toEqual(["early", "late", "apply_patch", "ns__found"]);
  expect(asked.sent.text).not.toContain("additional_tools");
  expect(itemsOf(asked)).toMatchObject([{ type: "function_call", namespace: "ns", name: "found" }]);
});

rule(
  79,
  "sealed reasoning goes to no other vendor; its summary goes along only where the template knows what it is",
  async () => {
    const reasoning = {
      type: "reasoning",
      id: "rs_1",
      summary: [{ type: "summary_text", text: "Summed up." }],
      content: null,
      encrypted_content: "gAAAA-SEALED",
    };
    const bare = { ...reasoning, id: "rs_2", summary: [] };
    const input = [message("user", "Go."), bare, reasoning, message("assistant", "Went."), message("user", "On.")];
    const include = ["reasoning.encrypted_content"];
    for (const model of ["house-model", "plain-model", "thinker"]) {
      const { sent } = await client.ask({ model, input, include });
      expect(sent.text).not.toContain("SEALED");
      const [, assistant] = objectsOf(sent.json()["messages"]);
      expect(assistant).toEqual({
        role: "assistant",
        content: "Went.",
        ...(model === "thinker" ? { reasoning_content: "Summed up." } : {}),
      });
    }
  },
);

/** The items that a client acts on: of the body, or of the events that say an item is done. */
function itemsOf({ json, text }: { json: JsonObject; text: string }): JsonObject[] {
  if (json["output"] !== undefined) return objectsOf(json["output"]);
  const events = [...text.matchAll(/^data: (.*)$/gm)].map((found) => JSON.parse(found[1]!) as JsonObject);
  return events.filter((one) => one["type"] === "response.output_item.done").map((one) => one["item"] as JsonObject);
}
