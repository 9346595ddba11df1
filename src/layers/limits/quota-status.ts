import { configuredKinds } from "./configured-limits.ts";
import type { QuotaAccount } from "./quota-account.ts";
import { limitKinds, type LimitKind } from "./quota-headers.ts";
import type { TokenBucket } from "./token-bucket.ts";

export interface QuotaStatus {
  readonly limit: number;
  readonly remaining: number;
  /** ISO 8601; null: not known, or already over. */
  readonly resets_at: string | null;
}

export type KindStatuses = { readonly [kind in LimitKind]?: QuotaStatus };

/** What is left at a provider. `requests` and the others beside it: the tightest of what is configured and what was told. */
export interface QuotaStatuses extends KindStatuses {
  /** What the configuration allows; absent: nothing is limited there. */
  readonly configured?: KindStatuses & { readonly concurrent?: QuotaStatus };
  /** What the provider told, by the name under which it counts models; absent: nothing. */
  readonly models?: Readonly<Record<string, KindStatuses>>;
  /** The same by agent, where each brings a key of its own. */
  readonly agents?: Readonly<Record<string, QuotaStatuses>>;
}

type Kinds = { [kind in LimitKind]?: QuotaStatus };

/** Of one provider; `accounts` are its own. */
export function statusOf(accounts: readonly QuotaAccount[], nowMs: number, wallMs: number): QuotaStatuses {
  const tightest: Kinds = {};
  const agents: [string, QuotaStatuses][] = [];
  let own: QuotaStatuses | undefined;
  for (const account of accounts) {
    const status = accountStatus(account, nowMs, wallMs);
    tighten(tightest, status);
    const [, agent] = account.name.split("\n", 2);
    if (agent === undefined) own = status;
    else agents.push([agent, status]);
  }
  return { ...own, ...tightest, ...(agents.length > 0 && { agents: Object.fromEntries(agents) }) };
}

function accountStatus(account: QuotaAccount, nowMs: number, wallMs: number): QuotaStatuses {
  const tightest: Kinds = {};
  const configured = configuredStatus(account, nowMs, wallMs);
  tighten(tightest, configured);
  const models: [string, KindStatuses][] = [];
  for (const [name, { told }] of account.scopes) {
    const kinds: Kinds = {};
    for (const kind of limitKinds) {
      const status = told[kind]?.status(nowMs) ?? null;
      if (status === null) continue;
      const { limit, remaining, fullInMs } = status;
      kinds[kind] = { limit, remaining, resets_at: isoIn(fullInMs, wallMs) };
    }
    if (Object.keys(kinds).length === 0) continue;
    models.push([name, kinds]);
    tighten(tightest, kinds);
  }
  return {
    ...tightest,
    ...(account.configured.limited && { configured }),
    ...(models.length > 0 && { models: Object.fromEntries(models) }),
  };
}

function configuredStatus(
  { configured, inFlight }: QuotaAccount,
  nowMs: number,
  wallMs: number,
): KindStatuses & { concurrent?: QuotaStatus } {
  const { buckets, concurrent } = configured;
  const kinds: Kinds & { concurrent?: QuotaStatus } = {};
  for (const kind of configuredKinds) {
    const bucket = buckets[kind];
    if (bucket !== null) kinds[kind] = bucketStatus(bucket, nowMs, wallMs);
  }
  if (concurrent < Infinity) {
    kinds.concurrent = { limit: concurrent, remaining: Math.max(0, concurrent - inFlight), resets_at: null };
  }
  return kinds;
}

function bucketStatus(bucket: TokenBucket, nowMs: number, wallMs: number): QuotaStatus {
  const remaining = Math.max(0, bucket.peek(nowMs));
  return { limit: bucket.limit, remaining, resets_at: isoIn(bucket.waitMs(bucket.limit, nowMs), wallMs) };
}

/** Of which less is left. */
function tighten(tightest: Kinds, by: KindStatuses): void {
  for (const kind of limitKinds) {
    const one = by[kind];
    const other = tightest[kind];
    if (one !== undefined && (other === undefined || one.remaining < other.remaining)) tightest[kind] = one;
  }
}

function isoIn(ms: number, wallMs: number): string | null {
  return ms > 0 ? new Date(wallMs + ms).toISOString() : null;
}
