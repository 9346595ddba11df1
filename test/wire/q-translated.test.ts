// Thinking in conversations that are translated.

import { afterAll, beforeAll, expect } from "bun:test";
import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { startHouse, type House } from "../fakes/house.ts";
import { objectOf, objectsOf, parseObject, textOf } from "../fakes/json-access.ts";
import { ask, typesOf } from "./asked.ts";
import { rule } from "./rule.ts";

let house: House;
beforeAll(async () => {
  house = await startHouse();
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
});

const user = (content: Json): JsonObject => ({ role: "user", content });
const look = { name: "look", input: {} };
const tools = [{ type: "function", name: "look", parameters: { type: "object", properties: {} } }];

/** A conversation of a Responses client with two thoughtful turns. */
async function thoughtful(): Promise<JsonObject[]> {
  const input: JsonObject[] = [user("go")];
  for (const id of ["toolu_1", "toolu_2"]) {
    house.cloud.script.push({ answer: { thinking: `Hm, ${id}.`, toolCalls: [{ ...look, id }] } });
    const asked = await ask(house, "responses", {
      model: "claude-sonnet-4-5",
      input,
      tools,
      reasoning: { effort: "high" },
    });
    expect([asked.status, asked.text]).toEqual([200, expect.any(String)]);
    input.push(...objectsOf(parseObject(asked.text)["output"]));
    input.push({ type: "function_call_output", call_id: id, output: "nothing" });
  }
  return input;
}

const shapes = async (input: Json, model = "claude-sonnet-4-5"): Promise<string[][]> => {
  const asked = await ask(house, "responses", { model, input, tools });
  expect(asked.status).toBe(200);
  return objectsOf(asked.sent["messages"]).map(typesOf);
};

rule(267, "Of a conversation's thinking all of it goes along, or none", async () => {
  const input = await thoughtful();
  const all = [["text"], ["thinking", "tool_use"], ["tool_result"], ["thinking", "tool_use"], ["tool_result"]];
  const none = all.map((types) => types.filter((type) => type !== "thinking"));
  expect(await shapes(input)).toEqual(all);
  expect(await shapes(input, "claude-sonnet-4-6")).toEqual(none);
  const thoughts = input.flatMap((item, at) => (item["type"] === "reasoning" ? [at] : []));
  expect(thoughts).toHaveLength(2);
  for (const at of thoughts) {
    for (const spoil of [(seal: string) => seal.slice(0, -7), (seal: string) => `${seal.slice(0, 12)}!!!`]) {
      const item = { ...input[at]!, encrypted_content: spoil(textOf(input[at]!["encrypted_content"])) };
      expect(await shapes(input.with(at, item))).toEqual(none);
    }
  }
});

const refusal = {
  type: "error",
  error: { type: "invalid_request_error", message: "messages.1.content.0: Invalid `signature` in `thinking` block" },
  request_id: "req_upstream",
};

