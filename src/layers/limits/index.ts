export { AgentLimiter } from "./agent-limiter.ts";
export { Backoff, backoffDelayMs, type BackoffRange } from "./backoff.ts";
export type { BreakerState } from "./breaker.ts";
export { Limits, type LimitsStatus, type ModelLimitsStatus } from "./limits.ts";
export { pace, type PaceParts } from "./pace.ts";
export { MemoryQuota, type Quota, type QuotaStatus } from "./quota.ts";
export { RetryBudget } from "./retry-budget.ts";
export { MAX_WAIT_MS } from "./retry-after.ts";
export { toldRegainMs, toldWaitMs } from "./told-wait.ts";
