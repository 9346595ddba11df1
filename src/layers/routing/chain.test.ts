import { describe, expect, test } from "bun:test";
import type { AttemptRecord, Candidate, Price } from "../../request.ts";
import { Chain } from "./chain.ts";
import { answerOf, candidateAt, localOf, providerOf } from "./sample-request.ts";

const timeouts = { connectMs: 1, firstByteMs: 60_000, firstContentMs: 120_000, idleMs: 1, totalMs: 1 };
const dear = candidateAt(providerOf("cloud", { timeouts }), { price: { source: "config" } as Price });
const home = candidateAt(localOf("home"));

function chainOf(deadlineMs: number, patienceMs?: number, line = new AbortController().signal) {
  const clock = { ms: 0, now: (): number => clock.ms, monotonic: (): number => clock.ms };
  return { clock, chain: new Chain({ deadlineMs, costFactor: 3 }, clock, line, patienceMs) };
}

test("nothing is begun after the deadline, nor after the client has left", () => {
  for (const patienceMs of [undefined, 5_000, 90_000]) {
    const { clock, chain } = chainOf(10_000, patienceMs);
    const last = Math.min(10_000, patienceMs ?? Infinity);
    expect([chain.mayBeginIn(last - 1), chain.mayBeginIn(last)]).toEqual([true, false]);
    clock.ms = last;
    expect(chain.mayBeginIn(0)).toBeFalse();
  }
});

describe("what attempts may be charged", () => {
  const attempts = (...charges: readonly (readonly [nanos: number, heldNanos: number])[]): AttemptRecord[] =>
    charges.map(([nanos, heldNanos]) => ({ nanos, heldNanos }) as AttemptRecord);

  test("leaves room for one more as dear as the dearest within three times that", () => {
    const { chain } = chainOf(1);
    expect(chain.affords(dear, [])).toBeTrue();
    expect(chain.affords(dear, attempts([100, 100], [100, 100]))).toBeTrue();
    expect(chain.affords(dear, attempts([100, 100], [100, 100], [1, 50]))).toBeFalse();
    expect(chain.affords(dear, attempts([70, 40], [71, 40], [2, 40]))).toBeFalse();
  });

  test("does not keep anybody from a model that costs nothing", () => {
    const { chain } = chainOf(1);
    const free: Candidate = home;
    expect(chain.affords(free, attempts([100, 100], [100, 100], [100, 100]))).toBeTrue();
  });
});

describe("an attempt", () => {
  test("that ends before the deadline by its own clocks has the client's signal, and no timer", () => {
    const line = new AbortController().signal;
    const { chain, clock } = chainOf(600_000, undefined, line);
    expect(chain.guard(dear, true).signal).toBe(line);
    clock.ms = 500_000;
    const guard = chain.guard(dear, true);
    expect(guard.signal).not.toBe(line);
    guard.end();
  });

  test("is ended at the deadline, or with its client, and says which it was", async () => {
    const client = new AbortController();
    const { chain } = chainOf(1, undefined, client.signal);
    const late = chain.guard(dear, false);
    await new Promise<void>((resolve) => late.signal.addEventListener("abort", () => resolve()));
    expect([late.expired, client.signal.aborted]).toEqual([true, false]);
    const left = chainOf(60_000, undefined, client.signal).chain.guard(dear, false);
    client.abort();
    expect([left.signal.aborted, left.expired]).toEqual([true, false]);
    left.end();
    expect(chain.guard(dear, false).signal.aborted).toBeTrue();
  });

  test("that has begun to answer hears of its client to the end of the answer, and of no deadline", async () => {
    const client = new AbortController();
    const { chain } = chainOf(60_000, undefined, client.signal);
    const guard = chain.guard(dear, false);
    const { promise, resolve } = Promise.withResolvers<{ outcome: "ok"; bytesOut: number }>();
    guard.begun({ ...answerOf("x"), finished: promise });
    resolve({ outcome: "ok", bytesOut: 1 });
    await promise;
    await Promise.resolve();
    client.abort();
    expect([guard.signal.aborted, guard.expired]).toEqual([false, false]);
  });
});