rule(
  272,
  "A refused signature reaches clients of the dialect word for word, since some mend it; for other clients it is mended here",
  async () => {
    const thinking = { type: "thinking", thinking: "Hm.", signature: "c3RhbGU=" };
    const messages = [user("go"), { role: "assistant", content: [thinking, { type: "text", text: "ho" }] }, user("on")];
    const body = { model: "claude-sonnet-4-5", max_tokens: 64, messages };
    house.cloud.script.push({ refuse: { status: 400, body: refusal } });
    const told = await ask(house, "messages", body);
    expect([told.status, told.text, told.requests.length]).toEqual([400, JSON.stringify(refusal), 1]);
    const mended = { ...body, messages: [messages[0]!, { role: "assistant", content: "ho" }, messages[2]!] };
    expect((await ask(house, "messages", mended)).status).toBe(200);

    const input = await thoughtful();
    const details = [{ type: "reasoning.text", text: "Hm.", signature: "c3RhbGU=" }];
    const chat = [user("go"), { role: "assistant", content: "ho", reasoning_details: details }, user("on")];
    for (const stream of [false, true]) {
      for (const message of [refusal.error.message, "The block is bound to a different conversation"]) {
        house.cloud.script.push({
          refuse: { status: 400, body: { ...refusal, error: { ...refusal.error, message } } },
        });
        const responses = await ask(house, "responses", { model: "claude-sonnet-4-5", input, tools, stream });
        expect([responses.status, responses.requests.length]).toEqual([200, 2]);
        expect(responses.requests[0]!.text).toContain('"signature"');
        expect(responses.requests[1]!.text).not.toContain('"signature"');
      }
      house.cloud.script.push({ refuse: { status: 400, body: refusal } });
      const asked = await ask(house, "chat", { model: "claude-sonnet-4-5", messages: chat, stream });
      expect([asked.status, asked.requests.length]).toEqual([200, 2]);
      expect(objectsOf(asked.sent["messages"]).map(typesOf)).toEqual([["text"], ["text"], ["text"]]);
    }
    // Once, and only where it is about thinking.
    for (const [message, times] of [
      [refusal.error.message, 2],
      ["max_tokens: too large", 1],
    ] as const) {
      const error = { ...refusal, error: { ...refusal.error, message } };
      house.cloud.script.push(...Array.from({ length: times }, () => ({ refuse: { status: 400, body: error } })));
      const asked = await ask(house, "chat", { model: "claude-sonnet-4-5", messages: chat });
      expect([asked.status, asked.requests.length]).toEqual([400, times]);
      expect(objectOf(parseObject(asked.text)["error"])).toMatchObject({ type: "invalid_request_error" });
    }
  },
);

rule(273, "Sealed thinking is passed to its vendor and to nobody else", async () => {
  const data = "b3BhcXVlLXNlYWxlZC10aG91Z2h0";
  const sealed = { type: "redacted_thinking", data };
  const messages = [user("go"), { role: "assistant", content: [sealed, { type: "text", text: "ho" }] }, user("on")];
  const own = await ask(house, "messages", { model: "claude-sonnet-4-5", max_tokens: 64, messages });
  expect(own.requests[0]!.text).toContain(data);
  const foreign = await ask(house, "messages", { model: "gpt-4o-mini", max_tokens: 64, messages });
  expect([foreign.status, foreign.requests[0]!.text.includes(data)]).toEqual([200, false]);
  house.cloud.script.push({ refuse: { status: 500 } });
  const local = await ask(house, "messages", { model: "claude-haiku-4-5", max_tokens: 64, messages });
  expect([local.status, house.local.generations.at(-1)!.text.includes(data)]).toEqual([200, false]);

  // A Responses client holds it in a seal: that one is opened for its maker alone, and no other vendor gets it shut.
  const content = [sealed, { type: "text", text: "ho" }];
  const usage = { input_tokens: 5, output_tokens: 5 };
  const message = { id: "msg_1", type: "message", role: "assistant", model: "m", content, usage, stop_sequence: null };
  house.cloud.script.push({ rawBody: JSON.stringify({ ...message, stop_reason: "end_turn" }) });
  const first = await ask(house, "responses", { model: "claude-sonnet-4-5", input: "go" });
  const output = objectsOf(parseObject(first.text)["output"]);
  const seal = textOf(output[0]!["encrypted_content"]);
  expect(seal).not.toBe("");
  const input = [user("go"), ...output, user("on")];
  const back = await ask(house, "responses", { model: "claude-sonnet-4-5", input });
  expect(objectsOf(back.sent["messages"])[1]!["content"]).toEqual(content);
  for (const model of ["gpt-4o-mini", "openrouter/some/model", "coder-14b"]) {
    const before = house.local.generations.length;
    const asked = await ask(house, "responses", { model, input });
    const requests = [...asked.requests, ...house.local.generations.slice(before)];
    expect([asked.status, requests.length]).toEqual([200, 1]);
    expect(requests[0]!.text).not.toContain(data);
    expect(requests[0]!.text).not.toContain(seal);
  }
});
