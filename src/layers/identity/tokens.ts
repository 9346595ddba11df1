import { timingSafeEqual } from "node:crypto";

/** A token as the configuration knows it. */
export interface TokenEntry {
  /** SHA-256, lower-case hex. */
  readonly hash: string;
  /** Wall clock, milliseconds: from then on it is unknown; undefined: it stays. */
  readonly untilMs: number | undefined;
}

/** SHA-256 of what a caller presents: tokens are looked up and compared by this alone. */
export function digestOf(token: string): Buffer {
  return new Bun.CryptoHasher("sha256").update(token).digest();
}

interface Known {
  readonly owner: string;
  readonly digest: Uint8Array;
  readonly untilMs: number;
}

/** Finds whose token it is. Built once per configuration. */
export class TokenTable {
  readonly #byHash = new Map<string, Known>();

  constructor(agents: Iterable<{ readonly name: string; readonly tokens: readonly TokenEntry[] }>) {
    for (const { name, tokens } of agents) {
      for (const { hash, untilMs } of tokens) {
        this.#byHash.set(hash, { owner: name, digest: Buffer.from(hash, "hex"), untilMs: untilMs ?? Infinity });
      }
    }
  }

  /**
   * The agent that owns the token of this digest, or null. The table is keyed by SHA-256, so that how far a wrong token
   * matches a right one can't be timed; the digests are compared in constant time all the same.
   */
  ownerOf(digest: Buffer, nowMs: number): string | null {
    const known = this.#byHash.get(digest.toString("hex"));
    if (known === undefined || !timingSafeEqual(known.digest, digest)) return null;
    return nowMs < known.untilMs ? known.owner : null;
  }
}
