import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { Gate } from "../fakes/gate.ts";
import { dialects, loneModels, modelOf, post, readThenOpen, type TestDialect } from "../fakes/house.ts";
import { objectOf } from "../fakes/json-access.ts";
import type { FakeAnswer } from "../fakes/script.ts";
import { MeteredHouse, usdOf } from "./metered-house.ts";
import { rule } from "./rule.ts";
import { messagesStream } from "./usage-fixtures.ts";

setDefaultTimeout(30_000);

let metered: MeteredHouse;
const ways = ["soon", "cut", "left", "errs", "fails", "thinks"] as const;

beforeAll(async () => {
  metered = await MeteredHouse.start({
    config: ({ cloud }) => {
      const names = dialects.flatMap((dialect) => ways.map((way) => ({ name: `${way}-${dialect}`, dialect })));
      return {
        ...loneModels(names.map((lone) => ({ ...lone, origin: cloud }))),
        // A cut stream stays cut, so that what it costs can be seen.
        stream: { takeover: "off" },
      };
    },
  });
});
afterAll(async () => {
  await metered[Symbol.asyncDispose]();
});

const text = "word ".repeat(400);
const streamed = { extra: { stream: true } };

rule(224, "A cut stream costs its prompt as told, its output as seen, and hidden thinking by its time", async () => {
  const { house } = metered;
  const usage = { input: 1000, cacheRead: 4000, output: 500 };
  for (const dialect of dialects) {
    const gate = new Gate();
    gate.release(60);
    house.cloud.script.push({ answer: { text, usage }, cut: { at: { event: 60 }, how: "destroy" }, gate });
    const cut = await post(house.gateway, dialect, { model: `cut-${dialect}`, ...streamed });
    await readThenOpen(cut, gate);

    // So few words that the one token of the opening could be all of them.
    const early = new Gate();
    early.release(8);
    house.cloud.script.push({
      answer: { text, usage, pieceLength: 5 },
      cut: { at: { event: 8 }, how: "end" },
      gate: early,
    });
    const soon = await post(house.gateway, dialect, { model: `soon-${dialect}`, ...streamed });
    await readThenOpen(soon, early);

    const telling = new Gate();
    telling.release(60);
    house.cloud.script.push({ answer: { text, usage }, errorEvent: { afterEvents: 60 }, gate: telling });
    const errs = await post(house.gateway, dialect, { model: `errs-${dialect}`, ...streamed });
    await readThenOpen(errs, telling);

    const waiting = new Gate();
    waiting.release(60);
    house.cloud.script.push({ answer: { text, usage }, gate: waiting });
    const leaving = new AbortController();
    const left = await post(house.gateway, dialect, {
      model: `left-${dialect}`,
      ...streamed,
      signal: leaving.signal,
    });
    await left.body!.getReader().read();
    leaving.abort();
    await house.cloud.generations.at(-1)!.aborted;

    for (const [response, outcome] of [
      [soon, "cut_stream"],
      [cut, "cut_stream"],
      [errs, "error_event"],
      [left, "client_gone"],
    ] as const) {
      const bill = await metered.lineOf(response);
      expect(bill.attempts).toMatchObject([{ outcome }]);
      expect(bill.usage["source"]).toBe("counted");
      // Anthropic tells the prompt at the start; OpenAI tells nothing until the end.
      if (dialect === "messages") expect(bill.usage).toMatchObject({ input: 1000, cache_read: 4000 });
      expect(Number(bill.usage["input"])).toBeGreaterThan(0);
      expect(Number(bill.usage["output"])).toBeGreaterThan(1);
      expect(Number(bill.usage["output"])).toBeLessThan(400);
      expect(bill.line.usd).toBeGreaterThan(0);
    }

    // Nothing was seen, and yet a model that does not show its thinking has worked.
    house.cloud.script.push({ stall: "before_headers" });
    const before = house.cloud.generations.length;
    const known = house.gateway.auditLines().length;
    const impatient = new AbortController();
    const model = `thinks-${dialect}`;
    const call = post(house.gateway, dialect, { model, ...streamed, signal: impatient.signal }).catch(() => null);
    await house.cloud.arrived(before + 1);
    impatient.abort();
    expect(await call).toBeNull();
    await house.gateway.auditLine((one) => one.seq > known && one["requested_model"] === model);
    const stats = objectOf(JSON.parse(await (await fetch(`${house.gateway.url}/stats`)).text()));
    expect(Number(objectOf(objectOf(stats?.["models"])?.[model])?.["output_tokens"])).toBeGreaterThan(0);
  }
});

rule(
  225,
  "Every attempt of a request is metered: the cloud's part at its price, the local answer at none",
  async () => {
    const { house } = metered;
    const before = await house.gateway.stats();
    // It read the prompt, and failed before a word of the answer.
    const [opening] = messagesStream({ input_tokens: 2000, cache_read_input_tokens: 500, output_tokens: 1 }, []);
    const error = 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n';
    const bill = await metered.bill("messages", "fails-messages", { rawBody: [opening!, error] }, streamed);
    expect(bill.attempts).toMatchObject([
      { candidate: "fails-messages", outcome: "error_event", usd: usdOf([2000, 3], [500, 0.3], [1, 15]) },
      { candidate: "coder-14b", outcome: "ok", usd: 0 },
    ]);
    expect(bill.line).toMatchObject({
      usd: usdOf([2000, 3], [500, 0.3], [1, 15]),
      served_by: "coder-14b",
      local: true,
    });
    expect(bill.usage).toMatchObject({ input: 21, output: 13, source: "upstream" });
    const after = await house.gateway.stats();
    const used = (after.agents["default"]?.input_tokens ?? 0) - (before.agents["default"]?.input_tokens ?? 0);
    expect(used).toBe(2000 + 500 + 21);
    const models = objectOf(JSON.parse(await (await fetch(`${house.gateway.url}/stats`)).text()).models);
    expect(models).toMatchObject({
      "fails-messages": { requests: 1, input_tokens: 2500, output_tokens: 1 },
      "coder-14b": { requests: 1, spent_usd: 0, input_tokens: 21, output_tokens: 13 },
    });
  },
);

