import type { Secret } from "./secret.ts";

/** A provider's key for the time of one attempt: it opens for its provider's origin alone, and for nobody after the attempt. */
export class LentKey {
  readonly #secret: Secret;
  readonly #origin: string;
  #over = false;

  /** `origin` as `URL.origin` has it. */
  constructor(secret: Secret, origin: string) {
    this.#secret = secret;
    this.#origin = origin;
  }

  /**
   * The value as a string, for a header of one request to this URL: to be used and dropped. Throws where the URL is of
   * another origin, after the attempt, and where the key was wiped: each of them is a defect.
   */
  revealFor(url: string): string {
    if (this.#over) throw new Error("a key was used after its attempt");
    if (!this.#fits(url)) throw new Error("a key was used for another origin than its provider's");
    return this.#secret.reveal();
  }

  /** Whether it is this very secret that was lent. */
  isOf(secret: Secret): boolean {
    return this.#secret === secret;
  }

  /** Whether the text is the value or a part of it. No string is made of the value. */
  holdsPart(text: string): boolean {
    return this.#secret.holdsPart(text);
  }

  /** The attempt is over. */
  end(): void {
    this.#over = true;
  }

  #fits(url: string): boolean {
    const origin = this.#origin;
    // Addresses are written in the form that the runtime gives them, but for rare ones.
    if (url.startsWith(origin) && (url.length === origin.length || url[origin.length] === "/")) return true;
    return URL.parse(url)?.origin === origin;
  }
}
