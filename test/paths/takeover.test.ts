// A stream that breaks off is carried on at home: when it is, when it is not, and what the books say.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { continuing } from "../fakes/continuing-model.ts";
import { Gate } from "../fakes/gate.ts";
import { loneModels, post, readThenOpen, startHouse, type House } from "../fakes/house.ts";
import { objectOf, objectsOf, textOf } from "../fakes/json-access.ts";
import type { Step } from "../fakes/script.ts";
import { attemptsOf, eventually, tokenOf, type AuditLine } from "../harness.ts";
import { answerText, StreamReading } from "../wire/stream-reading.ts";

setDefaultTimeout(60_000);

const WHOLE = "Once upon a time there was a gateway that never told anybody how often its clouds had failed.";
const LONG = Array.from({ length: 120 }, (_, n) => `Sentence ${n} says something about ${n * 7}. `).join("");
const refusing: Step = { refuse: { status: 500, body: { error: { message: "no" } } } };

interface Asked {
  readonly text: string;
  readonly body: string;
  readonly line: AuditLine;
  readonly outcomes: readonly string[];
}

let house: House;
let number = 0;
beforeAll(async () => {
  house = await startHouse({ config: ({ cloud, local }) => configOf(cloud, local) });
});
afterAll(async () => house[Symbol.asyncDispose]());

function configOf(cloud: string, local: string): Record<string, unknown> {
  const lone = loneModels(
    Array.from({ length: 30 }, (_, n) => ({
      name: `cloud-${n}`,
      dialect: "messages",
      origin: cloud,
      provider: { timeouts: { idle: "300ms" } },
    })),
  );
  return {
    providers: { ...lone.providers, mlx: { url: `${local}/v1`, dialects: ["chat"], local: true, key: "none" } },
    models: { ...lone.models, "in-one-piece": { provider: "mlx", model: "in-one-piece:7b", context: 32_768 } },
    fallback: ["coder-14b", "in-one-piece"],
    agents: {
      poor: { daily_usd: 0.035, tokens: [tokenOf("poor").hash] },
      strict: { daily_usd: 0.035, over_budget: "refuse", tokens: [tokenOf("strict").hash] },
    },
  };
}

interface Asking {
  readonly house?: House;
  readonly agent?: string;
  readonly model?: string;
  readonly extra?: object;
  /** Of events before the client has its first byte. */
  readonly opened?: number;
}

async function ask(step: Step, asking: Asking = {}): Promise<Asked> {
  const { gateway, cloud } = asking.house ?? house;
  const model = asking.model ?? `cloud-${number++}`;
  const gate = new Gate();
  gate.release(asking.opened ?? 6);
  cloud.script.push({ ...step, gate });
  const headers = asking.agent === undefined ? {} : { "x-api-key": tokenOf(asking.agent).token };
  const response = await post(gateway, "messages", { model, headers, extra: { stream: true, ...asking.extra } });
  const body = await readThenOpen(response, gate);
  const line = await gateway.auditLine((one) => one["requested_model"] === model);
  const outcomes = attemptsOf(line).map((attempt) => attempt.slice(attempt.lastIndexOf(":") + 1));
  return { text: answerText("messages", body), body, line, outcomes };
}

const cut: Step = { answer: { text: WHOLE }, cut: { at: { event: 6 }, how: "end" } };

