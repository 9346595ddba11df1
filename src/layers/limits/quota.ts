import type { Clock } from "../../clock.ts";
import type { ProviderLimits } from "../../request.ts";
import { limitKinds, readQuotaHeaders, type LimitKind, type Reading } from "./quota-headers.ts";
import { TokenBucket } from "./token-bucket.ts";
import { WaitingLine, type Patience } from "./waiting-line.ts";

/** What an attempt will need at most. */
export interface Need {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** What it did need. */
export interface Used {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** A taken share of an account's quotas. It is closed by exactly one `settle` or `giveBack`; a second one does nothing. */
export interface Ticket {
  readonly account: string;
}

export interface QuotaRefusal {
  readonly refusedBy: LimitKind | "concurrent";
  /** Until it is worth asking again. */
  readonly waitMs: number;
}

export interface QuotaStatus {
  readonly limit: number;
  readonly remaining: number;
  /** ISO 8601; null: not known, or already over. */
  readonly resets_at: string | null;
}

export type QuotaStatuses = { readonly [kind in LimitKind]?: QuotaStatus };

/**
 * The quotas of provider accounts: configured ones, and those that providers tell. An account is a provider's name, or a
 * provider and a caller where each caller brings a key. `take` may be asynchronous (a store shared by replicas).
 */
export interface Quota {
  /** The limits of each provider by name, from a new configuration. What was taken stays taken. */
  configure(limits: ReadonlyMap<string, ProviderLimits>): void;
  /** All of it or nothing; never waits. */
  take(account: string, provider: string, need: Need): Ticket | QuotaRefusal | Promise<Ticket | QuotaRefusal>;
  /**
   * Like `take`; but where all places are taken it waits in line for one, first come, first served. Refused where the line
   * is full, and where the patience ends first.
   */
  takeInTurn(
    account: string,
    provider: string,
    need: Need,
    patience: Patience,
  ): Ticket | QuotaRefusal | Promise<Ticket | QuotaRefusal>;
  /** The attempt was sent and has ended; `used` null: unknown, so what was taken counts. */
  settle(ticket: Ticket, used: Used | null): void;
  /** The attempt was never sent. */
  giveBack(ticket: Ticket): void;
  /** Never throws, whatever the headers hold. */
  learn(account: string, provider: string, headers: Headers): void;
  /** The tighter of what is configured and what was told with its limit. */
  status(account: string): QuotaStatuses;
}

/** A count of 0 that does not say until when is believed for this long. */
const UNTOLD_RESET_MS = 1_000;
/** When a place may become free is not known. */
const CONCURRENT_WAIT_MS = 1_000;
/** Longer lines would outlast the patience of those at their end. */
const MOST_WAITING = 32;
/** Accounts of passthrough callers; the configuration bounds them, this bounds what many reloads leave behind. */
const MAX_ACCOUNTS = 1_024;

/** What a provider told last. */
interface Told {
  limit: number | undefined;
  remaining: number;
  /** Monotonic, milliseconds. */
  resetsAtMs: number;
}

/** Stands in line for a place. */
interface Waiter {
  readonly need: Need;
  readonly resolve: (taken: Ticket | QuotaRefusal) => void;
}

interface Account {
  readonly name: string;
  readonly provider: string;
  readonly line: WaitingLine<Waiter>;
  concurrent: number;
  inFlight: number;
  family: number | undefined;
  readonly buckets: { [kind in LimitKind]: TokenBucket | null };
  readonly told: { [kind in LimitKind]: Told | null };
}

interface MemoryTicket extends Ticket {
  readonly state: Account;
  readonly input: number;
  readonly output: number;
  open: boolean;
}

const noPlace: QuotaRefusal = { refusedBy: "concurrent", waitMs: CONCURRENT_WAIT_MS };

/** In this process's memory; outlives configurations. */
export class MemoryQuota implements Quota {
  readonly #clock: Clock;
  readonly #accounts = new Map<string, Account>();
  #limits: ReadonlyMap<string, ProviderLimits> = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  configure(limits: ReadonlyMap<string, ProviderLimits>): void {
    this.#limits = limits;
    const now = this.#clock.monotonic();
    for (const account of this.#accounts.values()) {
      applyLimits(account, limits.get(account.provider), now);
      this.#callWaiting(account);
    }
  }

