import { expect, test } from "bun:test";
import { patienceMs } from "./patience.ts";

test("seconds of `x-stainless-timeout` become milliseconds; what is no time of a client says nothing", () => {
  const told = { "600": 600_000, "300": 300_000, "0.5": 500, "3600": 3_600_000 };
  for (const [text, ms] of Object.entries(told)) {
    expect([text, patienceMs(new Headers({ "x-stainless-timeout": text }))]).toEqual([text, ms]);
  }
  for (const text of ["", "0", "-1", "1e3", "Infinity", "NaN", "3601", "9999999999", "5s", "5, 6"]) {
    expect([text, patienceMs(new Headers({ "x-stainless-timeout": text }))]).toEqual([text, undefined]);
  }
  expect(patienceMs(new Headers())).toBeUndefined();
});
