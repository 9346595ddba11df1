// An answer that the client has begun to get while it is still being looked for.

import { bodySourceOf, type BodySource } from "../../body-source.ts";
import { GatewayError } from "../../errors.ts";
import type { Finish, GatewayResponse, Outcome, Planned } from "../../request.ts";
import type { Clock } from "../../clock.ts";
import { errorAnswer } from "../../wire/errors.ts";
import { createOpening, type Opening } from "../../wire/opening.ts";
import { SseParser } from "../../wire/sse.ts";

export interface OpenLineParts {
  readonly clock: Clock;
  /** How long the client of a stream waits before it hears something, at first and then again and again. */
  readonly keepAliveMs: number;
  /** Of every streamed answer. */
  readonly streamHeaders: Readonly<Record<string, string>>;
  /** What the trail calls a request that ended in this error. */
  readonly outcomeOf: (error: GatewayError) => Outcome;
  /** One line for the operational log. */
  readonly report: (line: string) => void;
}

type Controller = ReadableStreamDefaultController<Uint8Array>;

const encoder = new TextEncoder();
const nothing = new Uint8Array(0);

export class OpenLine {
  readonly response: GatewayResponse;
  readonly #parts: OpenLineParts;
  readonly #request: Planned;
  readonly #opening: Opening;
  readonly #line: AbortController;
  readonly #finish: (finish: Finish) => void;
  readonly #timer: ReturnType<typeof setInterval>;
  /** Resolves when the source is there. */
  readonly #settled: Promise<void>;
  #source: BodySource | null = null;
  /** Where the answer has to be joined to what was sent. */
  #parser: SseParser | null = null;
  #controller: Controller | null = null;
  #opened = false;
  #left = false;
  /** Beside the answer's own bytes. */
  #bytesOut = 0;

  /** `line` is aborted when the client leaves; `answer` may reject. */
  constructor(parts: OpenLineParts, request: Planned, answer: Promise<GatewayResponse>, line: AbortController) {
    this.#parts = parts;
    this.#request = request;
    this.#line = line;
    this.#opening = createOpening(request.dialect, {
      model: request.facts.model,
      id: request.id.replace(/^req_/, ""),
      createdAt: Math.floor(parts.clock.now() / 1_000),
    });
    const { promise: finished, resolve } = Promise.withResolvers<Finish>();
    this.#finish = resolve;
    this.#timer = setInterval(() => this.#ping(), parts.keepAliveMs);
    this.#settled = answer.then(
      (response) => this.#answered(response),
      (error: unknown) => this.#failed(error),
    );
    this.response = { status: 200, headers: { ...parts.streamHeaders }, body: this.#body(), finished };
  }

  #body(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: (controller) => this.#pull(controller),
        cancel: () => this.#leave(),
      },
      { highWaterMark: 0 },
    );
  }

  #ping(): void {
    const controller = this.#controller;
    // Something unread stands in the queue: the client is slow, not in doubt.
    if (controller === null || !this.#opened || this.#left || controller.desiredSize !== 0) return;
    this.#enqueueOwn(controller, this.#opening.ping());
  }

  async #pull(controller: Controller): Promise<void> {
    if (!this.#opened) {
      this.#opened = true;
      return this.#enqueueOwn(controller, this.#opening.ping());
    }
    await this.#settled;
    const source = this.#source;
    if (source === null) return;
    while (!this.#left) {
      const { done, value } = await source.read();
      const bytes = value === undefined ? this.#rest() : this.#joined(value);
      if (bytes.byteLength > 0) controller.enqueue(bytes);
      if (done) return controller.close();
      if (bytes.byteLength > 0) return;
    }
  }

  #enqueueOwn(controller: Controller, text: string): void {
    const bytes = encoder.encode(text);
    this.#bytesOut += bytes.byteLength;
    controller.enqueue(bytes);
  }

  /** From here on the answer keeps itself alive. What is inside closes its books before ours are closed. */
  #answered(response: GatewayResponse): void {
    clearInterval(this.#timer);
    // From then on the answer itself knows whether its client had all of it.
    const tooLate = this.#left;
    const { body, status } = response;
    if (status >= 400) this.#source = bodySourceOf(this.#opening.fail(textOf(body)));
    else {
      this.#source = bodySourceOf(body);
      if (this.#opening.joined !== null) this.#parser = new SseParser();
    }
    if (this.#left) this.#discard();
    void response.finished.then(({ outcome, bytesOut }) => {
      this.#finish({ outcome: tooLate ? "client_gone" : outcome, bytesOut: this.#bytesOut + bytesOut });
      // The answer gave its client up, which has not left: its connection is still there.
      if (outcome === "client_gone" && !this.#left) this.#controller?.error(new Error("the client does not read"));
    });
  }

  #failed(error: unknown): void {
    clearInterval(this.#timer);
    const known = this.#foreseen(error);
    const { dialect, id } = this.#request;
    const text = this.#opening.fail(errorAnswer(dialect, known, id).body, known.retryAfterSeconds);
    this.#source = bodySourceOf(text);
    const outcome = this.#left ? "client_gone" : this.#parts.outcomeOf(known);
    const told = this.#left ? 0 : Buffer.byteLength(text);
    this.#finish({ outcome, bytesOut: this.#bytesOut + told });
  }

  /** The door reports what nobody foresaw; it has let this answer go already. */
  #foreseen(error: unknown): GatewayError {
    if (error instanceof GatewayError) return error;
    // What breaks because the client left is the client's doing, whatever it looks like.
    if (this.#line.signal.aborted) return new GatewayError("CLIENT_GONE", { cause: error });
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#parts.report(`${this.#request.id} internal error: ${text}`);
    return new GatewayError("INTERNAL", { cause: error });
  }

  #leave(): void {
    this.#left = true;
    clearInterval(this.#timer);
    this.#line.abort();
    this.#discard();
  }

  #discard(): void {
    // An answer that breaks while it is thrown away has nobody to tell.
    this.#source?.cancel().catch(() => undefined);
  }

  #joined(bytes: Uint8Array): Uint8Array {
    const join = this.#opening.joined;
    if (this.#parser === null || join === null) return bytes;
    let text = "";
    for (const event of this.#parser.push(bytes)) text += join(event);
    return encoder.encode(text);
  }

  #rest(): Uint8Array {
    const last = this.#parser?.end() ?? null;
    return last === null ? nothing : encoder.encode(this.#opening.joined?.(last) ?? "");
  }
}

function textOf(body: GatewayResponse["body"]): string {
  if (typeof body === "string") return body;
  return body instanceof Uint8Array ? new TextDecoder().decode(body) : "";
}
