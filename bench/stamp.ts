// Stamps inside streamed text: when the upstream wrote an event, in microseconds of the machine's clock. They pass every
// translation untouched, since they are part of what the model "says".

const mark = 0x7e;

/** `~123456789~`: nothing that JSON has to escape. */
export function stampOf(microseconds: number): string {
  return `~${Math.round(microseconds)}~`;
}

/** Finds stamps in a byte stream, also where one is cut between two reads. */
export class StampReader {
  /** Digits seen so far; -1 outside of a stamp. */
  #value = -1;

  /** Calls `onStamp` with each stamp that ends in these bytes. */
  push(bytes: Uint8Array, onStamp: (microseconds: number) => void): void {
    let at = 0;
    for (;;) {
      if (this.#value === -1) {
        at = bytes.indexOf(mark, at);
        if (at === -1) return;
        at++;
        this.#value = 0;
      }
      for (; at < bytes.length; at++) {
        const digit = bytes[at]! - 0x30;
        if (digit < 0 || digit > 9) break;
        this.#value = this.#value * 10 + digit;
      }
      if (at === bytes.length) return;
      onStamp(this.#value);
      this.#value = -1;
      at++;
    }
  }
}
