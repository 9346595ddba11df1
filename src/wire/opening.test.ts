import { describe, expect, test } from "bun:test";
import { GatewayError } from "../errors.ts";
import { errorAnswer } from "./errors.ts";
import type { Dialect, JsonObject } from "./neutral.ts";
import { createOpening, type Opening } from "./opening.ts";
import { SseParser } from "./sse.ts";

const answer = { model: "asked", id: "01", createdAt: 7 };

function opening(dialect: Dialect): Opening {
  return createOpening(dialect, answer);
}

function dataOf(text: string): JsonObject[] {
  return [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data!) as JsonObject);
}

function joined(line: Opening, text: string): string {
  const parser = new SseParser();
  return parser.push(new TextEncoder().encode(text)).map(line.joined!).join("");
}

describe("a sign of life", () => {
  test("is a ping event, a comment, or the beginning of a response and that it is in progress", () => {
    expect(opening("messages").ping()).toBe('event: ping\ndata: {"type":"ping"}\n\n');
    expect(opening("chat").ping()).toBe(": ping\n\n");
    const line = opening("responses");
    const events = dataOf(line.ping() + line.ping());
    expect(events.map(({ type, sequence_number }) => [type, sequence_number])).toEqual([
      ["response.created", 0],
      ["response.in_progress", 1],
      ["response.in_progress", 2],
    ]);
    expect(events[2]!["response"]).toMatchObject({
      id: "resp_01",
      model: "asked",
      created_at: 7,
      status: "in_progress",
    });
  });
});

describe("a failure", () => {
  const budget = new GatewayError("BUDGET_EXHAUSTED");

  test("keeps the type, the code and the words that it would have had by itself", () => {
    const told = (dialect: Dialect): JsonObject =>
      dataOf(opening(dialect).fail(errorAnswer(dialect, budget, "req_1").body))[0]!;
    expect(told("messages")).toMatchObject({ type: "error", error: { type: "billing_error" }, request_id: "req_1" });
    expect(told("chat")).toMatchObject({ error: { code: "insufficient_quota", message: budget.publicMessage } });
    expect(told("responses")).toMatchObject({
      type: "response.failed",
      response: {
        id: "resp_01",
        status: "failed",
        error: { code: "insufficient_quota", message: budget.publicMessage },
      },
    });
  });

  test("keeps an upstream's own wording, by which agents shorten their conversation", () => {
    const body =
      '{\n "type": "error",\n "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"}\n}';
    const text = opening("messages").fail(body);
    expect(text).toMatch(/^event: error\ndata: [^\n]*prompt is too long: 9 tokens > 8 maximum[^\n]*\n\n$/);
  });

  test("tells Codex in the text how long to wait", () => {
    const limits = new GatewayError("LIMITS_EXHAUSTED", { retryAfterSeconds: 5 });
    const line = opening("responses");
    line.ping();
    const [failed] = dataOf(line.fail(errorAnswer("responses", limits, "req_1").body, 5));
    expect(failed).toMatchObject({ sequence_number: 2, response: { error: { code: "rate_limit_exceeded" } } });
    expect(JSON.stringify(failed)).toContain("Please try again in 5s.");
  });

  test("without a body that can be read is still one whole event", () => {
    for (const dialect of ["chat", "responses"] as const) {
      expect(dataOf(opening(dialect).fail("<html>"))).toHaveLength(1);
    }
  });
});

describe("a Responses answer that comes after all", () => {
  const event = (type: string, fields: object = {}): string =>
    `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: 40, ...fields })}\n\n`;
  const response = { id: "resp_upstream", model: "asked" };

  test("begins once, under the id that was told, and its numbers go on", () => {
    const line = opening("responses");
    line.ping();
    const text = joined(
      line,
      event("response.created", { response }) +
        event("response.in_progress", { response }) +
        event("response.output_text.delta", { delta: '"sequence_number": 9, {"response": {"id": "x"}}' }) +
        ": a comment\n\n" +
        event("response.in_progress", { response }) +
        event("response.completed", { response: { ...response, output: [{ id: "msg_1" }] } }),
    );
    const events = dataOf(text);
    expect(events.map(({ type, sequence_number }) => [type, sequence_number])).toEqual([
      ["response.output_text.delta", 2],
      ["response.in_progress", 3],
      ["response.completed", 4],
    ]);
    expect(events[0]!["delta"]).toBe('"sequence_number": 9, {"response": {"id": "x"}}');
    expect(events[2]!["response"]).toEqual({ id: "resp_01", model: "asked", output: [{ id: "msg_1" }] });
    expect(text).toContain(": a comment\n\n");
  });

  test("is the same where its events have no names", () => {
    const line = opening("responses");
    line.ping();
    const nameless = (type: string): string => `data: ${JSON.stringify({ type, sequence_number: 0, response })}\n\n`;
    const text = joined(
      line,
      nameless("response.created") + nameless("response.in_progress") + nameless("response.failed"),
    );
    expect(dataOf(text)).toMatchObject([{ type: "response.failed", sequence_number: 2, response: { id: "resp_01" } }]);
  });
});