  take(account: string, provider: string, need: Need): Ticket | QuotaRefusal {
    const now = this.#clock.monotonic();
    const state = this.#account(account, provider, now);
    // Nobody gets past those who wait.
    return state.line.length > 0 ? noPlace : takeNow(state, need, now);
  }

  takeInTurn(
    account: string,
    provider: string,
    need: Need,
    patience: Patience,
  ): Ticket | QuotaRefusal | Promise<Ticket | QuotaRefusal> {
    const taken = this.take(account, provider, need);
    if (!("refusedBy" in taken) || taken.refusedBy !== "concurrent") return taken;
    const { promise, resolve } = Promise.withResolvers<Ticket | QuotaRefusal>();
    const { line } = this.#account(account, provider, this.#clock.monotonic());
    return line.join({ need, resolve }, patience, () => resolve(noPlace)) ? promise : noPlace;
  }

  settle(ticket: Ticket, used: Used | null): void {
    const closed = close(ticket);
    if (closed === null) return;
    if (used !== null) {
      const { input_tokens: input, output_tokens: output } = closed.state.buckets;
      const now = this.#clock.monotonic();
      input?.giveBack(closed.input - used.inputTokens, now);
      output?.giveBack(closed.output - used.outputTokens, now);
    }
    this.#callWaiting(closed.state);
  }

  giveBack(ticket: Ticket): void {
    const closed = close(ticket);
    if (closed === null) return;
    const { requests, input_tokens: input, output_tokens: output } = closed.state.buckets;
    const now = this.#clock.monotonic();
    requests?.giveBack(1, now);
    input?.giveBack(closed.input, now);
    output?.giveBack(closed.output, now);
    if (closed.state.told.requests !== null) closed.state.told.requests.remaining++;
    this.#callWaiting(closed.state);
  }

