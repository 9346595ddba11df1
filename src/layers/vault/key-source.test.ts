import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { checkKey, KeyFault, MAX_KEY_BYTES } from "./key-source.ts";

const valid = (bytes: Uint8Array): boolean =>
  bytes.length >= 8 && bytes.length <= MAX_KEY_BYTES && bytes.every((byte) => byte > 0x20 && byte < 0x7f);

test("ten thousand things that are no key are refused in two fixed sentences, which hold nothing of them", () => {
  const sentences = new Set<string>();
  const visible = fc.integer({ min: 0x21, max: 0x7e });
  const odd = fc.oneof(fc.integer({ min: 0, max: 0x20 }), fc.integer({ min: 0x7f, max: 0xff }));
  const bytes = fc
    .tuple(fc.array(visible, { maxLength: 40 }), fc.array(odd, { maxLength: 2 }), fc.array(visible, { maxLength: 40 }))
    .map((parts) => Uint8Array.from(parts.flat()));
  fc.assert(
    fc.property(bytes, (key) => {
      fc.pre(!valid(key));
      try {
        checkKey(key);
      } catch (error) {
        if (!(error instanceof KeyFault) || error.cause !== undefined) throw error;
        sentences.add(error.message);
        sentences.add(error.reason);
        return;
      }
      throw new Error("it was taken");
    }),
    { seed: 14, numRuns: 10_000 },
  );
  expect(sentences.size).toBe(2);
  expect(() => checkKey(new Uint8Array(MAX_KEY_BYTES + 1).fill(0x61))).toThrow([...sentences][0]!.slice(0, 10));
  for (const one of ["sk-ant-1", "!".repeat(MAX_KEY_BYTES)]) checkKey(new TextEncoder().encode(one));
});
