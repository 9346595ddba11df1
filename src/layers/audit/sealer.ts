// Seals the trail while it is written, and holds it against its seals at the start. What it needs of a key store comes from
// outside; until there is a key, the trail is written without seals and nothing waits for it.

import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "../../clock.ts";
import { syncFolder, writeWhole } from "../../durable-write.ts";
import { Secret } from "../../secret.ts";
import { codeOf, type FileWatcher } from "./audit-file.ts";
import { CHAIN_START, GENESIS, parseLineHead, type ChainPosition } from "./chain.ts";
import {
  formatCheckpoint,
  formatSegmentSeal,
  readCheckpoint,
  type AuditAlarm,
  type Checkpoint,
  type Sealed,
} from "./seal.ts";
import { readPruned, sealName } from "./segments.ts";
import { firstLine } from "./tail.ts";
import { trailSince } from "./trail-since.ts";

export type SealPlace = "keychain" | "vault" | "file";

/** Keeps the key, and a mark beside it where that is out of reach of whoever can write our files. Never asks a person. */
export interface SealKeeper {
  /** The caller wipes the key. `locked`: there may be one, and `why` says what to do. Never rejects. */
  load(): Promise<
    | { readonly state: "found"; readonly key: Secret; readonly place: SealPlace }
    | { readonly state: "none" }
    | { readonly state: "locked"; readonly why: string }
  >;
  /** Stores a new key; the bytes stay the caller's. Rejects where nothing can be stored now. */
  save(key: Secret): Promise<SealPlace>;
  /** Null: none is there, or it cannot be read. Never rejects. */
  loadMark(): Promise<ChainPosition | null>;
  /** Does nothing where there is no place for it. Never rejects. */
  saveMark(mark: ChainPosition): Promise<void>;
}

export interface SealerParts {
  /** Path of the trail. */
  readonly trail: string;
  /** Path of the checkpoint. */
  readonly file: string;
  readonly keeper: SealKeeper;
  readonly clock: Clock;
  /** The last line that is on the disk; null: not known. */
  readonly durable: () => ChainPosition | null;
  readonly note: (text: string) => void;
  /** For the log. The sealer keeps alarms, and seals them, until `accept`. */
  readonly onAlarm: (text: string) => void;
}

export interface SealStatus {
  /** Null: there is no key yet. */
  readonly place: SealPlace | null;
  /** The last line that is sealed. */
  readonly seq: number;
  /** Why nothing is sealed now; null: all is well. */
  readonly fault: string | null;
  readonly alarms: readonly AuditAlarm[];
}

const MAX_ALARMS = 20;
const SEAL_EVERY_MS = 1_000;
/** A keychain is asked for seldom: some make a sound or a disk write of it. */
const MARK_EVERY_MS = 60_000;
const RETRY_EVERY_MS = 30_000;
const KEY_BYTES = 32;

export class Sealer implements FileWatcher, AsyncDisposable {
  readonly #parts: SealerParts;
  /** As it was found at the start. */
  readonly #found: Sealed<Checkpoint> | "damaged" | null;
  #key: Secret | null = null;
  #place: SealPlace | null = null;
  #from: ChainPosition;
  #alarms: AuditAlarm[] = [];
  /** Of what is not in the checkpoint yet. */
  #changed = false;
  #sealedSeq = 0;
  #markedSeq = 0;
  #markedAt = Number.NEGATIVE_INFINITY;
  #fault: string | null = null;
  #triedAt = Number.NEGATIVE_INFINITY;
  #segments: { readonly path: string; readonly last: ChainPosition }[] = [];
  #timer: ReturnType<typeof setInterval> | null = null;
  #opening: Promise<void> | null = null;
  #sealing: Promise<void> | null = null;
  /** Counts the checkpoints that were written, so that one that took longer does not replace a later one. */
  #writes = 0;
  #marking: Promise<void> = Promise.resolve();

  constructor(parts: SealerParts) {
    this.#parts = parts;
    this.#found = readCheckpoint(parts.file);
    const document = this.#found === null || this.#found === "damaged" ? null : this.#found.document;
    this.#from = document?.from ?? readPruned(parts.trail);
    this.#sealedSeq = document?.seq ?? 0;
  }

