// From single rounds to the figures of a report: medians over rounds, what a system adds to `direct`, and the aims.

import { loadNames, type LoadName } from "./extent.ts";
import type { Cell, Idle } from "./measure.ts";
import { medianOf } from "./percentiles.ts";
import type { Route, SystemName } from "./systems.ts";

export interface Row {
  readonly system: SystemName;
  readonly route: Route;
  readonly load: LoadName;
  readonly perSecond: number;
  /** NaN for `direct`. */
  readonly cpuMicroseconds: number;
  readonly p50Microseconds: number;
  readonly p99Microseconds: number;
  /** Beyond `direct` in the same round; NaN for `direct` itself. */
  readonly addedP50Microseconds: number;
  readonly addedP99Microseconds: number;
  /** The most of all rounds. */
  readonly peakMegabytes: number;
  readonly failed: number;
  readonly firstFailure: string | null;
}

export interface Summary {
  readonly rows: readonly Row[];
  /** Median over rounds. */
  readonly idleMegabytes: ReadonlyMap<SystemName, number>;
}

export function summarise(cells: readonly Cell[], idles: readonly Idle[]): Summary {
  const groups = Map.groupBy(cells, (cell) => `${cell.system} ${cell.route} ${cell.load}`);
  const rows = [...groups.values()].map((group) => rowOf(group, cells));
  const bySystem = Map.groupBy(idles, (idle) => idle.system);
  return {
    rows: rows.sort((a, b) => loadNames.indexOf(a.load) - loadNames.indexOf(b.load)),
    idleMegabytes: new Map(
      [...bySystem].map(([system, list]) => [system, medianOf(list.map((idle) => idle.idleMegabytes))]),
    ),
  };
}

function rowOf(group: readonly Cell[], all: readonly Cell[]): Row {
  const { system, route, load } = group[0]!;
  const median = (figure: (cell: Cell) => number): number => medianOf(group.map(figure));
  const added = (figure: (cell: Cell) => number): number =>
    system === "direct" ? NaN : median((cell) => figure(cell) - figureOfDirect(all, cell, figure));
  return {
    system,
    route,
    load,
    perSecond: median((cell) => cell.perSecond),
    cpuMicroseconds: median((cell) => cell.cpuMicroseconds),
    p50Microseconds: median((cell) => cell.p50Microseconds),
    p99Microseconds: median((cell) => cell.p99Microseconds),
    addedP50Microseconds: added((cell) => cell.p50Microseconds),
    addedP99Microseconds: added((cell) => cell.p99Microseconds),
    peakMegabytes: Math.max(...group.map((cell) => cell.peakMegabytes)),
    failed: group.reduce((sum, cell) => sum + cell.failed, 0),
    firstFailure: group.find((cell) => cell.firstFailure !== null)?.firstFailure ?? null,
  };
}

/** Without anything in between, the dialect makes no difference: `direct` is measured in one. */
function figureOfDirect(all: readonly Cell[], like: Cell, figure: (cell: Cell) => number): number {
  const same = all.find((cell) => cell.system === "direct" && cell.round === like.round && cell.load === like.load);
  return same === undefined ? NaN : figure(same);
}

export interface Aim {
  readonly aim: string;
  readonly measured: number;
  readonly limit: number;
  readonly unit: string;
  readonly verdict: "held" | "missed" | "not measured";
}

export function aimsOf({ rows, idleMegabytes }: Summary): Aim[] {
  const row = (system: SystemName, route: Route, load: LoadName): Row | undefined =>
    rows.find((each) => each.system === system && each.route === route && each.load === load);
  const cpu = (system: SystemName, route: Route): number => row(system, route, "1 KB")?.cpuMicroseconds ?? NaN;
  const bare = cpu("bare-bun", "chat");
  const portkey = cpu("portkey", "chat");
  const aims: Aim[] = [];
  const durable = row("sanctum", "chat", "1 KB");
  const inMemory = row("sanctum-memory", "chat", "1 KB");
  if (durable !== undefined && inMemory !== undefined) {
    const more = (durable.p99Microseconds - inMemory.p99Microseconds) / 1e3;
    const ratio = durable.cpuMicroseconds / inMemory.cpuMicroseconds;
    aims.push(aimOf("CPU per 1 KB request with durable holds, of an in-memory ledger's", ratio, 1.25, "×"));
    aims.push(aimOf("durable holds, 1 KB request, more at p99", more, 2, "ms"));
  }
  for (const route of ["chat", "messages", "translated"] as const) {
    aims.push(aimOf(`CPU per 1 KB request, ${route}, of bare Bun's`, cpu("sanctum", route) / bare, 2, "×"));
  }
  aims.push(aimOf("CPU per 1 KB request, chat, of Portkey's", cpu("sanctum", "chat") / portkey, 0.1, "×"));
  for (const load of ["1 KB", "200 events"] as const) {
    const of = (route: Route): number => row("sanctum", route, load)?.cpuMicroseconds ?? NaN;
    const what = load === "1 KB" ? "1 KB request" : "stream of 200 events";
    aims.push(aimOf(`CPU per ${what}, translated, of pass-through`, of("translated") / of("messages"), 2, "×"));
  }
  for (const system of ["sanctum", "sanctum-compiled"] as const) {
    aims.push(aimOf(`resident memory idle, ${system}`, idleMegabytes.get(system) ?? NaN, 45, "MB"));
    const streams = row(system, "chat", "streams")?.peakMegabytes ?? NaN;
    aims.push(aimOf(`resident memory with 1,000 streams, ${system}`, streams, 120, "MB"));
  }
  for (const { route, addedP50Microseconds } of rows.filter((r) => r.system === "sanctum" && r.load === "200 KB")) {
    aims.push(aimOf(`200 KB prompt, ${route}, added at p50`, addedP50Microseconds / 1e3, 2, "ms"));
  }
  return aims;
}

function aimOf(aim: string, measured: number, limit: number, unit: string): Aim {
  const verdict = Number.isNaN(measured) ? "not measured" : measured <= limit ? "held" : "missed";
  return { aim, measured, limit, unit, verdict };
}
