// What each agent has had of an account, so that one that floods does not slow the others: who has had least is served
// next (start-time fair queueing: a request's place is where its agent's last one ended, or where the account is now), and
// the last part of a quota is kept for those who have had little.

/** Who has not come for so long leaves nothing kept for it. */
const ACTIVE_MS = 600_000;
/** Most limits are by the minute: what was had a minute ago counts a third. */
const DECAY_MS = 60_000;
/** Agents come from the configuration; this bounds what many reloads leave behind. */
const MOST_AGENTS = 1_024;

export interface Share {
  readonly agent: string;
  /** Where the agent's last request ends on the account's scale. */
  endsAt: number;
  /** Parts of the account's quotas, decayed as of `countedMs`. */
  had: number;
  countedMs: number;
  /** How many of its requests wait. */
  waiting: number;
}

/** One account's. Costs are shares of its quotas: 1 is all of one window. */
export class Shares {
  readonly #byAgent = new Map<string, Share>();
  /** Where the account is: the place of the last one that was served. */
  #servedTo = 0;

  of(agent: string, nowMs: number): Share {
    const known = this.#byAgent.get(agent);
    if (known !== undefined) return known;
    if (this.#byAgent.size >= MOST_AGENTS) this.#forgetIdle(nowMs);
    const share: Share = { agent, endsAt: this.#servedTo, had: 0, countedMs: nowMs, waiting: 0 };
    this.#byAgent.set(agent, share);
    return share;
  }

  /** Gives a request its place: the smaller, the sooner. */
  placeOf(share: Share, cost: number): number {
    const place = Math.max(this.#servedTo, share.endsAt);
    share.endsAt = place + cost;
    return place;
  }

  /** It is not served after all: the next one of its agent has not to stand behind it. */
  leave(share: Share, cost: number): void {
    share.endsAt -= cost;
  }

  served(share: Share, place: number, cost: number, nowMs: number): void {
    if (place > this.#servedTo) this.#servedTo = place;
    share.had = decayed(share, nowMs) + cost;
    share.countedMs = nowMs;
  }

  /**
   * What is kept from an agent that had more than an even share lately: the part of a quota that those who had less take in
   * a minute; 0: there are no others. Null: nothing is kept from it.
   */
  keptFrom(share: Share, nowMs: number): number | null {
    const had = decayed(share, nowMs);
    if (had <= 1 / Math.max(2, this.#byAgent.size)) return null;
    let active = 1;
    for (const other of this.#byAgent.values()) if (other !== share && isActive(other, nowMs)) active++;
    if (active === 1) return 0;
    if (had <= 1 / active) return null;
    let others = 0;
    for (const other of this.#byAgent.values()) {
      const theirs = other === share ? Infinity : decayed(other, nowMs);
      if (theirs <= 1 / active) others += theirs;
    }
    return others;
  }

  #forgetIdle(nowMs: number): void {
    for (const [agent, share] of this.#byAgent) {
      if (share.waiting === 0 && nowMs - share.countedMs >= DECAY_MS) this.#byAgent.delete(agent);
    }
  }
}

function isActive({ had, countedMs }: Share, nowMs: number): boolean {
  return had > 0 && nowMs - countedMs < ACTIVE_MS;
}

function decayed({ had, countedMs }: Share, nowMs: number): number {
  return had === 0 ? 0 : had * Math.exp((countedMs - nowMs) / DECAY_MS);
}
