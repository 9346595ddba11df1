// The least HTTP/1.1 that two well-behaved ends need: a benchmark's load generator and upstream must not be the bottleneck.

const headEnd = Buffer.from("\r\n\r\n");
const lineEnd = Buffer.from("\r\n");
const maxHeadBytes = 65_536;

type State = "head" | "body" | "chunk-size" | "chunk" | "chunk-end" | "trailer";

/** Reads one message after the other from a connection: requests as well as responses. */
export class HttpMessageReader {
  /** Start line and headers of the message that is being read, without the empty line. */
  head = "";
  readonly #onBody: ((part: Buffer) => void) | null;
  #state: State = "head";
  #left = 0;
  #rest: Buffer | null = null;

  constructor(onBody: ((part: Buffer) => void) | null = null) {
    this.#onBody = onBody;
  }

  /** Whether a message has begun and not ended. */
  get inside(): boolean {
    return this.#state !== "head" || this.#rest !== null;
  }

  /**
   * Takes what arrived; true when that completes a message. Throws where bytes follow a message (nobody here sends ahead),
   * and where the framing is not HTTP/1.1.
   */
  push(arrived: Buffer): boolean {
    const bytes = this.#rest === null ? arrived : Buffer.concat([this.#rest, arrived]);
    this.#rest = null;
    let at = 0;
    while (at < bytes.length) {
      const next = this.#step(bytes, at);
      if (next === -1) {
        if (bytes.length - at > maxHeadBytes) throw new Error("a head or chunk line is too long");
        this.#rest = Buffer.from(bytes.subarray(at));
        return false;
      }
      at = next;
      if (this.#state === "head") {
        if (at < bytes.length) throw new Error("bytes follow the end of a message");
        return true;
      }
    }
    return false;
  }

  /** One step from `at`; where the next one begins, or -1 where more bytes are needed. Ends in state `head` at the end. */
  #step(bytes: Buffer, at: number): number {
    if (this.#state === "head") return this.#readHead(bytes, at);
    if (this.#state === "body" || this.#state === "chunk") return this.#readBody(bytes, at);
    const end = bytes.indexOf(lineEnd, at);
    if (end === -1) return -1;
    if (this.#state === "chunk-size") {
      this.#left = parseInt(bytes.toString("latin1", at, end), 16);
      if (Number.isNaN(this.#left)) throw new Error("a chunk size is not a number");
      this.#state = this.#left === 0 ? "trailer" : "chunk";
    } else if (this.#state === "chunk-end") this.#state = "chunk-size";
    else if (end === at) this.#state = "head";
    return end + 2;
  }

  #readBody(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#left);
    this.#onBody?.(bytes.subarray(at, end));
    this.#left -= end - at;
    if (this.#left === 0) this.#state = this.#state === "body" ? "head" : "chunk-end";
    return end;
  }

  #readHead(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(headEnd, at);
    if (end === -1) return -1;
    this.head = bytes.toString("latin1", at, end);
    const length = /\r\ncontent-length: *(\d+)/i.exec(this.head);
    if (length !== null) {
      this.#left = Number(length[1]);
      this.#state = this.#left === 0 ? "head" : "body";
    } else if (/\r\ntransfer-encoding: *chunked/i.test(this.head)) this.#state = "chunk-size";
    else if (this.head.startsWith("HTTP/")) throw new Error("an answer has no length");
    return end + 4;
  }
}
