import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../neutral.ts";
import { DEFAULT_TOOL_CALLS } from "./hosted-tools.ts";
import { patchAnswer, patchEvent, patchRequest } from "./passthrough.ts";
import { sealThinking } from "./reasoning-envelope.ts";
import { sseEvent } from "./stream-fixtures.ts";

const patched = (text: string, patch: { model?: string; maxOutputTokens?: number } = {}) => {
  return patchRequest(text, JSON.parse(text) as JsonObject, patch);
};

describe("a request on its way to a Responses upstream", () => {
  const text = '{ "model" : "alias",\n "input":"h\\u0069", "temperature":1.0, "unknown":{"model":"alias"} }';

  test("is the very same text where nothing has to change", () => {
    expect(patched(text, { model: "alias" })).toBe(text);
    expect(patched(text)).toBe(text);
  });

  test("changes model and limit and no other byte", () => {
    expect(patched(text, { model: "gpt-5.5" })).toBe(text.replace('"model" : "alias"', '"model" : "gpt-5.5"'));
    expect(JSON.parse(patched(text, { maxOutputTokens: 100 }))).toMatchObject({ max_output_tokens: 100, input: "hi" });
  });

  test("B9: a limit on paid calls is set where there is none", () => {
    const search = '{"model":"m","input":"x","tools":[{"type":"web_search"}]}';
    expect(JSON.parse(patched(search)).max_tool_calls).toBe(DEFAULT_TOOL_CALLS);
    const limited = '{"model":"m","input":"x","max_tool_calls":1,"tools":[{"type":"web_search"}]}';
    expect(patched(limited)).toBe(limited);
    const lifted = '{"model":"m","input":[{"type":"additional_tools","tools":[{"type":"file_search"}]}]}';
    expect(JSON.parse(patched(lifted)).max_tool_calls).toBe(DEFAULT_TOOL_CALLS);
    const client = '{"model":"m","input":"x","tools":[{"type":"tool_search"},{"type":"custom","name":"p"}]}';
    expect(patched(client)).toBe(client);
  });

  test("B10: a dearer tier becomes the default one, others stay", () => {
    const tier = (name: string) =>
      JSON.parse(patched(`{"model":"m","input":"x","service_tier":"${name}"}`)).service_tier;
    expect(tier("priority")).toBe("default");
    expect(tier("flex")).toBe("flex");
  });

  test("91: reasoning items with our own envelope are taken out, a vendor's stay", () => {
    const own = {
      type: "reasoning",
      id: "rs_a",
      encrypted_content: sealThinking({ type: "redacted_thinking", data: "D" }),
    };
    const unsigned = sealThinking({ type: "thinking", text: "t", signature: undefined });
    const local = { type: "reasoning", id: "rs_b", encrypted_content: unsigned };
    const theirs = { type: "reasoning", id: "rs_c", encrypted_content: "gAAAA" };
    const user = { role: "user", content: "x" };
    const input = [user, own, local, theirs];
    expect(JSON.parse(patched(JSON.stringify({ model: "m", input, top_p: 1 })))).toEqual({
      model: "m",
      input: [user, theirs],
      top_p: 1,
    });
  });

  test("a user who writes about envelopes changes nothing", () => {
    const talk = '{"model":"m","input":"what is sanctum1.abc?"}';
    expect(patched(talk)).toBe(talk);
  });
});

describe("98: an event on its way to the client", () => {
  const context = { model: "alias", includeUsage: false };

  test("names the model that was asked for, in every lifecycle event", () => {
    for (const type of ["response.created", "response.in_progress", "response.completed", "response.failed"]) {
      const event = sseEvent({
        type,
        sequence_number: 0,
        response: { id: "r", model: "gpt-5.5", output: [{ model: "x" }] },
      });
      expect(patchEvent(event, context)).toBe(event.raw.replace('"gpt-5.5"', '"alias"'));
    }
  });

  test("is byte for byte the same otherwise, also where a text speaks of a model", () => {
    const delta = sseEvent({ type: "response.output_text.delta", delta: '{"response":{"model":"gpt-5.5"}}' });
    expect(patchEvent(delta, context)).toBe(delta.raw);
    const comment = { event: undefined, data: "", raw: ": ping\n\n" };
    expect(patchEvent(comment, context)).toBe(": ping\n\n");
    const args = sseEvent({
      type: "response.output_item.done",
      item: { type: "tool_search_call", arguments: { model: "x" } },
    });
    expect(patchEvent(args, context)).toBe(args.raw);
  });
});

test("sources that a text names survive, streamed and in one piece", () => {
  const annotation = { type: "url_citation", url: "https://example.com/a", title: "A", start_index: 0, end_index: 3 };
  const place = { item_id: "msg_1", output_index: 0, content_index: 0, annotation_index: 0 };
  const added = sseEvent({ type: "response.output_text.annotation.added", ...place, annotation });
  const context = { model: "alias", includeUsage: true };
  expect(patchEvent(added, context)).toBe(added.raw);
  const content = [{ type: "output_text", text: "See A.", annotations: [annotation] }];
  const answer = { id: "r", model: "gpt-5.5", output: [{ type: "message", content }] };
  expect(JSON.parse(patchAnswer(JSON.stringify(answer), "alias"))).toEqual({ ...answer, model: "alias" });
});

test("98: a plain answer names the model that was asked for, and no other byte changes", () => {
  const text = '{"id":"r", "model": "gpt-5.5",\n"output":[{"model":"gpt-5.5"}]}';
  expect(patchAnswer(text, "alias")).toBe(text.replace('"gpt-5.5",', '"alias",'));
});
