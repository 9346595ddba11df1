// One file of prompts and answers while it is written.

import { closeSync, constants, fdatasync, ftruncateSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { codeOf } from "../audit-file.ts";
import { headerLine, newContentsName, sealFrame, type Part, type WrappedKey } from "./content-file.ts";
import type { FrameWriter } from "./recording.ts";

const syncData = promisify(fdatasync);

export const HOUR_MS = 3_600_000;
const MAX_FILE_BYTES = 64 * 1024 * 1024;
const openFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

export interface FileParts {
  readonly onFault: (error: unknown) => void;
  /** In place of the system's; tests have it fail. */
  readonly calls?: { write(fd: number, bytes: Uint8Array, offset: number): number };
}

/** Takes frames of many requests at once, until it is full or its hour is over. */
export class ContentFile implements FrameWriter {
  readonly name: string;
  recordings = 0;
  readonly #path: string;
  readonly #fd: number;
  readonly #contents: string;
  readonly #startMs: number;
  readonly #parts: FileParts;
  #key: Uint8Array | null;
  #size: number;
  #counter = 0;
  #dirty = true;
  #broken = false;

  private constructor(
    path: string,
    fd: number,
    start: { ms: number; size: number; contents: string },
    key: Uint8Array,
    parts: FileParts,
  ) {
    this.name = basename(path);
    this.#path = path;
    this.#fd = fd;
    this.#size = start.size;
    this.#startMs = start.ms;
    this.#contents = start.contents;
    this.#key = key;
    this.#parts = parts;
  }

  /** Takes the key over. */
  static create(folder: string, nowMs: number, key: Uint8Array, wrapped: WrappedKey, parts: FileParts): ContentFile {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { path, fd } = openFree(folder, nowMs);
    const contents = newContentsName();
    const header = Buffer.from(headerLine({ contents, key: wrapped }));
    try {
      writeAll(fd, header, parts);
    } catch (error) {
      closeSync(fd);
      rmSync(path, { force: true });
      throw error;
    }
    return new ContentFile(path, fd, { ms: nowMs, size: header.length, contents }, key, parts);
  }

  enter(): void {
    this.recordings++;
  }

  leave(): void {
    this.recordings--;
  }

  isFull(nowMs: number): boolean {
    return this.#size >= MAX_FILE_BYTES || nowMs >= this.#startMs + HOUR_MS || this.#broken;
  }

  write(part: Part, id: string, data: Uint8Array): { from: number; to: number } | null {
    if (this.#key === null || this.#broken) return null;
    const frame = sealFrame(this.#key, this.#contents, this.#counter++, { part, id, data });
    try {
      writeAll(this.#fd, frame, this.#parts);
    } catch (error) {
      this.#cutBack();
      this.#parts.onFault(error);
      return null;
    }
    const from = this.#size;
    this.#size += frame.length;
    this.#dirty = true;
    return { from, to: this.#size };
  }

  async sync(): Promise<void> {
    if (!this.#dirty) return;
    this.#dirty = false;
    await syncData(this.#fd);
  }

  async close(): Promise<void> {
    if (this.#key === null) return;
    this.#key.fill(0);
    this.#key = null;
    if (this.#counter === 0) {
      closeSync(this.#fd);
      rmSync(this.#path, { force: true });
      return;
    }
    // Where the disk fails now the file is as good as it gets.
    await this.sync().catch(() => undefined);
    closeSync(this.#fd);
  }

  #cutBack(): void {
    try {
      ftruncateSync(this.#fd, this.#size);
    } catch {
      this.#broken = true;
    }
  }
}

function openFree(folder: string, nowMs: number): { path: string; fd: number } {
  const stamp = new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, "");
  for (let n = 1; ; n++) {
    const path = join(folder, `${stamp}${n === 1 ? "" : `-${n}`}.sealed`);
    try {
      return { path, fd: openSync(path, openFlags | constants.O_APPEND, 0o600) };
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
  }
}

function writeAll(fd: number, bytes: Uint8Array, { calls }: FileParts): void {
  for (let done = 0; done < bytes.length;) {
    const written = calls?.write(fd, bytes, done) ?? writeSync(fd, bytes, done);
    if (written <= 0) throw new Error("nothing was written");
    done += written;
  }
}
