// What the operating system has charged to a process and all that descend from it. Linux: /proc.

import { readFileSync, readdirSync } from "node:fs";

/** USER_HZ, in which /proc counts CPU time; 100 on every Linux that Bun runs on. */
const microsecondsPerTick = 10_000;

interface Stat {
  readonly parent: number;
  /** Own time and that of children which have ended, in ticks. */
  readonly ticks: number;
}

/** null where the process has ended meanwhile. */
function statOf(pid: number): Stat | null {
  const text = readOrNull(`/proc/${pid}/stat`);
  if (text === null) return null;
  // The name, in parentheses, may hold blanks: what follows it is counted from the last one.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const number = (at: number): number => Number(fields[at]);
  return { parent: number(1), ticks: number(11) + number(12) + number(13) + number(14) };
}

function readOrNull(file: string): string | null {
  try {
    return readFileSync(file, "latin1");
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH")) return null;
    throw error;
  }
}

/** The process and its descendants. */
export function treeOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    const each = Number(name);
    const stat = Number.isInteger(each) ? statOf(each) : null;
    if (stat !== null) children.set(stat.parent, [...(children.get(stat.parent) ?? []), each]);
  }
  const tree = [pid];
  for (const each of tree) tree.push(...(children.get(each) ?? []));
  return tree;
}

/** CPU time of all threads, in microseconds; the system counts it in steps of 10 ms. */
export function cpuMicrosecondsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (statOf(pid)?.ticks ?? 0), 0) * microsecondsPerTick;
}

/** Resident memory in megabytes (10^6 bytes); pages that several processes share count once for each. */
export function residentMegabytesOf(pids: readonly number[]): number {
  let kibibytes = 0;
  for (const pid of pids) {
    const status = readOrNull(`/proc/${pid}/status`) ?? "";
    kibibytes += Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  }
  return (kibibytes * 1_024) / 1e6;
}

/** CPU time that the whole machine spent working, in microseconds, and that the host took from it. */
export function machineMicroseconds(): { readonly busy: number; readonly stolen: number } {
  const line = readFileSync("/proc/stat", "latin1").split("\n", 1)[0]!;
  const [user, nice, system, , , irq, softirq, steal] = line.trim().split(/\s+/).slice(1).map(Number);
  return {
    busy: (user! + nice! + system! + irq! + softirq!) * microsecondsPerTick,
    stolen: (steal ?? 0) * microsecondsPerTick,
  };
}

/** Samples resident memory until it is stopped. */
export class MemoryWatch {
  readonly #pids: readonly number[];
  readonly #timer: ReturnType<typeof setInterval>;
  #peak = 0;

  constructor(pids: readonly number[], everyMs = 50) {
    this.#pids = pids;
    this.#timer = setInterval(() => this.#look(), everyMs);
    this.#look();
  }

  /** Ends it; the most that was seen. */
  stop(): number {
    this.#look();
    clearInterval(this.#timer);
    return this.#peak;
  }

  #look(): void {
    this.#peak = Math.max(this.#peak, residentMegabytesOf(this.#pids));
  }
}
