// Some servers cut a character outside the basic plane between two deltas, each with one half in its JSON. Half a
// character is no Unicode: written out it becomes U+FFFD, and sent back in a history it is refused.

/** One per text that comes in pieces. Keeps at most one code unit. */
export class SurrogateJoiner {
  #high = "";

  /** The piece with the half that was kept, and without a half that it ends in; possibly empty. */
  push(piece: string): string {
    if (piece === "") return "";
    const last = piece.charCodeAt(piece.length - 1);
    const cut = last >= 0xd800 && last <= 0xdbff;
    if (!cut && this.#high === "") return piece.toWellFormed();
    const whole = this.#high + (cut ? piece.slice(0, -1) : piece);
    this.#high = cut ? piece.slice(-1) : "";
    return whole.toWellFormed();
  }

  /** The text is over: a half that waits is dropped. */
  reset(): void {
    this.#high = "";
  }
}
