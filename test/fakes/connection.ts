// One TCP connection of the fake: writes in pieces that really leave one by one, and ends in every bad way.

import type { Socket } from "node:net";
import { stringifyWithCounts, type Step } from "./script.ts";

export class Connection {
  readonly id: number;
  readonly #socket: Socket;
  readonly #closed = new AbortController();

  constructor(socket: Socket, id: number) {
    this.id = id;
    this.#socket = socket;
    // A peer that resets is one of the things under test, not a failure of the fake: `close` follows it.
    socket.on("error", () => this.#closed.abort());
    socket.on("end", () => this.#closed.abort());
    socket.on("close", () => this.#closed.abort());
  }

  /** Aborts when either side closed. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  destroy(): void {
    this.#socket.resetAndDestroy();
    this.#closed.abort();
  }

  /** Half-closes; what was written is delivered first. */
  close(): void {
    this.#socket.end();
  }

  /** Resolves when the bytes are with the kernel, in one write a piece and a turn of the loop between them. */
  async write(bytes: string | Uint8Array, split?: Step["split"]): Promise<void> {
    const whole = Buffer.from(typeof bytes === "string" ? Buffer.from(bytes, "utf8") : bytes);
    if (split === undefined) return this.#writeOne(whole);
    const nextSize = sizesOf(split);
    for (let at = 0; at < whole.length;) {
      const size = nextSize();
      await this.#writeOne(whole.subarray(at, at + size));
      await new Promise((resolve) => setImmediate(resolve));
      at += size;
    }
  }

  async sendJson(status: number, body: unknown, headers: Record<string, string> = {}): Promise<"answered"> {
    const text = typeof body === "string" ? body : stringifyWithCounts(body);
    await this.write(
      headText(status, {
        "content-type": "application/json",
        ...headers,
        "content-length": `${Buffer.byteLength(text)}`,
      }) + text,
    );
    return "answered";
  }

  async #writeOne(bytes: Uint8Array): Promise<void> {
    if (this.#closed.signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const leave = (): void => resolve();
    this.#closed.signal.addEventListener("abort", leave, { once: true });
    this.#socket.write(bytes, leave);
    await promise;
    this.#closed.signal.removeEventListener("abort", leave);
  }
}

/** Status line and headers with the blank line. */
export function headText(status: number, headers: Record<string, string>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} Fake\r\n${lines.join("")}\r\n`;
}

function sizesOf(split: NonNullable<Step["split"]>): () => number {
  if ("sizes" in split) {
    let at = 0;
    return () => Math.max(1, split.sizes[at++ % split.sizes.length] ?? 1);
  }
  // Park and Miller's generator: small, and the same everywhere.
  let state = (split.seed % 2_147_483_646) + 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return 1 + (state % 16);
  };
}
