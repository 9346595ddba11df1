// The audit trail in a file. Lines of one event-loop turn go out in one write; then the file is synced in the
// background, a few times a second at most, because a sync costs as much processor time as serving several requests.
// After a crash of the process nothing is lost that was written; after a power cut, what the last sync had not reached
// is found open in the ledger and gets its line at start-up.

import { setImmediate } from "node:timers";
import type { Clock } from "../../clock.ts";
import { AuditFile, codeOf, type FileCalls, type FileRotation, type FileWatcher } from "./audit-file.ts";
import { CHAIN_START, hashLine, type ChainPosition } from "./chain.ts";
import { entryLine } from "./entry.ts";
import { recordedCosts } from "./recorded-costs.ts";
import { periodEnd, type RotationPeriod } from "./rotation-period.ts";
import type { AuditFacts, AuditHealth, AuditSink } from "./sink.ts";
import { startPosition } from "./start-position.ts";

/** As in the configuration. */
export interface Rotation {
  readonly sizeBytes: number;
  readonly keep: number;
  readonly every?: RotationPeriod | undefined;
  /** Of `every`; an IANA name. */
  readonly timezone?: string | undefined;
}

export interface FileSinkOptions {
  /** Absolute path. */
  readonly path: string;
  readonly clock: Clock;
  /** Rotation, as in the configuration. */
  readonly rotate: Rotation;
  /** A line that is known to have been written; null: none is. The numbers go on after it, whatever is in the file. */
  readonly sealed?: ChainPosition | null;
  readonly watcher?: FileWatcher;
  /** Called with what points to tampering; absent: `onNote` is. */
  readonly onAlarm?: (text: string) => void;
  /** How often an idle gateway looks whether the file is in its place, milliseconds. */
  readonly lookEveryMs?: number;
  /** At least this long between two syncs, milliseconds. */
  readonly syncEveryMs?: number;
  /** How often a faulty file is tried again, milliseconds. */
  readonly retryEveryMs?: number;
  /** At most so often it is checked that the file is in its place, milliseconds. */
  readonly ensureEveryMs?: number;
  /** How many lines are kept while the file is faulty. */
  readonly maxPending?: number;
  /** For the log: called when a fault begins, when it ends, and with what was mended. */
  readonly onNote?: (text: string) => void;
  /** For tests that need failing system calls. */
  readonly calls?: FileCalls;
}

const LINES_PER_WRITE = 256;
/**
 * How often it is checked, while lines are written, that the file is still in its place: the check costs as much as a
 * line, and what a deletion takes away it takes with everything before.
 */
const ENSURE_EVERY_MS = 20;
const MAX_NOTES = 20;

export class FileSink implements AuditSink, AsyncDisposable {
  readonly #clock: Clock;
  readonly #path: string;
  readonly #file: AuditFile;
  readonly #syncEveryMs: number;
  readonly #retryEveryMs: number;
  readonly #ensureEveryMs: number;
  readonly #maxPending: number;
  readonly #onNote: (text: string) => void;
  readonly #onAlarm: (text: string) => void;
  readonly #notes: string[] = [];
  readonly #look: ReturnType<typeof setInterval>;

  #seq: number;
  #head: string;
  /** The last line that is in the file, and the last one that a sync has covered. */
  #written: ChainPosition;
  #durable: ChainPosition | null = null;
  #lastWrittenAt: number | null = null;
  #lost = 0;
  #fault: { message: string; since: number } | null = null;

  /** Lines without newline, in order, that are not in the file yet. */
  #queue: string[] = [];
  #flushPlanned = false;
  /** Whoever waits for the next flush. */
  #out: PromiseWithResolvers<void> | null = null;
  /** When the file was last found to be in its place, monotonic milliseconds. */
  #ensuredAt = Number.NEGATIVE_INFINITY;
  /** What was written since the last successful sync, needed again if the next one fails. */
  #unsynced: string[] = [];
  /** Shared by all lines since the last sync began. */
  #group = Promise.withResolvers<boolean>();
  /** Groups of failed syncs, not durable yet. */
  #waiting: PromiseWithResolvers<boolean>[] = [];
  #syncing: Promise<void> | null = null;
  #cooling: ReturnType<typeof setTimeout> | null = null;
  #retry: ReturnType<typeof setInterval> | null = null;
  #closed = false;

