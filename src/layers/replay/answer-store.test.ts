import { expect, test } from "bun:test";
import type { Clock } from "../../clock.ts";
import { AnswerStore, type KeptAnswer } from "./answer-store.ts";

class StillClock implements Clock {
  ms = 1_000;
  now(): number {
    return this.ms;
  }
  monotonic(): number {
    return this.ms;
  }
}

const limits = { answers: 3, bytes: 20_000, bytesOfOne: 8_000, ageMs: 60_000 };

function answer(body: string, status = 200): KeptAnswer {
  return { status, headers: {}, body, requestId: "req_1" };
}

function storeOf(clock = new StillClock()): {
  store: AnswerStore;
  clock: StillClock;
  keep: (key: string, body: string) => void;
} {
  const store = new AnswerStore(clock, limits);
  return { store, clock, keep: (key, body) => store.begin(key, "digest")({ answer: answer(body) }) };
}

test("an answer is there until its time is over, counted from when it was given", async () => {
  const { store, clock, keep } = storeOf();
  keep("a", "first");
  clock.ms += 30_000;
  keep("b", "second");
  clock.ms += 29_999;
  expect(await store.get("a")?.ending).toEqual({ answer: answer("first") });
  clock.ms += 1;
  expect(store.get("a")).toBeUndefined();
  expect(store.get("b")?.digest).toBe("digest");
  clock.ms += 30_000;
  expect(store.get("b")).toBeUndefined();
});

test("the oldest go first where there are too many, or where they are too large together", () => {
  const { store, keep } = storeOf();
  for (const key of ["a", "b", "c", "d"]) keep(key, "small");
  expect(["a", "b", "c", "d"].filter((key) => store.get(key) !== undefined)).toEqual(["b", "c", "d"]);
  for (const key of ["e", "f"]) keep(key, "x".repeat(3_400));
  expect(["b", "c", "d", "e", "f"].filter((key) => store.get(key) !== undefined)).toEqual(["d", "e", "f"]);
  keep("g", "x".repeat(3_400));
  expect(["d", "e", "f", "g"].filter((key) => store.get(key) !== undefined)).toEqual(["f", "g"]);
});

test("an answer that is too large for the store, and one that is none, goes to those that wait and is forgotten", async () => {
  const { store } = storeOf();
  for (const given of [answer("x".repeat(4_000)), answer("no", 400)]) {
    const end = store.begin("a", "digest");
    const known = store.get("a");
    end({ answer: given });
    expect(await known?.ending).toEqual({ answer: given });
    expect(store.get("a")).toBeUndefined();
  }
});
