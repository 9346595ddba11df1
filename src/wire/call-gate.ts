// Tool calls of an answer that is passed on as it comes: its events wait while a call is incomplete, and go out behind one
// another, unchanged, when it is whole. So a stream that breaks off inside a call has shown nothing of it.

import type { NeutralEvent, SseEvent } from "./neutral.ts";

/** Characters that may wait; a call that is larger is passed on as it comes. */
const MAX_WAITING = 32 * 1024 * 1024;

export interface Passed {
  readonly event: SseEvent;
  /** What the reader made of it. */
  readonly events: readonly NeutralEvent[];
}

const none: readonly Passed[] = [];

export class CallGate {
  readonly #open = new Set<number>();
  #waiting: Passed[] = [];
  #size = 0;
  #isOpen = false;

  /** A call is incomplete. */
  get holds(): boolean {
    return this.#waiting.length > 0;
  }

  /** Takes the next event; returns those whose turn has come. */
  pass(event: SseEvent, events: readonly NeutralEvent[]): readonly Passed[] {
    for (const one of events) this.#see(one);
    const passed = { event, events };
    if (this.#isOpen || this.#open.size === 0) return this.#release(passed);
    this.#waiting.push(passed);
    this.#size += event.raw.length;
    if (this.#size <= MAX_WAITING) return none;
    this.#isOpen = true;
    return this.#release();
  }

  #see(event: NeutralEvent): void {
    if (event.type === "tool_start") this.#open.add(event.index);
    else if (event.type === "tool_end") this.#open.delete(event.index);
    // Whatever was left open: nothing of it comes any more.
    else if (event.type === "stop" || event.type === "end") this.#open.clear();
  }

  #release(last?: Passed): readonly Passed[] {
    if (this.#waiting.length === 0) return last === undefined ? none : [last];
    const released = this.#waiting;
    this.#waiting = [];
    this.#size = 0;
    if (last !== undefined) released.push(last);
    return released;
  }
}
