// How far a provider's own figure is from what our price list says of the same answer.

import type { Nanos } from "../../money.ts";

/** Above this share of our figure a drift is told: the list is out of date, or something is billed that it does not know. */
export const DRIFT_TOLD = 0.02;

/** Of our figure: 0.05 is 5 % dearer than we thought. Infinity where we thought it free. */
export function driftOf(reported: number, listed: number): number {
  if (listed === 0) return reported === 0 ? 0 : Number.POSITIVE_INFINITY;
  return (reported - listed) / listed;
}

/** Whether sums over so many requests have drifted by more than rounding (a micro-dollar each) explains. */
export function hasDrifted(reportedNanos: Nanos, listedNanos: Nanos, requests: number): boolean {
  if (Math.abs(reportedNanos - listedNanos) <= requests * 1_000) return false;
  return Math.abs(driftOf(reportedNanos, listedNanos)) > DRIFT_TOLD;
}
