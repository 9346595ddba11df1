// What was taken of configured limits outlives the process: a restart must not be a fresh allowance.
//
//   key "bucket:provider:anthropic:requests"   json {"limit":50,"taken":12,"at":1764356400000,"boot":86400000}

import type { Clock } from "../../clock.ts";
import { TokenBucket } from "./token-bucket.ts";

export interface BucketShelfParts {
  readonly clock: Clock;
  /** Milliseconds since the machine was started: what the wall clock can't be set past. */
  readonly sinceBootMs: () => number;
  /** What was saved before, by key. */
  readonly saved: ReadonlyMap<string, string>;
  /** Must be on disk no later than anything that is written after it. */
  readonly save: (key: string, json: string) => void;
}

/** Saved so much ahead of what is taken that not every request writes; a crash costs no more than that. */
const AHEAD = 0.1;
const MS_PER_MINUTE = 60_000;

interface Saved {
  readonly limit: number;
  readonly taken: number;
  readonly at: number;
  readonly boot: number;
}

export class BucketShelf {
  readonly #parts: BucketShelfParts;
  /** As a restart now would find them. */
  readonly #kept = new Map<string, TokenBucket>();
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(parts: BucketShelfParts) {
    this.#parts = parts;
  }

  /** The bucket of that name as the last process left it, refilled for the time since; full where there was none. */
  bucket(name: string, perMinute: number): TokenBucket {
    const key = keyOf(name);
    const nowMs = this.#parts.clock.monotonic();
    const bucket = new TokenBucket(perMinute, nowMs);
    const kept = this.#kept.get(key);
    const taken = kept === undefined ? this.#takenBefore(key) : kept.limit - kept.peek(nowMs);
    if (taken > 0) bucket.giveBack(-taken, nowMs);
    this.#buckets.set(key, bucket);
    this.taken(name, bucket);
    return bucket;
  }

  /** To be called after taking, before anything is sent. */
  taken(name: string, bucket: TokenBucket): void {
    const key = keyOf(name);
    const nowMs = this.#parts.clock.monotonic();
    const level = bucket.peek(nowMs);
    const kept = this.#kept.get(key);
    if (kept?.limit === bucket.limit ? level >= kept.peek(nowMs) : level >= bucket.limit) return;
    this.#keep(key, bucket, bucket.limit - level + Math.ceil(bucket.limit * AHEAD), nowMs);
  }

  /** Before an orderly end: nothing is lost by it. */
  saveAll(): void {
    const nowMs = this.#parts.clock.monotonic();
    for (const [key, bucket] of this.#buckets) {
      const taken = bucket.limit - bucket.peek(nowMs);
      if (taken > 0 || this.#kept.has(key)) this.#keep(key, bucket, taken, nowMs);
    }
  }

  #keep(key: string, { limit }: TokenBucket, taken: number, nowMs: number): void {
    const kept = new TokenBucket(limit, nowMs);
    kept.giveBack(-taken, nowMs);
    this.#kept.set(key, kept);
    const { clock, sinceBootMs, save } = this.#parts;
    const saved: Saved = { limit, taken: limit - kept.peek(nowMs), at: clock.now(), boot: sinceBootMs() };
    save(key, JSON.stringify(saved));
  }

  #takenBefore(key: string): number {
    const saved = readSaved(this.#parts.saved.get(key));
    if (saved === null) return 0;
    const boot = this.#parts.sinceBootMs();
    // After a reboot only the time since it is certain: clocks are set.
    const certainMs = boot >= saved.boot ? boot - saved.boot : boot;
    const elapsedMs = Math.min(certainMs, Math.max(0, this.#parts.clock.now() - saved.at));
    return Math.ceil(saved.taken - (elapsedMs * saved.limit) / MS_PER_MINUTE);
  }
}

function keyOf(name: string): string {
  return `bucket:${name}`;
}

function readSaved(json: string | undefined): Saved | null {
  if (json === undefined) return null;
  const saved = JSON.parse(json) as Partial<Saved> | null;
  const figures = [saved?.limit, saved?.taken, saved?.at, saved?.boot];
  return figures.every((figure) => typeof figure === "number" && Number.isFinite(figure)) ? (saved as Saved) : null;
}
