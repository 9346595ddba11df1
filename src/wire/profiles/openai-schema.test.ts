import { expect, test } from "bun:test";
import type { JsonObject } from "../neutral.ts";
import { openaiSchema } from "./openai-schema.ts";

test("an input without properties gets none, and one without a type is an object", () => {
  const empty = { type: "object", properties: {} };
  expect(openaiSchema({ type: "object" })).toEqual(empty);
  expect(openaiSchema({})).toEqual(empty);
  for (const properties of ["", null, [], 7]) expect(openaiSchema({ type: "object", properties })).toEqual(empty);
  expect(openaiSchema({ type: "object", additionalProperties: false })).toEqual({
    ...empty,
    additionalProperties: false,
  });
});

test("a list of anything says so, wherever it stands, and nothing else changes", () => {
  const list = { type: "array", description: "any" };
  const whole = { ...list, items: {} };
  const schema = (of: JsonObject): JsonObject => ({
    type: "object",
    properties: { type: of, deep: { anyOf: [{ type: ["array", "null"], items: of }, of] }, enum: { type: "string" } },
    $defs: { one: of },
    default: list,
  });
  expect(openaiSchema(schema(list))).toEqual(schema(whole));
  const tuple = { type: "object", properties: { pair: { type: "array", prefixItems: [{ type: "string" }] } } };
  expect(openaiSchema(tuple)).toBe(tuple);
});

test("a schema that lacks nothing is not copied", () => {
  const schema = { type: "object", properties: { a: { type: "array", items: { enum: [{ type: "array" }] } } } };
  expect(openaiSchema(schema)).toBe(schema);
});
