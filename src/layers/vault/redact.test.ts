import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { Secret } from "../../secret.ts";
import { createRedactor } from "./redact.ts";

const key = "sk-ant-api03-Ab_9+/=\"x.~!*'()y";
const redact = createRedactor([Secret.fromString(key), Secret.fromString("sk-or-v1-0123456789")]);
const bytes = new TextEncoder().encode(key);

describe("a redactor", () => {
  test.each([
    ["plain", key],
    ["URL-escaped", encodeURIComponent(key)],
    ["URL-escaped in lower case", encodeURIComponent(key).replaceAll(/%../g, (e) => e.toLowerCase())],
    ["inside JSON", JSON.stringify({ key })],
    ["in hex", bytes.toHex()],
    ["in Base64", btoa(key)],
    ["in Base64url", bytes.toBase64({ alphabet: "base64url", omitPadding: true })],
    ["as Basic credentials", btoa(`x:${key}:y`)],
    ["twice", `${key} and ${key}`],
    ["the other key", "sk-or-v1-0123456789"],
  ])("takes a key out of a text: %s", (_form, text) => {
    const clean = redact(`before ${text} after`);
    expect(clean).toStartWith("before ");
    expect(clean).toEndWith(" after");
    expect(clean).toContain("[redacted]");
    for (const secret of [key, bytes.toHex(), "0123456789"]) expect(clean).not.toContain(secret);
  });

  test("leaves other text alone, and does not choke on empty, short or wiped secrets", () => {
    const wiped = Secret.fromString(key);
    wiped.wipe();
    const odd = createRedactor([wiped, Secret.fromString(""), Secret.fromString("a")]);
    expect(odd(`a text with ${key}`)).toBe(`a text with ${key}`);
    expect(redact("rate limit: sk-ant-… is not the key")).toBe("rate limit: sk-ant-… is not the key");
  });

  test("knows the keys of the moment where they change", () => {
    let keys = [Secret.fromString("first-key-1234")];
    const current = createRedactor(() => keys);
    expect(current("first-key-1234")).toBe("[redacted]");
    keys = [Secret.fromString("second-key-1234")];
    expect(current("first-key-1234 second-key-1234")).toBe("first-key-1234 [redacted]");
  });

  test("whatever the key and whatever surrounds it, no encoding of it survives", () => {
    const visible = fc.string({
      minLength: 1,
      maxLength: 60,
      unit: fc.integer({ min: 0x21, max: 0x7e }).map((c) => String.fromCharCode(c)),
    });
    const run = fc.property(
      visible,
      fc.string({ maxLength: 9 }),
      fc.string({ maxLength: 9 }),
      (tail, before, after) => {
        const secret = `KEY-1234${tail}`;
        const clean = createRedactor([Secret.fromString(secret)]);
        const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
        expect(clean(`${before}${secret}${after}`)).not.toContain(secret);
        expect(clean(encodeURIComponent(secret))).not.toContain(encodeURIComponent(secret));
        const decoded = atob(
          clean(utf8(`${before}${secret}${after}`).toBase64())
            .replaceAll("[redacted]", "")
            .replaceAll("=", "")
            .replace(/^(.*)$/, (text) => text.slice(0, text.length - (text.length % 4))),
        );
        expect(decoded).not.toContain(secret);
      },
    );
    fc.assert(run, { seed: 6, numRuns: 300 });
  });
});
