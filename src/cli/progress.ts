// How far a long reading is, on the terminal's own line and nowhere else.

import { statSync } from "node:fs";
import type { Clock } from "../clock.ts";
import type { Io } from "./io.ts";

const SHOW_EVERY_MS = 100;

export class Progress {
  readonly #io: Io;
  readonly #clock: Clock;
  readonly #shown: boolean;
  readonly #total: number;
  #at = Number.NEGATIVE_INFINITY;
  #wide = 0;

  /** `files`: what is read, for the share; `quiet`: show nothing, as for `--json`. */
  constructor(io: Io, clock: Clock, files: readonly string[], quiet: boolean) {
    this.#io = io;
    this.#clock = clock;
    this.#shown = io.isTty && !quiet;
    this.#total = this.#shown ? files.reduce((sum, file) => sum + sizeOf(file), 0) : 0;
  }

  readonly show = (lines: number, bytes: number): void => {
    const now = this.#clock.monotonic();
    if (!this.#shown || now - this.#at < SHOW_EVERY_MS) return;
    this.#at = now;
    const share = this.#total === 0 ? 100 : Math.min(100, Math.floor((bytes / this.#total) * 100));
    const text = `${lines.toLocaleString("en-US")} lines, ${share} %`;
    this.#io.err(`\r${text.padEnd(this.#wide)}`);
    this.#wide = text.length;
  };

  /** Takes the line away. */
  end(): void {
    if (this.#wide > 0) this.#io.err("\r\u001b[K");
    this.#wide = 0;
  }
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
