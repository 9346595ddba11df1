// What becomes of a stream that dies after the client has seen some of it: a local model goes on inside the same answer.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { renderChat } from "../fakes/chat-wire.ts";
import { begunText, continuing } from "../fakes/continuing-model.ts";
import { Gate } from "../fakes/gate.ts";
import { dialects, loneModels, post, readThenOpen, startHouse, type House, type TestDialect } from "../fakes/house.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import { renderMessages } from "../fakes/messages-wire.ts";
import { FakeProvider } from "../fakes/provider.ts";
import { renderResponses } from "../fakes/responses-wire.ts";
import type { FakeAnswer, Step } from "../fakes/script.ts";
import { faultOfStream } from "../fuzz/legal-streams.ts";
import { referenceEvents } from "../fuzz/sse.ts";
import { attemptsOf, type AuditLine } from "../harness.ts";
import { assembledCompletion, assembledMessage } from "./answers-house.ts";
import { rule } from "./rule.ts";
import { StreamReading, answerText } from "./stream-reading.ts";

setDefaultTimeout(60_000);

const WHOLE = "The quick brown fox – fährt über 東京 🦊, and then it goes home to sleep.";
const call = { name: "ls", input: { path: "/tmp" } };
const tools = {
  messages: [{ name: "ls", description: "Lists.", input_schema: { type: "object", properties: {} } }],
  chat: [{ type: "function", function: { name: "ls", parameters: { type: "object", properties: {} } } }],
  responses: [{ type: "function", name: "ls", parameters: { type: "object", properties: {} }, strict: false }],
};

interface Told {
  readonly model: string;
  readonly text: string;
  readonly data: readonly JsonObject[];
  /** What a strict client finds wrong with it. */
  readonly fault: string | null;
  readonly body: string;
}

let house: House;
/** Takes flags for the continuation, as vLLM does. */
let prefilling: FakeProvider;
const used = new Map<TestDialect, number>();
const perDialect = 160;

beforeAll(async () => {
  prefilling = await FakeProvider.start({ local: true, models: ["prefiller:7b"], goesOn: true });
  house = await startHouse({
    config: ({ cloud }) => {
      const names = dialects.flatMap((dialect) =>
        Array.from({ length: perDialect }, (_, number) => ({ name: `${dialect}-${number}`, dialect, origin: cloud })),
      );
      const lone = loneModels(names);
      return {
        providers: {
          ...lone.providers,
          vllm: { url: `${prefilling.url}/v1`, dialects: ["chat"], local: true, key: "none" },
        },
        models: {
          ...lone.models,
          prefiller: { provider: "vllm", model: "prefiller:7b", context: 32_768 },
        },
        fallback: ["prefiller", "coder-14b"],
        stream: { keep_alive: "100ms" },
      };
    },
  });
});
afterEach(() => {
  prefilling.respond = continuing(WHOLE);
  house.local.respond = continuing(WHOLE);
  prefilling.requests.length = 0;
  house.local.requests.length = 0;
});
beforeAll(() => {
  prefilling.respond = continuing(WHOLE);
  house.local.respond = continuing(WHOLE);
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
  await prefilling[Symbol.asyncDispose]();
});

function fresh(dialect: TestDialect): string {
  const number = used.get(dialect) ?? 0;
  used.set(dialect, number + 1);
  if (number >= perDialect) throw new Error(`all models of ${dialect} are used`);
  return `${dialect}-${number}`;
}

interface Asking {
  readonly extra?: object;
}

/** So many events of a dialect show something; before that nobody takes over, but answers in the place of the first. */
const firstShown = { messages: 3, chat: 2, responses: 5 } as const;

/** What comes instead of an event comes after the client has the events before it. */
function gateFor(server: TestDialect, step: Step): Gate {
  const gate = new Gate();
  const at = step.cut !== undefined && "event" in step.cut.at ? step.cut.at.event : Infinity;
  gate.release(at < firstShown[server] ? Infinity : at);
  return gate;
}

