// The ledger in one process: balances in memory, every record in SQLite. A hold is decided in memory in one step; its
// promise waits for the batch that it is written with. While one batch is being synced the next one gathers, so that the
// cost of a sync is shared by whoever came meanwhile.

import type { Clock } from "../../clock.ts";
import { GatewayError } from "../../errors.ts";
import { usdFromNanos, type Nanos } from "../../money.ts";
import type { Caps } from "../../request.ts";
import { type Balance, type Book, Books, give, LedgerBreach, roomIn, take, unspentIn } from "./books.ts";
import { ClockWatch } from "./clock-watch.ts";
import type { Balances, HandedBooks, Hold, HoldAsk, HoldEnd, Ledger, LedgerHealth, OpenRequest } from "./ledger.ts";
import { Batch } from "./ledger-batch.ts";
import type { LedgerReport, LedgerRequest } from "./ledger-report.ts";
import { LedgerStore, type OpenRow } from "./ledger-store.ts";
import { type HoldKeeper, OpenHold } from "./open-hold.ts";
import type { Trail } from "./trail.ts";
import { monthStart, type WindowKeys, Windows, windowsOf } from "./windows.ts";

// A sync costs as much processor time as serving several requests: under load, batches begin at least so far apart, and
// whoever comes meanwhile shares the next one. A lone request never waits for this.
const defaultGatherMs = 1.5;
// Records nobody waits for ride along with the next hold, or go by themselves after this long.
const lazyMs = 10;
const defaultRetryMs = 1_000;
const foldStep = 500;
/** How often it is looked for holds past their deadline, monotonic milliseconds. */
const sweepEveryMs = 60_000;
const maxNotes = 20;

export interface SqliteLedgerOptions {
  readonly file: string;
  /** IANA zone of the budget's calendar. */
  readonly timezone: string;
  readonly clock: Clock;
  /**
   * What these requests cost by their audit lines, in nano-dollars; absent: a request has none. Asked once, when the file
   * is ours: a process that was killed between a line and its settlement is charged what the line says.
   */
  readonly recordedCosts?: (requestIds: ReadonlySet<string>) => ReadonlyMap<string, Nanos>;
  /** Held against the ledger at start-up, and remembered by it; absent: there is no trail. */
  readonly trail?: Trail;
  /** Milliseconds since the machine was started, its sleep included; absent: it does not sleep. */
  readonly sinceBootMs?: () => number;
  /** Under load, batches begin at least so far apart; milliseconds. */
  readonly gatherMs?: number;
  /** How often a file that cannot be written is tried again; milliseconds. */
  readonly retryMs?: number;
  /** Requests that go on elsewhere, or went on while the file was not ours: their holds stay open. */
  readonly handed?: HandedBooks;
  /** For tests that need failing writes and syncs. */
  readonly openStore?: (file: string) => LedgerStore;
  /** Told once for each fault: why nothing is spent any more, and null when that is over. For the log. */
  readonly onFault?: (fault: string | null) => void;
  /** Told what is odd but stops nothing: a clock that was set, a hold that was forgotten, charges that were restored. */
  readonly onNote?: (text: string) => void;
}

/**
 * Opens the ledger: holds found open are charged in full before it returns. Throws a GatewayError BUDGET_LEDGER (its
 * public message says what to do) and a RangeError for an unknown zone.
 */
export function openSqliteLedger(options: SqliteLedgerOptions): SqliteLedger {
  return new SqliteLedger(options);
}

interface Ended {
  readonly keys: WindowKeys;
  readonly books: ReadonlyMap<string, Book>;
}

