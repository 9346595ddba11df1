// Answers that have to fit a schema, and answers in one piece, of local models.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout } from "bun:test";
import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { Gate } from "../fakes/gate.ts";
import { dialects, post, startHouse, type House, type TestDialect } from "../fakes/house.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import { FakeProvider } from "../fakes/provider.ts";
import { DEFAULT_TEXT } from "../fakes/script.ts";
import { attemptsOf, type AuditLine } from "../harness.ts";
import { rule } from "./rule.ts";
import { answerText, eventsOf, isKeepAlive, StreamReading } from "./stream-reading.ts";

setDefaultTimeout(30_000);

let studio: FakeProvider;
let house: House;
beforeAll(async () => {
  studio = await FakeProvider.start({ local: true, models: ["some-coder"] });
  const quick = { idle: "200ms", first_content: "20s", first_byte: "20s" };
  house = await startHouse({
    config: ({ local }) => ({
      providers: {
        ollama: { url: `${local}/v1`, dialects: ["chat"], local: true, key: "none", timeouts: quick },
        lmstudio: { url: `${studio.url}/v1`, dialects: ["chat"], local: true, key: "none" },
      },
      models: { studio: { provider: "lmstudio", model: "some-coder" } },
      fallback: [],
      routes: [
        { name: "home", when: { header: { name: "x-to", value: "home" } }, use: ["coder-14b", "studio"] },
        { name: "studio", when: { header: { name: "x-to", value: "studio" } }, use: ["studio"] },
      ],
      stream: { keep_alive: "40ms" },
    }),
  });
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
  await studio[Symbol.asyncDispose]();
});
afterEach(() => {
  for (const { script } of [house.cloud, house.local, studio]) script.length = 0;
});

const ways = dialects.flatMap((dialect) => [true, false].map((stream) => ({ dialect, stream })));

const place: JsonObject = {
  type: "object",
  properties: { city: { type: "string", enum: ["Oslo", "Bergen"] }, degrees: { type: "integer" } },
  required: ["city", "degrees"],
  additionalProperties: false,
};
const good = '{"city":"Oslo","degrees":-4}';

function formatOf(dialect: TestDialect, schema: JsonObject): JsonObject {
  if (dialect === "messages") return { output_config: { format: { type: "json_schema", schema } } };
  if (dialect === "chat") return { response_format: { type: "json_schema", json_schema: { name: "place", schema } } };
  return { text: { format: { type: "json_schema", name: "place", schema } } };
}

interface Asked {
  readonly dialect: TestDialect;
  readonly stream: boolean;
}

async function ask({ dialect, stream }: Asked, extra: JsonObject, to = "home"): Promise<Response> {
  return post(house.gateway, dialect, { headers: { "x-to": to }, extra: { stream, ...extra } });
}

async function textFrom({ dialect, stream }: Asked, response: Response): Promise<string> {
  expect(response.status).toBe(200);
  if (stream) return answerText(dialect, await response.text());
  const body = objectOf((await response.json()) as Json)!;
  if (dialect === "messages") return textOf(objectsOf(body["content"])[0]?.["text"]);
  if (dialect === "chat") return textOf(objectOf(objectsOf(body["choices"])[0]?.["message"])?.["content"]);
  return textOf(objectsOf(objectsOf(body["output"])[0]?.["content"])[0]?.["text"]);
}

async function lineOf(response: Response): Promise<AuditLine> {
  const id = response.headers.get("x-sanctum-request-id");
  return house.gateway.auditLine((line) => line.id === id);
}

/** What would hang or blow up a checker that trusts it. */
const hostile: readonly JsonObject[] = [
  { type: "object", properties: { city: { type: "string", pattern: "^(a+)+$" } } },
  { type: "object", patternProperties: { "^(.*)*$": { type: "integer" } }, additionalProperties: { type: "string" } },
  { $ref: "#" },
  { $ref: "https://elsewhere.example/schema" },
  doubling(40),
];

/** Each level is applied twice by the one above it: 2^levels in all. */
function doubling(levels: number): JsonObject {
  const $defs: JsonObject = { l0: { type: "object" } };
  for (let n = 1; n <= levels; n++)
    $defs[`l${n}`] = { allOf: [{ $ref: `#/$defs/l${n - 1}` }, { $ref: `#/$defs/l${n - 1}` }] };
  return { $defs, $ref: `#/$defs/l${levels}` };
}

rule(
  281,
  "a local model's answer that does not fit the schema is sent back once, then the next model answers; nobody sees it",
  async () => {
    for (const way of ways) {
      const format = formatOf(way.dialect, place);
      // Right at once, in a fence as many local models write it.
      house.local.script.push({ answer: { text: `\`\`\`json\n${good}\n\`\`\`` } });
      expect(await textFrom(way, await ask(way, format))).toBe(good);

      // Wrong first: it is told what is wrong.
      const gate = new Gate();
      const wrong = '{"city":"Paris","degrees":"cold"}';
      house.local.script.push({ answer: { text: wrong } }, { answer: { text: good }, gate });
      const before = house.local.generations.length;
      const asked = ask(way, format);
      await house.local.arrived(before + 2);
      const turns = objectsOf(house.local.generations.at(-1)!.json()["messages"]);
      expect(turns.at(-2)).toMatchObject({ role: "assistant", content: wrong });
      expect(textOf(turns.at(-1)?.["content"])).toMatch(/schema: at \/(city|degrees)/);
      if (way.stream) {
        const stream = new StreamReading(await asked);
        await stream.keepAlives(way.dialect, 2);
        gate.release(Infinity);
        const text = await stream.toEnd();
        expect(answerText(way.dialect, text)).toBe(good);
        expect(text).not.toContain("Paris");
        const late = eventsOf(text).findIndex((event) => event.text.includes("Oslo"));
        expect(
          eventsOf(text)
            .slice(0, late)
            .some((event) => isKeepAlive(way.dialect, event)),
        ).toBe(true);
      } else {
        gate.release(Infinity);
        expect(await textFrom(way, await asked)).toBe(good);
      }
      expect(attemptsOf(await lineOf(await asked))).toEqual(["coder-14b:ok"]);

      // Wrong twice: the next one answers.
      house.local.script.push({ answer: { text: wrong } }, { answer: { text: "I can't." } });
      studio.script.push({ answer: { text: good } });
      const next = await ask(way, format);
      expect(await textFrom(way, next)).toBe(good);
      const line = await lineOf(next);
      expect(attemptsOf(line)).toEqual(["coder-14b:error_event", "studio:ok"]);
      expect(objectsOf(line["attempts"])[0]?.["note"]).toBe("the answer does not fit the schema");
    }
    await wrongByAllIsAFailure();
    await notEverythingIsJudged();
  },
);

