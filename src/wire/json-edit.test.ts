import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { elementSpans, entrySpan, replaceAt, setTopLevel, topLevelSpans } from "./json-edit.ts";
import type { JsonObject } from "./neutral.ts";

const parse = (text: string): JsonObject => JSON.parse(text) as JsonObject;
/** The values that the spans point at, as they are written. */
const valuesIn = (text: string, keys: string[]): Record<string, string> =>
  Object.fromEntries([...topLevelSpans(text, keys)].map(([key, { start, end }]) => [key, text.slice(start, end)]));

describe("spans", () => {
  test("cover the value and not the space around it, whatever its type", () => {
    const text = ' { "a" :\t1.5e3 , "b":"x\\"}" ,"c":[{"a":9},"]"]\n, "d" : null,"e":{"a":{}} } ';
    expect(valuesIn(text, ["a", "b", "c", "d", "e"])).toEqual({
      a: "1.5e3",
      b: '"x\\"}"',
      c: '[{"a":9},"]"]',
      d: "null",
      e: '{"a":{}}',
    });
  });

  test("are those of the top level alone", () => {
    const text = '{"messages":[{"model":"no"}],"note":"\\"model\\":1","model":"yes"}';
    expect(valuesIn(text, ["model", "absent"])).toEqual({ model: '"yes"' });
  });

  test("are found where the key is written with escapes", () => {
    expect(valuesIn('{"\\u006dodel":"x","mo\\/del":1}', ["model", "mo/del"])).toEqual({ model: '"x"', "mo/del": "1" });
    expect(valuesIn('{"a\\\\b":1}', ["a\\b", "a\\\\b"])).toEqual({ "a\\b": "1" });
  });

  test("do not end at an escaped quote, near or far", () => {
    for (let length = 0; length < 60; length += 1) {
      const value = JSON.stringify({ a: `${"y".repeat(length)}","model":"no\\`, b: ["}", "\\\\", '"]'] });
      expect(valuesIn(`${value.slice(0, -1)},"model":"yes"}`, ["model"])).toEqual({ model: '"yes"' });
    }
  });

  test("are none in a text that is no object or is cut", () => {
    for (const text of ["", "[]", '"model"', '{"model', '{"model"', '{"model"x', '{"a":[1,2', "{model:1}", "null"]) {
      expect(topLevelSpans(text, ["model"]).size).toBe(0);
    }
  });
});

describe("setting top-level keys", () => {
  test("replaces in place and leaves every other character as it was", () => {
    const text = '{"n":9007199254740993,  "model" : "old","x":1.0,"u":"\\u00e9\\/", "model2":"model"}\n';
    expect(setTopLevel(text, { model: '"new"' })).toBe(text.replace('"old"', '"new"'));
  });

  test("adds what is missing at the end of the object, in the order given", () => {
    expect(setTopLevel('{"a":{"b":1} \n}\n', { max_tokens: "5", stream: "true" })).toBe(
      '{"a":{"b":1},"max_tokens":5,"stream":true \n}\n',
    );
    expect(setTopLevel("{ }", { a: "1", b: "2" })).toBe('{"a":1,"b":2 }');
    expect(setTopLevel("{}", { a: "1" })).toBe('{"a":1}');
  });

  test("replaces and adds in one go, whatever the order of the keys", () => {
    expect(setTopLevel('{"a":1,"b":[2],"c":3}', { c: "30", d: "4", a: "10", e: undefined })).toBe(
      '{"a":10,"b":[2],"c":30,"d":4}',
    );
  });

  test("gives back the very string where nothing changes", () => {
    const text = '{"model":"m","n":1}';
    expect(setTopLevel(text, { model: '"m"', n: undefined })).toBe(text);
    expect(setTopLevel(text, {})).toBe(text);
  });

  test("takes over every object: the value is what assignment would give, the rest of the text is untouched", () => {
    const key = fc.oneof(fc.constantFrom("model", "a", 'q"', "\\", "é"), fc.string());
    const object = fc.dictionary(key, fc.jsonValue({ maxDepth: 3 }), { noNullPrototype: true });
    fc.assert(
      fc.property(
        object,
        key,
        fc.jsonValue({ maxDepth: 1 }),
        fc.constantFrom(0, 1, "\t"),
        (before, name, value, indent) => {
          fc.pre(name !== "__proto__" && !Object.hasOwn(before, "__proto__"));
          const text = JSON.stringify(before, null, indent);
          const json = JSON.stringify(value);
          const after = setTopLevel(text, { [name]: json });
          expect(parse(after)).toEqual(parse(JSON.stringify({ ...before, [name]: value })));
          const span = topLevelSpans(after, [name]).get(name)!;
          expect(after.slice(span.start, span.end)).toBe(json);
          const old = topLevelSpans(text, [name]).get(name);
          if (old === undefined) return;
          expect(after.slice(0, span.start)).toBe(text.slice(0, old.start));
          expect(after.slice(span.end)).toBe(text.slice(old.end));
        },
      ),
      { numRuns: 400 },
    );
  });
});

