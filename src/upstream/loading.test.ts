import { expect, test } from "bun:test";
import { saysLoading } from "./loading.ts";

const loading = { error: { code: 503, message: "Loading model", type: "unavailable_error" } };

test("a server loads its model where status, type and message say so together", () => {
  expect(saysLoading(503, JSON.stringify(loading))).toBe(true);
  expect(saysLoading(500, JSON.stringify(loading))).toBe(false);
});

test("a busy server, a page, and whatever else is a 503 are failures as ever", () => {
  const others = [
    { error: { ...loading.error, message: "no slot available" } },
    { error: { ...loading.error, type: "server_error" } },
    { error: "Loading model" },
    { error: null },
    {},
    null,
    "Loading model",
  ];
  for (const other of others) expect([other, saysLoading(503, JSON.stringify(other))]).toEqual([other, false]);
  expect(saysLoading(503, "<html>Loading model</html>")).toBe(false);
});
