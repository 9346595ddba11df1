// Who answers when the first one asked does not: before the client has seen anything, anybody may.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { createServer, type Server } from "node:net";
import type { Json } from "../../src/wire/neutral.ts";
import { Gate } from "../fakes/gate.ts";
import { loneModels, post, startHouse, type House, type LoneModel, type TestDialect } from "../fakes/house.ts";
import { objectsOf, textOf } from "../fakes/json-access.ts";
import { FakeProvider } from "../fakes/provider.ts";
import { DEFAULT_TEXT, type Step } from "../fakes/script.ts";
import { attemptsOf, tokenOf, type AuditLine } from "../harness.ts";
import { rule } from "./rule.ts";
import { answerText, eventsOf } from "./stream-reading.ts";

setDefaultTimeout(60_000);

/** What happens to the first candidate, and what the audit line calls it; null: the client gets it. */
interface Case {
  readonly name: string;
  readonly step: Step;
  readonly outcome: string | null;
  readonly streamed?: boolean;
  readonly dialect?: TestDialect;
  /** In place of the origin. */
  readonly at?: () => string;
  readonly status?: number;
}

const said = { error: { message: "no", type: "some_error", code: null } };
const statuses = [408, 409, 425, 429, 500, 502, 503, 504, 520, 529];

const falls: readonly Case[] = [
  { name: "refused", step: {}, outcome: "connect_failed", at: () => `http://127.0.0.1:${freePort}` },
  { name: "no-tls", step: {}, outcome: "connect_failed", at: () => `https://127.0.0.1:${plainPort}` },
  // No name server is asked: a label has 63 characters at most.
  { name: "no-such-host", step: {}, outcome: "connect_failed", at: () => `https://${"a".repeat(64)}.example` },
  ...statuses.map((status) => ({
    name: `s${status}`,
    step: { refuse: { status, body: said } },
    outcome: `upstream_${status}`,
  })),
  { name: "no-headers", step: { stall: "before_headers" }, outcome: "timeout_first_byte" },
  { name: "no-content", step: { stall: "after_headers" }, outcome: "timeout_first_content", streamed: true },
  { name: "role-only", step: { stall: { afterEvents: 1 } }, outcome: "timeout_first_content", streamed: true },
  { name: "error-in-200", step: { rawBody: JSON.stringify(said) }, outcome: "error_event", streamed: false },
  { name: "error-first", step: { errorEvent: { afterEvents: 1 } }, outcome: "error_event", streamed: true },
  { name: "nothing", step: { rawBody: [] }, outcome: "cut_stream", streamed: true },
  { name: "no-words", step: { answer: { text: "" } }, outcome: "cut_stream", streamed: true },
  { name: "reset", step: { cut: { at: { event: 1 }, how: "destroy" } }, outcome: "cut_stream", streamed: true },
];

const stays: readonly Case[] = [
  ...[400, 404, 413, 422].map((status) => ({
    name: `c${status}`,
    step: { refuse: { status, body: said } },
    outcome: null,
    status,
  })),
  { name: "refusal", step: { answer: { text: "", stop: "filtered" } }, outcome: null, status: 200 },
];

const cases = [...falls, ...stays].flatMap((one) =>
  [true, false]
    .filter((streamed) => (one.streamed ?? streamed) === streamed)
    .map((streamed) => ({ ...one, streamed, name: `${one.name}-${streamed ? "stream" : "whole"}` })),
);

