import { describe, expect, test } from "bun:test";
import { AttemptError } from "../errors.ts";
import type { Finish, Keyed } from "../request.ts";
import { codecs } from "../wire/codecs.ts";
import type { Usage } from "../wire/neutral.ts";
import { sseErrorEvent } from "../wire/errors.ts";
import { Deadline } from "./deadline.ts";
import { StreamRelay } from "./relay.ts";
import type { Rendering } from "./rendering.ts";
import { keyedOf, providerAt, StillClock, type Sample } from "./sample-keyed.ts";

const encoder = new TextEncoder();

/** An upstream's body in the hand of the test. */
class Upstream {
  reads = 0;
  cancelled = false;
  #queue: (Uint8Array | Error | null)[] = [];
  #waiting: (() => void) | null = null;

  send(...pieces: readonly (string | Uint8Array)[]): this {
    for (const piece of pieces) this.#put(typeof piece === "string" ? encoder.encode(piece) : piece);
    return this;
  }

  end(): this {
    return this.#put(null);
  }

  reset(): this {
    return this.#put(new Error("reset"));
  }

  #put(item: Uint8Array | Error | null): this {
    this.#queue.push(item);
    this.#waiting?.();
    return this;
  }

  /** What `fetch` gives: it breaks off when the signal aborts. */
  readerFor(signal: AbortSignal): Pick<ReadableStreamDefaultReader<Uint8Array>, "read" | "cancel"> {
    return {
      read: async () => {
        this.reads++;
        if (signal.aborted) throw new DOMException("aborted", "AbortError");
        if (this.#queue.length === 0) {
          const { promise, resolve } = Promise.withResolvers<void>();
          this.#waiting = resolve;
          signal.addEventListener("abort", () => resolve(), { once: true });
          await promise;
        }
        const item = this.#queue.shift();
        if (item === undefined) throw new DOMException("aborted", "AbortError");
        if (item instanceof Error) throw item;
        return item === null ? { done: true, value: undefined } : { done: false, value: new Uint8Array(item) };
      },
      cancel: async () => {
        this.cancelled = true;
      },
    };
  }
}

interface Setting {
  readonly upstream: Upstream;
  readonly relay: StreamRelay;
  readonly keyed: Keyed;
  readonly client: AbortController;
  readonly deadline: Deadline;
  readonly clock: StillClock;
}

function relayOf(dialect: "messages" | "chat", sample: Sample = {}): Setting {
  const client = new AbortController();
  const provider = sample.provider ?? providerAt("http://127.0.0.1:9", { dialects: [dialect] });
  const facts = { stream: true, ...sample.facts };
  const keyed = keyedOf({ dialect, signal: client.signal, ...sample, provider, facts });
  const deadline = new Deadline(client.signal);
  const upstream = new Upstream();
  const clock = new StillClock();
  const source = upstream.readerFor(deadline.signal);
  const redact = (text: string): string => text.replaceAll("house-key", "[redacted]");
  const relay = new StreamRelay({
    keyed,
    deadline,
    clock,
    source,
    rendering: renderingOf(dialect),
    redact,
    sentAt: clock.ms,
    keepAliveMs: 10_000,
  });
  return { upstream, relay, keyed, client, deadline, clock };
}

/** The same dialect on both sides. */
function renderingOf(dialect: "messages" | "chat"): Rendering {
  const codec = codecs[dialect];
  const reader = codec.createReader();
  const terminal = dialect === "chat" ? done : messageStop;
  return {
    read: (event) => reader.read(event),
    render: (event, events) => {
      const error = events.find((one) => one.type === "error");
      if (error !== undefined) return sseErrorEvent(dialect, error.fault);
      return codec.patchEvent(event, { model: "asked-model", includeUsage: false }) ?? "";
    },
    ping: () => ": ping\n\n",
    terminal: () => terminal,
    fail: (fault) => sseErrorEvent(dialect, fault),
  };
}

async function textOf(body: ReadableStream<Uint8Array>): Promise<string> {
  return new Response(body).text();
}

/** Everything that the client gets, and how it ended. */
async function played({ relay }: Setting): Promise<{ text: string; finish: Finish }> {
  const text = await textOf(relay.body(await relay.firstContent()));
  return { text, finish: await relay.finished };
}

