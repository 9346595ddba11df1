import { describe, expect, test } from "bun:test";
import { AttemptError, GatewayError } from "../../errors.ts";
import type { AttemptOutcome, Candidate, Chosen, GatewayResponse, Handler, Planned } from "../../request.ts";
import { allReady, answerOf, candidateAt, localOf, outcomesOf, plannedOf, providerOf } from "./sample-request.ts";
import type { Clock } from "../../clock.ts";
import { classifyFailure } from "../../wire/failure-table.ts";
import type { ChainLimits } from "./chain.ts";
import type { Health, LocalHealth } from "./local-readiness.ts";
import { ResponseTimes } from "./response-times.ts";
import { scripted } from "./sample-request.ts";
import { tryEach } from "./try-each.ts";

const cloud = candidateAt(providerOf("cloud"));
const other = candidateAt(providerOf("other"));
const home = candidateAt(localOf("home"));

type Facts = ConstructorParameters<typeof AttemptError>[1];

function failing(outcome: AttemptOutcome, facts: Facts = {}): () => never {
  return () => {
    throw new AttemptError(outcome, facts);
  };
}

interface Setting {
  readonly waits: number[];
  readonly run: (request: Planned) => Promise<GatewayResponse>;
}

interface Around {
  /** Stands for what happens while the layer waits. */
  readonly onWait?: () => void;
  /** The gateway can answer by itself. */
  readonly alone?: boolean;
  readonly clock?: SkippingClock;
  readonly times?: ResponseTimes;
  readonly limits?: ChainLimits;
  readonly health?: LocalHealth;
  readonly retries?: { asked(provider: string): void; take(provider: string): boolean };
}

/** Goes on with each wait alone. */
class SkippingClock implements Clock {
  ms = 1_000;
  now = (): number => this.ms;
  monotonic = (): number => this.ms;
}

function layerOver(next: Handler<Chosen>, around: Around = {}): Setting {
  const waits: number[] = [];
  const clock = around.clock ?? new SkippingClock();
  const layer = tryEach({
    clock,
    wait: async (ms) => {
      waits.push(Math.round(ms));
      clock.ms += ms;
      around.onWait?.();
    },
    retryDelayMs: (failures, retry) => failures * retry.baseMs,
    health: around.health ?? allReady,
    retries: around.retries ?? { asked: () => undefined, take: () => true },
    times: around.times ?? new ResponseTimes(clock),
    limits: around.limits ?? { deadlineMs: 600_000, costFactor: 3 },
    learnWindow: async () => undefined,
    answerAlone: () => (around.alone === true ? answerOf("counted here") : null),
    takesOver: false,
  });
  const run = layer(next);
  return { waits, run: (request) => run({ ...request, line: request.signal }) };
}

/** What the client is told when the candidates fail with these outcomes, one after the other. */
async function toldAfter(
  ends: readonly (readonly [Candidate, AttemptOutcome, Facts?])[],
  asked: Parameters<typeof plannedOf>[1] = {},
): Promise<GatewayError> {
  const { next } = scripted(...ends.map(([, outcome, facts]) => failing(outcome, facts)));
  const candidates = ends.map(([candidate]) => candidate);
  return refused(layerOver(next).run(plannedOf(candidates, asked)));
}

