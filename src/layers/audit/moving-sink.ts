// The trail as everybody knows it, whoever writes it: this process, or the one that has taken over from it.

import type { AuditFacts, AuditHealth, AuditSink } from "./sink.ts";

export class MovingSink implements AuditSink {
  /** Who writes now. */
  target: AuditSink;

  constructor(target: AuditSink) {
    this.target = target;
  }

  append(facts: AuditFacts): Promise<boolean> {
    return this.target.append(facts);
  }

  written(): Promise<void> {
    return this.target.written();
  }

  get faulty(): boolean {
    return this.target.faulty;
  }

  health(): AuditHealth {
    return this.target.health();
  }

  recorded(ids: ReadonlySet<string>): Promise<Set<string>> {
    return this.target.recorded(ids);
  }
}
