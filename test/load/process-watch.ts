// A process from outside: its resident memory and its open files over time. Linux: /proc.

import { readFileSync, readdirSync, readlinkSync } from "node:fs";

export interface Sample {
  /** Seconds since the watch began. */
  readonly at: number;
  readonly megabytes: number;
  readonly descriptors: number;
  readonly cpuSeconds: number;
  /** Requests that have begun and not ended. */
  readonly open: number;
}

export class ProcessWatch {
  readonly samples: Sample[] = [];
  readonly #pid: number;
  readonly #startedAt = performance.now();
  readonly #timer: ReturnType<typeof setInterval>;

  readonly #open: () => number;

  constructor(pid: number, everyMs: number, open: () => number, onSample: (sample: Sample) => void = () => undefined) {
    this.#pid = pid;
    this.#open = open;
    this.#timer = setInterval(() => onSample(this.look()), everyMs);
    this.look();
  }

  look(): Sample {
    const sample = {
      at: (performance.now() - this.#startedAt) / 1_000,
      megabytes: residentMegabytes(this.#pid),
      descriptors: descriptorsOf(this.#pid).length,
      cpuSeconds: cpuSeconds(this.#pid),
      open: this.#open(),
    };
    this.samples.push(sample);
    return sample;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

function residentMegabytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return (Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1_024) / 1e6;
}

/** Own time, in steps of 10 ms. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/**
 * What each descriptor stands for: a path, `pipe`, `anon_inode:…` without its number, and of sockets their kind: `tcp` with
 * state and, where it is connected, the port of the other side; `unix` else.
 */
export function descriptorsOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  const sockets = tcpSockets(pid);
  return readdirSync(folder).flatMap((name) => {
    try {
      const target = readlinkSync(`${folder}/${name}`);
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      return [inode === undefined ? target.replace(/:\[\d+\]$/, "") : (sockets.get(inode) ?? "unix")];
    } catch {
      return []; // Closed meanwhile.
    }
  });
}

/** By inode. States as in the kernel's tcp_states.h. */
function tcpSockets(pid: number): ReadonlyMap<string, string> {
  const states: Readonly<Record<string, string>> = { "01": "connected", "08": "half closed", "0A": "listening" };
  const found = new Map<string, string>();
  for (const table of ["tcp", "tcp6"]) {
    for (const line of readFileSync(`/proc/${pid}/net/${table}`, "latin1").split("\n").slice(1)) {
      const [, , remote = "", state = "", , , , , , inode = ""] = line.trim().split(/\s+/);
      const port = parseInt(remote.split(":")[1] ?? "0", 16);
      found.set(inode, `tcp ${states[state] ?? `state ${state}`}${port === 0 ? "" : ` to ${port}`}`);
    }
  }
  return found;
}

/** Sockets of any kind among descriptors. */
export function socketsAmong(descriptors: readonly string[]): number {
  return descriptors.filter((name) => /^(tcp|unix)\b/.test(name)).length;
}

export interface Slope {
  /** Of the least-squares line. */
  readonly megabytesPerHour: number;
  /** How far chance alone may put it off, one standard deviation. */
  readonly standardError: number;
}

export function slopeOf(samples: readonly { readonly at: number; readonly megabytes: number }[]): Slope {
  const n = samples.length;
  if (n < 3) return { megabytesPerHour: 0, standardError: Infinity };
  const meanAt = samples.reduce((sum, { at }) => sum + at, 0) / n;
  const mean = samples.reduce((sum, { megabytes }) => sum + megabytes, 0) / n;
  let across = 0;
  let along = 0;
  for (const { at, megabytes } of samples) {
    across += (at - meanAt) * (megabytes - mean);
    along += (at - meanAt) ** 2;
  }
  const slope = across / along;
  const residual = samples.reduce((sum, { at, megabytes }) => sum + (megabytes - mean - slope * (at - meanAt)) ** 2, 0);
  return { megabytesPerHour: slope * 3_600, standardError: Math.sqrt(residual / (n - 2) / along) * 3_600 };
}
