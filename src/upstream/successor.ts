// The rest of an answer that broke off, from whoever goes on with it: asked for, waited for with signs of life, and passed on.

import { bodySourceOf, type BodySource } from "../body-source.ts";
import type { GatewayResponse } from "../request.ts";

interface SuccessorParts {
  /** Null: nobody goes on. */
  readonly answer: Promise<GatewayResponse | null>;
  /** What the client is told where nobody goes on; nothing may follow. */
  readonly fail: () => string;
  /** In the dialect, while nobody has answered. */
  readonly ping: () => string;
  readonly keepAliveMs: number;
  /** Bytes that went to the client from here, not from the one who goes on. */
  readonly wrote: (bytes: number) => void;
}

type Controller = ReadableStreamDefaultController<Uint8Array>;

const encoder = new TextEncoder();

export class Successor {
  readonly #parts: SuccessorParts;
  readonly #source: Promise<BodySource>;
  #arrived = false;
  #left = false;

  constructor(parts: SuccessorParts) {
    this.#parts = parts;
    this.#source = parts.answer.then((answer) => {
      this.#arrived = true;
      if (answer !== null) return bodySourceOf(answer.body);
      // Counted here and now: who closes the books looks after this.
      const bytes = encoder.encode(parts.fail());
      parts.wrote(bytes.byteLength);
      return bodySourceOf(bytes);
    });
    // A client that left does not ask for it any more.
    this.#source.catch(() => undefined);
  }

  /** As a stream's `pull`: brings something, or ends it. */
  async pull(controller: Controller): Promise<void> {
    const source = await this.#awaited(controller);
    for (;;) {
      const { done, value } = await source.read();
      if (value !== undefined && value.byteLength > 0) controller.enqueue(value);
      if (done) return this.#left ? undefined : controller.close();
      if (value !== undefined && value.byteLength > 0) return;
    }
  }

  cancel(): void {
    this.#left = true;
    // Whoever still looks for somebody hears of it by the signal of the request.
    void this.#source.then(
      (source) => source.cancel(),
      () => undefined,
    );
  }

  async #awaited(controller: Controller): Promise<BodySource> {
    if (this.#arrived) return this.#source;
    const timer = setInterval(() => {
      // Something unread stands in the queue: the client is slow, not in doubt.
      if (this.#left || controller.desiredSize !== 0) return;
      const bytes = encoder.encode(this.#parts.ping());
      this.#parts.wrote(bytes.byteLength);
      if (bytes.byteLength > 0) controller.enqueue(bytes);
    }, this.#parts.keepAliveMs);
    try {
      return await this.#source;
    } finally {
      clearInterval(timer);
    }
  }
}