let origin: FakeProvider;
let house: House;
let freePort = 0;
/** Speaks, but not TLS. */
let plainPort = 0;
const plain = createServer((socket) => {
  socket.on("error", () => socket.destroy());
  socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
});
beforeAll(async () => {
  freePort = await portOf(createServer(), true);
  plainPort = await portOf(plain, false);
  origin = await FakeProvider.start({ lenient: true });
  const timeouts = { first_byte: "300ms", first_content: "300ms" };
  const others: readonly Omit<LoneModel, "origin">[] = [
    ...[0, 1, 2, 3].map((n) => ({ name: `lazy-${n}`, dialect: "messages" as const })),
    ...[0, 1, 2].map((n) => ({ name: `needy-${n}`, dialect: "messages" as const })),
    { name: "held", dialect: "messages" },
    { name: "held-2", dialect: "messages" },
    { name: "resting", dialect: "chat" },
    { name: "hasty", dialect: "chat", provider: { timeouts: { first_byte: "500ms" } } },
    { name: "tried", dialect: "chat", provider: { retry: { attempts: 3, base: "1ms", max: "2ms" } } },
    { name: "traced", dialect: "messages" },
    { name: "traced-2", dialect: "chat" },
    { name: "returning", dialect: "messages" },
  ];
  const routes = [
    { name: "hold", when: { model: "held" }, use: ["held", "held-2"] },
    { name: "alone", when: { model: "tried" }, use: ["tried"] },
    { name: "trace", when: { model: "traced" }, use: ["traced", "traced-2", "narrow", "coder-14b"] },
  ];
  const lone = loneModels([
    ...cases.map((one) => ({
      name: one.name,
      dialect: "chat" as const,
      origin: one.at?.() ?? origin.url,
      provider: { timeouts },
    })),
    ...others.map((model) => ({ origin: origin.url, ...model })),
  ]);
  const models = { ...lone.models, narrow: { provider: "ollama", model: "narrow:1b", context: 16 } };
  house = await startHouse({ config: { ...lone, models, routes } });
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
});

afterEach(() => {
  origin.script.length = 0;
  house.local.script.length = 0;
});

async function portOf(server: Server, close: boolean): Promise<number> {
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const closed = Promise.withResolvers<void>();
  if (close) server.close(() => closed.resolve());
  else closed.resolve();
  await closed.promise;
  return address.port;
}

async function lineOf(response: Response): Promise<AuditLine> {
  const id = response.headers.get("x-sanctum-request-id");
  return house.gateway.auditLine((line) => line.id === id);
}

rule(
  286,
  "every way in which a candidate can fail before its answer lets the next one answer; what is the client's does not",
  async () => {
    for (const { name, step, outcome, streamed, status } of cases) {
      origin.script.push(step);
      const asked = origin.generations.length;
      const homes = house.local.generations.length;
      const response = await post(house.gateway, "chat", { model: name, extra: { stream: streamed } });
      const text = await response.text();
      if (origin.generations.length === asked) origin.script.length = 0;
      const line = await lineOf(response);
      if (outcome === null) {
        expect([name, response.status]).toEqual([name, status!]);
        expect(attemptsOf(line)).toHaveLength(1);
        expect(house.local.generations.length).toBe(homes);
      } else {
        const whole = streamed ? answerText("chat", text) : text;
        expect([name, response.status, whole.includes(DEFAULT_TEXT)]).toEqual([name, 200, true]);
        // An empty answer in one piece is an error, an empty stream a cut one.
        const seen = attemptsOf(line)[0]!.replace(/^.*:/, "");
        expect([name, seen]).toEqual([name, outcome]);
        expect(line["served_by"]).toBe("coder-14b");
      }
    }
    // A credential of the client's own that is wrong reaches nobody.
    const asked = origin.generations.length;
    const stranger = { authorization: `Bearer ${tokenOf("nobody").token}` };
    expect((await post(house.gateway, "chat", { model: "resting", headers: stranger })).status).toBe(401);
    expect(origin.generations.length).toBe(asked);
  },
);

rule(
  287,
  "a failure that shows only when the body is read, after a good status, is a failure before the answer too",
  async () => {
    const thinkingAhead = 'event: ping\ndata: {"type":"ping"}\n\n';
    const steps: readonly Step[] = [
      { rawBody: [thinkingAhead, "event: message_start\ndata: {oops\n\n"] },
      { rawBody: [thinkingAhead, thinkingAhead], cut: { at: { event: 2 }, how: "destroy" } },
      { cut: { at: { byte: 400 }, how: "close" }, split: { seed: 7 } },
      { errorEvent: { afterEvents: 2, type: "overloaded_error" } },
    ];
    const statuses: Json[] = [];
    for (const [n, step] of steps.entries()) {
      origin.script.push(step);
      const response = await post(house.gateway, "messages", { model: `lazy-${n}`, extra: { stream: true } });
      expect(response.status).toBe(200);
      const text = await response.text();
      expect(answerText("messages", text)).toBe(DEFAULT_TEXT);
      expect(eventsOf(text).filter((event) => event.name === "message_start")).toHaveLength(1);
      const line = await lineOf(response);
      expect(attemptsOf(line)[1]).toBe("coder-14b:ok");
      statuses.push(objectsOf(line["attempts"])[0]!["status"]!);
    }
    // Where the answer only broke off the trail keeps the good status; an error in it has the one that it stands for.
    expect(statuses).toEqual([502, 200, 200, 529]);
  },
);

