// The trail of a process for which another one writes it: the place in the chain is given there.

import { CHAIN_START } from "./chain.ts";
import type { AuditFacts, AuditHealth, AuditSink } from "./sink.ts";

/** A line's facts as plain data: `served` is one of the attempts, by its place. */
export interface LineErrand {
  readonly do: "line";
  readonly facts: Omit<AuditFacts, "served"> & { readonly served: number };
}

export function toErrand(facts: AuditFacts): LineErrand {
  const served = facts.served === null ? -1 : facts.attempts.indexOf(facts.served);
  return { do: "line", facts: { ...facts, served } };
}

export function fromErrand({ facts }: LineErrand): AuditFacts {
  return { ...facts, served: facts.attempts[facts.served] ?? null };
}

export class RemoteSink implements AuditSink {
  readonly faulty = false;
  #last: Promise<unknown> = Promise.resolve();
  readonly #tell: (errand: LineErrand) => Promise<unknown>;

  /** `tell` resolves to true when the line is durable; rejects where nobody writes any more. */
  constructor(tell: (errand: LineErrand) => Promise<unknown>) {
    this.#tell = tell;
  }

  append(facts: AuditFacts): Promise<boolean> {
    const durable = this.#tell(toErrand(facts)).then(
      (told) => told === true,
      () => false,
    );
    this.#last = durable;
    return durable;
  }

  /** Told lines are answered in order. */
  async written(): Promise<void> {
    await this.#last;
  }

  health(): AuditHealth {
    const { seq: entries, head } = CHAIN_START;
    return { entries, head, lastWrittenAt: null, fault: null, pending: 0, lost: 0, notes: [] };
  }

  async recorded(): Promise<Set<string>> {
    return new Set();
  }
}