rule(226, "After a fallback the client's usage is one set: its prompt once, and the output that it got", async () => {
  const { house } = metered;
  for (const dialect of dialects) {
    for (const stream of [false, true]) {
      house.cloud.script.push({ refuse: { status: 500, body: {} } });
      house.local.script.push({ answer: { usage: { input: 777, output: 55 } } });
      const asked = dialect === "chat" && stream ? { stream_options: { include_usage: true } } : {};
      const extra = { stream, ...asked };
      const bill = await metered.ask(dialect, modelOf[dialect], { extra });
      expect(bill.line["served_by"]).toBe("coder-14b");
      const last = usagesIn(bill.text, stream).at(-1);
      const [input, output] =
        dialect === "chat" ? ["prompt_tokens", "completion_tokens"] : ["input_tokens", "output_tokens"];
      expect({ dialect, stream, input: last?.[input!], output: last?.[output!] }).toEqual({
        dialect,
        stream,
        input: 777,
        output: 55,
      });
    }
  }
});

/** Every object under the name `usage` that says something, in order. */
function usagesIn(answer: string, stream: boolean): JsonObject[] {
  const texts = stream
    ? answer.split("\n").flatMap((line) => (line.startsWith("data: {") ? line.slice(6) : []))
    : [answer];
  return texts.flatMap((one) => {
    const event = objectOf(JSON.parse(one));
    const holders = [event, objectOf(event?.["message"]), objectOf(event?.["response"])];
    return holders.map((holder) => objectOf(holder?.["usage"])).filter((usage) => usage !== null);
  });
}

rule(232, "Metering holds no byte back: each piece is with the client before the next one is sent", async () => {
  const { house } = metered;
  for (const dialect of dialects) {
    const gate = new Gate();
    house.cloud.script.push({ answer: { text: "abcdefgh".repeat(5) }, gate });
    // What comes before the first word is sent on with it.
    const openings = { messages: 3, chat: 2, responses: 5 }[dialect];
    gate.release(openings);
    const response = await post(house.gateway, dialect, { model: modelOf[dialect], ...streamed });
    const reader = response.body!.getReader();
    const decoder = new TextDecoder();
    let seen = "";
    for (let piece = 1; piece <= 5; piece++) {
      while (seen.split("abcdefgh").length - 1 < piece) {
        const { value, done } = await reader.read();
        expect(done).toBe(false);
        seen += decoder.decode(value, { stream: true });
      }
      expect(seen.split("abcdefgh").length - 1).toBe(piece);
      gate.release(1);
    }
    gate.release(Infinity);
    while (!(await reader.read()).done) continue;
    expect((await metered.lineOf(response)).usage).toMatchObject({ input: 21, output: 13, source: "upstream" });
  }
});

rule(233, "The same answer is metered alike, streamed or whole, passed on or translated", async () => {
  const usage = { input: 1234, output: 567, cacheRead: 890, reasoning: 12 };
  const answers: readonly FakeAnswer[] = [
    { usage },
    { usage, thinking: "Let me think about it.", text: "Rain." },
    { usage, text: "I look.", toolCalls: [{ name: "look", input: { at: "sky" } }] },
    { usage, toolCalls: [1, 2].map((day) => ({ name: "look", input: { day } })) },
    { usage, text: "cut sho", stop: "length" },
    { usage: { ...usage, cacheWrite: 300 }, text: "Written." },
  ];
  const served: readonly [string, TestDialect][] = [
    ["claude-sonnet-4-5", "messages"],
    ["gpt-4o-mini", "chat"],
    ["gpt-4o-mini", "responses"],
    ["openrouter/openai/gpt-4o-mini", "chat"],
  ];
  for (const [at, answer] of answers.entries()) {
    for (const [model, upstream] of served) {
      // OpenAI has a door for each of its dialects; all that it does not know comes in by the Responses door.
      const clients = dialects.filter(
        (one) => model !== "gpt-4o-mini" || one === upstream || (one === "messages" && upstream === "responses"),
      );
      const bills: JsonObject[] = [];
      for (const client of clients) {
        for (const stream of [false, true]) {
          const { line, usage: counted } = await metered.bill(client, model, { answer }, { extra: { stream } });
          // Anthropic's own fake tells no reasoning apart.
          bills.push({ usd: line.usd, ...counted, reasoning: 0 });
        }
      }
      for (const bill of bills) expect({ at, upstream, ...bill }).toEqual({ at, upstream, ...bills[0]! });
      expect(bills[0]).toMatchObject({ output: 567, cache_read: 890, source: "upstream" });
      const written = answer.usage !== "missing" && answer.usage?.cacheWrite !== undefined ? 300 : 0;
      const { input, cache_write } = bills[0]!;
      expect(Number(input) + Number(cache_write)).toBe(1234 + written);
    }
  }
});
