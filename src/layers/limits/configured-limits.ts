import type { ProviderLimits } from "../../request.ts";
import type { BucketShelf } from "./bucket-shelf.ts";
import type { LimitKind } from "./quota-headers.ts";
import type { Need, Used } from "./quota.ts";
import type { Ahead, Wait } from "./scope.ts";
import { TokenBucket } from "./token-bucket.ts";
import { KEPT_SHARE } from "./told-quota.ts";

export type ConfiguredKind = Exclude<LimitKind, "tokens">;
export const configuredKinds: readonly ConfiguredKind[] = ["requests", "input_tokens", "output_tokens"];

/** What a request took when it was let through: limits may have changed since. */
export interface Charged {
  readonly charged: boolean;
  readonly chargedInput: number;
  readonly chargedOutput: number;
}

const MS_PER_MINUTE = 60_000;

/** What the configuration allows at one account, for all models together. It is never passed: worst cases are taken. */
export class ConfiguredLimits {
  concurrent = Infinity;
  readonly buckets: { [kind in ConfiguredKind]: TokenBucket | null } = {
    requests: null,
    input_tokens: null,
    output_tokens: null,
  };
  readonly #account: string;
  readonly #shelf: BucketShelf | undefined;
  #limited = false;

  constructor(account: string, shelf: BucketShelf | undefined) {
    this.#account = account;
    this.#shelf = shelf;
  }

  /** Whether there is any. */
  get limited(): boolean {
    return this.#limited;
  }

  adopt(limits: ProviderLimits | undefined, nowMs: number): void {
    this.concurrent = limits?.concurrent ?? Infinity;
    this.#adopt("requests", limits?.requestsPerMinute, nowMs);
    this.#adopt("input_tokens", limits?.inputTokensPerMinute, nowMs);
    this.#adopt("output_tokens", limits?.outputTokensPerMinute, nowMs);
    this.#limited = this.concurrent < Infinity || configuredKinds.some((kind) => this.buckets[kind] !== null);
  }

  /** The bucket that takes longest to have room, into `longest`. `kept` null or 0: the last quarter is not kept from it. */
  waitMs(need: Need, ahead: Ahead, kept: number | null, nowMs: number, longest: Wait): void {
    if (!this.#limited) return;
    for (const kind of configuredKinds) {
      const bucket = this.buckets[kind];
      if (bucket === null) continue;
      const reserve = kept !== null && kept > 0 ? Math.floor(bucket.limit * KEPT_SHARE) : 0;
      const ms = waitMs(bucket, bucket.clamp(amountOf(kind, need) + reserve) + aheadOf(kind, ahead), nowMs);
      if (ms <= longest.ms) continue;
      longest.ms = ms;
      longest.kind = kind;
    }
  }

  /** The largest part of a limit that this is; 0: there is none. */
  costOf(need: Need): number {
    let cost = 0;
    for (const kind of configuredKinds) {
      const bucket = this.buckets[kind];
      if (bucket !== null) cost = Math.max(cost, amountOf(kind, need) / bucket.limit);
    }
    return cost;
  }

  take(need: Need, nowMs: number): void {
    for (const kind of configuredKinds) {
      const bucket = this.buckets[kind];
      if (bucket === null) continue;
      bucket.take(amountOf(kind, need), nowMs);
      this.#shelf?.taken(this.#keyOf(kind), bucket);
    }
  }

  /** What was taken was a worst case. */
  correct({ chargedInput, chargedOutput }: Charged, used: Used, nowMs: number): void {
    this.#return("input_tokens", chargedInput - used.inputTokens, nowMs);
    this.#return("output_tokens", chargedOutput - used.outputTokens, nowMs);
  }

  giveBack({ charged, chargedInput, chargedOutput }: Charged, nowMs: number): void {
    if (charged) this.#return("requests", 1, nowMs);
    this.#return("input_tokens", chargedInput, nowMs);
    this.#return("output_tokens", chargedOutput, nowMs);
  }

  #return(kind: ConfiguredKind, tokens: number, nowMs: number): void {
    const bucket = this.buckets[kind];
    if (bucket === null || tokens === 0) return;
    bucket.giveBack(tokens, nowMs);
    this.#shelf?.taken(this.#keyOf(kind), bucket);
  }

  #adopt(kind: ConfiguredKind, perMinute: number | undefined, nowMs: number): void {
    const bucket = this.buckets[kind];
    if (perMinute === undefined) this.buckets[kind] = null;
    else if (bucket === null) {
      this.buckets[kind] = this.#shelf?.bucket(this.#keyOf(kind), perMinute) ?? new TokenBucket(perMinute, nowMs);
    } else if (bucket.limit !== perMinute) bucket.resize(perMinute, nowMs);
  }

  #keyOf(kind: ConfiguredKind): string {
    return `provider:${this.#account}:${kind}`;
  }
}

function waitMs(bucket: TokenBucket, wanted: number, nowMs: number): number {
  if (wanted <= bucket.limit) return bucket.waitMs(wanted, nowMs);
  return bucket.waitMs(bucket.limit, nowMs) + ((wanted - bucket.limit) / bucket.limit) * MS_PER_MINUTE;
}

function amountOf(kind: ConfiguredKind, need: Need): number {
  if (kind === "requests") return 1;
  return kind === "input_tokens" ? need.inputTokens : need.outputTokens;
}

function aheadOf(kind: ConfiguredKind, ahead: Ahead): number {
  if (kind === "requests") return ahead.requests;
  return kind === "input_tokens" ? ahead.input : ahead.output;
}