/** A stream of `client` that a cloud of the dialect `server` answers by `step`. */
async function ask(client: TestDialect, server: TestDialect, step: Step, asking: Asking = {}): Promise<Told> {
  const model = fresh(server);
  const gate = gateFor(server, step);
  house.cloud.script.push({ ...step, gate });
  const usage = client === "chat" ? { stream_options: { include_usage: true } } : {};
  const response = await post(house.gateway, client, { model, extra: { stream: true, ...usage, ...asking.extra } });
  expect(response.status).toBe(200);
  return told(client, model, await readThenOpen(response, gate));
}

function told(client: TestDialect, model: string, body: string): Told {
  const events = referenceEvents(body);
  const data = events.filter(({ data }) => data !== "[DONE]").map((event) => JSON.parse(event.data) as JsonObject);
  return { model, body, data, text: answerText(client, body), fault: faultOfStream(client, events, client === "chat") };
}

function lineOf({ model }: Told): Promise<AuditLine> {
  return house.gateway.auditLine((line) => line["requested_model"] === model);
}

async function outcomes(answer: Told): Promise<string[]> {
  return attemptsOf(await lineOf(answer)).map((attempt) => attempt.replace(/^.*?(?=[^:]*$)/, ""));
}

function eventCount(dialect: TestDialect, answer: FakeAnswer): number {
  if (dialect === "messages") return renderMessages(answer, "m", 0).events.length;
  return dialect === "chat"
    ? renderChat(answer, "m", 0, true).events.length
    : renderResponses(answer, "m", 0).events.length;
}

/** `close`: what the gateway has not read by then may be lost with the connection. */
function cutAfter(event: number, answer: FakeAnswer = { text: WHOLE }, how: "close" | "end" = "close"): Step {
  return { answer, cut: { at: { event }, how } };
}

/** After so many events of any dialect some of the text is shown, and not all of it. */
const inText = 6;

rule(
  294,
  "The local model goes on inside the text block that is open, so that clients which print the last block print all.",
  async () => {
    for (const server of ["messages", "chat"] as const) {
      const answer = await ask("messages", server, cutAfter(inText));
      expect(answer.fault).toBeNull();
      const { content } = assembledMessage(answer.data);
      expect(objectsOf(content)).toEqual([{ type: "text", text: WHOLE }]);
      expect(await outcomes(answer)).toEqual(["taken_over", "ok"]);
      expect((await lineOf(answer))["served_by"]).toBe("prefiller");
    }
  },
);

rule(295, "A takeover keeps id, model, item and index: the client sees one answer.", async () => {
  const chat = await ask("chat", "chat", cutAfter(inText));
  expect(chat.fault).toBeNull();
  const same = (name: string): unknown[] => [...new Set(chat.data.map((chunk) => chunk[name]))];
  expect([same("id"), same("model")]).toEqual([
    ["chatcmpl-fake" + textOf(chat.data[0]?.["id"]).slice(13)],
    [chat.model],
  ]);
  expect(objectOf(objectsOf(assembledCompletion(chat.data)["choices"])[0]?.["message"])?.["content"]).toBe(WHOLE);

  const responses = await ask("responses", "responses", cutAfter(8));
  expect(responses.fault).toBeNull();
  const deltas = responses.data.filter(({ type }) => type === "response.output_text.delta");
  expect(
    new Set(
      deltas.map(({ item_id, output_index, content_index }) => JSON.stringify([item_id, output_index, content_index])),
    ).size,
  ).toBe(1);
  const done = responses.data.filter(({ type }) => type === "response.output_text.done");
  expect(done.map(({ text }) => text)).toEqual([WHOLE]);
  const last = objectOf(responses.data.at(-1)?.["response"]);
  expect([last?.["status"], last?.["model"]]).toEqual(["completed", responses.model]);
  expect(last?.["id"]).toBe(objectOf(responses.data[0]?.["response"])?.["id"]);
});

