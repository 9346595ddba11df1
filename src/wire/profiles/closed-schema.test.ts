import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../neutral.ts";
import { closedSchema, hasFreeMembers, hasOpenObjects, hasReferences } from "./closed-schema.ts";

describe("schemas for Anthropic's structured output", () => {
  test("close every object and lose what is a 400, at any depth", () => {
    const inner = { type: "object", properties: { a: { type: "string", minLength: 1, pattern: "^\\bx" } } };
    const closed = { type: "object", properties: { a: { type: "string" } }, additionalProperties: false };
    const schema = {
      $schema: "x",
      type: "object",
      properties: { list: { type: "array", items: inner, minItems: 2 }, one: { oneOf: [inner] } },
      $defs: { d: inner },
    };
    expect(closedSchema(schema)).toEqual({
      type: "object",
      properties: { list: { type: "array", items: closed }, one: { anyOf: [closed] } },
      $defs: { d: closed },
      additionalProperties: false,
    });
  });

  test("keep members that are named like keywords, data that looks like a schema, and what is known", () => {
    const schema = {
      type: "object",
      properties: {
        minimum: { type: "string", format: "uuid", pattern: "^[a-z]+$" },
        maxLength: { enum: [{ type: "object", minimum: 1 }], default: { minLength: 2 } },
      },
      required: ["minimum"],
      additionalProperties: false,
    };
    expect(closedSchema(schema)).toEqual(schema);
    expect(closedSchema({ type: "string", format: "of-its-own" })).toEqual({ type: "string" });
  });

  test("close an object that may also be null, and tell those that list no members", () => {
    const properties = { a: { type: "string" } };
    const maybe = { type: ["object", "null"], properties };
    expect(closedSchema(maybe)).toEqual({ ...maybe, additionalProperties: false });
    for (const type of ["object", ["object", "null"]]) {
      expect(hasOpenObjects({ type: "object", properties: { meta: { type } } })).toBe(true);
      expect(hasOpenObjects({ type, additionalProperties: false })).toBe(false);
      expect(hasOpenObjects({ type, properties: {} })).toBe(false);
    }
  });

  test("tell free members and references wherever they are, but in data", () => {
    const free: JsonObject[] = [
      { additionalProperties: true },
      { additionalProperties: { type: "string" } },
      { properties: { a: { patternProperties: {} } } },
      { anyOf: [{ items: { additionalProperties: {} } }] },
    ];
    for (const schema of free) expect(hasFreeMembers(schema)).toBe(true);
    expect(hasFreeMembers({ additionalProperties: false, default: { additionalProperties: true } })).toBe(false);
    expect(hasFreeMembers({ properties: { additionalProperties: { type: "string" } } })).toBe(false);
    expect(hasReferences({ properties: { a: { items: { $ref: "#" } } } })).toBe(true);
    expect(hasReferences({ properties: { $ref: { type: "string" } } })).toBe(false);
  });

  test("a member called __proto__ changes nothing", () => {
    const schema = JSON.parse('{"type":"object","properties":{"__proto__":{"type":"string"}}}') as JsonObject;
    const closed = closedSchema(schema);
    expect(Object.getPrototypeOf(closed["properties"])).toBe(Object.prototype);
  });
});
