import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createServer } from "node:net";
import { HOUSE_KEY, loneModels, startHouse, type House } from "../fakes/house.ts";
import { textOf } from "../fakes/json-access.ts";
import type { RecordedRequest } from "../fakes/provider.ts";
import type { FakeAnswer, Step } from "../fakes/script.ts";
import { sdkCalls, type CallResult } from "../fakes/sdk-calls.ts";
import { attemptsOf, tokenOf, type AuditLine } from "../harness.ts";

setDefaultTimeout(30_000);

const dialects = ["messages", "chat", "responses"] as const;
type TestDialect = (typeof dialects)[number];

/** What the cloud does, by the name of the failure, and what the audit line calls it. */
const failures: Readonly<Record<string, { step: Step; outcome: string }>> = {
  "a 429": {
    step: {
      refuse: {
        status: 429,
        headers: { "retry-after": "20" },
        body: { error: { type: "rate_limit_error", message: "slow" } },
      },
    },
    outcome: "upstream_429",
  },
  "a 500": {
    step: { refuse: { status: 500, body: { error: { type: "api_error", message: "oops" } } } },
    outcome: "upstream_500",
  },
  "a connect failure": { step: {}, outcome: "connect_failed" },
  "a first-byte timeout": { step: { stall: "before_headers" }, outcome: "timeout_first_byte" },
  "an error event before content": { step: { errorEvent: { afterEvents: 1 } }, outcome: "error_event" },
};
const direct = "nothing wrong";

interface Case {
  readonly dialect: TestDialect;
  readonly stream: boolean;
  readonly tools: boolean;
  readonly failure: string;
}

const cases: readonly Case[] = [direct, ...Object.keys(failures)].flatMap((failure) =>
  dialects.flatMap((dialect) =>
    [false, true].flatMap((stream) => [false, true].map((tools) => ({ dialect, stream, tools, failure }))),
  ),
);

/** Every case has a model and a provider of its own, so that no back-off of one case is seen by another. */
function nameOf(c: Case): string {
  const words = [c.failure, c.dialect, c.stream ? "streamed" : "whole", c.tools ? "tools" : "plain"].join(" ");
  return words.replaceAll(" ", "-").toLowerCase();
}

const cloudAnswer: FakeAnswer = { text: "Sunny, says the cloud." };
const localAnswer: FakeAnswer = { text: "Rainy, says the house.", usage: { input: 33, output: 17 } };
const toolCall = { name: "weather", input: { city: "Tromsø" } };

function answerFor(request: RecordedRequest, answer: FakeAnswer): Step {
  return { answer: request.json()["tools"] === undefined ? answer : { ...answer, toolCalls: [toolCall] } };
}

let house: House;

beforeAll(async () => {
  const closed = await closedPort();
  house = await startHouse({
    cloud: { respond: inTheCloud },
    local: { respond: (request) => answerFor(request, localAnswer) },
    config: ({ cloud }) => entriesFor(cloud, `http://127.0.0.1:${closed}`),
  });
});

afterAll(async () => {
  await house[Symbol.asyncDispose]();
});

async function closedPort(): Promise<number> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  const address = server.address();
  const closing = Promise.withResolvers<void>();
  server.close(() => closing.resolve());
  await closing.promise;
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

function inTheCloud(request: RecordedRequest): Step {
  const model = textOf(request.json()["model"]);
  const failure = Object.keys(failures).find((name) => model.startsWith(name.replaceAll(" ", "-")));
  if (failure === undefined) return answerFor(request, cloudAnswer);
  // A whole answer has no events: what comes before its content is an error in a 200.
  const whole = failure === "an error event before content" && request.json()["stream"] !== true;
  return whole ? { rawBody: '{"error":{"type":"overloaded_error","message":"Overloaded"}}' } : failures[failure]!.step;
}

function entriesFor(cloud: string, closed: string): Record<string, unknown> {
  const lone = cases.map((c) => ({
    name: nameOf(c),
    dialect: c.dialect,
    origin: c.failure === "a connect failure" ? closed : cloud,
    provider: { timeouts: { connect: "2s", first_byte: c.failure === "a first-byte timeout" ? "150ms" : "20s" } },
  }));
  return { ...loneModels(lone) };
}

const stops = {
  messages: { text: "end_turn", tools: "tool_use" },
  chat: { text: "stop", tools: "tool_calls" },
  responses: { text: "completed", tools: "completed" },
} as const;

async function call(c: Case): Promise<CallResult> {
  const { gateway } = house;
  const { token } = tokenOf("windu");
  return sdkCalls[c.dialect]({ baseUrl: gateway.url, model: nameOf(c), stream: c.stream, tools: c.tools, token });
}

async function auditOf(c: Case): Promise<AuditLine> {
  return house.gateway.auditLine((line) => line["requested_model"] === nameOf(c));
}

for (const failure of [direct, ...Object.keys(failures)]) {
  describe(failure === direct ? "the official SDK, with a healthy cloud" : `the official SDK, after ${failure}`, () => {
    for (const c of cases.filter((one) => one.failure === failure)) {
      const way = `${c.dialect}, ${c.stream ? "streamed" : "whole"}${c.tools ? ", with tools" : ""}`;
      if (failure === direct) test(`gets the cloud's answer: ${way}`, async () => checkDirect(c));
      else test(`gets the local model's answer as if nothing had happened: ${way}`, async () => checkFallback(c));
    }
  });
}

async function checkDirect(c: Case): Promise<void> {
  const result = await call(c);
  expect(result).toMatchObject({
    text: cloudAnswer.text,
    calls: c.tools ? [toolCall] : [],
    model: nameOf(c),
    stop: stops[c.dialect][c.tools ? "tools" : "text"],
    inputTokens: 21,
    outputTokens: 13,
  });
  const request = house.cloud.generations.find((one) => one.json()["model"] === nameOf(c));
  expect(request?.faults).toEqual([]);
  const line = await auditOf(c);
  expect(attemptsOf(line)).toEqual([`${nameOf(c)}:ok`]);
  expect(line).toMatchObject({
    agent: "windu",
    auth: "token",
    dialect: c.dialect,
    stream: c.stream,
    served_by: nameOf(c),
    local: false,
    outcome: "ok",
    status: 200,
    usage: { input: 21, output: 13, source: "upstream" },
    usd: 0.000258,
  });
}

async function checkFallback(c: Case): Promise<void> {
  const result = await call(c);
  expect(result).toMatchObject({
    text: localAnswer.text,
    calls: c.tools ? [toolCall] : [],
    model: nameOf(c),
    stop: stops[c.dialect][c.tools ? "tools" : "text"],
    inputTokens: 33,
    outputTokens: 17,
  });
  // The local fake gives 400 to what a local server would not take; its record says the same.
  const sent = house.local.generations.at(-1);
  expect(sent?.faults).toEqual([]);
  expect(sent?.json()).toMatchObject({ model: "qwen2.5-coder:14b", messages: [{ role: "system" }, { role: "user" }] });
  expect(sent?.text).not.toContain(HOUSE_KEY);
  const line = await auditOf(c);
  expect(attemptsOf(line)).toEqual([`${nameOf(c)}:${failures[c.failure]!.outcome}`, "coder-14b:ok"]);
  expect(line).toMatchObject({
    served_by: "coder-14b",
    local: true,
    outcome: "ok",
    status: 200,
    usage: { input: 33, output: 17 },
  });
}