async function failureOf(setting: Setting): Promise<AttemptError> {
  try {
    await setting.relay.firstContent();
  } catch (error) {
    if (error instanceof AttemptError) return error;
    throw error;
  }
  throw new Error("it committed");
}

const done = "data: [DONE]\n\n";
const messageStop = 'event: message_stop\ndata: {"type":"message_stop"}\n\n';

function chunk(delta: object, finish: string | null = null): string {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  return `data: ${JSON.stringify({ id: "c1", object: "chat.completion.chunk", model: "asked-model", choices })}\n\n`;
}

function usageChunk(output: number): string {
  const usage = { prompt_tokens: 11, completion_tokens: output, total_tokens: 11 + output };
  return `data: ${JSON.stringify({ id: "c1", object: "chat.completion.chunk", model: "asked-model", choices: [], usage })}\n\n`;
}

const role = chunk({ role: "assistant", content: "" });
const hello = chunk({ content: "Hello" });
const stop = chunk({}, "stop");
const whole = role + hello + stop + usageChunk(5) + done;

function event(type: string, rest: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`;
}

const messageStart = event("message_start", {
  message: {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "asked-model",
    content: [],
    stop_reason: null,
    usage: { input_tokens: 11, output_tokens: 1 },
  },
});
const blockStart = event("content_block_start", { index: 0, content_block: { type: "text", text: "" } });
const textDelta = (text: string): string =>
  event("content_block_delta", { index: 0, delta: { type: "text_delta", text } });
const blockStop = event("content_block_stop", { index: 0 });
const messageEnd = (output: number): string =>
  event("message_delta", { delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: output } });

describe("before the first content", () => {
  test("nothing goes to the client, and what was held back comes first, byte for byte", async () => {
    const setting = relayOf("chat");
    setting.upstream.send(": hi\n\n", role);
    const first = setting.relay.firstContent();
    setting.upstream.send(hello);
    expect(await first).toBe(`: hi\n\n${role}${hello}`);
    expect(setting.keyed.attempt.outcome).toBeNull();
  });

  test("an error event, an end, a reset and a broken event are failures of the attempt, and the call is ended", async () => {
    const cases: readonly (readonly [string, (upstream: Upstream) => unknown, string])[] = [
      [
        "error",
        (u) => u.send(role, 'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'),
        "error_event",
      ],
      [
        "error behind content in one piece",
        (u) => u.send(`${hello}data: {"error":{"message":"no"}}\n\n`),
        "error_event",
      ],
      ["end", (u) => u.send(role).end(), "cut_stream"],
      ["end of nothing", (u) => u.end(), "cut_stream"],
      ["reset", (u) => u.send(role).reset(), "cut_stream"],
      ["no JSON", (u) => u.send("data: {oops\n\n"), "error_event"],
      ["an empty answer", (u) => u.send(role, stop, done).end(), "cut_stream"],
      ["an event without end", (u) => u.send(`data: ${"x".repeat(17_000_000)}`), "cut_stream"],
    ];
    for (const [name, act, outcome] of cases) {
      const setting = relayOf("chat");
      act(setting.upstream);
      const error = await failureOf(setting);
      expect([name, error.outcome, error.billed]).toEqual([name, outcome, "unknown"]);
      expect([name, setting.upstream.cancelled, setting.deadline.signal.aborted]).toEqual([name, true, true]);
      expect(setting.keyed.attempt.usage).toMatchObject({ input: 100 });
    }
  });

  test("an answer that ends without a word is a failure even where the connection stays open", async () => {
    const setting = relayOf("chat");
    setting.upstream.send(role, stop, done);
    expect((await failureOf(setting)).outcome).toBe("cut_stream");
  });

  test("silence is a failure after `first_content`", async () => {
    const timeouts = { connectMs: 10_000, firstByteMs: 10_000, firstContentMs: 20, idleMs: 10_000, totalMs: 60_000 };
    const setting = relayOf("chat", { provider: providerAt("http://127.0.0.1:9", { timeouts }) });
    setting.upstream.send(role);
    expect((await failureOf(setting)).outcome).toBe("timeout_first_content");
  });

  test("a refusal, or a full window without a word, is an answer", async () => {
    for (const reason of ["content_filter", "length"]) {
      const setting = relayOf("chat");
      setting.upstream.send(role, chunk({}, reason), done).end();
      expect((await played(setting)).finish.outcome).toBe("ok");
    }
  });
});

describe("an answer", () => {
  test("arrives whole but for the usage event that nobody asked for, and is counted by it", async () => {
    const setting = relayOf("chat");
    setting.upstream.send(whole).end();
    const { text, finish } = await played(setting);
    expect(text).toBe(role + hello + stop + done);
    expect(finish).toEqual({ outcome: "ok", bytesOut: text.length });
    const { attempt } = setting.keyed;
    expect(attempt).toMatchObject({
      outcome: "ok",
      status: 200,
      usageSource: "upstream",
      reportedModel: "asked-model",
    });
    expect(attempt.usage).toMatchObject({ input: 11, output: 5 });
    expect(setting.deadline.signal.aborted).toBe(true);
  });

  test("arrives the same wherever its bytes are cut", async () => {
    const { text } = await played(
      fed(
        relayOf("messages"),
        messageStart + blockStart + textDelta("Grüße 🦊") + blockStop + messageEnd(4) + messageStop,
        1,
      ),
    );
    expect(text).toBe(messageStart + blockStart + textDelta("Grüße 🦊") + blockStop + messageEnd(4) + messageStop);
  });

  function fed(setting: Setting, text: string, size: number): Setting {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += size) setting.upstream.send(bytes.subarray(at, at + size));
    setting.upstream.end();
    return setting;
  }

  test("has nothing behind its terminal event, whatever the upstream sends there", async () => {
    const setting = relayOf("chat");
    setting.upstream.send(role + hello + stop + done + chunk({ content: "ghost" }), chunk({ content: "ghost" })).end();
    const { text } = await played(setting);
    expect(text).toBe(role + hello + stop + done);
  });

  test("ends with its terminal event although the upstream keeps the connection open", async () => {
    const setting = relayOf("chat");
    setting.upstream.send(whole);
    expect((await played(setting)).finish.outcome).toBe("ok");
    expect(setting.upstream.cancelled).toBe(true);
  });

  test("of several in one stream is not complete when the first of them is", async () => {
    const setting = relayOf("chat", { facts: { choices: 2 } });
    setting.upstream.send(role, hello, stop).end();
    const { text, finish } = await played(setting);
    expect(finish.outcome).toBe("upstream_error");
    expect(text).not.toContain(done);
  });

  test("whose reason to stop was given is not spoiled by what fails behind it", async () => {
    const failure = event("error", { error: { type: "overloaded_error", message: "Overloaded" } });
    for (const behind of [failure, "event: message_stop\ndata: {oops\n\n"]) {
      const setting = relayOf("messages");
      setting.upstream.send(messageStart + blockStart + textDelta("Hi") + blockStop + messageEnd(3), behind).end();
      const { text, finish } = await played(setting);
      expect(text).toEndWith(messageEnd(3) + messageStop);
      expect(finish.outcome).toBe("ok");
      expect(setting.keyed.attempt.outcome).toBe("ok");
    }
  });

  test("whose reason to stop was given gets the terminal event that the upstream forgot", async () => {
    for (const last of [(u: Upstream) => u.end(), (u: Upstream) => u.reset()]) {
      const setting = relayOf("messages");
      last(setting.upstream.send(messageStart + blockStart + textDelta("Hi") + blockStop + messageEnd(3)));
      const { text, finish } = await played(setting);
      expect(text).toEndWith(messageEnd(3) + messageStop);
      expect(finish.outcome).toBe("ok");
    }
  });
});

describe("after the first content", () => {
  const failures: readonly (readonly [string, (upstream: Upstream) => unknown, string])[] = [
    ["an end", (u) => u.end(), "cut_stream"],
    ["an end inside an event", (u) => u.send('data: {"choices":[{"index":0,"de').end(), "cut_stream"],
    ["an event that is no JSON", (u) => u.send("data: {oops\n\n"), "error_event"],
    ["a reset", (u) => u.reset(), "cut_stream"],
    ["an error event", (u) => u.send('data: {"error":{"message":"overloaded","code":503}}\n\n'), "error_event"],
    ["an event that is too large", (u) => u.send(`data: ${"x".repeat(17_000_000)}`), "cut_stream"],
  ];
  for (const [name, act, outcome] of failures) {
    test(`${name} is told by exactly one error event, which is the last one`, async () => {
      const setting = relayOf("chat");
      setting.upstream.send(role, hello);
      act(setting.upstream);
      const { text, finish } = await played(setting);
      const events = text.split("\n\n").filter((one) => one !== "");
      expect(text).toStartWith(role + hello);
      expect(events.length).toBe(3);
      expect(JSON.parse(events[2]!.slice("data: ".length))).toMatchObject({ error: { message: expect.any(String) } });
      expect(finish.outcome).toBe("upstream_error");
      expect(setting.keyed.attempt.outcome).toBe(outcome as "cut_stream");
      expect(setting.keyed.attempt.usage).toMatchObject({ input: 100, output: 2 });
      expect(setting.keyed.attempt.usageSource).toBe("counted");
    });
  }

  test("a key that the upstream shows in its error event is taken out of it", async () => {
    const setting = relayOf("chat");
    setting.upstream.send(hello, 'data: {"error":{"message":"bad key house-key","code":503}}\n\n');
    const { text } = await played(setting);
    expect(text).not.toContain("house-key");
    expect(text).toContain("[redacted]");
  });

  test("silence is told after `idle`, and keep-alives are silence", async () => {
    const timeouts = { connectMs: 10_000, firstByteMs: 10_000, firstContentMs: 10_000, idleMs: 30, totalMs: 60_000 };
    const setting = relayOf("chat", { provider: providerAt("http://127.0.0.1:9", { timeouts }) });
    setting.upstream.send(role, hello);
    const answer = played(setting);
    const beats = setInterval(() => {
      setting.clock.ms += 10;
      setting.upstream.send(": keep-alive\n\n");
    }, 5);
    const { text } = await answer;
    clearInterval(beats);
    expect(setting.keyed.attempt.outcome).toBe("timeout_idle");
    expect(text.trimEnd().split("\n\n").pop()).toContain('"error"');
  });

  test("empty pieces and sums of tokens are silence, too", async () => {
    const timeouts = { connectMs: 10_000, firstByteMs: 10_000, firstContentMs: 10_000, idleMs: 30, totalMs: 60_000 };
    const setting = relayOf("chat", { provider: providerAt("http://127.0.0.1:9", { timeouts }) });
    setting.upstream.send(role, hello);
    const answer = played(setting);
    const beats = setInterval(() => {
      setting.clock.ms += 10;
      setting.upstream.send(chunk({ content: "" }), chunk({}), usageChunk(2));
    }, 5);
    await answer;
    clearInterval(beats);
    expect(setting.keyed.attempt.outcome).toBe("timeout_idle");
  });

  test("more than an answer can be is cut, in one error event", async () => {
    const setting = relayOf("chat", { facts: { maxOutputTokens: 10 } });
    setting.upstream.send(role, hello);
    for (let i = 0; i < 30; i++) setting.upstream.send(hello.repeat(1_000));
    const { text, finish } = await played(setting);
    expect([finish.outcome, setting.keyed.attempt.outcome, setting.keyed.attempt.note]).toEqual([
      "upstream_error",
      "cut_stream",
      "it brings more than an answer can be",
    ]);
    expect(text.trimEnd().split("\n\n").pop()).toContain('"error"');
    expect(setting.upstream.cancelled).toBeTrue();
  });

  test("a client that is slow to read is no silence of the upstream", async () => {
    const timeouts = { connectMs: 10_000, firstByteMs: 10_000, firstContentMs: 10_000, idleMs: 20, totalMs: 60_000 };
    const setting = relayOf("chat", { provider: providerAt("http://127.0.0.1:9", { timeouts }) });
    setting.upstream.send(role + hello, stop + done).end();
    const reader = setting.relay.body(await setting.relay.firstContent()).getReader();
    await reader.read();
    setting.clock.ms += 60_000;
    // Two rounds of the deadline's own timer.
    await Bun.sleep(60);
    let text = "";
    for (let step = await reader.read(); !step.done; step = await reader.read())
      text += Buffer.from(step.value).toString();
    expect(text).toBe(stop + done);
    expect((await setting.relay.finished).outcome).toBe("ok");
  });
});

describe("the money", () => {
  test("that runs out cuts the stream with the dialect's error event, and ends the upstream's call", async () => {
    const setting = relayOf("chat", { draw: (tokens) => tokens <= 5 });
    setting.upstream.send(role, hello, chunk({ content: " world" }), chunk({ content: " never seen" }));
    const { text, finish } = await played(setting);
    expect(text).not.toContain("never seen");
    expect(JSON.parse(text.trimEnd().split("\n\n").pop()!.slice("data: ".length))).toMatchObject({
      error: { code: "insufficient_quota" },
    });
    expect(finish.outcome).toBe("refused_budget");
    expect(setting.upstream.cancelled).toBe(true);
  });

  test("is asked for by the upper bound of what was seen", async () => {
    const asked: number[] = [];
    const setting = relayOf("chat", { draw: (tokens) => asked.push(tokens) > 0 });
    setting.upstream.send(role + hello + chunk({ content: " wörld" }) + stop + usageChunk(400) + done).end();
    await played(setting);
    expect(asked[1]).toBe(5);
    expect(asked[2]).toBe(12);
    expect(Math.max(...asked)).toBe(400);
  });

  test("is not corrected, nor used up, by a figure at the start that can be no bill", async () => {
    for (const [input, output, learnt] of [
      [25, 1, [25]],
      [900_000_000, 1, []],
      [25, 900_000_000, []],
    ] as const) {
      const prompts: number[] = [];
      const cap = {
        draw: (tokens: number) => tokens <= 50,
        learnPrompt: (usage: Usage) => void prompts.push(usage.input),
      };
      const setting = relayOf("messages", cap);
      const start = messageStart.replace(
        /"usage":\{[^}]*\}/,
        `"usage":{"input_tokens":${input},"output_tokens":${output}}`,
      );
      setting.upstream.send(start, blockStart, textDelta("Hi"), blockStop, messageEnd(2), messageStop).end();
      const { text, finish } = await played(setting);
      expect([text.endsWith(messageStop), finish.outcome, prompts]).toEqual([true, "ok", [...learnt]]);
    }
  });

  test("that runs out with the last figures of a complete answer does not spoil the answer", async () => {
    const cheap = { draw: (tokens: number) => tokens <= 50 };
    const inChat = relayOf("chat", cheap);
    inChat.upstream.send(role + hello + stop + usageChunk(400) + done).end();
    expect((await played(inChat)).text).toBe(role + hello + stop + done);
    const inMessages = relayOf("messages", cheap);
    inMessages.upstream
      .send(messageStart + blockStart + textDelta("Hi") + blockStop, messageEnd(400), messageStop)
      .end();
    const { text, finish } = await played(inMessages);
    expect(text).toEndWith(messageEnd(400) + messageStop);
    expect(finish.outcome).toBe("ok");
    expect(inMessages.keyed.attempt.usage).toMatchObject({ output: 400 });
  });
});

describe("the client", () => {
  test("that cancels ends the upstream's call at once and pays for what was seen", async () => {
    const setting = relayOf("chat");
    setting.upstream.send(role, hello);
    const reader = setting.relay.body(await setting.relay.firstContent()).getReader();
    await reader.read();
    await reader.cancel();
    expect((await setting.relay.finished).outcome).toBe("client_gone");
    expect(setting.deadline.signal.aborted).toBe(true);
    expect(setting.upstream.cancelled).toBe(true);
    expect(setting.keyed.attempt).toMatchObject({ outcome: "client_gone", usageSource: "counted" });
    expect(setting.keyed.attempt.usage).toMatchObject({ output: 2 });
  });

  test("that hangs up on the terminal event has had the whole answer, and the upstream's call ends with it", async () => {
    const setting = relayOf("chat");
    setting.upstream.send(role + hello + stop + usageChunk(7) + done);
    const reader = setting.relay.body(await setting.relay.firstContent()).getReader();
    let text = "";
    while (!text.includes("[DONE]")) text += new TextDecoder().decode((await reader.read()).value);
    await reader.cancel();
    expect((await setting.relay.finished).outcome).toBe("ok");
    expect(setting.keyed.attempt).toMatchObject({ outcome: "ok", usage: { output: 7 }, usageSource: "upstream" });
    expect(setting.upstream.cancelled).toBe(true);
  });

  test("that leaves before the first word pays for the time in which a model thinks without showing it", async () => {
    const hidden = { candidate: { hiddenReasoning: true } };
    for (const [sample, paid] of [
      [hidden, 60],
      [{ facts: { hasThinking: true } }, 60],
      [{}, 0],
      // At home nothing is hidden.
      [{ ...hidden, candidate: { hiddenReasoning: true, local: true } }, 0],
    ] as const) {
      const setting = relayOf("chat", sample);
      setting.upstream.send(role);
      const failure = setting.relay.firstContent().catch((error: unknown) => error);
      await Bun.sleep(0);
      setting.clock.ms += 200;
      setting.client.abort();
      expect(await failure).toMatchObject({ outcome: "client_gone" });
      expect(setting.keyed.attempt.usage?.output).toBe(paid);
    }
    // From its first word on it is counted by what it shows.
    const spoken = relayOf("chat", hidden);
    spoken.upstream.send(role, hello);
    const reader = spoken.relay.body(await spoken.relay.firstContent()).getReader();
    await reader.read();
    spoken.clock.ms += 60_000;
    await reader.cancel();
    expect(spoken.keyed.attempt.usage?.output).toBe(2);
    // Who says that it failed sends no bill for what it did not say.
    const failed = relayOf("chat", hidden);
    failed.clock.ms += 500;
    failed.upstream.send(role, 'data: {"error":{"message":"It broke.","code":500}}\n\n');
    await failed.relay.firstContent().catch(() => undefined);
    expect(failed.keyed.attempt.usage?.output).toBe(0);
  });

  test("that hangs up while the upstream is silent is noticed too", async () => {
    const setting = relayOf("chat");
    setting.upstream.send(role, hello);
    const reader = setting.relay.body(await setting.relay.firstContent()).getReader();
    await reader.read();
    const waiting = reader.read().catch(() => undefined);
    setting.client.abort();
    await waiting;
    expect((await setting.relay.finished).outcome).toBe("client_gone");
  });

  test("that reads nothing for ten minutes is given up: its books are closed and its connection is broken off", async () => {
    const timeouts = { connectMs: 10_000, firstByteMs: 10_000, firstContentMs: 10_000, idleMs: 5, totalMs: 60_000 };
    const setting = relayOf("chat", { provider: providerAt("http://127.0.0.1:9", { timeouts }) });
    setting.upstream.send(role, hello, stop + done).end();
    const reader = setting.relay.body(await setting.relay.firstContent()).getReader();
    setting.clock.ms += 600_000;
    expect((await setting.relay.finished).outcome).toBe("client_gone");
    expect(setting.upstream.cancelled).toBe(true);
    await expect(reader.read()).rejects.toThrow();
  });

  test("that does not read stops the reading of the upstream", async () => {
    const setting = relayOf("chat");
    for (let i = 0; i < 50; i++) setting.upstream.send(chunk({ content: `piece ${i}` }));
    const body = setting.relay.body(await setting.relay.firstContent());
    const reader = body.getReader();
    await reader.read();
    // Time enough for a reading ahead to show.
    await Bun.sleep(5);
    expect(setting.upstream.reads).toBeLessThanOrEqual(2);
    await reader.read();
    await Bun.sleep(5);
    expect(setting.upstream.reads).toBeLessThanOrEqual(3);
    await reader.cancel();
  });

  test("gets the rest although nothing was held back for it", async () => {
    const setting = relayOf("chat");
    setting.upstream.send(hello, stop + done).end();
    await setting.relay.firstContent();
    expect(await textOf(setting.relay.body(""))).toBe(stop + done);
  });
});
