// Streams as real servers write them, each with habits of its own, and what the vendors' SDKs make of the answers in every
// dialect. The upstream's bytes are cut at random places.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { dialects } from "../fakes/house.ts";
import { sdkTalks } from "../fakes/sdk-talks.ts";
import {
  AnswersHouse,
  blockStart,
  blockStop,
  calls,
  chunk,
  done,
  event,
  messageEnd,
  messageStart,
  type Server,
} from "../wire/answers-house.ts";

setDefaultTimeout(60_000);
let house: AnswersHouse;
beforeAll(async () => {
  house = await AnswersHouse.start();
});
afterAll(async () => house[Symbol.asyncDispose]());

interface Habit {
  /** `home` and `home-messages` are translated to every client. */
  readonly servers: readonly Server[];
  readonly rawBody: readonly string[];
  readonly text?: string;
  readonly thinking?: string;
  readonly calls?: readonly (readonly [name: string, input: unknown])[];
}

const usage = { prompt_tokens: 5, completion_tokens: 6, total_tokens: 11 };
const head = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "served-model" };
const data = (value: JsonObject): string => `data: ${JSON.stringify(value)}\n\n`;
const usageChunk = data({ ...head, choices: [], usage });
const fn = (name: string, json: string): JsonObject => ({ function: { name, arguments: json } });

const delta = (index: number, part: JsonObject): string => event("content_block_delta", { index, delta: part });

const reasoning = (text: string): JsonObject => ({ id: "rs_1", type: "reasoning", summary: [], content: [{ text }] });
const message = (text: string): JsonObject => ({
  id: "msg_1",
  type: "message",
  content: [{ type: "output_text", text }],
});
const call = (id: string, name: string, json: string): JsonObject => ({
  type: "function_call",
  call_id: id,
  name,
  arguments: json,
});
const added = (item: JsonObject): string => event("response.output_item.added", { item });
const itemDone = (item: JsonObject): string => event("response.output_item.done", { item });
const created = event("response.created", { response: { id: "resp_1", object: "response", status: "in_progress" } });
const completed = (output: JsonObject[]): string =>
  event("response.completed", {
    response: { id: "resp_1", object: "response", status: "completed", model: "served-model", output },
  });

