export { AgentLimiter } from "./agent-limiter.ts";
export { Backoff, backoffDelayMs, type BackoffRange } from "./backoff.ts";
export { MemoryBreaker, type Breaker, type BreakerState } from "./breaker.ts";
export { Limits, type LimitsStatus } from "./limits.ts";
export { pace, type PaceParts } from "./pace.ts";
export { BucketShelf } from "./bucket-shelf.ts";
export { MemoryQuota, type Quota } from "./quota.ts";
export type { QuotaStatus, QuotaStatuses } from "./quota-status.ts";
export { MAX_WAIT_MS, parseRetryAfter } from "./retry-after.ts";
