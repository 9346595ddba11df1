// A client that waits hears that it is not forgotten: while an answer stands still, and before there is one.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { neverContinuing } from "../fakes/continuing-model.ts";
import { Gate } from "../fakes/gate.ts";
import {
  dialects,
  loneModels,
  post,
  startHouse,
  type House,
  type LoneModel,
  type TestDialect,
} from "../fakes/house.ts";
import { objectOf } from "../fakes/json-access.ts";
import { FakeProvider } from "../fakes/provider.ts";
import { DEFAULT_TEXT } from "../fakes/script.ts";
import { cloudTimeouts, localTimeouts } from "../../src/config/defaults.ts";
import type { Json, JsonObject } from "../../src/wire/neutral.ts";
import { attemptsOf, eventually, type AuditLine } from "../harness.ts";
import { rule } from "./rule.ts";
import { answerText, eventsOf, expectOneResponse, isKeepAlive, StreamReading } from "./stream-reading.ts";

setDefaultTimeout(20_000);

const upstreamDialects = dialects.flatMap((client) => dialects.map((upstream) => [client, upstream] as const));

let origin: FakeProvider;
let house: House;
beforeAll(async () => {
  origin = await FakeProvider.start({ lenient: true });
  const lone = loneModels(
    [
      ...upstreamDialects.map(([client, upstream]) => ({ name: `${client}-by-${upstream}`, dialect: upstream })),
      ...dialects.map((dialect) => ({
        name: `silent-${dialect}`,
        dialect,
        provider: { timeouts: { first_byte: "150ms" } },
      })),
      ...dialects.map((dialect) => ({ name: `late-${dialect}`, dialect })),
      { name: "stalling", dialect: "chat", provider: { timeouts: { first_content: "60s", idle: "200ms" } } },
      { name: "speechless", dialect: "chat", provider: { timeouts: { first_content: "200ms", idle: "60s" } } },
    ].map((model) => ({ origin: origin.url, ...model }) as LoneModel),
  );
  house = await startHouse({ config: { ...lone, stream: { keep_alive: "40ms" } } });
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
});
afterEach(() => {
  origin.script.length = 0;
  house.local.script.length = 0;
});

async function reading(client: TestDialect, model: string): Promise<StreamReading> {
  const response = await post(house.gateway, client, { model, extra: { stream: true } });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  return new StreamReading(response);
}

/** Of the first request for it. */
async function lineOf(model: string): Promise<AuditLine> {
  return eventually(() => {
    const line = house.gateway.auditLines().find((one) => one["requested_model"] === model);
    if (line === undefined) throw new Error("no line yet");
    return line;
  });
}

rule(
  250,
  "an answer that stands still is kept alive in the client's own way, between two events and without a trace in it",
  async () => {
    for (const [client, upstream] of upstreamDialects) {
      const gate = new Gate();
      origin.script.push({ gate });
      const stream = await (async () => {
        const opening = reading(client, `${client}-by-${upstream}`);
        // As far as a piece of text: from then on the client has an answer.
        gate.release(upstream === "responses" ? 5 : 3);
        return opening;
      })();
      await stream.until((events) => answerText(client, events.map(({ text }) => `${text}\n\n`).join("")) !== "");
      const before = stream.events.filter((event) => isKeepAlive(client, event)).length;
      await stream.keepAlives(client, before + 2);
      gate.release(Infinity);
      const text = await stream.toEnd();
      expect(answerText(client, text)).toBe(DEFAULT_TEXT);
      if (client === "responses") expectOneResponse(eventsOf(text));
      expect(eventsOf(text).filter(({ text: block }) => block.startsWith("event: ping")).length > 0).toBe(
        client === "messages",
      );
    }
  },
);

rule(
  251,
  "where nobody has answered yet the stream is opened after a while and kept alive, and any model may still answer it",
  async () => {
    for (const client of dialects) {
      const model = `silent-${client}`;
      origin.script.push({ stall: "before_headers" });
      const gate = new Gate();
      house.local.script.push({ gate });
      const stream = await reading(client, model);
      await stream.keepAlives(client, 2);
      expect(stream.events.every((event) => isKeepAlive(client, event) || event.name === "response.created")).toBe(
        true,
      );
      gate.release(Infinity);
      const text = await stream.toEnd();
      expect(answerText(client, text)).toBe(DEFAULT_TEXT);
      if (client === "responses") expectOneResponse(eventsOf(text));
      if (client === "messages") expect(text.match(/message_start/g)).toHaveLength(2);
      const line = await lineOf(model);
      expect(attemptsOf(line)).toEqual([`${model}:timeout_first_byte`, "coder-14b:ok"]);
      expect([line.outcome, line.status]).toEqual(["ok", 200]);

      // The vendor's own answer, when it comes late, goes on from what was sent.
      const late = new Gate();
      origin.script.push({ gate: late });
      const own = await reading(client, `late-${client}`);
      await own.keepAlives(client, 2);
      late.release(Infinity);
      const whole = await own.toEnd();
      expect(answerText(client, whole)).toBe(DEFAULT_TEXT);
      if (client === "responses") expectOneResponse(eventsOf(whole));
    }
    await failureIsToldInTheStream();
    await failureInTimeKeepsItsStatus();
  },
);

