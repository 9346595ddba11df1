// Tells when the configuration has changed, whatever way it was saved. Directory events make it quick; a slow poll makes it
// sure, since a watch on a file goes deaf after the first save by rename, and watches fail on network mounts, on swapped
// links, and where the system's supply of them is used up.

import { createHash } from "node:crypto";
import { realpathSync, statSync, watch } from "node:fs";
import type { FSWatcher } from "node:fs";
import { dirname } from "node:path";

import type { Clock } from "../clock.ts";
import { readConfigText } from "./read-file.ts";
import type { ConfigText } from "./read-file.ts";

export interface WatchOptions {
  readonly clock: Clock;
  /** Milliseconds between looks at the file's status. */
  readonly pollMs?: number;
  /** Milliseconds from the first event to the first reading: a save is several events. */
  readonly debounceMs?: number;
  /** Milliseconds between two readings that must be equal. */
  readonly settleMs?: number;
  /** Milliseconds that a file which had content may be empty or away before that is believed. */
  readonly emptyGraceMs?: number;
  /** False where only the poll shall see changes. */
  readonly events?: boolean;
  /** What was loaded last, so that a save between that and this call is not lost; by default the file as it is now. */
  readonly loaded?: ConfigText;
}

/**
 * Calls `onChange` after each change of the file's content or permissions, one call at a time, and many saves in a row as
 * one; within a second of the save. The argument is the text that was found stable: to be given to `loadConfig`, because
 * the file may be in the middle of the next save. `onChange` must not throw or reject.
 */
export function watchConfig(
  file: string,
  onChange: (source: ConfigText) => void | Promise<void>,
  options: WatchOptions,
): AsyncDisposable {
  return new ConfigWatcher(file, onChange, options);
}

class ConfigWatcher implements AsyncDisposable {
  readonly #file: string;
  readonly #onChange: (source: ConfigText) => void | Promise<void>;
  readonly #options: Required<Omit<WatchOptions, "loaded">>;
  readonly #watchers = new Map<string, FSWatcher>();
  #known: string;
  #hadContent: boolean;
  #status: string;
  #poll: ReturnType<typeof setTimeout> | undefined;
  #soon: ReturnType<typeof setTimeout> | undefined;
  /** A reading is under way; what happens meanwhile is read after it. */
  #reading: Promise<void> | null = null;
  #missed = false;
  /** The next poll reads whatever the status says. */
  #verify = false;
  #closed = false;
  #wake: (() => void) | null = null;

  constructor(file: string, onChange: (source: ConfigText) => void | Promise<void>, options: WatchOptions) {
    this.#file = file;
    this.#onChange = onChange;
    this.#options = { pollMs: 400, debounceMs: 50, settleMs: 80, emptyGraceMs: 300, events: true, ...options };
    this.#status = statusOf(file);
    const source = options.loaded ?? readConfigText(file);
    this.#verify = options.loaded !== undefined;
    this.#known = fingerprint(source);
    this.#hadContent = hasContent(source);
    this.#watchDirectories();
    this.#schedulePoll();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#poll);
    clearTimeout(this.#soon);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
    this.#wake?.();
    await this.#reading;
  }

  #schedulePoll(): void {
    this.#poll = setTimeout(() => {
      const status = statusOf(this.#file);
      if (status !== this.#status) {
        this.#status = status;
        // A second save within the same tick of the file system's clock looks the same from outside: it is seen by the
        // reading after the next poll.
        this.#verify = true;
        this.#readSoon();
      } else if (this.#verify) {
        this.#verify = false;
        this.#readSoon();
      }
      this.#watchDirectories();
      this.#schedulePoll();
    }, this.#options.pollMs);
    this.#poll.unref();
  }

  /** The folder of the path, and the folder of what a link there leads to. They come and go: called at every poll. */
  #watchDirectories(): void {
    if (!this.#options.events) return;
    const wanted = new Set([dirname(this.#file), dirname(targetOf(this.#file))]);
    for (const [folder, watcher] of this.#watchers) {
      if (wanted.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of wanted) {
      if (this.#watchers.has(folder)) continue;
      const watcher = watchFolder(folder, () => this.#readSoon());
      if (watcher === null) continue;
      watcher.on("error", () => this.#drop(folder, watcher));
      this.#watchers.set(folder, watcher);
    }
  }

  #drop(folder: string, watcher: FSWatcher): void {
    watcher.close();
    if (this.#watchers.get(folder) === watcher) this.#watchers.delete(folder);
  }

  /** The delay runs from the first event and is not prolonged by more, so that a storm can't put the reading off. */
  #readSoon(): void {
    if (this.#closed || this.#soon !== undefined) return;
    if (this.#reading !== null) {
      this.#missed = true;
      return;
    }
    this.#soon = setTimeout(() => {
      this.#soon = undefined;
      this.#reading = this.#read().finally(() => {
        this.#reading = null;
        if (this.#missed) this.#readSoon();
        this.#missed = false;
      });
    }, this.#options.debounceMs);
    this.#soon.unref();
  }

  async #read(): Promise<void> {
    const source = await this.#readStable();
    if (source === null || this.#closed) return;
    const found = fingerprint(source);
    if (found === this.#known) return;
    this.#known = found;
    this.#hadContent = hasContent(source);
    await this.#onChange(source);
  }

  /** Null where the file is as it was, or never holds still: then the poll comes back to it. */
  async #readStable(): Promise<ConfigText | null> {
    const { clock, settleMs, emptyGraceMs, pollMs } = this.#options;
    const begin = clock.monotonic();
    let before = fingerprint(readConfigText(this.#file));
    if (before === this.#known) return null;
    while (!this.#closed) {
      await this.#pause(settleMs);
      const source = readConfigText(this.#file);
      const now = fingerprint(source);
      const waited = clock.monotonic() - begin;
      const doubtful = this.#hadContent && !hasContent(source) && source.faults.length === 0;
      if (now === before && (!doubtful || waited >= emptyGraceMs)) return source;
      if (waited > 4 * pollMs) {
        this.#verify = true;
        return null;
      }
      before = now;
    }
    return null;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function watchFolder(folder: string, onEvent: () => void): FSWatcher | null {
  try {
    return watch(folder, { persistent: false }, onEvent);
  } catch {
    // No such folder yet, or no more watches to be had: the poll sees the change.
    return null;
  }
}

function targetOf(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    // Away, or a link to nothing: its own folder is where it will come back.
    return file;
  }
}

/** Changes with every kind of save, through links too, and costs one system call. */
function statusOf(file: string): string {
  try {
    const stat = statSync(file, { bigint: true });
    return `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
  } catch {
    // Away, or not to be reached: the reading finds out which.
    return "none";
  }
}

function hasContent(source: ConfigText): boolean {
  return source.text.trim() !== "";
}

function fingerprint(source: ConfigText): string {
  const faults = source.faults.map((fault) => fault.problem).join("\n");
  return `${createHash("sha256").update(source.text).digest("base64")} ${source.exists} ${faults}`;
}
