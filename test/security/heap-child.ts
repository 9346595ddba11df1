// Keeps what it reads from its standard input, as a string (inside of a longer one, under a private name of an object) or as
// bytes, and prints every string in its heap.

import { heapStrings } from "./heap-strings.ts";

class Holder {
  readonly #kept: string | Uint8Array;

  constructor(bytes: Uint8Array, how: string) {
    this.#kept = how === "bytes" ? bytes : `kept: ${new TextDecoder().decode(bytes)}!`;
  }

  get length(): number {
    return this.#kept.length;
  }
}

const holder = new Holder(await Bun.stdin.bytes(), process.argv[2]!);
const strings = heapStrings();
// Behind the image, so that it is still held while it is made.
process.stdout.write(`${strings}\n${holder.length}\n`);
