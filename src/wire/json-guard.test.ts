import { describe, expect, test } from "bun:test";
import { fuzzJsonGuard } from "../../test/fuzz/json-guard.ts";
import { GatewayError } from "../errors.ts";
import { findJsonFault } from "./json-fault.ts";
import { guardJson } from "./json-guard.ts";
import type { JsonObject } from "./neutral.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** `rule at byte N`, or the accepted value. */
function verdict(input: string | Uint8Array): string | JsonObject {
  try {
    return guardJson(typeof input === "string" ? bytesOf(input) : input).body;
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    expect(error.code).toBe("REQUEST_JSON");
    expect(error.status).toBe(400);
    return /\((.*)\)/.exec(error.publicMessage)?.[1] ?? error.publicMessage;
  }
}

/** Pads a body beyond what is read in one step. */
const long = "x".repeat(5_000);

describe("the JSON guard accepts", () => {
  test("an ordinary body, and gives back its text and value", () => {
    const text =
      ' {"model":"claude","max_tokens":10,"messages":[{"role":"user","content":"h\\u00e9 \\"q\\" \\\\"}],"x":null}\n';
    const { text: got, body } = guardJson(bytesOf(text));
    expect(got).toBe(text);
    expect(body).toEqual(JSON.parse(text) as JsonObject);
  });

  test("text in every script, raw and escaped, short and long", () => {
    const value = { model: "m", a: "预算 😀 ẞ \u2028 \u0000", [`ключ${long}`]: "\ufeffinside" };
    const text = JSON.stringify(value);
    expect(guardJson(bytesOf(text))).toEqual({ text, body: value });
    expect(verdict('{"a":"\\ud83d\\ude00 \\uD83D\\uDE00 \\\\ud800 \\ue000"}')).toEqual({ a: "😀 😀 \\ud800 \ue000" });
  });

  test("equal keys in different objects, and key names that are reserved at the top only", () => {
    expect(verdict('{"a":{"k":1},"b":{"k":1},"c":[{"k":1},{"k":1}],"k":1}')).toBeObject();
    expect(verdict('{"tools":[{"properties":{"constructor":{},"Model":{},"prototype":{}}}]}')).toBeObject();
  });

  test("64 levels, brackets in strings not counted", () => {
    expect(verdict(`{"a":${"[".repeat(63)}${"]".repeat(63)}}`)).toBeObject();
    expect(verdict(`{"a":"${"[{".repeat(500)}"}`)).toBeObject();
  });

  test("strings that end in backslashes, around the border of the native search", () => {
    for (let length = 0; length < 40; length += 1) {
      for (let slashes = 0; slashes < 5; slashes += 1) {
        const value = { a: "y".repeat(length) + "\\".repeat(slashes), b: `"${"y".repeat(length)}":{[`, c: 1 };
        expect(verdict(JSON.stringify(value))).toEqual(value);
      }
    }
  });

  test("the largest and the smallest finite numbers", () => {
    expect(verdict('{"a":1.7976931348623157e308,"b":-0,"c":1e-400,"d":9007199254740993}')).toBeObject();
  });

  test("as many keys and elements as allowed", () => {
    const keys = Array.from({ length: 99_999 }, (_, i) => `"k${i}":0`).join();
    expect(verdict(`{${keys}}`)).toBeObject();
    expect(verdict(`{"a":[${"1,".repeat(499_990)}1]}`)).toBeObject();
  });
});

