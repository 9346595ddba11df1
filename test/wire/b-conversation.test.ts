// Requests from Chat clients to Messages servers: the conversation.

import { afterAll, beforeAll, expect } from "bun:test";
import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { startHouse, type House } from "../fakes/house.ts";
import { objectsOf, textOf } from "../fakes/json-access.ts";
import { ask, typesOf, valuesUnder } from "./asked.ts";
import { rule } from "./rule.ts";

let house: House;
beforeAll(async () => {
  house = await startHouse();
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
});

const text = (words: string): JsonObject => ({ type: "text", text: words });
const user = (content: Json): JsonObject => ({ role: "user", content });
const assistant = (content: Json): JsonObject => ({ role: "assistant", content });
const call = (id: string, args = "{}"): JsonObject => ({
  id,
  type: "function",
  function: { name: "look", arguments: args },
});
const calls = (...ids: string[]): JsonObject => ({
  role: "assistant",
  content: null,
  tool_calls: ids.map((id) => call(id)),
});
const result = (id: string, content: Json = `found by ${id}`): JsonObject => ({
  role: "tool",
  tool_call_id: id,
  content,
});
const tools = [{ type: "function", function: { name: "look", parameters: { type: "object", properties: {} } } }];
const reminder = (words: string): JsonObject => text(`<system-reminder>\n${words}\n</system-reminder>`);

const rolesOf = (turns: readonly JsonObject[]): string => turns.map((turn) => textOf(turn["role"])).join(" ");

/** The body and the turns that the vendor got; it answers 400 to anything that breaks its rules. */
async function sent(
  messages: Json[],
  model = "claude-sonnet-4-5",
  extra: object = {},
): Promise<{ body: JsonObject; turns: JsonObject[] }> {
  const asked = await ask(house, "chat", { model, max_tokens: 64, messages, tools, ...extra });
  expect([asked.status, asked.text]).toEqual([200, expect.any(String)]);
  return { body: asked.sent, turns: objectsOf(asked.sent["messages"]) };
}

rule(
  43,
  "Leading instructions become the system prompt; later ones keep their role right behind a user turn where the model takes it, and are user text elsewhere",
  async () => {
    const conversation = [
      { role: "system", content: "one" },
      { role: "developer", content: [text("two")] },
      user("hi"),
      assistant("ho"),
      { role: "system", content: "right behind the answer" },
      user("again"),
      calls("a"),
      { role: "developer", content: "between call and result" },
      result("a"),
      assistant("found"),
      { role: "system", content: "alone" },
    ];
    const later = ["right behind the answer", "between call and result", "alone"];
    for (const model of ["claude-opus-4-8", "claude-opus-5-5", "claude-fable-5-1", "claude-sonnet-5-5"]) {
      const { body, turns } = await sent(conversation, model);
      expect(body["system"]).toEqual([text("one"), text("two")]);
      expect(rolesOf(turns)).toBe("user assistant user system assistant user system assistant user");
      expect(turns[3]).toEqual({ role: "system", content: [text(later[0]!)] });
      expect(turns[6]).toEqual({ role: "system", content: [text(later[1]!)] });
      // With no user turn before it there is no legal place for it as such.
      expect(turns[8]).toEqual(user([reminder(later[2]!)]));
    }
    for (const model of ["claude-sonnet-4-5", "claude-opus-4-7", "claude-sonnet-5"]) {
      const { turns } = await sent(conversation, model);
      expect(rolesOf(turns)).toBe("user assistant user assistant user assistant user");
      for (const words of later) expect(valuesUnder("text", turns)).toContain(reminder(words)["text"]!);
    }
  },
);

