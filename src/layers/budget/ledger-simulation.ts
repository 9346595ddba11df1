// A life of a ledger from a seed: random holds, extensions, releases, ends, deadlines, crashes, restarts, reloads that change caps
// and zone, clocks set forward and back, writes that fail in the middle of a transaction and syncs that fail. A model in
// plain sums says what each step must do; after each step the ledger is held against the model, and the ledger's file,
// read with SQL of its own, against both. For tests and `npm run fuzz -- ledger`.

import { Database } from "bun:sqlite";
import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Nanos } from "../../money.ts";
import type { Caps } from "../../request.ts";
import { ManualClock } from "./budget-fixture.ts";
import { LedgerStore, type LedgerBatch } from "./ledger-store.ts";
import type { Hold, Ledger } from "./ledger.ts";
import { openSqliteLedger } from "./sqlite-ledger.ts";
import { Windows, type LastWindows, type WindowKeys } from "./windows.ts";

const agents = ["windu", "mothma", "jocasta"];
const zones = ["Europe/Berlin", "UTC", "Pacific/Kiritimati", "America/St_Johns", "Australia/Lord_Howe"];
const memoryFolder = "/dev/shm";
const steps = 40;
const hourMs = 3_600_000;
const minuteMs = 60_000;
/** Its holds make the ledger write what is queued; it has no part in the rest. */
const flusher = "flusher";

/** mulberry32: a small seeded generator, so that a failing schedule can be run again. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

class BrokenInvariant extends Error {
  override readonly name = "BrokenInvariant";
}

function must(holds: boolean, what: () => string): void {
  if (!holds) throw new BrokenInvariant(what());
}

/** Fails on demand, as a disk does: in the middle of a transaction, or in a sync. */
class FailingStore extends LedgerStore {
  failWrite = false;
  failSync = false;

  override write(batch: LedgerBatch): void {
    if (!this.failWrite) return super.write(batch);
    this.failWrite = false;
    super.write({ ...batch, counters: new FailingMap() });
  }

  override async sync(): Promise<void> {
    if (!this.failSync) return super.sync();
    this.failSync = false;
    throw Object.assign(new Error("EIO"), { code: "EIO" });
  }
}

/** Breaks the transaction after holds and ends were written. */
class FailingMap extends Map<string, string> {
  override [Symbol.iterator](): MapIterator<[string, string]> {
    throw Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
  }
}

/** A priced hold as the model knows it. */
interface Known {
  readonly requestId: string;
  readonly agent: string;
  readonly keys: WindowKeys;
  /** null: it was refused with its batch, but its row may be in the file. */
  hold: Hold | null;
  /** What it had when it was granted, which is on the disk; with all that was drawn since; and what was given back. */
  readonly granted: Nanos;
  drawn: Nanos;
  released: Nanos;
  /** What it holds. */
  nanos: Nanos;
  lifeMs: number;
  /** By the monotonic clock. */
  expiresAt: number;
  /** Ended at this amount; null: open. */
  ended: Nanos | null;
  /** Of an earlier life: what it cost is certain, and nothing happens to it any more. */
  past: boolean;
}

type Step = (simulation: LedgerSimulation) => void | Promise<void>;

/** How often each kind of step comes. */
const weights: readonly (readonly [share: number, step: Step])[] = [
  [0.38, (s) => s.holdSome()],
  [0.08, (s) => s.extendOne()],
  [0.04, (s) => s.shrinkOne()],
  [0.22, (s) => s.endOne()],
  [0.07, (s) => s.letTimePass()],
  [0.05, (s) => s.setClock()],
  [0.05, (s) => s.reload()],
  [0.04, (s) => s.failWrite()],
  [0.01, (s) => s.failSync()],
  [0.04, (s) => s.crash()],
  [0.02, (s) => s.restart()],
];

class LedgerSimulation {
  readonly #next: () => number;
  readonly #clock = new ManualClock("2026-10-24T18:00:00Z");
  readonly #folder: string;
  readonly #caps = new Map<string, Caps>();
  readonly #known: Known[] = [];
  readonly #usedDays: string[] = [];
  #zone = "Europe/Berlin";
  #file: string;
  #ledger!: Ledger;
  #store!: FailingStore;
  /** The model's calendar: asked whenever the ledger is. */
  #windows: Windows;
  #lives = 0;
  #requests = 0;
  #exceeded = 0;

