import { nanosFromUsd, type Nanos } from "../../money.ts";
import { auditFiles } from "./segments.ts";
import { lastLines } from "./tail.ts";

/** How much of the newest lines is looked through: a crash concerns the last moments. */
const SEARCH_BYTES = 4 * 1024 * 1024;

/**
 * What these requests cost by their lines among the newest ones of the trail at `path`. Reads only; what is not a whole
 * line of ours is passed over.
 */
export function recordedCosts(path: string, ids: ReadonlySet<string>): Map<string, Nanos> {
  const costs = new Map<string, Nanos>();
  if (ids.size === 0) return costs;
  let budget = SEARCH_BYTES;
  for (const file of auditFiles(path).toReversed()) {
    for (const line of lastLines(file, Number.MAX_SAFE_INTEGER, budget)) {
      budget -= line.length + 1;
      const id = /"id":"([^"\\]*)"/.exec(line)?.[1];
      if (id === undefined || !ids.has(id)) continue;
      const usd = usdOf(line);
      if (usd !== null) costs.set(id, nanosFromUsd(usd));
    }
    if (budget <= 0 || costs.size === ids.size) break;
  }
  return costs;
}

function usdOf(line: string): number | null {
  try {
    const { usd } = JSON.parse(line) as { usd?: unknown };
    return typeof usd === "number" && usd >= 0 && usd < 1_000_000 ? usd : null;
  } catch {
    // A torn line: its request counts as having none.
    return null;
  }
}
