// How much is measured. Both extents run the same scenarios; the short one is for a look while working.

export const loadNames = ["1 KB", "200 events", "200 KB", "1 MB", "streams"] as const;
export type LoadName = (typeof loadNames)[number];
export type BodyName = Exclude<LoadName, "streams">;

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
  readonly name: "full" | "quick" | "ledger";
  /** Each round starts every system afresh; figures are medians over rounds. */
  readonly rounds: number;
  readonly jsonLoads: Readonly<Record<BodyName, JsonLoad>>;
  readonly streams: {
    readonly count: number;
    /** Starts are spread over this time, so that events are too. */
    readonly rampMs: number;
    readonly events: number;
    readonly intervalMs: number;
  };
  /** Where the gateway's other routes are measured too; elsewhere `chat` alone, which all systems speak. */
  readonly allRoutesWith: readonly LoadName[];
}

export const bodyBytes: Readonly<Record<BodyName, number>> = {
  "1 KB": 1_000,
  "200 events": 1_000,
  "200 KB": 200_000,
  "1 MB": 1_000_000,
};

/** Answered by a stream of so many events, sent as fast as it is read; the other bodies are answered by one JSON text. */
export const burstEvents: Readonly<Partial<Record<BodyName, number>>> = { "200 events": 200 };

/** About nine minutes. */
export const full: Extent = {
  name: "full",
  rounds: 3,
  jsonLoads: {
    "1 KB": { concurrency: 64, warmUp: { requests: 20_000, maxMs: 5_000 }, measureMs: 2_000, rate: 500, paceMs: 2_000 },
    "200 events": {
      concurrency: 16,
      warmUp: { requests: 2_000, maxMs: 4_000 },
      measureMs: 2_000,
      rate: 100,
      paceMs: 1_000,
    },
    "200 KB": { concurrency: 16, warmUp: { requests: 300, maxMs: 1_000 }, measureMs: 1_000, rate: 50, paceMs: 2_000 },
    "1 MB": { concurrency: 4, warmUp: { requests: 60, maxMs: 1_000 }, measureMs: 1_000, rate: 10, paceMs: 2_000 },
  },
  streams: { count: 1_000, rampMs: 1_000, events: 30, intervalMs: 100 },
  allRoutesWith: ["1 KB", "200 events", "200 KB", "streams"],
};

/** About three minutes: the gateway with its ledger on the disk and in memory, in turns. */
export const ledger: Extent = { ...full, name: "ledger", rounds: 7, allRoutesWith: [] };

/** About a minute and a half. */
export const quick: Extent = {
  name: "quick",
  rounds: 1,
  jsonLoads: {
    "1 KB": { concurrency: 64, warmUp: { requests: 10_000, maxMs: 2_500 }, measureMs: 800, rate: 500, paceMs: 800 },
    "200 events": {
      concurrency: 16,
      warmUp: { requests: 1_000, maxMs: 2_000 },
      measureMs: 800,
      rate: 100,
      paceMs: 400,
    },
    "200 KB": { concurrency: 16, warmUp: { requests: 150, maxMs: 400 }, measureMs: 400, rate: 50, paceMs: 800 },
    "1 MB": { concurrency: 4, warmUp: { requests: 30, maxMs: 400 }, measureMs: 400, rate: 10, paceMs: 800 },
  },
  streams: { count: 1_000, rampMs: 700, events: 15, intervalMs: 100 },
  allRoutesWith: ["1 KB", "200 events"],
};