rule(
  44,
  "The results of a turn's calls are one leading run in one user turn, whatever their order and whatever came between them",
  async () => {
    const { turns } = await sent([
      user("go"),
      calls("call_0", "call_1", "call_2"),
      result("call_2"),
      result("call_0"),
      { role: "developer", content: "be quick" },
      result("call_1", [text("a picture follows")]),
      user("and now?"),
      // Local servers start their ids again with each answer.
      calls("call_0", "call_1"),
      result("call_1"),
      result("call_0"),
    ]);
    expect(turns.map((turn) => turn["role"])).toEqual(["user", "assistant", "user", "assistant", "user"]);
    expect(typesOf(turns[2])).toEqual(["tool_result", "tool_result", "tool_result", "text", "text"]);
    expect(typesOf(turns[4])).toEqual(["tool_result", "tool_result"]);
    const ids = valuesUnder("id", turns);
    expect(new Set(ids).size).toBe(5);
    const answered = objectsOf(turns[4]!["content"]).map(({ tool_use_id, content }) => [tool_use_id, content]);
    expect(answered).toEqual([
      [ids[4], [text("found by call_1")]],
      [ids[3], [text("found by call_0")]],
    ] as Json[][]);
  },
);

rule(45, "What a user said between two tool results goes behind the results", async () => {
  const picture = { type: "image_url", image_url: { url: "https://example.com/a.png" } };
  const { turns } = await sent([
    user("go"),
    calls("a", "b"),
    result("b"),
    user([text("wait"), picture]),
    result("a"),
    user("go on"),
  ]);
  expect(turns).toHaveLength(3);
  expect(typesOf(turns[2])).toEqual(["tool_result", "tool_result", "text", "image", "text"]);
  expect(objectsOf(turns[2]!["content"])[2]).toEqual(text("wait"));
});

rule(46, "A call without a result gets a failed one, and a result without a call becomes text", async () => {
  const { turns } = await sent([
    user("go"),
    result("never-called", "an early find"),
    calls("a", "b"),
    result("b"),
    result("b", "said twice"),
    assistant("half of it"),
    result("a", "much too late"),
    calls("c"),
  ]);
  expect(turns.map((turn) => turn["role"])).toEqual([
    "user",
    "assistant",
    "user",
    "assistant",
    "user",
    "assistant",
    "user",
  ]);
  expect(valuesUnder("text", turns[0])).toEqual([
    "go",
    "[result of an earlier tool call never-called]",
    "an early find",
  ]);
  const [first, second] = objectsOf(turns[2]!["content"]);
  expect(first).toEqual({ type: "tool_result", tool_use_id: "b", content: [text("found by b")] });
  expect(second).toMatchObject({ type: "tool_result", tool_use_id: "a", is_error: true });
  expect(valuesUnder("text", turns[2])).toContain("said twice");
  expect(valuesUnder("text", turns[4])).toContain("much too late");
  expect(turns[6]).toMatchObject(user([{ type: "tool_result", tool_use_id: "c", is_error: true }]));
});

rule(47, "The arguments of a call become an object, whatever text a model has written", async () => {
  const inputs: readonly [string, JsonObject][] = [
    ['{"a":1,"b":{"c":[]}}', { a: 1, b: { c: [] } }],
    ["", {}],
    ["  \n", {}],
    ['"{\\"a\\":1}"', { a: 1 }],
    ['{"a":', { arguments: '{"a":' }],
    ["[1,2]", { arguments: "[1,2]" }],
    ["null", {}],
    ["7", { arguments: "7" }],
    ["look(a)", { arguments: "look(a)" }],
  ];
  for (const [args, input] of inputs) {
    const { turns } = await sent([user("go"), { role: "assistant", tool_calls: [call("a", args)] }, result("a")]);
    expect(turns[1]!["content"]).toEqual([{ type: "tool_use", id: "a", name: "look", input }]);
  }
});

rule(48, "Empty content beside calls yields no text block", async () => {
  for (const content of ["", null, [], [text("")], " \n", [text(" ")]] as Json[]) {
    const { turns } = await sent([user("go"), { ...calls("a"), content }, result("a", content)]);
    expect(typesOf(turns[1])).toEqual(["tool_use"]);
    expect(turns[2]!["content"]).toEqual([{ type: "tool_result", tool_use_id: "a" }]);
  }
});

