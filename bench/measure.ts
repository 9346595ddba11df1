// One system through all its scenarios, once. Everything else of the run is idle meanwhile.

import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { requestBody } from "./bodies.ts";
import type { Helper } from "./helper.ts";
import type { LoadJob, LoadReply, LoadResult, Target, UpstreamMode, UpstreamOrder, UpstreamReply } from "./jobs.ts";
import { MemoryWatch, cpuMicrosecondsOf, residentMegabytesOf, treeOf } from "./process-usage.ts";
import { bodyBytes, burstEvents, type BodyName, type Extent, type LoadName } from "./extent.ts";
import type { Route, Started, System, SystemName } from "./systems.ts";

/** What one scenario of one system gave in one round. */
export interface Cell {
  readonly system: SystemName;
  readonly round: number;
  readonly route: Route;
  readonly load: LoadName;
  /** Requests a second at fixed concurrency; for streams the stamped events a second that went through. */
  readonly perSecond: number;
  /** CPU time of the system under test, a request; for streams an event. NaN for `direct`. */
  readonly cpuMicroseconds: number;
  /** At the fixed rate, from sending to the end of the answer; for streams from the upstream's stamp to the client. */
  readonly p50Microseconds: number;
  readonly p99Microseconds: number;
  /** NaN for `direct`. */
  readonly peakMegabytes: number;
  readonly failed: number;
  readonly firstFailure: string | null;
}

export interface Idle {
  readonly system: SystemName;
  readonly round: number;
  readonly idleMegabytes: number;
}

export interface Parts {
  readonly upstream: Helper<UpstreamOrder, UpstreamReply>;
  readonly upstreamPort: number;
  readonly load: Helper<LoadJob, LoadReply>;
  readonly extent: Extent;
  /** Of this run: homes, ledgers and logs of the systems go into it, and go when they stop. */
  readonly folder: string;
  readonly progress: (text: string) => void;
}

/** After a job: what the system still does for its requests (writes, garbage) is on their account. */
const settleMs = 150;
const idleAfterMs = 3_000;

interface Bench {
  readonly parts: Parts;
  readonly system: System;
  readonly round: number;
  readonly started: Started;
}

/** Measures a system that can be run. Throws where it does not start. */
export async function measure(
  parts: Parts,
  system: System,
  round: number,
): Promise<{ readonly cells: readonly Cell[]; readonly idle: Idle | null }> {
  const cells: Cell[] = [];
  let idle: Idle | null = null;
  const routesWith = (load: LoadName): readonly Route[] => {
    if (!system.loads.includes(load)) return [];
    return parts.extent.allRoutesWith.includes(load) ? system.routes : system.routes.slice(0, 1);
  };
  await withStarted(parts, system, round, async (bench) => {
    // Once is enough: it is the same at every start.
    if (round === 0) idle = await measureIdle(bench);
    for (const load of ["1 KB", "200 events", "200 KB", "1 MB"] as const) {
      for (const route of routesWith(load)) cells.push(await measureBody(bench, route, load));
    }
  });
  for (const route of routesWith("streams")) {
    // A process of its own, so that the memory is that of the streams.
    await withStarted(parts, system, round, async (bench) => {
      cells.push(await measureStreams(bench, route));
    });
  }
  return { cells, idle };
}

async function measureIdle({ system, round, started }: Bench): Promise<Idle | null> {
  if (started.child === null) return null;
  await Bun.sleep(idleAfterMs);
  return { system: system.name, round, idleMegabytes: residentMegabytesOf(treeOf(started.child.pid)) };
}

