// Who goes away, and who stays behind: clients that hang up, upstreams that hang up, clients that read slowly.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { connect } from "node:net";
import { Gate } from "../fakes/gate.ts";
import {
  dialects,
  loneModels,
  post,
  readThenOpen,
  smallBody,
  startHouse,
  type House,
  type LoneModel,
} from "../fakes/house.ts";
import { FakeProvider, type RecordedRequest } from "../fakes/provider.ts";
import { requestBytes } from "../fakes/raw-client.ts";
import { DEFAULT_TEXT, type Step } from "../fakes/script.ts";
import { attemptsOf, eventually, type AuditLine } from "../harness.ts";
import { rule } from "./rule.ts";
import { answerText, eventsOf, StreamReading } from "./stream-reading.ts";

setDefaultTimeout(30_000);

const ways = [true, false].flatMap((stream) => dialects.map((dialect) => ({ dialect, stream })));

let origin: FakeProvider;
let house: House;
beforeAll(async () => {
  origin = await FakeProvider.start({ lenient: true });
  const models: Omit<LoneModel, "origin">[] = [
    // One place: what is not given back keeps the next request out.
    ...dialects.map((dialect) => ({ name: `left-${dialect}`, dialect, provider: { limits: { concurrent: 1 } } })),
    ...dialects.map((dialect) => ({ name: `dying-${dialect}`, dialect })),
    ...[true, false].map((stream) => ({
      name: `busy-${stream}`,
      dialect: "chat" as const,
      provider: { retry: { attempts: 3 } },
    })),
    { name: "failing", dialect: "chat" },
    { name: "large", dialect: "chat" },
    { name: "erring", dialect: "chat" },
  ];
  house = await startHouse({
    config: {
      ...loneModels(models.map((model) => ({ origin: origin.url, ...model }))),
      stream: { keep_alive: "40ms" },
      fallback: [],
      routes: [{ name: "to-the-cellar", when: { model: "failing" }, use: ["failing", "coder-14b"] }],
    },
  });
});
afterAll(async () => {
  await house[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
});
afterEach(() => {
  origin.script.length = 0;
});

/** The newest request at a provider, once it has got another one. */
async function nextAt(provider: FakeProvider, act: () => void): Promise<RecordedRequest> {
  const count = provider.generations.length;
  act();
  await provider.arrived(count + 1);
  return provider.generations[count]!;
}

function lines(model: string): readonly AuditLine[] {
  return house.gateway.auditLines().filter((line) => line["requested_model"] === model);
}

/** What the newest of `count` lines of that model says. */
async function lineNumber(count: number, model: string): Promise<AuditLine> {
  return eventually(() => {
    const found = lines(model);
    if (found.length !== count) throw new Error(`${found.length} lines of ${model}, not ${count}`);
    return found.at(-1)!;
  });
}

rule(
  247,
  "a client that hangs up ends the upstream call at once, in every phase, and its place is free again",
  async () => {
    const silent: readonly Step[] = [
      { stall: "before_headers" },
      { stall: "after_headers" },
      { stall: { afterEvents: 4 } },
    ];
    const seen = new Map<string, number>();
    for (const { dialect, stream } of ways) {
      for (const step of silent.slice(0, stream ? 3 : 2)) {
        const model = `left-${dialect}`;
        const client = new AbortController();
        const request = await nextAt(origin, () => {
          origin.script.push(step);
          post(house.gateway, dialect, { model, extra: { stream }, signal: client.signal }).then(
            (response) => response.text().catch(() => undefined),
            () => undefined,
          );
        });
        client.abort();
        await request.aborted;
        const count = (seen.get(model) ?? 0) + 1;
        const line = await lineNumber(count, model);
        expect([line.outcome, attemptsOf(line)]).toEqual(["client_gone", [`${model}:client_gone`]]);
        const next = await post(house.gateway, dialect, { model });
        expect(next.status).toBe(200);
        await next.text();
        await lineNumber(count + 1, model);
        seen.set(model, count + 1);
      }
    }
  },
);

rule(248, "a client that hangs up while we wait to try again, or while the fallback works, ends that too", async () => {
  for (const stream of [true, false]) {
    const client = new AbortController();
    const request = await nextAt(origin, () => {
      origin.script.push({ refuse: { status: 429, headers: { "retry-after": "9" } } });
      post(house.gateway, "chat", { model: `busy-${stream}`, extra: { stream }, signal: client.signal }).then(
        (response) => response.text().catch(() => undefined),
        () => undefined,
      );
    });
    await eventually(() => expect(request.state).toBe("answered"));
    const asked = origin.generations.length;
    client.abort();
    // The wait is longer than the patience of this check.
    expect((await lineNumber(1, `busy-${stream}`)).outcome).toBe("client_gone");
    expect(origin.generations.length).toBe(asked);
  }

  for (const [index, stream] of [true, false].entries()) {
    origin.script.push({ refuse: { status: 500 } });
    const client = new AbortController();
    const local = await nextAt(house.local, () => {
      house.local.script.push({ stall: "before_headers" });
      post(house.gateway, "chat", { model: "failing", extra: { stream }, signal: client.signal }).then(
        async (response) => {
          // The line is open already: leaving is no different.
          const reading = new StreamReading(response);
          await reading.keepAlives("chat", 2);
          client.abort();
        },
        () => undefined,
      );
    });
    if (!stream) client.abort();
    await local.aborted;
    const line = await lineNumber(index + 1, "failing");
    expect([line.outcome, attemptsOf(line)]).toEqual([
      "client_gone",
      ["failing:upstream_500", "coder-14b:client_gone"],
    ]);
  }
});

rule(
  249,
  "an upstream that closes politely in the middle of its answer has died like one that breaks off",
  async () => {
    const ends = ["end", "close", "destroy"] as const;
    for (const dialect of dialects) {
      const model = `dying-${dialect}`;
      for (const [index, how] of ends.entries()) {
        const gate = new Gate();
        const event = { messages: 4, chat: 3, responses: 6 }[dialect];
        gate.release(event);
        origin.script.push({ cut: { at: { event }, how }, gate });
        const response = await post(house.gateway, dialect, { model, extra: { stream: true } });
        const text = await readThenOpen(response, gate);
        expect(text).not.toMatch(/message_stop|\[DONE\]|response\.completed/);
        expect(eventsOf(text).at(-1)!.text).toMatch(/"error"/);
        expect(answerText(dialect, text)).not.toBe(DEFAULT_TEXT);
        const line = await lineNumber(index + 1, model);
        expect([line.outcome, attemptsOf(line)]).toEqual(["upstream_error", [`${model}:cut_stream`]]);
      }
    }
  },
);

rule(254, "a client that reads slowly slows the upstream down, and nothing piles up in between", async () => {
  const piece = JSON.stringify({
    choices: [{ index: 0, delta: { content: "x".repeat(500_000) }, finish_reason: null }],
  });
  const chunks = 160;
  const end = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';
  origin.script.push({ rawBody: [...Array.from({ length: chunks }, () => `data: ${piece}\n\n`), end] });
  const body = smallBody("chat", "large", { stream: true, max_completion_tokens: 4_000_000 });
  const { hostname, port } = new URL(house.gateway.url);
  const socket = connect({ host: hostname, port: Number(port) });
  let received = 0;
  const first = Promise.withResolvers<void>();
  const last = Promise.withResolvers<void>();
  let tail = "";
  socket.on("data", (bytes: Buffer) => {
    received += bytes.length;
    tail = (tail + bytes.toString("latin1")).slice(-200);
    first.resolve();
    if (tail.includes("[DONE]")) last.resolve();
  });
  const request = await nextAt(origin, () => {
    socket.write(requestBytes(house.gateway.url, { path: "/v1/chat/completions", body }));
  });
  await first.promise;
  socket.pause();
  // Time enough for the upstream to write all of it, were there anybody to take it.
  for (let others = 0; others < 150; others++) {
    await (await post(house.gateway, "chat", { model: "gpt-4o-mini" })).text();
  }
  expect(request.state).toBe("answering");
  socket.resume();
  await last.promise;
  expect(received).toBeGreaterThan(chunks * 500_000);
  socket.destroy();
});

rule(255, "a connection stays open for the next request, also after a stream that ended in an error", async () => {
  const { hostname, port } = new URL(house.gateway.url);
  const socket = connect({ host: hostname, port: Number(port) });
  let received = "";
  let closed = false;
  const gate = new Gate();
  socket.on("data", (bytes: Buffer) => {
    received += bytes.toString("utf8");
    // The client has got the beginning.
    gate.release(Infinity);
  });
  socket.on("close", () => {
    closed = true;
  });
  const send = (model: string): void => {
    const body = smallBody("chat", model, { stream: true });
    const headers = { connection: null };
    socket.write(requestBytes(house.gateway.url, { path: "/v1/chat/completions", body, headers }));
  };
  const answered = async (count: number): Promise<void> =>
    eventually(() => expect(received.match(/\r\n0\r\n\r\n/g)?.length).toBe(count));
  gate.release(4);
  origin.script.push({ errorEvent: { afterEvents: 4 }, gate });
  send("erring");
  await answered(1);
  expect(received).toContain('"error"');
  for (let more = 2; more <= 4; more++) {
    send("erring");
    await answered(more);
  }
  expect(received.match(/HTTP\/1\.1 200/g)).toHaveLength(4);
  expect(received).not.toMatch(/\r\nconnection: close/i);
  expect(closed).toBe(false);
  socket.destroy();
});
