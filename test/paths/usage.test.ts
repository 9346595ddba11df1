import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Gate } from "../fakes/gate.ts";
import {
  dialects,
  loneModels,
  modelOf,
  post,
  readThenOpen,
  smallBody,
  startHouse,
  type House,
  type PostOptions,
  type TestDialect,
} from "../fakes/house.ts";
import { objectOf, parseObject } from "../fakes/json-access.ts";
import { renderChat } from "../fakes/chat-wire.ts";
import { renderMessages } from "../fakes/messages-wire.ts";
import { renderResponses } from "../fakes/responses-wire.ts";
import { rawPost } from "../fakes/raw-client.ts";
import type { FakeUsage, Rendered } from "../fakes/script.ts";
import type { AuditLine } from "../harness.ts";

setDefaultTimeout(30_000);

let house: House;

/** Fresh names, each with a provider of its own, for tests that break their provider. */
const spares = dialects.flatMap((dialect) =>
  Array.from({ length: 8 }, (_, number) => ({ name: `spare-${dialect}-${number}`, dialect })),
);

function spareOf(dialect: TestDialect): string {
  const at = spares.findIndex((spare) => spare.dialect === dialect);
  return spares.splice(at, 1)[0]!.name;
}

beforeAll(async () => {
  house = await startHouse({
    config: ({ cloud }) => {
      const lone = loneModels(spares.map((spare) => ({ ...spare, origin: cloud })));
      const price = { input: 3, output: 15, cache_read: 0.3, cache_write: 3.75 };
      return {
        // A cut stream stays cut, so that what it costs can be seen.
        stream: { takeover: "off" },
        providers: lone.providers,
        models: {
          ...lone.models,
          "my-messages": { provider: "anthropic", model: "claude-sonnet-4-5", price },
          "my-chat": { provider: "openai", model: "gpt-4o-mini", price },
          "my-responses": { provider: "openai", model: "gpt-4o-mini", price },
        },
      };
    },
  });
});

afterAll(async () => {
  await house[Symbol.asyncDispose]();
});

beforeEach(() => {
  house.cloud.respond = {};
});

async function ask(
  dialect: TestDialect,
  options: PostOptions = {},
): Promise<{ response: Response; line: () => Promise<AuditLine> }> {
  const response = await post(house.gateway, dialect, { model: `my-${dialect}`, ...options });
  const id = response.headers.get("x-sanctum-request-id");
  return { response, line: async () => house.gateway.auditLine((one) => one.id === id) };
}

const usage: FakeUsage = { input: 1000, output: 400, cacheRead: 2000, reasoning: 100 };
/** (1000 × 3 + 400 × 15 + 2000 × 0.3) / 10^6 USD. */
const usd = 0.0096;

function rendered(dialect: TestDialect, model: string, includeUsage: boolean): Rendered {
  const answer = { usage };
  if (dialect === "messages") return renderMessages(answer, model, 0);
  return dialect === "chat" ? renderChat(answer, model, 0, includeUsage) : renderResponses(answer, model, 0);
}

describe("the provider's own usage", () => {
  for (const dialect of dialects) {
    for (const stream of [false, true]) {
      test(`is what is charged and written down: ${dialect}, ${stream ? "streamed" : "whole"}`, async () => {
        house.cloud.respond = { answer: { usage } };
        const { response, line } = await ask(dialect, { extra: { stream } });
        await response.text();
        expect(await line()).toMatchObject({
          usage: { input: 1000, output: 400, cache_read: 2000, source: "upstream" },
          usd,
          price: "config",
        });
      });
    }
  }

  test("is asked for in every chat stream; its event reaches only the client that asked for it too", async () => {
    house.cloud.respond = { answer: { usage } };
    const silent = await (await ask("chat", { extra: { stream: true } })).response.text();
    expect(house.cloud.generations.at(-1)?.json()["stream_options"]).toEqual({ include_usage: true });
    expect(silent).not.toContain("prompt_tokens");
    expect(silent).toEndWith("data: [DONE]\n\n");
    const asked = { stream: true, stream_options: { include_usage: true } };
    const open = await (await ask("chat", { extra: asked })).response.text();
    expect(open).toContain('"prompt_tokens":3000');
    const refused = { stream: true, stream_options: { include_usage: false } };
    const { response, line } = await ask("chat", { extra: refused });
    expect(await response.text()).not.toContain("prompt_tokens");
    expect(await line()).toMatchObject({ usd, usage: { source: "upstream" } });
  });
});

