// Promise: a provider that gives the key back, anywhere and in any form, does not get it past the gateway.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Canary, expectNoCanary, keyCommand } from "../canary.ts";
import { Gate } from "../fakes/gate.ts";
import { dialects, post, startHouse, type House, type TestDialect } from "../fakes/house.ts";
import type { FakeAnswer, Step } from "../fakes/script.ts";
import { codecs } from "../../src/wire/codecs.ts";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { AnswerCollector } from "../../src/wire/answer-collector.ts";
import { referenceEvents } from "../fuzz/sse.ts";
import { StreamReading } from "../wire/stream-reading.ts";

setDefaultTimeout(60_000);

const anthropic = new Canary("anthropic", "sk-ant-api03-");
const openai = new Canary("openai", "sk-proj-");
const second = new Canary("second", "sk-ant-api03-");
const canaries = [anthropic, openai, second];

/** What the client asks for, and whose key can come back. */
const models = [
  ["claude-sonnet-4-5", anthropic],
  ["gpt-4o-mini", openai],
] as const;

const tools = {
  messages: [{ name: "save", input_schema: { type: "object" } }],
  chat: [{ type: "function", function: { name: "save", parameters: { type: "object" } } }],
  responses: [{ type: "function", name: "save", parameters: { type: "object", properties: {} } }],
} as const;

const price = { input: 1, output: 1 };
let folder: string;
let house: House;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "sanctum-echoes-"));
  house = await startHouse({
    config: ({ cloud }) => {
      const messages = {
        url: cloud,
        dialects: ["messages"],
        key: keyCommand(folder, anthropic),
        retry: { attempts: 1 },
      };
      const others = {
        url: `${cloud}/v1`,
        dialects: ["responses", "chat"],
        key: keyCommand(folder, openai),
        retry: { attempts: 1 },
      };
      const spares = Array.from({ length: 40 }, (_, at) => [`spare-messages-${at}`, `spare-others-${at}`]).flat();
      return {
        providers: {
          anthropic: messages,
          openai: others,
          two: { ...messages, key: keyCommand(folder, second, anthropic) },
          ...Object.fromEntries(spares.map((name) => [name, name.includes("messages") ? messages : others])),
        },
        models: Object.fromEntries(["two", ...spares].map((name) => [name, { provider: name, model: name, price }])),
        fallback: [],
      };
    },
  });
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

let spent = 0;
/** A model with a provider of its own, for a failure that would shut its provider off for the next case. */
function spare(canary: Canary): string {
  return `spare-${canary === anthropic ? "messages" : "others"}-${spent++ >> 1}`;
}

/** What a program makes of the answer: every text, and every call's arguments. */
function understood(dialect: TestDialect, stream: boolean, body: string): string {
  if (!stream) return JSON.stringify(codecs[dialect].answerToNeutral(JSON.parse(body) as JsonObject));
  const reader = codecs[dialect].createReader();
  const collector = new AnswerCollector();
  for (const { event, data } of referenceEvents(body)) {
    for (const one of reader.read({ event: event === "" ? undefined : event, data, raw: "" })) collector.add(one);
  }
  return JSON.stringify(collector.answer());
}

async function answered(
  dialect: TestDialect,
  model: string,
  step: Step,
  stream: boolean,
): Promise<{ text: string; response: Response }> {
  house.cloud.script.length = 0;
  house.cloud.respond = step;
  const response = await post(house.gateway, dialect, { model, extra: { stream, tools: tools[dialect] } });
  const text = await response.text();
  const where = `the answer to ${dialect}, ${model}, ${stream ? "streamed" : "whole"}`;
  expectNoCanary(where, canaries, text);
  expectNoCanary(`a header of ${where}`, canaries, JSON.stringify([...response.headers]));
  return { text, response };
}

