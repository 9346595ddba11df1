import { describe, expect, test } from "bun:test";
import { AttemptError, GatewayError } from "../../errors.ts";
import type { AttemptOutcome, Chosen, Finish, GatewayResponse, Handler, Paced, ProviderLimits } from "../../request.ts";
import { classifyFailure } from "../../wire/failure-table.ts";
import { Limits } from "./limits.ts";
import { pace } from "./pace.ts";
import { MemoryQuota, type Quota } from "./quota.ts";
import { chosenFor, providerNamed, usageOf } from "./sample-request.ts";
import { ManualClock } from "./manual-clock.ts";
import { seededRandom } from "./seeded-random.ts";

interface SetUp {
  readonly clock: ManualClock;
  readonly limits: Limits;
  /** Runs one attempt whose inner layers do `inner`. */
  readonly attempt: (inner: Handler<Paced>, chosen?: Chosen) => Promise<GatewayResponse>;
  readonly provider: ReturnType<typeof providerNamed>;
}

function setUp(limited: Partial<ProviderLimits> = {}, key: "keychain" | "passthrough" = "keychain"): SetUp {
  const clock = new ManualClock();
  const limits = new Limits({ clock, random: seededRandom(5), wait: clock.wait });
  const provider = providerNamed("anthropic", { maxWaitMs: 0, ...limited }, key);
  limits.configure([provider]);
  const attempt: SetUp["attempt"] = (inner, chosen) => pace(limits)(inner)(chosen ?? chosenFor(provider));
  return { clock, limits, attempt, provider };
}

function answer(finished: Promise<Finish> = Promise.resolve({ outcome: "ok", bytesOut: 1 })): GatewayResponse {
  return { status: 200, headers: {}, body: "{}", finished };
}

const ends =
  (outcome: AttemptOutcome, finish: Finish["outcome"] = "ok"): Handler<Paced> =>
  async (paced) => {
    paced.attempt.outcome = outcome;
    return answer(Promise.resolve({ outcome: finish, bytesOut: 0 }));
  };

const throws =
  (error: unknown): Handler<Paced> =>
  async () => {
    throw error;
  };

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

async function skipOf(promise: Promise<unknown>): Promise<AttemptError> {
  const error = await errorOf(promise);
  if (error instanceof AttemptError) return error;
  throw new Error("not skipped");
}

async function settled(response: Promise<GatewayResponse>): Promise<Finish> {
  return await (
    await response
  ).finished;
}

describe("what pace does with the ways an attempt ends", () => {
  test("the concurrency is freed exactly once on every way out", async () => {
    const ways: Handler<Paced>[] = [
      ends("ok"),
      ends("cut_stream", "upstream_error"),
      ends("client_gone", "client_gone"),
      ends("upstream_400", "client_error"),
      throws(new AttemptError("upstream_500", { status: 500 })),
      throws(new AttemptError("connect_failed")),
      throws(new AttemptError("skipped_budget")),
      throws(new GatewayError("CLIENT_GONE")),
      throws(new TypeError("a bug")),
      async () => answer(Promise.reject(new Error("a broken promise to never reject"))),
    ];
    for (const way of ways) {
      const { attempt } = setUp({ concurrent: 1 });
      for (let i = 0; i < 3; i++) {
        const outcome = await errorOf(settled(attempt(way)));
        expect(outcome instanceof AttemptError && outcome.outcome === "skipped_limit").toBeFalse();
      }
    }
  });

  test("a stream holds its place until it has ended", async () => {
    const { attempt } = setUp({ concurrent: 1 });
    const { promise, resolve } = Promise.withResolvers<Finish>();
    const stream = await attempt(async () => answer(promise));
    expect((await skipOf(attempt(ends("ok")))).outcome).toBe("skipped_limit");
    resolve({ outcome: "ok", bytesOut: 3 });
    expect(await stream.finished).toEqual({ outcome: "ok", bytesOut: 3 });
    await settled(attempt(ends("ok")));
  });

  test("the error that ended the attempt comes through unchanged", async () => {
    const { attempt } = setUp();
    for (const error of [new AttemptError("skipped_key"), new GatewayError("INTERNAL"), new RangeError("x")]) {
      expect(await errorOf(attempt(throws(error)))).toBe(error);
    }
  });

  test("tokens are corrected by the usage of the attempt", async () => {
    const { attempt, limits, provider } = setUp({ inputTokensPerMinute: 10_000, outputTokensPerMinute: 10_000 });
    const chosen = chosenFor(provider, { inputTokenBound: 4_000, maxOutputTokens: 500 });
    const response = await attempt(async (paced) => {
      expect(limits.status("anthropic").limits.input_tokens?.remaining).toBe(6_000);
      expect(limits.status("anthropic").limits.output_tokens?.remaining).toBe(9_500);
      paced.attempt.usage = usageOf({ input: 700, cacheRead: 5_000, cacheWrite5m: 300, output: 40 });
      paced.attempt.outcome = "ok";
      return answer();
    }, chosen);
    await response.finished;
    expect(limits.status("anthropic").limits.input_tokens?.remaining).toBe(9_000);
    expect(limits.status("anthropic").limits.output_tokens?.remaining).toBe(9_960);
  });

  test("a refused attempt costs a request but no tokens, one that was never sent costs nothing", async () => {
    const { attempt, clock, limits } = setUp({ requestsPerMinute: 10, inputTokensPerMinute: 10_000 });
    await errorOf(attempt(throws(new AttemptError("upstream_429", { status: 429, retryAfterMs: 1 }))));
    const after = limits.status("anthropic").limits;
    expect([after.requests?.remaining, after.input_tokens?.remaining]).toEqual([9, 10_000]);
    clock.advance(1);
    await errorOf(attempt(throws(new AttemptError("skipped_budget"))));
    await errorOf(attempt(throws(new AttemptError("connect_failed"))));
    expect(limits.status("anthropic").limits.requests?.remaining).toBe(9);
  });
});

