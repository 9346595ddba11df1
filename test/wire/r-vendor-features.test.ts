// What only one vendor understands: it reaches that vendor whole, and nobody else.

import { afterEach, beforeAll, afterAll, expect, test } from "bun:test";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { dialects, post, startHouse, type House } from "../fakes/house.ts";
import type { Step } from "../fakes/script.ts";
import { rule } from "./rule.ts";

let house: House;
beforeAll(async () => {
  // A refusing cloud must not be left alone afterwards: the next test asks it again.
  house = await startHouse({
    // It takes blocks that no list of ours knows, as the vendor does.
    cloud: { lenient: true },
    config: { routes: [{ name: "small-stays-home", when: { model: "claude-haiku*" }, use: ["coder-14b"] }] },
  });
});
afterAll(async () => house[Symbol.asyncDispose]());
afterEach(() => {
  house.cloud.script.length = 0;
  house.cloud.respond = {};
});

/** 500 once: unlike a 429 it does not keep the provider shut. */
const failing: Step = { refuse: { status: 500 } };

function cloudBody(): JsonObject {
  return house.cloud.generations.at(-1)!.json();
}

function localBody(): JsonObject {
  return house.local.generations.at(-1)!.json();
}

const safeguards = [
  { type: "dangerous_tool_use", classifier_context: { home_dir: "(the home of someone)", git_state: "dirty" } },
];
const beta = "claude-code-20250219,dangerous-tool-use-2026-09-03";

rule(
  274,
  "safeguards go to Anthropic with their beta flag, and both stay behind where another model answers",
  async () => {
    const extra = { safeguards, messages: [{ role: "user", content: "Hi" }] };
    const headers = { "anthropic-beta": beta, "anthropic-version": "2023-06-01" };
    expect((await post(house.gateway, "messages", { extra, headers })).status).toBe(200);
    expect(cloudBody()["safeguards"]).toEqual(safeguards);
    expect(house.cloud.generations.at(-1)!.header("anthropic-beta")).toBe(beta);

    house.cloud.script.push(failing);
    const answer = await post(house.gateway, "messages", { extra, headers });
    expect(answer.status).toBe(200);
    const asked = house.local.generations.at(-1)!;
    expect(asked.text).not.toContain("someone");
    expect(asked.text).not.toContain("safeguards");
    expect(asked.headers.filter(([name]) => name.toLowerCase().startsWith("anthropic-"))).toEqual([]);
    expect(await answer.text()).not.toContain("safeguard_results");
  },
);

rule(275, "small side calls go the way of their model, or to a small model where a route says so", async () => {
  const side = { max_tokens: 32, messages: [{ role: "user", content: "A title for this talk, in five words." }] };
  const before = house.cloud.generations.length;
  expect((await post(house.gateway, "messages", { extra: side })).status).toBe(200);
  expect(house.cloud.generations).toHaveLength(before + 1);
  const routed = await post(house.gateway, "messages", { extra: side, model: "claude-haiku-4-5" });
  expect(routed.status).toBe(200);
  expect(((await routed.json()) as JsonObject)["model"]).toBe("claude-haiku-4-5");
  expect(house.cloud.generations).toHaveLength(before + 1);
  expect(localBody()["max_tokens"]).toBe(32);
});

test("no translated request has Anthropic run a tool, so that none of its turns can be paused there", async () => {
  const own = { type: "function", name: "ls", parameters: { type: "object", properties: {} } };
  const hosted = ["web_search", "web_search_preview", "file_search", "code_interpreter", "computer", "apply_patch"];
  const model = "claude-sonnet-4-5";
  for (const type of hosted) {
    const before = house.cloud.generations.length;
    const extra = { tools: [{ type }, own] };
    expect([type, (await post(house.gateway, "responses", { model, extra })).status]).toEqual([type, 200]);
    expect(house.cloud.generations).toHaveLength(before + 1);
    expect(cloudBody()["tools"]).toEqual([expect.objectContaining({ name: "ls" })]);
  }
  for (const type of ["web_search_20250305", "web_fetch_20250910", "code_execution_20250825", "mcp_toolset"]) {
    const answer = await post(house.gateway, "chat", { model, extra: { tools: [{ type, name: "x" }] } });
    expect([type, answer.status]).toEqual([type, 400]);
  }
});

rule(277, "a refusal is the vendor's answer: it is handed on as one, and no other model is asked instead", async () => {
  const refusal: Step = { answer: { text: "", stop: "filtered" } };
  const marks = {
    messages: /"stop_reason":\s*"refusal"/,
    chat: /"finish_reason":\s*"content_filter"/,
    responses: /content_filter/,
  };
  for (const dialect of dialects) {
    for (const stream of [false, true]) {
      const before = house.local.generations.length;
      house.cloud.script.push(refusal);
      const answer = await post(house.gateway, dialect, { extra: { stream } });
      expect([dialect, stream, answer.status]).toEqual([dialect, stream, 200]);
      expect(await answer.text()).toMatch(marks[dialect]);
      expect(house.local.generations).toHaveLength(before);
    }
  }
});

