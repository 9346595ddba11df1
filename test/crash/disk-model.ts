// What a disk may hold after the power went. Everything that a finished sync covered is there; of the rest, each piece may
// or may not be:
//   - a file that grows keeps a prefix of what was added, cut at any byte, and may have zeros after it: file systems that
//     journal their metadata (ext4, XFS, APFS) extend a file in order, but not always before its data is there;
//   - what is written over older bytes is kept sector by sector, in any combination;
//   - names are made and removed in order, and are certain once their folder was synced.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { SeededRandom } from "../fuzz/seeded-random.ts";
import type { TraceEvent } from "./disk-trace.ts";

const sectorBytes = 512;

type Change =
  | { readonly at: number; readonly offset: number; readonly bytes: Buffer }
  | { readonly at: number; readonly size: number };

class ModelFile {
  /** What the last sync has made certain. */
  durable: Buffer = Buffer.alloc(0);
  /** The size that the process sees. */
  size = 0;
  changes: Change[] = [];

  /** Everything that was asked for before `before` is on the disk. */
  sync(before: number): void {
    this.durable = this.changes.filter(({ at }) => at < before).reduce<Buffer>(applied, this.durable);
    this.changes = this.changes.filter(({ at }) => at >= before);
  }

  /** One of the contents that it may have now. */
  afterCut(random: SeededRandom): Buffer {
    let content = this.durable;
    const certain = content.length;
    let growing = true;
    for (const change of this.changes) {
      if ("size" in change) {
        if (random.next() < 0.5) content = applied(content, change);
        continue;
      }
      const { at, offset, bytes } = change;
      const over = Math.max(0, Math.min(bytes.length, certain - offset));
      for (let from = 0; from < over; from = Math.min(over, nextSector(offset + from) - offset)) {
        const to = Math.min(over, nextSector(offset + from) - offset);
        if (random.next() < 0.5)
          content = applied(content, { at, offset: offset + from, bytes: bytes.subarray(from, to) });
      }
      if (over === bytes.length || !growing) continue;
      const added = { at, offset: offset + over, bytes: bytes.subarray(over) };
      if (random.next() < 0.8) {
        content = applied(content, added);
        continue;
      }
      growing = false;
      content = applied(content, { ...added, bytes: added.bytes.subarray(0, random.integer(added.bytes.length + 1)) });
      if (random.next() < 0.3) content = Buffer.concat([content, Buffer.alloc(1 + random.integer(2 * sectorBytes))]);
    }
    return content;
  }
}

const nextSector = (offset: number): number => (Math.floor(offset / sectorBytes) + 1) * sectorBytes;

function applied(content: Buffer, change: Change): Buffer {
  if ("size" in change) {
    return Buffer.concat([content.subarray(0, change.size)], change.size);
  }
  const { offset, bytes } = change;
  const grown = Buffer.alloc(Math.max(content.length, offset + bytes.length));
  content.copy(grown);
  bytes.copy(grown, offset);
  return grown;
}

interface NameChange {
  readonly at: number;
  readonly path: string;
  /** null: the name is removed. */
  readonly file: ModelFile | null;
  /** Where the file was until then: a rename is done as a whole or not at all. */
  readonly from?: string;
}

function renamed(names: Map<string, ModelFile>, { path, file, from }: NameChange): void {
  if (from !== undefined) names.delete(from);
  if (file === null) names.delete(path);
  else names.set(path, file);
}

export class DiskModel {
  readonly #home: string;
  /** As the process sees them, and as the last syncs of their folders have made certain. */
  readonly #names = new Map<string, ModelFile>();
  readonly #durableNames = new Map<string, ModelFile>();
  #nameChanges: NameChange[] = [];

  constructor(home: string) {
    this.#home = home;
  }

  /** `at`: the event's place in the trace. */
  apply(event: TraceEvent, at: number): void {
    if (event.what === "send") return;
    const { path } = event;
    const file = this.#names.get(path);
    if (event.what === "create") {
      if (file === undefined) this.#rename(at, path, new ModelFile());
    } else if (event.what === "unlink") {
      this.#rename(at, path, null);
    } else if (event.what === "rename") {
      if (file === undefined) throw new Error(`${path} was renamed before it was made`);
      this.#rename(at, event.to, file, path);
    } else if (event.what === "sync" && file === undefined) {
      this.#syncFolder(path, event.begun);
    } else if (file === undefined) {
      throw new Error(`${path} was written before it was made`);
    } else if (event.what === "sync") {
      file.sync(event.begun);
    } else if (event.what === "truncate") {
      file.size = event.size;
      file.changes.push({ at, size: event.size });
    } else if (event.what === "write") {
      const offset = event.offset ?? file.size;
      file.size = Math.max(file.size, offset + event.bytes.length);
      file.changes.push({ at, offset, bytes: event.bytes });
    }
  }

  /** Writes one of the states that the disk may be in now below `folder`. */
  writeImage(folder: string, random: SeededRandom): void {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const names = new Map(this.#durableNames);
    const kept = random.integer(this.#nameChanges.length + 1);
    for (const change of this.#nameChanges.slice(0, kept)) renamed(names, change);
    for (const [path, file] of names) {
      const target = join(folder, path.slice(this.#home.length));
      mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
      writeFileSync(target, file.afterCut(random), { mode: 0o600 });
    }
  }

  #rename(at: number, path: string, file: ModelFile | null, from?: string): void {
    const change: NameChange = { at, path, file, ...(from !== undefined && { from }) };
    renamed(this.#names, change);
    this.#nameChanges.push(change);
  }

  #syncFolder(folder: string, before: number): void {
    for (const change of this.#nameChanges) {
      if (dirname(change.path) === folder && change.at < before) renamed(this.#durableNames, change);
    }
    this.#nameChanges = this.#nameChanges.filter(({ path, at }) => dirname(path) !== folder || at >= before);
  }
}
