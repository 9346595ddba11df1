// What a stream of bytes is read as, whatever an upstream's habits of writing it are.

import { afterAll, beforeAll, expect, setDefaultTimeout } from "bun:test";
import { renderChat } from "../fakes/chat-wire.ts";
import { dialects, loneModels, post, startHouse, type House, type TestDialect } from "../fakes/house.ts";
import { renderMessages } from "../fakes/messages-wire.ts";
import { renderResponses } from "../fakes/responses-wire.ts";
import type { FakeAnswer, Step } from "../fakes/script.ts";
import { cut, parseChunks, referenceEvents } from "../fuzz/sse.ts";
import { rule } from "./rule.ts";
import { viewOf } from "./stream-text.ts";

setDefaultTimeout(30_000);

const text = "é – 预算 🦊👩‍🚀, and \u2028 too";
const answer: FakeAnswer = { thinking: "Grüße 🤔", text, pieceLength: 3 };
const golden: Readonly<Record<TestDialect, readonly string[]>> = {
  messages: renderMessages(answer, "m", 0).events,
  chat: renderChat(answer, "m", 0, true).events,
  responses: renderResponses(answer, "m", 0).events,
};
const lineEnds = { LF: "\n", CRLF: "\r\n", CR: "\r" } as const;

let house: House;
beforeAll(async () => {
  house = await startHouse({
    config: ({ cloud }) => ({
      ...loneModels(dialects.map((dialect) => ({ name: `over-${dialect}`, dialect, origin: cloud }))),
    }),
  });
});
afterAll(async () => house[Symbol.asyncDispose]());

/** The stream that a client of one dialect gets while the upstream of another does `step`. */
async function played(client: TestDialect, upstream: TestDialect, step: Step): Promise<string> {
  house.cloud.script.push(step);
  const response = await post(house.gateway, client, { model: `over-${upstream}`, extra: { stream: true } });
  expect(response.status).toBe(200);
  return response.text();
}

rule(159, "characters that are cut between their bytes come out whole, translated and passed through", async () => {
  for (const client of dialects) {
    for (const upstream of dialects) {
      const sse = await played(client, upstream, { answer: { text }, split: { sizes: [1] } });
      expect([client, upstream, viewOf(client, sse).text]).toEqual([client, upstream, text]);
      expect(sse).not.toContain("\ufffd");
    }
  }
});

rule(160, "lines may end in LF, CRLF or CR, and the bytes may be cut anywhere: the events are the same", async () => {
  for (const dialect of dialects) {
    const events = golden[dialect].map((event) => event.replaceAll("\u2028", "\\u2028"));
    for (const [name, lineEnd] of Object.entries(lineEnds)) {
      const bytes = new TextEncoder().encode(events.join("").replaceAll("\n", lineEnd));
      const expected = referenceEvents(events.join(""));
      for (let size = 1; size <= 17; size += 1) {
        const seen = parseChunks(cut(bytes, () => size)).events.map(({ event, data }) => ({ event, data }));
        expect({ dialect, name, size, seen }).toEqual({ dialect, name, size, seen: expected });
      }
      for (const size of [5, 7]) {
        const rawBody = events.map((event) => event.replaceAll("\n", lineEnd));
        const sse = await played("chat", dialect, { rawBody, split: { sizes: [size] } });
        expect(viewOf("chat", sse)).toMatchObject({ text, complete: true, errors: [] });
      }
    }
  }
});

/** The same stream in the oddest clothes that the standard allows. */
function dressed(event: string, index: number): string {
  const [first = "", ...rest] = event.trimEnd().split("\n");
  const lines = [first, ...rest].flatMap((line) => {
    if (!line.startsWith("data: ") || line === "data: [DONE]") return [line.replace(": ", ":")];
    // White space between JSON tokens may be a line end, so an event may have its data on two lines.
    const json = line.slice("data: ".length);
    return [`data:${json.slice(0, 1)}`, `data: ${json.slice(1)}`];
  });
  return `${index === 0 ? "\ufeff" : ""}: hello\nid: ${index}\nretry: 10\n${lines.join("\n")}\nnonsense\n\n:\n\n\n`;
}

rule(
  161,
  "data lines are joined, the space behind the colon is optional, comments, ids, retries and a byte order mark say nothing",
  async () => {
    for (const upstream of dialects) {
      const odd = golden[upstream].map(dressed);
      const plain = referenceEvents(golden[upstream].join("")).map(({ event, data }) => [event, valueOf(data)]);
      const seen = parseChunks([new TextEncoder().encode(odd.join(""))]).events.filter(({ data }) => data !== "");
      expect(seen.map(({ event, data }) => [event, valueOf(data)])).toEqual(plain);
      for (const client of dialects) {
        const sse = await played(client, upstream, { rawBody: odd });
        expect({ client, upstream, ...viewOf(client, sse) }).toMatchObject({ text, complete: true, errors: [] });
      }
    }
  },
);

function valueOf(data: string): unknown {
  return data === "[DONE]" ? data : JSON.parse(data);
}

rule(
  165,
  "an event may hold a picture of 10 MB, but what never ends is cut at a limit and answered elsewhere",
  async () => {
    const data = "iVBORw0KGgo".repeat(1_000_000);
    const picture = {
      type: "web_fetch_tool_result",
      tool_use_id: "srvtoolu_1",
      content: { type: "image", source: { type: "base64", media_type: "image/png", data } },
    };
    const start = `event: content_block_start\ndata: ${JSON.stringify({ type: "content_block_start", index: 0, content_block: picture })}\n\n`;
    const stop = 'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n';
    const [first = "", ...rest] = renderMessages({ text }, "m", 0).events.map((event) =>
      event.replace('"index":0', '"index":1'),
    );
    const large = await played("messages", "messages", { rawBody: [first, start, stop, ...rest] });
    expect(large.includes(start)).toBe(true);
    expect(viewOf("messages", large)).toMatchObject({ text, complete: true });
    for (const endless of [`data: ${"x".repeat(17_000_000)}`, "data: x\n".repeat(2_200_000)]) {
      const sse = await played("chat", "chat", { rawBody: [endless] });
      expect(house.local.generations.length).toBeGreaterThan(0);
      expect(viewOf("chat", sse)).toMatchObject({ complete: true, errors: [] });
    }
  },
);
