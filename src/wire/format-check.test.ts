import { describe, expect, test } from "bun:test";
import { complaintAbout, unfenced } from "./format-check.ts";
import type { JsonObject } from "./neutral.ts";

const place: JsonObject = {
  type: "object",
  properties: { city: { type: "string", minLength: 2 }, tags: { type: "array", items: { $ref: "#/$defs/tag" } } },
  required: ["city"],
  additionalProperties: false,
  $defs: { tag: { enum: ["sea", "hill"] } },
};

describe("an answer", () => {
  test.each<readonly [string, string | null]>([
    ['{"city":"Oslo"}', null],
    ['{"city":"Oslo","tags":["sea"]}', null],
    ['```json\n{"city":"Oslo"}\n```', null],
    ['{"city":"Oslo","tags":["desert"]}', "/tags/0"],
    ['{"city":"O"}', "/city"],
    ["{}", "whole"],
    ['{"city":"Oslo","land":"Norway"}', "/land"],
    ["Here you are: {}", "not JSON"],
    ["", "not JSON"],
  ])("%s", async (text, complaint) => {
    const told = await complaintAbout(text, place);
    if (complaint === null) expect(told).toBeNull();
    else expect(told).toContain(complaint);
  });

  test("that is huge is not judged", async () => {
    expect(await complaintAbout(`["${"x".repeat(1_100_000)}"]`, place)).toBeNull();
  });
});

describe("a schema", () => {
  const evil = JSON.stringify({ name: `${"a".repeat(5_000)}!`, email: "a@".repeat(5_000) });

  test("with patterns or formats is only read as far as it is harmless", async () => {
    const schema: JsonObject = {
      type: "object",
      properties: { name: { type: "string", pattern: "^(a+)+$" }, email: { type: "string", format: "email" } },
      patternProperties: { "^(.*)*$": { type: "integer" } },
      additionalProperties: false,
    };
    expect(await complaintAbout(evil, schema)).toBeNull();
    expect(await complaintAbout('{"name":1}', schema)).toContain("/name");
    // A property may be called like a keyword.
    const named: JsonObject = { properties: { pattern: { type: "integer" }, $ref: { type: "integer" } } };
    expect(await complaintAbout('{"pattern":"x"}', named)).toContain("/pattern");
  });

  test("that never ends, points nowhere, or grows with every level is not judged", async () => {
    const levels: JsonObject = { l0: { type: "object" } };
    for (let n = 1; n <= 60; n++) {
      levels[`l${n}`] = { anyOf: [{ not: { $ref: `#/$defs/l${n - 1}` } }, { $ref: `#/$defs/l${n - 1}` }] };
    }
    const wide: JsonObject = {
      allOf: Array.from({ length: 3_000 }, () => ({ additionalProperties: { type: "string" } })),
    };
    const keys = JSON.stringify(Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`k${n}`, "v"])));
    const cases: readonly (readonly [string, JsonObject])[] = [
      ["{}", { $ref: "#" }],
      ["{}", { $ref: "https://elsewhere.example/x" }],
      ["{}", { $ref: 7 }],
      ["{}", { allOf: "nonsense", properties: null }],
      ["{}", { $defs: levels, $ref: "#/$defs/l60" }],
      [keys, wide],
      [
        JSON.stringify(Array.from({ length: 5_000 }, () => 4_999)),
        { items: { enum: Array.from({ length: 5_000 }, (_, n) => n) } },
      ],
    ];
    for (const [text, schema] of cases) expect(await complaintAbout(text, schema)).toBeNull();
  });

  test("is left as it was: the request that carries it may be sent again", async () => {
    const before = JSON.stringify(place);
    await complaintAbout('{"city":"Oslo"}', place);
    expect(JSON.stringify(place)).toBe(before);
    expect(Object.getOwnPropertyDescriptor(place, "__absolute_uri__")).toBeUndefined();
  });
});

test("only a fence around all of the answer is taken off", () => {
  expect(unfenced("```\n{}\n```")).toBe("{}");
  for (const text of ["```json {} ```", "```", "``````", "a ```\n{}\n```", "```\n{}"])
    expect(unfenced(text)).toBe(text);
});
