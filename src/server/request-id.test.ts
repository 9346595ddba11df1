import { expect, test } from "bun:test";
import { createRequestIds } from "./request-id.ts";

test("an id is a ULID behind `req_`: its time first, so that ids sort as they were given", () => {
  const clock = { ms: Date.parse("2026-11-23T18:00:00.000Z"), now: () => clock.ms, monotonic: () => 0 };
  const newId = createRequestIds(clock);
  const ids: string[] = [];
  for (let i = 0; i < 200; i++, clock.ms += 7) ids.push(newId());
  for (const id of ids) expect(id).toMatch(/^req_[0-9A-HJKMNP-TV-Z]{26}$/);
  expect([...ids].sort()).toEqual(ids);
});

test("the time in it is the clock's (ulid/spec)", () => {
  const newId = createRequestIds({ now: () => 1_469_918_176_385, monotonic: () => 0 });
  expect(newId()).toStartWith("req_01ARYZ6S41");
});

test("no two are the same, also in the same millisecond and across the pool of random bytes", () => {
  const newId = createRequestIds({ now: () => 0, monotonic: () => 0 });
  const ids = new Set(Array.from({ length: 5_000 }, newId));
  expect(ids.size).toBe(5_000);
});
