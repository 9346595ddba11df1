import { afterEach, describe, expect, test } from "bun:test";
import { AttemptError, GatewayError } from "../errors.ts";
import type { GatewayResponse, Keyed } from "../request.ts";
import { Secret } from "../secret.ts";
import { codecs } from "../wire/codecs.ts";
import type { JsonObject } from "../wire/neutral.ts";
import { Dispatcher } from "./dispatch.ts";
import { keyedOf, providerAt, StillClock, type Sample } from "./sample-keyed.ts";
import { send } from "./send.ts";

const servers: Bun.Server<undefined>[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop(true);
});

interface Sent {
  readonly answer: GatewayResponse | null;
  readonly error: unknown;
  readonly keyed: Keyed;
  /** What the upstream got: path and body. */
  readonly asked: { readonly path: string; readonly headers: Headers; readonly body: JsonObject }[];
}

async function sent(sample: Sample, respond: () => Response, base = "/v1"): Promise<Sent> {
  const asked: { path: string; headers: Headers; body: JsonObject }[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const body = (await request.json()) as JsonObject;
      asked.push({ path: new URL(request.url).pathname, headers: request.headers, body });
      return respond();
    },
  });
  servers.push(server);
  const provider = { ...providerAt(`http://127.0.0.1:${server.port}${base}`), ...sample.provider };
  const keyed = keyedOf({ ...sample, provider: { ...provider, url: `http://127.0.0.1:${server.port}${base}` } });
  const clock = new StillClock();
  const handler = send({
    codecs,
    dispatcher: new Dispatcher(clock),
    clock,
    holdsCalls: true,
    keepAliveMs: 10_000,
    told: () => ({ retryAfterMs: 7, regainMs: undefined }),
    continuations: { of: () => undefined },
    redact: (text) => text,
  });
  try {
    return { answer: await handler(keyed), error: null, keyed, asked };
  } catch (error) {
    return { answer: null, error, keyed, asked };
  }
}

