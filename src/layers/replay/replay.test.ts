import { expect, test } from "bun:test";
import { systemClock } from "../../clock.ts";
import { GatewayError } from "../../errors.ts";
import type { GatewayResponse, Understood, Unrepeated } from "../../request.ts";
import { AnswerStore } from "./answer-store.ts";
import { replay } from "./replay.ts";

interface Asked {
  readonly id?: string;
  readonly key?: string | null;
  readonly agent?: string;
  readonly text?: string;
  readonly path?: string;
  readonly stream?: boolean;
  readonly operation?: Understood["operation"];
  readonly signal?: AbortSignal;
}

function requestOf(asked: Asked = {}): Understood {
  const {
    id = "req_1",
    key = "k",
    agent = "windu",
    text = "{}",
    path = "/v1/chat/completions",
    stream = false,
  } = asked;
  return {
    id,
    operation: asked.operation ?? "generate",
    dialect: "chat",
    path,
    claimedAgent: undefined,
    headers: new Headers(key === null ? {} : { "idempotency-key": key }),
    peer: "127.0.0.1",
    fromLoopback: true,
    signal: asked.signal ?? new AbortController().signal,
    readBody: async () => new Uint8Array(),
    record: {
      id,
      arrivedAt: 0,
      agent,
      auth: "token",
      requestedModel: null,
      stream,
      intent: null,
      route: null,
      attempts: [],
      served: null,
      bytesIn: 0,
      wouldHaveNanos: null,
    },
    agent: {
      name: agent,
      auth: "token",
      caps: { daily: 0, hourly: undefined, monthly: undefined },
      requestsPerMinute: undefined,
      maxConcurrent: undefined,
      models: undefined,
      overBudget: "local",
    },
    passthrough: null,
    facts: {
      model: "m",
      stream,
      maxOutputTokens: 1,
      choices: 1,
      hasTools: false,
      hasImages: false,
      hasThinking: false,
      hasJsonFormat: false,
      wantsUsageEvent: false,
      inputTokenBound: 1,
    },
    body: {},
    text,
    intent: null,
  };
}

function answerOf(body: GatewayResponse["body"], status = 200): GatewayResponse {
  return { status, headers: {}, body, finished: Promise.resolve({ outcome: "ok", bytesOut: 0 }) };
}

interface Pending {
  readonly request: Unrepeated;
  readonly answer: (response: GatewayResponse) => void;
  readonly fail: (error: unknown) => void;
}

/** Requests that got through wait for the test. */
function opened(): {
  handle: (request: Understood) => Promise<GatewayResponse>;
  through: Pending[];
  /** Resolves when the next one gets through. */
  next: () => Promise<void>;
} {
  const through: Pending[] = [];
  let came = Promise.withResolvers<void>();
  const handle = replay(new AnswerStore(systemClock))(async (request) => {
    const { promise, resolve, reject } = Promise.withResolvers<GatewayResponse>();
    through.push({ request, answer: resolve, fail: reject });
    came.resolve();
    came = Promise.withResolvers<void>();
    return promise;
  });
  return { handle, through, next: () => came.promise };
}

test("without a key, for a stream, and for what is no answer of a model every request goes through", () => {
  const { handle, through } = opened();
  const repeated: Asked[] = [
    { key: null },
    { stream: true },
    { operation: "count_tokens" },
    { operation: "embeddings" },
  ];
  for (const asked of repeated) for (let times = 0; times < 2; times++) void handle(requestOf(asked));
  expect(through.map(({ request }) => request.repeatKey)).toEqual(Array.from({ length: 8 }, () => null));
});

test("where the client of the first one leaves, one of those that wait asks anew, and the others wait for it", async () => {
  const { handle, through, next } = opened();
  const leaver = new AbortController();
  const first = handle(requestOf({ signal: leaver.signal }));
  const others = [handle(requestOf({ id: "req_2" })), handle(requestOf({ id: "req_3" }))];
  leaver.abort();
  const second = next();
  through[0]!.fail(new GatewayError("CLIENT_GONE"));
  await expect(first).rejects.toMatchObject({ code: "CLIENT_GONE" });
  await second;
  expect(through).toHaveLength(2);
  through[1]!.answer(answerOf("hello"));
  expect((await Promise.all(others)).map(({ body, headers }) => [body, headers["x-sanctum-replayed"]])).toEqual([
    ["hello", undefined],
    ["hello", "true"],
  ]);
});

test("one that waits and leaves is gone at once, and the first one goes on", async () => {
  const { handle, through } = opened();
  const first = handle(requestOf());
  const leaver = new AbortController();
  const waiting = handle(requestOf({ signal: leaver.signal }));
  const late = new AbortController();
  late.abort();
  await expect(handle(requestOf({ signal: late.signal }))).rejects.toMatchObject({ code: "CLIENT_GONE" });
  leaver.abort();
  await expect(waiting).rejects.toMatchObject({ code: "CLIENT_GONE" });
  through[0]!.answer(answerOf("hello"));
  expect((await first).body).toBe("hello");
  expect(through).toHaveLength(1);
});

test("an error goes to all that wait and is forgotten", async () => {
  const { handle, through } = opened();
  const repeat = requestOf({ id: "req_2" });
  const both = Promise.allSettled([handle(requestOf()), handle(repeat)]);
  const error = new GatewayError("UPSTREAM_FAILED");
  through[0]!.fail(error);
  expect((await both).map((one) => (one.status === "rejected" ? one.reason : null))).toEqual([error, error]);
  expect(repeat.record.replayOf).toBe("req_1");
  void handle(requestOf());
  expect(through).toHaveLength(2);
});

test("an answer that comes bit by bit is not given twice", async () => {
  const { handle, through, next } = opened();
  const first = handle(requestOf());
  const second = handle(requestOf({ id: "req_2" }));
  const again = next();
  through[0]!.answer(answerOf(new ReadableStream()));
  await first;
  await again;
  through[1]!.answer(answerOf("hello"));
  expect((await second).headers["x-sanctum-replayed"]).toBeUndefined();
});

test("the answer is a copy: what is written on one is not seen on the other", async () => {
  const { handle, through } = opened();
  const first = handle(requestOf());
  through[0]!.answer(answerOf("hello"));
  (await first).headers["x-sanctum-request-id"] = "req_1";
  const second = await handle(requestOf({ id: "req_2" }));
  expect(second.headers).toEqual({ "x-sanctum-replayed": "true" });
  expect(await second.finished).toEqual({ outcome: "ok", bytesOut: 5 });
});

test("another path, another body is another request; another agent's key is another key", async () => {
  const { handle, through } = opened();
  void handle(requestOf());
  for (const other of [{ text: '{"a":1}' }, { path: "/v1/responses" }]) {
    await expect(handle(requestOf(other))).rejects.toMatchObject({ code: "REQUEST_KEY_REUSED" });
  }
  void handle(requestOf({ agent: "mothma" }));
  expect(through).toHaveLength(2);
  for (const key of ["", "two words", "x".repeat(256), "caf\u00e9"]) {
    await expect(handle(requestOf({ key }))).rejects.toMatchObject({ code: "REQUEST_INVALID" });
  }
});