async function withStarted(
  parts: Parts,
  system: System,
  round: number,
  run: (bench: Bench) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(parts.folder, "home-"));
  try {
    const started = await system.start(parts.upstreamPort, folder);
    try {
      await run({ parts, system, round, started });
    } finally {
      await started.child?.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function targetOf({ started }: Bench, route: Route, bytes: number, stream: boolean): Target {
  const spoken = route === "chat" ? "chat" : "messages";
  const { port, model, headers } = started.entrance(route);
  const path = spoken === "chat" ? "/v1/chat/completions" : "/v1/messages";
  const version: Record<string, string> = spoken === "messages" ? { "anthropic-version": "2023-06-01" } : {};
  return { port, path, headers: { ...headers, ...version }, body: requestBody(spoken, { model, bytes, stream }) };
}

async function measureBody(bench: Bench, route: Route, load: BodyName): Promise<Cell> {
  const { parts } = bench;
  const { concurrency, warmUp, measureMs, rate, paceMs } = parts.extent.jsonLoads[load];
  parts.progress(`${bench.system.name}: ${route}, ${load}`);
  const events = burstEvents[load];
  const target = targetOf(bench, route, bodyBytes[load], events !== undefined);
  await setMode(parts, events === undefined ? { kind: "json" } : { kind: "stream", events, intervalMs: 0 });
  const saturate = { kind: "saturate", target, concurrency } as const;
  const warm = await ask(parts, { ...saturate, requests: warmUp.requests, maxMs: warmUp.maxMs });
  const perMs = warm.completed / Math.max(1, warm.elapsedMs);
  const requests = Math.max(concurrency, Math.round(perMs * measureMs));
  const closed = await watched(bench, { ...saturate, requests, maxMs: 4 * measureMs });
  const open = await watched(bench, {
    kind: "pace",
    target,
    perSecond: rate,
    requests: Math.max(1, Math.round((rate * paceMs) / 1e3)),
    maxOutstanding: concurrency,
  });
  const arrived = await tell(parts, { order: "count" });
  const completed = warm.completed + closed.result.completed + open.result.completed;
  // A gateway that answers by itself (from a cache, say) is not measured as one that forwards.
  const unseen = Math.max(0, completed - arrived);
  const results = [warm, closed.result, open.result];
  return {
    ...cellOf(bench, route, load),
    perSecond: (closed.result.completed / closed.result.elapsedMs) * 1e3,
    cpuMicroseconds: closed.cpuMicroseconds / closed.result.completed,
    p50Microseconds: open.result.latency.p50,
    p99Microseconds: open.result.latency.p99,
    peakMegabytes: Math.max(closed.peakMegabytes, open.peakMegabytes),
    ...failuresOf(results, unseen),
  };
}

async function measureStreams(bench: Bench, route: Route): Promise<Cell> {
  const { parts } = bench;
  const { count, rampMs, events, intervalMs } = parts.extent.streams;
  parts.progress(`${bench.system.name}: ${route}, ${count} streams`);
  const target = targetOf(bench, route, bodyBytes["1 KB"], true);
  const run = { kind: "streams", target, maxMs: 3 * (rampMs + events * intervalMs) } as const;
  // As many events a second as later, on a tenth of the streams.
  await setMode(parts, { kind: "stream", events: 100, intervalMs: intervalMs / 10 });
  const warm = await ask(parts, { ...run, count: count / 10, rampMs: rampMs / 10, expectedEvents: 100 });
  await setMode(parts, { kind: "stream", events, intervalMs });
  const { result, cpuMicroseconds, peakMegabytes } = await watched(bench, {
    ...run,
    count,
    rampMs,
    expectedEvents: events,
  });
  return {
    ...cellOf(bench, route, "streams"),
    perSecond: (result.events / result.elapsedMs) * 1e3,
    cpuMicroseconds: cpuMicroseconds / result.events,
    p50Microseconds: result.latency.p50,
    p99Microseconds: result.latency.p99,
    peakMegabytes,
    ...failuresOf([warm, result], 0),
  };
}

function cellOf(
  { system, round }: Bench,
  route: Route,
  load: LoadName,
): Pick<Cell, "system" | "round" | "route" | "load"> {
  return { system: system.name, round, route, load };
}

function failuresOf(results: readonly LoadResult[], unseen: number): Pick<Cell, "failed" | "firstFailure"> {
  const first = results.find((result) => result.firstFailure !== null)?.firstFailure ?? null;
  return {
    failed: results.reduce((sum, result) => sum + result.failed, unseen),
    firstFailure: first ?? (unseen > 0 ? `${unseen} answers were not the upstream's` : null),
  };
}

interface Watched {
  readonly result: LoadResult;
  readonly cpuMicroseconds: number;
  readonly peakMegabytes: number;
}

/** A job, and what it cost the system under test. Nothing is in flight before and after it. */
async function watched({ parts, started }: Bench, job: LoadJob): Promise<Watched> {
  if (started.child === null) return { result: await ask(parts, job), cpuMicroseconds: NaN, peakMegabytes: NaN };
  const tree = treeOf(started.child.pid);
  const memory = new MemoryWatch(tree);
  const before = cpuMicrosecondsOf(tree);
  const result = await ask(parts, job);
  await Bun.sleep(settleMs);
  return { result, cpuMicroseconds: cpuMicrosecondsOf(tree) - before, peakMegabytes: memory.stop() };
}

async function ask({ load }: Parts, job: LoadJob): Promise<LoadResult> {
  const reply = await load.ask(job);
  if (reply.reply !== "result") throw new Error("the load generator answered out of turn");
  return reply;
}

async function tell({ upstream }: Parts, order: UpstreamOrder): Promise<number> {
  const reply = await upstream.ask(order);
  if (reply.reply !== "done") throw new Error("the upstream answered out of turn");
  return reply.requests;
}

async function setMode(parts: Parts, mode: UpstreamMode): Promise<void> {
  await tell(parts, { order: "mode", mode });
}