export class SqliteLedger implements Ledger, HoldKeeper {
  readonly #clock: Clock;
  readonly #store: LedgerStore;
  readonly #windows: Windows;
  readonly #books: Books;
  readonly #watch: ClockWatch;
  readonly #trail: Trail | undefined;
  readonly #onFault: (fault: string | null) => void;
  readonly #onNote: (text: string) => void;
  readonly #notes: string[] = [];
  /** Priced holds that have not ended. */
  readonly #held = new Set<OpenHold>();
  /** Those, and free ones. */
  readonly #live = new Map<number, OpenHold>();
  #handedOver = false;
  /** First hold of each request that has no audit line yet. */
  readonly #open: Map<string, number>;
  readonly #openAtStart: readonly OpenRequest[];
  #keys: WindowKeys;
  #nextId: number;
  #batch = new Batch();
  #flushing = false;
  #soon = false;
  #later: ReturnType<typeof setTimeout> | null = null;
  #folding = true;
  /** Windows that have ended since the last write, with the balances that their records must bear out. */
  #passed: Ended | null = null;
  #sweepAt: number;
  #expired = 0;
  #fault: string | null = null;
  #hopeless = false;
  #exceeded = 0;
  #closing = false;
  readonly #gatherMs: number;
  readonly #retryMs: number;

  constructor(options: SqliteLedgerOptions) {
    this.#clock = options.clock;
    this.#gatherMs = options.gatherMs ?? defaultGatherMs;
    this.#retryMs = options.retryMs ?? defaultRetryMs;
    this.#onFault = options.onFault ?? (() => undefined);
    this.#onNote = options.onNote ?? (() => undefined);
    this.#trail = options.trail;
    const { clock } = options;
    this.#watch = new ClockWatch(clock, options.sinceBootMs ?? (() => clock.monotonic()));
    this.#sweepAt = clock.monotonic() + sweepEveryMs;
    this.#store = options.openStore?.(options.file) ?? new LedgerStore(options.file);
    try {
      this.#windows = new Windows(options.timezone, this.#store.windows());
      const living = new Set(options.handed?.requests);
      this.#store.chargeOpenHolds(options.recordedCosts ?? (() => new Map<string, Nanos>()), living);
      if (options.trail !== undefined) this.#compareWithTrail(options.trail);
      this.#keys = this.#windows.at(this.#clock.now());
      this.#tellOfFuture();
      // Windows never go back, so what was spent matters in the present ones only.
      const spent = this.#store.spentIn(this.#keys);
      this.#books = new Books((agent, window) => spent.get(agent)?.get(window) ?? 0);
      this.#openAtStart = this.#store.openRequests().filter(({ requestId }) => !living.has(requestId));
      this.#open = this.#store.openFirstHolds();
      this.#nextId = this.#store.lastHoldId() + 1;
      this.#takeBack(this.#store.openHolds(living), options.handed);
      this.#batch.windows = this.#windows.last;
    } catch (error) {
      this.#store.abandon();
      throw error;
    }
    this.#writeLater();
  }