const choices = [{ index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" }];
const usage = { prompt_tokens: 11, completion_tokens: 5, total_tokens: 16 };
const chatAnswer = { id: "c1", object: "chat.completion", created: 1, model: "upstream-model", choices, usage };
const streamText = [
  { id: "c1", model: "upstream-model", choices: [{ index: 0, delta: { content: "Hello" }, finish_reason: null }] },
  { id: "c1", model: "upstream-model", choices: [{ index: 0, delta: {}, finish_reason: "stop" }] },
  { id: "c1", model: "upstream-model", choices: [], usage },
]
  .map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`)
  .join("");
const stream = (text = `${streamText}data: [DONE]\n\n`): Response =>
  new Response(text, { headers: { "content-type": "text/event-stream" } });

describe("what is sent upstream", () => {
  test("is the client's own body in the same dialect, but for the model and the clamp", async () => {
    const body = {
      model: "asked-model",
      messages: [{ role: "user", content: "Hi" }],
      "x-new": { kept: 1 },
      max_tokens: 900,
    };
    const { asked, answer } = await sent({ body, clampTo: 50, key: Secret.fromString("house-key") }, () =>
      Response.json(chatAnswer),
    );
    expect(asked[0]!.body).toEqual({ ...body, model: "upstream-model", max_tokens: 50 });
    expect(asked[0]!.path).toBe("/v1/chat/completions");
    expect(asked[0]!.headers.get("authorization")).toBe("Bearer house-key");
    expect(JSON.parse(answer!.body as string)).toEqual({ ...chatAnswer, model: "asked-model" });
  });

  test("a limit that the client did not set has the name that the server knows", async () => {
    const body = { model: "asked-model", messages: [{ role: "user", content: "Hi" }] };
    const name = async (sample: Sample): Promise<string[]> => {
      const { asked } = await sent({ body, clampTo: 50, ...sample }, () => Response.json(chatAnswer));
      return Object.keys(asked[0]!.body).filter((key) => asked[0]!.body[key] === 50);
    };
    expect(await name({})).toEqual(["max_tokens"]);
    expect(await name({ provider: providerAt("https://a.example/v1", { name: "openai" }) })).toEqual([
      "max_completion_tokens",
    ]);
  });

  test("asks a streaming chat server for its usage, which the client does not see", async () => {
    const body = { model: "asked-model", messages: [{ role: "user", content: "Hi" }], stream: true };
    const { asked, answer, keyed } = await sent({ body, facts: { stream: true } }, () => stream());
    expect(asked[0]!.body["stream_options"]).toEqual({ include_usage: true });
    const text = await new Response(answer!.body as ReadableStream<Uint8Array>).text();
    expect(text).not.toContain('"usage":{');
    expect(text).not.toContain("upstream-model");
    expect((await answer!.finished).outcome).toBe("ok");
    expect(keyed.attempt.usage).toMatchObject({ input: 11, output: 5 });
  });

  test("is translated where the provider speaks another dialect, and so is the answer", async () => {
    const body = { model: "asked-model", max_tokens: 9, messages: [{ role: "user", content: "Hi" }] };
    const { asked, answer } = await sent({ dialect: "messages", body }, () => Response.json(chatAnswer));
    expect(asked[0]!.path).toBe("/v1/chat/completions");
    expect(asked[0]!.body).toMatchObject({ model: "upstream-model", messages: [{ role: "user", content: "Hi" }] });
    expect(JSON.parse(answer!.body as string)).toMatchObject({ type: "message", model: "asked-model" });
  });
});

describe("nothing is sent", () => {
  const untranslatable = { model: "asked-model", max_tokens: 9, messages: [{ role: "user", content: 7 }] };

  test("of a count to a server that can't count, or of what a dialect does not have", async () => {
    for (const operation of ["count_tokens", "embeddings"] as const) {
      const { error, asked } = await sent({ operation, dialect: "messages" }, () => Response.json({}));
      expect(error).toMatchObject({ outcome: "skipped_policy", billed: "none" });
      expect(asked).toEqual([]);
    }
  });

  test("of a request that can't be read, which is the client's fault", async () => {
    const { error, asked } = await sent({ dialect: "messages", body: untranslatable }, () => Response.json({}));
    expect(error).toBeInstanceOf(GatewayError);
    expect(asked).toEqual([]);
  });

  test("of it to a fallback, for whose sake alone it had to be read: the client did not ask for that one", async () => {
    const candidate = { reason: "fallback" };
    const { error } = await sent({ dialect: "messages", body: untranslatable, candidate }, () => Response.json({}));
    expect(error).toBeInstanceOf(AttemptError);
    expect(error).toMatchObject({ outcome: "skipped_policy" });
  });
});

describe("no answer is", () => {
  test("a page, or anything else that is no stream, where a stream was asked for", async () => {
    for (const type of ["text/html", "text/plain", "application/octet-stream"]) {
      const { error } = await sent(
        { facts: { stream: true } },
        () => new Response("<html>", { headers: { "content-type": type } }),
      );
      expect([type, error]).toMatchObject([type, { outcome: "error_event" }]);
    }
  });

  test("a compressed one: we asked for plain text, and would rewrite bytes that we can't read", async () => {
    const packed = { "content-type": "application/json", "content-encoding": "gzip" };
    const { error } = await sent({}, () => new Response(Bun.gzipSync(JSON.stringify(chatAnswer)), { headers: packed }));
    expect(error).toMatchObject({ outcome: "error_event", billed: "unknown" });
  });
});

describe("an attempt that fails", () => {
  test("after it may have been billed, and nothing was seen, leaves its prompt to be charged", async () => {
    const { error, keyed } = await sent({ facts: { stream: true } }, () => stream(": accepted\n\n"));
    expect(error).toMatchObject({ outcome: "cut_stream", billed: "unknown" });
    expect(keyed.attempt).toMatchObject({ usage: { input: 100, output: 0 }, usageSource: "counted" });
  });

  test("in one piece although a stream was asked for may have been written in full: its hold stays charged", async () => {
    const json = { "content-type": "application/json" };
    const { error, keyed } = await sent({ facts: { stream: true } }, () => new Response("{oops", { headers: json }));
    expect(error).toMatchObject({ outcome: "cut_stream", billed: "unknown" });
    expect(keyed.attempt.usage).toBeNull();
  });

  test("with a refusal learns the provider's pause and leaves nothing to be charged", async () => {
    const { error, keyed } = await sent({}, () => Response.json({ error: { message: "slow down" } }, { status: 429 }));
    expect(error).toMatchObject({ outcome: "upstream_429", retryAfterMs: 7, billed: "none" });
    expect(keyed.attempt.usage).toBeNull();
  });
});

describe("a failure inside a stream", () => {
  const hello = streamText.split("\n\n")[0]!;

  /** A stream whose second half comes once its first one was taken. */
  async function textAfter(second: string): Promise<string> {
    const encoder = new TextEncoder();
    const go = Promise.withResolvers<void>();
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        controller.enqueue(encoder.encode(`${hello}\n\n`));
        await go.promise;
        controller.enqueue(encoder.encode(second));
        controller.close();
      },
    });
    const headers = { "content-type": "text/event-stream" };
    const { answer } = await sent({ facts: { stream: true } }, () => new Response(body, { headers }));
    go.resolve();
    return new Response(answer!.body as ReadableStream<Uint8Array>).text();
  }

  test("of the provider's own wording goes on as it is", async () => {
    const error = 'data: {"error":{"message":"overloaded","code":503}}\n\n';
    expect(await textAfter(error)).toEndWith(error);
  });

  test("about the house's key is ours to tell", async () => {
    const text = await textAfter('data: {"error":{"message":"bad key of org-7","code":401}}\n\n');
    expect(text).not.toContain("org-7");
    expect(text.trimEnd().split("\n\n").pop()).toContain('"error"');
  });

  test("that no client could read is told as an error, and its pieces are not shown", async () => {
    for (const second of ["data: {oops\n\n", 'data: {"choices":[{"index":0,"de']) {
      const text = await textAfter(second);
      expect(text).not.toContain(second.trim());
      expect(JSON.parse(text.trimEnd().split("\n\n").pop()!.slice("data: ".length))).toMatchObject({ error: {} });
    }
  });
});
