// Overload in steps, so that what runs is never touched: first answers stop keeping their connections open, then new work is
// turned away. Which of the resources is short is told, once for each change.

import { GatewayError } from "../errors.ts";

/** Shares of what there is; 1: all of it. Null: not known on this system. */
export interface Gauges {
  /** How late the event loop was at most since the last look, milliseconds. */
  readonly lateMs: number;
  readonly memory: number | null;
  readonly descriptors: number | null;
}

export interface OverloadParts {
  /** Read again at each look; reading costs less than a request. */
  readonly gauges: () => Gauges;
  /** Requests that run, and how many may. */
  readonly inFlight: () => number;
  readonly mostInFlight: () => number;
  readonly monotonic: () => number;
  readonly report: (line: string) => void;
}

export type OverloadLevel = "none" | "closing_connections" | "shedding";

export interface OverloadState {
  readonly level: OverloadLevel;
  readonly reasons: readonly string[];
  /** Requests turned away since the start. */
  readonly shed: number;
}

/** From when on connections are not kept, and from when on new work is turned away. */
const limits = {
  lateMs: [250, 500],
  memory: [0.75, 0.85],
  descriptors: [0.75, 0.9],
  inFlight: [0.8, 1],
} as const;
/** A level is left where all are so far below its limit, and have been for so long. */
const wellBelow = 0.9;
const calmMs = 2_000;
/** A late turn or a burst (another program had the processor, a thousand requests came at once) is no overload; so many looks in a row are. */
export const lateLooks = 8;
const retryAfterSeconds = 2;
const levels: readonly OverloadLevel[] = ["none", "closing_connections", "shedding"];

export class Overload {
  readonly #parts: OverloadParts;
  #gauges: Gauges = { lateMs: 0, memory: null, descriptors: null };
  #level = 0;
  /** How late the loop was at the last looks. */
  readonly #late: number[] = [];
  #reasons: readonly string[] = [];
  #shed = 0;
  /** Since when a lower level would do; null: it would not. */
  #calmSince: number | null = null;

  constructor(parts: OverloadParts) {
    this.#parts = parts;
  }

  /** To be called a few times a second. */
  look(): void {
    const gauges = this.#parts.gauges();
    this.#late.push(gauges.lateMs);
    if (this.#late.length > lateLooks) this.#late.shift();
    this.#gauges = { ...gauges, lateMs: this.#late.length < lateLooks ? 0 : Math.min(...this.#late) };
    const now = this.#parts.monotonic();
    const reached = this.#levelAt(1);
    if (reached.level >= this.#level) {
      this.#calmSince = null;
      this.#set(reached.level, reached.reasons);
      return;
    }
    const held = this.#levelAt(wellBelow);
    if (held.level >= this.#level) {
      this.#calmSince = null;
      return;
    }
    this.#calmSince ??= now;
    if (now - this.#calmSince < calmMs) return;
    this.#calmSince = null;
    this.#set(held.level, held.reasons);
  }

  /** Throws DOOR_OVERLOADED where new work is turned away now. */
  admit(): void {
    if (this.#level < 2 && this.#parts.inFlight() < this.#parts.mostInFlight()) return;
    this.#shed++;
    throw new GatewayError("DOOR_OVERLOADED", { retryAfterSeconds });
  }

  /** Answers end their connection. */
  get closesConnections(): boolean {
    return this.#level > 0;
  }

  /** Connections on which nothing goes on are better closed. */
  get shortOfDescriptors(): boolean {
    return (this.#gauges.descriptors ?? 0) >= limits.descriptors[1];
  }

  get state(): OverloadState {
    return { level: levels[this.#level]!, reasons: this.#reasons, shed: this.#shed };
  }

  #levelAt(factor: number): { readonly level: number; readonly reasons: string[] } {
    const { lateMs, memory, descriptors } = this.#gauges;
    const most = this.#parts.mostInFlight();
    const inFlight = this.#parts.inFlight();
    const percent = (share: number): string => `${Math.round(share * 100)} %`;
    const rows: readonly (readonly [keyof typeof limits, number | null, string])[] = [
      ["lateMs", lateMs, `the event loop is ${Math.round(lateMs)} ms late`],
      ["memory", memory, `memory is at ${percent(memory ?? 0)} of what it may have`],
      ["descriptors", descriptors, `file descriptors are at ${percent(descriptors ?? 0)} of the limit`],
      ["inFlight", inFlight / most, `${inFlight} of ${most} requests are in flight`],
    ];
    let level = 0;
    let reasons: string[] = [];
    for (const [name, value, text] of rows) {
      const [first, second] = limits[name];
      const own = value === null ? 0 : value >= second * factor ? 2 : value >= first * factor ? 1 : 0;
      if (own > level) [level, reasons] = [own, [text]];
      else if (own === level && own > 0) reasons.push(text);
    }
    return { level, reasons };
  }

  #set(level: number, reasons: readonly string[]): void {
    this.#reasons = reasons;
    if (level === this.#level) return;
    this.#level = level;
    const what = [
      "overload is over",
      "overload: answers close their connections",
      "overload: new requests are turned away with 503; running ones go on",
    ][level]!;
    this.#parts.report(reasons.length === 0 ? what : `${what} (${reasons.join("; ")})`);
  }
}