async function wrongByAllIsAFailure(): Promise<void> {
  for (const { script } of [house.local, studio]) for (let n = 0; n < 2; n++) script.push({ answer: { text: "no" } });
  const response = await ask({ dialect: "chat", stream: false }, formatOf("chat", place));
  expect(response.status).toBe(503);
  expect(await response.text()).not.toContain("no JSON");
}

async function notEverythingIsJudged(): Promise<void> {
  const way = { dialect: "chat", stream: false } as const;
  // A call of a tool is not the final answer, and one that was cut off says so itself.
  const tools = [{ type: "function", function: { name: "look", parameters: { type: "object" } } }];
  house.local.script.push({ answer: { text: "", toolCalls: [{ name: "look", input: {} }], stop: "tool_calls" } });
  const call = await ask(way, { ...formatOf("chat", place), tools });
  expect(await call.text()).toContain('"look"');
  house.local.script.push({ answer: { text: '{"city":', stop: "length" } });
  expect(await textFrom(way, await ask(way, formatOf("chat", place)))).toBe('{"city":');
  // The vendor sees to its schemas itself.
  house.cloud.script.push({ answer: { text: "free words" } });
  expect(await textFrom(way, await ask(way, formatOf("chat", place), "vendor"))).toBe("free words");
  const evil = JSON.stringify({ city: `${"a".repeat(60)}!` });
  for (const schema of hostile) {
    house.local.script.push({ answer: { text: evil } });
    expect(await textFrom(way, await ask(way, formatOf("chat", schema)))).toBe(evil);
  }
}

const weather: JsonObject = { type: "object", properties: { city: { type: "string" } } };
const toolOf: Readonly<Record<TestDialect, JsonObject>> = {
  messages: { name: "look", input_schema: weather },
  chat: { type: "function", function: { name: "look", parameters: weather } },
  responses: { type: "function", name: "look", parameters: weather },
};

rule(
  282,
  "an answer in one piece is streamed by the local server and put together here; one whose streams lose tool calls is not",
  async () => {
    const calls = [
      { name: "look", input: { city: "Oslo" } },
      { name: "look", input: { city: "東京" } },
    ];
    for (const dialect of dialects) {
      const way = { dialect, stream: false };
      house.local.script.push({ answer: { text: "Both.", toolCalls: calls, usage: { input: 40, output: 9 } } });
      const whole = await ask(way, { tools: [toolOf[dialect]] });
      expect(whole.headers.get("content-type")).toBe("application/json");
      const text = await whole.text();
      for (const part of ["Both.", "look", "Oslo", "東京"]) expect(text).toContain(part);
      expect(house.local.generations.at(-1)!.json()).toMatchObject({
        stream: true,
        stream_options: { include_usage: true },
      });
      expect((await lineOf(whole))["usage"]).toMatchObject({ input: 40, output: 9, source: "upstream" });

      // Silence in the middle of it, a cut, an error event: nobody has seen anything, so the next one answers.
      for (const step of [
        { stall: { afterEvents: 3 } },
        { cut: { at: { event: 3 }, how: "end" as const } },
        { errorEvent: { afterEvents: 3 } },
      ]) {
        house.local.script.push(step);
        const saved = await ask(way, {});
        expect(await textFrom(way, saved)).toBe(DEFAULT_TEXT);
        expect((await lineOf(saved))["served_by"]).toBe("studio");
      }

      // A client that leaves ends it.
      const client = new AbortController();
      const before = house.local.generations.length;
      house.local.script.push({ stall: { afterEvents: 3 } });
      const headers = { "x-to": "home" };
      const gone = post(house.gateway, dialect, { headers, signal: client.signal }).catch(() => null);
      await house.local.arrived(before + 1);
      client.abort();
      await house.local.generations[before]!.aborted;
      expect(await gone).toBeNull();

      // LM Studio mangles calls in its streams.
      studio.script.push({ answer: { text: "Both.", toolCalls: calls } });
      const streamed = await ask({ dialect, stream: true }, { tools: [toolOf[dialect]] }, "studio");
      const stream = await streamed.text();
      expect(studio.generations.at(-1)!.json()["stream"]).not.toBe(true);
      expect(answerText(dialect, stream)).toBe("Both.");
      expect(eventsOf(stream).length).toBeGreaterThan(4);
      for (const part of ["look", "Oslo", "東京"]) expect(stream).toContain(part);
    }
  },
);