rule(49, "A conversation that ends with the assistant gets a user turn, but for models that carry it on", async () => {
  const begun = [user("Tell a tale."), assistant("Once upon a time \n")];
  for (const model of ["claude-opus-4-6", "claude-sonnet-5", "claude-haiku-5-5", "claude-mythos-5-1"]) {
    const { turns } = await sent(begun, model);
    expect(turns.map((turn) => turn["role"])).toEqual(["user", "assistant", "user"]);
    expect(turns[1]).toEqual(assistant([text("Once upon a time \n")]));
  }
  for (const model of ["claude-sonnet-4-5", "claude-3-5-haiku-20241022"]) {
    const { turns } = await sent(begun, model);
    expect(turns.at(-1)).toEqual(assistant([text("Once upon a time")]));
  }
  // With thinking, and with a schema for the answer, these don't carry on either.
  const schema = { type: "object", properties: {} };
  const format = { response_format: { type: "json_schema", json_schema: { name: "n", schema } } };
  for (const extra of [{ reasoning_effort: "high", max_tokens: 9_000 }, format]) {
    const { turns } = await sent(begun, "claude-sonnet-4-5", extra);
    expect(turns.at(-1)).toMatchObject({ role: "user" });
  }
});

rule(50, "An image in a data URL is sent with the type that its bytes have, one by address as an address", async () => {
  const pictures: readonly [string, string][] = [
    ["iVBORw0KGgoAAAANSUhEUgAA", "image/png"],
    ["/9j/4AAQSkZJRgABAQAAAQAB", "image/jpeg"],
    ["R0lGODlhAQABAIAAAAAAAP//", "image/gif"],
    ["UklGRiIAAABXRUJQVlA4IBYA", "image/webp"],
  ];
  for (const [data, mediaType] of pictures) {
    for (const said of ["image/jpeg", "IMAGE/PNG;name=x", "application/octet-stream", ""]) {
      const part = { type: "image_url", image_url: { url: `data:${said};base64,${data}`, detail: "high" } };
      const { turns } = await sent([user([part])]);
      const source = { type: "base64", media_type: mediaType, data };
      expect(turns).toEqual([user([{ type: "image", source }])]);
    }
  }
  const url = "https://example.com/a.png?size=1";
  const { turns } = await sent([user([{ type: "image_url", image_url: { url, detail: "low" } }])]);
  expect(turns).toEqual([user([{ type: "image", source: { type: "url", url } }])]);
});

rule(51, "A PDF becomes a document; sound is refused in Chat's own words before anybody is asked", async () => {
  const data = "JVBERi0xLjQKJcfsj6IKNSAw";
  for (const file_data of [`data:application/pdf;base64,${data}`, data, `data:application/x-thing;base64,${data}`]) {
    const { turns } = await sent([
      user([{ type: "file", file: { filename: "plan.pdf", file_data } }, text("Read it.")]),
    ]);
    const source = { type: "base64", media_type: "application/pdf", data };
    expect(turns).toEqual([user([{ type: "document", source, title: "plan.pdf" }, text("Read it.")])]);
  }
  const before = house.local.generations.length;
  const sound = user([{ type: "input_audio", input_audio: { data: "AAAA", format: "wav" } }]);
  const asked = await ask(house, "chat", { model: "claude-sonnet-4-5", messages: [sound] });
  expect(asked.status).toBe(400);
  expect(JSON.parse(asked.text)).toMatchObject({
    error: { type: "invalid_request_error", message: expect.stringContaining("messages.0.content.0.type") as string },
  });
  expect(asked.requests).toEqual([]);
  expect(house.local.generations).toHaveLength(before);
});

rule(52, "No document gets into an assistant turn and no citation into a text block", async () => {
  const cited = {
    ...text("It is so."),
    citations: [{ type: "char_location" }],
    annotations: [{ type: "url_citation" }],
  };
  const source = { type: "base64", media_type: "application/pdf", data: "JVBERi0x" };
  const document = { type: "document", source, title: "t", citations: { enabled: true } };
  const image = { type: "image_url", image_url: { url: "https://example.com/a.png" } };
  const { turns } = await sent([
    user([cited, document]),
    { ...assistant([cited, document, image]), annotations: [{ type: "url_citation" }] },
    user([cited]),
  ]);
  expect(turns.map(typesOf)).toEqual([["text", "document"], ["text"], ["text"]]);
  expect(JSON.stringify(turns)).not.toMatch(/citation|annotation/);
});