describe("the JSON guard refuses", () => {
  test.each([
    ["a key given twice", '{"a":1,"b":2,"a":3}', "duplicate_key at byte 13"],
    ["a key given twice, deep inside", '{"m":[{"x":{"é":1,"k":1,"k":1}}]}', "duplicate_key at byte 25"],
    ["a key given twice, once escaped", '{"model":"cheap","\\u006dodel":"dear"}', "duplicate_key at byte 17"],
    ["a key given twice, of integer form", '{"a":{"1":1,"0":0,"1":1}}', "duplicate_key at byte 18"],
    ["a key given twice, nested reserved name", '{"a":{"__proto__":1,"__proto__":1}}', "duplicate_key at byte 20"],
    ["an empty key given twice", '{"":1,"":1}', "duplicate_key at byte 6"],
    ["a number beyond a double", '{"max_tokens":1e400}', "number at byte 14"],
    ["a negative number beyond a double", '{"a":[0,-1E+999]}', "number at byte 8"],
    ["a number with too many digits", `{"a":${"9".repeat(400)}}`, "number at byte 5"],
    ["half of a pair", '{"a":"x\\ud800"}', "surrogate at byte 7"],
    ["the other half of a pair", '{"a":"x\\uDC00y"}', "surrogate at byte 7"],
    ["a pair the wrong way round", '{"a":"\\udc00\\ud800"}', "surrogate at byte 6"],
    ["half of a pair in a key", '{"\\uDBFFa":1}', "surrogate at byte 2"],
    ["half of a pair after escaped backslashes", '{"a":"\\\\\\\\\\ud912"}', "surrogate at byte 10"],
    ["an array at the top", "[1]", "not_object at byte 0"],
    ["a string at the top", '"a"', "not_object at byte 0"],
    ["null at the top", "null", "not_object at byte 0"],
    ["nothing", "", "syntax at byte 0"],
    ["a trailing comma", '{"a":1,}', "syntax at byte 7"],
    ["a second value", '{"a":1}{"a":2}', "syntax at byte 7"],
    ["a comment", '{"a":1/**/}', "syntax at byte 6"],
    ["single quotes", "{'a':1}", "syntax at byte 1"],
    ["NaN", '{"a":NaN}', "syntax at byte 5"],
    ["a leading zero", '{"a":01}', "syntax at byte 6"],
    ["a raw control character", '{"a":"\n"}', "syntax at byte 6"],
    ["an unknown escape", '{"a":"\\x41"}', "syntax at byte 6"],
    ["an open string", '{"a":"b', "syntax at byte 7"],
    ["an open string that ends in a backslash", '{"a":"b\\', "syntax at byte 7"],
    ["__proto__ at the top", '{"a":1,"__proto__":{}}', "reserved_key at byte 7"],
    ["constructor at the top, escaped", '{"\\u0063onstructor":{}}', "reserved_key at byte 1"],
    ["prototype at the top", '{"prototype":1}', "reserved_key at byte 1"],
    ["a known key in capitals", '{"Model":"x"}', "confusable_key at byte 1"],
    ["a known key with a space", '{"model":"x","max_tokens ":1}', "confusable_key at byte 13"],
    ["a known key with a NUL", '{"stream\\u0000":true}', "confusable_key at byte 1"],
    ["a known key with a Kelvin sign", '{"max_to\u212aens":1}', "confusable_key at byte 1"],
    ["a known key with a long s", '{"\u017ftream":1}', "confusable_key at byte 1"],
    ["a known key with an invisible space", '{"\u200btools":1}', "confusable_key at byte 1"],
    ["a byte order mark", "\ufeff{}", "bom at byte 0"],
    ["65 levels", `{"a":${"[".repeat(64)}${"]".repeat(64)}}`, "depth at byte 68"],
  ])("%s", (_name, input, expected) => {
    expect(verdict(input)).toBe(expected);
  });

  test("more elements or keys than a conversation has", () => {
    expect(verdict(`{"a":[${"1,".repeat(500_000)}1]}`)).toStartWith("tokens at byte");
    expect(verdict(`{"a":[${"{},".repeat(250_001)}1]}`)).toStartWith("tokens at byte");
    expect(verdict(`{${Array.from({ length: 100_001 }, (_, i) => `"k${i}":0`).join()}}`)).toStartWith("keys at byte");
  });

  test.each([
    ["an overlong form", [0xc0, 0xaf]],
    ["a raw surrogate", [0xed, 0xa0, 0x80]],
    ["a value beyond Unicode", [0xf4, 0x90, 0x80, 0x80]],
    ["a lone continuation byte", [0x80]],
    ["a character cut short", [0xe2, 0x82]],
    ["Latin-1", [0xe9]],
  ])("bytes that are not UTF-8: %s, at any size", (_name, bad) => {
    for (const before of ["", long, "é".repeat(40_000), "x".repeat(65_531), "預".repeat(90_000)]) {
      const head = bytesOf(`{"a":"${before}`);
      expect(verdict(new Uint8Array([...head, ...bad, ...bytesOf('"}')]))).toBe(`utf8 at byte ${head.length}`);
    }
    // The decoder keeps nothing of a refused body.
    expect(verdict('{"a":1}')).toEqual({ a: 1 });
  });

  test("without a word of the input in the error or its cause", () => {
    for (const input of [
      '{"canary":canary}',
      '{"canary":1,"canary":2}',
      '{"Canary":"canary',
      '{"a":"canary\\ud800"}',
    ]) {
      try {
        guardJson(bytesOf(input));
        expect.unreachable();
      } catch (error) {
        expect(String(error)).not.toMatch(/canary/i);
        expect((error as GatewayError).publicMessage).not.toMatch(/canary/i);
        expect((error as GatewayError).cause).toBeUndefined();
      }
    }
  });
});

