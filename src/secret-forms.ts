// A secret in every form in which a text may carry it, and a search for all of them in one pass. Bytes throughout: unlike
// strings they can be overwritten, and an image of the heap does not show them.

/** A shorter value is no key, and looking for it would shred texts. */
const minSecretBytes = 8;
/** So many characters of the forms decide how far the search may skip: more would not make it faster. */
const maxWidth = 32;
/**
 * A stream is held back once its end agrees with the beginning of a form in so many characters. Fewer are no key, and every
 * second word would wait.
 */
export const headWidth = 4;
const tableSize = 4_096;

/** One place of a text: [start, end). */
export interface Range {
  readonly start: number;
  readonly end: number;
}

export class SecretForms {
  #forms: readonly Uint8Array[];
  readonly #whole: Search | null;
  readonly #heads: Search | null;
  /** Holds a character that JSON escapes: then every backslash of a text may belong to it. */
  readonly escapable: boolean;
  /** Holds one of `<>&'`, which many servers escape everywhere, for the sake of web pages. */
  readonly marked: boolean;

  /** The caller keeps the bytes. */
  constructor(secret: Uint8Array) {
    const isKey = secret.length >= minSecretBytes;
    this.#forms = isKey ? formsOf(secret) : [];
    this.#whole = isKey ? new Search(this.#forms, Math.min(maxWidth, ...this.#forms.map((form) => form.length))) : null;
    this.#heads = isKey ? new Search(this.#forms, headWidth) : null;
    this.escapable = jsonEscaped.some((byte) => secret.includes(byte));
    this.marked = markup.some((byte) => secret.includes(byte));
  }

  /** Where the first form at or after `from` stands; null: there is none. Of several at one place the longest. */
  find(text: string, from: number): Range | null {
    const search = this.#whole;
    if (search === null) return null;
    for (let at = search.next(text, from); at >= 0; at = search.next(text, at + 1)) {
      const length = this.#lengthAt(text, at);
      if (length > 0) return { start: at, end: at + length };
    }
    return null;
  }

  /**
   * Where the text ends in the beginning of a form, of at least `headWidth` characters: its start, and the length of the
   * whole form (the shortest where several begin so). Null: nothing of the kind.
   */
  findBegun(text: string, from: number): { readonly start: number; readonly formLength: number } | null {
    const search = this.#heads;
    if (search === null) return null;
    for (let at = search.next(text, from); at >= 0; at = search.next(text, at + 1)) {
      const formLength = this.#begunAt(text, at);
      if (formLength > 0) return { start: at, formLength };
    }
    return null;
  }

  /** Whether a form, or more than nothing of one, may begin in `text`, or in the last characters of `before` and go on in it. */
  mayBeginIn(before: string, text: string): boolean {
    const search = this.#heads;
    return search !== null && (search.mayGoAcross(before, text) || search.next(text, 0) >= 0);
  }

  /** Overwrites everything; nothing is found afterwards. */
  wipe(): void {
    for (const form of this.#forms) form.fill(0);
    this.#forms = [];
    this.#whole?.wipe();
    this.#heads?.wipe();
  }

  #lengthAt(text: string, at: number): number {
    let longest = 0;
    for (const form of this.#forms) {
      if (form.length > longest && at + form.length <= text.length && agree(form, text, at, form.length)) {
        longest = form.length;
      }
    }
    return longest;
  }

  #begunAt(text: string, at: number): number {
    const rest = text.length - at;
    let shortest = 0;
    for (const form of this.#forms) {
      if (form.length <= rest || (shortest > 0 && form.length >= shortest)) continue;
      if (agree(form, text, at, rest)) shortest = form.length;
    }
    return shortest;
  }
}

function agree(form: Uint8Array, text: string, at: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (form[i] !== text.charCodeAt(at + i)) return false;
  return true;
}

/**
 * Wu and Manber's search ("A fast algorithm for multi-pattern searching", 1994): looks at two characters, and from a table
 * learns how many may be skipped because no form has them there. Almost all of a text is never looked at.
 */
class Search {
  readonly #width: number;
  readonly #skip: Uint8Array;
  #forms: readonly Uint8Array[];

  constructor(forms: readonly Uint8Array[], width: number) {
    this.#forms = forms;
    this.#width = width;
    this.#skip = new Uint8Array(tableSize).fill(width - 1);
    for (const form of forms) {
      for (let i = 1; i < width; i++) {
        const slot = slotOf(form[i - 1]!, form[i]!);
        this.#skip[slot] = Math.min(this.#skip[slot]!, width - 1 - i);
      }
    }
  }

