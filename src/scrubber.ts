// Takes secrets out of texts that go to a client or into a log, whatever form they have there.

import type { Range, SecretForms } from "./secret-forms.ts";

const placeholder = "[redacted]";

/** Escapes of visible ASCII: `\u0073`, `\"`, `\\`, `\/` of JSON (RFC 8259, section 7), `%73` of URLs (RFC 3986, section 2.1). */
const escapes = /\\u00([2-7][\dA-Fa-f])|\\(["\\/])|%([2-7][\dA-Fa-f])/g;
/** One of them is there; first without those of `<>&'`, which Go's and others' JSON is full of. */
const someEscape = /\\u00(?!2[67]|3[CEce])[2-7][\dA-Fa-f]|\\\/|%(?!2[67]|3[CEce])[2-7][\dA-Fa-f]/;
const anyEscape = /\\u00[2-7][\dA-Fa-f]|\\\/|%[2-7][\dA-Fa-f]/;
/** JSON inside of JSON, with a URL in it. */
const maxLevels = 3;

export class Scrubber {
  readonly #all: readonly SecretForms[];
  readonly #escapable: boolean;
  readonly #escape: RegExp;

  constructor(all: readonly SecretForms[]) {
    this.#all = all;
    this.#escapable = all.some((forms) => forms.escapable);
    this.#escape = all.some((forms) => forms.marked) ? anyEscape : someEscape;
  }

  /** The text with something harmless in place of every secret; where it holds none, the very same text. */
  clean(text: string): string {
    const clean = this.#replaced(text);
    return this.#mayBeEscaped(clean) ? this.#cleanEscaped(clean) : clean;
  }

  /** The first secret at or after `from`, in one of its forms; null: there is none. */
  find(text: string, from: number): Range | null {
    let first: Range | null = null;
    for (const forms of this.#all) {
      const found = forms.find(text, from);
      if (found !== null && (first === null || found.start < first.start)) first = found;
    }
    return first;
  }

  /** As `SecretForms.mayBeginIn`, of any of them. */
  mayBeginIn(before: string, text: string): boolean {
    for (const forms of this.#all) if (forms.mayBeginIn(before, text)) return true;
    return false;
  }

  /** As `SecretForms.findBegun`; of several the one that begins first. */
  findBegun(text: string, from: number): ReturnType<SecretForms["findBegun"]> {
    let first: ReturnType<SecretForms["findBegun"]> = null;
    for (const forms of this.#all) {
      const found = forms.findBegun(text, from);
      if (found !== null && (first === null || found.start < first.start)) first = found;
    }
    return first;
  }

  #replaced(text: string): string {
    const ranges = this.#rangesIn(text);
    return ranges.length === 0 ? text : replaceRanges(text, ranges);
  }

  #rangesIn(text: string): readonly Range[] {
    let found = this.find(text, 0);
    if (found === null) return none;
    const ranges: Range[] = [];
    while (found !== null) {
      ranges.push(found);
      found = this.find(text, found.end);
    }
    return ranges;
  }

  /** First searches of the runtime's own, which cost less than a look at every character. */
  #mayBeEscaped(text: string): boolean {
    if (this.#escapable && text.includes("\\")) return true;
    return (text.includes("%") || text.includes("\\u00") || text.includes("\\/")) && this.#escape.test(text);
  }

  /** What is escaped in a way that is none of the forms: undone level by level, and looked at again. */
  #cleanEscaped(text: string): string {
    let clean = text;
    let plain = text;
    for (let level = 1; level <= maxLevels; level++) {
      const next = plain.replace(escapes, unescape);
      if (next === plain) return clean;
      plain = next;
      if (this.find(plain, 0) === null) continue;
      clean = this.#replacedUnder(clean, level);
      plain = unescaped(clean, level).text;
    }
    return clean;
  }

  #replacedUnder(text: string, levels: number): string {
    const { text: plain, starts } = unescaped(text, levels);
    return replaceRanges(
      text,
      this.#rangesIn(plain).map(({ start, end }) => ({ start: starts[start]!, end: starts[end]! })),
    );
  }
}

const none: readonly Range[] = [];

function unescape(whole: string, json: string | undefined, self: string | undefined, url: string | undefined): string {
  if (self !== undefined) return self;
  const digits = json ?? url;
  return digits === undefined ? whole : String.fromCharCode(Number.parseInt(digits, 16));
}

interface Unescaped {
  readonly text: string;
  /** Where each character began in the original, and where that ends. */
  readonly starts: Uint32Array;
}

/** Only where a secret was found: with the place of every character. */
function unescaped(original: string, levels: number): Unescaped {
  let text = original;
  let starts = Uint32Array.from({ length: original.length + 1 }, (_, at) => at);
  for (let level = 0; level < levels; level++) {
    const next = new Uint32Array(text.length + 1);
    let length = 0;
    let at = 0;
    const plain = text.replace(escapes, (whole, ...rest) => {
      const [json, self, url, offset] = rest as [string | undefined, string | undefined, string | undefined, number];
      while (at <= offset) next[length++] = starts[at++]!;
      at = offset + whole.length;
      return unescape(whole, json, self, url);
    });
    while (at <= text.length) next[length++] = starts[at++]!;
    text = plain;
    starts = next.subarray(0, length);
  }
  return { text, starts };
}

function replaceRanges(text: string, ranges: readonly Range[]): string {
  let clean = "";
  let from = 0;
  for (const { start, end } of ranges) {
    // Two ranges can share an escape.
    if (start < from) continue;
    clean += text.slice(from, start) + standInFor(text, start, end);
    from = end;
  }
  return clean + text.slice(from);
}

/**
 * Of the same kind: what could be a number, or the inside of one, becomes a number of the same length, since JSON may have
 * it outside of a string. Anything else can only be inside of a string.
 */
export function standInFor(text: string, start: number, end: number): string {
  for (let at = start; at < end; at++) if (!numeric.includes(text[at]!)) return placeholder;
  return "1".repeat(end - start);
}

const numeric = "0123456789+-.eE";
