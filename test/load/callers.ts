// Clients under load, on raw sockets: they keep connections alive, hang up when they are told to, and read as slowly as
// they are told to.

import type { Socket } from "bun";
import { HttpMessageReader } from "../../bench/http-message.ts";

export interface Heard {
  /** 0: nothing came. */
  readonly status: number;
  readonly requestId: string | null;
  readonly body: string;
  /** `left`: the client hung up. `broken`: the connection ended before the answer did. */
  readonly end: "whole" | "left" | "broken";
}

export interface Manner {
  /** Hangs up after so many milliseconds, wherever the answer is by then. */
  readonly leavesAfterMs?: number;
  /** Stops reading for so long, each time after it has read something, this many times at most. */
  readonly pauses?: { readonly times: number; readonly ms: number };
  /** The connection ends with the answer. */
  readonly closes?: boolean;
}

/** A server closes what stands idle: who sends on a connection that has just been closed hears nothing. */
const reusableForMs = 3_000;

export class Callers {
  readonly #port: number;
  readonly #idle: Caller[] = [];
  #opened = 0;

  constructor(port: number) {
    this.#port = port;
  }

  get opened(): number {
    return this.#opened;
  }

  async ask(request: Buffer, manner: Manner = {}): Promise<Heard> {
    const caller = this.#free() ?? (await this.#open());
    const heard = await caller.ask(request, manner);
    if (heard.end === "whole" && manner.closes !== true && caller.alive) this.#idle.push(caller);
    else caller.hangUp();
    return heard;
  }

  close(): void {
    for (const caller of this.#idle.splice(0)) caller.hangUp();
  }

  #free(): Caller | undefined {
    for (let caller = this.#idle.pop(); caller !== undefined; caller = this.#idle.pop()) {
      if (caller.alive && performance.now() - caller.idleSince < reusableForMs) return caller;
      caller.hangUp();
    }
    return undefined;
  }

  async #open(): Promise<Caller> {
    this.#opened++;
    const caller = new Caller();
    await caller.connect(this.#port);
    return caller;
  }
}

class Caller {
  alive = true;
  idleSince = 0;
  #socket: Socket | null = null;
  #request: Buffer = Buffer.alloc(0);
  #sent = 0;
  #reader = new HttpMessageReader();
  #parts: Buffer[] = [];
  #done: ((end: Heard["end"]) => void) | null = null;
  #pausesLeft = 0;
  #pauseMs = 0;

  async connect(port: number): Promise<void> {
    const lost = (): void => {
      this.alive = false;
      this.#done?.("broken");
    };
    this.#socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => void socket.setNoDelay(true),
        data: (_, bytes) => this.#read(bytes),
        drain: () => this.#write(),
        close: lost,
        error: lost,
        connectError: lost,
      },
    });
  }

  async ask(request: Buffer, manner: Manner): Promise<Heard> {
    const { promise, resolve } = Promise.withResolvers<Heard["end"]>();
    this.#reader = new HttpMessageReader((part) => this.#parts.push(Buffer.from(part)));
    this.#parts = [];
    this.#done = resolve;
    this.#request = request;
    this.#sent = 0;
    this.#pausesLeft = manner.pauses?.times ?? 0;
    this.#pauseMs = manner.pauses?.ms ?? 0;
    const leaving =
      manner.leavesAfterMs === undefined ? undefined : setTimeout(() => resolve("left"), manner.leavesAfterMs);
    if (this.alive) this.#write();
    else resolve("broken");
    const end = await promise;
    clearTimeout(leaving);
    this.#done = null;
    this.idleSince = performance.now();
    const { head } = this.#reader;
    return {
      status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0),
      requestId: /\r\nx-sanctum-request-id: *(\S+)/i.exec(head)?.[1] ?? null,
      body: Buffer.concat(this.#parts).toString("utf8"),
      end,
    };
  }

  hangUp(): void {
    this.alive = false;
    this.#socket?.terminate();
  }

  #write(): void {
    if (this.#socket === null || this.#sent === this.#request.length) return;
    this.#sent += Math.max(0, this.#socket.write(this.#request, this.#sent));
  }

  #read(bytes: Buffer): void {
    if (this.#done === null) return;
    if (this.#reader.push(bytes)) this.#done("whole");
    else if (this.#pausesLeft > 0) {
      this.#pausesLeft--;
      this.#socket?.pause();
      setTimeout(() => this.#socket?.resume(), this.#pauseMs);
    }
  }
}
