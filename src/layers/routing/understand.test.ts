import { describe, expect, test } from "bun:test";
import { GatewayError } from "../../errors.ts";
import type { Identified, Operation, Understood } from "../../request.ts";
import { codecs } from "../../wire/codecs.ts";
import type { Dialect } from "../../wire/neutral.ts";
import { answerOf, understoodOf } from "./sample-request.ts";
import { understand } from "./understand.ts";

interface Sent {
  readonly body: string | Uint8Array;
  readonly dialect?: Dialect;
  readonly operation?: Operation;
  readonly headers?: Record<string, string>;
}

async function understood({ body, dialect = "chat", operation = "generate", headers = {} }: Sent): Promise<Understood> {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const request: Identified = {
    ...understoodOf({ dialect, operation }),
    headers: new Headers({ "content-type": "application/json", ...headers }),
    readBody: async () => bytes,
  };
  let seen: Understood | null = null;
  await understand(codecs)(async (next) => {
    seen = next;
    return answerOf("");
  })(request);
  return seen!;
}

async function codeOf(sent: Sent): Promise<string> {
  try {
    await understood(sent);
  } catch (error) {
    if (error instanceof GatewayError) return error.code;
    throw error;
  }
  return "none";
}

const chat = JSON.stringify({ model: "gpt-4o", stream: true, messages: [{ role: "user", content: "Hi" }] });

describe("a request that can be read in one way only", () => {
  test("gets its facts, its body and its own text, and the record knows model, stream and size", async () => {
    const request = await understood({ body: chat });
    expect(request.facts).toMatchObject({ model: "gpt-4o", stream: true });
    expect(request.text).toBe(chat);
    expect(request.body["model"]).toBe("gpt-4o");
    expect(request.record).toMatchObject({ requestedModel: "gpt-4o", stream: true, bytesIn: chat.length });
  });

  test("is read by the rules of its own dialect", async () => {
    const body = JSON.stringify({
      model: "claude-sonnet-4-5",
      max_tokens: 7,
      messages: [{ role: "user", content: "Hi" }],
    });
    expect((await understood({ body, dialect: "messages" })).facts.maxOutputTokens).toBe(7);
    const response = JSON.stringify({ model: "gpt-4o", input: "Hi", max_output_tokens: 9 });
    expect((await understood({ body: response, dialect: "responses" })).facts.maxOutputTokens).toBe(9);
  });

  test("may name its type with the one charset that JSON has", async () => {
    for (const type of [
      "application/json",
      "Application/JSON",
      "application/json; charset=utf-8",
      'application/json;charset="UTF-8"',
    ]) {
      expect([type, await codeOf({ body: chat, headers: { "content-type": type } })]).toEqual([type, "none"]);
    }
    expect(await codeOf({ body: chat, headers: { "content-encoding": "identity" } })).toBe("none");
  });
});

describe("refused before a byte of the body is read is", () => {
  test("any other type: a web page can send those without asking", async () => {
    const types = [
      "text/plain",
      "",
      "application/x-www-form-urlencoded",
      "multipart/form-data",
      "application/json, text/plain",
      "application/json; charset=utf-16",
      "application/jsonx",
      "text/json",
      "application/json;;",
    ];
    for (const type of types) {
      expect([type, await codeOf({ body: chat, headers: { "content-type": type } })]).toEqual([
        type,
        "DOOR_CONTENT_TYPE",
      ]);
    }
  });

  test("and its body stays unread", async () => {
    let read = false;
    const request: Identified = {
      ...understoodOf(),
      headers: new Headers({ "content-type": "text/plain" }),
      readBody: async () => {
        read = true;
        return new Uint8Array();
      },
    };
    await expect(understand(codecs)(async () => answerOf(""))(request)).rejects.toThrow(GatewayError);
    expect(read).toBe(false);
  });
});

test("what two parsers could read in two ways is refused", async () => {
  const bodies = [
    '{"model":"a","model":"b","messages":[]}',
    "",
    "[]",
    "null",
    '"x"',
    `${chat}x`,
    chat.slice(0, -1),
    '{"model":"gpt-4o","messages":[],"n":1e999}',
    new Uint8Array([0x7b, 0xff, 0x7d]),
  ];
  for (const body of bodies) expect([body, await codeOf({ body })]).toEqual([body, "REQUEST_JSON"]);
});

test("what is JSON but no request is refused with the field's name", async () => {
  for (const operation of ["generate", "count_tokens", "embeddings"] as const) {
    for (const model of [undefined, "", 7, "x".repeat(300)]) {
      const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }], input: "Hi" });
      expect([operation, model, await codeOf({ body, operation })]).toEqual([operation, model, "REQUEST_INVALID"]);
    }
  }
  expect(await codeOf({ body: '{"model":"m"}', operation: "embeddings" })).toBe("REQUEST_INVALID");
});

test("counting and embedding generate nothing, and their prompt is bounded by the body's bytes", async () => {
  for (const [operation, dialect] of [
    ["count_tokens", "messages"],
    ["embeddings", "chat"],
  ] as const) {
    const body = JSON.stringify({ model: "m", input: "Hi", messages: [], stream: true });
    const { facts, record } = await understood({ body, operation, dialect });
    expect(facts).toMatchObject({ model: "m", stream: false, maxOutputTokens: 0, inputTokenBound: body.length });
    expect(record).toMatchObject({ requestedModel: "m", stream: false });
  }
});
