import type { Clock } from "../../clock.ts";
import type { ProviderLimits } from "../../request.ts";
import type { BucketShelf } from "./bucket-shelf.ts";
import { QuotaAccount, type AccountTicket } from "./quota-account.ts";
import type { LimitKind } from "./quota-headers.ts";
import { statusOf, type QuotaStatuses } from "./quota-status.ts";
import type { Patience } from "./waiting-line.ts";

/** What an attempt will need at most. */
export interface Need {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** Who needs it, and which limits of the account it counts against (`limitScopeOf`). */
export interface Ask extends Need {
  readonly agent: string;
  readonly scope: string;
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

/**
 * The quotas of provider accounts: configured ones, and those that providers tell. An account is a provider's name, or a
 * provider and a caller where each caller brings a key. Taking may be asynchronous (a store shared by replicas).
 */
export interface Quota {
  /** The limits of each provider by name, from a new configuration. What was taken stays taken. */
  configure(limits: ReadonlyMap<string, ProviderLimits>): void;
  /**
   * All of it or nothing. What is not there now is waited for in line, agent by agent, where it will be there within the
   * patience; refused at once where it will not, and where the agent's part of the line is full.
   */
  take(
    account: string,
    provider: string,
    ask: Ask,
    patience: Patience,
  ): Ticket | QuotaRefusal | Promise<Ticket | QuotaRefusal>;
  /** The attempt was sent and has ended; `used` null: unknown, so what was taken counts. */
  settle(ticket: Ticket, used: Used | null): void;
  /** The attempt was never sent. */
  giveBack(ticket: Ticket): void;
  /**
   * What an answer's headers tell. `refusedForMs`: it was a refusal for a limit, and says when to come back. Never throws,
   * whatever the headers hold.
   */
  learn(ticket: Ticket, headers: Headers, refusedForMs?: number): void;
  /** What was told to this attempt holds for a key that is followed by another one. */
  forget(ticket: Ticket): void;
  status(provider: string): QuotaStatuses;
  /** How many requests stand in line there now. */
  waiting(provider: string): number;
}

/** Accounts of passthrough callers; the configuration bounds them, this bounds what many reloads leave behind. */
const MAX_ACCOUNTS = 1_024;

export interface MemoryQuotaParts {
  readonly clock: Clock;
  /** Resolves after `ms`, or at once when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Where configured limits outlive the process; undefined: they don't. */
  readonly shelf?: BucketShelf | undefined;
}

/** In this process's memory; outlives configurations. */
export class MemoryQuota implements Quota {
  readonly #parts: MemoryQuotaParts;
  readonly #accounts = new Map<string, QuotaAccount>();
  #limits: ReadonlyMap<string, ProviderLimits> = new Map();

  constructor(parts: MemoryQuotaParts) {
    this.#parts = parts;
  }

  configure(limits: ReadonlyMap<string, ProviderLimits>): void {
    this.#limits = limits;
    for (const account of this.#accounts.values()) account.configure(limits.get(account.provider));
  }

  take(
    account: string,
    provider: string,
    ask: Ask,
    patience: Patience,
  ): Ticket | QuotaRefusal | Promise<Ticket | QuotaRefusal> {
    return this.#account(account, provider).take(ask, patience);
  }

  settle(ticket: Ticket, used: Used | null): void {
    const own = ticket as AccountTicket;
    own.owner.settle(own, used);
  }

  giveBack(ticket: Ticket): void {
    const own = ticket as AccountTicket;
    own.owner.giveBack(own);
  }

  learn(ticket: Ticket, headers: Headers, refusedForMs?: number): void {
    const own = ticket as AccountTicket;
    own.owner.learn(own, headers, refusedForMs);
  }

  forget(ticket: Ticket): void {
    const own = ticket as AccountTicket;
    own.owner.forget(own);
  }

  status(provider: string): QuotaStatuses {
    const { clock } = this.#parts;
    return statusOf(this.#accountsAt(provider), clock.monotonic(), clock.now());
  }

  waiting(provider: string): number {
    return this.#accountsAt(provider).reduce((sum, { waiting }) => sum + waiting, 0);
  }

  #accountsAt(provider: string): QuotaAccount[] {
    return [...this.#accounts.values()].filter((account) => account.provider === provider);
  }

  #account(name: string, provider: string): QuotaAccount {
    const known = this.#accounts.get(name);
    if (known !== undefined) return known;
    if (this.#accounts.size >= MAX_ACCOUNTS) this.#forgetAnIdleOne();
    const account = new QuotaAccount(name, provider, this.#parts);
    account.configure(this.#limits.get(provider));
    this.#accounts.set(name, account);
    return account;
  }

  #forgetAnIdleOne(): void {
    for (const [name, account] of this.#accounts) {
      if (!account.idle || this.#limits.has(name)) continue;
      this.#accounts.delete(name);
      return;
    }
  }
}
