// Takes known secrets out of a text that comes in pieces, wherever it is cut.

/** As long as a secret in any of its written forms can be: what is younger may still become one. */
const HELD_BACK_CHARS = 16_384;
const PIECE_CHARS = 65_536;

export class StreamRedactor {
  readonly #redact: (text: string) => string;
  readonly #decoder = new TextDecoder();
  #held = "";
  changed = false;

  constructor(redact: (text: string) => string) {
    this.#redact = redact;
  }

  /** What can be told by now; empty: nothing yet. */
  take(bytes: Uint8Array): string {
    this.#held += this.#decoder.decode(bytes, { stream: true });
    if (this.#held.length < PIECE_CHARS) return "";
    const clean = this.#clean();
    const cut = Math.max(0, clean.length - HELD_BACK_CHARS);
    this.#held = clean.slice(cut);
    return clean.slice(0, cut);
  }

  end(): string {
    this.#held += this.#decoder.decode();
    const clean = this.#clean();
    this.#held = "";
    return clean;
  }

  #clean(): string {
    const clean = this.#redact(this.#held);
    if (clean !== this.#held) this.changed = true;
    return clean;
  }
}