  /** Hands free places on at once, so that nobody else can take one in between. */
  #callWaiting(state: Account): void {
    while (state.inFlight < state.concurrent) {
      const next = state.line.call();
      if (next === undefined) return;
      next.resolve(takeNow(state, next.need, this.#clock.monotonic()));
    }
  }

  learn(account: string, provider: string, headers: Headers): void {
    const now = this.#clock.monotonic();
    const state = this.#account(account, provider, now);
    const readings = readQuotaHeaders(headers, this.#clock.now(), state.family);
    if (readings === null) return;
    state.family = readings.family;
    for (const kind of limitKinds) {
      const reading = readings[kind];
      if (reading !== undefined) state.told[kind] = toldBy(reading, now);
    }
  }

  status(account: string): QuotaStatuses {
    const state = this.#accounts.get(account);
    if (state === undefined) return {};
    const now = this.#clock.monotonic();
    const wall = this.#clock.now();
    const statuses: { [kind in LimitKind]?: QuotaStatus } = {};
    for (const kind of limitKinds) {
      const configured = bucketStatus(state.buckets[kind], now, wall);
      const told = toldStatus(state.told[kind], now, wall);
      const status =
        told === null || (configured !== null && configured.remaining < told.remaining) ? configured : told;
      if (status !== null) statuses[kind] = status;
    }
    return statuses;
  }

  #account(name: string, provider: string, nowMs: number): Account {
    const known = this.#accounts.get(name);
    if (known !== undefined) return known;
    if (this.#accounts.size >= MAX_ACCOUNTS) this.#forgetAnIdleOne();
    const account: Account = {
      name,
      provider,
      line: new WaitingLine(MOST_WAITING),
      concurrent: Infinity,
      inFlight: 0,
      family: undefined,
      buckets: { requests: null, input_tokens: null, output_tokens: null },
      told: { requests: null, input_tokens: null, output_tokens: null },
    };
    applyLimits(account, this.#limits.get(provider), nowMs);
    this.#accounts.set(name, account);
    return account;
  }

  #forgetAnIdleOne(): void {
    for (const [name, account] of this.#accounts) {
      if (account.inFlight > 0 || this.#limits.has(name)) continue;
      this.#accounts.delete(name);
      return;
    }
  }
}

/** All of it or nothing. */
function takeNow(state: Account, need: Need, now: number): Ticket | QuotaRefusal {
  if (state.inFlight >= state.concurrent) return noPlace;
  const { requests, input_tokens: input, output_tokens: output } = state.buckets;
  const refusal = refusalOf(state, need, now);
  if (refusal !== null) return refusal;
  requests?.take(1, now);
  input?.take(need.inputTokens, now);
  output?.take(need.outputTokens, now);
  if (state.told.requests !== null) state.told.requests.remaining--;
  state.inFlight++;
  const ticket: MemoryTicket = {
    account: state.name,
    state,
    input: input?.clamp(need.inputTokens) ?? 0,
    output: output?.clamp(need.outputTokens) ?? 0,
    open: true,
  };
  return ticket;
}

function applyLimits(account: Account, limits: ProviderLimits | undefined, nowMs: number): void {
  account.concurrent = limits?.concurrent ?? Infinity;
  const { buckets } = account;
  buckets.requests = resized(buckets.requests, limits?.requestsPerMinute, nowMs);
  buckets.input_tokens = resized(buckets.input_tokens, limits?.inputTokensPerMinute, nowMs);
  buckets.output_tokens = resized(buckets.output_tokens, limits?.outputTokensPerMinute, nowMs);
}

function resized(bucket: TokenBucket | null, perMinute: number | undefined, nowMs: number): TokenBucket | null {
  if (perMinute === undefined) return null;
  if (bucket === null) return new TokenBucket(perMinute, nowMs);
  if (bucket.limit !== perMinute) bucket.resize(perMinute, nowMs);
  return bucket;
}

/** The quota that takes longest to have room; null: all have. */
function refusalOf(state: Account, need: Need, nowMs: number): QuotaRefusal | null {
  let refusedBy: LimitKind = "requests";
  let waitMs = 0;
  for (const kind of limitKinds) {
    const wait = Math.max(bucketWaitMs(state.buckets[kind], kind, need, nowMs), toldWaitMs(state.told[kind], nowMs));
    if (wait <= waitMs) continue;
    waitMs = wait;
    refusedBy = kind;
  }
  return waitMs > 0 ? { refusedBy, waitMs } : null;
}

function bucketWaitMs(bucket: TokenBucket | null, kind: LimitKind, need: Need, nowMs: number): number {
  if (bucket === null) return 0;
  if (kind === "requests") return bucket.waitMs(1, nowMs);
  return bucket.waitMs(kind === "input_tokens" ? need.inputTokens : need.outputTokens, nowMs);
}

function toldWaitMs(told: Told | null, nowMs: number): number {
  return told === null || told.remaining > 0 ? 0 : expired(told, nowMs) ? 0 : told.resetsAtMs - nowMs;
}

/** After its reset a told count is worth what the limit says, until the next answer tells more. */
function expired(told: Told, nowMs: number): boolean {
  if (told.resetsAtMs > nowMs) return false;
  told.remaining = told.limit ?? Infinity;
  return true;
}

function toldBy(reading: Reading, nowMs: number): Told {
  const resetMs = reading.resetMs ?? UNTOLD_RESET_MS;
  return { limit: reading.limit, remaining: reading.remaining, resetsAtMs: nowMs + resetMs };
}

function close(ticket: Ticket): MemoryTicket | null {
  const own = ticket as MemoryTicket;
  if (!own.open) return null;
  own.open = false;
  own.state.inFlight--;
  return own;
}

function bucketStatus(bucket: TokenBucket | null, nowMs: number, wallMs: number): QuotaStatus | null {
  if (bucket === null) return null;
  const remaining = Math.max(0, bucket.peek(nowMs));
  const fullInMs = bucket.waitMs(bucket.limit, nowMs);
  return { limit: bucket.limit, remaining, resets_at: fullInMs > 0 ? isoIn(fullInMs, wallMs) : null };
}

function toldStatus(told: Told | null, nowMs: number, wallMs: number): QuotaStatus | null {
  if (told?.limit === undefined) return null;
  const over = expired(told, nowMs);
  return {
    limit: told.limit,
    remaining: Math.max(0, told.remaining),
    resets_at: over ? null : isoIn(told.resetsAtMs - nowMs, wallMs),
  };
}

function isoIn(ms: number, wallMs: number): string {
  return new Date(wallMs + ms).toISOString();
}
