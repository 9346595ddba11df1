import { timingSafeEqual } from "node:crypto";

/** Finds whose token it is. Built once per configuration. */
export class TokenTable {
  readonly #byHash = new Map<string, { readonly agent: string; readonly digest: Uint8Array }>();

  constructor(agents: Iterable<{ readonly name: string; readonly tokenHashes: readonly string[] }>) {
    for (const { name, tokenHashes } of agents) {
      for (const hash of tokenHashes) {
        this.#byHash.set(hash, { agent: name, digest: Buffer.from(hash, "hex") });
      }
    }
  }

  /**
   * The agent that owns the token, or null. The table is keyed by SHA-256, so that how far a wrong token matches a right
   * one can't be timed; the digests are compared in constant time all the same.
   */
  ownerOf(token: string): string | null {
    const digest = new Bun.CryptoHasher("sha256").update(token).digest();
    const entry = this.#byHash.get(digest.toString("hex"));
    if (entry === undefined || !timingSafeEqual(entry.digest, digest)) return null;
    return entry.agent;
  }
}
