import { timingSafeEqual } from "node:crypto";

interface Loan {
  readonly owner: string;
  readonly digest: Uint8Array;
  readonly onRevoked: () => void;
}

/**
 * Tokens that were lent to a command that runs now. Their hashes are in memory alone, outside the generations: a reload
 * keeps them, a stop of the process ends them all.
 */
export class RunTokens {
  readonly #byHash = new Map<string, Loan>();

  /**
   * Makes the token of this digest one of `owner`. The returned function ends it, and does nothing when called again;
   * `onRevoked` is called once where the agent is taken away before that.
   */
  lend(owner: string, digest: Uint8Array, onRevoked: () => void): () => void {
    const hash = Buffer.from(digest).toString("hex");
    const loan: Loan = { owner, digest, onRevoked };
    this.#byHash.set(hash, loan);
    return () => {
      if (this.#byHash.get(hash) === loan) this.#byHash.delete(hash);
    };
  }

  /** As `TokenTable.ownerOf`. */
  ownerOf(digest: Buffer): string | null {
    const loan = this.#byHash.get(digest.toString("hex"));
    return loan !== undefined && timingSafeEqual(loan.digest, digest) ? loan.owner : null;
  }

  /** A new configuration: tokens of agents that it has no more are gone for good, also when the name comes back later. */
  retain(agents: { has(name: string): boolean }): void {
    for (const [hash, loan] of this.#byHash) {
      if (agents.has(loan.owner)) continue;
      this.#byHash.delete(hash);
      loan.onRevoked();
    }
  }
}
