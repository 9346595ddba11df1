import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { requestBody } from "./bodies.ts";
import { Helper } from "./helper.ts";
import type { LoadJob, LoadReply, LoadResult, Target, UpstreamMode, UpstreamOrder, UpstreamReply } from "./jobs.ts";

let upstream: Helper<UpstreamOrder, UpstreamReply>;
let load: Helper<LoadJob, LoadReply>;
let port = 0;

beforeAll(async () => {
  const started = await Helper.start<UpstreamOrder, UpstreamReply>(join(import.meta.dir, "upstream.ts"));
  upstream = started.helper;
  if (started.first.reply === "ready") ({ port } = started.first);
  load = (await Helper.start<LoadJob, LoadReply>(join(import.meta.dir, "load.ts"))).helper;
});

afterAll(async () => {
  await Promise.all([upstream.stop(), load.stop()]);
});

function target(bytes: number, stream: boolean): Target {
  const body = requestBody("chat", { model: "bench-model", bytes, stream });
  return { port, path: "/v1/chat/completions", headers: {}, body };
}

async function run(mode: UpstreamMode, job: LoadJob): Promise<{ result: LoadResult; seen: number }> {
  await upstream.ask({ order: "mode", mode });
  const result = await load.ask(job);
  const count = await upstream.ask({ order: "count" });
  if (result.reply !== "result" || count.reply !== "done") throw new Error("an answer out of turn");
  return { result, seen: count.requests };
}

test("a closed loop sends exactly the requests it was told to, and each reaches the upstream", async () => {
  for (const bytes of [1_000, 1_000_000]) {
    const job = {
      kind: "saturate",
      target: target(bytes, false),
      concurrency: 4,
      requests: 50,
      maxMs: 10_000,
    } as const;
    const { result, seen } = await run({ kind: "json" }, job);
    expect(result).toMatchObject({ completed: 50, failed: 0, firstFailure: null, latency: { count: 50 } });
    expect(seen).toBe(50);
  }
});

test("an open loop sends at its rate and counts what could not be sent as failed", async () => {
  const job = {
    kind: "pace",
    target: target(1_000, false),
    perSecond: 1_000,
    requests: 40,
    maxOutstanding: 8,
  } as const;
  expect((await run({ kind: "json" }, job)).result).toMatchObject({ completed: 40, failed: 0 });
  const slow: UpstreamMode = { kind: "stream", events: 1, intervalMs: 500 };
  const { result } = await run(slow, job);
  expect(result).toMatchObject({ completed: 8, failed: 32 });
  expect(result.firstFailure).toContain("8 requests were waiting");
});

test("streams bring every event with its delay, and a stream that is too short has failed", async () => {
  const mode: UpstreamMode = { kind: "stream", events: 5, intervalMs: 10 };
  const streams = { kind: "streams", target: target(1_000, true), count: 20, rampMs: 1, maxMs: 10_000 } as const;
  const { result } = await run(mode, { ...streams, expectedEvents: 5 });
  expect(result).toMatchObject({ completed: 20, failed: 0, events: 100 });
  expect(result.latency.p50).toBeGreaterThan(0);
  expect((await run(mode, { ...streams, expectedEvents: 6 })).result).toMatchObject({ completed: 0, failed: 20 });
});

test("a system that answers with an error, or not at all, is reported and not measured", async () => {
  const job = { kind: "saturate", concurrency: 2, requests: 10, maxMs: 5_000 } as const;
  const refusing = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("no", { status: 503 }) });
  const refused = await run({ kind: "json" }, { ...job, target: { ...target(1_000, false), port: refusing.port! } });
  expect(refused.result.completed).toBe(0);
  expect(refused.result.firstFailure).toContain("503");
  await refusing.stop(true);
  const gone = await run({ kind: "json" }, { ...job, target: { ...target(1_000, false), port: refusing.port! } });
  expect(gone.result).toMatchObject({ completed: 0, failed: 1 });
});