describe("what is short for a moment", () => {
  const oneASecond = { requestsPerMinute: 60 } as const;

  /** All of it is gone. */
  async function used({ attempt }: SetUp): Promise<void> {
    for (let i = 0; i < 60; i++) await settled(attempt(ends("ok")));
  }

  async function pass(clock: ManualClock, ms: number): Promise<void> {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    clock.advance(ms);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }

  test("is waited for, and the wait shows in the attempt's note beside others'", async () => {
    const house = setUp({ ...oneASecond, maxWaitMs: 2_000 });
    await used(house);
    const chosen = chosenFor(house.provider);
    const waiting = house.attempt(async (paced) => {
      paced.attempt.note = "something else";
      return ends("ok")(paced);
    }, chosen);
    await pass(house.clock, 1_000);
    await settled(waiting);
    expect(chosen.attempt.note).toBe("waited 1000 ms in line; something else");
    expect(house.clock.waits).toBe(0);
  });

  test("shows in the note of a failure too", async () => {
    const house = setUp({ ...oneASecond, maxWaitMs: 2_000 });
    await used(house);
    const waiting = skipOf(house.attempt(throws(new AttemptError("upstream_500", { status: 500, note: "why" }))));
    await pass(house.clock, 1_000);
    expect((await waiting).note).toBe("waited 1000 ms in line; why");
  });

  test("is waited for 2 s where somebody else can serve, and 10 s where nobody can", async () => {
    for (const [others, ms] of [
      [1, 2_000],
      [0, 10_000],
    ] as const) {
      const house = setUp({ requestsPerMinute: 1 });
      const { provider } = house;
      const unset = { ...provider, limits: { ...provider.limits, maxWaitMs: undefined } };
      const chosen = chosenFor(unset);
      const other = { ...chosen.candidate, name: "other" };
      const candidates = [chosen.candidate, ...Array.from({ length: others }, () => other)];
      const planned = { ...chosen, request: { ...chosen.request, candidates } };
      await settled(house.attempt(ends("ok")));
      house.clock.advance(60_000 - ms - 1);
      expect(await skipOf(house.attempt(ends("ok"), planned))).toMatchObject({ retryAfterMs: ms + 1 });
      house.clock.advance(1);
      const waiting = house.attempt(ends("ok"), planned);
      await pass(house.clock, ms);
      await settled(waiting);
    }
  });

  test("is not waited for longer than the client waits", async () => {
    const house = setUp({ ...oneASecond, maxWaitMs: 10_000 });
    await used(house);
    const chosen = chosenFor(house.provider);
    chosen.request.headers.set("x-stainless-timeout", "0.9");
    const skip = await skipOf(house.attempt(ends("ok"), chosen));
    expect(skip).toMatchObject({ outcome: "skipped_limit", retryAfterMs: 1_000 });
  });

  test("is left by a client that goes away, and nothing is taken for it", async () => {
    const house = setUp({ ...oneASecond, maxWaitMs: 10_000 });
    await used(house);
    const leaver = new AbortController();
    const waiting = errorOf(house.attempt(ends("ok"), { ...chosenFor(house.provider), signal: leaver.signal }));
    await pass(house.clock, 0);
    expect(house.limits.status("anthropic").waiting).toBe(1);
    leaver.abort();
    await waiting;
    expect(house.limits.status("anthropic").waiting).toBe(0);
    house.clock.advance(1_000);
    expect(house.limits.status("anthropic").limits.requests?.remaining).toBe(1);
  });

  test("what was told for one key is forgotten when its provider's next one is asked", async () => {
    const { attempt } = setUp();
    const failure = new AttemptError("upstream_429", { status: 429, retryAfterMs: 60_000 });
    failure.otherKey = true;
    const refusal = attempt(async (paced) => {
      paced.permit.learn(new Headers({ "x-ratelimit-remaining-requests": "0", "retry-after": "60" }), 429);
      throw failure;
    });
    await errorOf(refusal);
    await settled(attempt(ends("ok")));
  });

  test("a limit of one model keeps nobody from another, as far as quotas go", async () => {
    const { attempt, provider } = setUp();
    const told = async (paced: Paced): Promise<GatewayResponse> => {
      const headers = { "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6s" };
      paced.permit.learn(new Headers(headers), 200);
      return ends("ok")(paced);
    };
    await settled(attempt(told));
    expect((await skipOf(attempt(ends("ok")))).outcome).toBe("skipped_limit");
    const other = chosenFor(provider);
    await settled(attempt(ends("ok"), { ...other, candidate: { ...other.candidate, model: "other" } }));
  });
});

