// What the process uses of what it may use: memory, descriptors, and how late its event loop is.

import { readFileSync, readdirSync } from "node:fs";
import { totalmem } from "node:os";
import { dirname, join } from "node:path";
import type { Gauges } from "./overload.ts";

/** The loop is asked so often; a look at the rest costs more. */
const tickMs = 100;
const lookEveryTicks = 5;

export interface ResourcesParts {
  readonly monotonic: () => number;
  /** For tests; the root of /proc and /sys. */
  readonly root?: string;
}

export class Resources implements Disposable {
  readonly #monotonic: () => number;
  readonly #root: string;
  readonly #memoryBytes: number;
  readonly #mostDescriptors: number | null;
  readonly #timer: ReturnType<typeof setInterval>;
  #ticked: number;
  #ticks = 0;
  #lateMs = 0;
  #memory: number | null = null;
  #descriptors: number | null = null;

  constructor({ monotonic, root = "/" }: ResourcesParts) {
    this.#monotonic = monotonic;
    this.#root = root;
    this.#memoryBytes = memoryLimit(root);
    this.#mostDescriptors = descriptorLimit(root);
    this.#ticked = monotonic();
    this.#timer = setInterval(() => this.tick(), tickMs);
    this.#timer.unref();
    this.#measure();
  }

  /** Called by the timer; how late it comes is what is measured. */
  tick(): void {
    const now = this.#monotonic();
    this.#lateMs = Math.max(this.#lateMs, now - this.#ticked - tickMs);
    this.#ticked = now;
    if (++this.#ticks % lookEveryTicks === 0) this.#measure();
  }

  /** The lateness begins anew. */
  read(): Gauges {
    // A loop that stands still ticks no more: what is late now counts too.
    const lateMs = Math.max(this.#lateMs, this.#monotonic() - this.#ticked - tickMs);
    this.#lateMs = 0;
    return { lateMs, memory: this.#memory, descriptors: this.#descriptors };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #measure(): void {
    this.#memory = process.memoryUsage.rss() / this.#memoryBytes;
    if (this.#mostDescriptors !== null) this.#descriptors = openDescriptors(this.#root) / this.#mostDescriptors;
  }
}

/** The smallest limit of the process's cgroup and those above it (cgroups(7)), else the machine's memory. */
export function memoryLimit(root: string): number {
  let least = totalmem();
  const groups = textOf(join(root, "proc/self/cgroup")) ?? "";
  for (const line of groups.split("\n")) {
    const [, controllers, path] = line.split(":", 3);
    if (path === undefined) continue;
    if (controllers !== "" && controllers?.split(",").includes("memory") !== true) continue;
    const top = join(root, controllers === "" ? "sys/fs/cgroup" : "sys/fs/cgroup/memory");
    const name = controllers === "" ? "memory.max" : "memory.limit_in_bytes";
    // Inside a container the group's own path may not be there: its limit is at the top.
    for (let folder = join(top, path); folder.startsWith(top); folder = dirname(folder)) {
      const limit = Number(textOf(join(folder, name)));
      if (limit > 0 && limit < least) least = limit;
    }
  }
  return least;
}

/** proc_pid_limits(5); null: not known. */
export function descriptorLimit(root: string): number | null {
  const limit = /^Max open files\s+(\d+)/m.exec(textOf(join(root, "proc/self/limits")) ?? "")?.[1];
  return limit === undefined ? null : Number(limit);
}

function openDescriptors(root: string): number {
  try {
    // Reading the folder takes a descriptor of its own.
    return readdirSync(join(root, "proc/self/fd")).length - 1;
  } catch (error) {
    // There is none left to look with.
    if (error instanceof Error && "code" in error && error.code === "EMFILE") return Number.MAX_SAFE_INTEGER;
    return 0;
  }
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}