const habits: Readonly<Record<string, Habit>> = {
  "LM Studio: the call at the end, its name without arguments": {
    servers: ["home"],
    rawBody: [
      chunk({ role: "assistant", content: "I look." }),
      calls({ index: 0, id: "365174485", type: "function", function: { name: "f", arguments: "" } }),
      calls({ index: 0, type: "function", function: { arguments: '{"a":1}' } }),
      chunk({}, "tool_calls"),
      usageChunk,
      done,
    ],
    text: "I look.",
    calls: [["f", { a: 1 }]],
  },
  "Ollama: whole calls, each in a chunk with the role, under one index": {
    servers: ["home"],
    rawBody: [
      chunk({ role: "assistant", content: "", tool_calls: [{ id: "call_1", index: 0, ...fn("f", '{"a":1}') }] }),
      chunk({ role: "assistant", content: "", tool_calls: [{ id: "call_2", index: 0, ...fn("g", '{"b":2}') }] }),
      chunk({ role: "assistant", content: "" }, "tool_calls"),
      done,
    ],
    calls: [
      ["f", { a: 1 }],
      ["g", { b: 2 }],
    ],
  },
  "Gemini's other form: no ids, one index, blank text before": {
    servers: ["home"],
    rawBody: [
      chunk({ role: "assistant", content: "\n\n" }),
      calls({ index: 0, ...fn("f", '{"a":1}') }, { index: 0, ...fn("f", '{"a":2}') }),
      chunk({}, "stop"),
      done,
    ],
    calls: [
      ["f", { a: 1 }],
      ["f", { a: 2 }],
    ],
  },
  "OpenRouter: comments, thoughts under three names, usage in a chunk with a choice": {
    servers: ["home"],
    rawBody: [
      ": OPENROUTER PROCESSING\n\n",
      chunk({ role: "assistant", content: "", reasoning: "hm", reasoning_details: [{ text: "hm" }] }),
      ": OPENROUTER PROCESSING\n\n",
      chunk({ content: "Yes." }),
      chunk({ content: "" }, "stop", { native_finish_reason: "stop" }),
      data({ ...head, choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }], usage }),
      done,
    ],
    text: "Yes.",
    thinking: "hm",
  },
  "vLLM: usage in every chunk, an empty reasoning_content, no [DONE]": {
    servers: ["home"],
    rawBody: [
      data({ ...head, choices: [{ index: 0, delta: { role: "assistant", reasoning_content: "" } }], usage }),
      data({ ...head, choices: [{ index: 0, delta: { reasoning_content: "", reasoning: "hm" } }], usage }),
      data({ ...head, choices: [{ index: 0, delta: { content: "Yes." }, finish_reason: "stop" }], usage }),
      usageChunk,
    ],
    text: "Yes.",
    thinking: "hm",
  },
  "Mistral: thoughts as parts of the content": {
    servers: ["home"],
    rawBody: [
      chunk({ role: "assistant", content: [{ type: "thinking", thinking: [{ type: "text", text: "hm" }] }] }),
      chunk({ content: [{ type: "text", text: "Yes." }] }),
      chunk({}, "stop"),
      done,
    ],
    text: "Yes.",
    thinking: "hm",
  },
  "llama.cpp, Messages: blocks that are all open at once, and an empty signature at the end": {
    servers: ["home-messages"],
    rawBody: [
      messageStart,
      blockStart(0, { type: "thinking", thinking: "" }),
      delta(0, { type: "thinking_delta", thinking: "hm" }),
      blockStart(1, { type: "text", text: "" }),
      delta(1, { type: "text_delta", text: "I look." }),
      blockStart(2, { type: "tool_use", id: "a", name: "f" }),
      delta(2, { type: "input_json_delta", partial_json: '{"a":1}' }),
      blockStart(3, { type: "tool_use", id: "b", name: "g" }),
      delta(3, { type: "input_json_delta", partial_json: '{"b":2}' }),
      delta(0, { type: "signature_delta", signature: "" }),
      ...[0, 1, 2, 3].map(blockStop),
      ...messageEnd("tool_use"),
      done,
    ],
    text: "I look.",
    thinking: "hm",
    calls: [
      ["f", { a: 1 }],
      ["g", { b: 2 }],
    ],
  },
  "a Messages server with blocks of tomorrow, and input that comes with the start of a block that never stops": {
    servers: ["home-messages"],
    rawBody: [
      messageStart,
      blockStart(0, { type: "advisor", x: 1 }),
      delta(0, { type: "advisor_delta", y: 2 }),
      blockStop(0),
      event("novel_event", { z: 3 }),
      blockStart(1, { type: "text", text: "I " }),
      delta(1, { type: "text_delta", text: "look." }),
      delta(1, { type: "citations_delta", citation: {} }),
      blockStop(1),
      blockStart(2, { type: "tool_use", id: "a", name: "f", input: { a: 1 } }),
      ...messageEnd("tool_use"),
    ],
    text: "I look.",
    calls: [["f", { a: 1 }]],
  },
  "llama.cpp, Responses: no output index, everything done at the end": {
    servers: ["responses"],
    rawBody: [
      created,
      added(reasoning("")),
      event("response.reasoning_text.delta", { item_id: "rs_1", delta: "hm" }),
      added(message("")),
      event("response.output_text.delta", { item_id: "msg_1", delta: "I look." }),
      added(call("fc_a", "f", "")),
      event("response.function_call_arguments.delta", { item_id: "fc_a", delta: '{"a":1}' }),
      added(call("fc_b", "g", "")),
      event("response.function_call_arguments.delta", { item_id: "fc_b", delta: '{"b":2}' }),
      itemDone(reasoning("hm")),
      itemDone(message("I look.")),
      itemDone(call("fc_a", "f", '{"a":1}')),
      itemDone(call("fc_b", "g", '{"b":2}')),
      completed([reasoning("hm"), message("I look.")]),
    ],
    text: "I look.",
    thinking: "hm",
    calls: [
      ["f", { a: 1 }],
      ["g", { b: 2 }],
    ],
  },
  "a Responses server that tells items when they are done and nothing at the end": {
    servers: ["responses"],
    rawBody: [created, itemDone(message("I look.")), itemDone(call("fc_a", "f", '{"a":1}')), completed([])],
    text: "I look.",
    calls: [["f", { a: 1 }]],
  },
};

for (const [name, { servers, rawBody, text = "", thinking = "", calls: called = [] }] of Object.entries(habits)) {
  test(name, async () => {
    for (const server of servers) {
      for (const client of dialects) {
        // The vendor's own clients of the same dialect get what it sends, byte for byte.
        if (server === client) continue;
        for (let seed = 1; seed <= 3; seed++) {
          house.upstream.script.push({ rawBody, split: { seed } });
          const baseUrl = house.house.gateway.url;
          const told = await sdkTalks[client]({
            baseUrl,
            model: `${server}-0`,
            stream: true,
            tools: true,
            think: false,
          }).say("Hi");
          expect([client, told.text, told.thinking]).toEqual([client, text, thinking]);
          expect(told.calls.map(({ name: tool, input }) => [tool, input])).toEqual(called.map((one) => [...one]));
          expect(told.ended).toBe(called.length > 0 ? "calls" : "done");
        }
      }
    }
  });
}