  /** Opens the file, mends it, and goes on with its chain. Throws where that is impossible: do not start then. */
  constructor(options: FileSinkOptions) {
    this.#clock = options.clock;
    this.#path = options.path;
    this.#syncEveryMs = options.syncEveryMs ?? 100;
    this.#retryEveryMs = options.retryEveryMs ?? 1_000;
    this.#ensureEveryMs = options.ensureEveryMs ?? ENSURE_EVERY_MS;
    this.#maxPending = options.maxPending ?? 10_000;
    this.#onNote = options.onNote ?? (() => undefined);
    this.#onAlarm = options.onAlarm ?? this.#onNote;
    this.#written = CHAIN_START;
    this.#file = new AuditFile({
      path: options.path,
      rotation: fileRotation(options.rotate),
      note: (text) => this.#note(text),
      alarm: (text) => this.#alarm(text),
      written: () => this.#written,
      now: () => options.clock.now(),
      watcher: options.watcher,
      ...(options.calls === undefined ? {} : { calls: options.calls }),
    });
    const { position, alarm } = startPosition(options.path, this.#file.start(), options.sealed ?? null);
    if (alarm !== null) this.#alarm(alarm);
    this.#seq = position.seq;
    this.#head = position.head;
    this.#written = position;
    // What the last process wrote was synced just now.
    this.#durable = alarm === null ? position : null;
    this.#look = setInterval(() => this.#lookAtFile(), options.lookEveryMs ?? 1_000);
    this.#look.unref();
  }

  append(facts: AuditFacts): Promise<boolean> {
    if (this.#closed || (this.#fault !== null && this.#queue.length >= this.#maxPending)) {
      this.#lost++;
      return Promise.resolve(false);
    }
    const line = entryLine(this.#seq + 1, this.#head, facts);
    this.#seq++;
    this.#head = hashLine(line);
    this.#queue.push(line);
    if (!this.#flushPlanned && this.#fault === null) {
      this.#flushPlanned = true;
      setImmediate(this.#flushTurn);
    }
    return this.#group.promise;
  }

  written(): Promise<void> {
    if (!this.#flushPlanned) return Promise.resolve();
    this.#out ??= Promise.withResolvers<void>();
    return this.#out.promise;
  }

  get faulty(): boolean {
    return this.#fault !== null;
  }

  health(): AuditHealth {
    return {
      entries: this.#seq,
      head: this.#head,
      lastWrittenAt: this.#lastWrittenAt,
      fault: this.#fault,
      pending: this.#queue.length,
      lost: this.#lost,
      notes: this.#notes,
    };
  }

  async recorded(ids: ReadonlySet<string>): Promise<Set<string>> {
    return new Set(recordedCosts(this.#path, ids).keys());
  }

  /** The last line that is known to be on the disk; null: none is. */
  durable(): ChainPosition | null {
    return this.#durable;
  }

  /** A reload has changed when the file is rotated; `audit.file` itself needs a restart. */
  configure(rotate: FileSinkOptions["rotate"]): void {
    this.#file.setRotation(fileRotation(rotate));
  }

  /** Writes and syncs what is queued, whatever the pace; tries a faulty file once more. True: all lines are durable. */
  async flush(): Promise<boolean> {
    this.#write();
    // The first round may only wait for a sync that began before the write.
    for (let round = 0; round < 2 && this.#fault === null && this.#unsynced.length > 0; round++) {
      this.#startSync();
      await this.#syncing;
    }
    if (this.#fault !== null) {
      await this.#syncing;
      await this.#recover();
    }
    return this.#fault === null;
  }

  /** Writes, syncs and closes. Lines that could not be written are given up. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    await this.flush();
    this.#closed = true;
    clearInterval(this.#look);
    if (this.#cooling !== null) clearTimeout(this.#cooling);
    if (this.#retry !== null) clearInterval(this.#retry);
    this.#lost += this.#queue.length;
    this.#queue = [];
    for (const group of [...this.#waiting.splice(0), this.#group]) group.resolve(false);
    this.#file.close();
  }

  readonly #flushTurn = (): void => {
    this.#flushPlanned = false;
    if (!this.#closed) {
      this.#write();
      if (this.#cooling === null) this.#startSync();
    }
    this.#out?.resolve();
    this.#out = null;
  };

  /** Writes the queue; on failure what is not written stays queued and the sink is faulty. */
  #write(): void {
    if (this.#fault !== null) return;
    try {
      this.#writeQueue();
    } catch (error) {
      this.#fail(`write failed: ${codeOf(error)}`);
    }
  }

  #writeQueue(): void {
    let next = 0;
    try {
      while (next < this.#queue.length) {
        const end = Math.min(next + LINES_PER_WRITE, this.#queue.length);
        const whole = next === 0 && end === this.#queue.length;
        const text = `${(whole ? this.#queue : this.#queue.slice(next, end)).join("\n")}\n`;
        const now = this.#clock.now();
        this.#ensure();
        this.#file.rotateIfFull(text.length, now);
        // Lines are ASCII, so characters are bytes.
        this.#file.write(Buffer.from(text, "latin1"));
        this.#unsynced.push(text);
        this.#lastWrittenAt = now;
        next = end;
      }
    } finally {
      if (next === this.#queue.length) {
        this.#queue = [];
        this.#written = { seq: this.#seq, head: this.#head };
      } else if (next > 0) this.#queue.splice(0, next);
    }
  }

  #ensure(): void {
    const at = this.#clock.monotonic();
    if (at - this.#ensuredAt < this.#ensureEveryMs) return;
    this.#file.ensure();
    this.#ensuredAt = at;
  }

  /** What happens to the file of an idle gateway is told at once, too, not with the next request. */
  #lookAtFile(): void {
    if (this.#closed || this.#fault !== null || this.#syncing !== null) return;
    try {
      this.#file.ensure();
    } catch (error) {
      this.#fail(`the file cannot be opened: ${codeOf(error)}`);
    }
  }

  #startSync(): void {
    if (this.#syncing !== null || this.#fault !== null || this.#unsynced.length === 0) return;
    if (this.#cooling !== null) {
      clearTimeout(this.#cooling);
      this.#cooling = null;
    }
    this.#syncing = this.#sync().finally(() => {
      this.#syncing = null;
    });
  }

  async #sync(): Promise<void> {
    const group = this.#group;
    const batches = this.#unsynced.length;
    const reached = this.#written;
    this.#group = Promise.withResolvers<boolean>();
    try {
      await this.#file.sync();
    } catch (error) {
      this.#waiting.push(group);
      this.#fail(`sync failed: ${codeOf(error)}`);
      return;
    }
    this.#unsynced.splice(0, batches);
    this.#durable = reached;
    group.resolve(true);
    this.#coolDown();
  }

  /** The next sync comes when the pause is over; until then lines gather. */
  #coolDown(): void {
    if (this.#closed || this.#cooling !== null) return;
    this.#cooling = setTimeout(() => {
      this.#cooling = null;
      if (this.#closed) return;
      this.#write();
      this.#startSync();
    }, this.#syncEveryMs);
    this.#cooling.unref();
  }

  #fail(message: string): void {
    if (this.#fault === null) {
      this.#fault = { message, since: this.#clock.now() };
      this.#onNote(`the audit file cannot be written: ${message}`);
    } else if (this.#fault.message !== message) {
      this.#fault = { message, since: this.#fault.since };
    }
    if (this.#retry !== null || this.#closed) return;
    this.#retry = setInterval(() => void this.#recover(), this.#retryEveryMs);
    this.#retry.unref();
  }

  /** Writes again what a failed sync may have lost, then the queue, and syncs; only then is the fault over. */
  async #recover(): Promise<void> {
    if (this.#fault === null || this.#syncing !== null) return;
    this.#syncing = this.#tryAgain().finally(() => {
      this.#syncing = null;
    });
    await this.#syncing;
  }

  async #tryAgain(): Promise<void> {
    const group = this.#group;
    let step = "write";
    try {
      this.#file.ensure();
      if (this.#unsynced.length > 0) this.#file.rewrite(Buffer.from(this.#unsynced.join(""), "latin1"));
      this.#writeQueue();
      this.#group = Promise.withResolvers<boolean>();
      this.#waiting.push(group);
      const batches = this.#unsynced.length;
      const reached = this.#written;
      step = "sync";
      await this.#file.sync();
      this.#unsynced.splice(0, batches);
      this.#durable = reached;
    } catch (error) {
      this.#fail(`${step} failed: ${codeOf(error)}`);
      return;
    }
    this.#fault = null;
    if (this.#retry !== null) clearInterval(this.#retry);
    this.#retry = null;
    for (const durable of this.#waiting.splice(0)) durable.resolve(true);
    this.#onNote("the audit file is written again");
    // Lines that came during the sync.
    this.#write();
    this.#coolDown();
  }

  #note(text: string): void {
    this.#keep(text);
    this.#onNote(text);
  }

  #alarm(text: string): void {
    this.#keep(text);
    this.#onAlarm(text);
  }

  #keep(text: string): void {
    this.#notes.push(text);
    if (this.#notes.length > MAX_NOTES) this.#notes.shift();
  }
}

function fileRotation({ sizeBytes, keep, every, timezone }: Rotation): FileRotation {
  const zone = timezone ?? "UTC";
  return { atBytes: sizeBytes, keep, periodEnd: every === undefined ? undefined : (ms) => periodEnd(every, zone, ms) };
}