describe("when the provider asks to be left alone", () => {
  test("a 429 of one key keeps nobody away while the provider has another key", async () => {
    const { attempt } = setUp();
    const failure = new AttemptError("upstream_429", { status: 429, retryAfterMs: 7_000 });
    failure.otherKey = true;
    await errorOf(attempt(throws(failure)));
    expect((await attempt(ends("ok"))).status).toBe(200);
  });

  test("a 503 with retry-after keeps every request away for exactly that long", async () => {
    const { attempt, clock, limits } = setUp();
    await errorOf(attempt(throws(new AttemptError("upstream_503", { status: 503, retryAfterMs: 7_000 }))));
    expect(limits.status("anthropic").backoff_until).toBe("2026-11-23T18:00:07.000Z");
    const skip = await skipOf(attempt(ends("ok")));
    expect(skip).toMatchObject({ outcome: "skipped_limit", billed: "none" });
    expect(skip.note).toMatch(/^backing off for another \d+ ms$/);
    clock.advance(7_000);
    await settled(attempt(ends("ok")));
    expect(limits.status("anthropic").backoff_until).toBeNull();
  });

  test("the wait is read from the headers where the error does not carry it", async () => {
    const { attempt, limits } = setUp();
    await errorOf(
      attempt(async (paced) => {
        paced.permit.learn(new Headers({ "retry-after": "11" }), 429);
        throw new AttemptError("upstream_429", { status: 429 });
      }),
    );
    expect(limits.status("anthropic").backoff_until).toBe("2026-11-23T18:00:11.000Z");
  });

  test("503, 529, 402 and an overload told inside a stream count, 500 and 400 do not", async () => {
    const cases: [AttemptOutcome, number, boolean][] = [
      ["upstream_503", 503, true],
      ["upstream_529", 529, true],
      ["upstream_402", 402, true],
      ["error_event", 529, true],
      ["upstream_500", 500, false],
      ["upstream_400", 400, false],
      ["error_event", 500, false],
    ];
    for (const [outcome, status, backsOff] of cases) {
      const { attempt, limits } = setUp();
      await errorOf(attempt(throws(new AttemptError(outcome, { status, retryAfterMs: 5_000 }))));
      expect([outcome, limits.status("anthropic").backoff_until !== null]).toEqual([outcome, backsOff]);
    }
  });

  test("who tries again after the wait that the error names is let through", async () => {
    const { attempt, clock } = setUp();
    for (let i = 0; i < 5; i++) {
      const error = await skipOf(attempt(throws(new AttemptError("upstream_529", { status: 529 }))));
      expect(error.outcome).toBe("upstream_529");
      expect(error.retryAfterMs).toBeDefined();
      clock.advance((error.retryAfterMs ?? 0) - 1);
    }
  });

  test("a caller with a key of its own is left alone by itself", async () => {
    const { attempt, provider } = setUp({}, "passthrough");
    const of = (agent: string): Chosen => chosenFor(provider, {}, agent);
    await errorOf(attempt(throws(new AttemptError("upstream_429", { status: 429, retryAfterMs: 9_000 })), of("windu")));
    expect((await skipOf(attempt(ends("ok"), of("windu")))).outcome).toBe("skipped_limit");
    await settled(attempt(ends("ok"), of("mothma")));
  });

  test("a told quota of nothing skips the candidate until its reset", async () => {
    const { attempt, clock } = setUp();
    await settled(
      attempt(async (paced) => {
        paced.permit.learn(
          new Headers({ "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6s" }),
          200,
        );
        paced.attempt.outcome = "ok";
        return answer();
      }),
    );
    const skip = await skipOf(attempt(ends("ok")));
    expect(skip).toMatchObject({ outcome: "skipped_limit", retryAfterMs: 6_000 });
    expect(skip.note).toBe("requests for another 6000 ms");
    clock.advance(6_000);
    await settled(attempt(ends("ok")));
  });
});