describe("bytes that pass through in the same dialect", () => {
  for (const dialect of dialects) {
    for (const stream of [false, true]) {
      test(`are the provider's own but for the model: ${dialect}, ${stream ? "streamed" : "whole"}`, async () => {
        const asked = dialect === "chat" && stream ? { stream_options: { include_usage: true } } : {};
        const upstream = rendered(dialect, modelOf[dialect], true);
        house.cloud.respond = { rawBody: stream ? upstream.events : upstream.json };
        const { response } = await ask(dialect, { extra: { stream, ...asked } });
        const expected = rendered(dialect, `my-${dialect}`, true);
        expect(await response.text()).toBe(stream ? expected.events.join("") : expected.json);
      });
    }

    test(`the request's bytes are the client's own but for the model: ${dialect}`, async () => {
      // Spaces, escapes, order, numbers and unknown fields that a parse and a print would change.
      const fields = smallBody(dialect, `my-${dialect}`).slice(1);
      const body = `{ "x_unknown":  [1.0, 1e2, "\\u00e9\\/"],\n${fields}`;
      const answer = await rawPost(house.gateway.url, { path: pathOf(dialect), body });
      expect(answer.status).toBe(200);
      const sent = house.cloud.generations.at(-1)?.text ?? "";
      expect(sent).toBe(body.replace(`my-${dialect}`, modelOf[dialect]));
    });
  }
});

function pathOf(dialect: TestDialect): string {
  return { messages: "/v1/messages", chat: "/v1/chat/completions", responses: "/v1/responses" }[dialect];
}

describe("usage that is missing or a lie", () => {
  const lies: readonly [string, FakeUsage | "missing"][] = [
    ["missing", "missing"],
    ["negative", { input: -1000, output: -1000 }],
    ["not a number", { input: "null", output: "null" }],
    ["a text", { input: '"5"', output: '"5"' }],
    ["infinite", { input: "1e999", output: "1e999" }],
    ["zero", { input: 0, output: 0 }],
    ["absurdly large", { input: 900_000_000, output: 900_000_000 }],
    ["fractional", { input: 0.5, output: 0.5 }],
  ];
  for (const [name, lie] of lies) {
    for (const dialect of dialects) {
      test(`is replaced by a count, never by nothing: ${name}, ${dialect}`, async () => {
        house.cloud.respond = { answer: { usage: lie, text: "word ".repeat(1_000), pieceLength: 50 } };
        for (const stream of [false, true]) {
          const { response, line } = await ask(dialect, { extra: { stream } });
          await response.text();
          const entry = await line();
          expect(entry.usd).toBeGreaterThan(0);
          expect(entry.usd).toBeLessThan(0.1);
          expect(Number(objectOf(entry["usage"])?.["output"])).toBeGreaterThan(200);
        }
      });
    }
  }
});

describe("a stream that does not reach its end is paid for", () => {
  for (const dialect of dialects) {
    for (const how of ["destroy", "close", "end"] as const) {
      test(`when the provider cuts it (${how}): ${dialect}`, async () => {
        const gate = new Gate();
        gate.release(100);
        house.cloud.respond = { answer: { text: "word ".repeat(400) }, cut: { at: { event: 100 }, how }, gate };
        const { response, line } = await ask(dialect, { model: spareOf(dialect), extra: { stream: true } });
        const text = await readThenOpen(response, gate);
        expect(text).not.toContain("[DONE]");
        expect(text).not.toContain("message_stop");
        expect(text).not.toContain("response.completed");
        expect(text).toContain("error");
        const entry = await line();
        expect(entry.usd).toBeGreaterThan(0);
        expect(entry).toMatchObject({ attempts: [{ outcome: "cut_stream" }] });
        expect(entry.outcome).not.toBe("ok");
      });
    }

    test(`when the client goes away, and the provider is told at once: ${dialect}`, async () => {
      const gate = new Gate();
      gate.release(60);
      house.cloud.respond = { answer: { text: "word ".repeat(400) }, gate };
      const leaving = new AbortController();
      const { response, line } = await ask(dialect, {
        model: spareOf(dialect),
        extra: { stream: true },
        signal: leaving.signal,
      });
      const reader = response.body!.getReader();
      await reader.read();
      leaving.abort();
      await house.cloud.generations.at(-1)?.aborted;
      const entry = await line();
      expect(entry).toMatchObject({ outcome: "client_gone" });
      expect(entry.usd).toBeGreaterThan(0);
    });

    test(`when the client goes away before the first byte: ${dialect}`, async () => {
      house.cloud.respond = { stall: "before_headers" };
      const before = house.cloud.generations.length;
      const leaving = new AbortController();
      const call = ask(dialect, { model: spareOf(dialect), signal: leaving.signal }).catch(() => null);
      await house.cloud.arrived(before + 1);
      const known = house.gateway.auditLines().length;
      leaving.abort();
      await house.cloud.generations.at(-1)?.aborted;
      expect(await call).toBeNull();
      const entry = await house.gateway.auditLine((line) => line.seq > known && line.outcome === "client_gone");
      expect(entry.usd).toBeGreaterThan(0);
    });
  }
});

test("the answer names the model that was asked for, whoever answered and whatever it calls itself", async () => {
  house.cloud.respond = { answer: { model: "something-else-entirely" } };
  for (const dialect of dialects) {
    for (const name of [`my-${dialect}`, "coder-14b"]) {
      const { response } = await ask(dialect, { model: name });
      expect(parseObject(await response.text())["model"]).toBe(name);
      const streamed = await (await ask(dialect, { model: name, extra: { stream: true } })).response.text();
      expect(streamed).toContain(`"model":"${name}"`);
      expect(streamed).not.toContain("something-else-entirely");
      expect(streamed).not.toContain("qwen2.5-coder:14b");
    }
  }
});