async function refused(answer: Promise<GatewayResponse>): Promise<GatewayError> {
  try {
    await answer;
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  throw new Error("it was answered");
}

describe("the next candidate answers after", () => {
  const outcomes: readonly AttemptOutcome[] = [
    "upstream_401",
    "upstream_429",
    "upstream_500",
    "upstream_529",
    "connect_failed",
    "timeout_connect",
    "timeout_first_byte",
    "timeout_first_content",
    "cut_stream",
    "error_event",
    "skipped_budget",
    "skipped_limit",
    "skipped_breaker",
    "skipped_key",
    "skipped_policy",
  ];
  for (const outcome of outcomes) {
    test(`${outcome}, at once`, async () => {
      const { next, called } = scripted(failing(outcome, { status: 0, note: "why" }), () => answerOf("from home"));
      const { run, waits } = layerOver(next);
      const request = plannedOf([cloud, home]);
      expect((await run(request)).body).toBe("from home");
      expect(called).toEqual(["cloud/model", "home/model"]);
      expect(waits).toEqual([]);
      expect(request.record.attempts[0]).toMatchObject({ outcome, note: "why", ms: expect.any(Number), status: null });
      expect(request.record.served).toBe(request.record.attempts[1]!);
    });
  }

  test("nothing but the candidates before it: the first that answers is the last that is asked", async () => {
    const { next, called } = scripted(failing("upstream_500", { status: 500 }), () => answerOf("second"));
    const request = plannedOf([cloud, other, home]);
    await layerOver(next).run(request);
    expect(called).toEqual(["cloud/model", "other/model"]);
    expect(request.record.attempts[0]!.status).toBe(500);
  });
});

describe("a local server that says that it is loading its model", () => {
  const loading: Facts = { status: 503, loading: true };
  const patient = candidateAt(
    localOf("patient", {
      timeouts: { connectMs: 1, firstByteMs: 1, firstContentMs: 1, idleMs: 1, totalMs: 1, loadingMs: 60_000 },
    }),
  );

  test("is asked again, and others only once it took too long", async () => {
    const { next, called } = scripted(failing("upstream_503", loading), failing("upstream_503", loading), () =>
      answerOf("loaded"),
    );
    const { run, waits } = layerOver(next);
    const request = plannedOf([patient, cloud]);
    expect((await run(request)).body).toBe("loaded");
    expect(called).toEqual(["patient/model", "patient/model", "patient/model"]);
    expect(waits).toEqual([500, 1_000]);
    expect(request.record.attempts.map(({ outcome }) => outcome)).toEqual(["upstream_503", "upstream_503", null]);
  });

  test("does not use up the tries that a failure has", async () => {
    const { next, called } = scripted(failing("upstream_503", loading), failing("upstream_500", { status: 500 }), () =>
      answerOf("at last"),
    );
    const retry = { attempts: 2, baseMs: 500, maxMs: 8_000 };
    const twice = candidateAt({ ...patient.provider, retry });
    expect((await layerOver(next).run(plannedOf([twice]))).body).toBe("at last");
    expect(called).toHaveLength(3);
  });

  test("that may take no time for it lets the next one answer", async () => {
    const { next, called } = scripted(failing("upstream_503", loading), () => answerOf("from the cloud"));
    await layerOver(next).run(plannedOf([home, cloud]));
    expect(called).toEqual(["home/model", "cloud/model"]);
  });
});

describe("what is known of a local server", () => {
  test("comes before it is asked: it is passed over, with its reason in the trail", async () => {
    const { next, called } = scripted(() => answerOf("from the cloud"));
    const health = { ...allReady, of: (candidate: Candidate) => (candidate.local ? "down" : "ready") } as const;
    const request = plannedOf([home, cloud]);
    expect((await layerOver(next, { health }).run(request)).body).toBe("from the cloud");
    expect(called).toEqual(["cloud/model"]);
    expect(outcomesOf(request.record.attempts)).toEqual(["home/model:skipped_breaker", "cloud/model:open"]);
    expect(request.record.attempts[0]).toMatchObject({ note: "its server does not answer", status: null });
  });

  test("is told the client as what is missing where that is all that is wrong", async () => {
    const missing = candidateAt(localOf("home"), { name: "coder", reason: "fallback" });
    const health = { ...allReady, of: (): Health => "missing", renewed: async (): Promise<Health> => "missing" };
    const { next } = scripted();
    const error = await refused(layerOver(next, { health }).run(plannedOf([missing])));
    expect([error.code, error.final]).toEqual(["ROUTE_NO_CANDIDATE", true]);
    expect(error.publicMessage).toContain("sanctum status");
  });
});

describe("a window that is too small", () => {
  const small = candidateAt(localOf("small"), { context: 1_000 });
  const large = candidateAt(localOf("large"), { context: 100_000 });
  const long = { facts: { inputTokenBound: 10_000 } };

  test("is not asked at all where the prompt certainly does not fit", async () => {
    const { next, called } = scripted(() => answerOf("fits"));
    const request = plannedOf([small, large], long);
    await layerOver(next).run(request);
    expect(called).toEqual(["large/model"]);
    expect(outcomesOf(request.record.attempts)).toEqual(["small/model:skipped_context", "large/model:open"]);
  });

  test("matters to no request that only counts tokens", async () => {
    const { next, called } = scripted(() => answerOf("12"));
    await layerOver(next).run(plannedOf([small], { ...long, operation: "count_tokens" }));
    expect(called).toEqual(["small/model"]);
  });

  test("is not asked after a larger one said that the prompt is too long; a still larger one is", async () => {
    const relay = answerOf("prompt is too long", 400);
    const { next, called } = scripted(failing("upstream_400", { status: 400, relay }), () => answerOf("fits"));
    const middle = candidateAt(providerOf("middle"), { context: 50_000 });
    const answer = await layerOver(next).run(
      plannedOf([middle, candidateAt(localOf("tiny"), { context: 8_000 }), large]),
    );
    expect(called).toEqual(["middle/model", "large/model"]);
    expect(answer.body).toBe("fits");
  });

  test("of all candidates is told in the upstream's own words where one spoke", async () => {
    const relay = answerOf("prompt is too long: 9 > 8", 400);
    const { next } = scripted(failing("upstream_400", { status: 400, relay }), failing("upstream_500"));
    expect(await layerOver(next).run(plannedOf([cloud, home]))).toBe(relay);
  });

  test("of all candidates is final and in words on which agents shorten their conversation", async () => {
    const { next, called } = scripted();
    const error = await refused(layerOver(next).run(plannedOf([small], { ...long, dialect: "messages" })));
    expect(called).toEqual([]);
    expect(error).toMatchObject({ code: "REQUEST_INVALID", status: 400, dialectCode: "context_length_exceeded" });
    expect(error.publicMessage).toStartWith("prompt is too long");
  });
});

describe("the same candidate is asked again", () => {
  const patient = candidateAt(providerOf("patient", { retry: { attempts: 3, baseMs: 500, maxMs: 8_000 } }));

  test("only where it is the last one", async () => {
    const { next, called } = scripted(failing("upstream_503"), () => answerOf("home"));
    const { run, waits } = layerOver(next);
    await run(plannedOf([patient, home]));
    expect([called, waits]).toEqual([["patient/model", "home/model"], []]);
  });

  test("as often as it is configured, with a growing pause, each time as an attempt of its own", async () => {
    const { next } = scripted(failing("upstream_503"), failing("connect_failed"), failing("upstream_503"));
    const { run, waits } = layerOver(next);
    const request = plannedOf([patient]);
    expect((await refused(run(request))).code).toBe("UPSTREAM_FAILED");
    expect(waits).toEqual([500, 1_000]);
    expect(request.record.attempts.length).toBe(3);
  });

  test("and its answer is the client's", async () => {
    const { next } = scripted(failing("upstream_529"), () => answerOf("now"));
    expect((await layerOver(next).run(plannedOf([patient]))).body).toBe("now");
  });

  test("after exactly the pause that it asked for, but not after one that is too long", async () => {
    for (const [retryAfterMs, expected] of [
      [0, [0]],
      [2_000, [2_000]],
      [10_000, [10_000]],
      [10_001, []],
    ] as const) {
      const { next } = scripted(failing("upstream_429", { retryAfterMs }), () => answerOf("now"));
      const { run, waits } = layerOver(next);
      await run(plannedOf([patient])).catch(() => undefined);
      expect([retryAfterMs, waits]).toEqual([retryAfterMs, [...expected]]);
    }
  });

  test("at once with another key of its provider, wherever in the plan it stands, and then as one of the plan", async () => {
    const otherKey = (): never => {
      const error = new AttemptError("upstream_429", { status: 429, retryAfterMs: 60_000 });
      error.otherKey = true;
      throw error;
    };
    const { next, called } = scripted(otherKey, otherKey, failing("upstream_429"), () => answerOf("home"));
    const { run, waits } = layerOver(next);
    const request = plannedOf([patient, home]);
    expect((await run(request)).body).toBe("home");
    expect([called, waits]).toEqual([["patient/model", "patient/model", "patient/model", "home/model"], []]);
    expect(request.record.attempts.map(({ outcome }) => outcome)).toEqual([
      "upstream_429",
      "upstream_429",
      "upstream_429",
      null,
    ]);
  });

  test("before the next one where waiting is quicker than that one is good, once", async () => {
    const clock = new SkippingClock();
    const times = new ResponseTimes(clock);
    times.answered(patient, false, 800);
    times.answered(home, false, 3_000);
    const again = scripted(failing("upstream_502"), () => answerOf("cloud after all"));
    const { run, waits } = layerOver(again.next, { clock, times });
    expect((await run(plannedOf([patient, home]))).body).toBe("cloud after all");
    expect([again.called, waits]).toEqual([["patient/model", "patient/model"], [500]]);
    const once = scripted(failing("upstream_502"), failing("upstream_502"), () => answerOf("home"));
    expect((await layerOver(once.next, { clock, times }).run(plannedOf([patient, home]))).body).toBe("home");
    expect(once.called).toEqual(["patient/model", "patient/model", "home/model"]);
  });

  test("after the next one where that is quicker, or nobody knows how long either takes", async () => {
    for (const [ownMs, nextMs, retryAfterMs] of [
      [800, 1_200, undefined],
      [800, 3_000, 2_300],
      [undefined, 3_000, undefined],
      [800, undefined, undefined],
    ] as const) {
      const clock = new SkippingClock();
      const times = new ResponseTimes(clock);
      if (ownMs !== undefined) times.answered(patient, false, ownMs);
      if (nextMs !== undefined) times.answered(home, false, nextMs);
      const { next, called } = scripted(failing("upstream_429", { retryAfterMs }), () => answerOf("home"));
      await layerOver(next, { clock, times }).run(plannedOf([patient, home]));
      expect([ownMs, nextMs, called]).toEqual([ownMs, nextMs, ["patient/model", "home/model"]]);
    }
  });

  test("though it is not the last one, where all that follow have failed: whoever is ready first, then the next", async () => {
    const also = candidateAt(localOf("also", { retry: { attempts: 2, baseMs: 300, maxMs: 8_000 } }));
    const steps = [
      failing("upstream_529", { retryAfterMs: 2_000 }),
      failing("connect_failed"),
      failing("connect_failed"),
    ] as const;
    const { next, called } = scripted(...steps, () => answerOf("cloud"));
    const { run, waits } = layerOver(next);
    expect((await run(plannedOf([patient, also]))).body).toBe("cloud");
    expect(called).toEqual(["patient/model", "also/model", "also/model", "patient/model"]);
    expect(waits).toEqual([300, 1_700]);
  });

  test("only while its provider has not had its share of second tries", async () => {
    const asked: string[] = [];
    const retries = { asked: (name: string) => void asked.push(name), take: () => false };
    const { next, called } = scripted(failing("upstream_503"));
    const { run, waits } = layerOver(next, { retries });
    expect((await refused(run(plannedOf([patient])))).code).toBe("UPSTREAM_FAILED");
    expect([called.length, waits, asked]).toEqual([1, [], ["patient"]]);
  });

  test("not where the client has left by then, and not for a count", async () => {
    const impatient = { headers: { "x-stainless-timeout": "2" } };
    const slow = scripted(failing("upstream_503", { retryAfterMs: 2_000 }));
    await refused(layerOver(slow.next).run(plannedOf([patient], impatient)));
    const counting = scripted(failing("upstream_503"));
    await refused(layerOver(counting.next).run(plannedOf([patient], { operation: "count_tokens" })));
    expect([slow.called.length, counting.called.length]).toEqual([1, 1]);
  });

  test("never after what does not get better by itself, or may have been billed", async () => {
    const final: readonly AttemptOutcome[] = [
      "upstream_400",
      "upstream_401",
      "upstream_403",
      "cut_stream",
      "error_event",
      "timeout_first_byte",
      "skipped_budget",
      "skipped_key",
    ];
    for (const outcome of final) {
      const { next, called } = scripted(failing(outcome));
      await layerOver(next)
        .run(plannedOf([patient]))
        .catch(() => undefined);
      expect([outcome, called.length]).toEqual([outcome, 1]);
    }
  });
});

describe("all attempts of a request together", () => {
  const patient = candidateAt(providerOf("patient", { retry: { attempts: 10, baseMs: 4_000, maxMs: 8_000 } }));
  const dear = (name: string): Candidate =>
    candidateAt(providerOf(name), { price: { source: "config" } as NonNullable<Candidate["price"]> });
  /** Fails, and was charged for it. */
  const charged =
    (nanos: number, heldNanos = 100) =>
    ({ attempt }: Chosen): never => {
      Object.assign(attempt, { nanos, heldNanos });
      throw new AttemptError("cut_stream", { billed: "unknown" });
    };

  test("are begun within the deadline, or while the client still waits, whichever ends first", async () => {
    for (const [deadlineMs, patience, tries] of [
      [13_000, undefined, 3],
      [600_000, "13", 3],
      [13_000, "600", 3],
      [3_000, undefined, 1],
    ] as const) {
      const { next, called } = scripted(...Array.from({ length: 10 }, () => failing("upstream_503")));
      const headers = patience === undefined ? {} : { "x-stainless-timeout": patience };
      const { run } = layerOver(next, { limits: { deadlineMs, costFactor: 3 } });
      await refused(run(plannedOf([patient], { headers })));
      expect([deadlineMs, patience, called.length]).toEqual([deadlineMs, patience, tries]);
    }
  });

  test("are cut at the deadline: what runs then is nobody's failure, and the client is told", async () => {
    const slow = candidateAt(providerOf("slow", { timeouts: { ...cloud.provider.timeouts, firstContentMs: 60_000 } }));
    let signal: AbortSignal | undefined;
    const next: Handler<Chosen> = async (chosen) => {
      signal = chosen.signal;
      await new Promise<void>((resolve) => chosen.signal.addEventListener("abort", () => resolve()));
      throw new AttemptError("client_gone", { billed: "unknown" });
    };
    const request = plannedOf([slow]);
    const error = await refused(layerOver(next, { limits: { deadlineMs: 5, costFactor: 3 } }).run(request));
    expect(error).toMatchObject({ code: "UPSTREAM_FAILED", final: true });
    expect(outcomesOf(request.record.attempts)).toEqual(["slow/model:timeout_deadline"]);
    expect([signal?.aborted, request.signal.aborted]).toEqual([true, false]);
  });

  test("do not end an answer that has begun, but the client does", async () => {
    const slow = candidateAt(providerOf("slow", { timeouts: { ...cloud.provider.timeouts, firstContentMs: 60_000 } }));
    const leaving = new AbortController();
    let signal: AbortSignal | undefined;
    const { promise, resolve } = Promise.withResolvers<{ outcome: "ok"; bytesOut: number }>();
    const next: Handler<Chosen> = async (chosen) => {
      signal = chosen.signal;
      return { ...answerOf("begun"), finished: promise };
    };
    await layerOver(next, { limits: { deadlineMs: 2, costFactor: 3 } }).run(
      plannedOf([slow], { signal: leaving.signal }),
    );
    await Bun.sleep(6);
    expect(signal?.aborted).toBeFalse();
    leaving.abort();
    expect(signal?.aborted).toBeTrue();
    resolve({ outcome: "ok", bytesOut: 5 });
  });

  test("may be charged three times the dearest: then only who costs nothing is asked", async () => {
    const { next, called } = scripted(charged(100), charged(100), charged(100), () => answerOf("home"));
    const request = plannedOf([dear("a"), dear("b"), dear("c"), dear("d"), home]);
    expect((await layerOver(next).run(request)).body).toBe("home");
    expect(called).toEqual(["a/model", "b/model", "c/model", "home/model"]);
    expect(request.record.attempts[3]).toMatchObject({
      outcome: "skipped_budget",
      note: "failed attempts have cost this request enough",
    });
    const charges = request.record.attempts.reduce((sum, { nanos }) => sum + nanos, 0);
    expect(charges).toBeLessThanOrEqual(3 * 100);
  });

  test("that cost little may be many, and `1` allows none after one that was charged", async () => {
    const cheap = Array.from({ length: 8 }, (_, i) => dear(`c${i}`));
    const many = scripted(...cheap.map(() => charged(10)));
    await refused(layerOver(many.next).run(plannedOf(cheap)));
    expect(many.called.length).toBe(8);
    const none = scripted(charged(1));
    const limits = { deadlineMs: 600_000, costFactor: 1 };
    const told = await refused(layerOver(none.next, { limits }).run(plannedOf([dear("a"), dear("b")])));
    // It is no word about the agent's budget, which would make it stop for good.
    expect([none.called, told.code]).toEqual([["a/model"], "UPSTREAM_FAILED"]);
  });

  test("do not end with `over_budget: refuse` because of what failed attempts cost", async () => {
    const { next } = scripted(charged(100), () => answerOf("home"));
    const limits = { deadlineMs: 600_000, costFactor: 1 };
    const request = plannedOf([dear("a"), dear("b"), home], { agent: { overBudget: "refuse" } });
    expect((await layerOver(next, { limits }).run(request)).body).toBe("home");
  });
});

test("a provider that can't be reached is not asked for its other models; one that fails is", async () => {
  const second = candidateAt(cloud.provider, { model: "second", name: "cloud/second" });
  for (const [outcome, expected] of [
    ["connect_failed", ["cloud/model", "home/model"]],
    ["timeout_connect", ["cloud/model", "home/model"]],
    ["upstream_500", ["cloud/model", "cloud/second"]],
  ] as const) {
    const { next, called } = scripted(failing(outcome), () => answerOf("answered"));
    const request = plannedOf([cloud, second, home]);
    await layerOver(next).run(request);
    expect([outcome, called]).toEqual([outcome, [...expected]]);
  }
});

describe("when every candidate failed, the client is told", () => {
  test("402 where money is the reason, whatever the local model suffers from", async () => {
    const ends = [
      [cloud, "skipped_budget"],
      [home, "connect_failed"],
    ] as const;
    expect(await toldAfter(ends)).toMatchObject({ code: "BUDGET_EXHAUSTED", kind: "billing" });
    expect((await toldAfter([[cloud, "skipped_budget"]])).code).toBe("BUDGET_EXHAUSTED");
    expect(
      (
        await toldAfter([
          [cloud, "skipped_budget"],
          [other, "skipped_key"],
        ])
      ).code,
    ).toBe("BUDGET_EXHAUSTED");
  });

  test("503 where money is the reason of one, and another one was asked and is down", async () => {
    expect(
      (
        await toldAfter([
          [cloud, "upstream_500"],
          [other, "skipped_budget"],
        ])
      ).code,
    ).toBe("UPSTREAM_FAILED");
  });

  test("429 where limits are the reason, with the shortest wait of all, from 1 to 30 seconds", async () => {
    const ends = [
      [cloud, "upstream_429", { retryAfterMs: 20_000 }],
      [other, "skipped_limit", { retryAfterMs: 4_200 }],
      [home, "connect_failed"],
    ] as const;
    expect(await toldAfter(ends)).toMatchObject({ code: "LIMITS_EXHAUSTED", status: 429, retryAfterSeconds: 5 });
    for (const [retryAfterMs, seconds] of [
      [0, 1],
      [3_600_000, 30],
      [undefined, 1],
    ] as const) {
      const error = await toldAfter([[cloud, "skipped_limit", { retryAfterMs }]]);
      expect([retryAfterMs, error.retryAfterSeconds]).toEqual([retryAfterMs, seconds]);
    }
  });

  test("429 also where the limit was told inside of a good status", async () => {
    const limit = await toldAfter([[cloud, "error_event", { status: 429 }]]);
    expect(limit).toMatchObject({ code: "LIMITS_EXHAUSTED", status: 429, retryAfterSeconds: 1 });
    expect((await toldAfter([[cloud, "error_event", { status: 529 }]])).code).toBe("UPSTREAM_FAILED");
  });

  test("to come back rather than 402 where one is too dear and a local one is only busy: an agent stops for good at 402", async () => {
    expect(
      (
        await toldAfter([
          [cloud, "skipped_budget"],
          [home, "skipped_limit"],
        ])
      ).code,
    ).toBe("LIMITS_LOCAL_BUSY");
    expect(
      (
        await toldAfter([
          [cloud, "skipped_limit"],
          [other, "skipped_budget"],
        ])
      ).code,
    ).toBe("LIMITS_EXHAUSTED");
  });

  test("503 where one is at its limit and another one is down", async () => {
    const error = await toldAfter([
      [cloud, "upstream_429"],
      [other, "upstream_500"],
    ]);
    expect(error).toMatchObject({ code: "UPSTREAM_FAILED", status: 503 });
  });

  test("503 where all are down or locked out by their breakers", async () => {
    const ends = [
      [cloud, "skipped_breaker"],
      [other, "timeout_first_byte"],
      [home, "connect_failed"],
    ] as const;
    expect(await toldAfter(ends)).toMatchObject({ code: "UPSTREAM_FAILED", retryAfterSeconds: 5 });
    expect((await toldAfter([[cloud, "skipped_breaker"]])).code).toBe("UPSTREAM_FAILED");
  });

  test("503 with the shortest wait that was asked for, from 5 to 30 seconds", async () => {
    for (const [cloudMs, otherMs, seconds] of [
      [9_000, undefined, 9],
      [20_000, 12_300, 13],
      [400_000, undefined, 30],
      [300, 20_000, 5],
    ] as const) {
      const ends = [
        [cloud, "upstream_503", { retryAfterMs: cloudMs }],
        [other, "skipped_breaker", { retryAfterMs: otherMs }],
        [home, "connect_failed"],
      ] as const;
      expect([cloudMs, (await toldAfter(ends)).retryAfterSeconds]).toEqual([cloudMs, seconds]);
    }
  });

  test("the last wait of a candidate that was asked twice, not the one that is over", async () => {
    const again = candidateAt(providerOf("again", { retry: { attempts: 2, baseMs: 500, maxMs: 8_000 } }));
    const { next } = scripted(
      failing("upstream_429", { retryAfterMs: 2_000 }),
      failing("upstream_429", { retryAfterMs: 20_000 }),
    );
    expect(await refused(layerOver(next).run(plannedOf([again])))).toMatchObject({
      code: "LIMITS_EXHAUSTED",
      retryAfterSeconds: 20,
    });
  });

  test("that the account is empty, also while it is left alone for that; not where another one is only busy", async () => {
    expect(await toldAfter([[cloud, "skipped_limit", { outOfCredit: true }]])).toMatchObject({
      code: "UPSTREAM_CREDIT",
    });
    const withHome = [
      [cloud, "skipped_limit", { outOfCredit: true }],
      [home, "connect_failed"],
    ] as const;
    expect((await toldAfter(withHome)).code).toBe("UPSTREAM_CREDIT");
    const withOther = [
      [cloud, "upstream_402", { status: 402 }],
      [other, "upstream_429", { status: 429, retryAfterMs: 3_000 }],
    ] as const;
    expect(await toldAfter(withOther)).toMatchObject({ code: "LIMITS_EXHAUSTED", retryAfterSeconds: 3 });
  });

  test("that there is no such model where its provider has said so, now or a moment ago, and not to come back", async () => {
    const fault = { status: 404, code: "model_not_found", message: "no" };
    const failure = classifyFailure({ outcome: "upstream_404", status: 404, fault });
    for (const outcome of ["upstream_404", "skipped_limit"] as const) {
      const ends = [
        [cloud, outcome, { failure, retryAfterMs: 60_000 }],
        [home, "skipped_context"],
      ] as const;
      expect(await toldAfter(ends)).toMatchObject({ code: "ROUTE_MODEL_UNKNOWN", status: 404, kind: "not_found" });
    }
    const down = [
      [cloud, "upstream_404", { failure }],
      [home, "connect_failed"],
    ] as const;
    expect((await toldAfter(down)).code).toBe("UPSTREAM_FAILED");
  });

  test("503 where the attempts ran into any of their clocks", async () => {
    for (const outcome of ["timeout_total", "timeout_deadline", "timeout_first_content"] as const) {
      expect((await toldAfter([[cloud, outcome]])).code).toBe("UPSTREAM_FAILED");
    }
  });

  test("what to do where no key is there", async () => {
    const error = await toldAfter([[cloud, "skipped_key"]]);
    expect(error.code).toBe("ROUTE_NO_CANDIDATE");
    expect(error.publicMessage).toContain("sanctum keys set cloud");
  });

  test("400 where the request asks for what none of them has, not to send it again", async () => {
    const ends = [
      [cloud, "skipped_policy"],
      [home, "skipped_policy"],
    ] as const;
    expect(await toldAfter(ends)).toMatchObject({ code: "REQUEST_INVALID", kind: "invalid_request" });
    expect(
      (
        await toldAfter([
          [cloud, "upstream_500"],
          [home, "skipped_policy"],
        ])
      ).code,
    ).toBe("UPSTREAM_FAILED");
  });

  test("nothing of it where the gateway can answer by itself", async () => {
    const { next } = scripted(failing("skipped_key"));
    const { run } = layerOver(next, { alone: true });
    expect((await run(plannedOf([cloud], { operation: "count_tokens" }))).body).toBe("counted here");
  });

  test("nothing that the upstream said: names and outcomes are for the log", async () => {
    const error = await toldAfter([
      [cloud, "upstream_500", { note: "house secret", cause: new Error("house secret") }],
    ]);
    expect(error.publicMessage).not.toMatch(/cloud|secret/);
    expect(String(error.cause)).toContain("cloud/model: upstream_500");
  });
});

test("`over_budget: refuse` ends the request at the first candidate that is too dear", async () => {
  const { next, called } = scripted(failing("skipped_budget"));
  const error = await refused(layerOver(next).run(plannedOf([cloud, home], { agent: { overBudget: "refuse" } })));
  expect(error.code).toBe("BUDGET_EXHAUSTED");
  expect(called).toEqual(["cloud/model"]);
});

describe("a client that has gone", () => {
  test("is answered by no further candidate", async () => {
    const leaving = new AbortController();
    const { next, called } = scripted(() => {
      leaving.abort();
      throw new AttemptError("cut_stream");
    });
    const request = plannedOf([cloud, home], { signal: leaving.signal });
    expect((await refused(layerOver(next).run(request))).code).toBe("CLIENT_GONE");
    expect(called).toEqual(["cloud/model"]);
    expect(outcomesOf(request.record.attempts)).toEqual(["cloud/model:client_gone"]);
  });

  test("in the pause before a second try, is not tried for again", async () => {
    const leaving = new AbortController();
    const patient = candidateAt(providerOf("patient", { retry: { attempts: 3, baseMs: 500, maxMs: 8_000 } }));
    const { next, called } = scripted(failing("upstream_503"));
    const { run } = layerOver(next, { onWait: () => leaving.abort() });
    expect((await refused(run(plannedOf([patient], { signal: leaving.signal })))).code).toBe("CLIENT_GONE");
    expect(called).toEqual(["patient/model"]);
  });
});

test("what is not the failure of an attempt is swallowed by nobody", async () => {
  for (const thrown of [new TypeError("a defect"), new GatewayError("BUDGET_LEDGER")]) {
    const { next, called } = scripted(() => {
      throw thrown;
    });
    await expect(layerOver(next).run(plannedOf([cloud, home]))).rejects.toBe(thrown);
    expect(called).toEqual(["cloud/model"]);
  }
});