describe("a stream that breaks off", () => {
  test("is carried on where its connection broke, where it went silent, and where the provider told an error", async () => {
    const ends: readonly (readonly [Step, string])[] = [
      [cut, "cut_stream"],
      [{ answer: { text: WHOLE }, cut: { at: { event: 6 }, how: "close" } }, "cut_stream"],
      [{ answer: { text: WHOLE }, cut: { at: { event: 6 }, how: "destroy" } }, "cut_stream"],
      [{ answer: { text: WHOLE }, stall: { afterEvents: 6 } }, "timeout_idle"],
      [{ answer: { text: WHOLE }, errorEvent: { afterEvents: 6, type: "overloaded_error" } }, "error_event"],
    ];
    for (const [step, reason] of ends) {
      house.local.respond = continuing(WHOLE);
      const answer = await ask(step);
      expect([reason, answer.text, answer.outcomes]).toEqual([reason, WHOLE, ["taken_over", "ok"]]);
      expect(objectsOf(answer.line["attempts"])[0]?.["note"]).toBe(reason);
      expect([answer.line.outcome, answer.line["served_by"], answer.line["local"]]).toEqual(["ok", "coder-14b", true]);
      expect(answer.line["bytes_out"]).toBe(Buffer.byteLength(answer.body));
    }
  });

  test("is carried on once: where the second one dies, too, the client is told", async () => {
    const gates = [new Gate(), new Gate()] as const;
    gates[0].release(6);
    gates[1].release(6);
    const model = `cloud-${number++}`;
    house.cloud.script.push({ ...cut, gate: gates[0] });
    house.local.respond = (request) => ({
      ...continuing(WHOLE)(request),
      cut: { at: { event: 6 }, how: "close" },
      gate: gates[1],
    });
    const reading = new StreamReading(await post(house.gateway, "messages", { model, extra: { stream: true } }));
    const textReaches = (length: number): Promise<void> =>
      reading.until(() => answerText("messages", reading.text).length >= length);
    await textReaches(1);
    gates[0].release(Infinity);
    // Four pieces of eight characters came from the cloud.
    await textReaches(40);
    gates[1].release(Infinity);
    const body = await reading.toEnd();
    const line = await house.gateway.auditLine((one) => one["requested_model"] === model);
    expect(attemptsOf(line)).toEqual([`${model}:taken_over`, "coder-14b:cut_stream"]);
    expect(body).toContain("event: error\n");
    expect(body).not.toContain("message_stop");
    expect(WHOLE.startsWith(answerText("messages", body))).toBe(true);
    expect([line.outcome, line["bytes_out"]]).toEqual(["upstream_error", Buffer.byteLength(body)]);
  });

  test("goes to the next local model where the first one fails or starts over", async () => {
    const longer = `${WHOLE} ${WHOLE}`;
    house.local.respond = (request) => {
      if (textOf(request.json()["model"]) === "in-one-piece:7b") return continuing(longer)(request);
      return { answer: { text: `${WHOLE.slice(0, 60)} that told everybody everything.` } };
    };
    const events = { answer: { text: longer }, cut: { at: { event: 12 }, how: "end" } } as const;
    const answer = await ask(events, { opened: 12 });
    expect([answer.text, answer.outcomes]).toEqual([longer, ["taken_over", "error_event", "ok"]]);
    expect(objectsOf(answer.line["attempts"])[1]?.["note"]).toBe("it started the answer over");
  });

  test("is carried on by a server that streams no tool calls, in one piece", async () => {
    const tools = [{ name: "ls", description: "Lists.", input_schema: { type: "object", properties: {} } }];
    house.local.respond = (request) => {
      if (textOf(request.json()["model"]) !== "in-one-piece:7b") return refusing;
      expect(request.json()["stream"]).not.toBe(true);
      const step = continuing(WHOLE)(request);
      return { answer: { ...step.answer, toolCalls: [{ name: "ls", input: { path: "/" } }] } };
    };
    const answer = await ask(cut, { extra: { tools } });
    expect([answer.text, answer.outcomes]).toEqual([WHOLE, ["taken_over", "upstream_500", "ok"]]);
    expect(answer.body).toContain('"name":"ls"');
    expect(answer.body).toContain('"stop_reason":"tool_use"');
  });

  test("is not carried on around a refusal of the request itself", async () => {
    house.local.respond = continuing(WHOLE);
    const answer = await ask({
      answer: { text: WHOLE },
      errorEvent: { afterEvents: 6, type: "invalid_request_error", message: "against our policy" },
    });
    expect(answer.outcomes).toEqual(["error_event"]);
    expect(answer.body).toContain("against our policy");
  });

  test("ends in the upstream's own words where nobody goes on", async () => {
    house.local.respond = refusing;
    const answer = await ask({
      answer: { text: WHOLE },
      errorEvent: { afterEvents: 6, type: "overloaded_error", message: "Overloaded, these are my words" },
    });
    expect(answer.outcomes).toEqual(["error_event", "upstream_500", "upstream_500"]);
    expect(answer.body).toContain("these are my words");
    expect(answer.line["bytes_out"]).toBe(Buffer.byteLength(answer.body));
  });

  test("goes on at home where the budget ends in its middle, and the provider is not blamed", async () => {
    house.local.respond = continuing(LONG);
    const answer = await ask(
      { answer: { text: LONG }, stall: { afterEvents: 400 } },
      { agent: "poor", model: "claude-sonnet-4-5", extra: { max_tokens: 4_000 } },
    );
    expect(answer.outcomes).toEqual(["taken_over", "ok"]);
    expect(objectsOf(answer.line["attempts"])[0]?.["note"]).toBe("cut_stream: the budget is used up");
    expect(answer.text).toBe(LONG);
    const poor = (await house.gateway.stats()).agents["poor"];
    expect(poor!.spent_usd).toBeLessThanOrEqual(poor!.daily_usd);
    expect(poor!.held_usd).toBe(0);
  });

  test("of an agent that is refused over its budget ends there", async () => {
    house.local.respond = continuing(LONG);
    const answer = await ask(
      { answer: { text: LONG }, stall: { afterEvents: 400 } },
      { agent: "strict", model: "claude-sonnet-4-5-20250929", extra: { max_tokens: 4_000 } },
    );
    expect(answer.outcomes).toEqual(["cut_stream"]);
    expect(answer.line.outcome).toBe("refused_budget");
    expect(answer.body).toContain("event: error\n");
  });

  test("whose client leaves while the local model is asked frees that model at once", async () => {
    house.local.respond = { stall: "before_headers" };
    const model = `cloud-${number++}`;
    const gate = new Gate();
    gate.release(6);
    house.cloud.script.push({ ...cut, gate });
    const before = house.local.generations.length;
    const reading = new StreamReading(await post(house.gateway, "messages", { model, extra: { stream: true } }));
    await reading.until((events) => events.some((event) => event.name === "content_block_delta"));
    gate.release(Infinity);
    // What becomes of the cloud is seen by who reads on.
    const rest = reading.toEnd();
    const waiting = await eventually(() => {
      const request = house.local.generations[before];
      if (request === undefined) throw new Error("the local model was not asked");
      return request;
    });
    await reading.leave();
    await waiting.aborted;
    await rest;
    const line = await house.gateway.auditLine((one) => one["requested_model"] === model);
    expect([line.outcome, attemptsOf(line).at(-1)]).toEqual(["client_gone", "coder-14b:client_gone"]);
    await eventually(async () => expect((await house.gateway.stats()).in_flight).toBe(0));
  });
});

describe("with takeover switched off", () => {
  test("a stream that breaks off ends in the error event, and tool calls are passed on as they come", async () => {
    await using plain = await startHouse({
      config: ({ cloud, local }) => ({ ...configOf(cloud, local), stream: { takeover: "off" } }),
    });
    plain.local.respond = continuing(WHOLE);
    const answer = await ask(cut, { house: plain });
    expect(answer.outcomes).toEqual(["cut_stream"]);
    expect(answer.body).toContain("event: error\n");
    const call = { text: "", toolCalls: [{ name: "ls", input: { path: "/a/long/path/that/is/cut" } }] };
    const half = await ask({ answer: call, cut: { at: { event: 4 }, how: "close" } }, { house: plain, opened: 4 });
    expect(half.body).toContain('"name":"ls"');
    expect(objectOf(objectsOf(half.line["attempts"])[0])?.["outcome"]).toBe("cut_stream");
  });
});
