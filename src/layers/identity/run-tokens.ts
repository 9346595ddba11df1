import { timingSafeEqual } from "node:crypto";

/** Their holders are told to come at once. */
const inheritedMs = 15_000;

interface Loan {
  readonly owner: string;
  readonly digest: Uint8Array;
  readonly onRevoked: () => void;
}

/**
 * Tokens that were lent to a command that runs now. Their hashes are in memory alone, outside the generations: a reload
 * and a restart keep them, a stop ends them all.
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

  /** All of them, for the process that takes over. */
  lent(): { readonly owner: string; readonly digest: string }[] {
    return [...this.#byHash].map(([digest, { owner }]) => ({ owner, digest }));
  }

  /** Tokens that another process has lent, for as long as their holders need to come here: then `lend` is called again. */
  inherit(tokens: readonly { readonly owner: string; readonly digest: string }[]): void {
    for (const { owner, digest } of tokens) {
      const giveBack = this.lend(owner, Buffer.from(digest, "hex"), () => undefined);
      setTimeout(giveBack, inheritedMs).unref();
    }
  }

  /** The holder of an inherited token has come. Null: none of this owner is known by this digest. */
  lendAgain(owner: string, digest: string, onRevoked: () => void): { readonly giveBack: () => void } | null {
    if (this.#byHash.get(digest)?.owner !== owner) return null;
    return { giveBack: this.lend(owner, Buffer.from(digest, "hex"), onRevoked) };
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