describe("the JSON guard holds against bombs", () => {
  // Each of these blocks JSON.parse for seconds or the guard for minutes if a step is not linear; the suite's own
  // time limit is the alarm, so there is no stopwatch here.
  test("deep nesting and endless lists end at the limit", () => {
    expect(verdict(`{"a":${"[".repeat(5_000_000)}`)).toBe("depth at byte 68");
    expect(verdict(`{"a":[${"{},".repeat(5_000_000)}{}]}`)).toBe("tokens at byte 750002");
    expect(verdict('"'.repeat(2_000_000))).toStartWith("not_object");
  });

  test("long runs of backslashes, quotes and escapes take linear time", () => {
    expect(verdict(`{"a":"${"\\\\".repeat(2_000_000)}"}`)).toBeObject();
    expect(verdict(`{"a":"${'\\"'.repeat(2_000_000)}"}`)).toBeObject();
    expect(verdict(`{"a":"${"\\ud83d\\ude00".repeat(200_000)}"}`)).toBeObject();
    expect(verdict(`{"a":"${"\\\\".repeat(1_000_000)}\\ud800"}`)).toBe("surrogate at byte 2000006");
    expect(verdict(`{"a":"${"\\\\".repeat(2_000_000)}`)).toBe("syntax at byte 4000006");
    expect(verdict(`{"a":1${" ".repeat(2_000_000)}x`)).toBe("syntax at byte 2000006");
  });

  test("a key that is almost all white space takes linear time", () => {
    const spaces = " ".repeat(2_000_000);
    expect(verdict(`{"model${spaces}x":1}`)).toBeObject();
    expect(verdict(`{"${spaces}model${spaces}":1}`)).toBe("confusable_key at byte 1");
  });

  test("keys that collide or sort badly take linear time", () => {
    const keys = Array.from({ length: 90_000 }, (_, i) => `"${i * 40_503}":0`).join();
    expect(verdict(`{"a":{${keys}}}`)).toBeObject();
    expect(verdict(`{"a":{${keys},"0":0}}`)).toStartWith("duplicate_key");
  });
});

test("the fault finder, written without JSON.parse, finds nothing in what the guard accepts", () => {
  expect(findJsonFault('{"model":"m","a":[1,2.5e3,{"b":"\\n\\u00e9"}],"c":true}')).toBeNull();
});

test("fuzzed bodies: what the guard accepts is a strict subset of what JSON.parse accepts, with the same value", () => {
  const { accepted, refused } = fuzzJsonGuard(20_261_123, 15_000);
  // Both sides of the rule are really visited.
  expect(accepted).toBeGreaterThan(1_000);
  expect(refused).toBeGreaterThan(1_000);
});
