// The file under the sink: appends whole lines, notices when somebody moves, cuts or deletes the file, rotates by size and by
// the calendar.
// Everything here is synchronous but `sync`; it throws on failure and leaves the file ending in a whole line if it can.

import {
  close,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fdatasync,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  writeSync,
  type Stats,
} from "node:fs";
import { basename, dirname } from "node:path";
import { promisify } from "node:util";
import { syncFolder as syncFolderNow } from "../../durable-write.ts";
import { CHAIN_START, type ChainPosition } from "./chain.ts";
import { fateOf, saveDeleted } from "./file-fate.ts";
import { auditFiles, foreignName, prune, readPruned, rotatedFiles, rotatedName } from "./segments.ts";
import { endOfLastLine, lastLines, lastPosition, repairTornTail } from "./tail.ts";

const syncData = promisify(fdatasync);
const syncAll = promisify(fsync);
const closeLater = promisify(close);

const NEWLINE = 10;
const ROTATION_RETRY_MS = 60_000;
const LAST_LINE_BYTES = 8_192;
// Not through a symbolic link, and never blocking on a pipe that was put in the file's place.
const openFlags =
  constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** The two system calls that fail first; tests replace them by failing ones. */
export interface FileCalls {
  /** Returns how many bytes were written, possibly fewer than asked for. */
  write(fd: number, bytes: Uint8Array, offset: number, length: number): number;
  sync(fd: number): Promise<void>;
}

const systemCalls: FileCalls = {
  write: (fd, bytes, offset, length) => writeSync(fd, bytes, offset, length),
  sync: syncData,
};

/** When a file is full, and how many full ones stay. */
export interface FileRotation {
  readonly atBytes: number;
  readonly keep: number;
  /** The end of the calendar's period in which a moment lies; absent: by size alone. Milliseconds since the epoch. */
  readonly periodEnd?: ((ms: number) => number) | undefined;
}

/** Who is told of what happens to files, so that it can be sealed (sealer.ts). */
export interface FileWatcher {
  /** A full file was moved aside; `last` is its last line. */
  rotated(path: string, last: ChainPosition): void;
  /** The oldest file goes, and the trail will begin after `last`. False: it must stay for now. */
  mayPrune(last: ChainPosition): boolean;
}

export interface AuditFileOptions {
  /** Absolute path. */
  readonly path: string;
  readonly rotation: FileRotation;
  /** Called with what was mended. */
  readonly note: (text: string) => void;
  /** Called with what nobody but a person with no good reason, or by mistake, can have done. */
  readonly alarm: (text: string) => void;
  /** The last line that was written. */
  readonly written: () => ChainPosition;
  readonly now: () => number;
  readonly watcher?: FileWatcher | undefined;
  readonly calls?: FileCalls;
}

export class AuditFile {
  readonly #options: AuditFileOptions;
  readonly #calls: FileCalls;
  #fd = -1;
  #device = 0;
  #inode = 0;
  #size = 0;
  /** Up to here the file is known to be on the disk. */
  #durableSize = 0;
  /** The file does not end in a newline, and the bytes are not ours to cut. */
  #needsNewline = false;
  /** A failed write left part of a line behind and could not cut it off. */
  #dirtyTail = false;
  #newFolderEntry = false;
  #retired: number[] = [];
  #rotation: FileRotation;
  /** The rotation's size, or more after a rotation has failed. */
  #rotateAtBytes: number;
  /** When the present file is full by the calendar; null: not looked up yet. */
  #rotateAtMs: number | null = null;

  constructor(options: AuditFileOptions) {
    this.#options = options;
    this.#calls = options.calls ?? systemCalls;
    this.#rotation = options.rotation;
    this.#rotateAtBytes = options.rotation.atBytes;
  }

  setRotation(rotation: FileRotation): void {
    this.#rotation = rotation;
    this.#rotateAtBytes = rotation.atBytes;
    this.#rotateAtMs = null;
  }

