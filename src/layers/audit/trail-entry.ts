// One line of the trail, read back. Lines of older and newer versions are read too: a member that is missing or of another
// type is as good as not there, and only a line that is no request at all is refused.

/** An attempt as its line tells it. */
export interface TrailAttempt {
  readonly candidate: string;
  /** `provider/model` as sent; null where the candidate is an alias and the line does not say what it stood for. */
  readonly upstream: string | null;
  readonly outcome: string | null;
  readonly micros: number;
  /** What the price list said, where the provider's own figure was charged; null elsewhere. Micro-dollars. */
  readonly listedMicros: number | null;
  readonly upstreamId: string | null;
}

/** A request as its line tells it. Amounts are micro-dollars, as exact as the line is. */
export interface TrailEntry {
  readonly seq: number;
  readonly id: string;
  /** Arrival, milliseconds since the epoch. */
  readonly at: number;
  readonly agent: string | null;
  readonly auth: string | null;
  readonly dialect: string | null;
  readonly intent: string | null;
  readonly route: string | null;
  readonly requestedModel: string | null;
  readonly attempts: readonly TrailAttempt[];
  readonly servedBy: string | null;
  readonly local: boolean;
  readonly outcome: string;
  readonly usage: TrailUsage | null;
  readonly price: string | null;
  readonly micros: number;
  /** Where a local model served: what the model that was asked for would have cost. */
  readonly wouldHaveMicros: number | null;
  readonly ms: number;
}

export interface TrailUsage {
  /** Prompt tokens, cached ones included. */
  readonly input: number;
  readonly output: number;
  /** `counted`: by us, since the provider gave none. */
  readonly source: string | null;
}

/** Null: not a line of a request. Takes a line without its newline. */
export function parseTrailEntry(line: string): TrailEntry | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return null;
  }
  if (!isFields(value)) return null;
  const at = typeof value["ts"] === "string" ? Date.parse(value["ts"]) : Number.NaN;
  const { id, outcome, seq } = value;
  if (Number.isNaN(at) || typeof id !== "string" || typeof outcome !== "string" || typeof seq !== "number") return null;
  const { usd } = value;
  // A line whose cost cannot be read would make every sum too small without a word.
  if (typeof usd !== "number" || !(usd >= 0)) return null;
  return {
    seq,
    id,
    at,
    agent: text(value["agent"]),
    auth: text(value["auth"]),
    dialect: text(value["dialect"]),
    intent: text(value["intent"]),
    route: text(value["route"]),
    requestedModel: text(value["requested_model"]),
    attempts: attemptsOf(value["attempts"]),
    servedBy: text(value["served_by"]),
    local: value["local"] === true,
    outcome,
    usage: usageOf(value["usage"]),
    price: text(value["price"]),
    micros: microsOf(usd),
    wouldHaveMicros: amount(value["would_have_usd"]),
    ms: count(value["ms"]),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function attemptsOf(value: unknown): TrailAttempt[] {
  if (!Array.isArray(value)) return [];
  const attempts: TrailAttempt[] = [];
  for (const item of value as unknown[]) {
    if (!isFields(item)) continue;
    const candidate = text(item["candidate"]) ?? "";
    attempts.push({
      candidate,
      upstream: text(item["upstream"]) ?? (candidate.includes("/") ? candidate : null),
      outcome: text(item["outcome"]),
      micros: amount(item["usd"]) ?? 0,
      listedMicros: amount(item["listed_usd"]),
      upstreamId: text(item["upstream_id"]),
    });
  }
  return attempts;
}

function usageOf(value: unknown): TrailUsage | null {
  if (!isFields(value)) return null;
  return {
    input: count(value["input"]) + count(value["cache_read"]) + count(value["cache_write"]),
    // Reasoning is part of the output, but for providers that tell only the one.
    output: Math.max(count(value["output"]), count(value["reasoning"])),
    source: text(value["source"]),
  };
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function count(value: unknown): number {
  return typeof value === "number" && value > 0 ? value : 0;
}

function amount(value: unknown): number | null {
  return typeof value === "number" && value >= 0 ? microsOf(value) : null;
}

// A line's amounts have six decimals, which binary fractions do not hit exactly.
function microsOf(usd: number): number {
  return Math.round(usd * 1_000_000);
}
