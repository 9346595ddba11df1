// How streams end and fail: what counts as an answer, what as a death, and what is no matter at all.

import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { dialects, loneModels, post, readThenOpen, startHouse, type House, type TestDialect } from "../fakes/house.ts";
import { neverContinuing } from "../fakes/continuing-model.ts";
import { Gate } from "../fakes/gate.ts";
import { renderChat } from "../fakes/chat-wire.ts";
import { renderMessages } from "../fakes/messages-wire.ts";
import { renderResponses } from "../fakes/responses-wire.ts";
import type { Step } from "../fakes/script.ts";
import { attemptsOf } from "../harness.ts";
import { rule } from "./rule.ts";
import { viewOf, type StreamView } from "./stream-text.ts";

setDefaultTimeout(30_000);

const text = "Half and whole.";
const golden: Readonly<Record<TestDialect, readonly string[]>> = {
  messages: renderMessages({ text }, "m", 0).events,
  chat: renderChat({ text }, "m", 0, true).events,
  responses: renderResponses({ text }, "m", 0).events,
};

/** Each attempt that fails has a provider of its own: a breaker that opens in one case is not seen by the others. */
const providersPerDialect = 110;
let house: House;
const used = { messages: 0, chat: 0, responses: 0 };
beforeAll(async () => {
  house = await startHouse({
    local: { respond: neverContinuing("From the house.") },
    config: ({ cloud }) => {
      const names = dialects.flatMap((dialect) =>
        Array.from({ length: providersPerDialect }, (_, number) => ({ name: `${dialect}-${number}`, dialect })),
      );
      return { ...loneModels(names.map((model) => ({ ...model, origin: cloud }))) };
    },
  });
});
afterAll(async () => house[Symbol.asyncDispose]());

interface Played extends StreamView {
  readonly model: string;
  readonly sse: string;
}

/**
 * What the client of one dialect sees while the upstream of another does `step`. With `opened` the upstream goes on after
 * that many events only when the client has its first byte, so that what comes next comes after commit.
 */
async function played(client: TestDialect, upstream: TestDialect, step: Step, opened?: number): Promise<Played> {
  const model = `${upstream}-${used[upstream]++}`;
  const gate = new Gate();
  gate.release(opened ?? Infinity);
  house.cloud.script.push({ ...step, gate });
  const response = await post(house.gateway, client, { model, extra: { stream: true } });
  expect(response.status).toBe(200);
  const sse = await readThenOpen(response, gate);
  return { ...viewOf(client, sse), model, sse };
}

/** Behind some content, before the reason to stop: what fails behind that takes nothing of the answer. */
const midway: Readonly<Record<TestDialect, number>> = { messages: 5, chat: 3, responses: 5 };

/** The outcomes of the attempts at the request for `model` that came last. */
async function outcomesOf(model: string): Promise<string[]> {
  const line = await house.gateway.auditLine((one) => one.requested_model === model);
  return attemptsOf(line).map((attempt) => attempt.slice(attempt.lastIndexOf(":") + 1));
}

rule(
  162,
  "a last event without its blank line counts for Chat; in the other dialects only the one that ends the answer does",
  async () => {
    for (const client of dialects) {
      for (const upstream of dialects) {
        const events = golden[upstream];
        const open = [...events.slice(0, -1), (events.at(-1) ?? "").trimEnd()];
        const whole = await played(client, upstream, { rawBody: open });
        expect({ client, upstream, ...whole }).toMatchObject({ text, complete: true, errors: [] });
        expect(await outcomesOf(whole.model)).toEqual(["ok"]);
      }
      // Here the reason to stop is the last that came: for Chat it counts, and the answer was whole.
      const chat = await played(client, "chat", {
        rawBody: [...golden.chat.slice(0, -3), (golden.chat.at(-3) ?? "").trimEnd()],
      });
      expect({ client, ...chat }).toMatchObject({ text, complete: true, errors: [] });
      for (const upstream of ["messages", "responses"] as const) {
        const at = golden[upstream].findLastIndex((event) => /text_delta|output_text\.delta/.test(event));
        const before = golden[upstream].slice(0, at);
        // Whole JSON, but nobody knows whether it was to go on: what it says is not believed.
        const rawBody = [...before, (golden[upstream][at] ?? "").trimEnd()];
        const seen = await played(client, upstream, { rawBody }, at);
        expect({ client, upstream, ...seen }).toMatchObject({ complete: false, errors: [expect.any(String)] });
        expect(seen.text).toBe(viewOf(upstream, before.join("")).text);
        expect(await outcomesOf(seen.model)).toEqual(["cut_stream", "upstream_404"]);
      }
    }
  },
);

