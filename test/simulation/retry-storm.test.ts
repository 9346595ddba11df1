// A minute in which everything fails, over the loop and the limits as they are put together in the gateway.

import { expect, test } from "bun:test";
import { AttemptError, GatewayError } from "../../src/errors.ts";
import { backoffDelayMs, Limits, pace } from "../../src/layers/limits/index.ts";
import { seededRandom } from "../../src/layers/limits/seeded-random.ts";
import { ResponseTimes, tryEach } from "../../src/layers/routing/index.ts";
import {
  allReady,
  answerOf,
  candidateAt,
  localOf,
  plannedOf,
  providerOf,
} from "../../src/layers/routing/sample-request.ts";
import type { AttemptOutcome, Candidate, GatewayResponse, Paced } from "../../src/request.ts";
import { VirtualTime } from "./virtual-time.ts";

const retry = { attempts: 5, baseMs: 500, maxMs: 8_000 };
const minute = 60_000;

interface Storm {
  readonly offered: number;
  readonly calls: ReadonlyMap<string, number>;
  readonly served: number;
  readonly errors: readonly GatewayError[];
  /** Of those that were served, the longest. */
  readonly slowestMs: number;
}

async function storm(
  plan: readonly Candidate[],
  perSecond: number,
  upstream: (paced: Paced, time: VirtualTime) => Promise<GatewayResponse>,
): Promise<Storm> {
  const time = new VirtualTime("2026-11-23T18:00:00.000Z");
  const random = seededRandom(17);
  const limits = new Limits({ clock: time, random, wait: (ms, signal) => time.wait(ms, signal) });
  limits.configure(plan.map(({ provider }) => provider));
  const calls = new Map<string, number>();
  const layer = tryEach({
    clock: time,
    wait: (ms, signal) => time.wait(ms, signal),
    retryDelayMs: (failures, range) => backoffDelayMs(failures, range, random),
    retries: limits.retries,
    health: allReady,
    times: new ResponseTimes(time),
    limits: { deadlineMs: 10 * minute, costFactor: 3 },
    learnWindow: async () => undefined,
    answerAlone: () => null,
    takesOver: false,
  })(
    pace(limits)(async (paced) => {
      const { name } = paced.candidate;
      calls.set(name, (calls.get(name) ?? 0) + 1);
      return upstream(paced, time);
    }),
  );
  const errors: GatewayError[] = [];
  let served = 0;
  let slowestMs = 0;
  const offered = (perSecond * minute) / 1_000;
  const one = async (at: number): Promise<void> => {
    await time.wait(at);
    const began = time.monotonic();
    const request = plannedOf(plan);
    try {
      await layer({ ...request, line: request.signal });
      served++;
      slowestMs = Math.max(slowestMs, time.monotonic() - began);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      errors.push(error);
    }
  };
  const all = Array.from({ length: offered }, (_, i) => one((i * 1_000) / perSecond));
  await time.run();
  await Promise.all(all);
  return { offered, calls, served, errors, slowestMs };
}

const failing =
  (outcome: AttemptOutcome, status: number, afterMs: number) =>
  async (_: Paced, time: VirtualTime): Promise<GatewayResponse> => {
    await time.wait(afterMs);
    throw new AttemptError(outcome, { status });
  };

const cloud = candidateAt(providerOf("cloud", { retry }));
const home = candidateAt(localOf("home", { retry }));

for (const [outcome, status] of [
  ["upstream_503", 503],
  ["upstream_500", 500],
  ["upstream_529", 529],
  ["connect_failed", 0],
  // Says nothing about a provider's health, so that no breaker opens.
  ["upstream_408", 408],
] as const) {
  test(`a minute of ${outcome} burdens an upstream with a tenth more than was offered at most`, async () => {
    for (const perSecond of [5, 50]) {
      const { offered, calls, errors } = await storm([cloud], perSecond, failing(outcome, status, 20));
      expect(errors.length).toBe(offered);
      expect(calls.get("cloud/model")!).toBeGreaterThan(0);
      // Three in ten seconds are allowed to whoever asks little, so also before much was asked.
      expect(calls.get("cloud/model")!).toBeLessThanOrEqual(offered * 1.1 + (outcome === "upstream_408" ? 3 : 0));
      // Nobody is told to come back at once, or never.
      for (const { retryAfterSeconds } of errors) expect(retryAfterSeconds).toBeWithin(1, 31);
    }
  });
}

test("nor does one in which every third call fails, so that no breaker opens", async () => {
  let calls = 0;
  const upstream = async (paced: Paced, time: VirtualTime): Promise<GatewayResponse> =>
    calls++ % 3 === 0 ? failing("upstream_500", 500, 20)(paced, time) : answerOf("fine");
  const { offered, served } = await storm([cloud], 20, upstream);
  expect(calls).toBeLessThanOrEqual(offered * 1.1);
  // Those whose turn it was got their second try.
  expect(served).toBeGreaterThan(offered * 0.67);
});

test("a minute of 503 from the cloud is not noticed by those whom the local model serves", async () => {
  const upstream = async (paced: Paced, time: VirtualTime): Promise<GatewayResponse> => {
    if (paced.candidate.local) {
      await time.wait(40);
      return answerOf("from home");
    }
    return failing("upstream_503", 503, 20)(paced, time);
  };
  const { offered, calls, served, slowestMs } = await storm([cloud, home], 20, upstream);
  expect(served).toBe(offered);
  // The local model's own time and one refusal of the cloud.
  expect(slowestMs).toBeLessThanOrEqual(40 + 20);
  expect(calls.get("cloud/model")!).toBeLessThanOrEqual(offered * 0.5);
});

test("a lone user gets a second try, and its answer", async () => {
  let calls = 0;
  const upstream = async (paced: Paced, time: VirtualTime): Promise<GatewayResponse> =>
    ++calls === 1 ? failing("upstream_500", 500, 20)(paced, time) : answerOf("now");
  const { served, errors } = await storm([cloud], 1 / 60, upstream);
  expect([served, errors.length, calls]).toEqual([1, 0, 2]);
});
