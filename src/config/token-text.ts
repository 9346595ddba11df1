// How config.yaml writes a token: `sha256:<64 hex>`, or `sha256:<64 hex> until 2026-11-28T06:45:00Z` for one that ends by
// itself. A moment and no duration: the file may be committed, copied and read again at any time and says the same.

export interface TokenText {
  /** Lower-case hex of the SHA-256. */
  readonly hash: string;
  /** Wall clock, milliseconds; undefined: it stays. */
  readonly untilMs: number | undefined;
}

export const tokenTextPattern = /^sha256:([0-9a-fA-F]{64})(?: until (\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z))?$/;

/** Undefined where it is no such text, or its moment is none. */
export function parseTokenText(text: string): TokenText | undefined {
  const match = tokenTextPattern.exec(text);
  if (match === null) return undefined;
  const hash = match[1]!.toLowerCase();
  if (match[2] === undefined) return { hash, untilMs: undefined };
  const untilMs = Date.parse(match[2]);
  // The parser rolls the 31st of a shorter month over into the next one.
  return Number.isNaN(untilMs) || toMoment(untilMs) !== match[2] ? undefined : { hash, untilMs };
}

/** As `parseTokenText` reads it; an end within a second is rounded up to it. */
export function formatTokenText({ hash, untilMs }: TokenText): string {
  return untilMs === undefined ? `sha256:${hash}` : `sha256:${hash} until ${toMoment(untilMs)}`;
}

/** RFC 3339 in UTC, to the second. */
export function toMoment(ms: number): string {
  return new Date(Math.ceil(ms / 1_000) * 1_000).toISOString().replace(".000Z", "Z");
}
