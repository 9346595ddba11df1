// What a Responses client gets where a stream fails, or is silent.

import { afterAll, beforeAll, expect } from "bun:test";
import OpenAI from "openai";
import { codecs } from "../../src/wire/codecs.ts";
import type { JsonObject, NeutralEvent } from "../../src/wire/neutral.ts";
import { Gate } from "../fakes/gate.ts";
import { readThenOpen, startHouse, type House } from "../fakes/house.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import type { Step } from "../fakes/script.ts";
import { rule } from "./rule.ts";
import { viewOf } from "./stream-text.ts";

const models = { messages: "claude-sonnet-4-5", chat: "coder-14b", responses: "gpt-4o-mini" } as const;
type Upstream = keyof typeof models;
const upstreams = ["messages", "chat", "responses"] as const;

let house: House;
beforeAll(async () => {
  // A failing model must not be kept shut for the next case.
  house = await startHouse({ config: { stream: { takeover: "off" }, fallback: [] } });
});
afterAll(async () => house[Symbol.asyncDispose]());

/** The events of a stream that is committed by its first text, and then fails as the step says. */
async function failing(upstream: Upstream, step: Step): Promise<JsonObject[]> {
  const gate = new Gate();
  gate.release(8);
  house.cloud.respond = { ...step, gate };
  house.local.respond = { ...step, gate };
  const response = await fetch(`${house.gateway.url}/v1/responses`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: models[upstream], input: "Hi", stream: true, store: false }),
  });
  expect(response.status).toBe(200);
  return [...viewOf("responses", await readThenOpen(response, gate)).data];
}

const text = "A text that is long enough to be cut in the middle of it, as it happens.";

rule(
  153,
  "a failure is a failed answer with a code and what was said, never a bare error and never a clean end",
  async () => {
    const failures: readonly Step[] = [
      { errorEvent: { afterEvents: 8, message: "It broke." } },
      { cut: { at: { event: 8 }, how: "destroy" } },
      { cut: { at: { event: 8 }, how: "end" } },
    ];
    for (const upstream of upstreams) {
      for (const failure of failures) {
        const events = await failing(upstream, { ...failure, answer: { text } });
        const types = events.map((event) => textOf(event["type"]));
        expect(types.filter((type) => /failed|error|completed|incomplete/.test(type))).toEqual(["response.failed"]);
        expect(types.at(-1)).toBe("response.failed");
        const response = objectOf(events.at(-1)!["response"]);
        expect(response).toMatchObject({
          id: objectOf(events[0]!["response"])!["id"],
          status: "failed",
          error: { code: "server_error", message: expect.any(String) },
        });
        expect(events.map((event) => event["sequence_number"])).toEqual(events.map((_, at) => at));
        if (upstream === "responses") continue;
        const said = objectsOf(objectsOf(response!["output"])[0]!["content"])
          .map((part) => textOf(part["text"]))
          .join("");
        expect(text).toStartWith(said);
        expect(said).not.toBe("");
      }
    }
  },
);

rule(154, "a rate limit in the middle keeps its code and the wait that its words name", async () => {
  const message = "Rate limit reached. Please try again in 1.5s. See https://status.example.com/limits.";
  const types = { messages: "rate_limit_error", chat: "rate_limit_exceeded", responses: "rate_limit_exceeded" };
  for (const upstream of upstreams) {
    const errorEvent = { afterEvents: 8, type: types[upstream], message };
    const events = await failing(upstream, { errorEvent, answer: { text } });
    const error = objectOf(objectOf(events.at(-1)!["response"])!["error"]);
    expect(error).toMatchObject({ code: "rate_limit_exceeded" });
    expect(textOf(error!["message"])).toContain("Please try again in 1.5s.");
    expect(textOf(error!["message"])).not.toContain("example.com");
  }
});

rule(
  158,
  "a keep-alive is one more `response.in_progress`, anywhere in the stream, and the vendor's SDK takes it",
  async () => {
    const request = codecs.responses.toNeutral({ model: "asked", input: "Hi" });
    const context = { model: "asked", id: "01", createdAt: 1_790_000_000, includeUsage: true, request };
    const events: readonly NeutralEvent[] = [
      { type: "start", id: "up", model: "up" },
      { type: "thinking", text: "Hm" },
      { type: "thinking", text: "." },
      { type: "text", text: "One " },
      { type: "text", text: "two." },
      { type: "tool_start", index: 0, id: "call_a", name: "ls", form: "function" },
      { type: "tool_delta", index: 0, json: '{"cmd":' },
      { type: "tool_delta", index: 0, json: '"ls"}' },
      { type: "tool_end", index: 0 },
      { type: "usage", usage: { input: 3, output: 4 } },
      { type: "stop", reason: "tool_calls", stopSequence: undefined },
    ];
    const writer = codecs.responses.createWriter(context);
    const lively = writer.ping() + events.map((event) => writer.write(event) + writer.ping()).join("");
    const body = lively + writer.write({ type: "end" }) + writer.ping();
    const seen = viewOf("responses", body).data;
    expect(seen.map((event) => event["sequence_number"])).toEqual(seen.map((_, at) => at));
    expect(seen.filter((event) => event["type"] === "response.created")).toHaveLength(1);
    expect(seen.filter((event) => event["type"] === "response.in_progress")).toHaveLength(events.length + 1);
    expect(seen.at(-1)?.["type"]).toBe("response.completed");
    expect(body).not.toMatch(/^:/m);

    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => new Response(body, { headers: { "content-type": "text/event-stream" } }),
    });
    const client = new OpenAI({ baseURL: `http://127.0.0.1:${server.port}/v1`, apiKey: "none", maxRetries: 0 });
    const response = await client.responses.stream({ model: "asked", input: "Hi" }).finalResponse();
    await server.stop(true);
    expect(response.output_text).toBe("One two.");
    expect(response.output).toMatchObject([
      { type: "reasoning" },
      { type: "message" },
      { name: "ls", arguments: '{"cmd":"ls"}' },
    ]);
  },
);
