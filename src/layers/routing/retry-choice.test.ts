import { describe, expect, test } from "bun:test";
import { AttemptError } from "../../errors.ts";
import type { AttemptOutcome } from "../../request.ts";
import { firstReady, isQuicker, retryWaitMs } from "./retry-choice.ts";
import { candidateAt, providerOf } from "./sample-request.ts";

const candidate = candidateAt(providerOf("cloud", { retry: { attempts: 3, baseMs: 500, maxMs: 8_000 } }));

function waitAfter(outcome: AttemptOutcome, facts: { retryAfterMs?: number; outOfCredit?: boolean } = {}, tries = 1) {
  const status = outcome.startsWith("upstream_") ? Number(outcome.slice(9)) : 0;
  const failed = { candidate, error: new AttemptError(outcome, { status, ...facts }) };
  return retryWaitMs({ failed, tries, jitteredMs: () => 123 });
}

describe("asking the same candidate again", () => {
  test("waits as long as it was asked for, else for the jittered time", () => {
    expect(waitAfter("upstream_429", { retryAfterMs: 1_500 })).toBe(1_500);
    expect(waitAfter("upstream_503")).toBe(123);
    expect(waitAfter("connect_failed")).toBe(123);
  });

  test("is out of the question where that takes longer than ten seconds, where it was asked often enough, or without credit", () => {
    expect(waitAfter("upstream_429", { retryAfterMs: 10_001 })).toBeNull();
    expect(waitAfter("upstream_503", {}, 3)).toBeNull();
    expect(waitAfter("upstream_429", { outOfCredit: true })).toBeNull();
    expect(waitAfter("upstream_402")).toBeNull();
  });

  test("is quicker only where it is known to be", () => {
    expect(isQuicker(200, 700, 1_000)).toBeTrue();
    expect(isQuicker(300, 700, 1_000)).toBeFalse();
    expect(isQuicker(0, undefined, 1_000)).toBeFalse();
    expect(isQuicker(0, 1, undefined)).toBeFalse();
  });
});

test("who is ready first is asked first, and the plan decides between two", () => {
  const [a, b, c] = [30, 20, 20].map((readyAt) => ({ candidate, readyAt }));
  expect(firstReady([a!, b!, c!])).toBe(b!);
  expect(firstReady([])).toBeUndefined();
});
