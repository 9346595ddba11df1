import type { JsonObject, Usage } from "../../src/wire/neutral.ts";
import { objectOf } from "../fakes/json-access.ts";

const counts = ["input", "cacheRead", "cacheWrite5m", "cacheWrite1h", "output", "reasoning"] as const;

/** Money is reckoned from these: each is a whole number that arithmetic is exact for, or absent. */
export function faultOfUsage(usage: Partial<Usage>): string | null {
  for (const key of counts) {
    const count = usage[key];
    if (count !== undefined && !isCount(count)) return `usage.${key} is ${String(count)}`;
  }
  for (const count of [...Object.values(usage.serverTools ?? {}), ...Object.values(usage.media ?? {})]) {
    if (!isCount(count)) return `usage counts ${String(count)}`;
  }
  const { reportedUsd, tier } = usage;
  if (reportedUsd !== undefined && !(Number.isFinite(reportedUsd) && reportedUsd >= 0)) return "usage.reportedUsd";
  if (tier !== undefined && typeof tier !== "string") return "usage.tier is no text";
  for (const other of usage.others ?? []) {
    const fault = faultOfUsage(other.usage);
    if (fault !== null) return fault;
  }
  return null;
}

/** The usage as a client sees it: every number in it is a count. Null is allowed where the dialect allows it. */
export function faultOfShownUsage(usage: JsonObject): string | null {
  for (const [key, value] of Object.entries(usage)) {
    const inner = objectOf(value);
    const fault =
      inner === null ? (typeof value === "number" && !isCount(value) ? key : null) : faultOfShownUsage(inner);
    if (fault !== null) return `usage.${key} is no count`;
  }
  return null;
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
