import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { Scrubber } from "./scrubber.ts";
import { Secret } from "./secret.ts";

const key = "sk-ant-api03-Ab_9+/Zq\"x\\y.~!*'()<Ky7-AA";
const plain = "sk-proj-0Ab9Cd8Ef7Gh6Ij5Kl4Mn3Op2Qr1St0";
const bytes = Buffer.from(key);
const scrubber = scrubberOf(key, plain);

function scrubberOf(...keys: readonly string[]): Scrubber {
  return new Scrubber(keys.map((one) => Secret.fromString(one).forms()));
}

const hex = bytes.toString("hex");
const escaped = (prefix: string): string => hex.replaceAll(/../g, (digits) => prefix + digits);

describe("a text is scrubbed of a key", () => {
  test.each([
    ["as it is", key],
    ["in hex", hex],
    ["in hex of capitals", hex.toUpperCase()],
    ["in Base64", bytes.toString("base64")],
    ["in Base64url", bytes.toString("base64url")],
    ["in the middle of a Base64 value", Buffer.from(`x:${key}:y`).toString("base64")],
    ["URL-escaped", encodeURIComponent(key)],
    ["URL-escaped throughout", escaped("%")],
    ["in JSON", JSON.stringify(key)],
    ["in JSON inside of JSON", JSON.stringify(JSON.stringify({ key }))],
    ["in JSON inside of JSON inside of JSON", JSON.stringify(JSON.stringify(JSON.stringify({ key })))],
    ["\\u-escaped throughout", escaped("\\u00")],
    ["with slashes escaped, as PHP does", JSON.stringify(key).replaceAll("/", "\\/")],
    ["in Base64 with slashes escaped", Buffer.from(`??${key}?>?`).toString("base64").replaceAll("/", "\\/")],
    ["with a single letter escaped", JSON.stringify(key).replace("A", "\\u0041")],
    ["with a single letter URL-escaped", encodeURIComponent(key).replace("A", "%41")],
    ["with markup escaped, as Go does", JSON.stringify(key).replaceAll("<", "\\u003c").replaceAll("'", "\\u0027")],
    ["with an escape of an escape", encodeURIComponent(key).replaceAll("%", "\\u0025")],
  ])("%s", (_form, text) => {
    const clean = scrubber.clean(`<${text}|${plain}>`);
    expect(clean).toStartWith("<");
    expect(clean).toEndWith("|[redacted]>");
    for (const stretch of [key.slice(13, 20), "0Ab9Cd8", hex.slice(26, 50)]) expect(clean).not.toContain(stretch);
    expect(clean).toContain("[redacted]");
  });

  test("of several keys each, also side by side, and the text between them stays", () => {
    expect(scrubber.clean(`a${plain}${plain}b ${key} c`)).toBe("a[redacted][redacted]b [redacted] c");
  });

  test("that could be a number by another number, so that JSON stays JSON", () => {
    const digits = scrubberOf("8273645091827364");
    const clean = digits.clean('{"id":8273645091827364,"text":"no 8273645091827364!","x":-18273645091827364e3}');
    expect(JSON.parse(clean)).toEqual({ id: 1111111111111111, text: "no 1111111111111111!", x: expect.any(Number) });
  });
});

describe("a text without a key", () => {
  test("is the very same text", () => {
    for (const text of ["", "50 % of it", "sk-ant-api03-", plain.slice(0, -1), "\\u003c\\/%41%zz\\", hex.slice(2)]) {
      expect(scrubber.clean(text)).toBe(text);
    }
  });

  test("stays what it is whatever it holds, also next to a key's beginning", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("sk-", key.slice(0, 9), key.slice(5), "\\u0073", "%73k", "\\\\", plain.slice(1)),
    );
    fc.assert(
      fc.property(fc.array(text, { maxLength: 8 }), (parts) => {
        const whole = parts.join(" ");
        fc.pre(!whole.includes(key) && !whole.includes(plain));
        expect(scrubber.clean(whole)).toBe(whole);
      }),
      { seed: 11, numRuns: 500 },
    );
  });

  test("is what all texts are to a wiped key, and to one that is too short to be one", () => {
    const secret = Secret.fromString(key);
    const wiped = new Scrubber([secret.forms()]);
    secret.wipe();
    expect(wiped.clean(key)).toBe(key);
    expect(scrubberOf("short").clean("short and long")).toBe("short and long");
  });
});

test("no form of any key is left, whatever stands around it and whatever is escaped", () => {
  const visible = fc.string({
    minLength: 8,
    maxLength: 120,
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
  });
  const around = fc.string({ maxLength: 7 });
  const choices = fc.array(fc.nat(3), { minLength: 120, maxLength: 120 });
  fc.assert(
    fc.property(visible, around, around, choices, (secret, before, after, how) => {
      const any = scrubberOf(secret);
      // Each character in one of the ways that a JSON string has for it.
      const mixed = Array.from(secret)
        .map((letter, at) => {
          const digits = letter.charCodeAt(0).toString(16);
          if (how[at] === 0) return `\\u00${digits}`;
          if (how[at] === 1) return `\\u00${digits.toUpperCase()}`;
          return JSON.stringify(letter).slice(1, -1);
        })
        .join("");
      const clean = any.clean(`{"k":"${mixed}"}`);
      expect((JSON.parse(clean) as { k: string }).k).not.toContain(secret);
      const encoded = Buffer.from(before + secret + after).toString("base64");
      const decoded = Buffer.from(any.clean(encoded).replace(/\[redacted\]|1{8,}/, "AAAA"), "base64").toString();
      expect(decoded).not.toContain(secret);
    }),
    { seed: 12, numRuns: 300 },
  );
});