describe.each(dialects)("a client of %s", (dialect) => {
  describe.each(models)("that is answered by %s", (model, canary) => {
    test("does not get its key out of a whole answer", async () => {
      for (const [, form] of canary.forms) {
        const answer: FakeAnswer = {
          text: `It is ${form}, you see.`,
          toolCalls: [{ name: "save", input: { it: form, nested: JSON.stringify({ it: form }) } }],
        };
        const { text, response } = await answered(dialect, model, { answer }, false);
        expect(response.status).toBe(200);
        const told = understood(dialect, false, text);
        expectNoCanary("what a program makes of it", canaries, told);
        expect(told).toContain("[redacted], you see.");
      }
    });

    test("does not get its key out of a stream, however it is cut into events and into bytes", async () => {
      for (const [, form] of canary.forms) {
        for (const [at, pieceLength] of [1, 9, 50].entries()) {
          const answer: FakeAnswer = {
            text: `It is ${form}, you see.`,
            toolCalls: [{ name: "save", input: { it: form } }],
            pieceLength,
          };
          const { text } = await answered(
            dialect,
            model,
            { answer, ...(pieceLength === 1 ? {} : { split: { seed: at } }) },
            true,
          );
          const told = understood(dialect, true, text);
          expectNoCanary(`what a program makes of pieces of ${pieceLength}`, canaries, told);
          expect(told).toContain("[redacted], you see.");
          expect(text).toEndWith("\n\n");
        }
      }
    });
  });

  test("does not get its key out of an error, whatever its status and form, at any split", async () => {
    for (const [model, canary] of models) {
      const refusal = (form: string, whole: boolean): JsonObject | string => {
        const error = { type: "invalid_request_error", code: form, message: `bad key ${form}`, param: form };
        return whole ? { type: "error", error, request_id: form } : `not JSON ${form}`;
      };
      for (const [at, [, form]] of canary.forms.entries()) {
        for (const status of [400, 404, 413, 422]) {
          const step: Step = { refuse: { status, body: refusal(form, at % 2 === 0) }, split: { sizes: [1 + at * 3] } };
          const { response } = await answered(dialect, model, step, at % 3 === 0);
          // A translated one takes the dialect's own.
          expect([status, response.status]).toEqual([status, status === 422 ? response.status : status]);
        }
      }
      for (const status of [401, 403, 429, 500, 529]) {
        await answered(dialect, spare(canary), { refuse: { status, body: refusal(canary.value, true) } }, true);
      }
    }
  });

  test("does not get its key out of a field that nobody knows, a name, a comment or a header", async () => {
    for (const [model, canary] of models) {
      const key = canary.value;
      const names = ["x-echo", "request-id", "x-request-id", "retry-after", "set-cookie", "openai-version", "location"];
      const headers = Object.fromEntries(names.map((name) => [name, key]));
      for (const stream of [false, true]) {
        await answered(dialect, model, { headers, comments: key }, stream);
        await answered(dialect, model, { answer: { model: key, text: "Hm." } }, stream);
        await answered(dialect, model, { refuse: { status: 400, headers, body: key } }, stream);
        await answered(dialect, spare(canary), { refuse: { status: 429, headers, body: key } }, stream);
        const errorEvent = { afterEvents: 3, type: key, message: key };
        await answered(dialect, spare(canary), { errorEvent }, stream);
      }
    }
    const chunk = (text: string): string =>
      JSON.stringify({
        id: `gen-${openai.value}`,
        object: openai.value,
        model: openai.value,
        system_fingerprint: openai.value,
        choices: [{ index: 0, delta: { content: text, [openai.value]: 1 }, finish_reason: null }],
      });
    const rawBody = [
      `event: ${openai.value}\ndata: ${chunk("Hm.")}\n\n`,
      `: ${openai.value}\nid: ${openai.value}\ndata: ${chunk(".")}\n\n`,
      "data: [DONE]\n\n",
    ];
    if (dialect === "chat") await answered(dialect, "gpt-4o-mini", { rawBody }, true);
  });
});

test("a key that was refused does not come back in the answer to the provider's other key", async () => {
  house.cloud.respond = (request) =>
    request.header("x-api-key") === second.value
      ? { refuse: { status: 401, body: { error: { message: second.value } } } }
      : { answer: { text: `Not ${second.value}!`, pieceLength: 9 } };
  for (const stream of [true, false]) {
    const response = await post(house.gateway, "messages", { model: "two", extra: { stream } });
    expect(response.status).toBe(200);
    const text = await response.text();
    expectNoCanary("the answer", canaries, text);
    expectNoCanary("what a program makes of it", canaries, understood("messages", stream, text));
  }
});

test("nothing of all that is in the log, the trail, or a page of the operations plane", async () => {
  expectNoCanary("the log", canaries, house.gateway.output());
  expectNoCanary("the trail", canaries, house.gateway.auditText().join("\n"));
  expect(house.gateway.auditText().length).toBeGreaterThan(500);
  for (const path of ["/stats", "/metrics", "/readyz"]) {
    expectNoCanary(path, canaries, await (await fetch(house.gateway.url + path)).text());
  }
});

test("an event leaves when it comes, unless it ends in what may be the beginning of a key", async () => {
  const gate = new Gate();
  const words = ["Ask", "s a sk", " sk-", "risk, s", "k-an", "y. ", anthropic.value.slice(0, 20), "…", "the end"];
  const event = (type: string, data: object): string =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
  const message = { id: "msg_1", type: "message", role: "assistant", model: "claude-sonnet-4-5", content: [] };
  const rawBody = [
    event("message_start", { message: { ...message, usage: { input_tokens: 3, output_tokens: 1 } } }),
    event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
    ...words.map((text) => event("content_block_delta", { index: 0, delta: { type: "text_delta", text } })),
    event("content_block_stop", { index: 0 }),
    event("message_delta", { delta: { stop_reason: "end_turn" }, usage: { output_tokens: 9 } }),
    event("message_stop", {}),
  ];
  house.cloud.respond = { rawBody, gate };
  gate.release(3);
  const reading = new StreamReading(await post(house.gateway, "messages", { extra: { stream: true } }));
  let count = 3;
  await reading.until((events) => events.length === count);
  for (const word of words.slice(1)) {
    gate.release(1);
    count++;
    // What waits comes together with what follows it.
    if (word === "k-an" || word === words[6]) continue;
    await reading.until((events) => events.length === count);
  }
  gate.release(Infinity);
  expect(await reading.toEnd()).toBe(rawBody.join(""));
});