  /** Opens or creates the file, mends a torn tail, and makes what is there durable. Returns where the chain stands. */
  start(): ChainPosition {
    this.#open();
    const side = `${this.#options.path}.torn-${new Date(this.#options.now()).toISOString().replace(/[-:]|\.\d+/g, "")}`;
    const good = repairTornTail(this.#fd, this.#size, side);
    if (good < this.#size) {
      this.#options.note(`a line was torn; its ${this.#size - good} bytes were moved to ${side}`);
      this.#size = good;
    }
    // A process that was killed has written what no sync has reached, and may have made the file.
    fsyncSync(this.#fd);
    syncFolderNow(dirname(this.#options.path));
    this.#durableSize = this.#size;
    this.#needsNewline = false;
    return lastPosition(this.#fd, this.#size) ?? this.#positionOfOlderFiles();
  }

  /** Checks that the path is still our file; where not, goes on in a new one. Two microseconds when all is well. */
  ensure(): void {
    const seen = lstatSync(this.#options.path, { throwIfNoEntry: false });
    if (this.#fd >= 0 && seen !== undefined && seen.ino === this.#inode && seen.dev === this.#device) {
      if (seen.size !== this.#size) this.#resized(seen.size);
      return;
    }
    if (this.#fd >= 0) {
      this.#tellFate(seen !== undefined);
      this.#retire();
    }
    // What came into our place is not ours to write behind; it is kept for whoever looks into it.
    if (seen !== undefined && this.#isForeign(seen)) this.#moveAside();
    this.#open();
  }

  /** Moves the file aside where `bytes` more would make it too large, or its day is over. */
  rotateIfFull(bytes: number, nowMs: number): void {
    if (this.#size === 0) return;
    if (this.#size + bytes <= this.#rotateAtBytes && nowMs < this.#fullAtMs(nowMs)) return;
    const { path, note, watcher, written } = this.#options;
    const { atBytes } = this.#rotation;
    const aside = rotatedName(path, nowMs, existsSync);
    try {
      renameSync(path, aside);
    } catch (error) {
      // A file that grows is better than a gateway that stops; tried again after another tenth, or a minute.
      this.#rotateAtBytes = this.#size + bytes + Math.ceil(atBytes / 10);
      this.#rotateAtMs = nowMs + ROTATION_RETRY_MS;
      note(`rotation failed: ${codeOf(error)}`);
      return;
    }
    this.#rotateAtBytes = atBytes;
    this.#retire();
    this.#open();
    watcher?.rotated(aside, written());
    this.#pruneOldest();
  }

  /** By the calendar; looked up once for each file, by its last line where it was not begun by us. */
  #fullAtMs(nowMs: number): number {
    if (this.#rotateAtMs !== null) return this.#rotateAtMs;
    const { periodEnd } = this.#rotation;
    if (periodEnd === undefined) return (this.#rotateAtMs = Number.POSITIVE_INFINITY);
    const [line] = lastLines(this.#options.path, 1, LAST_LINE_BYTES);
    return (this.#rotateAtMs = periodEnd(timeOf(line) ?? nowMs));
  }

  /** Appends whole lines. On failure the file is cut back to where it was, and the error is thrown. */
  write(bytes: Uint8Array): void {
    if (this.#needsNewline) {
      this.#writeAll(Uint8Array.of(NEWLINE));
      this.#needsNewline = false;
    }
    this.#writeAll(bytes);
  }

  #writeAll(bytes: Uint8Array): void {
    let done = 0;
    try {
      while (done < bytes.length) {
        const written = this.#calls.write(this.#fd, bytes, done, bytes.length - done);
        if (written <= 0) throw new Error("nothing was written");
        done += written;
      }
    } catch (error) {
      if (done > 0) this.#cutBack();
      throw error;
    }
    this.#size += bytes.length;
  }

  /** Makes durable what was written before the call. After a failure `rewrite` must come before the next try. */
  async sync(): Promise<void> {
    const retired = this.#retired.splice(0);
    const size = this.#size;
    const fd = this.#fd;
    try {
      for (const old of retired) await this.#calls.sync(old);
    } finally {
      // Never tried twice: after a failed sync the system may have dropped the pages and then reports success.
      for (const old of retired) await closeLater(old);
    }
    if (fd < 0) return;
    await this.#calls.sync(fd);
    if (this.#newFolderEntry) {
      await syncFolder(dirname(this.#options.path));
      this.#newFolderEntry = false;
    }
    if (fd === this.#fd) this.#durableSize = Math.max(this.#durableSize, size);
  }

  /** Writes the same bytes over the part of the file that a failed sync may have lost. `tail` ends where the file ends. */
  rewrite(tail: Uint8Array): void {
    const bytes = tail.subarray(Math.max(0, tail.length - (this.#size - this.#durableSize)));
    if (this.#fd < 0 || bytes.length === 0) return;
    // Not the append descriptor: on Linux a positioned write to that one goes to the end (pwrite(2), BUGS).
    const fd = openSync(this.#options.path, constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const seen = fstatSync(fd);
      if (seen.ino !== this.#inode || seen.dev !== this.#device) return;
      const from = this.#size - bytes.length;
      for (let done = 0; done < bytes.length;) {
        done += writeSync(fd, bytes, done, bytes.length - done, from + done);
      }
    } finally {
      closeSync(fd);
    }
  }

  /** Closes without syncing. */
  close(): void {
    for (const fd of this.#retired.splice(0)) closeSync(fd);
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #open(): void {
    const { path } = this.#options;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const fd = openSync(path, openFlags, 0o600);
    try {
      const seen = fstatSync(fd);
      if (!seen.isFile()) throw new Error("the audit file is not a regular file");
      if ((seen.mode & 0o077) !== 0) fchmodSync(fd, 0o600);
      this.#device = seen.dev;
      this.#inode = seen.ino;
      this.#size = seen.size;
      this.#durableSize = seen.size;
      this.#newFolderEntry = true;
      this.#dirtyTail = false;
      this.#rotateAtMs = null;
      this.#needsNewline = !endsInNewline(fd, seen.size);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    this.#fd = fd;
  }

  /** The descriptor may be in use by a sync: it is closed after the next one. */
  #retire(): void {
    if (this.#fd >= 0) this.#retired.push(this.#fd);
    this.#fd = -1;
  }

  #resized(size: number): void {
    if (this.#dirtyTail && size > this.#size) {
      ftruncateSync(this.#fd, this.#size);
      this.#dirtyTail = false;
      return;
    }
    if (size > this.#size) this.#options.alarm("somebody else wrote to the file");
    else this.#tellCut();
    this.#size = size;
    // What is in there is no longer known byte for byte, so `rewrite` must not touch it.
    this.#durableSize = size;
    this.#needsNewline = !endsInNewline(this.#fd, size);
  }

  #tellFate(replaced: boolean): void {
    const { path, note, alarm, now } = this.#options;
    const what = replaced ? "replaced" : "deleted";
    const fate = fateOf(this.#fd, path);
    if (fate.kind === "rotated") return note(`another program moved the file aside (${basename(fate.path)})`);
    if (fate.kind === "moved") {
      return alarm(`the file was moved out of its folder; put it back beside the new one as ${basename(path)}.1`);
    }
    if (fate.bytes === 0) return note(`the file was ${what} while it was empty`);
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      const target = rotatedName(path, now(), existsSync);
      saveDeleted(this.#fd, target);
      alarm(`the file was ${what}; its lines were saved as ${basename(target)}`);
    } catch (error) {
      alarm(`the file was ${what}, and its lines could not be saved: ${codeOf(error)}`);
    }
  }

  /** Copied and emptied by another program where the copy ends as our file did. */
  #tellCut(): void {
    const { note, alarm, written } = this.#options;
    const own = written();
    const left = this.#positionOfOlderFiles();
    if (left.seq === own.seq && left.head === own.head) return note("another program copied the file and emptied it");
    alarm(`the file was cut short; line ${left.seq + 1} to line ${own.seq} may be lost`);
  }

  /** A file with something in it that this process never had open. */
  #isForeign(seen: Stats): boolean {
    if (this.#inode === 0 || !seen.isFile() || seen.size === 0) return false;
    return seen.ino !== this.#inode || seen.dev !== this.#device;
  }

  #moveAside(): void {
    const { path, alarm, note, now } = this.#options;
    const aside = foreignName(path, now(), existsSync);
    try {
      renameSync(path, aside);
      alarm(`another file stood in its place; it was moved to ${basename(aside)}`);
    } catch (error) {
      note(`another file stands in its place and cannot be moved: ${codeOf(error)}`);
    }
  }

  #cutBack(): void {
    try {
      ftruncateSync(this.#fd, this.#size);
    } catch (error) {
      this.#dirtyTail = true;
      this.#options.note(`part of a line could not be cut off: ${codeOf(error)}`);
    }
  }

  #pruneOldest(): void {
    const { path, note, watcher } = this.#options;
    const { keep } = this.#rotation;
    try {
      const rotated = rotatedFiles(path);
      for (const oldest of rotated.slice(0, Math.max(0, rotated.length - keep))) {
        const last = positionAtEndOf(oldest) ?? readPruned(path);
        if (watcher?.mayPrune(last) === false) break;
        prune(path, oldest, last);
      }
    } catch (error) {
      note(`an old file could not be deleted: ${codeOf(error)}`);
    }
  }

  #positionOfOlderFiles(): ChainPosition {
    const { path } = this.#options;
    let newest = readPruned(path);
    for (const older of auditFiles(path)) {
      const position = positionAtEndOf(older);
      if (position !== null && position.seq > newest.seq) newest = position;
    }
    return newest.seq === 0 ? CHAIN_START : newest;
  }
}

/** The system's name of a failure (`ENOSPC`), for messages that must not hold paths. */
export function codeOf(error: unknown): string {
  if (error instanceof Error) {
    return "code" in error && typeof error.code === "string" ? error.code : error.message;
  }
  return "unknown";
}

function positionAtEndOf(path: string): ChainPosition | null {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return lastPosition(fd, endOfLastLine(fd, fstatSync(fd).size));
  } finally {
    closeSync(fd);
  }
}

/** When the request of a line arrived; null: it does not say. */
function timeOf(line: string | undefined): number | null {
  const at = Date.parse(/"ts":"([^"]{1,40})"/.exec(line ?? "")?.[1] ?? "");
  return Number.isNaN(at) ? null : at;
}

function endsInNewline(fd: number, size: number): boolean {
  if (size === 0) return true;
  const last = Buffer.alloc(1);
  return readSync(fd, last, 0, 1, size - 1) === 1 && last[0] === NEWLINE;
}

async function syncFolder(folder: string): Promise<void> {
  const fd = openSync(folder, constants.O_RDONLY);
  try {
    await syncAll(fd);
  } finally {
    closeSync(fd);
  }
}