const failureEvents = {
  messages: { name: "error", kind: ["error", "type"], value: "overloaded_error" },
  chat: { name: undefined, kind: ["error", "code"], value: "server_error" },
  responses: { name: "response.failed", kind: ["response", "error", "code"], value: "server_error" },
} as const;

async function failureIsToldInTheStream(): Promise<void> {
  for (const client of dialects) {
    origin.script.push({ stall: "before_headers" });
    // Not counted by the breaker, which would keep the local model from the next tests.
    house.local.respond = { refuse: { status: 400 } };
    const stream = await reading(client, `silent-${client}`);
    const events = eventsOf(await stream.toEnd());
    house.local.respond = {};
    const { name, kind, value } = failureEvents[client];
    const last = events.at(-1)!;
    expect(last.name).toBe(name);
    expect(valueAt(last.data, kind)).toBe(value);
    expect(events.slice(0, -1).every((event) => isKeepAlive(client, event) || event.name === "response.created")).toBe(
      true,
    );
    if (client === "responses") expectOneResponse(events);
    const told = (line: AuditLine): boolean =>
      line["requested_model"] === `silent-${client}` && line.outcome === "upstream_error";
    expect((await house.gateway.auditLine(told)).status).toBe(200);
  }
}

async function failureInTimeKeepsItsStatus(): Promise<void> {
  await using quick = await startHouse();
  const refusing = {
    refuse: { status: 400, body: { type: "error", error: { type: "invalid_request_error", message: "no" } } },
  };
  for (const client of dialects) {
    quick.cloud.script.push(refusing);
    const response = await post(quick.gateway, client, { extra: { stream: true } });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain("no");
  }
}

function valueAt(object: JsonObject | null, path: readonly string[]): Json | undefined {
  let value: Json | undefined = object;
  for (const key of path) value = objectOf(value)?.[key];
  return value;
}

rule(
  252,
  "an upstream that falls silent within its answer is given up soon, however often its client hears keep-alives meanwhile",
  async () => {
    origin.script.push({ stall: { afterEvents: 4 } });
    house.local.respond = neverContinuing();
    const stream = await reading("chat", "stalling");
    const events = eventsOf(await stream.toEnd());
    expect(events.filter((event) => isKeepAlive("chat", event)).length).toBeGreaterThanOrEqual(2);
    expect(objectOf(events.at(-1)!.data?.["error"])?.["message"]).toMatch(/broke off/);
    expect(attemptsOf(await lineOf("stalling"))).toEqual(["stalling:timeout_idle", "coder-14b:upstream_404"]);
    // Claude Code gives up at 300 s of silence.
    expect(cloudTimeouts.idleMs).toBeGreaterThanOrEqual(20_000);
    expect(cloudTimeouts.idleMs).toBeLessThanOrEqual(60_000);
    expect(localTimeouts.idleMs).toBeGreaterThan(cloudTimeouts.idleMs);
    expect(localTimeouts.idleMs).toBeLessThan(300_000);
  },
);

rule(
  253,
  "a model that reads a long prompt may be silent for longer than one that is answering, and its client is kept waiting",
  async () => {
    const gate = new Gate();
    origin.script.push({ gate });
    const stream = await reading("chat", "stalling");
    // Far longer than the silence that is allowed within an answer.
    await stream.keepAlives("chat", 8);
    gate.release(Infinity);
    expect(answerText("chat", await stream.toEnd())).toBe(DEFAULT_TEXT);

    origin.script.push({ stall: "after_headers" });
    const next = await reading("chat", "speechless");
    expect(answerText("chat", await next.toEnd())).toBe(DEFAULT_TEXT);
    expect(attemptsOf(await lineOf("speechless"))).toEqual(["speechless:timeout_first_content", "coder-14b:ok"]);
    expect(localTimeouts.firstContentMs).toBeGreaterThan(cloudTimeouts.firstContentMs);
    expect(localTimeouts.firstByteMs).toBeGreaterThan(cloudTimeouts.firstByteMs);
  },
);