describe("what is left alone after a refusal is", () => {
  const refusals = (error: () => AttemptError, key?: "passthrough") => async (provider: string) => {
    const clock = new ManualClock();
    const limits = new Limits({ clock, random: seededRandom(5), wait: clock.wait });
    const named = providerNamed(provider, { maxWaitMs: 0 }, key);
    limits.configure([named]);
    const layer = pace(limits);
    await errorOf(layer(throws(error()))(chosenFor(named, {}, "windu", "claude-opus-5")));
    const skipped = async (model: string, agent = "windu"): Promise<string | null> => {
      const failed = await errorOf(layer(ends("ok"))(chosenFor(named, {}, agent, model)));
      return failed instanceof AttemptError ? (failed.note ?? "") : null;
    };
    return { clock, limits, skipped };
  };

  test("the family of the model, where the vendor counts by it", async () => {
    const limited = refusals(() => new AttemptError("upstream_429", { status: 429, retryAfterMs: 7_000 }));
    const { limits, skipped } = await limited("anthropic");
    expect(await skipped("claude-opus-5-5")).toBe("the model is left alone for another 6995 ms");
    expect(await skipped("claude-sonnet-4-5")).toBeNull();
    expect(limits.status("anthropic")).toMatchObject({
      state: "closed",
      backoff_until: "2026-11-23T18:00:07.000Z",
      models: { "claude-opus-5": { state: "closed", backoff_until: "2026-11-23T18:00:07.000Z" } },
    });
  });

  test("the account, where nobody says whose limit it is", async () => {
    const limited = refusals(() => new AttemptError("upstream_429", { status: 429, retryAfterMs: 7_000 }));
    const { skipped } = await limited("somebody");
    expect(await skipped("another")).toStartWith("backing off");
  });

  test("the model that the provider does not have, for a minute, and it alone", async () => {
    const failure = classifyFailure({
      outcome: "upstream_404",
      status: 404,
      fault: { status: 404, code: "model_not_found", message: "no" },
    });
    const { clock, limits, skipped } = await refusals(() => new AttemptError("upstream_404", { status: 404, failure }))(
      "somebody",
    );
    expect(await skipped("claude-opus-5")).toStartWith("no such model for another");
    expect(await skipped("another")).toBeNull();
    expect(await skipped("claude-opus-5-5")).toBeNull();
    expect(limits.status("somebody").state).toBe("closed");
    clock.advance(60_000);
    expect(await skipped("claude-opus-5")).toBeNull();
  });

  test("the account without credit, until the stated day, with one look every five minutes", async () => {
    const regainMs = 7 * 86_400_000;
    const broke = (): AttemptError => new AttemptError("upstream_402", { status: 402, regainMs });
    const { clock, limits, skipped } = await refusals(broke)("anthropic");
    expect(limits.status("anthropic").backoff_until).toBe("2026-11-30T18:00:00.000Z");
    expect(await skipped("claude-sonnet-4-5")).toStartWith("out of credit for another 299995 ms");
    clock.advance(300_000);
    expect(await skipped("claude-sonnet-4-5")).toBeNull();
    expect(limits.status("anthropic").backoff_until).toBeNull();
  });

  test("the account without credit, whose probe that never left keeps nobody from the next look", async () => {
    const { attempt, clock } = setUp();
    await errorOf(attempt(throws(new AttemptError("upstream_402", { status: 402 }))));
    clock.advance(300_000);
    await errorOf(attempt(throws(new AttemptError("skipped_budget"))));
    await settled(attempt(ends("ok")));
  });

  test("one caller's account, where each brings its own", async () => {
    const { skipped } = await refusals(
      () => new AttemptError("upstream_402", { status: 402 }),
      "passthrough",
    )("somebody");
    expect(await skipped("m", "windu")).toStartWith("out of credit");
    expect(await skipped("m", "mothma")).toBeNull();
  });

  test("told as out of credit, so that agents stop instead of coming back", async () => {
    const { attempt } = setUp();
    await errorOf(attempt(throws(new AttemptError("upstream_402", { status: 402 }))));
    expect((await skipOf(attempt(ends("ok")))).outOfCredit).toBeTrue();
  });

  test("as long as the words inside of a stream say", async () => {
    const fault = { status: 429, code: "rate_limit_exceeded", message: "Please try again in 1.5s." };
    const { attempt, limits } = setUp();
    await errorOf(attempt(throws(new AttemptError("error_event", { status: 429, fault }))));
    expect(limits.status("anthropic").backoff_until).toBe("2026-11-23T18:00:01.500Z");
  });
});

