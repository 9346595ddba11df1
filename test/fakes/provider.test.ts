import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import { Gate } from "./gate.ts";
import { FakeProvider, type ProviderOptions } from "./provider.ts";
import { RemoteProvider } from "./remote-provider.ts";
import { DEFAULT_INPUT_TOKENS, DEFAULT_OUTPUT_TOKENS, DEFAULT_TEXT, type Step } from "./script.ts";
import { sdkCalls } from "./sdk-calls.ts";

setDefaultTimeout(15_000);

const dialects = ["messages", "chat", "responses"] as const;

async function withProvider(options: ProviderOptions, run: (provider: FakeProvider) => Promise<void>): Promise<void> {
  await using provider = await FakeProvider.start(options);
  await run(provider);
}

const chatBody = { model: "m", messages: [{ role: "user", content: "hi" }] };

async function postChat(provider: FakeProvider, extra: object = {}, signal?: AbortSignal): Promise<Response> {
  return fetch(`${provider.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...chatBody, ...extra }),
    ...(signal === undefined ? {} : { signal }),
  });
}

async function streamOf(step: Step): Promise<string> {
  await using provider = await FakeProvider.start({ respond: step });
  const response = await postChat(provider, { stream: true });
  // Awaited here: the provider goes at the end of this block.
  return await response.text();
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => null,
    (error: unknown) => error,
  );
}

describe("a scripted answer is what the official SDK understands", () => {
  for (const dialect of dialects) {
    for (const stream of [false, true]) {
      const way = `${dialect}, ${stream ? "streamed" : "whole"}`;
      test(`${way}: text, model, stop reason and usage arrive`, async () => {
        await withProvider({}, async (provider) => {
          const result = await sdkCalls[dialect]({ baseUrl: provider.url, model: "asked-model", stream, tools: false });
          expect(result).toMatchObject({
            text: DEFAULT_TEXT,
            calls: [],
            model: "asked-model",
            inputTokens: DEFAULT_INPUT_TOKENS,
            outputTokens: DEFAULT_OUTPUT_TOKENS,
          });
          expect(result.stop).toBe({ messages: "end_turn", chat: "stop", responses: "completed" }[dialect]);
          expect(provider.requests[0]?.faults).toEqual([]);
        });
      });

      test(`${way}: thinking, text and two tool calls arrive, whatever the bytes are split into`, async () => {
        const toolCalls = [
          { name: "weather", input: { city: "Oslo 🌧" } },
          { name: "weather", input: { city: "Ürümqi" } },
        ];
        const respond: Step = { answer: { thinking: "hmm", text: "Let me look.", toolCalls }, split: { seed: 7 } };
        await withProvider({ respond }, async (provider) => {
          const result = await sdkCalls[dialect]({ baseUrl: provider.url, model: "m", stream, tools: true });
          expect(result.text).toBe("Let me look.");
          expect(result.calls).toEqual(toolCalls);
        });
      });

      test(`${way}: a refusal is the SDK's own error with its status`, async () => {
        const respond: Step = {
          refuse: { status: 429, headers: { "retry-after": "7" }, body: { error: { message: "slow" } } },
        };
        await withProvider({ respond }, async (provider) => {
          const call = sdkCalls[dialect]({ baseUrl: provider.url, model: "m", stream, tools: false });
          expect(await failureOf(call)).toMatchObject({ status: 429 });
        });
      });
    }

    test(`${dialect}: an error event in the stream is the SDK's error`, async () => {
      await withProvider(
        { respond: { errorEvent: { afterEvents: 3, message: "overloaded now" } } },
        async (provider) => {
          const call = sdkCalls[dialect]({ baseUrl: provider.url, model: "m", stream: true, tools: false });
          expect(String(await failureOf(call))).toContain("overloaded now");
        },
      );
    });
  }
});

