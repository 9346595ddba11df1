// An HTTP/1.1 request parser that keeps the bytes as they came: what a framework would tidy away (header order and case,
// repeated headers, the raw target) is what tests of a gateway want to see.

export interface RawRequest {
  readonly method: string;
  readonly target: string;
  /** In order, names as written. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Request line and headers, byte for byte (as latin-1), with the blank line. */
  readonly head: string;
  readonly body: Uint8Array;
}

interface Head {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly text: string;
}

/** Feed it what arrives; it gives the requests that are complete. Throws on what is not HTTP/1.1. */
export class RequestParser {
  #pending: Buffer = Buffer.alloc(0);
  #chunks: Buffer[] = [];
  #size = 0;
  #needed = 0;

  /** Bytes that belong to a request which is not complete yet. */
  get buffered(): number {
    return this.#size + this.#pending.length;
  }

  push(bytes: Uint8Array): RawRequest[] {
    this.#chunks.push(Buffer.from(bytes));
    this.#size += bytes.length;
    // A large body is joined once, when it is complete: joining per chunk would be quadratic.
    if (this.#pending.length + this.#size < this.#needed) return [];
    this.#pending = Buffer.concat([this.#pending, ...this.#chunks]);
    this.#chunks = [];
    this.#size = 0;
    const complete: RawRequest[] = [];
    for (let request = this.#take(); request !== null; request = this.#take()) complete.push(request);
    return complete;
  }

  #take(): RawRequest | null {
    this.#needed = 0;
    const end = this.#pending.indexOf("\r\n\r\n");
    if (end === -1) return null;
    const head = parseHead(this.#pending.subarray(0, end + 4).toString("latin1"));
    const start = end + 4;
    const coding = headerOf(head, "transfer-encoding");
    if (coding !== undefined) {
      if (coding.toLowerCase() !== "chunked") throw new Error("unknown transfer-encoding");
      const body = unchunk(this.#pending, start);
      return body === null ? null : this.#cut(head, body.bytes, body.end);
    }
    const length = Number(headerOf(head, "content-length") ?? "0");
    if (!Number.isInteger(length) || length < 0) throw new Error("content-length is not a number");
    this.#needed = start + length;
    if (this.#pending.length < this.#needed) return null;
    return this.#cut(head, this.#pending.subarray(start, start + length), start + length);
  }

  #cut(head: Head, body: Buffer, end: number): RawRequest {
    this.#pending = this.#pending.subarray(end);
    return { method: head.method, target: head.target, headers: head.headers, head: head.text, body };
  }
}

function parseHead(text: string): Head {
  const lines = text.slice(0, -4).split("\r\n");
  const line = /^([A-Z]+) (\S+) HTTP\/1\.1$/.exec(lines[0] ?? "");
  if (line === null) throw new Error("not an HTTP/1.1 request line");
  const headers = lines.slice(1).map((header): readonly [string, string] => {
    const colon = header.indexOf(":");
    if (colon < 1) throw new Error("not a header line");
    return [header.slice(0, colon), header.slice(colon + 1).trim()];
  });
  return { method: line[1] ?? "", target: line[2] ?? "", headers, text };
}

function headerOf(head: Head, name: string): string | undefined {
  const found = head.headers.filter(([key]) => key.toLowerCase() === name);
  if (found.length > 1) throw new Error(`${name} is repeated`);
  return found[0]?.[1];
}

function unchunk(bytes: Buffer, from: number): { bytes: Buffer; end: number } | null {
  const parts: Buffer[] = [];
  let at = from;
  for (;;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd === -1) return null;
    const size = Number.parseInt(bytes.subarray(at, lineEnd).toString("latin1"), 16);
    if (!Number.isInteger(size)) throw new Error("not a chunk size");
    const start = lineEnd + 2;
    if (bytes.length < start + size + 2) return null;
    if (size === 0) return { bytes: Buffer.concat(parts), end: start + 2 };
    parts.push(bytes.subarray(start, start + size));
    at = start + size + 2;
  }
}