rule(296, "At the seam no character is lost or doubled, whatever the model repeats, blanks included.", async () => {
  const begun = "One two three ";
  const rests = ["four five.", " four five.", "two three four five.", "One two three four five.", "three\n four five."];
  // A server that is known to go on by itself repeats nothing; of this one nobody knows.
  prefilling.respond = { refuse: { status: 422, body: { error: { message: "no" } } } };
  for (const rest of rests) {
    house.local.respond = { answer: { text: rest } };
    const answer = await ask("chat", "chat", {
      ...cutAfter(2, { text: begun, pieceLength: begun.length }),
    });
    expect(answer.text.replace(/\s+/g, " ")).toBe("One two three four five.");
    expect(answer.text.startsWith(begun)).toBe(true);
  }
  const sent = objectsOf(house.local.generations.at(-1)!.json()["messages"]).at(-2);
  expect(sent).toEqual({ role: "assistant", content: begun.trimEnd() });
});

rule(
  297,
  "A server that takes flags continues by them; another one is asked in a turn of the user, and its repetition is left out.",
  async () => {
    await ask("messages", "messages", cutAfter(inText));
    expect(prefilling.generations.at(-1)!.json()).toMatchObject({
      continue_final_message: true,
      add_generation_prompt: false,
    });

    prefilling.respond = { refuse: { status: 500, body: { error: { message: "no" } } } };
    const answer = await ask("messages", "messages", cutAfter(inText));
    expect(answer.text).toBe(WHOLE);
    expect(await outcomes(answer)).toEqual(["taken_over", "upstream_500", "ok"]);
    const body = house.local.generations.at(-1)!.json();
    expect(objectsOf(body["messages"]).map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
    expect(body["continue_final_message"]).toBeUndefined();
  },
);

rule(
  298,
  "The tools and the instructions go along, and a tool that the local model wants then is called.",
  async () => {
    for (const client of dialects) {
      prefilling.respond = (request) => ({
        answer: { text: WHOLE.slice(begunText(request)?.length ?? 0), toolCalls: [call] },
      });
      const system =
        client === "messages" ? { system: "Be brief." } : client === "responses" ? { instructions: "Be brief." } : {};
      const answer = await ask(client, client, cutAfter(8), { extra: { tools: tools[client], ...system } });
      expect([answer.fault, answer.text]).toEqual([null, WHOLE]);
      expect(answer.body).toMatch(client === "messages" ? /"stop_reason":"tool_use"/ : /"name":"ls"/);
      const body = prefilling.generations.at(-1)!.json();
      expect(objectsOf(body["tools"])).toHaveLength(1);
      if (client !== "chat") expect(objectsOf(body["messages"])[0]).toEqual({ role: "system", content: "Be brief." });
    }
  },
);

rule(
  299,
  "A tool call that is passed through is shown when it is whole, byte for byte; one that is cut is not shown at all.",
  async () => {
    for (const client of dialects) {
      const answer = { text: WHOLE, toolCalls: [{ name: "ls", input: { path: "/a/rather/long/path/to/show" } }] };
      const whole = await ask(client, client, { answer }, { extra: { tools: tools[client] } });
      expect(whole.fault).toBeNull();
      const total = eventCount(client, answer);
      const events =
        client === "messages"
          ? renderMessages(answer, "m", 0).events
          : client === "chat"
            ? renderChat(answer, "m", 0, true).events
            : renderResponses(answer, "m", 0).events;
      const first = events.findIndex((event) =>
        /"content_block":\{"type":"tool_use"|"tool_calls":|output_item\.added.*"function_call"/s.test(event),
      );
      expect(first).toBeGreaterThan(0);
      const cut = await ask(client, client, cutAfter(first + 2, answer, "end"), { extra: { tools: tools[client] } });
      expect([cut.fault, cut.text]).toEqual([null, WHOLE]);
      expect(cut.body).not.toContain('"ls"');
      expect(total).toBeGreaterThan(first + 2);
    }
  },
);

rule(
  300,
  "Behind a finished tool call the answer is closed, so that the client runs it once, and nobody is asked to go on.",
  async () => {
    const answer = { text: WHOLE, toolCalls: [call, { name: "ls", input: { path: "/second/one/that/is/cut" } }] };
    for (const client of ["messages", "responses"] as const) {
      const events =
        client === "messages" ? renderMessages(answer, "m", 0).events : renderResponses(answer, "m", 0).events;
      const starts = events.flatMap((event, index) =>
        /"content_block_start".*"tool_use"|output_item\.added.*function_call/s.test(event) ? [index] : [],
      );
      const cut = await ask(client, client, cutAfter(starts[1]! + 1, answer, "end"), {
        extra: { tools: tools[client] },
      });
      expect([cut.fault, cut.text]).toEqual([null, WHOLE]);
      expect(cut.body.split('"name":"ls"').length - 1).toBeGreaterThan(0);
      expect(cut.body).not.toContain("/second/one");
      expect(await outcomes(cut)).toEqual(["cut_stream"]);
      expect((await lineOf(cut)).outcome).toBe("ok");
      expect(prefilling.generations).toHaveLength(0);
    }
  },
);

rule(301, "An answer that is cut inside its thinking goes on with text: the thought is closed as it is.", async () => {
  const answer = { thinking: "Let me think about the fox for a while.", text: WHOLE };
  const cut = await ask("messages", "messages", cutAfter(4, answer));
  expect([cut.fault, cut.text]).toEqual([null, WHOLE]);
  const blocks = objectsOf(assembledMessage(cut.data)["content"]);
  expect(blocks.map(({ type }) => type)).toEqual(["thinking", "text"]);
  expect(blocks[0]?.["signature"]).toBe("");
  expect(objectsOf(prefilling.generations.at(-1)!.json()["messages"]).at(-1)?.["role"]).toBe("user");
});

rule(302, "A cut between two blocks goes on with a new block behind the finished one.", async () => {
  const events = renderMessages({ text: WHOLE }, "m", 0).events;
  const stop = events.findIndex((event) => event.includes("content_block_stop"));
  prefilling.respond = { answer: { text: "And one thing more." } };
  const answer = await ask("messages", "messages", cutAfter(stop + 1, { text: WHOLE }, "end"));
  expect(answer.fault).toBeNull();
  const texts = objectsOf(assembledMessage(answer.data)["content"]).map(({ text }) => text);
  expect(texts).toEqual([WHOLE, "And one thing more."]);
});

rule(303, "Structured output is not continued: it ends in the error event once some of it was shown.", async () => {
  const schema = { type: "object", properties: { fox: { type: "string" } } };
  const format = { response_format: { type: "json_schema", json_schema: { name: "fox", schema } } };
  const answer = await ask("chat", "chat", cutAfter(inText, { text: '{"fox":"a very long text about foxes"}' }), {
    extra: format,
  });
  expect(answer.body).toContain('data: {"error"');
  expect(answer.body).not.toContain("[DONE]");
  expect(prefilling.generations).toHaveLength(0);
});

rule(
  304,
  "The usage is one consistent set: the prompt once, the output of both; each attempt is metered by itself.",
  async () => {
    prefilling.respond = (request) => ({
      answer: { text: WHOLE.slice(begunText(request)?.length ?? 0), usage: { input: 999, output: 7 } },
    });
    const answer = await ask(
      "messages",
      "messages",
      cutAfter(inText, { text: WHOLE, usage: { input: 50, output: 13 } }),
    );
    const usage = objectOf(answer.data.find(({ type }) => type === "message_delta")?.["usage"]);
    const line = await lineOf(answer);
    const [first, second] = objectsOf(line["attempts"]);
    expect(usage?.["input_tokens"]).toBe(50);
    expect(Number(usage?.["output_tokens"])).toBeGreaterThan(7);
    expect(Number(first?.["usd"])).toBeGreaterThan(0);
    expect(second?.["usd"]).toBe(0);
    expect(line["local"]).toBe(true);
    expect(line.usd).toBeCloseTo(Number(first?.["usd"]), 9);
  },
);

rule(305, "Where nobody goes on, the stream ends in the dialect's error event, never cleanly.", async () => {
  const no = { refuse: { status: 500, body: { error: { message: "no" } } } };
  for (const client of dialects) {
    prefilling.respond = no;
    house.local.respond = no;
    const answer = await ask(client, client, cutAfter(8));
    const end = { messages: /event: error\n/, chat: /data: \{"error"/, responses: /event: response\.failed\n/ }[client];
    expect(answer.body).toMatch(end);
    expect(answer.body).not.toMatch(/message_stop|\[DONE\]|response\.completed/);
    expect(answer.fault).toBeNull();
    expect(await outcomes(answer)).toEqual(["cut_stream", "upstream_500", "upstream_500"]);
    expect((await lineOf(answer)).outcome).toBe("upstream_error");
  }
});

rule(
  306,
  "A stream never begins twice, also where the client waits for the local model and hears signs of life meanwhile.",
  async () => {
    for (const client of dialects) {
      const gate = new Gate();
      prefilling.respond = (request) => ({ ...continuing(WHOLE)(request), gate });
      const model = fresh(client);
      house.cloud.script.push(cutAfter(8));
      const response = await post(house.gateway, client, { model, extra: { stream: true } });
      const reading = new StreamReading(response);
      await reading.keepAlives(client, client === "responses" ? 2 : 1);
      gate.release(Infinity);
      const body = await reading.toEnd();
      const answer = told(client, model, body);
      expect(answer.text).toBe(WHOLE);
      const beginnings = {
        messages: /"type":"message_start"/g,
        chat: /"role":"assistant"/g,
        responses: /"type":"response.created"/g,
      };
      expect(body.match(beginnings[client])).toHaveLength(1);
    }
  },
);

const pairs: readonly (readonly [TestDialect, TestDialect])[] = [
  ["messages", "messages"],
  ["chat", "chat"],
  ["responses", "responses"],
  ["messages", "chat"],
  ["chat", "messages"],
  ["responses", "messages"],
];

rule(
  307,
  "After a death behind every single event of a stream the client's own library reads one whole answer.",
  async () => {
    for (const [client, server] of pairs) {
      const answer = { text: WHOLE };
      const total = eventCount(server, answer);
      for (let event = 1; event < total; event++) {
        const model = fresh(server);
        const step = cutAfter(event, answer, event % 2 === 0 ? "end" : "close");
        const gate = gateFor(server, step);
        house.cloud.script.push({ ...step, gate });
        const read = await libraryText(client, model, gate);
        expect([client, server, event, read]).toEqual([client, server, event, WHOLE]);
      }
    }
  },
);

/** What the vendor's SDK makes of a stream; throws where it does. Opens the gate with the first event. */
async function libraryText(client: TestDialect, model: string, gate: Gate): Promise<string> {
  const { url } = house.gateway;
  const open = (): void => gate.release(Infinity);
  if (client === "messages") {
    const sdk = new Anthropic({ baseURL: url, apiKey: "anonymous", maxRetries: 0 });
    const messages = [{ role: "user" as const, content: "Hi" }];
    return sdk.messages.stream({ model, max_tokens: 100, messages }).on("streamEvent", open).finalText();
  }
  const sdk = new OpenAI({ baseURL: `${url}/v1`, apiKey: "anonymous", maxRetries: 0 });
  if (client === "chat") {
    const stream = sdk.chat.completions.stream({ model, messages: [{ role: "user", content: "Hi" }] });
    return (await stream.on("chunk", open).finalContent()) ?? "";
  }
  const stream = sdk.responses.stream({ model, input: "Hi" });
  return (await stream.on("event", open).finalResponse()).output_text;
}