describe("the breaker", () => {
  const failures: [AttemptOutcome, number][] = [
    ["connect_failed", 0],
    ["timeout_first_byte", 0],
    ["upstream_500", 500],
    ["error_event", 500],
    ["timeout_first_content", 0],
  ];

  test("opens by five failures of different kinds, and its skip says for how long", async () => {
    const { attempt, limits } = setUp();
    for (const [outcome, status] of failures) await errorOf(attempt(throws(new AttemptError(outcome, { status }))));
    expect(limits.status("anthropic").state).toBe("open");
    const skip = await skipOf(attempt(ends("ok")));
    expect(skip).toMatchObject({ outcome: "skipped_breaker", retryAfterMs: 10_000 });
    expect(skip.note).toBe("open for another 10000 ms");
  });

  test("opens by streams that are cut after they began", async () => {
    const { attempt, limits } = setUp();
    for (let i = 0; i < 5; i++) await settled(attempt(ends("cut_stream", "upstream_error")));
    expect(limits.status("anthropic").state).toBe("open");
  });

  test("does not count clients that leave, refusals, skips, or bugs", async () => {
    const { attempt, clock, limits } = setUp();
    const harmless: Handler<Paced>[] = [
      ends("client_gone", "client_gone"),
      throws(new GatewayError("CLIENT_GONE")),
      throws(new AttemptError("upstream_401", { status: 401 })),
      throws(new AttemptError("upstream_403", { status: 403 })),
      throws(new AttemptError("upstream_404", { status: 404 })),
      throws(new AttemptError("upstream_429", { status: 429 })),
      throws(new AttemptError("skipped_budget")),
      ends("upstream_400", "client_error"),
      throws(new TypeError("a bug")),
      // The agent's budget was used up, the client did not read, the whole request had no more time: all our own doing.
      ends("cut_stream", "refused_budget"),
      ends("timeout_total", "upstream_error"),
      throws(new AttemptError("timeout_deadline")),
    ];
    for (const way of harmless) {
      for (let i = 0; i < 6; i++) {
        await errorOf(settled(attempt(way)));
        clock.advance(10_000);
      }
      expect([harmless.indexOf(way), limits.status("anthropic").state]).toEqual([harmless.indexOf(way), "closed"]);
    }
  });

  test("does not count a server that loads its model, which is not left alone for it either", async () => {
    const { attempt, limits } = setUp();
    for (let i = 0; i < 6; i++) {
      const error = new AttemptError("upstream_503", { status: 503, loading: true });
      await errorOf(attempt(throws(error)));
      expect(error.retryAfterMs).toBeUndefined();
    }
    expect(limits.status("anthropic")).toMatchObject({ state: "closed", backoff_until: null });
  });

  test("is shut again as soon as the server was seen to be back, and what was sent before says nothing then", async () => {
    const { attempt, limits } = setUp();
    const late = Promise.withResolvers<GatewayResponse>();
    const sentBefore = errorOf(attempt(() => late.promise));
    for (let i = 0; i < 5; i++) await errorOf(attempt(throws(new AttemptError("connect_failed"))));
    expect(limits.status("anthropic").state).toBe("open");
    limits.returned("anthropic");
    expect(limits.status("anthropic").state).toBe("closed");
    for (let i = 0; i < 4; i++) await errorOf(attempt(throws(new AttemptError("connect_failed"))));
    late.reject(new AttemptError("cut_stream"));
    await sentBefore;
    expect(limits.status("anthropic").state).toBe("closed");
    await errorOf(attempt(throws(new AttemptError("connect_failed"))));
    expect(limits.status("anthropic").state).toBe("open");
  });

  test("lets one probe through, and the others as soon as its answer has begun", async () => {
    const { attempt, clock } = setUp();
    for (const [outcome, status] of failures) await errorOf(attempt(throws(new AttemptError(outcome, { status }))));
    clock.advance(10_000);
    const begun = Promise.withResolvers<GatewayResponse>();
    const probe = attempt(() => begun.promise);
    expect((await skipOf(attempt(ends("ok")))).outcome).toBe("skipped_breaker");
    begun.resolve(answer(new Promise(() => undefined)));
    await probe;
    await settled(attempt(ends("ok")));
  });

  test("a probe that a later layer skips leaves the place to the next, and the quota untouched", async () => {
    const { attempt, clock, limits } = setUp({ requestsPerMinute: 10 });
    for (let i = 0; i < 5; i++) await errorOf(attempt(throws(new AttemptError("connect_failed"))));
    clock.advance(10_000);
    await errorOf(attempt(throws(new AttemptError("skipped_budget"))));
    await settled(attempt(ends("ok")));
    expect(limits.status("anthropic")).toMatchObject({ state: "closed", limits: { requests: { remaining: 9 } } });
  });

  test("a candidate that loses the race for the probe while a shared quota answers gives its share back", async () => {
    const { clock, limits, attempt, provider } = setUp({ requestsPerMinute: 10 });
    for (let i = 0; i < 5; i++) await errorOf(attempt(throws(new AttemptError("connect_failed"))));
    clock.advance(10_000);
    const shared: Quota = Object.assign(new MemoryQuota({ clock, wait: clock.wait }), {
      take: (...args: Parameters<MemoryQuota["take"]>) => Promise.resolve(limits.quota.take(...args)),
    });
    const layer = pace({ quota: shared, breakers: limits.breakers, backoff: limits.backoff, clock });
    const race = [chosenFor(provider), chosenFor(provider)].map((chosen) => errorOf(layer(ends("ok"))(chosen)));
    const [won, lost] = await Promise.all(race);
    expect(won).toBeUndefined();
    expect(lost).toMatchObject({ outcome: "skipped_breaker" });
    expect(limits.status("anthropic").limits.requests?.remaining).toBe(9);
  });

  test("and all other state outlive a reload; a provider that is gone and comes back starts anew", async () => {
    const { attempt, limits, provider } = setUp();
    for (let i = 0; i < 5; i++) await errorOf(attempt(throws(new AttemptError("connect_failed"))));
    limits.configure([providerNamed("anthropic", { concurrent: 3 }), providerNamed("openai")]);
    expect(limits.status("anthropic").state).toBe("open");
    expect(limits.status("openai")).toEqual({
      state: "closed",
      backoff_until: null,
      limits: {},
      waiting: 0,
      models: {},
    });
    limits.configure([]);
    limits.configure([provider]);
    expect(limits.status("anthropic").state).toBe("closed");
  });
});