rule(163, "the mark that ends a Chat stream is known in every way of writing it", async () => {
  for (const mark of ["data: [DONE]\n\n", "data:[DONE]\n\n", "data: [done]\n\n", "data:  [Done] \r\n\r\n"]) {
    for (const client of dialects) {
      // What comes behind it is no part of the answer.
      const behind = 'data: {"choices":[{"index":0,"delta":{"content":"more"}}]}\n\n';
      const seen = await played(client, "chat", { rawBody: [...golden.chat.slice(0, -1), mark, behind] });
      expect({ client, mark, ...seen }).toMatchObject({ text, complete: true, errors: [] });
      expect(await outcomesOf(seen.model)).toEqual(["ok"]);
    }
  }
});

rule(
  164,
  "an event that is no JSON is the death of the attempt and is never skipped; comments are not taken for events",
  async () => {
    const broken = 'data: {"choices":[{"index":0,"delta":{"content":"sk\n\n';
    for (const client of dialects) {
      for (const upstream of dialects) {
        const events = golden[upstream];
        const early = await played(client, upstream, { rawBody: [events[0] ?? "", broken, ...events.slice(1)] });
        expect({ client, upstream, ...early }).toMatchObject({ text: "From the house.", complete: true });
        expect(await outcomesOf(early.model)).toEqual(["error_event", "ok"]);
        const at = midway[upstream];
        const rawBody = [...events.slice(0, at), broken, ...events.slice(at)];
        const late = await played(client, upstream, { rawBody }, at);
        expect({ client, upstream, ...late }).toMatchObject({ complete: false, errors: [expect.any(String)] });
        expect(text.startsWith(late.text)).toBe(true);
        expect(await outcomesOf(late.model)).toEqual(["error_event", "upstream_404"]);
        const commented = await played(client, upstream, { rawBody: events, comments: "OPENROUTER PROCESSING" });
        expect({ client, upstream, ...commented }).toMatchObject({ text, complete: true, errors: [] });
      }
    }
  },
);

rule(166, "an upstream that answers a streaming request with one JSON body is streamed from here", async () => {
  const thinking = "Hm.";
  const toolCalls = [{ name: "look", input: { at: "Oslo" } }];
  for (const client of dialects) {
    for (const upstream of dialects) {
      for (const contentType of ["application/json", "application/json; charset=utf-8"]) {
        const step: Step = { jsonForStream: true, contentType, answer: { text, thinking, toolCalls } };
        const seen = await played(client, upstream, step);
        expect({ client, upstream, ...seen }).toMatchObject({ text, complete: true, errors: [] });
        expect(seen.sse).toContain("look");
        expect(seen.sse).toContain('\\"at\\":\\"Oslo\\"');
        expect(await outcomesOf(seen.model)).toEqual(["ok"]);
      }
    }
  }
});

const failures: Readonly<Record<TestDialect, Readonly<Record<string, string>>>> = {
  messages: {
    "the vendor's": 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Sad"}}\n\n',
    "without its event line": 'data: {"type":"error","error":{"type":"overloaded_error","message":"Sad"}}\n\n',
    "without any type": 'data: {"error":{"message":"Sad"}}\n\n',
    "of a flat object": 'data: {"object":"error","message":"Sad","code":503}\n\n',
    "as a bare line": '{"error":"Sad"}\n\n',
  },
  chat: {
    "the vendor's": 'data: {"error":{"message":"Sad","type":"server_error","param":null,"code":null}}\n\n',
    "with choices": 'data: {"id":"1","error":{"code":502,"message":"Sad"},"choices":[{"index":0,"delta":{}}]}\n\n',
    "inside a choice":
      'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"error","error":{"code":502,"message":"Sad"}}]}\n\n',
    "without a type": 'data: {"error":{"message":"Sad"}}\n\n',
    "with its event line": 'event: error\ndata: {"error":{"message":"Sad"}}\n\n',
    "of a flat object": 'data: {"object":"error","message":"Sad","type":"BadRequestError","code":500}\n\n',
    "that is a text": 'data: {"error":"Sad"}\n\n',
    "as a bare line": '{"error":"Sad"}\n\n',
    "as a bare line at the end": '{"error":{"message":"Sad","code":500}}',
  },
  responses: {
    "the vendor's":
      'event: error\ndata: {"type":"error","code":"server_error","message":"Sad","sequence_number":6}\n\n',
    "a failed response":
      'event: response.failed\ndata: {"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"Sad"}}}\n\n',
    "without any type": 'data: {"error":{"message":"Sad"}}\n\n',
    "that is a text": 'data: {"error":"Sad"}\n\n',
    "of a flat object": 'data: {"object":"error","message":"Sad","code":503}\n\n',
    "as a bare line": '{"error":"Sad"}\n\n',
  },
};