rule(
  288,
  "nothing goes to the client before the first content, so that after an early death its status is still free",
  async () => {
    const gate = new Gate();
    // Both begin well: message_start and the start of a block.
    origin.script.push(
      { errorEvent: { afterEvents: 2, type: "overloaded_error" }, gate },
      { errorEvent: { afterEvents: 2, type: "overloaded_error" }, gate },
    );
    house.local.script.push({ refuse: { status: 400 } });
    const before = origin.generations.length;
    let arrived = false;
    const response = post(house.gateway, "messages", { model: "held", extra: { stream: true } }).then((answer) => {
      arrived = true;
      return answer;
    });
    await origin.arrived(before + 1);
    gate.release(2);
    // The first of them is through with its beginning when it stands before its error.
    while (gate.waiting === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(arrived).toBe(false);
    gate.release(Infinity);
    expect((await response).status).toBe(503);
    expect(await (await response).text()).not.toContain("message_start");
  },
);

rule(289, "who can't take what the request needs is passed over before it is asked", async () => {
  const asked = { local: house.local.generations.length };
  const text = "word ".repeat(40_000);
  origin.script.push({ refuse: { status: 500 } });
  const long = await post(house.gateway, "messages", {
    model: "needy-0",
    extra: { max_tokens: 10, messages: [{ role: "user", content: text }] },
  });
  expect(long.status).toBe(503);
  expect(attemptsOf(await lineOf(long))).toEqual(["needy-0:upstream_500", "coder-14b:skipped_context"]);

  // Ollama serves no forced tool; a file that only its vendor has can't be sent on.
  const tools = [{ name: "look", input_schema: { type: "object" } }];
  const unfit: readonly object[] = [
    { tools, tool_choice: { type: "tool", name: "look" } },
    { messages: [{ role: "user", content: [{ type: "image", source: { type: "file", file_id: "file_1" } }] }] },
  ];
  for (const [n, extra] of unfit.entries()) {
    origin.script.push({ refuse: { status: 500 } });
    const response = await post(house.gateway, "messages", { model: `needy-${n + 1}`, extra });
    expect(response.status).toBe(503);
    expect(attemptsOf(await lineOf(response))).toEqual([`needy-${n + 1}:upstream_500`, "coder-14b:skipped_policy"]);
  }
  expect(house.local.generations.length).toBe(asked.local);
});

rule(
  290,
  "a 429 that says when to come back keeps the provider shut until then, and no request is spent on finding out",
  async () => {
    origin.script.push({ refuse: { status: 429, headers: { "retry-after": "200" }, body: said } });
    const first = await post(house.gateway, "chat", { model: "resting" });
    expect(await first.text()).toContain(DEFAULT_TEXT);
    const asked = origin.generations.length;
    for (let n = 0; n < 3; n++) {
      const next = await post(house.gateway, "chat", { model: "resting" });
      expect(await next.text()).toContain(DEFAULT_TEXT);
      const line = await lineOf(next);
      expect(attemptsOf(line)).toEqual(["resting:skipped_limit", "coder-14b:ok"]);
      const note = textOf(objectsOf(line["attempts"])[0]?.["note"]);
      const restMs = Number(/another (\d+) ms/.exec(note)?.[1]);
      expect(restMs).toBeGreaterThan(150_000);
      expect(restMs).toBeLessThanOrEqual(200_000);
    }
    expect(origin.generations.length).toBe(asked);
  },
);

rule(
  291,
  "nothing is tried after the client's patience is over, and what was tried again here it is told not to repeat",
  async () => {
    origin.script.push({ stall: "before_headers" });
    const homes = house.local.generations.length;
    const started = origin.generations.length;
    const impatient = await post(house.gateway, "chat", { model: "hasty", headers: { "x-stainless-timeout": "0.3" } });
    expect(impatient.status).toBe(503);
    expect(origin.generations.length).toBe(started + 1);
    expect(house.local.generations.length).toBe(homes);

    for (const stream of [true, false]) {
      const before = origin.generations.length;
      for (let n = 0; n < 3; n++) origin.script.push({ refuse: { status: 500 } });
      house.local.script.push({ refuse: { status: 400 } });
      const response = await post(house.gateway, "chat", { model: "tried", extra: { stream } });
      house.local.script.length = 0;
      expect([response.status, response.headers.get("x-should-retry")]).toEqual([503, "false"]);
      expect(origin.generations.length).toBeLessThanOrEqual(before + 3);
      origin.script.length = 0;
    }
  },
);

rule(
  292,
  "a conversation that a local model carried on goes back to the cloud as something that the cloud takes",
  async () => {
    origin.script.push({ refuse: { status: 500 } });
    house.local.script.push({
      answer: {
        thinking: "Where is it?",
        text: "I look – 東京.",
        toolCalls: [{ id: "call|1:å", name: "look", input: { city: "Oslo" } }],
        stop: "tool_calls",
      },
    });
    const tools = [{ name: "look", input_schema: { type: "object" } }];
    const question = { role: "user", content: "Weather?" };
    const first = await post(house.gateway, "messages", { model: "returning", extra: { tools, messages: [question] } });
    expect(first.status).toBe(200);
    const content = objectsOf(((await first.json()) as { content: never }).content);
    const call = content.find((block) => block["type"] === "tool_use")!;
    expect(content.some((block) => block["type"] === "thinking")).toBe(true);
    expect(textOf(call["id"])).toMatch(/^[A-Za-z0-9_-]{1,64}$/);

    const result = { role: "user", content: [{ type: "tool_result", tool_use_id: call["id"], content: "4 degrees" }] };
    const second = await post(house.gateway, "messages", {
      model: "returning",
      extra: { tools, messages: [question, { role: "assistant", content }, result] },
    });
    expect(second.status).toBe(200);
    expect((await lineOf(second))["served_by"]).toBe("returning");
    const [, turn, told] = objectsOf(origin.generations.at(-1)!.json()["messages"]);
    // Its thinking is not signed, so the vendor would refuse it; all else is what the client has seen.
    expect(objectsOf(turn!["content"])).toEqual(content.filter((block) => block["type"] !== "thinking"));
    expect(objectsOf(turn!["content"])[0]).toMatchObject({ type: "text", text: "I look – 東京." });
    expect(objectsOf(told!["content"])[0]).toMatchObject({ tool_use_id: call["id"], content: "4 degrees" });
  },
);

rule(293, "the audit line tells each attempt in order, with its reason, its time and its cost", async () => {
  origin.script.push({ refuse: { status: 529 } }, { errorEvent: { afterEvents: 1 } });
  const response = await post(house.gateway, "messages", { model: "traced", extra: { stream: true } });
  expect(answerText("messages", await response.text())).toBe(DEFAULT_TEXT);
  const line = await lineOf(response);
  expect(attemptsOf(line)).toEqual([
    "traced:upstream_529",
    "traced-2:error_event",
    "narrow:skipped_context",
    "coder-14b:ok",
  ]);
  const attempts = objectsOf(line["attempts"]);
  expect(attempts.map((attempt) => attempt["status"] ?? null)).toEqual([529, expect.any(Number), null, 200]);
  for (const attempt of attempts) expect(attempt["ms"]).toBeNumber();
  const [refused, failed, , served] = attempts;
  // The refused one cost nothing, the one that began had read the prompt, the local one is free.
  expect([refused!["usd"], served!["usd"]]).toEqual([0, 0]);
  expect(Number(failed!["usd"])).toBeGreaterThan(0);
  expect(line["usd"]).toBe(failed!["usd"] as number);
  expect([line["served_by"], line["local"], line["route"]]).toEqual(["coder-14b", true, "trace"]);
});
