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

/** What each descriptor stands for: a path, or `socket`, `pipe`, `anon_inode:…` without its number. */
export function descriptorsOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((name) => {
    try {
      return [readlinkSync(`${folder}/${name}`).replace(/:\[\d+\]$/, "")];
    } catch {
      return []; // Closed meanwhile.
    }
  });
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
