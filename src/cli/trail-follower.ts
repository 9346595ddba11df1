// Reads what is appended to a trail, across rotation by us or by another program.

import { closeSync, openSync, readSync, statSync, watch } from "node:fs";
import { dirname } from "node:path";
import { auditFiles } from "../layers/audit/index.ts";

/** Reads what is appended to a file from its present end on, across rotation. */
export class TrailFollower {
  readonly #file: string;
  #inode = 0;
  #offset = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(file: string) {
    this.#file = file;
    const seen = statSync(file, { throwIfNoEntry: false });
    if (seen === undefined) return;
    this.#inode = seen.ino;
    this.#offset = seen.size;
  }

  /** Until `signal` aborts; without one, for ever. A folder that tells no changes is looked at twice a second anyway. */
  async run(show: (line: string) => void, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => this.#read(show);
    const timer = setInterval(look, 500);
    const watcher = watch(dirname(this.#file), look);
    // A folder that is taken away: the timer goes on looking.
    watcher.on("error", () => watcher.close());
    if (signal?.aborted === true) resolve();
    signal?.addEventListener("abort", () => resolve(), { once: true });
    await promise;
    clearInterval(timer);
    watcher.close();
    look();
  }

  #read(show: (line: string) => void): void {
    const seen = statSync(this.#file, { throwIfNoEntry: false });
    if (seen === undefined) return;
    if (seen.ino !== this.#inode || seen.size < this.#offset) {
      this.#finishRotated(show);
      this.#inode = seen.ino;
      this.#offset = 0;
      this.#rest = Buffer.alloc(0);
    }
    this.#readFrom(this.#file, seen.size, show);
  }

  /** The file was moved aside: what came before the move is still in it. */
  #finishRotated(show: (line: string) => void): void {
    for (const path of auditFiles(this.#file)) {
      const seen = statSync(path, { throwIfNoEntry: false });
      if (path !== this.#file && seen?.ino === this.#inode) this.#readFrom(path, seen.size, show);
    }
  }

  #readFrom(path: string, size: number, show: (line: string) => void): void {
    const fd = openSync(path, "r");
    try {
      const chunk = Buffer.alloc(65_536);
      while (this.#offset < size) {
        const read = readSync(fd, chunk, 0, chunk.length, this.#offset);
        if (read === 0) break;
        this.#offset += read;
        this.#take(chunk.subarray(0, read), show);
      }
    } finally {
      closeSync(fd);
    }
  }

  #take(bytes: Buffer, show: (line: string) => void): void {
    const lines = Buffer.concat([this.#rest, bytes]);
    let start = 0;
    for (let end = lines.indexOf(10); end >= 0; end = lines.indexOf(10, start)) {
      show(lines.toString("utf8", start, end));
      start = end + 1;
    }
    this.#rest = Buffer.from(lines.subarray(start));
  }
}
