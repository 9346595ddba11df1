// The load generator, a process of its own: raw sockets and ready-made bytes, so that it is cheaper than anything it
// measures. Takes one job at a time from the runner (jobs.ts); ends with it.

import { HttpClient } from "./http-client.ts";
import type { LoadJob, LoadReply, LoadResult } from "./jobs.ts";
import { createMachineClock } from "./machine-clock.ts";
import { Sample } from "./percentiles.ts";
import { StampReader } from "./stamp.ts";

const clock = createMachineClock();

/** Counts how requests end, and ends the job when all have, or when its time is up. */
class Tally {
  completed = 0;
  failed = 0;
  firstFailure: string | null = null;
  readonly #startedAt = performance.now();
  readonly #ended = Promise.withResolvers<number>();
  readonly ended = this.#ended.promise;
  #open = 0;

  begin(): void {
    this.#open++;
  }

  complete(): void {
    this.completed++;
    this.#open--;
  }

  fail(why: string): void {
    this.failed++;
    this.#open--;
    this.firstFailure ??= why;
  }

  /** No more requests begin: the job ends with the last open one, or after `graceMs`. */
  close(graceMs = 0): void {
    if (this.#open === 0) this.#ended.resolve(performance.now() - this.#startedAt);
    else if (graceMs > 0) {
      setTimeout(() => {
        this.firstFailure ??= this.#open === 0 ? null : `${this.#open} requests were not answered in time`;
        this.failed += this.#open;
        this.#ended.resolve(performance.now() - this.#startedAt);
      }, graceMs);
    }
  }

  async result(sample: Sample, events: number): Promise<LoadResult> {
    const elapsedMs = await this.ended;
    const { completed, failed, firstFailure } = this;
    return { reply: "result", completed, failed, firstFailure, elapsedMs, latency: sample.percentiles(), events };
  }
}

/** How long after its last request a job waits for answers. */
const graceMs = 10_000;

async function saturate(job: Extract<LoadJob, { kind: "saturate" }>): Promise<LoadResult> {
  const sample = new Sample(job.requests);
  const clients = await HttpClient.openMany(job.target, job.concurrency);
  const tally = new Tally();
  const until = performance.now() + job.maxMs;
  let left = job.requests;
  const next = (client: HttpClient): void => {
    if (left === 0 || performance.now() >= until) {
      tally.close();
      return;
    }
    left--;
    tally.begin();
    const sentAt = performance.now();
    client.send((failure) => {
      if (failure === null) {
        sample.add((performance.now() - sentAt) * 1e3);
        tally.complete();
        next(client);
      } else {
        tally.fail(failure);
        // A connection that failed sends no more; the others end the job.
        left = 0;
        tally.close(graceMs);
      }
    });
  };
  for (const client of clients) next(client);
  const timer = setTimeout(() => tally.close(graceMs), job.maxMs);
  const result = await tally.result(sample, 0);
  clearTimeout(timer);
  for (const client of clients) client.close();
  return result;
}

async function pace(job: Extract<LoadJob, { kind: "pace" }>): Promise<LoadResult> {
  const sample = new Sample(job.requests);
  const clients = await HttpClient.openMany(job.target, job.maxOutstanding);
  const free = [...clients];
  const tally = new Tally();
  const startedAt = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.min(job.requests, Math.floor(((performance.now() - startedAt) * job.perSecond) / 1e3));
    for (; sent < due; sent++) {
      tally.begin();
      const client = free.pop();
      if (client === undefined) {
        tally.fail(`${job.maxOutstanding} requests were waiting: the rate is above what it can do`);
        continue;
      }
      // From the moment of sending: that this timer fires late is no fault of the one who is measured, and since requests
      // leave whether or not earlier ones were answered, a slow answer hides no other.
      const sentAt = performance.now();
      client.send((failure) => {
        if (failure === null) {
          sample.add((performance.now() - sentAt) * 1e3);
          tally.complete();
          free.push(client);
        } else tally.fail(failure);
        if (sent === job.requests) tally.close();
      });
    }
    if (sent === job.requests) {
      clearInterval(timer);
      tally.close(graceMs);
    }
  }, 1);
  const result = await tally.result(sample, 0);
  for (const client of clients) client.close();
  return result;
}

async function streams(job: Extract<LoadJob, { kind: "streams" }>): Promise<LoadResult> {
  const sample = new Sample(job.count * job.expectedEvents);
  const tally = new Tally();
  const clients: HttpClient[] = [];
  let events = 0;
  const startedAt = performance.now();
  const settledAt = clock() + job.rampMs * 1e3;
  const timer = setInterval(() => {
    const share = Math.min(1, (performance.now() - startedAt) / job.rampMs);
    for (let due = Math.floor(share * job.count) - clients.length; due > 0; due--) clients.push(open());
    if (clients.length === job.count) {
      clearInterval(timer);
      tally.close(job.maxMs);
    }
  }, 1);
  const open = (): HttpClient => {
    const stamps = new StampReader();
    let seen = 0;
    const onStamp = (stampedAt: number): void => {
      seen++;
      events++;
      if (stampedAt >= settledAt) sample.add(clock() - stampedAt);
    };
    const client = new HttpClient(job.target, (part) => stamps.push(part, onStamp));
    tally.begin();
    client.send((failure) => {
      if (failure !== null) tally.fail(failure);
      else if (seen !== job.expectedEvents) tally.fail(`a stream had ${seen} events, not ${job.expectedEvents}`);
      else tally.complete();
      if (clients.length === job.count) tally.close();
    });
    return client;
  };
  const result = await tally.result(sample, 0);
  for (const client of clients) client.close();
  return { ...result, events };
}

async function run(job: LoadJob): Promise<LoadResult> {
  if (job.kind === "saturate") return saturate(job);
  return job.kind === "pace" ? pace(job) : streams(job);
}

function reply(message: LoadReply): void {
  process.send!(message);
}

/** A job that cannot even connect is a result too. */
function refusal(error: unknown): LoadResult {
  const firstFailure = error instanceof Error ? error.message : String(error);
  const latency = new Sample(0).percentiles();
  return { reply: "result", completed: 0, failed: 1, firstFailure, elapsedMs: 0, latency, events: 0 };
}

process.on("message", (job: LoadJob) => void run(job).catch(refusal).then(reply));
process.on("disconnect", () => process.exit(0));
reply({ reply: "ready" });
