// Pictures, documents and search results of a Messages client, as servers of the chat dialect get them.

import { afterAll, beforeAll, expect } from "bun:test";
import type { JsonObject } from "../../src/wire/neutral.ts";
import { post, startHouse } from "../fakes/house.ts";
import { objectsOf, textOf } from "../fakes/json-access.ts";
import type { Step } from "../fakes/script.ts";
import { allKinds, attemptsIn, KindsHouse } from "./kinds-house.ts";
import { rule } from "./rule.ts";

let kinds: KindsHouse;
beforeAll(async () => {
  kinds = await KindsHouse.start();
});
afterAll(async () => kinds[Symbol.asyncDispose]());

const user = (...content: object[]): object => ({ role: "user", content });
const text = (words: string): JsonObject => ({ type: "text", text: words });
const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ";
const picture = { type: "image", source: { type: "base64", media_type: "image/png", data: png } };
const byUrl = { type: "image", source: { type: "url", url: "https://pictures.example/cat.png" } };
const dataUrl = { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } };
/** 500 once: unlike a 429 it does not keep the provider shut. */
const failing: Step = { refuse: { status: 500 } };

rule(
  8,
  "a picture in the request goes along as it is, one by address only to servers that fetch it themselves",
  async () => {
    for (const kind of allKinds) {
      const { messages } = await kinds.ask(kind, { messages: [user(text("What is it?"), picture, text("Say."))] });
      expect(messages[0]!["content"]).toEqual([text("What is it?"), dataUrl, text("Say.")]);
      const fetches = ["llamacpp", "vllm", "openai", "openrouter"].includes(kind);
      if (fetches) {
        const { messages: sent } = await kinds.ask(kind, { messages: [user(byUrl)] });
        expect(objectsOf(sent[0]!["content"])[0]!["image_url"]).toEqual({ url: byUrl.source.url });
      } else {
        const { status, attempts } = await kinds.askInVain(kind, { messages: [user(text("a"), byUrl)] });
        expect([status, attempts[0]?.endsWith(":skipped_policy")]).toEqual([400, true]);
      }
    }
  },
);

rule(9, "a file in Anthropic's storage is nothing to any other server: none of them is asked", async () => {
  const source = { type: "file", file_id: "file_011CNha8iCJcU1wXNR6q4V8w" };
  for (const kind of allKinds) {
    for (const part of [
      { type: "image", source },
      { type: "document", source },
    ]) {
      const { status, attempts } = await kinds.askInVain(kind, { messages: [user(text("Read it."), part)] });
      // A document may be longer than some windows, which is looked at first.
      expect([status, attempts[0]?.split(":").at(-1)]).toEqual([
        400,
        expect.stringMatching(/^skipped_(policy|context)$/),
      ]);
    }
  }
});

rule(
  10,
  "a model that its server calls blind is passed over for one that sees, and none is asked where all are blind",
  async () => {
    const abilities = {
      "blind:7b": { capabilities: ["completion", "tools"], loaded: 32_768 },
      "seer:7b": { capabilities: ["completion", "vision"], numCtx: 32_768 },
    };
    await using house = await startHouse({
      local: { models: Object.keys(abilities), abilities },
      config: {
        models: {
          "coder-14b": { provider: "ollama", model: "blind:7b" },
          eyes: { provider: "ollama", model: "seer:7b" },
        },
        fallback: ["coder-14b", "eyes"],
      },
    });
    const inResult = [
      { role: "user", content: "Look." },
      { role: "assistant", content: [{ type: "tool_use", id: "t1", name: "f", input: {} }] },
      user({ type: "tool_result", tool_use_id: "t1", content: [picture] }),
    ];
    for (const [messages, stream] of [
      [[user(text("What is it?"), picture)], false],
      [inResult, true],
    ] as const) {
      house.cloud.script.push(failing);
      const response = await post(house.gateway, "messages", { extra: { messages, stream } });
      expect(response.status).toBe(200);
      expect(await attemptsIn(house, response)).toEqual([
        "anthropic/claude-sonnet-4-5:upstream_500",
        "coder-14b:skipped_policy",
        "eyes:ok",
      ]);
      expect(house.local.generations.at(-1)!.json()["model"]).toBe("seer:7b");
    }
    const before = house.local.generations.length;
    for (const stream of [false, true]) {
      const extra = { messages: [user(picture)], stream };
      const response = await post(house.gateway, "messages", { model: "coder-14b", extra });
      expect(await attemptsIn(house, response)).toEqual(["coder-14b:skipped_policy", "eyes:ok"]);
    }
    expect(house.local.generations.slice(before).map((request) => request.json()["model"])).toEqual([
      "seer:7b",
      "seer:7b",
    ]);
    // The one that sees has no tools: nobody is left for both.
    const tools = [{ name: "f", input_schema: { type: "object", properties: {} } }];
    const neither = await post(house.gateway, "messages", {
      model: "coder-14b",
      extra: { messages: [user(picture)], tools, stream: true },
    });
    expect(neither.status).toBe(400);
    expect(neither.headers.get("x-should-retry")).toBe("false");
    expect(await neither.text()).toContain("takes everything that this request asks for");
    // What the server tells, `sanctum` and clients see too: the window is the one that is loaded.
    const list = (await (await fetch(`${house.gateway.url}/v1/models`)).json()) as { data: { id: string }[] };
    expect(list.data.map(({ id }) => id)).toContain("ollama/seer:7b");
  },
);