describe("replacing at a path", () => {
  const start =
    '{"type":"message_start","message":{"id":"msg_1","model":"claude-x","usage":{"model":1}},"model":"other"}';

  test("changes the nested value alone", () => {
    expect(replaceAt(start, ["message", "model"], '"mine"')).toBe(start.replace("claude-x", "mine"));
    expect(replaceAt(start, ["message", "usage", "model"], "2")).toBe(start.replace(':{"model":1}', ':{"model":2}'));
    expect(replaceAt(start, ["model"], '"mine"')).toBe(start.replace('"other"', '"mine"'));
  });

  test("gives back the very string where the path is absent, leads through no object, or holds the value", () => {
    for (const path of [["absent"], ["message", "absent"], ["type", "model"], ["message", "model", "x"], []]) {
      expect(replaceAt(start, path, '"x"')).toBe(start);
    }
    expect(replaceAt(start, ["message", "model"], '"claude-x"')).toBe(start);
    expect(replaceAt("[DONE]", ["model"], '"x"')).toBe("[DONE]");
    expect(replaceAt("", ["model"], '"x"')).toBe("");
  });

  test("does not mistake a string that looks like the key for the key", () => {
    const text = '{"delta":"\\"model\\":\\"a\\"","x":"model","model":"a"}';
    expect(replaceAt(text, ["model"], '"b"')).toBe('{"delta":"\\"model\\":\\"a\\"","x":"model","model":"b"}');
  });
});

describe("elements of an array", () => {
  const elementsOf = (text: string): string[] =>
    elementSpans(text, text.indexOf("[")).map(({ start, end }) => text.slice(start, end));

  test("are found whatever they are, without the space around them", () => {
    expect(elementsOf('{"a":[ 1.50 ,"]\\",",\n[[],{"b":"]"}]\t,{},null ]}')).toEqual([
      "1.50",
      '"]\\","',
      '[[],{"b":"]"}]',
      "{}",
      "null",
    ]);
    expect(elementsOf("[ ]")).toEqual([]);
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), (list) => {
        expect(elementsOf(JSON.stringify(list, null, 1)).map((text) => JSON.parse(text) as unknown)).toEqual(
          JSON.parse(JSON.stringify(list)) as unknown[],
        );
      }),
    );
  });

  test("are none where there is no array, and end with a text that is cut", () => {
    for (const text of ["", "{}", '"["', "7"]) expect(elementSpans(text, 0)).toEqual([]);
    expect(elementSpans("[1,,2]", 0)).toEqual([{ start: 1, end: 2 }]);
    expect(elementSpans('[1,"a', 0)).toEqual([
      { start: 1, end: 2 },
      { start: 3, end: 5 },
    ]);
  });

  test("an entry of an object inside is found by its key", () => {
    const text = '[{"a":1,"b" : [2] },{"b":3}]';
    expect(entrySpan(text, 1, "b")).toEqual({ start: 14, end: 17 });
    expect(entrySpan(text, 1, "c")).toBeNull();
    expect(entrySpan(text, 0, "b")).toBeNull();
  });
});

test("hostile texts take linear time", () => {
  const run = 1_000_000;
  for (const filler of ["\\\\".repeat(run), '\\"'.repeat(run), "x".repeat(run), "{[".repeat(run)]) {
    const text = `{"a":"${filler}","model":"old"}`;
    expect(setTopLevel(text, { model: '"new"', z: "1" })).toEndWith('","model":"new","z":1}');
  }
  expect(replaceAt("[".repeat(run), ["model"], "1")).toHaveLength(run);
  expect(elementSpans("[".repeat(run), 0)).toEqual([{ start: 1, end: run }]);
  expect(replaceAt(`{"a":${"[".repeat(run)}`, ["model"], "1")).toHaveLength(run + 5);
  expect(replaceAt(`{${'"\\u0061":1,'.repeat(100_000)}"model":1}`, ["model"], "2")).toEndWith('"model":2}');
});