rule(
  278,
  "the vendor's own fallback models are paid for before they run, each at its price, and none of ours joins in",
  async () => {
    const extra = { max_tokens: 1_000, fallbacks: [{ model: "claude-opus-4-1" }] };
    const block = { type: "fallback", from: { model: "claude-sonnet-4-5" }, to: { model: "claude-opus-4-1" } };
    const content = [block, { type: "text", text: "Here." }];
    const tokens = { input_tokens: 1_000, output_tokens: 100 };
    const usage = { ...tokens, iterations: [{ type: "fallback_message", model: "claude-opus-4-1", ...tokens }] };
    const rawBody = JSON.stringify({
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: "claude-sonnet-4-5",
      content,
      stop_reason: "end_turn",
      stop_sequence: null,
      usage,
    });
    house.cloud.script.push({ rawBody });
    const answer = await post(house.gateway, "messages", { extra });
    expect(((await answer.json()) as JsonObject)["content"]).toEqual(content);
    expect(cloudBody()["fallbacks"]).toEqual(extra.fallbacks);
    const id = answer.headers.get("x-sanctum-request-id");
    const line = await house.gateway.auditLine((one) => one.id === id);
    // $15 and $75 a million: the other model's price, and no more than was put aside.
    expect(line.usd).toBe((1_000 * 15 + 100 * 75) / 1e6);
    expect(line["held_usd"]).toBeGreaterThan((2 * 1_000 * 75) / 1e6);

    const before = house.local.generations.length;
    house.cloud.script.push({ answer: { text: "", stop: "filtered" } });
    const refused = (await (await post(house.gateway, "messages", { extra })).json()) as JsonObject;
    expect(refused["stop_reason"]).toBe("refusal");
    expect(house.local.generations).toHaveLength(before);
  },
);

rule(
  279,
  "blocks that only the vendor can read pass untouched, and a talk that rests on them never goes to another model",
  async () => {
    const summary = { type: "compaction", content: "what was said so far, sealed" };
    const messages = [
      { role: "user", content: "Hi" },
      { role: "assistant", content: [summary, { type: "advisor_note", data: { opaque: [1, 2.5] } }] },
      { role: "user", content: "Go on." },
    ];
    expect((await post(house.gateway, "messages", { extra: { messages } })).status).toBe(200);
    expect(cloudBody()["messages"]).toEqual(messages);

    const blocks = [
      { type: "compaction", content: "sealed" },
      { type: "text", text: "Here I am." },
    ];
    const content = JSON.stringify(blocks);
    const usage = '"usage":{"input_tokens":9,"output_tokens":9}';
    house.cloud.script.push({
      rawBody: `{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":${content},"stop_reason":"compaction","stop_sequence":null,${usage}}`,
    });
    const answer = (await (await post(house.gateway, "messages", { extra: { messages } })).json()) as JsonObject;
    expect(answer["content"]).toEqual(blocks);
    expect(answer["stop_reason"]).toBe("compaction");

    const before = house.local.generations.length;
    house.cloud.script.push(failing);
    expect((await post(house.gateway, "messages", { extra: { messages } })).status).toBe(503);
    expect(house.local.generations).toHaveLength(before);
  },
);

rule(
  280,
  "a service tier that the vendor refuses is not dropped in silence: a 400 is told, a 429 goes to the next model",
  async () => {
    const extra = { service_tier: "flex" };
    const complaint = {
      error: {
        message: "Invalid service_tier argument",
        type: "invalid_request_error",
        param: "service_tier",
        code: null,
      },
    };
    house.cloud.script.push({ refuse: { status: 400, body: complaint } });
    const told = await post(house.gateway, "chat", { extra });
    expect(told.status).toBe(400);
    expect(await told.json()).toEqual(complaint);

    const before = house.cloud.generations.length;
    house.cloud.script.push({
      refuse: { status: 429, body: { error: { message: "Resource unavailable", type: "rate_limit_error" } } },
    });
    const served = await post(house.gateway, "chat", { extra });
    expect(served.status).toBe(200);
    expect(house.cloud.generations).toHaveLength(before + 1);
    expect(cloudBody()["service_tier"]).toBe("flex");
    expect(localBody()).not.toHaveProperty("service_tier");
  },
);

rule(285, "nothing is added to a prompt: what a model reads is what the client wrote, whoever answers", async () => {
  const system = "Be brief.";
  const talk = [
    { role: "user", content: "One?" },
    { role: "assistant", content: "One." },
    { role: "user", content: "Two?" },
  ];
  const texts = [system, "One?", "One.", "Two?"];
  const bodies = {
    messages: { system, messages: talk },
    chat: { messages: [{ role: "system", content: system }, ...talk] },
    responses: { instructions: system, input: talk },
  };
  for (const dialect of dialects) {
    const answer = await post(house.gateway, dialect, { extra: bodies[dialect], model: "coder-14b" });
    expect(answer.status).toBe(200);
    const asked = localBody()["messages"] as JsonObject[];
    expect([dialect, ...asked.map((message) => message["content"])]).toEqual([dialect, ...texts]);
  }
});