  constructor(seed: number, folder: string) {
    this.#next = seeded(seed);
    this.#folder = folder;
    this.#file = join(folder, "life-0", "ledger.sqlite");
    this.#windows = new Windows(this.#zone);
    for (const agent of agents) this.#caps.set(agent, this.#someCaps());
    this.#open();
    this.#look();
  }

  async run(): Promise<void> {
    for (let step = 0; step < steps; step++) {
      let dice = this.#next();
      const chosen = weights.find(([share]) => (dice -= share) < 0) ?? weights[0]!;
      await chosen[1](this);
      await this.#check();
    }
    await this.#ledger.close();
  }

  // ------------------------------------------------------------------------------------------------------- steps

  async holdSome(): Promise<void> {
    const asked = Array.from({ length: 1 + this.#below(4) }, () => this.#hold());
    await Promise.all(asked);
  }

  async #hold(): Promise<void> {
    const agent = agents[this.#below(agents.length)]!;
    const nanos = this.#below(4_000);
    const caps = this.#caps.get(agent)!;
    const requestId = `req_${++this.#requests}`;
    const lifeMs = (1 + this.#below(48)) * hourMs;
    const faulty = this.#ledger.health().fault !== null;
    const keys = this.#look();
    const fits = nanos === 0 || nanos <= this.#room(agent, caps);
    const answer = this.#ledger.hold({ requestId, attempt: 1, agent, caps, nanos, candidate: "a/b", lifeMs, facts });
    const known: Known = {
      requestId,
      agent,
      keys,
      hold: null,
      granted: nanos,
      drawn: nanos,
      released: 0,
      nanos,
      lifeMs,
      expiresAt: this.#clock.monotonic() + lifeMs,
      ended: null,
      past: false,
    };
    // The money is taken before anybody else can ask.
    if (!faulty && fits && nanos > 0) this.#known.push(known);
    try {
      known.hold = await answer;
    } catch {
      // Only a disk that failed refuses in this way; what was taken is given back.
      must(faulty || this.#failures > 0, () => `${requestId} was refused although nothing had failed`);
      known.ended = 0;
      return;
    }
    must(!faulty, () => `${requestId} was answered although the ledger stands still`);
    must((known.hold !== null) === fits, () => `${requestId}: ${nanos} granted: ${known.hold !== null}, fits: ${fits}`);
    // A day counts as used once money was put aside in it: one that only went by may come again after a crash.
    if (nanos > 0 && fits && this.#usedDays.at(-1) !== keys.day) this.#usedDays.push(keys.day);
    must(
      this.#usedDays.toSorted().join() === [...new Set(this.#usedDays)].join(),
      () => `days: ${this.#usedDays.join()}`,
    );
    if (nanos === 0) known.hold?.settle(0, "free");
    if (nanos === 0) this.#ledger.closeRequest(requestId);
  }

  extendOne(): void {
    const known = this.#pick();
    if (known === undefined) return;
    const nanos = this.#below(2_000);
    this.#look();
    const fits = nanos === 0 || nanos <= this.#roomOf(known);
    const drawn = known.hold!.extend(nanos);
    must(drawn === (fits && this.#ledger.health().fault === null), () => `${known.requestId}: drew ${nanos}: ${drawn}`);
    if (!drawn) return;
    known.drawn += nanos;
    known.nanos += nanos;
    known.expiresAt = this.#clock.monotonic() + known.lifeMs;
  }

  shrinkOne(): void {
    const known = this.#pick();
    if (known === undefined) return;
    const nanos = this.#below(known.nanos + 2);
    const fits = nanos > 0 && nanos <= known.nanos;
    const shrunk = known.hold!.shrink(nanos);
    must(
      shrunk === (fits && this.#ledger.health().fault === null),
      () => `${known.requestId}: gave ${nanos}: ${shrunk}`,
    );
    if (!shrunk) return;
    known.released += nanos;
    known.nanos -= nanos;
  }

  endOne(): void {
    const known = this.#pick();
    if (known === undefined) return;
    const nanos = this.#next() < 0.2 ? 0 : this.#below(Math.ceil(known.nanos * 1.05) + 1);
    if (nanos > known.nanos) this.#exceeded++;
    const ended = nanos === 0 ? known.hold!.void("none") : known.hold!.settle(nanos, "usage");
    must(ended, () => `${known.requestId} could not be ended`);
    must(!known.hold!.settle(1, "again") && !known.hold!.void("again"), () => `${known.requestId} ended twice`);
    known.ended = nanos;
    if (this.#next() < 0.7) this.#ledger.closeRequest(known.requestId);
  }

  letTimePass(): void {
    const ms = (1 + this.#below(10 * 60)) * minuteMs;
    if (this.#next() < 0.3) this.#clock.sleep(ms);
    else this.#clock.ms += ms;
  }

  setClock(): void {
    this.#clock.setBy += (this.#below(60 * 60) - 30 * 60) * minuteMs;
  }

  reload(): void {
    this.#caps.set(agents[this.#below(agents.length)]!, this.#someCaps());
    if (this.#next() < 0.5) return;
    this.#zone = zones[this.#below(zones.length)]!;
    this.#ledger.setZone(this.#zone);
    this.#windows.setZone(this.#zone);
  }

  #failures = 0;

  /** The disk is full for one transaction; the next try succeeds. */
  async failWrite(): Promise<void> {
    if (this.#ledger.health().fault !== null) return;
    this.#store.failWrite = true;
    this.#failures++;
    // What is queued with the holds must not be lost with them.
    this.extendOne();
    this.endOne();
    await this.holdSome();
    await this.#untilWritten();
    this.#failures--;
  }

  /** Nobody knows what is on the disk: only a new life helps, whether the file is as it was written or not. */
  async failSync(): Promise<void> {
    if (this.#ledger.health().fault !== null) return;
    this.#store.failSync = true;
    this.#failures++;
    await this.holdSome();
    await this.#untilStopped();
    await this.holdSome();
    this.extendOne();
    this.endOne();
    await this.crash();
    this.#failures--;
  }

  /** Goes on from a copy of the files as a killed process would leave them. */
  async crash(): Promise<void> {
    const to = join(this.#folder, `life-${++this.#lives}`);
    cpSync(dirname(this.#file), to, { recursive: true });
    await this.#ledger.close();
    rmSync(dirname(this.#file), { recursive: true });
    this.#file = join(to, "ledger.sqlite");
    this.#reopen((known, row) => {
      const full = row !== null && row.ended === "crashed" && row.charged === row.nanos - row.released;
      const grown = full && row.nanos >= known.granted && row.nanos <= known.drawn;
      const wasOpen = grown && row.released <= known.released;
      // Its end had reached the file, or it had not; a refused one may not have either.
      const asEnded = row !== null && row.ended !== "crashed" && row.charged === known.ended;
      const nowhere = row === null && known.hold === null;
      // Folded away: only what had ended is. The sums of the days say whether at the right amount.
      const folded = row === null && known.ended !== null;
      must(wasOpen || asEnded || nowhere || folded, () => `after a crash ${describe(known, row)}`);
      return row?.charged ?? known.ended ?? 0;
    });
  }

  async restart(): Promise<void> {
    const faulty = this.#ledger.health().fault !== null;
    if (faulty) return this.crash();
    await this.#ledger.close();
    this.#reopen((known, row) => {
      // An orderly end loses nothing: what had ended did, what was open is charged as it had grown.
      const expected = known.ended ?? known.nanos;
      const refused = row === null && known.hold === null;
      const folded = row === null && known.ended !== null;
      must(refused || folded || row?.charged === expected, () => `after a restart ${describe(known, row)}`);
      return expected;
    });
  }

  // ------------------------------------------------------------------------------------------------------- lives

  #open(): void {
    this.#ledger = openSqliteLedger({
      file: this.#file,
      timezone: this.#zone,
      clock: this.#clock,
      sinceBootMs: this.#clock.sinceBoot,
      gatherMs: 0,
      retryMs: 1,
      openStore: (file) => (this.#store = new FailingStore(file)),
    });
  }

  /** `reconcile` tells what a hold of the last life has cost, or throws. */
  #reopen(reconcile: (known: Known, row: HoldRecord | null) => Nanos): void {
    const windows = this.#records((db) => windowsIn(db));
    this.#windows = new Windows(this.#zone, windows);
    this.#open();
    this.#look();
    const rows = new Map(this.#records((db) => holdsIn(db)).map((row) => [row.request, row]));
    for (const known of this.#known.filter(({ past }) => !past)) {
      known.ended = reconcile(known, rows.get(known.requestId) ?? null);
      known.past = true;
    }
    for (const open of this.#ledger.openRequests()) this.#ledger.closeRequest(open.requestId);
    this.#exceeded = 0;
  }

  async #untilWritten(): Promise<void> {
    // A failed write is tried again after a millisecond.
    for (let tries = 0; this.#store.failWrite || this.#ledger.health().fault !== null; tries++) {
      must(tries < 5_000, () => "the ledger does not recover from a failed write");
      await Bun.sleep(1);
    }
  }

  async #untilStopped(): Promise<void> {
    for (let tries = 0; this.#ledger.health().fault === null; tries++) {
      must(tries < 5_000, () => "the ledger does not stop after a failed sync");
      await Bun.sleep(1);
    }
  }

  // ------------------------------------------------------------------------------------------------------- model

  #below(n: number): number {
    return Math.floor(this.#next() * n);
  }

  #someCaps(): Caps {
    return {
      daily: this.#below(20_000),
      hourly: this.#next() < 0.5 ? this.#below(10_000) : undefined,
      monthly: this.#next() < 0.5 ? this.#below(60_000) : undefined,
    };
  }

  #pick(): Known | undefined {
    this.#look();
    const open = this.#known.filter((known) => !known.past && known.ended === null && known.hold !== null);
    return open[this.#below(open.length)];
  }

  /** What the ledger does whenever it is asked: turns the windows, and charges what is past its deadline. */
  #look(): WindowKeys {
    const { key } = this.#ledger.day();
    const keys = this.#windows.at(this.#clock.now());
    must(key === keys.day, () => `the day is ${key}, not ${keys.day}`);
    for (const known of this.#known) {
      const open = !known.past && known.ended === null && known.hold !== null;
      if (open && this.#clock.monotonic() >= known.expiresAt) known.ended = known.nanos;
    }
    return keys;
  }

  /** Spent and held in one window. */
  #used(agent: string, window: keyof WindowKeys, key: string): { spent: Nanos; held: Nanos } {
    let [spent, held] = [0, 0];
    for (const known of this.#known) {
      if (known.agent !== agent || known.keys[window] !== key) continue;
      if (known.ended === null) held += known.nanos;
      else spent += known.ended;
    }
    return { spent, held };
  }

  #room(agent: string, caps: Caps, keys = this.#windows.at(this.#clock.now())): Nanos {
    const left = (window: keyof WindowKeys, cap: Nanos | undefined): Nanos => {
      const { spent, held } = this.#used(agent, window, keys[window]);
      return cap === undefined ? Number.POSITIVE_INFINITY : cap - spent - held;
    };
    return Math.min(left("day", caps.daily), left("hour", caps.hourly), left("month", caps.monthly));
  }

  /** An extension is drawn in the windows and under the caps of its hold. */
  #roomOf(known: Known): Nanos {
    return this.#room(known.agent, (known.hold as Hold & { readonly caps: Caps }).caps, known.keys);
  }

  // ------------------------------------------------------------------------------------------------------- checks

  async #check(): Promise<void> {
    const keys = this.#look();
    const { fault, exceeded } = this.#ledger.health();
    must(fault === null, () => `a fault: ${fault}`);
    must(exceeded === this.#exceeded, () => `${exceeded} above their hold, not ${this.#exceeded}`);
    for (const agent of agents) {
      const { spent, held } = this.#used(agent, "day", keys.day);
      const found = this.#ledger.balances(agent);
      must(found.spentNanos === spent && found.heldNanos === held, () => {
        return `${agent} has spent ${found.spentNanos} and holds ${found.heldNanos}, not ${spent} and ${held}`;
      });
      const caps = this.#caps.get(agent)!;
      const [room, expected] = [this.#ledger.room(agent, caps), this.#room(agent, caps)];
      must(room === expected, () => `${agent} has room for ${room}, not ${expected}`);
    }
    await this.#flush();
    this.#records((db) => this.#checkRecords(db));
  }

  async #flush(): Promise<void> {
    const caps = { daily: Number.MAX_SAFE_INTEGER, hourly: undefined, monthly: undefined };
    const requestId = `flush_${++this.#requests}`;
    const ask = { requestId, attempt: 1, agent: flusher, caps, nanos: 1, candidate: "a/b", facts };
    (await this.#ledger.hold(ask))!.void("flush");
    this.#ledger.closeRequest(requestId);
  }

  /** Every sum from the rows alone. */
  #checkRecords(db: Database): void {
    for (const table of ["ends", "releases"]) {
      const orphans = db.query(`SELECT hold FROM ${table} WHERE hold NOT IN (SELECT id FROM holds)`).all();
      must(orphans.length === 0, () => `${orphans.length} ${table} without a hold`);
    }
    const sums = db.query<{ agent: string; window: string; spent: Nanos; held: Nanos }, []>(
      `WITH rows AS (
         SELECT agent, day, hour, month, coalesce(e.nanos, 0) AS spent, iif(e.hold IS NULL, h.nanos - coalesce(r.nanos, 0), 0) AS held
         FROM holds h LEFT JOIN ends e ON e.hold = h.id
           LEFT JOIN (SELECT hold, sum(nanos) AS nanos FROM releases GROUP BY hold) r ON r.hold = h.id
         UNION ALL SELECT agent, day, NULL, month, nanos, 0 FROM totals)
       SELECT agent, day AS window, sum(spent) AS spent, sum(held) AS held FROM rows GROUP BY agent, day
       UNION ALL SELECT agent, month, sum(spent), sum(held) FROM rows GROUP BY agent, month
       UNION ALL SELECT agent, hour, sum(spent), sum(held) FROM rows WHERE hour IS NOT NULL GROUP BY agent, hour`,
    );
    const found = new Map(sums.all().map(({ agent, window, spent, held }) => [`${agent} ${window}`, { spent, held }]));
    const hour = this.#windows.at(this.#clock.now()).hour;
    for (const agent of agents) {
      const own = this.#known.filter((known) => known.agent === agent);
      for (const window of ["day", "month", "hour"] as const) {
        for (const key of new Set(own.map(({ keys }) => keys[window]))) {
          // Hours that are over are folded into their days.
          if (window === "hour" && key < hour) continue;
          const { spent, held } = this.#used(agent, window, key);
          const recorded = found.get(`${agent} ${key}`) ?? { spent: 0, held: 0 };
          must(recorded.spent === spent && recorded.held === held, () => {
            return `the file has ${recorded.spent} and ${recorded.held} of ${agent} in ${key}, not ${spent} and ${held}`;
          });
        }
      }
    }
  }

  /** Reads a copy: a second descriptor of the file would drop the ledger's lock when it is closed. */
  #records<T>(read: (db: Database) => T): T {
    const copy = join(this.#folder, "copy");
    cpSync(dirname(this.#file), copy, { recursive: true });
    const db = new Database(join(copy, "ledger.sqlite"));
    try {
      return read(db);
    } finally {
      db.close();
      rmSync(copy, { recursive: true });
    }
  }
}

interface HoldRecord {
  readonly request: string;
  readonly nanos: Nanos;
  readonly released: Nanos;
  readonly ended: string | null;
  readonly charged: Nanos | null;
}

function holdsIn(db: Database): HoldRecord[] {
  return db
    .query<HoldRecord, []>(
      `SELECT request, h.nanos AS nanos, ended, e.nanos AS charged,
         (SELECT coalesce(sum(nanos), 0) FROM releases WHERE hold = h.id) AS released
       FROM holds h LEFT JOIN ends e ON e.hold = h.id`,
    )
    .all();
}

function windowsIn(db: Database): LastWindows | undefined {
  const row = db.query<{ value: string }, []>("SELECT value FROM meta WHERE key = 'windows'").get();
  return row === null ? undefined : (JSON.parse(row.value) as LastWindows);
}

function describe({ requestId, granted, drawn, released, nanos, ended, hold }: Known, row: HoldRecord | null): string {
  const known = JSON.stringify({ granted, drawn, released, nanos, ended, refused: hold === null });
  return `${requestId} is ${JSON.stringify(row)} in the file and ${known} in the model`;
}

const facts = (): string => "{}";

/** Plays the schedule of `seed` in an empty folder. Throws where an invariant breaks. */
export async function simulateLedger(seed: number, folder: string): Promise<void> {
  await new LedgerSimulation(seed, folder).run();
}

export interface SeedFailure {
  readonly seed: number;
  readonly error: unknown;
}

/**
 * Plays `count` seeds from `first` on, several at a time, in memory where the system has such a folder: what is tried is
 * the books, not the disk. Null: every invariant held.
 */
export async function simulateSeeds(
  first: number,
  count: number,
  onDone: () => void = () => undefined,
): Promise<SeedFailure | null> {
  let next = first;
  let failure: SeedFailure | null = null;
  const play = async (): Promise<void> => {
    while (next < first + count && failure === null) {
      const seed = next++;
      const folder = mkdtempSync(join(existsSync(memoryFolder) ? memoryFolder : tmpdir(), "ledger-"));
      try {
        await simulateLedger(seed, folder);
        onDone();
      } catch (error) {
        failure ??= { seed, error };
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
  };
  await Promise.all(Array.from({ length: 8 }, play));
  return failure;
}
