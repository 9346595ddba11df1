// The process that is taken over from: what it does when, and what it takes back when its successor fails.

import type { Greeting, Handed } from "./messages.ts";

export interface SuccessionParts {
  /** Opens the ports for one more process. Throws where this is impossible, with the reason. */
  readonly openPorts: () => Greeting;
  /** The end of that, where nobody came. */
  readonly closePorts: () => void;
  /** Puts the books down and hands them over. Throws where that is impossible; then nothing has changed. */
  readonly give: () => Promise<Handed>;
  /** Takes the books up again. Never rejects. */
  readonly takeBack: () => Promise<void>;
  /** The successor has the books: what runs here drains. Resolves to true when this process is known there. */
  readonly drain: () => Promise<boolean>;
  /** One that had taken over has ended, as it may long after that. */
  readonly successorGone: () => void;
}

type Step = "none" | "begun" | "giving" | "given" | "done";

/** A successor that has the books and says nothing for so long is given up; milliseconds. */
const silentMs = 20_000;

/** Why a succession failed of which nothing else is known. */
export const successorEnded = "the new process ended before it had taken over";

export class Succession {
  readonly #parts: SuccessionParts;
  #step: Step = "none";
  #stream: ReadableStreamDefaultController<Uint8Array> | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended = Promise.withResolvers<string | null>();
  #successor = 0;

  constructor(parts: SuccessionParts) {
    this.#parts = parts;
  }

  get going(): boolean {
    return this.#step !== "none";
  }

  /** The process that is taking over. */
  get successor(): number {
    return this.#successor;
  }

  /** Resolves when the succession that goes on, or the next one, has ended: with why it failed; null: it did not. */
  get outcome(): Promise<string | null> {
    return this.#ended.promise;
  }

  /** The successor's line, whose end is its end. Throws where nothing can be handed over now. */
  begin(pid: number, signal: AbortSignal): ReadableStream<Uint8Array> {
    if (this.#step !== "none") throw new Error("another process is taking over already");
    const greeting = this.#parts.openPorts();
    this.#step = "begun";
    this.#successor = pid;
    const gone = (): void => void this.#fail(successorEnded);
    signal.addEventListener("abort", gone, { once: true });
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#stream = controller;
        controller.enqueue(Buffer.from(`${JSON.stringify(greeting)}\n`));
      },
      cancel: gone,
    });
  }

  async take(): Promise<Handed> {
    if (this.#step !== "begun") throw new Error("nothing was begun");
    this.#step = "giving";
    let handed: Handed;
    try {
      handed = await this.#parts.give();
    } catch (error) {
      this.#step = "begun";
      throw error;
    }
    // It may have gone while the books were put down.
    if (this.#stream === null) {
      await this.#takeBack("the new process ended while it took over");
      throw new Error("the new process is gone");
    }
    this.#step = "given";
    this.#timer = setTimeout(() => {
      // Stopped or stuck, it would open the books at some later time.
      if (this.#successor > 0) endHard(this.#successor);
    }, silentMs);
    return handed;
  }

  /** The successor serves. */
  done(): void {
    if (this.#step !== "given") return;
    this.#step = "done";
    clearTimeout(this.#timer);
    void this.#parts
      .drain()
      .then((known) => this.#end(known ? null : "the new process ended as soon as it had taken over"));
  }

  async failed(text: string): Promise<void> {
    await this.#fail(text);
  }

  async #fail(why: string): Promise<void> {
    this.#stream = null;
    if (this.#step === "done") this.#parts.successorGone();
    if (this.#step === "none" || this.#step === "done" || this.#step === "giving") return;
    if (this.#step === "given") return this.#takeBack(why);
    this.#parts.closePorts();
    this.#step = "none";
    this.#end(why);
  }

  async #takeBack(why: string): Promise<void> {
    clearTimeout(this.#timer);
    this.#step = "giving";
    await this.#parts.takeBack();
    this.#parts.closePorts();
    this.#step = "none";
    this.#end(why);
  }

  /** After this process has taken the books back from a successor that died later. */
  reset(): void {
    this.#step = "none";
  }

  #end(why: string | null): void {
    this.#stream = null;
    this.#ended.resolve(why);
    this.#ended = Promise.withResolvers<string | null>();
  }
}

function endHard(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It is gone already.
  }
}
