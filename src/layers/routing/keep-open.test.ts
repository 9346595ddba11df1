import { describe, expect, test } from "bun:test";
import { GatewayError } from "../../errors.ts";
import type { Finish, GatewayResponse, Kept, Outcome } from "../../request.ts";
import { keepOpen } from "./keep-open.ts";
import { candidateAt, plannedOf, providerOf } from "./sample-request.ts";

interface Inside {
  readonly kept: Kept;
  readonly answer: (response: GatewayResponse) => void;
  readonly fail: (error: unknown) => void;
}

interface Setting {
  readonly inside: Inside;
  readonly answer: Promise<GatewayResponse>;
  readonly reports: string[];
  readonly client: AbortController;
}

/** A request whose answer is in the test's hand. `keepAliveMs` 1: it is opened with the next turn of the clock. */
function held(keepAliveMs: number, asked: { stream?: boolean } = {}): Setting {
  const reports: string[] = [];
  const layer = keepOpen({
    clock: { now: () => 7_000, monotonic: () => 0 },
    keepAliveMs,
    streamHeaders: { "content-type": "text/event-stream" },
    outcomeOf: (error): Outcome => (error.code === "INTERNAL" ? "internal_error" : "upstream_error"),
    report: (line) => reports.push(line),
  });
  const { promise, resolve, reject } = Promise.withResolvers<GatewayResponse>();
  let kept: Kept | undefined;
  const client = new AbortController();
  const planned = plannedOf([candidateAt(providerOf("a"))]);
  const request = {
    ...planned,
    dialect: "chat" as const,
    facts: { ...planned.facts, stream: asked.stream ?? true },
    signal: client.signal,
  };
  const answer = layer((inner) => {
    kept = inner;
    return promise;
  })(request);
  // A failure within the hold is the test's to look at.
  answer.catch(() => undefined);
  return { inside: { kept: kept!, answer: resolve, fail: reject }, answer, reports, client };
}

/** A body in pieces, and how it ends. */
function answerOf(text: string, finish: Partial<Finish> = {}): GatewayResponse & { cancelled: () => boolean } {
  let cancelled = false;
  const ended = Promise.withResolvers<Finish>();
  const body = new ReadableStream<Uint8Array>(
    {
      pull: (controller) => {
        controller.enqueue(new TextEncoder().encode(text));
        controller.close();
        ended.resolve({ outcome: "ok", bytesOut: text.length, ...finish });
      },
      cancel: () => {
        cancelled = true;
        ended.resolve({ outcome: "client_gone", bytesOut: 0 });
      },
    },
    { highWaterMark: 0 },
  );
  return { status: 200, headers: { "x-own": "1" }, body, finished: ended.promise, cancelled: () => cancelled };
}

function bodyOf(response: GatewayResponse): ReadableStreamDefaultReader<Uint8Array> {
  if (!(response.body instanceof ReadableStream)) throw new Error("no stream");
  return response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
}

async function rest(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += new TextDecoder().decode(value);
  }
}

describe("within the hold", () => {
  test("an answer and a failure come through as they are", async () => {
    const good = held(60_000);
    const response = answerOf("data: x\n\n");
    good.inside.answer(response);
    expect(await good.answer).toBe(response);
    const bad = held(60_000);
    const error = new GatewayError("UPSTREAM_FAILED");
    bad.inside.fail(error);
    await expect(bad.answer).rejects.toBe(error);
  });

  test("a client that leaves is told inside", async () => {
    const { inside, client } = held(60_000);
    client.abort();
    expect(inside.kept.line.aborted).toBe(true);
  });

  test("what is not streamed is never opened", async () => {
    const { inside, answer, client } = held(1, { stream: false });
    expect(inside.kept.line).toBe(client.signal);
    const response = answerOf("{}");
    setTimeout(inside.answer, 20, response);
    expect(await answer).toBe(response);
  });
});