describe("the record", () => {
  test("keeps target, header order, header case, repeated headers and body byte for byte", async () => {
    await withProvider({}, async (provider) => {
      const body = `{"model":"m" ,"messages":[{"role":"user","content":"\\u00e9 é"}]}`;
      const head = [
        "POST /v1/chat/completions?x=%2e%2e HTTP/1.1",
        "HOST: a",
        "X-Two: 1",
        "x-two: 2",
        `Content-Length: ${Buffer.byteLength(body)}`,
        "Connection: close",
      ];
      const socket = connect(provider.port, "127.0.0.1");
      // Two writes that cut the body inside a character.
      const bytes = Buffer.from(`${head.join("\r\n")}\r\n\r\n${body}`);
      socket.write(bytes.subarray(0, bytes.length - 6));
      socket.write(bytes.subarray(bytes.length - 6));
      await provider.arrived(1);
      socket.destroy();
      const request = provider.requests[0];
      expect(request?.target).toBe("/v1/chat/completions?x=%2e%2e");
      expect(request?.headers.slice(0, 3)).toEqual([
        ["HOST", "a"],
        ["X-Two", "1"],
        ["x-two", "2"],
      ]);
      expect(request?.text).toBe(body);
      expect(request?.head).toBe(`${head.join("\r\n")}\r\n\r\n`);
    });
  });

  test("takes chunked bodies and several requests on one connection", async () => {
    await withProvider({}, async (provider) => {
      const body = JSON.stringify(chatBody);
      const one =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
        `3\r\n${body.slice(0, 3)}\r\n${(body.length - 3).toString(16)}\r\n${body.slice(3)}\r\n0\r\n\r\n`;
      const socket = connect(provider.port, "127.0.0.1");
      socket.write(one + one);
      await provider.arrived(2);
      socket.destroy();
      expect(provider.requests.map((request) => [request.connection, request.text])).toEqual([
        [0, body],
        [0, body],
      ]);
    });
  });

  test("tells that the client went away before it had the answer, and when not", async () => {
    await withProvider({ respond: { stall: "before_headers" } }, async (provider) => {
      const leaving = new AbortController();
      const call = failureOf(postChat(provider, {}, leaving.signal));
      await provider.arrived(1);
      expect(provider.requests[0]?.state).toBe("answering");
      leaving.abort();
      await provider.requests[0]?.aborted;
      expect(provider.requests[0]?.state).toBe("aborted");
      expect(await call).not.toBeNull();
      provider.respond = {};
      await (await postChat(provider)).text();
      expect(provider.requests[1]?.state).toBe("answered");
    });
  });
});

describe("a stream", () => {
  test("moves only as the gate lets it", async () => {
    const gate = new Gate();
    await withProvider({ respond: { gate } }, async (provider) => {
      const response = await postChat(provider, { stream: true });
      const reader = response.body!.getReader();
      const read = reader.read();
      const early = await Promise.race([
        read.then(() => "data"),
        new Promise((resolve) => setImmediate(resolve, "none")),
      ]);
      expect(early).toBe("none");
      gate.release();
      expect(Buffer.from((await read).value ?? []).toString()).toContain('"role":"assistant"');
      gate.release(Infinity);
      let rest = "";
      for (let part = await reader.read(); !part.done; part = await reader.read())
        rest += Buffer.from(part.value).toString();
      expect(rest).toEndWith("data: [DONE]\n\n");
    });
  });

  test("is the same bytes however it is split", async () => {
    const whole = await streamOf({});
    for (const sizes of [[1], [2, 3], [7], [17]]) expect(await streamOf({ split: { sizes } })).toBe(whole);
    expect(await streamOf({ split: { seed: 3 } })).toBe(whole);
    expect(whole).toContain("data: [DONE]");
  });

  test("holds usage only where the request asks for it, as at the vendor's", async () => {
    await withProvider({}, async (provider) => {
      expect(await (await postChat(provider, { stream: true })).text()).not.toContain("prompt_tokens");
      const asked = await postChat(provider, { stream: true, stream_options: { include_usage: true } });
      expect(await asked.text()).toContain(`"prompt_tokens":${DEFAULT_INPUT_TOKENS}`);
    });
  });

  test("can be cut after events and at a byte, with and without a clean end", async () => {
    const whole = await streamOf({});
    const two = whole.split("\n\n").slice(0, 2).join("\n\n") + "\n\n";
    expect(await streamOf({ cut: { at: { event: 2 }, how: "end" } })).toBe(two);
    expect(await streamOf({ cut: { at: { byte: 99 }, how: "end" } })).toBe(whole.slice(0, 99));
    expect(await failureOf(streamOf({ cut: { at: { event: 2 }, how: "destroy" } }))).not.toBeNull();
    expect(await failureOf(streamOf({ cut: { at: { event: 2 }, how: "close" } }))).not.toBeNull();
  });

  test("can be JSON instead, of another content type, with comments, or raw", async () => {
    await withProvider({ respond: { jsonForStream: true } }, async (provider) => {
      const response = await postChat(provider, { stream: true });
      expect(response.headers.get("content-type")).toBe("application/json");
      expect(await response.json()).toMatchObject({ object: "chat.completion" });
      provider.respond = { contentType: "text/html", rawBody: "<html>" };
      const page = await postChat(provider, { stream: true });
      expect(page.headers.get("content-type")).toBe("text/html");
      expect(await page.text()).toBe("<html>");
    });
    expect(await streamOf({ comments: "KEEP" })).toStartWith(": KEEP\n\ndata: ");
    expect(await streamOf({ rawBody: ["data: 1\n\n", "data: 2\n\n"] })).toBe("data: 1\n\ndata: 2\n\n");
  });

  test("stalls after its headers or after events", async () => {
    for (const stall of ["after_headers", { afterEvents: 1 }] as const) {
      await withProvider({ respond: { stall } }, async (provider) => {
        const leaving = new AbortController();
        const response = await postChat(provider, { stream: true }, leaving.signal);
        expect(response.status).toBe(200);
        leaving.abort();
        await provider.requests[0]?.aborted;
      });
    }
  });
});

