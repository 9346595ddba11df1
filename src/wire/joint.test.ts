import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { Joint } from "./joint.ts";

/** What the client reads, however the rest is cut into pieces. */
function joined(shown: string, pieces: readonly string[], trims = true): string {
  const joint = new Joint(shown, trims);
  let text = shown;
  for (const piece of pieces) text += joint.push(piece);
  return text + joint.flush();
}

describe("a joint", () => {
  test("adds nothing and loses nothing where the rest goes on in the middle of a word", () => {
    expect(joined("The transla", ["tion is", " done."])).toBe("The translation is done.");
  });

  test("leaves out what the model repeats of the end", () => {
    expect(joined("The quick brown fox jumps", ["brown fox jumps over the dog."])).toBe(
      "The quick brown fox jumps over the dog.",
    );
  });

  test("leaves out a repetition whose blanks differ", () => {
    expect(joined("one two\n  three", ["two three", " four"])).toBe("one two\n  three four");
  });

  test("leaves out one repeated word, where a word of the text begins there", () => {
    expect(joined("The quick brown", ["brown fox"])).toBe("The quick brown fox");
  });

  test("keeps what is alike by chance: a few letters in the middle of a word", () => {
    expect(joined("a banana", ["nana split"])).toBe("a banananana split");
  });

  test("leaves out the whole text where the model begins with all of it", () => {
    const shown = "Once upon a time there was a gateway. ".repeat(20);
    expect(joined(shown, [...Array.from(shown), "The end."])).toBe(`${shown}The end.`);
  });

  test("shows blanks at the seam once", () => {
    expect(joined("Hello ", [" ", "world"])).toBe("Hello world");
    expect(joined("Hello\n\n", ["\n", "\nworld"])).toBe("Hello\n\nworld");
    expect(joined("Hello", [" world"])).toBe("Hello world");
    expect(joined("Hello ", ["world"], false)).toBe("Hello world");
  });

  test("of a model that continues for certain it compares blanks alone", () => {
    expect(joined("ha ha ha ha ha", [" ha ha ha ha ha!"], false)).toBe("ha ha ha ha ha ha ha ha ha ha!");
  });

  test("knows a model that starts over in other words", () => {
    const joint = new Joint(`${"Let me explain how a token bucket works, and why, in detail. ".repeat(3)}First`, true);
    joint.push("Let me explain how a token bucket works, and why, in short.");
    expect(joint.startedOver).toBe(true);
  });

  test("a repetition with nothing behind it was heard, and shows nothing", () => {
    const joint = new Joint("All is said and done.", true);
    expect(joint.push("said and done.") + joint.flush()).toBe("");
    expect(joint.heard).toBe(true);
    expect(joint.startedOver).toBe(false);
  });

  test("gives the same text wherever the rest is cut into pieces", () => {
    const words = fc.array(fc.constantFrom("the", "fox", " ", "\n", "jumps over", "ü", "日本語", "a"), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(words, words, fc.nat(20), fc.boolean(), (before, after, overlap, trims) => {
        const shown = before.join("");
        const rest = shown.slice(shown.length - Math.min(overlap, shown.length)) + after.join("");
        expect(joined(shown, Array.from(rest), trims)).toBe(joined(shown, [rest], trims));
      }),
      { numRuns: 500 },
    );
  });

  test("shows every character of a rest that repeats nothing", () => {
    fc.assert(
      fc.property(fc.string(), fc.array(fc.string()), (before, pieces) => {
        const shown = `${before}«`;
        const rest = pieces.map((piece) => `»${piece}`);
        expect(joined(shown, rest)).toBe(shown + rest.join(""));
      }),
    );
  });
});