  /** Where the first `width` characters of a form stand, at or after `from`; -1: nowhere. */
  next(text: string, from: number): number {
    const skip = this.#skip;
    const width = this.#width;
    const { length } = text;
    let last = from + width - 1;
    while (last < length) {
      const step = skip[slotOf(text.charCodeAt(last - 1), text.charCodeAt(last))]!;
      if (step > 0) last += step;
      else {
        const at = last - width + 1;
        for (const form of this.#forms) if (agree(form, text, at, width)) return at;
        last++;
      }
    }
    return -1;
  }

  /** Whether the search would look closer at a place that begins in `before` and ends in `text`: more often than it finds one. */
  mayGoAcross(before: string, text: string): boolean {
    const width = this.#width;
    const ends = Math.min(text.length, width - 1);
    for (let at = Math.max(0, width - 1 - before.length); at < ends; at++) {
      const first = at === 0 ? before.charCodeAt(before.length - 1) : text.charCodeAt(at - 1);
      if (this.#skip[slotOf(first, text.charCodeAt(at))] === 0) return true;
    }
    return false;
  }

  wipe(): void {
    this.#forms = [];
    this.#skip.fill(this.#width - 1);
  }
}

/** Two characters that share a slot only make a skip shorter. */
function slotOf(first: number, second: number): number {
  return ((first << 5) ^ second) & (tableSize - 1);
}

const quote = 0x22;
const backslash = 0x5c;
const percent = 0x25;
const lowerHex = bytesOf("0123456789abcdef");
const upperHex = bytesOf("0123456789ABCDEF");
const base64 = bytesOf("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const base64url = bytesOf("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
/** What `encodeURIComponent` leaves alone (ECMA-262, 19.2.6.1). */
const unescaped = bytesOf("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()");
const jsonEscaped = [quote, backslash];
const markup = bytesOf("<>&'");

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/**
 * As it is, and backwards; in JSON, and in JSON inside of JSON (tool arguments); in hex; URL-escaped where it must be and throughout;
 * `\u`-escaped throughout; in Base64 and Base64url at each of the three places that it can have in a longer encoded value.
 * Escapes that are mixed in other ways are undone before the search (`Scrubber`).
 */
function formsOf(secret: Uint8Array): Uint8Array[] {
  const inJson = jsonOf(secret);
  const forms = [secret.slice(), secret.toReversed(), inJson, jsonOf(inJson)];
  for (const digits of [lowerHex, upperHex]) {
    forms.push(mapped(secret, (byte) => hexOf(byte, digits)));
    forms.push(mapped(secret, (byte) => (unescaped.includes(byte) ? [byte] : [percent, ...hexOf(byte, digits)])));
    forms.push(mapped(secret, (byte) => [percent, ...hexOf(byte, digits)]));
    // \u00XX
    forms.push(mapped(secret, (byte) => [backslash, 0x75, 0x30, 0x30, ...hexOf(byte, digits)]));
  }
  for (const alphabet of [base64, base64url]) {
    for (const before of [0, 1, 2]) forms.push(base64Inside(secret, before, alphabet));
  }
  return withoutTwins(forms);
}

function mapped(bytes: Uint8Array, write: (byte: number) => readonly number[]): Uint8Array {
  const written: number[] = [];
  for (const byte of bytes) written.push(...write(byte));
  const form = Uint8Array.from(written);
  written.fill(0);
  return form;
}

function hexOf(byte: number, digits: Uint8Array): [number, number] {
  return [digits[byte >> 4]!, digits[byte & 15]!];
}

function jsonOf(bytes: Uint8Array): Uint8Array {
  return mapped(bytes, (byte) => (jsonEscaped.includes(byte) ? [backslash, byte] : [byte]));
}

/**
 * The characters that the secret alone decides where so many bytes (modulo 3) stand before it in the encoded value, as in
 * the `Basic` scheme's `name:key`. Base64 turns 3 bytes into 4 characters, so at either end one character is shared.
 */
function base64Inside(secret: Uint8Array, before: number, alphabet: Uint8Array): Uint8Array {
  const firstBit = Math.ceil((before * 8) / 6) * 6;
  const endBit = Math.floor(((before + secret.length) * 8) / 6) * 6;
  const form = new Uint8Array((endBit - firstBit) / 6);
  for (let i = 0; i < form.length; i++) {
    const bit = firstBit + i * 6 - before * 8;
    const pair = (secret[bit >> 3]! << 8) | (secret[(bit >> 3) + 1] ?? 0);
    form[i] = alphabet[(pair >> (10 - (bit & 7))) & 63]!;
  }
  return form;
}

function withoutTwins(forms: readonly Uint8Array[]): Uint8Array[] {
  const kept: Uint8Array[] = [];
  for (const form of forms) {
    const twin = kept.some((one) => one.length === form.length && one.every((byte, i) => byte === form[i]));
    if (twin) form.fill(0);
    else kept.push(form);
  }
  return kept;
}
