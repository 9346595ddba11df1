import { expect, test } from "bun:test";
import { parseObject } from "../fakes/json-access.ts";
import { askOf, bodyOf, faults, orderIn, requestOf, type TrafficOptions } from "./traffic.ts";

const options: TrafficOptions = {
  seed: 7,
  faultShare: 0.01,
  agents: [
    { name: "often", weight: 3 },
    { name: "seldom", weight: 1 },
  ],
  accounts: 4,
  deadAccounts: 2,
  latestLeaveMs: 100,
};
const many = Array.from({ length: 20_000 }, (_, n) => askOf(options, n));

test("the same seed asks for the same, another one for something else", () => {
  expect(many.slice(0, 50)).toEqual(Array.from({ length: 50 }, (_, n) => askOf(options, n)));
  expect(askOf({ ...options, seed: 8 }, 1)).not.toEqual(many[1]!);
});

test("each fault meets one request in a hundred, and every agent asks as often as it should", () => {
  for (const fault of faults) {
    const share = many.filter((ask) => ask.fault === fault).length / many.length;
    expect(share).toBeGreaterThan(0.007);
    expect(share).toBeLessThan(0.013);
  }
  const often = many.filter(({ agent }) => agent === "often").length / many.length;
  expect(often).toBeGreaterThan(0.72);
  expect(often).toBeLessThan(0.78);
});

test("what is ordered can be read from the body of every dialect, also behind a translation's other fields", () => {
  for (const ask of many.slice(0, 200)) {
    const { n, at, words, pace } = ask;
    expect(orderIn(bodyOf(ask))).toEqual({ n, fault: ask.fault ?? "none", at, words, pace });
    expect(parseObject(bodyOf(ask))["stream"]).toBe(ask.stream);
  }
  expect(orderIn('{"model":"m"}')).toBeNull();
});

test("a request says how long its body is", () => {
  const text = requestOf(many[0]!, "localhost:1", "token").toString("utf8");
  const [head = "", body = ""] = text.split("\r\n\r\n");
  expect(head).toContain(`content-length: ${Buffer.byteLength(body)}`);
  expect(head).toContain("authorization: Bearer token");
});