  // Not `async`: the decision must be taken before the caller gets on, and a free hold costs no promise chain.
  hold(ask: HoldAsk): Promise<Hold | null> {
    if (this.#fault !== null || this.#closing) return Promise.reject(this.#refusal());
    const now = this.#clock.now();
    const keys = this.#windowsAt(now);
    const book = this.#books.of(ask.agent, keys);
    const granted = this.#checked(() => take(book, ask.caps, ask.nanos));
    if (granted === undefined) return Promise.reject(this.#refusal());
    if (!granted) return Promise.resolve(null);

    const id = this.#nextId++;
    const moment = { wall: now, monotonic: this.#clock.monotonic() };
    const first = !this.#open.has(ask.requestId);
    if (first) this.#open.set(ask.requestId, id);
    const hold = new OpenHold(this, id, ask, keys, book, moment, first ? ask.facts() : null);
    this.#batch.holds.push(hold);
    this.#live.set(hold.id, hold);
    if (ask.nanos === 0) {
      this.#writeLater();
      return Promise.resolve(hold);
    }
    this.#held.add(hold);
    this.#batch.durable ??= Promise.withResolvers<void>();
    this.#writeSoon();
    return this.#batch.durable.promise.then(
      () => hold,
      (error: unknown) => {
        if (first) this.#open.delete(ask.requestId);
        throw error;
      },
    );
  }

  extend(hold: OpenHold, nanos: Nanos): boolean {
    if (hold.over || this.#fault !== null || this.#closing) return false;
    if (this.#checked(() => take(hold.book, hold.caps, nanos)) !== true) return false;
    hold.nanos += nanos;
    hold.expiresAt = this.#clock.monotonic() + hold.lifeMs;
    hold.deadline = this.#clock.now() + hold.lifeMs;
    hold.granted += nanos;
    this.#batch.grown.add(hold);
    this.#writeSoon();
    return true;
  }

  shrink(hold: OpenHold, nanos: Nanos): boolean {
    if (hold.over || this.#hopeless || this.#closing) return false;
    if (!Number.isSafeInteger(nanos) || nanos <= 0 || nanos > hold.nanos) return false;
    hold.nanos -= nanos;
    this.#checked(() => give(hold.book, nanos, 0));
    // Written in order: a hold that takes this money is in the same batch or in a later one.
    this.#batch.releases.push({ hold: hold.id, nanos });
    this.#writeLater();
    return true;
  }

  end(hold: OpenHold, ended: HoldEnd, nanos: Nanos, why: string): boolean {
    if (hold.over) return false;
    hold.over = true;
    this.#held.delete(hold);
    this.#live.delete(hold.id);
    if (nanos > hold.nanos) this.#exceeded++;
    this.#checked(() => give(hold.book, hold.nanos, nanos));
    this.#batch.ends.push({ hold: hold.id, ended, nanos, why });
    this.#writeLater();
    return true;
  }

  room(agent: string, caps: Caps): Nanos {
    return roomIn(this.#books.of(agent, this.#windowsAt(this.#clock.now())), caps);
  }

  unspent(agent: string, caps: Caps): Nanos {
    return unspentIn(this.#books.of(agent, this.#windowsAt(this.#clock.now())), caps);
  }

  balances(agent: string): Balances {
    const { day } = this.#books.of(agent, this.#windowsAt(this.#clock.now()));
    return { spentNanos: day.spent, heldNanos: day.held };
  }

  windowBalances(agent: string): { readonly hour: Balances; readonly month: Balances } {
    const { hour, month } = this.#books.of(agent, this.#windowsAt(this.#clock.now()));
    return {
      hour: { spentNanos: hour.spent, heldNanos: hour.held },
      month: { spentNanos: month.spent, heldNanos: month.held },
    };
  }

  day(): { readonly key: string; readonly endsAt: number } {
    const { day } = this.#windowsAt(this.#clock.now());
    return { key: day, endsAt: this.#windows.dayEndsAt };
  }

  setZone(zone: string): void {
    this.#windows.setZone(zone);
  }

  closeRequest(requestId: string): void {
    const id = this.#open.get(requestId);
    if (id === undefined) return;
    this.#open.delete(requestId);
    this.#batch.closed.push(id);
    this.#writeLater();
  }

  openRequests(): readonly OpenRequest[] {
    return this.#openAtStart.filter((request) => this.#open.has(request.requestId));
  }

  saveCounters(key: string, json: string): void {
    this.#batch.counters.set(key, json);
    this.#writeLater();
  }

  loadCounters(prefix: string): ReadonlyMap<string, string> {
    const found = this.#store.counters(prefix);
    for (const [key, json] of this.#batch.counters) if (key.startsWith(prefix)) found.set(key, json);
    return found;
  }

  report(sinceDay: string): LedgerReport {
    return this.#store.report(sinceDay);
  }

  reportRequests(agent: string, day: string): readonly LedgerRequest[] {
    return this.#store.reportRequests(agent, day);
  }

  health(): LedgerHealth {
    return { fault: this.#fault, exceeded: this.#exceeded, expired: this.#expired, notes: this.#notes };
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#later !== null) clearTimeout(this.#later);
    while (this.#flushing) await this.#flushed;
    if (!this.#hopeless) {
      // What was handed over goes on changing: the sums are compared where the books are now.
      if (!this.#handedOver) this.#passed ??= { keys: this.#keys, books: this.#books.all() };
      await this.#flush();
    }
    if (this.#fault === null) await this.#store.close();
    else this.#store.abandon();
  }

  // ------------------------------------------------------------------------------------------------- handing over

  /**
   * Every hold that has not ended; `keeper` gets what is asked of them from now on. `close` is to follow. Those of
   * `elsewhere` are kept for other processes, which have put money ahead of them already.
   */
  handOver(
    keeper: HoldKeeper,
    elsewhere: ReadonlySet<string>,
  ): { readonly holds: readonly OpenHold[]; readonly requests: readonly string[] } {
    this.#handedOver = true;
    this.#passed = null;
    for (const hold of this.#held) if (!elsewhere.has(hold.requestId)) this.#putAhead(hold);
    const holds = [...this.#live.values()];
    for (const hold of holds) hold.keeper = keeper;
    return { holds, requests: [...this.#open.keys()] };
  }

  /** A hold that has not ended. */
  liveHold(id: number): OpenHold | undefined {
    return this.#live.get(id);
  }

  /**
   * Keeps the books of a hold again that somebody else kept them of meanwhile, as the file tells now: `hold` is the object
   * that its request knows.
   */
  rebind(hold: OpenHold): void {
    hold.keeper = this;
    const read = this.#live.get(hold.id);
    hold.over = read === undefined;
    if (read === undefined) return;
    this.#held.delete(read);
    this.#live.set(hold.id, hold);
    const spare = read.nanos - hold.nanos;
    hold.book = read.book;
    hold.granted = read.granted;
    hold.nanos = read.nanos;
    hold.ahead = 0;
    if (hold.nanos > 0) this.#held.add(hold);
    if (spare > 0) this.shrink(hold, spare);
  }

  /** Resolves when everything that was done so far is on disk; rejects where that is not certain. */
  async durable(): Promise<void> {
    if (this.#fault !== null) throw this.#refusal();
    if (!this.#batch.empty) {
      this.#batch.durable ??= Promise.withResolvers<void>();
      const { promise } = this.#batch.durable;
      this.#writeSoon();
      await promise;
    } else if (this.#flushing) {
      await this.#flushed;
      if (this.#fault !== null) throw this.#refusal();
    }
  }

  /** The process that these requests ran in is gone: their holds are charged in full. What they cost, as after a crash. */
  async chargeLost(requests: ReadonlySet<string>): Promise<readonly OpenRequest[]> {
    for (const hold of this.#live.values()) {
      if (requests.has(hold.requestId)) this.end(hold, "crashed", hold.nanos, "its process ended");
    }
    await this.durable();
    return this.#store.openRequests().filter(({ requestId }) => requests.has(requestId));
  }

  /**
   * What a stream may draw while the books change hands, and between two answers of who has them then: taken from the caps
   * beforehand, given back with the hold's end. A quarter of the room at most.
   */
  #putAhead(hold: OpenHold): void {
    const room = Math.floor(Math.max(0, roomIn(hold.book, hold.caps)) / 4);
    const nanos = Math.min(hold.nanos, room);
    if (nanos <= 0 || this.#checked(() => take(hold.book, hold.caps, nanos)) !== true) return;
    hold.ahead = nanos;
    hold.granted += nanos;
    this.#batch.grown.add(hold);
  }

  /** Holds that go on, as their records stand. What nobody knows of was asked for and never granted to anyone. */
  #takeBack(rows: readonly OpenRow[], handed: HandedBooks | undefined): void {
    const known = new Map(handed?.holds.map((hold) => [hold.id, hold]));
    const moment = { wall: this.#clock.now(), monotonic: this.#clock.monotonic() };
    for (const row of rows) {
      const { id, request, attempt, agent, candidate, nanos, granted } = row;
      const caps = known.get(id)?.caps ?? { daily: 0, hourly: undefined, monthly: undefined };
      const lifeMs = known.get(id)?.lifeMs;
      const ask = { requestId: request, attempt, agent, caps, nanos, candidate, facts: () => "" };
      const keys = { day: row.day, hour: row.hour, month: row.month };
      this.#books.of(agent, this.#keys);
      const book = this.#books.past(agent, keys);
      const hold = new OpenHold(this, id, lifeMs === undefined ? ask : { ...ask, lifeMs }, keys, book, moment, null);
      hold.granted = granted;
      hold.book.day.held += nanos;
      hold.book.hour.held += nanos;
      hold.book.month.held += nanos;
      this.#live.set(hold.id, hold);
      if (nanos > 0) this.#held.add(hold);
      if (!known.has(id)) this.end(hold, "voided", 0, "never granted: the books changed hands");
    }
  }

  // ------------------------------------------------------------------------------------------------ group commit

  #flushed: Promise<void> = Promise.resolve();
  /** When the last batch began, monotonic milliseconds, and whether several holds were in it. */
  #flushedAt = Number.NEGATIVE_INFINITY;
  #shared = false;

  #writeSoon(): void {
    if (this.#soon || this.#flushing) return;
    this.#soon = true;
    const begin = (): void => {
      this.#soon = false;
      this.#startFlush();
    };
    const waitMs = this.#flushedAt + this.#gatherMs - this.#clock.monotonic();
    // Never longer than the gap itself, whatever the clock says.
    if (this.#shared && waitMs > 0) setTimeout(begin, Math.min(waitMs, this.#gatherMs));
    else setImmediate(begin);
  }

  #writeLater(delayMs = lazyMs): void {
    if (this.#soon || this.#flushing || this.#later !== null || this.#closing) return;
    this.#later = setTimeout(() => this.#startFlush(), delayMs);
  }

  #startFlush(): void {
    if (this.#later !== null) clearTimeout(this.#later);
    this.#later = null;
    if (this.#flushing || this.#hopeless || this.#closing) return;
    this.#flushed = this.#flush();
  }

  /** Never rejects. */
  async #flush(): Promise<void> {
    this.#flushing = true;
    this.#flushedAt = this.#clock.monotonic();
    const batch = this.#batch;
    this.#shared = batch.holds.length > 1;
    this.#batch = new Batch();
    try {
      this.#write(batch);
      await this.#store.sync().catch((cause: unknown) => this.#stop("The ledger cannot be synced to disk", cause));
      if (this.#hopeless) this.#reject(batch);
      else {
        this.#recovered();
        batch.durable?.resolve();
      }
    } catch (cause) {
      this.#reject(batch);
      if (cause instanceof LedgerBreach) this.#stop("The ledger's records and balances differ", cause);
      else {
        this.#batch.prepend(batch);
        this.#suspend("The ledger cannot be written", cause);
      }
    }
    this.#flushing = false;
    this.#next();
  }

  #write(batch: Batch): void {
    if (batch.closed.length > 0) batch.trail = this.#trail?.durable() ?? null;
    if (!batch.empty) this.#store.write(batch);
    // Right after a write, and only then, file and memory must agree: nothing is queued.
    if (this.#passed !== null) this.#compare(this.#passed);
    this.#passed = null;
    if (this.#folding) this.#folding = this.#store.fold(this.#keys, foldStep);
  }

  #next(): void {
    if (this.#hopeless || this.#closing) return;
    if (this.#fault !== null) this.#writeLater(this.#retryMs);
    else if (this.#batch.durable !== null || this.#batch.grown.size > 0) this.#writeSoon();
    else if (this.#folding || !this.#batch.empty) this.#writeLater();
  }

  /** Whoever waits for this batch is refused, and gets back what was taken. */
  #reject(batch: Batch): void {
    if (batch.durable === null) return;
    for (const hold of batch.holds) {
      if (hold.nanos === 0 || hold.over) continue;
      hold.over = true;
      hold.refused = true;
      this.#held.delete(hold);
      this.#live.delete(hold.id);
      this.#checked(() => give(hold.book, hold.nanos, 0));
    }
    batch.durable.reject(this.#refusal());
  }

  // ------------------------------------------------------------------------------------------------------ faults

  #refusal(): GatewayError {
    return new GatewayError("BUDGET_LEDGER", { cause: this.#fault });
  }

  /** A fault that may pass (a full disk): what is queued is tried again. */
  #suspend(what: string, cause: unknown): void {
    const fault = `${what} (${nameOf(cause)}); free space on its disk. It is tried again every second.`;
    const news = this.#fault === null;
    this.#fault = fault;
    // So that the next try writes something and does not succeed for want of work.
    this.#batch.windows ??= this.#windows.last;
    if (news) this.#onFault(fault);
  }

  #recovered(): void {
    if (this.#fault === null || this.#hopeless) return;
    this.#fault = null;
    this.#onFault(null);
  }

  /** A fault after which nobody knows what the file holds: only a restart, which reads it anew, can help. */
  #stop(what: string, cause: unknown): void {
    if (this.#hopeless) return;
    this.#hopeless = true;
    this.#fault = `${what} (${nameOf(cause)}); check the disk and restart the gateway.`;
    this.#onFault(this.#fault);
  }

  /** Undefined: the sums were wrong, and the ledger has stopped. */
  #checked<T>(step: () => T): T | undefined {
    try {
      return step();
    } catch (error) {
      if (!(error instanceof LedgerBreach)) throw error;
      this.#stop("The ledger's sums are wrong", error);
      return undefined;
    }
  }

  // ------------------------------------------------------------------------------------------------- a new window

  #windowsAt(now: number): WindowKeys {
    const monotonic = this.#clock.monotonic();
    const keys = this.#windows.at(now);
    const before = this.#keys;
    if (keys !== before) this.#turn(keys);
    const setBy = this.#watch.look(now, monotonic);
    if (setBy !== 0) this.#tellOfClock(setBy, before.day);
    if (monotonic >= this.#sweepAt) this.#sweep(monotonic);
    return keys;
  }

  #turn(keys: WindowKeys): void {
    this.#passed ??= { keys: this.#keys, books: this.#books.all() };
    this.#folding = true;
    this.#keys = keys;
    this.#batch.windows = this.#windows.last;
    this.#writeLater();
  }

  /** What is spent in each window, and held in all, must be what the records say. */
  #compare({ keys, books }: Ended): void {
    const recorded = this.#store.spentIn(keys);
    const check = (agent: string, { key, spent }: Balance, window: string): void => {
      if (key === window && (recorded.get(agent)?.get(window) ?? 0) !== spent) {
        throw new LedgerBreach(`the records of ${agent} in ${window} do not add up to the balance`);
      }
    };
    for (const [agent, book] of books) {
      check(agent, book.day, keys.day);
      check(agent, book.hour, keys.hour);
      check(agent, book.month, keys.month);
    }
    const held = this.#store.held();
    for (const { agent, nanos } of this.#held) held.set(agent, (held.get(agent) ?? 0) - nanos);
    for (const [agent, rest] of held) {
      if (rest !== 0) throw new LedgerBreach(`the open holds of ${agent} do not add up to what is held`);
    }
  }

  // ------------------------------------------------------------------------------------------------ what is odd

  /** Charges in full what nobody has ended, so that a fault of ours holds no money back and gives none away. */
  #sweep(monotonic: number): void {
    this.#sweepAt = monotonic + sweepEveryMs;
    const forgotten = [...this.#held].filter((hold) => monotonic >= hold.expiresAt);
    if (forgotten.length === 0) return;
    for (const hold of forgotten) this.end(hold, "expired", hold.nanos, "open past its deadline");
    this.#expired += forgotten.length;
    const [{ requestId, candidate }] = forgotten as [OpenHold];
    const nanos = forgotten.reduce((sum, hold) => sum + hold.nanos, 0);
    this.#note(
      `${forgotten.length} holds were open past their deadline and are charged in full, ${usd(nanos)} (first: ${requestId}, ` +
        `${candidate}); please report this fault of the gateway`,
    );
  }

  #tellOfClock(setByMs: number, dayBefore: string): void {
    const { day } = this.#keys;
    const size = duration(Math.abs(setByMs));
    if (setByMs < 0)
      this.#note(`the clock was set back by ${size}; the budget's day stays ${day}, and no cap is refilled`);
    else if (day === dayBefore) this.#note(`the clock was set forward by ${size}; the budget's day is still ${day}`);
    else {
      this.#note(
        `the clock was set forward by ${size}; the budget's day is ${day} instead of ${dayBefore}. If the clock goes back, ` +
          `${day} goes on until the calendar has passed it`,
      );
    }
  }

  /** At start-up: the clock may have been set back meanwhile, or have been wrong before. */
  #tellOfFuture(): void {
    const now = this.#clock.now();
    const { day } = windowsOf(now, this.#windows.zone);
    if (this.#keys.day <= day) return;
    this.#note(
      `the clock says ${day}, but the budget's day is ${this.#keys.day} already and goes on until the calendar has passed it. ` +
        "Where that day was a mistake of the clock: stop the gateway, move state/ledger.sqlite away, start it again; what " +
        "the audit trail says was spent this month is taken over",
    );
  }

  /** A ledger that was deleted or put back from a copy lacks charges: the trail knows them. */
  #compareWithTrail(trail: Trail): void {
    const { zone } = this.#windows;
    const now = this.#clock.now();
    const mark = this.#store.trailMark();
    // The ledger of a version without marks is taken as it is.
    const trusted = mark === null && !this.#store.isNew;
    const { end, continues, charges } = trail.since(mark, trusted ? Number.POSITIVE_INFINITY : monthStart(now, zone));
    if (!continues) {
      this.#note(
        `the audit trail ends with line ${end.seq} and does not go on from line ${mark?.seq ?? 0}, which the ledger ` +
          "remembers: it was cut off, replaced or moved",
      );
    }
    const windows = new Map<number, WindowKeys>();
    const keysAt = (ms: number): WindowKeys => {
      // One look at the calendar for a quarter of an hour: no zone changes its date or hour within one.
      const quarter = Math.floor(ms / 900_000);
      const keys = windows.get(quarter) ?? windowsOf(ms, zone);
      windows.set(quarter, keys);
      return keys;
    };
    const restored = this.#store.restore(continues ? charges : [], end, keysAt, now);
    if (restored.size === 0) return;
    const amounts = [...restored].map(([agent, nanos]) => `${agent} ${usd(nanos)}`);
    this.#note(
      `charges of the audit trail were missing, as after the ledger was deleted or put back from a copy; they are restored: ` +
        amounts.join(", "),
    );
  }

  #note(text: string): void {
    this.#notes.push(text);
    if (this.#notes.length > maxNotes) this.#notes.shift();
    this.#batch.notes.push({ at: this.#clock.now(), text });
    this.#writeLater();
    this.#onNote(text);
  }
}

function usd(nanos: Nanos): string {
  return `$${usdFromNanos(nanos).toFixed(4)}`;
}

function duration(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  if (minutes < 120) return `${minutes} min`;
  return minutes < 48 * 60 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1_440)} days`;
}

function nameOf(cause: unknown): string {
  if (cause instanceof Error && "code" in cause && typeof cause.code === "string") return cause.code;
  return cause instanceof Error ? cause.message : "unknown";
}
