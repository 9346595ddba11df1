// Where an answer that one model began and another one carries on is put together (wire.md 4.3): what the second one repeats of
// the end, or of all that was there, is left out, and so are the blanks at the seam. Nothing is added.

/** Characters at the end, blanks aside, that are compared with how the rest begins. */
const MAX_OVERLAP = 200;
/** UTF-8 bytes of an overlap that no model writes twice by chance. */
const SURE_BYTES = 12;
/** Shorter ones count where a word of the text begins with them. */
const LEAST_CHARS = 3;
/** Characters of the beginning after which it is clear that the model does not go on but starts over. */
const ANEW_CHARS = 40;

const blank = /\s/;

export class Joint {
  readonly #shown: string;
  /** Without blanks. */
  readonly #dense: string;
  /** What stands at the end of the text and was not sent along. */
  readonly #blanks: string;
  #held = "";
  /** The same without blanks. */
  #rest = "";
  #state: "overlap" | "blanks" | "through" = "overlap";
  #heard = false;
  #startedOver = false;

  /** `shown`: all text that the client has. `trims`: the model may repeat some of it, else only blanks meet at the seam. */
  constructor(shown: string, trims: boolean) {
    this.#shown = shown;
    this.#blanks = shown.slice(shown.trimEnd().length);
    this.#dense = trims ? dense(shown) : "";
    if (!trims || this.#dense === "") this.#state = "blanks";
  }

  /** The model said something, though all of it may have been left out. */
  get heard(): boolean {
    return this.#heard;
  }

  /** The model began the answer from its start in other words: what it says does not fit behind the text. */
  get startedOver(): boolean {
    return this.#startedOver;
  }

  /** The next piece of the rest; returns what may be shown by now. */
  push(text: string): string {
    if (this.#state === "through") return text;
    this.#heard ||= text !== "";
    this.#held += text;
    if (this.#state === "overlap") this.#rest += dense(text);
    if (this.#state === "overlap" && !this.#findOverlap(false)) return "";
    return this.#seam(false);
  }

  /** Nothing follows: what is held is shown, or was a repetition. */
  flush(): string {
    if (this.#state === "overlap") this.#findOverlap(true);
    return this.#seam(true);
  }

  /** True where it is settled; what is held then begins behind the overlap. */
  #findOverlap(last: boolean): boolean {
    const rest = this.#rest;
    if (!last && this.#mayGrow(rest)) return false;
    const overlap = this.#longest(rest);
    this.#startedOver = overlap === 0 && rest.length >= ANEW_CHARS && this.#dense.startsWith(rest.slice(0, ANEW_CHARS));
    this.#held = behind(this.#held, overlap);
    this.#state = "blanks";
    return true;
  }

  /** What is here so far is the beginning of a longer repetition. */
  #mayGrow(rest: string): boolean {
    if (rest === "") return true;
    const whole = this.#dense;
    if (rest.length < whole.length && whole.startsWith(rest)) return true;
    for (let length = Math.min(MAX_OVERLAP, whole.length); length > rest.length; length--) {
      if (whole.startsWith(rest, whole.length - length)) return true;
    }
    return false;
  }

  #longest(rest: string): number {
    const whole = this.#dense;
    if (whole.length > MAX_OVERLAP && rest.startsWith(whole)) return whole.length;
    for (let length = Math.min(MAX_OVERLAP, whole.length, rest.length); length >= LEAST_CHARS; length--) {
      if (rest.startsWith(whole.slice(-length)) && this.#isRepetition(length)) return length;
    }
    return 0;
  }

  #isRepetition(length: number): boolean {
    if (Buffer.byteLength(this.#dense.slice(-length)) >= SURE_BYTES || length === this.#dense.length) return true;
    const start = startOfLast(this.#shown, length);
    return start === 0 || blank.test(this.#shown.charAt(start - 1));
  }

  /** Blanks that the client has at the end are not shown a second time. */
  #seam(last: boolean): string {
    const { length } = this.#held;
    let common = 0;
    while (common < length && common < this.#blanks.length && this.#held[common] === this.#blanks[common]) common++;
    if (!last && common === length && common < this.#blanks.length) return "";
    const text = this.#held.slice(common);
    // Nothing has come behind the repetition by now: what comes may begin with blanks.
    if (!last && length === 0) return "";
    this.#held = "";
    this.#state = "through";
    return text;
  }
}

function dense(text: string): string {
  return text.replace(/\s+/g, "");
}

/** `text` behind its first `count` characters that are no blanks. */
function behind(text: string, count: number): string {
  let at = 0;
  for (let left = count; left > 0; at++) if (!blank.test(text.charAt(at))) left--;
  return text.slice(at);
}

/** Where the last `count` characters of `text` that are no blanks begin. */
function startOfLast(text: string, count: number): number {
  let at = text.length;
  for (let left = count; left > 0 && at > 0;) if (!blank.test(text.charAt(--at))) left--;
  return at;
}