describe("a lie about usage", () => {
  const lies: readonly [string, Step["answer"], string][] = [
    ["negative", { usage: { output: -5 } }, `"completion_tokens":-5`],
    ["not a number", { usage: { output: "NaN" } }, `"completion_tokens":NaN`],
    ["huge", { usage: { output: "1e999" } }, `"completion_tokens":1e999`],
    ["a string", { usage: { output: '"12"' } }, `"completion_tokens":"12"`],
  ];
  for (const [name, answer, expected] of lies) {
    test(`can be ${name}`, async () => {
      await withProvider({ respond: { answer: answer ?? {} } }, async (provider) => {
        expect(await (await postChat(provider)).text()).toContain(expected);
      });
    });
  }

  test("can be that there is none", async () => {
    await withProvider({ respond: { answer: { usage: "missing" } } }, async (provider) => {
      expect(await (await postChat(provider)).text()).not.toContain("usage");
    });
  });
});

describe("an illegal request", () => {
  const illegal: readonly [string, object][] = [
    ["a tool result without its call", { messages: [{ role: "tool", tool_call_id: "x", content: "r" }] }],
    ["a field of another dialect", { system: "s" }],
    ["both limits", { max_tokens: 1, max_completion_tokens: 1 }],
    ["stream options without a stream", { stream_options: { include_usage: true } }],
    ["a system message in the middle", { messages: [...chatBody.messages, { role: "system", content: "s" }] }],
  ];
  for (const [name, extra] of illegal) {
    test(`gets the 400 that a local server gives: ${name}`, async () => {
      await withProvider({ local: true }, async (provider) => {
        expect((await postChat(provider, extra)).status).toBe(400);
        expect(provider.requests[0]?.faults).not.toEqual([]);
      });
    });
  }

  test("is answered where the fake is lenient", async () => {
    await withProvider({ local: true, lenient: true }, async (provider) => {
      expect((await postChat(provider, { system: "s" })).status).toBe(200);
    });
  });
});

describe("the small endpoints", () => {
  test("list models for OpenAI's, Anthropic's and Ollama's clients", async () => {
    await withProvider({ models: ["a:1", "b"] }, async (provider) => {
      const get = async (path: string, headers: Record<string, string> = {}): Promise<unknown> =>
        (await fetch(provider.url + path, { headers })).json();
      expect(await get("/v1/models")).toMatchObject({
        object: "list",
        data: [{ id: "a:1", object: "model" }, { id: "b" }],
      });
      expect(await get("/v1/models", { "anthropic-version": "2023-06-01" })).toMatchObject({
        data: [{ type: "model" }, {}],
        first_id: "a:1",
      });
      expect(await get("/api/tags")).toMatchObject({ models: [{ name: "a:1" }, { name: "b" }] });
    });
  });

  test("count tokens and embed, and a local server knows neither messages nor responses", async () => {
    await withProvider({ local: true }, async (provider) => {
      const post = async (path: string, body: object): Promise<Response> =>
        fetch(provider.url + path, { method: "POST", body: JSON.stringify(body) });
      expect((await post("/v1/messages", chatBody)).status).toBe(404);
      expect(await (await post("/v1/embeddings", { model: "e", input: ["a", "b"] })).json()).toMatchObject({
        data: [{ embedding: [0.5, -0.25] }, { index: 1 }],
        usage: { prompt_tokens: 5 },
      });
    });
    await withProvider({}, async (provider) => {
      const counted = await fetch(`${provider.url}/v1/messages/count_tokens`, {
        method: "POST",
        body: JSON.stringify(chatBody),
      });
      expect(await counted.json()).toMatchObject({ input_tokens: expect.any(Number) });
      expect(provider.generations).toHaveLength(0);
    });
  });
});

test("a provider in its own process plays its steps in turn and shows what it got", async () => {
  await using provider = await RemoteProvider.start({
    cycle: [{ answer: { text: "one" } }, { refuse: { status: 500 } }],
  });
  const post = async (): Promise<Response> =>
    fetch(`${provider.url}/v1/chat/completions`, { method: "POST", body: JSON.stringify(chatBody) });
  expect(await (await post()).text()).toContain("one");
  expect((await post()).status).toBe(500);
  await provider.arrived(2);
  expect(await provider.requests()).toMatchObject([
    { index: 0, state: "answered" },
    { index: 1, text: JSON.stringify(chatBody) },
  ]);
});