rule(
  11,
  "documents of text become text under their title; a PDF goes to servers that read one, and to no other",
  async () => {
    const plain = {
      type: "document",
      title: "Notes",
      context: "Of last week.",
      source: { type: "text", media_type: "text/plain", data: "Zeile 1\nZeile 2" },
      citations: { enabled: true },
    };
    const blocks = {
      type: "document",
      title: "Album",
      source: { type: "content", content: [text("before"), picture] },
    };
    const encoded = {
      type: "document",
      source: { type: "base64", media_type: "text/plain", data: Buffer.from("héllo").toString("base64") },
    };
    const pdf = {
      type: "document",
      title: "Bill",
      source: { type: "base64", media_type: "application/pdf", data: "JVBERi0xLjcK" },
    };
    for (const kind of allKinds) {
      // Ollama's window is known here, and a document counts as long as one can be.
      const decoded = kind === "ollama" ? [text("héllo")] : [encoded];
      const { messages } = await kinds.ask(kind, { messages: [user(plain, blocks, ...decoded)] });
      const parts = objectsOf(messages[0]!["content"]);
      const words = parts.map((part) => textOf(part["text"])).join("|");
      expect(words).toContain("# Notes\n\nOf last week.\n\nZeile 1\nZeile 2");
      expect(words).toContain("Album");
      expect(words).toContain("before");
      expect(words).toContain("héllo");
      expect(parts).toContainEqual(dataUrl);
      if (kind === "openai") {
        const { messages: sent } = await kinds.ask(kind, { messages: [user(pdf)] });
        const file = { filename: "Bill", file_data: "data:application/pdf;base64,JVBERi0xLjcK" };
        expect(sent[0]!["content"]).toEqual([{ type: "file", file }]);
      } else {
        const { status, attempts } = await kinds.askInVain(kind, { messages: [user(pdf)] });
        expect([status, attempts[0]?.split(":").at(-1)]).toEqual([400, expect.stringMatching(/^skipped_/)]);
      }
    }
  },
);

rule(12, "a search result is text under its title and where it comes from", async () => {
  const found = {
    type: "search_result",
    title: "Weather",
    source: "https://weather.example/oslo",
    content: [text("Rain."), text("Later sun.")],
    citations: { enabled: true },
    cache_control: { type: "ephemeral" },
  };
  const lines = "Weather\nSource: https://weather.example/oslo\nRain.\nLater sun.";
  const call = { type: "tool_use", id: "t1", name: "f", input: {} };
  for (const kind of allKinds) {
    const { messages } = await kinds.ask(kind, {
      messages: [
        user(found),
        { role: "assistant", content: [call] },
        user({ type: "tool_result", tool_use_id: "t1", content: [found] }),
      ],
    });
    expect(messages.map(({ content }) => content)).toEqual([lines, null, lines]);
  }
});

rule(20, "pictures in the result of a tool follow it as the user's, with the call that they belong to", async () => {
  const calls = ["t1", "t2"].map((id) => ({ type: "tool_use", id, name: "look", input: {} }));
  const result = (id: string, content: object[]): object => ({ type: "tool_result", tool_use_id: id, content });
  for (const kind of allKinds) {
    const { messages } = await kinds.ask(kind, {
      messages: [
        user(text("Look.")),
        { role: "assistant", content: calls },
        user(text("Well?"), result("t2", [picture]), result("t1", [text("seen"), picture])),
      ],
    });
    expect(messages.slice(2, 4)).toEqual([
      { role: "tool", tool_call_id: "t2", content: "" },
      { role: "tool", tool_call_id: "t1", content: "seen" },
    ]);
    const rest = messages.slice(4).flatMap(({ role, content }) => {
      expect(role).toBe("user");
      return typeof content === "string" ? [text(content)] : objectsOf(content);
    });
    const named = (id: string): JsonObject => text(`[attached to the result of tool call ${id}]`);
    const attached = [named("t2"), dataUrl, named("t1"), dataUrl];
    // Where turns are joined, what else the user said stands in the same message.
    expect([
      [...attached, text("Well?")],
      [text("Well?"), ...attached],
    ]).toContainEqual(rest);
  }
});
