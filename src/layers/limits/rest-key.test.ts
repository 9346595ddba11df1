import { expect, test } from "bun:test";
import { modelRestKey, modelsOf } from "./rest-key.ts";

test("an account, its callers and its models never share a name", () => {
  const keys = ["desk", "desk\nwindu", modelRestKey("desk", "windu"), modelRestKey("desk\nwindu", "m")];
  expect(new Set(keys).size).toBe(keys.length);
  expect(modelRestKey("desk", "m").startsWith(modelsOf("desk"))).toBeTrue();
  expect("desk\nwindu".startsWith(modelsOf("desk"))).toBeFalse();
});