rule(
  167,
  "an error inside a stream is known in every server's form: unseen it goes to the next model, later the client is told",
  async () => {
    for (const upstream of dialects) {
      const events = golden[upstream];
      for (const [name, error] of Object.entries(failures[upstream])) {
        const early = await played("chat", upstream, { rawBody: [events[0] ?? "", error] });
        expect({ upstream, name, ...early }).toMatchObject({ text: "From the house.", complete: true });
        expect(await outcomesOf(early.model)).toEqual(["error_event", "ok"]);
        for (const client of dialects) {
          const at = midway[upstream];
          const late = await played(client, upstream, { rawBody: [...events.slice(0, at), error] }, at);
          expect({ client, upstream, name, ...late }).toMatchObject({ complete: false, errors: [expect.any(String)] });
          expect(await outcomesOf(late.model)).toEqual(["error_event", "upstream_404"]);
        }
      }
    }
  },
);

const strangers: Readonly<Record<TestDialect, readonly string[]>> = {
  messages: [
    'event: ping\ndata: {"type":"ping"}\n\n',
    'event: future_event\ndata: {"type":"future_event","delta":{"text":"no"},"error":{"message":"no"}}\n\n',
    'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"future_delta","text":"no"}}\n\n',
  ],
  chat: [
    'event: future\ndata: {"object":"future.object","payload":{"content":"no"}}\n\n',
    'data: {"choices":[{"index":0,"delta":{"future":"no"},"future":7,"finish_reason":null}],"future":{"x":[1]}}\n\n',
  ],
  responses: [
    'event: response.future.delta\ndata: {"type":"response.future.delta","delta":"no","output_index":9}\n\n',
    'event: keepalive\ndata: {"type":"keepalive","sequence_number":3}\n\n',
    'event: response.output_item.added\ndata: {"type":"response.output_item.added","output_index":7,"item":{"type":"future_item","text":"no"}}\n\n',
  ],
};

rule(168, "events, fields and items that nobody knows yet change nothing of what is known", async () => {
  for (const upstream of dialects) {
    const rawBody = golden[upstream].flatMap((event, at) => (at < 4 ? [event, ...strangers[upstream]] : [event]));
    for (const client of dialects) {
      const seen = await played(client, upstream, { rawBody });
      expect({ client, upstream, ...seen }).toMatchObject({ text, complete: true, errors: [] });
      const known = client === upstream;
      expect([client, upstream, seen.sse.includes("future")]).toEqual([client, upstream, known]);
      expect(await outcomesOf(seen.model)).toEqual(["ok"]);
    }
  }
});

rule(169, "streams are asked for uncompressed, and one that is compressed all the same is not believed", async () => {
  for (const upstream of dialects) {
    for (const encoding of ["gzip", "br", "zstd"]) {
      const seen = await played("messages", upstream, { headers: { "content-encoding": encoding } });
      expect(seen).toMatchObject({ text: "From the house.", complete: true, errors: [] });
      expect(await outcomesOf(seen.model)).toEqual(["error_event", "ok"]);
      expect(house.cloud.generations.at(-1)?.header("accept-encoding")).toBe("identity");
    }
    const named = await played("messages", upstream, { headers: { "content-encoding": "identity" }, answer: { text } });
    expect(named).toMatchObject({ text, complete: true });
  }
});
