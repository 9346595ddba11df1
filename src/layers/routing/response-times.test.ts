import { expect, test } from "bun:test";
import type { Clock } from "../../clock.ts";
import { ResponseTimes } from "./response-times.ts";
import { candidateAt, providerOf } from "./sample-request.ts";

class StillClock implements Clock {
  ms = 0;
  now = (): number => this.ms;
  monotonic = (): number => this.ms;
}

const cloud = candidateAt(providerOf("cloud"));

test("what a candidate took is known by model and by kind of answer, and the newest counts most", () => {
  const times = new ResponseTimes(new StillClock());
  expect(times.expectedMs(cloud, true)).toBeUndefined();
  times.answered(cloud, true, 1_000);
  expect(times.expectedMs(cloud, true)).toBe(1_000);
  times.answered(cloud, true, 2_000);
  expect(times.expectedMs(cloud, true)).toBe(1_300);
  expect(times.expectedMs(cloud, false)).toBeUndefined();
  expect(times.expectedMs({ ...cloud, model: "other" }, true)).toBeUndefined();
});

test("who has not answered for ten minutes may have been unloaded: nothing is known of it, and it begins anew", () => {
  const clock = new StillClock();
  const times = new ResponseTimes(clock);
  times.answered(cloud, true, 1_000);
  clock.ms = 599_999;
  expect(times.expectedMs(cloud, true)).toBe(1_000);
  clock.ms = 600_000;
  expect(times.expectedMs(cloud, true)).toBeUndefined();
  times.answered(cloud, true, 9_000);
  expect(times.expectedMs(cloud, true)).toBe(9_000);
});

test("ten thousand invented models do not grow the memory without bound", () => {
  const times = new ResponseTimes(new StillClock());
  for (let i = 0; i < 10_000; i++) times.answered({ ...cloud, model: `invented-${i}` }, true, 1);
  expect(times.expectedMs({ ...cloud, model: "invented-0" }, true)).toBeUndefined();
  expect(times.expectedMs({ ...cloud, model: "invented-9999" }, true)).toBe(1);
});