describe("after the hold", () => {
  test("the answer follows the signs of life, and all bytes are counted", async () => {
    const { inside, answer } = held(1);
    const response = await answer;
    expect([response.status, response.headers["content-type"]]).toEqual([200, "text/event-stream"]);
    const reader = bodyOf(response);
    let text = "";
    while (text.length < 18) text += new TextDecoder().decode((await reader.read()).value);
    inside.answer(answerOf("data: x\n\n"));
    text += await rest(reader);
    expect(text).toMatch(/^(: ping\n\n){2,}data: x\n\n$/);
    expect(await response.finished).toEqual({ outcome: "ok", bytesOut: text.length });
  });

  test("a failure is told in the stream, under its true name", async () => {
    const { inside, answer, reports } = held(1);
    const response = await answer;
    inside.fail(new GatewayError("UPSTREAM_FAILED"));
    const text = await rest(bodyOf(response));
    expect(text).toMatch(/^(: ping\n\n)+data: \{"error":.*\}\n\n$/);
    expect((await response.finished).outcome).toBe("upstream_error");
    expect(reports).toEqual([]);
  });

  test("what nobody foresaw is reported, and its text stays here", async () => {
    const { inside, answer, reports } = held(1);
    const response = await answer;
    inside.fail(new Error("secret detail"));
    expect(await rest(bodyOf(response))).not.toContain("secret detail");
    expect((await response.finished).outcome).toBe("internal_error");
    expect(reports.join()).toContain("secret detail");
  });

  test("a refusal that was meant for the client is told as an error event", async () => {
    const { inside, answer } = held(1);
    const response = await answer;
    const body = '{"error":{"message":"too long","code":"context_length_exceeded"}}';
    const finished = Promise.resolve({ outcome: "client_error" as const, bytesOut: body.length });
    inside.answer({ status: 400, headers: {}, body, finished });
    expect(await rest(bodyOf(response))).toContain(`data: ${body}\n\n`);
    expect((await response.finished).outcome).toBe("client_error");
  });

  test("a client that leaves while nobody has answered ends what is going on inside", async () => {
    const { inside, answer } = held(1);
    const response = await answer;
    const reader = bodyOf(response);
    await reader.read();
    await reader.cancel();
    expect(inside.kept.line.aborted).toBe(true);
    inside.fail(new GatewayError("CLIENT_GONE"));
    expect((await response.finished).outcome).toBe("client_gone");
  });

  test("an answer that comes too late for its client is thrown away", async () => {
    const { inside, answer } = held(1);
    const response = await answer;
    const reader = bodyOf(response);
    await reader.read();
    await reader.cancel();
    const late = answerOf("data: x\n\n");
    inside.answer(late);
    expect((await response.finished).outcome).toBe("client_gone");
    expect(late.cancelled()).toBe(true);
  });

  test("an answer whose client leaves says by itself whether that was behind its end", async () => {
    for (const outcome of ["ok", "client_gone"] as const) {
      const { inside, answer } = held(1);
      const response = await answer;
      const reader = bodyOf(response);
      await reader.read();
      const ended = Promise.withResolvers<Finish>();
      const body = new ReadableStream<Uint8Array>({
        pull: (controller) => controller.enqueue(new TextEncoder().encode("data: [DONE]\n\n")),
        cancel: () => ended.resolve({ outcome, bytesOut: 14 }),
      });
      inside.answer({ status: 200, headers: {}, body, finished: ended.promise });
      while (!new TextDecoder().decode((await reader.read()).value).includes("[DONE]"));
      await reader.cancel();
      expect((await response.finished).outcome).toBe(outcome);
    }
  });

  test("an answer that gives its client up takes the connection with it", async () => {
    const { inside, answer } = held(1);
    const response = await answer;
    const reader = bodyOf(response);
    await reader.read();
    const stuck = answerOf("");
    inside.answer({
      ...stuck,
      body: new ReadableStream(),
      finished: Promise.resolve({ outcome: "client_gone", bytesOut: 0 }),
    });
    expect((await response.finished).outcome).toBe("client_gone");

    await expect(rest(reader)).rejects.toThrow("does not read");
  });
});
