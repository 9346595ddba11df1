// How much is measured. Both extents run the same scenarios; the short one is for a look while working.

export interface JsonLoad {
  /** Connections of the closed loop, and at most so many at once at the fixed rate. */
  readonly concurrency: number;
  /** Before anything counts: just-in-time compilers, pools, caches. Ends at whichever comes first. */
  readonly warmUp: { readonly requests: number; readonly maxMs: number };
  /** About how long the closed loop is measured. */
  readonly measureMs: number;
  /** Requests a second of the open loop. */
  readonly rate: number;
  readonly paceMs: number;
}

export interface Extent {
  readonly name: "full" | "quick";
  /** Each round starts every system afresh; figures are medians over rounds. */
  readonly rounds: number;
  readonly bodies: readonly { readonly name: "1 KB" | "200 KB" | "1 MB"; readonly bytes: number }[];
  readonly jsonLoads: Readonly<Record<"1 KB" | "200 KB" | "1 MB", JsonLoad>>;
  readonly streams: {
    readonly count: number;
    /** Starts are spread over this time, so that events are too. */
    readonly rampMs: number;
    readonly events: number;
    readonly intervalMs: number;
  };
  /** Whether the gateway's other routes are measured with large bodies and streams as well. */
  readonly allRoutesAtAllSizes: boolean;
}

const bodies = [
  { name: "1 KB", bytes: 1_000 },
  { name: "200 KB", bytes: 200_000 },
  { name: "1 MB", bytes: 1_000_000 },
] as const;

/** Six to eight minutes. */
export const full: Extent = {
  name: "full",
  rounds: 3,
  bodies,
  jsonLoads: {
    "1 KB": { concurrency: 64, warmUp: { requests: 8_000, maxMs: 4_000 }, measureMs: 2_000, rate: 500, paceMs: 2_000 },
    "200 KB": { concurrency: 16, warmUp: { requests: 300, maxMs: 1_000 }, measureMs: 1_000, rate: 50, paceMs: 2_000 },
    "1 MB": { concurrency: 4, warmUp: { requests: 60, maxMs: 1_000 }, measureMs: 1_000, rate: 10, paceMs: 2_000 },
  },
  streams: { count: 1_000, rampMs: 1_000, events: 30, intervalMs: 100 },
  allRoutesAtAllSizes: true,
};

/** About a minute. */
export const quick: Extent = {
  name: "quick",
  rounds: 1,
  bodies,
  jsonLoads: {
    "1 KB": { concurrency: 64, warmUp: { requests: 5_000, maxMs: 2_000 }, measureMs: 1_000, rate: 500, paceMs: 1_000 },
    "200 KB": { concurrency: 16, warmUp: { requests: 150, maxMs: 500 }, measureMs: 500, rate: 50, paceMs: 1_000 },
    "1 MB": { concurrency: 4, warmUp: { requests: 30, maxMs: 500 }, measureMs: 500, rate: 10, paceMs: 1_000 },
  },
  streams: { count: 1_000, rampMs: 1_000, events: 20, intervalMs: 100 },
  allRoutesAtAllSizes: false,
};