  /** What was sealed last, by whomever: for where the numbers go on. Null: nothing. */
  get sealed(): ChainPosition | null {
    if (this.#found === null || this.#found === "damaged") return null;
    const { seq, head } = this.#found.document;
    return { seq, head };
  }

  status(): SealStatus {
    return { place: this.#place, seq: this.#sealedSeq, fault: this.#fault, alarms: this.#alarms };
  }

  /** Gets the key, holds the trail against what was sealed, and seals from now on. Never rejects; may take its time. */
  async open(): Promise<void> {
    this.#timer ??= setInterval(() => this.#turn(), SEAL_EVERY_MS);
    this.#timer.unref();
    await this.retry();
  }

  /** Asks for the key again, where it was not there. */
  async retry(): Promise<void> {
    if (this.#key !== null) return;
    this.#triedAt = this.#parts.clock.monotonic();
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null;
    });
    await this.#opening;
  }

  alarm(text: string): void {
    this.#alarms = [...this.#alarms, { at: this.#now(), text }].slice(-MAX_ALARMS);
    this.#changed = true;
    this.#parts.onAlarm(text);
  }

  rotated(path: string, last: ChainPosition): void {
    this.#segments.push({ path, last });
  }

  mayPrune(last: ChainPosition): boolean {
    if (last.seq <= this.#from.seq) return true;
    if (this.#key === null) {
      // Unsealed, the deletion could not be told from somebody else's; a trail that was never sealed has nothing to lose.
      if (this.#found !== null) return false;
      this.#from = last;
      return true;
    }
    const before = this.#from;
    this.#from = last;
    if (this.#seal()) return true;
    this.#from = before;
    return false;
  }

  /** A person has looked into what happened: the trail is good from here on. False: there is no key, so nothing can be sealed. */
  accept(): boolean {
    const end = this.#parts.durable();
    if (this.#key === null || end === null) return false;
    this.#from = end;
    this.#alarms = [];
    return this.#seal();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#opening;
    await this.#sealing;
    if (this.#key !== null && this.#place !== null) {
      this.#seal();
      this.#sealSegments(this.#sealedSeq);
    }
    this.#mark(true);
    await this.#marking;
    this.#key?.wipe();
    this.#key = null;
  }

  async #open(): Promise<void> {
    const { keeper, note, trail } = this.#parts;
    const loaded = await keeper.load();
    if (loaded.state === "locked") {
      if (this.#fault === null) note(`the trail is not sealed for now: ${loaded.why}`);
      this.#fault = loaded.why;
      return;
    }
    if (loaded.state === "found") {
      this.#compare(loaded.key);
      this.#key = loaded.key;
      this.#place = loaded.place;
    } else {
      if (this.#found === "damaged" || (this.#found !== null && !this.#found.document.first)) {
        this.alarm(
          "the trail was sealed before, and the key of its seals is gone (or this is another machine's trail)",
        );
      }
      if (!(await this.#create())) return;
    }
    this.#fault = null;
    const mark = await keeper.loadMark();
    if (mark !== null) {
      const { end, continues } = trailSince(trail, mark, Number.NEGATIVE_INFINITY);
      // Where the checkpoint said the same, it is told once.
      if (!continues && this.#alarms.length === 0) {
        this.alarm(
          `the trail ends with line ${end.seq} and does not go on from line ${mark.seq}, which the keychain holds`,
        );
      }
      this.#markedSeq = mark.seq;
    }
    this.#seal();
  }

  #compare(key: Secret): void {
    if (this.#found === null) {
      this.alarm("the trail's checkpoint is gone, although it was sealed before");
    } else if (this.#found === "damaged") {
      this.alarm("the trail's checkpoint is damaged");
    } else if (!this.#found.isSealedBy(key)) {
      this.alarm(
        "the trail's checkpoint was not made with this machine's key: it was forged, or copied from elsewhere",
      );
      this.#from = CHAIN_START;
    } else {
      // What was told before stays until a person has accepted it; what is new came after it.
      this.#alarms = [...this.#found.document.alarms, ...this.#alarms].slice(-MAX_ALARMS);
    }
  }

  /** False: no key can be stored, and the reason is the fault. */
  async #create(): Promise<boolean> {
    const { keeper, note } = this.#parts;
    const key = new Secret(Buffer.from(randomBytes(KEY_BYTES).toString("base64url")));
    this.#key = key;
    try {
      // In this order: a kill between the two is told from a key that somebody took away.
      if (!this.#seal(true)) throw new Error(this.#fault ?? "no checkpoint");
      this.#place = await keeper.save(key);
    } catch (error) {
      this.#key = null;
      key.wipe();
      this.#fault = `no key can be stored: ${codeOf(error)}`;
      note(`the trail is not sealed for now: ${this.#fault}`);
      return false;
    }
    const weaker =
      "no keychain or open vault: the key of the trail's seals lies in state/, where who can write the trail may read it";
    if (this.#place === "file") note(weaker);
    return true;
  }

  #turn(): void {
    if (this.#key === null || this.#place === null) {
      if (this.#parts.clock.monotonic() - this.#triedAt >= RETRY_EVERY_MS) void this.retry();
      return;
    }
    const end = this.#parts.durable();
    if (this.#changed || (end !== null && end.seq > this.#sealedSeq)) {
      this.#sealing ??= this.#sealApart().finally(() => {
        this.#sealing = null;
      });
    }
    this.#sealSegments(end?.seq ?? 0);
    this.#mark(false);
  }

  /** Writes the checkpoint. False: it could not be written, which is told once. */
  #seal(first = false): boolean {
    const { file } = this.#parts;
    const next = this.#next(first);
    try {
      if (this.#isNewer(next)) return true;
      replace(file, formatCheckpoint(next, this.#key!));
    } catch (error) {
      return this.#failed(error);
    }
    this.#wrote(next);
    return true;
  }

  /** The same without a wait for the disk on the event loop. */
  async #sealApart(): Promise<void> {
    const { file } = this.#parts;
    const next = this.#next(false);
    const writes = this.#writes;
    try {
      if (this.#isNewer(next)) return;
      const temporary = temporaryName(file, "apart");
      {
        await using handle = await open(temporary, "w", 0o600);
        await handle.writeFile(formatCheckpoint(next, this.#key!));
        await handle.datasync();
      }
      if (writes !== this.#writes) return;
      renameSync(temporary, file);
    } catch (error) {
      this.#failed(error);
      return;
    }
    this.#wrote(next);
  }

  #next(first: boolean): Checkpoint {
    const end = this.#parts.durable() ?? this.sealed ?? CHAIN_START;
    return { ...end, from: this.#from, at: this.#now(), alarms: this.#alarms, first };
  }

  #wrote({ seq, alarms }: Checkpoint): void {
    this.#writes++;
    this.#changed = alarms !== this.#alarms;
    this.#sealedSeq = seq;
    this.#fault = null;
  }

  #failed(error: unknown): false {
    const fault = `the checkpoint cannot be written: ${codeOf(error)}`;
    if (this.#fault !== fault) this.#parts.note(fault);
    this.#fault = fault;
    return false;
  }

  /** Another process of ours has gone on with the trail: the last word is its. */
  #isNewer(own: Checkpoint): boolean {
    const there = readCheckpoint(this.#parts.file);
    return there !== null && there !== "damaged" && there.document.seq > own.seq && there.isSealedBy(this.#key!);
  }

  #sealSegments(durableSeq: number): void {
    const ready = this.#segments.filter(({ last }) => last.seq <= durableSeq);
    this.#segments = this.#segments.filter(({ last }) => last.seq > durableSeq);
    for (const { path, last } of ready) {
      try {
        const head = parseLineHead(firstLine(path) ?? "");
        const start = head === null ? { first: last.seq, prev: GENESIS } : { first: head.seq, prev: head.prev };
        const seal = { ...start, last: last.seq, head: last.head, at: this.#now() };
        writeFileSync(sealName(path), formatSegmentSeal(seal, this.#key!), { mode: 0o600 });
      } catch (error) {
        // The checkpoint covers its lines all the same.
        this.#parts.note(`a rotated file has no seal: ${codeOf(error)}`);
      }
    }
  }

  #mark(last: boolean): void {
    const now = this.#parts.clock.monotonic();
    if (this.#place === null || this.#sealedSeq <= this.#markedSeq) return;
    if (!last && now - this.#markedAt < MARK_EVERY_MS) return;
    const end = this.#parts.durable();
    if (end === null) return;
    this.#markedAt = now;
    this.#markedSeq = end.seq;
    this.#marking = this.#marking.then(() => this.#parts.keeper.saveMark(end));
  }

  #now(): string {
    return new Date(this.#parts.clock.now()).toISOString();
  }
}

/** Two processes may write while one hands over to the other. */
function temporaryName(file: string, ending: string): string {
  return `${file}.${process.pid}.${ending}`;
}

/** Every reader sees the old text or the new one, also after a power cut. */
function replace(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = temporaryName(file, "new");
  const fd = openSync(temporary, "w", 0o600);
  try {
    writeWhole(fd, Buffer.from(text));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, file);
  syncFolder(dirname(file));
}
