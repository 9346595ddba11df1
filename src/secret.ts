// A value that does not print itself: printing, logging, inspecting and serialising show a placeholder.

import { timingSafeEqual } from "node:crypto";
import { SecretForms } from "./secret-forms.ts";

const placeholder = "[secret]";
const inspect = Symbol.for("nodejs.util.inspect.custom");

/** Holds a key as bytes. `reveal` is the only way to read it, and one word to search for. */
export class Secret {
  #bytes: Uint8Array | null;
  #forms: SecretForms | null = null;

  /** Takes the bytes over; the caller must not keep them. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  static fromString(text: string): Secret {
    return new Secret(new TextEncoder().encode(text));
  }

  /** The value as a string, for building one header. Throws after `wipe`. */
  reveal(): string {
    if (this.#bytes === null) throw new Error("this secret was wiped");
    return new TextDecoder().decode(this.#bytes);
  }

  /** The bytes once more; the caller wipes them. Throws after `wipe`. */
  copy(): Uint8Array {
    if (this.#bytes === null) throw new Error("this secret was wiped");
    // `slice` of a Buffer would be the same bytes.
    return Uint8Array.from(this.#bytes);
  }

  /** Whether this is the value, told without making a string of it, in the same time wherever they differ. */
  holds(bytes: Uint8Array): boolean {
    return this.#bytes !== null && this.#bytes.length === bytes.length && timingSafeEqual(this.#bytes, bytes);
  }

  /** Whether the text is the value or a part of it. No string is made of the value. */
  holdsPart(text: string): boolean {
    const bytes = this.#bytes;
    if (bytes === null || text.length > bytes.length) return false;
    for (let start = 0; start + text.length <= bytes.length; start++) {
      let at = 0;
      while (at < text.length && bytes[start + at] === text.charCodeAt(at)) at++;
      if (at === text.length) return true;
    }
    return false;
  }

  /** For finding it in texts. Made once, and wiped with it; after `wipe` they find nothing. */
  forms(): SecretForms {
    this.#forms ??= new SecretForms(this.#bytes ?? new Uint8Array());
    return this.#forms;
  }

  get wiped(): boolean {
    return this.#bytes === null;
  }

  /** Overwrites the bytes, and all that was made of them here. */
  wipe(): void {
    this.#bytes?.fill(0);
    this.#bytes = null;
    this.#forms?.wipe();
  }

  toString(): string {
    return placeholder;
  }

  toJSON(): string {
    return placeholder;
  }

  [inspect](): string {
    return placeholder;
  }

  get [Symbol.toStringTag](): string {
    return "Secret";
  }
}
