// What the dashboard shows beside `/stats`, kept while requests pass: those that run, those that have just ended, and the
// sums over time.

import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import { DashboardAccess } from "../dashboard/access.ts";
import { createDashboard, type Assets } from "../dashboard/dashboard.ts";
import { History } from "../dashboard/history.ts";
import { LiveRequests } from "../dashboard/live-requests.ts";
import { findInTrail, searchTrail } from "../dashboard/trail-search.ts";
import {
  StatsChanges,
  auditFiles,
  entryLine,
  lastLines,
  parseLineHead,
  readTrail,
  type AuditFacts,
  type AuditSink,
  type OpenedRequest,
  type RequestTally,
  type StatsDocument,
} from "../layers/audit/index.ts";
import type { Ledger } from "../layers/budget/index.ts";
import { Calendar } from "../reports/period.ts";
import type { Pages } from "../server/operations.ts";

export interface DashboardFeedParts {
  readonly clock: Clock;
  readonly tally: RequestTally;
  readonly ledger: Pick<Ledger, "saveCounters" | "loadCounters">;
  readonly sink: Pick<AuditSink, "health">;
  /** The file that the trail is written to. */
  readonly trail: string;
  /** The zone of the budget's days. */
  readonly zone: () => string;
  readonly stats: () => StatsDocument;
  /** Throws IDENTITY_* where the caller has no valid token. */
  readonly requireToken: (headers: Headers) => void;
  readonly report: (line: string) => void;
}

/** What a crash loses of the sums is read from the trail, so that they need not be saved often. */
const saveHistoryEveryMs = 60_000;
/** Lines before this are read again after a crash: a request may have run for long when the sums were saved. */
const catchUpSlackMs = 24 * 3_600_000;
/** The sums are no older than this: what was before is not read at a first start. */
const longestHistoryMs = 3 * 366 * 24 * 3_600_000;
/** Where the lines of before the start are looked for. */
const recentBytes = 64 * 1024;

const historyKey = "dashboard_history";
const sessionsKey = "dashboard_sessions";

export class DashboardFeed implements RequestTally {
  readonly pages: Pages;
  readonly access: DashboardAccess;
  readonly #parts: DashboardFeedParts;
  readonly #history: History;
  readonly #live: LiveRequests;
  /** Lines of the trail when this process began, and those of them that the restored sums hold. */
  readonly #before: number;
  readonly #counted: number;
  #assets: Assets | null = null;
  #calendar: { zone: string; calendar: Calendar };
  #savedRevision = 0;
  #savedAt: number;
  #closed = false;

  constructor(parts: DashboardFeedParts) {
    const { clock, ledger } = parts;
    this.#parts = parts;
    this.#savedAt = clock.monotonic();
    this.#calendar = { zone: parts.zone(), calendar: new Calendar(parts.zone()) };
    this.#history = new History(() => this.#calendarOfZone());
    this.#history.restore(ledger.loadCounters(historyKey).get(historyKey));
    this.#savedRevision = this.#history.revision;
    this.#before = parts.sink.health().entries;
    this.#counted = this.#history.seq;
    if (this.#counted < this.#before) this.#history.awaitCatchUp();
    this.#live = new LiveRequests({ clock, lineOf: (seq, facts) => entryLine(seq, "", facts) });
    this.access = new DashboardAccess({
      clock,
      randomBytes,
      load: () => ledger.loadCounters(sessionsKey).get(sessionsKey),
      save: (json) => ledger.saveCounters(sessionsKey, json),
    });
    const changes = new StatsChanges(() => this.#document());
    this.pages = createDashboard({
      access: this.access,
      requireToken: parts.requireToken,
      watch: (signal) => changes.watch(signal),
      history: () => this.#history.document(),
      search: (query) => searchTrail(parts.trail, query),
      find: (seq) => findInTrail(parts.trail, seq),
      assets: () => this.#loadAssets(),
    });
  }

  opened(request?: OpenedRequest): void {
    this.#parts.tally.opened(request);
    if (request !== undefined) this.#live.opened(request);
  }

  closed(facts: AuditFacts): void {
    this.#parts.tally.closed(facts);
    // Its line was appended in the same step.
    const seq = this.#parts.sink.health().entries;
    this.#live.closed(facts, seq);
    this.#history.closed(facts, seq);
  }

  /** Reads what the trail holds of before the start. Never rejects, and is not waited for: requests go first. */
  async readTrail(): Promise<void> {
    const { trail, clock, report } = this.#parts;
    const from = this.#counted;
    try {
      const files = auditFiles(trail);
      const newest = files.at(-1);
      if (newest !== undefined) this.#live.remember(lastLines(newest, 50, recentBytes).filter(isBefore(this.#before)));
      if (from >= this.#before) return;
      const sinceMs = from === 0 ? clock.now() - longestHistoryMs : Math.max(0, this.#history.savedAt - catchUpSlackMs);
      await this.#history.catchUp(from, this.#before, (take) =>
        readTrail(files, {
          sinceMs,
          take: (entry) => {
            if (this.#closed) throw new Error("the gateway stops");
            take(entry);
          },
        }),
      );
    } catch (error) {
      if (!this.#closed) report(`dashboard: the sums of earlier days are incomplete: ${String(error)}`);
    }
  }

  /** Called often; saves the sums now and then, and at once where the gateway stops. */
  save(now = false): void {
    const { clock, ledger } = this.#parts;
    const at = clock.monotonic();
    if (this.#history.revision === this.#savedRevision) return;
    if (!now && at - this.#savedAt < saveHistoryEveryMs) return;
    const snapshot = this.#history.snapshot(clock.now());
    if (snapshot === null) return;
    this.#savedAt = at;
    this.#savedRevision = this.#history.revision;
    ledger.saveCounters(historyKey, snapshot);
  }

  close(): void {
    this.#closed = true;
    this.save(true);
  }

  #document(): StatsDocument & Record<string, unknown> {
    return {
      ...this.#parts.stats(),
      page: this.#assets?.version ?? null,
      live: this.#live.live(),
      recent: this.#live.recent(),
      history: { reading: this.#history.reading, ...this.#history.current(this.#parts.clock.now()) },
    };
  }

  /** Not before somebody looks: the daemon needs it for nothing else. */
  async #loadAssets(): Promise<Assets> {
    this.#assets ??= (await import("../dashboard/built.json", { with: { type: "json" } })).default;
    return this.#assets;
  }

  #calendarOfZone(): Calendar {
    const zone = this.#parts.zone();
    if (zone !== this.#calendar.zone) this.#calendar = { zone, calendar: new Calendar(zone) };
    return this.#calendar.calendar;
  }
}

/** Lines of this process are known already. */
function isBefore(entries: number): (line: string) => boolean {
  return (line) => (parseLineHead(line)?.seq ?? Infinity) <= entries;
}
